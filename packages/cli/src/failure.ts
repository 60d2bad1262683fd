/** From whatever a command threw to one code, one message, one piece of advice and one exit code. */
import { CountersignError, type ErrorCode } from '@countersign/core';
import { EXIT } from './exit-codes.ts';

/** The command line itself is wrong. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
  readonly next: string;
  constructor(message: string, next: string) {
    super(message);
    this.next = next;
  }
}

/** Something stands where the command would write. */
export class FileExistsError extends Error {
  override readonly name: string = 'FileExistsError';
  readonly next: string;
  constructor(path: string, next: string) {
    super(`${path} exists already and was left as it is`);
    this.next = next;
  }
}

/** A file of another program that is not changed: it does not parse, or others may write it. */
export class FileRefusedError extends Error {
  override readonly name: string = 'FileRefusedError';
  readonly next: string;
  constructor(message: string, next: string) {
    super(message);
    this.next = next;
  }
}

export interface Failure {
  readonly code: string;
  /** May hold text from files; escape it for the medium. */
  readonly message: string;
  readonly next?: string;
  readonly exitCode: number;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { code: 'USAGE', message: error.message, next: error.next, exitCode: EXIT.USAGE };
  if (error instanceof FileExistsError) return { code: 'FILE_EXISTS', message: error.message, next: error.next, exitCode: EXIT.FAILED };
  if (error instanceof FileRefusedError) return { code: 'FILE_REFUSED', message: error.message, next: error.next, exitCode: EXIT.FAILED };
  if (CountersignError.is(error)) {
    const { code, message } = error;
    const next = NEXT_STEPS.get(code);
    return { code, message, exitCode: CANNOT_READ.has(code) ? EXIT.CANNOT_READ : EXIT.FAILED, ...(next !== undefined && { next }) };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (isSystemError(error) && error.syscall === 'listen') {
    return { code: error.code, message, next: LISTEN_STEPS.get(error.code) ?? 'choose another port', exitCode: EXIT.FAILED };
  }
  if (isSystemError(error)) {
    return { code: error.code, message, next: 'check that the path exists and that you may use it', exitCode: EXIT.CANNOT_READ };
  }
  return { code: 'INTERNAL_ERROR', message, next: 'this is a defect of Countersign: please report it', exitCode: EXIT.FAILED };
}

const CANNOT_READ: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONFIG_NOT_FOUND',
  'KEY_NOT_FOUND',
  'LEDGER_NOT_FOUND',
  'LEDGER_UNREADABLE',
  'LEDGER_VERSION',
]);

/** Where the message itself does not say what to do. */
const NEXT_STEPS: ReadonlyMap<ErrorCode, string> = new Map<ErrorCode, string>([
  ['CONFIG_INVALID', 'correct the file, then run `countersign doctor`'],
  ['LEDGER_NOT_FOUND', 'name the ledger, or run `countersign init` and guard a first call'],
  ['LEDGER_UNREADABLE', 'check the path and the permissions of the file'],
  ['LEDGER_BUSY', 'another process holds the ledger: try again'],
  ['LEDGER_CORRUPT', 'run `countersign verify` on it, and keep the file as evidence'],
  ['ENTRY_NOT_FOUND', 'run `countersign filter` to see the entries'],
  ['OPENING_NOT_FOUND', 'run `countersign show` to see what is in the clear'],
  ['RECEIPT_TOO_LARGE', 'pass --no-opening, or --only with the fields that matter'],
  ['INCIDENT_NOT_FOUND', 'run `countersign incidents list` to see what there is'],
  ['ACTIVITY_LOG_FAILED', 'check the folder and its permissions, or name another with --log-dir'],
  [
    'MONITOR_UNAVAILABLE',
    'run `countersign doctor` to see what this host offers; `--kernel auto` starts an agent without what is missing, and says so',
  ],
  ['PROCESS_REFUSED', 'name the agent itself: `countersign attach --pid N` or `--name PROGRAM`, or start it with `countersign run`'],
  ['APPROVAL_NOT_FOUND', 'run `countersign approvals list` to see what waits'],
  ['APPROVAL_NOT_PENDING', 'run `countersign approvals list` to see what still waits'],
  ['KEY_INVALID', 'check the key file; `countersign keygen` makes a new one'],
]);

const LISTEN_STEPS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'another program has this port, perhaps another countersign: end it, or choose another with --port N (proxy: --listen)'],
  ['EACCES', 'this port is reserved: choose one of 1024 or above with --port N (proxy: --listen)'],
]);

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}
