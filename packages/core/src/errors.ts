/**
 * What went wrong, as a stable code. A code names the fault, never the function that noticed it, and is never reused.
 * `docs/errors.md` holds the same list and a test compares the two.
 */
export const ERROR_CODES = {
  CALL_REFUSED: 'A guarded call was refused; the refusal is in `error.refusal`. The tool did not run.',
  ARGUMENTS_INVALID: 'Arguments hold something that cannot be bound exactly (NaN, BigInt, cycle, getter, ...). Pass plain data.',
  OPTIONS_INVALID: 'An option given in code is missing or out of range. The message names it.',
  MIDDLEWARE_MISPLACED:
    "Framework middleware changed what runs after the guard had decided, or answered in its place. What it returned was withheld. List the guard's middleware last.",
  CONFIG_NOT_FOUND: 'The configuration file is not there. Run `countersign init` or pass --config.',
  CONFIG_INVALID: 'The configuration does not parse or validate. The message has line, column and the nearest known key.',
  CONFIG_CHANGED: 'More than the policy changed in the configuration of a running process, or who may sign it. Restart it to use the rest.',
  POLICY_BUNDLE_INVALID: 'A policy bundle is malformed, or what it holds does not compile.',
  POLICY_BUNDLE_UNTRUSTED:
    'A policy bundle is unsigned, was altered, is signed by too few of the configured keys, or has another id than the configured one.',
  POLICY_BUNDLE_EXPIRED: 'A policy bundle is past its expiry. Sign a new one.',
  POLICY_BUNDLE_ROLLED_BACK: 'A policy bundle has a lower serial than one this ledger recorded, or the same with other content.',
  CONDITION_INVALID: 'A CEL condition or cost does not compile. The message shows the place.',
  CANONICAL_INVALID: 'A value cannot be written as RFC 8785 JSON (NaN, BigInt, lone surrogate, cycle, too deep).',
  ENTRY_TOO_LARGE: 'A ledger entry would exceed the limit. Shorten what goes into it.',
  ENTRY_INVALID: 'A ledger entry does not have the shape of its kind.',
  ENTRY_NOT_FOUND: 'No entry of the ledger has that number, call or leaf hash.',
  ENTRY_AMBIGUOUS: 'More than one entry of the ledger has that request id or hash; the message names them.',
  LEDGER_NOT_FOUND: 'There is no ledger at that path.',
  LEDGER_UNREADABLE: 'The ledger file cannot be opened or is not a Countersign ledger.',
  LEDGER_VERSION: 'The ledger was written by another format version. Use a newer Countersign, or open an older ledger once for writing.',
  LEDGER_CORRUPT: 'Stored entries do not give the root of the last checkpoint. Run `countersign verify`.',
  LEDGER_ROLLED_BACK: 'The ledger is shorter than, or differs from, the last head known on this machine.',
  LEDGER_REPLACED: 'The ledger file, its WAL or its -shm was removed or replaced while open. Nothing more is written to it.',
  LEDGER_NOT_DURABLE: 'The database refused the durability settings the ledger needs.',
  LEDGER_NOT_SIGNED:
    'The signer is slow or failing. Calls are refused once entries waited longer for a signature than `sign_max_lag` allows.',
  LEDGER_NOT_ANCHORED: 'No checkpoint was copied elsewhere for longer than `anchor_required` allows. Calls are refused until one is.',
  LEDGER_NOT_WATCHED: 'Changes of the ledger by other processes have to be polled for. Their answers arrive a little later, and cost more.',
  LEDGER_WRITE_FAILED: 'The ledger could not be written. Every call is refused until it can.',
  LEDGER_BUSY: 'The ledger stayed locked past the deadline.',
  LEDGER_QUEUE_FULL: 'Too many calls wait for the ledger.',
  AUDIT_LOG_FAILED: 'The operational audit log could not be written or scrubbed. The ledger is not concerned.',
  LEDGER_CLOSED: 'The store was closed.',
  MIRROR_FAILED: 'The mirror of the ledger could not be written. Calls go on; it is tried again.',
  MIRROR_DIVERGED: 'The mirror holds something else than the ledger. Nothing is written to it. Verify both, then move the mirror away.',
  KEY_NOT_FOUND: 'A key file is not there. Run `countersign keygen`, or set `sign: none`.',
  KEY_INVALID: 'A key file or verifier line does not parse, or has the wrong type or passphrase.',
  KEY_MISMATCH: 'The key is not the one that signed this ledger.',
  NOTE_INVALID: 'A signed note is malformed.',
  CHECKPOINT_INVALID: 'A checkpoint is malformed or its signature does not verify.',
  PROOF_INVALID: 'A Merkle proof does not verify.',
  ENTRY_NOT_SIGNED: 'No signed checkpoint covers the entry yet. Try again after the next signature.',
  OPENING_NOT_FOUND: 'The clear text is not in the ledger: there is no such field, or it was forgotten.',
  FORGET_REFUSED: 'Clear text may not be erased now: a person still has to see it, the call still runs, or an agent asks for it.',
  ALREADY_FORGOTTEN: 'Of none of these entries is any clear text left.',
  RECEIPT_TOO_LARGE: 'A receipt would exceed the limit. Leave the clear text out.',
  APPROVAL_NOT_FOUND: 'No approval has that id.',
  APPROVAL_NOT_PENDING: 'The approval was already answered, used or has expired.',
  APPROVAL_EDIT_INVALID:
    'Edited arguments are not usable: no JSON, too large, a secret, or a placeholder that was moved. Nothing was answered.',
  ANSWER_INVALID: 'What a route was sent is no answer to an approval: not JSON, other members, too large. Nothing was answered.',
  GRANT_REFUSED: 'A grant cannot be given on these terms; the message says which. Nothing was answered.',
  PIN_NOT_FOUND: 'No tool of that server and name is pinned.',
  PIN_MOVED:
    'What a person was to answer about is not what the ledger has now: something was offered, accepted or taken back since. Nothing was answered.',
  HALT_NOT_FOUND: 'That session is not halted, or no halt of every session stands.',
  HALT_MOVED: 'It was halted anew since the answer was given. Nothing was resumed.',
  APPROVER_REFUSED: 'This approver may not answer: unknown, badly signed, of too little assurance, or inside the guarded process tree.',
  CHANNEL_FAILED: 'A channel could not put the question to anybody: not delivered, refused, or too many wait. Others may still be asked.',
  TOOL_FAILED: 'The tool threw, and a rule on results changed what may be seen of its error. The message is what is left of it.',
  RESULT_REPLACED:
    'A rule on results put a text in place of what a tool returned, and the framework takes no text there. The message is that text; the tool did run.',
  PERMIT_ALREADY_SETTLED: 'A permit settles once.',
  CALL_LIMIT: 'Too many calls are in flight in this guard.',
  MONITOR_UNAVAILABLE:
    'This host does not offer what a sensor or a container needs. The message says what; `countersign doctor` shows what there is.',
  SCOPE_INVALID: 'The scope is not one. The message names the place.',
  PROCESS_NOT_FOUND: 'No such process, or more than one where one was asked for. The message says which.',
  PROCESS_REFUSED:
    "This process may not be watched: it holds all others, is the kernel's or another user's, or what started the watching. Nothing was attached.",
  ACTIVITY_REFUSED: 'The probe refused what this code was about to do: its scope does not allow it. The rule is in `details`.',
  ACTIVITY_LOG_FAILED: 'The activity log of the monitor could not be written or read. Watching, verdicts and the ledger go on.',
  INCIDENT_NOT_FOUND: 'There is no incident of that id in this log folder, or its file holds something else.',
  ALERT_FAILED: 'Somebody could not be told of a halt or kill. What was contained stays contained.',
  QUARANTINE_REFUSED: 'A file cannot be put back or looked up; the message says why. Nothing was changed.',
  SESSION_STOPPED:
    'The host monitor stopped this session, and its halt is on its way into the ledger. Its calls are refused as `SESSION_HALTED`.',
  MONITOR_CLOSED: 'The host monitor was closed. Make a new one for further calls.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Facts for the handler, safe to log: ids, sizes, positions; never arguments or secrets. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean>>;

export type CountersignErrorOptions = ErrorOptions & { readonly details?: ErrorDetails };

const BRAND = Symbol.for('countersign.error');

export class CountersignError extends Error {
  override readonly name: string = 'CountersignError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: CountersignErrorOptions = {}) {
    super(message, options);
    Object.defineProperty(this, BRAND, { value: true });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** True also for an error thrown by another installed copy of this package. */
  static is(error: unknown): error is CountersignError {
    return typeof error === 'object' && error !== null && BRAND in error;
  }
}
