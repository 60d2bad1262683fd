/**
 * The vocabulary of the guard: a tool call, what is decided about it, and what became of it.
 * Everything here is plain data; times are UTC milliseconds, amounts are integers of 1/1,000,000.
 */

/** A JSON value. Numbers are finite doubles. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Hints a tool's author gives about it. Anyone may lie here: rules may tighten on them, never loosen alone. */
export interface ToolAnnotations {
  readonly title?: string;
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/**
 * How its server declared a tool, for the guard to compare with what is pinned: the digest of what the client was shown last
 * (`guard.pins.offer` gives it), and of others it was shown before. `unlisted`: the client was shown none. `unpinnable`: what it
 * was shown cannot be compared.
 */
export type Declared = 'unlisted' | 'unpinnable' | { readonly digest: string; readonly others?: readonly string[] };

export interface ToolRef {
  /** Name of the server in *our* configuration, never what the server calls itself. */
  readonly server?: string;
  readonly name: string;
  /** SHA-256 hex of the tool's declared schema, when the adapter knows it. */
  readonly schema?: string;
  readonly annotations?: ToolAnnotations;
  /** Absent: the adapter does not know, and nothing is compared. `schema` is its digest unless one is given. */
  readonly declared?: Declared;
}

/** One intended invocation of a tool, as an adapter hands it to the guard. All of it may be attacker-controlled. */
export interface ToolCall {
  readonly tool: ToolRef;
  /** Parsed arguments. The guard copies them once; the tool runs with exactly that copy. */
  readonly args: unknown;
  /** Default: that of the guarded call this one is made in (`currentCall()`), and outside of one the guard's own. */
  readonly session?: string;
  /** On whose behalf the agent acts. Default: that of the guarded call this one is made in. */
  readonly principal?: string;
  /** The framework's id of this call. Without it repeats cannot be recognised. */
  readonly id?: string;
  /** What tells a new turn from a re-run of the same one (LangChain: id of the AI message). Absent where ids never repeat. */
  readonly turn?: string;
  /** What this call costs, in units of 1/1,000,000; budgets see it as `cost`. */
  readonly cost?: number;
  /** Raised by an adapter when a retry middleware tries again after an error; starts at 1. */
  readonly attempt?: number;
}

export type Mode = 'audit' | 'confirm' | 'enforce';
export type Effect = 'allow' | 'deny' | 'require_approval';
/** What becomes of a tool's result on its way to the model, rising with restriction. */
export const RESULT_ACTIONS = ['release', 'label', 'mask', 'truncate', 'withhold'] as const;
export type ResultAction = (typeof RESULT_ACTIONS)[number];

/** Reason codes the engine itself gives. A policy may name its own in the same style. */
export const REASON_CODES = [
  'POLICY_ALLOW_LOW_RISK',
  'POLICY_DENY_HIGH_RISK',
  'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
  'POLICY_DEFAULT_ALLOW',
  'POLICY_DEFAULT_DENY',
  'POLICY_DEFAULT_REQUIRE_APPROVAL',
  'POLICY_DENY_OWN_FILES',
  'POLICY_EVALUATION_FAILED',
  'BUDGET_EXCEEDED_AGENT_RATE',
  'BUDGET_EXCEEDED_TOOL_RATE',
  'BUDGET_EXCEEDED_SESSION_RATE',
  'BUDGET_EXCEEDED_PRINCIPAL_RATE',
  'BUDGET_EXCEEDED_KEY_RATE',
  'BUDGET_EVALUATION_FAILED',
  'APPROVAL_GRANTED',
  'GRANT_USED',
  'APPROVAL_DENIED',
  'APPROVAL_EDITED',
  'APPROVAL_EDIT_INVALID',
  'APPROVAL_EXPIRED',
  'APPROVAL_PROCESS_FAILED',
  'APPROVAL_FORGED',
  'APPROVAL_MISROUTED',
  'APPROVAL_BINDING_MISMATCH',
  'APPROVAL_POLICY_CHANGED',
  'APPROVAL_ALREADY_USED',
  'ARGUMENTS_INVALID',
  'MESSAGE_INVALID',
  'TOOL_UNKNOWN',
  'TOOL_CHANGED',
  'TOOL_FLAGGED',
  'TOOL_UNPINNED',
  'REDACTION_FAILED',
  'MONITOR_FAILED',
  'SESSION_HALTED',
  'CALL_CANCELLED',
  'CALL_IN_PROGRESS',
  'CALL_ALREADY_RUN',
  'CALL_OUTCOME_UNKNOWN',
  'RESULT_TOO_LARGE',
  'RESULT_SCHEMA_MISMATCH',
  'RESULT_NOT_CHECKED',
  'LEDGER_WRITE_FAILED_DECISION',
  'LEDGER_WRITE_FAILED_OUTCOME',
  'LEDGER_QUEUE_FULL',
  'AUDIT_LOG_FAILED',
  'INTERNAL_ERROR',
] as const;
export type BuiltInReasonCode = (typeof REASON_CODES)[number];
/** A built-in code or one a policy named. */
export type ReasonCode = BuiltInReasonCode | (string & {});

/** Where another entry stands: `of` is its 0-based leaf index, `leaf` its RFC 6962 leaf hash in hex. */
export interface EntryRef {
  readonly of: number;
  readonly leaf: string;
}

/** How sure it is who answered, rising: elicitation is low, a key is high, everything else is medium. */
export const ASSURANCES = ['low', 'medium', 'high'] as const;
export type Assurance = (typeof ASSURANCES)[number];

/** Terms under which a human answers. */
export interface ApprovalTerms {
  readonly ttlMs: number;
  /** How many distinct approvers must approve. */
  readonly quorum: number;
  /** Names of the approvers who may answer; absent = any authenticated approver. */
  readonly approvers?: readonly string[];
  /** Least an approving answer must be worth; absent = any. */
  readonly assurance?: Assurance;
}

/** What was decided, as returned to callers. */
export interface Decision {
  readonly effect: Effect;
  /** What policy said, whatever the mode made of it. */
  readonly would: Effect;
  readonly reasonCode: ReasonCode;
  /** For people. Redacted, at most `MAX_REASON_CHARS`. */
  readonly reason?: string;
  readonly rule?: string;
}

export interface RedactionFinding {
  /** What it looked like: `jwt`, `aws-access-key`, `key-name` ... */
  readonly kind: string;
  /** JSON pointer into the arguments. */
  readonly pointer: string;
}

export const OUTCOME_STATUSES = ['success', 'error', 'cancelled'] as const;
export type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

/** What became of a permitted call. `result` and `error` are redacted before they are kept. */
export interface Outcome {
  readonly status: OutcomeStatus;
  readonly result?: unknown;
  readonly error?: unknown;
  /**
   * True: everything the call was charged is given back, whatever the status and the budgets say. False: nothing is.
   * Absent: budgets with `refund: 'error'` give back what they charged when the status is `error`.
   */
  readonly refund?: boolean;
}

/** What the model may see of a call that has run. */
export type Released =
  | {
      readonly kind: 'shown';
      /** The result, or what was thrown: the very same value when nothing was replaced in it, else of the same shape; of an error its text. */
      readonly value: unknown;
      /** Does to what comes beside the result (an artifact) what was done to the result. */
      mask<T>(beside: T): T;
    }
  /** One text stands for all of it: nothing else of the result, and nothing that came beside it, may reach the model. */
  | {
      readonly kind: 'replaced';
      readonly action: 'truncate' | 'withhold';
      readonly text: string;
      /** Present when it is withheld because the ledger could not take the outcome. */
      readonly isRecorded?: false;
    };

/**
 * What becomes of a result. `release`: nothing. Every other action includes the labels; withhold beats truncate beats mask.
 */
export interface ResultVerdict {
  readonly action: ResultAction;
  readonly rule?: string;
  readonly reasonCode?: ReasonCode;
  /** Of `truncate`: how many characters are left. */
  readonly maxChars?: number;
  /**
   * Of `truncate`, from an adapter (`ReleaseOptions.also`): UTF-8 bytes that are left at most. The text alone is left also where it
   * is short enough, since the result it is part of is not.
   */
  readonly maxBytes?: number;
  /** Of `truncate`: what is left is masked, too. */
  readonly masks?: boolean;
  /** For the model, in place of what is withheld or cut. */
  readonly message?: string;
  /** Facts to attach to the session. */
  readonly labels?: readonly string[];
  /** Of `withhold`: enforced in audit mode too (a rule that could not be evaluated). */
  readonly always?: boolean;
}

export interface ReleaseOptions {
  readonly durable?: boolean;
  /** What the adapter itself says of the result, as further rules would: the strictest of all wins, and it is recorded like one. */
  readonly also?: readonly ResultVerdict[];
}

/** The right to run one decided call once. */
export interface Permit {
  readonly kind: 'permit';
  readonly callId: string;
  readonly decision: Decision;
  readonly entry: EntryRef;
  /** Exactly the arguments that were decided on: a private copy. Run these, not the framework's object. */
  readonly args: unknown;
  /**
   * The call that was asked for, when a person edited its arguments: `args` are not those of the framework then. `shown` is
   * the shown view of `args`, for telling the model (`editNotice`).
   */
  readonly edited?: { readonly call: string; readonly shown: Json };
  /** Runs `fn` inside the scope that names this call (`currentCall()`). Does not settle. */
  within<T>(fn: () => T): T;
  /**
   * A rule on results may act on what this call brings: show nothing of it, no part and no progress, before `release` has.
   */
  readonly holdsResult: boolean;
  /**
   * Records the outcome and says what the model may see of it; for whoever hands a result on. Asks the rules on results about
   * `outcome.result`, or `outcome.error`. Where one acted, the outcome is durable before this resolves; where that fails, the
   * result is withheld. Otherwise the outcome rides with the next commit, as with `settle`, unless `durable` asks for the same.
   *
   * @throws {CountersignError} `PERMIT_ALREADY_SETTLED`; `OPTIONS_INVALID` for a status that is none
   */
  release(outcome: Outcome, options?: ReleaseOptions): Promise<Released>;
  /** The result as the model may see it where no rule looks at results: without secrets when the guard masks results, otherwise the very same value. */
  mask<T>(result: T): T;
  /**
   * Records the outcome, and asks no rule about it. Rides with the next commit (at most 20 ms later) unless `durable`.
   * @throws {CountersignError} as `release`, and `LEDGER_WRITE_FAILED` only with `durable: 'or-throw'`. Otherwise a ledger
   *   that fails is told to `onError` alone.
   */
  settle(outcome: Outcome, options?: { readonly durable?: boolean | 'or-throw' }): Promise<void>;
}

/** A call that must not run. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly callId: string;
  readonly decision: Decision;
  /** Where the refusal stands in the ledger; absent when the ledger could not be written. */
  readonly entry?: EntryRef;
  /** For `CALL_ALREADY_RUN`: how the earlier run ended. */
  readonly earlier?: OutcomeStatus;
}

/** A call that waits for a human. Re-enter `authorize` with the same call after the answer. */
export interface Pending {
  readonly kind: 'pending';
  readonly callId: string;
  readonly decision: Decision;
  readonly approvalId: string;
  readonly expiresAtMs: number;
  /** The shown view of the arguments, for a prompt. */
  readonly shown: Json;
}

export type Authorization = Permit | Refusal | Pending;

export const MAX_REASON_CHARS = 500;
