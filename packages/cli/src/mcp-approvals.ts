/** How the MCP proxy asks people through its client, from the configuration. */
import type { Channel, Config } from '@countersign/core';
import type { ApprovalOptions } from '@countersign/mcp-proxy';

/** The order of `approvals.channels` is the order of preference. A client opens the page only where the configuration has one. */
export function mcpApprovals({ approvals }: Pick<Config, 'approvals'>): ApprovalOptions {
  const ask = approvals.channels.flatMap((channel) =>
    channel === 'elicitation' ? (['form'] as const) : channel === 'page' ? (['url'] as const) : [],
  );
  return { ask };
}

/**
 * Stands for the question that the proxy itself puts to its client. Where the configuration has it, an approval is not given up
 * because a webhook could not be reached.
 */
export function elicitationChannel({ approvals }: Pick<Config, 'approvals'>): readonly Channel[] {
  return approvals.channels.includes('elicitation') ? [{ name: 'elicitation', ask: async () => {} }] : [];
}
