/** The first line of an export: which log it is of, and the newest checkpoint. */
import { MAX_NOTE_BYTES } from '../ledger/note.ts';

/** Every export begins with it, and no entry of ours can: its first member is `agent` or `at`. */
export const HEADER_MARK = '{"countersign":"export",';
/** Entries picked out of a ledger: there is nothing to verify them by. */
export const SELECTION_MARK = '{"countersign":"selection",';
/** A note needs at most twice its length as JSON; origin and names are short. */
export const MAX_HEADER_BYTES: number = 2 * MAX_NOTE_BYTES + 65_536;
const EXPORT_VERSION = 1;
/** The members, in this order. */
const MEMBERS = ['countersign', 'version', 'origin', 'size', 'checkpoint'];

export interface ExportHeader {
  readonly origin: string;
  /** Entries that must follow. */
  readonly size: number;
  /** Undefined when there were no entries. */
  readonly checkpoint: string | undefined;
}

/** @returns what is wrong with it, in words, when it is no header this version reads. */
export function parseExportHeader(line: string): ExportHeader | string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'it is not one line of JSON';
  }
  if (typeof value !== 'object' || value === null) return 'it is not an object';
  const { version, origin, size, checkpoint } = value as { readonly [member: string]: unknown };
  if (version !== EXPORT_VERSION) return 'it has a version this verifier does not know';
  if (typeof origin !== 'string') return 'its origin is not a text';
  if (!Number.isSafeInteger(size) || (size as number) < 0) return 'its size is not a whole number';
  if (checkpoint !== null && typeof checkpoint !== 'string') return 'its checkpoint is not a text';
  // Also false when a member stands twice or there are spaces: another reader might see another header. Members are known
  // to be no deep nesting by now, which could not be written.
  if (Object.keys(value).join() !== MEMBERS.join() || JSON.stringify(value) !== line)
    return `its members must be ${MEMBERS.join(', ')}, each once and in this order`;
  return { origin, size: size as number, checkpoint: checkpoint ?? undefined };
}
