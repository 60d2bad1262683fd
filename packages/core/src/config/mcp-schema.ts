/** The `mcp:` block: how the MCP proxy behaves beside what the policy says. */
import * as z from 'zod';

/** `hide`: tools of which every call would be refused are left out of listings. */
export const LISTINGS = ['hide', 'show'] as const;
export type Listing = (typeof LISTINGS)[number];

export interface McpDocument {
  readonly listing?: Listing | undefined;
}

export interface McpConfig {
  readonly listing: Listing;
}

export const mcpSchema: z.ZodType<McpDocument> = z
  .strictObject({
    listing: z.enum(LISTINGS).optional().describe('tools of which every call would be refused, in listings of tools; hide when absent'),
  })
  .describe('how the MCP proxy behaves');

export function workOutMcp({ listing }: McpDocument): McpConfig {
  return { listing: listing ?? 'hide' };
}
