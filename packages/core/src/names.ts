/** Names from outside: what may stand in an entry and be shown to people. */
import { CountersignError } from './errors.ts';
import type { Redactor } from './redact/redact.ts';

export const MAX_NAME_CHARS = 256;

/** Names that are remembered as clean, by redactor. Every call brings the same few; entries hold them for good anyway. */
const MAX_CLEAN_NAMES = 1000;
const CLEAN = new WeakMap<Pick<Redactor, 'text'>, Set<string>>();

/** A name that may stand in an entry, where nothing can erase it. */
export function isRecordable(name: unknown, redactor: Pick<Redactor, 'text'>): name is string {
  return isName(name) && isClean(name, redactor);
}

/** Whether a name holds nothing that looks like a secret. For names only: what it is asked about, it may remember. */
export function isClean(name: string, redactor: Pick<Redactor, 'text'>): boolean {
  let clean = CLEAN.get(redactor);
  if (clean?.has(name) === true) return true;
  if (redactor.text(name) !== name) return false;
  if (clean === undefined) CLEAN.set(redactor, (clean = new Set()));
  // Whoever sends many names makes us forget them, and pays for each.
  if (clean.size >= MAX_CLEAN_NAMES) clean.clear();
  if (name.length <= MAX_NAME_CHARS) clean.add(name);
  return true;
}

/**
 * Who answers stands in an entry, and in messages.
 *
 * @throws {CountersignError} `APPROVER_REFUSED`
 */
export function requireRecordable(approver: unknown, redactor: Pick<Redactor, 'text'>): void {
  if (isName(approver) && !isClean(approver, redactor))
    throw new CountersignError('APPROVER_REFUSED', 'the name of the approver looks like a secret: it would stand in the ledger for good');
}

export function isName(value: unknown): value is string {
  return isText(value) && !/[\u0000-\u001f\u007f]/.test(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_CHARS && value.isWellFormed();
}
