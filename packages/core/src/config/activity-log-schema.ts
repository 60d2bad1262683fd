/** The `monitor.log:` block: where the activity log lies, and how much of it is kept. */
import * as z from 'zod';
import type { Look, Problem } from './document.ts';
import { DURATION_HINT, parseDuration } from './duration.ts';

/** In the folder that tool arguments may not name. */
const DEFAULT_DIR = '.countersign/activity';
const DEFAULT_BYTES = 16_777_216;
const MIN_BYTES = 1_048_576;
const MAX_BYTES = 1_073_741_824;
const DEFAULT_KEEP = 50;
const MAX_KEEP = 10_000;
const DEFAULT_AGE = '30d';
const MIN_AGE_MS = 3_600_000;

export interface ActivityLogDocument {
  readonly dir?: string | undefined;
  readonly max_bytes?: number | undefined;
  readonly keep?: number | undefined;
  readonly max_age?: string | undefined;
}

export interface ActivityLogConfig {
  /** Absolute. */
  readonly dir: string;
  /** Of one file. */
  readonly maxBytes: number;
  /** Files of one session that are kept, besides the one that is written. */
  readonly keep: number;
  /** Sessions and incidents that were last written before are removed when the next session starts. */
  readonly maxAgeMs: number;
}

export const activityLogSchema: z.ZodType<ActivityLogDocument> = z
  .strictObject({
    dir: z.string().min(1).max(4096).optional().describe(`relative to the folder of this file; ${DEFAULT_DIR} when absent`),
    max_bytes: z.int().min(MIN_BYTES).max(MAX_BYTES).optional().describe('of one file; 16 MiB when absent'),
    keep: z.int().min(1).max(MAX_KEEP).optional().describe('files of a session that are kept; 50 when absent'),
    max_age: z.string().optional().describe('sessions and incidents older than that are removed: a duration from 1h; 30d when absent'),
  })
  .describe('the activity log: everything that was seen, and the incidents');

/** @param place - makes a path of the file absolute. */
export function workOutActivityLog(document: ActivityLogDocument, place: (name: string) => string): ActivityLogConfig {
  const { dir = DEFAULT_DIR, max_bytes: maxBytes = DEFAULT_BYTES, keep = DEFAULT_KEEP, max_age: maxAge = DEFAULT_AGE } = document;
  // Checked by `activityLogProblems`.
  return { dir: place(dir), maxBytes, keep, maxAgeMs: parseDuration(maxAge) ?? 0 };
}

export function activityLogProblems({ max_age: maxAge }: ActivityLogDocument, look: Look): readonly Problem[] {
  const ageMs = parseDuration(maxAge ?? DEFAULT_AGE);
  if (ageMs === undefined) return [look(['monitor', 'log', 'max_age'], DURATION_HINT)];
  return ageMs < MIN_AGE_MS ? [look(['monitor', 'log', 'max_age'], 'must be 1h or longer')] : [];
}
