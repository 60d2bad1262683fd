/** What could be taken back of what a stopped tree had done. Goes into the incident, and into the ledger beside the containment. */
import { isCount, isNumber, isText, shape } from '../evidence/activity-shapes.ts';

export interface RollbackItem {
  /** Redacted. */
  readonly path: string;
  /** Where it is kept: `countersign` puts it back by this id. Absent: it was left where it is. */
  readonly id?: string;
  /** Hex, of its content, of a link of where it leads; absent over the limit. */
  readonly sha256?: string;
  readonly size?: number;
  /** Hex, of its manifest: whether that was edited since. */
  readonly manifest?: string;
  /** Why it was left. */
  readonly left?: LeftReason;
}

/**
 * `existed`: it was there before the session, or may have been: such files are never touched. `gone`, `changed`, `linked` (a link on
 * the way to it), `not-a-file`, `too-large`, `own` (Countersign's), `failed` (the system refused; see `code`).
 */
export const LEFT_REASONS = ['existed', 'gone', 'changed', 'linked', 'not-a-file', 'too-large', 'own', 'failed'] as const;
export type LeftReason = (typeof LEFT_REASONS)[number];

export interface RollbackResult {
  readonly quarantined: number;
  readonly left: number;
  /** The first of them, those that were moved before the others; where it is written down there may be less. */
  readonly items: readonly RollbackItem[];
  /** Nothing brings these back: deletions of files, and connections. */
  readonly deletions: number;
  readonly connections: number;
  readonly duration_ms: number;
}

export const MAX_ROLLBACK_ITEMS = 100;

const isItem = shape(
  { path: isText },
  { id: isText, sha256: isText, size: isCount, manifest: isText, left: (value) => LEFT_REASONS.some((reason) => reason === value) },
);

/** What a containment entry says of files: its clear text, from anybody. @returns none for what is not ours */
export function recordedFiles(details: unknown): readonly RollbackItem[] {
  const { rollback, files }: { readonly rollback?: unknown; readonly files?: unknown } = isMembers(details) ? details : {};
  const items = isMembers(rollback) && 'files' in rollback ? rollback.files : files;
  return Array.isArray(items) ? items.filter((item): item is RollbackItem => isItem(item)) : [];
}

const isMembers = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of an incident read from a file. */
export const isRollback: (value: unknown) => boolean = shape({
  quarantined: isCount,
  left: isCount,
  items: (value) => Array.isArray(value) && value.length <= MAX_ROLLBACK_ITEMS && value.every(isItem),
  deletions: isCount,
  connections: isCount,
  duration_ms: isNumber,
});
