/** The `mcp:` block: how the MCP proxy behaves beside what the policy says. */
import * as z from 'zod';
import { PIN_MODES, type PinMode } from '../pin/objection.ts';
import { parseDuration } from './duration.ts';

/** `hide`: tools of which every call would be refused are left out of listings. */
export const LISTINGS = ['hide', 'show'] as const;
export type Listing = (typeof LISTINGS)[number];

/** Clients give a request about a minute unless told otherwise. */
const DEFAULT_HOLD_MS = 45_000;
export const MAX_HOLD_MS = 3_600_000;

export interface McpDocument {
  readonly listing?: Listing | undefined;
  readonly hold?: string | 0 | undefined;
  readonly pins?: PinMode | undefined;
}

export interface McpConfig {
  readonly listing: Listing;
  /** How long a call is held for the answer of a person; 0 = not at all. */
  readonly holdMs: number;
  readonly pins: PinMode;
}

export const mcpSchema: z.ZodType<McpDocument> = z
  .strictObject({
    listing: z.enum(LISTINGS).optional().describe('tools of which every call would be refused, in listings of tools; hide when absent'),
    hold: z
      .union([z.literal(0), z.string()])
      .optional()
      .describe('how long a call that waits for a person is held before the client is told so: a duration, or 0; 45s when absent'),
    pins: z.enum(PIN_MODES).optional().describe('calls of tools that are declared other than when they were first seen; deny when absent'),
  })
  .describe('how the MCP proxy behaves');

export function workOutMcp({ listing, hold, pins }: McpDocument): McpConfig {
  return { listing: listing ?? 'hide', holdMs: hold === undefined ? DEFAULT_HOLD_MS : holdOf(hold), pins: pins ?? 'deny' };
}

/** Said where `hold` is none. */
export function holdProblem({ hold }: McpDocument): string | undefined {
  return hold === undefined || holdOf(hold) <= MAX_HOLD_MS ? undefined : 'write 0, or a duration of at most 1h, such as 45s';
}

/** NaN for what is no duration: not at most anything. */
function holdOf(hold: string | 0): number {
  return hold === 0 ? 0 : (parseDuration(hold) ?? Number.NaN);
}
