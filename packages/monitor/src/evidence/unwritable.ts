/** What a person is told when evidence cannot be written: what happened, what it means for the agent, and what to do. */
import { CountersignError } from '@countersign/core';
import type { MonitorMode } from '../verdict.ts';

const MAX_CAUSES = 8;
const FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'SQLITE_FULL']);
/** Of what came from another thread the words are all that is left. SQLite's, and the system's. */
const FULL_TEXT = /\b(?:ENOSPC|EDQUOT)\b|disk is full|no space left on device/i;

/** By what the system said, anywhere in the chain of causes. */
export function isDiskFull(error: unknown): boolean {
  for (let at = error, nth = 0; at instanceof Error && nth < MAX_CAUSES; at = at.cause, nth++) {
    if (('code' in at && FULL.has(at.code)) || FULL_TEXT.test(at.message)) return true;
  }
  return false;
}

/** The ledger takes no verdict, step or question. */
export function notRecorded(error: unknown, mode: MonitorMode): CountersignError {
  const meaning =
    mode === 'audit_only'
      ? 'in this mode nothing stops; what cannot be written is counted as lost'
      : 'the agent stays stopped, and nobody can be asked about it, until what happened is on record';
  return new CountersignError(
    'LEDGER_WRITE_FAILED',
    `${whatIs('the ledger', error)}: ${meaning}. ${next(error)}; it is tried again by itself`,
    {
      cause: error,
    },
  );
}

/** Activities that no log takes. What is not safe is in the ledger all the same. */
export function notLogged(error: unknown): CountersignError {
  const why = error instanceof Error ? error.message : 'something was thrown that is no error';
  const full = isDiskFull(error) ? 'THE DISK IS FULL: ' : '';
  return new CountersignError(
    'ACTIVITY_LOG_FAILED',
    `activity log: ${full}ACTIVITY IS NOT BEING LOGGED; watching goes on, and what is not safe is in the ledger: ${why}. ${next(error)}`,
    { cause: error },
  );
}

function whatIs(file: string, error: unknown): string {
  if (isDiskFull(error)) return `THE DISK IS FULL: ${file} cannot be written`;
  return `${file} cannot be written (${error instanceof Error ? error.message : 'unknown error'})`;
}

function next(error: unknown): string {
  return isDiskFull(error) ? 'Free space there (`countersign doctor` names the paths)' : '`countersign doctor` says what is wrong';
}
