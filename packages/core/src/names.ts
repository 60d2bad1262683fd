/** Names from outside: what may stand in an entry and be shown to people. */
import { CountersignError } from './errors.ts';
import type { Redactor } from './redact/redact.ts';

export const MAX_NAME_CHARS = 256;

/** A name that may stand in an entry, where nothing can erase it. */
export function isRecordable(name: unknown, redactor: Pick<Redactor, 'text'>): name is string {
  return isName(name) && redactor.text(name) === name;
}

/**
 * Who answers stands in an entry, and in messages.
 *
 * @throws {CountersignError} `APPROVER_REFUSED`
 */
export function requireRecordable(approver: unknown, redactor: Pick<Redactor, 'text'>): void {
  if (isName(approver) && redactor.text(approver) !== approver)
    throw new CountersignError('APPROVER_REFUSED', 'the name of the approver looks like a secret: it would stand in the ledger for good');
}

export function isName(value: unknown): value is string {
  return isText(value) && !/[\u0000-\u001f\u007f]/.test(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_CHARS && value.isWellFormed();
}
