/** How the MCP proxy asks people through its client, from the configuration. */
import type { Config } from '@countersign/core';
import type { ApprovalOptions } from '@countersign/mcp-proxy';

/** The order of `approvals.channels` is the order of preference. A client opens the page only where the configuration has one. */
export function mcpApprovals({ approvals }: Pick<Config, 'approvals'>): ApprovalOptions {
  const ask = approvals.channels.flatMap((channel) =>
    channel === 'elicitation' ? (['form'] as const) : channel === 'page' ? (['url'] as const) : [],
  );
  return { ask };
}
