/** The `mcp:` block: how the MCP proxy behaves beside what the policy says. */
import * as z from 'zod';
import { PIN_MODES, type PinMode } from '../pin/objection.ts';
import { LABEL_SHAPE, NAME_HINT } from '../policy/rule-definition.ts';
import { parseDuration } from './duration.ts';

/** `hide`: tools of which every call would be refused are left out of listings. */
export const LISTINGS = ['hide', 'show'] as const;
export type Listing = (typeof LISTINGS)[number];

/** Clients give a request about a minute unless told otherwise. */
const DEFAULT_HOLD_MS = 45_000;
export const MAX_HOLD_MS = 3_600_000;
/** Of `max_result`: the proxy reads no longer message. */
export const MAX_RESULT_LIMIT_BYTES: number = 16 * 1024 * 1024;
const MAX_OPEN_WORLD_LABELS = 16;

export interface McpDocument {
  readonly listing?: Listing | undefined;
  readonly hold?: string | 0 | undefined;
  readonly pins?: PinMode | undefined;
  readonly max_result?: number | undefined;
  readonly check_output?: boolean | undefined;
  readonly open_world_labels?: readonly string[] | undefined;
}

export interface McpConfig {
  readonly listing: Listing;
  /** How long a call is held for the answer of a person; 0 = not at all. */
  readonly holdMs: number;
  readonly pins: PinMode;
  /** Most bytes of a result that are passed on; absent: as many as a message may have. */
  readonly maxResultBytes?: number;
  /** Structured content is held against the `outputSchema` of its tool. */
  readonly checkOutput: boolean;
  /** For sessions that got a result of a tool that does not say `openWorldHint: false`. */
  readonly openWorldLabels: readonly string[];
}

export const mcpSchema: z.ZodType<McpDocument> = z
  .strictObject({
    listing: z.enum(LISTINGS).optional().describe('tools of which every call would be refused, in listings of tools; hide when absent'),
    hold: z
      .union([z.literal(0), z.string()])
      .optional()
      .describe('how long a call that waits for a person is held before the client is told so: a duration, or 0; 45s when absent'),
    pins: z.enum(PIN_MODES).optional().describe('calls of tools that are declared other than when they were first seen; deny when absent'),
    max_result: z
      .int()
      .min(1)
      .max(MAX_RESULT_LIMIT_BYTES)
      .optional()
      .describe('most bytes of a result that are passed on; more is cut to its text'),
    check_output: z
      .boolean()
      .optional()
      .describe('results are held against the outputSchema of their tool, and withheld where they do not fit; false when absent'),
    open_world_labels: z
      .array(z.string().regex(LABEL_SHAPE, NAME_HINT))
      .max(MAX_OPEN_WORLD_LABELS)
      .optional()
      .describe('labels for the session once it has a result of a tool that does not say openWorldHint: false'),
  })
  .describe('how the MCP proxy behaves');

export function workOutMcp(document: McpDocument): McpConfig {
  return {
    listing: document.listing ?? 'hide',
    holdMs: document.hold === undefined ? DEFAULT_HOLD_MS : holdOf(document.hold),
    pins: document.pins ?? 'deny',
    ...(document.max_result !== undefined && { maxResultBytes: document.max_result }),
    checkOutput: document.check_output ?? false,
    openWorldLabels: document.open_world_labels ?? [],
  };
}

/** Said where `hold` is none. */
export function holdProblem({ hold }: McpDocument): string | undefined {
  return hold === undefined || holdOf(hold) <= MAX_HOLD_MS ? undefined : 'write 0, or a duration of at most 1h, such as 45s';
}

/** NaN for what is no duration: not at most anything. */
function holdOf(hold: string | 0): number {
  return hold === 0 ? 0 : (parseDuration(hold) ?? Number.NaN);
}
