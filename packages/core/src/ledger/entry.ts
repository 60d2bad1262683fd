/** Bodies of ledger entries. The prose, the rules and golden bytes are in `docs/formats/entry.md`. */
import type { Assurance, Effect, EntryRef, Json, Mode, OutcomeStatus, ResultAction } from '../call.ts';

export const ENTRY_VERSION = 1;
/** Largest body, in UTF-8 bytes of its canonical text. */
export const MAX_ENTRY_BYTES = 1_048_576;

/** Closed list. A reader that meets another kind reports it, and never skips it silently. */
export const ENTRY_KINDS = [
  'decision',
  'approval',
  'outcome',
  'grant',
  'policy',
  'session',
  'verdict',
  'containment',
  'pin',
  'key',
  'recovery',
  'forget',
  'note',
] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/** Added by the store inside the transaction. */
export interface EntryStamp {
  readonly v: typeof ENTRY_VERSION;
  /** 128 random bits, hex. */
  readonly id: string;
  /** UTC milliseconds, never below the entry before it. */
  readonly at: number;
  /** 128 random bits per open of the store, hex. */
  readonly writer: string;
  /** Of a waymark (`waymark.ts`). */
  readonly newest?: Newest;
}

/** The newest entries before one; each is absent when there is none. */
export interface Newest {
  /** The one that halted or ended a halt, or that tells that one of those stood unsigned. */
  readonly halt?: EntryRef;
  /** The one that tells of a pin. */
  readonly pin?: EntryRef;
  /** The one that gave a session a label, in a list that is empty when none did. Absent where some of those are not in the index. */
  readonly labelled?: readonly EntryRef[];
}

/** Of an entry that gives its session a label it did not have: the index of labels (`label-index.ts`). Added by the store. */
export interface Labelled {
  /** Labels of the session from here on, sorted. */
  readonly all: readonly string[];
  /** By bits that their sessions' keys share with this one's, in rising order: the newest entry that gave one of those a label. */
  readonly others: readonly (readonly [bits: number, of: number])[];
}

export interface BudgetCharge {
  readonly id: string;
  readonly per: 'agent' | 'tool' | 'session' | 'principal' | 'key';
  /** Whose window is charged: the agent's, tool's, session's or principal's name; for `key` a MAC of what the budget worked out. */
  readonly key: string;
  readonly cost: number;
  readonly limit: number;
  /** Milliseconds; absent = for life. */
  readonly window_ms?: number;
  /** What remains after this charge; negative only in audit mode. */
  readonly left: number;
}

/** A charge of the decision that its outcome gives back, whole. It counts as if dated like the charge. */
export interface BudgetRefund {
  readonly id: string;
  readonly key: string;
  /** What was charged, micro-units. */
  readonly cost: number;
}

export interface DecisionBody {
  readonly kind: 'decision';
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly principal?: string;
  readonly tool: { readonly server?: string; readonly name: string; readonly schema?: string };
  readonly attempt?: number;
  readonly mode: Mode;
  readonly effect: Effect;
  readonly would: Effect;
  readonly reason_code: string;
  readonly rule?: string;
  readonly policy: { readonly id: string; readonly version?: string; readonly hash: string };
  /** Absent when the arguments could not be captured. */
  readonly args_commit?: string;
  readonly reason_commit?: string;
  /** What the decision rests on besides the call and the session; absent when there is nothing to say. */
  readonly facts_commit?: string;
  /** Kinds of secrets the redactor replaced, sorted, without repeats. */
  readonly redacted?: readonly string[];
  /** Labels for the session, which it has once the call is allowed. */
  readonly labels?: readonly string[];
  readonly labelled?: Labelled;
  /** Labels of the session when this was decided, sorted; absent when it had none. Added by the store. */
  readonly session_labels?: readonly string[];
  readonly budgets?: readonly BudgetCharge[];
  /** An ask carries the terms, an allow the answers it consumed, a refusal only the id. */
  readonly approval?: {
    readonly id: string;
    readonly expires_at?: number;
    readonly quorum?: number;
    readonly approvers?: readonly string[];
    readonly assurance?: Assurance;
    readonly ask?: EntryRef;
    readonly answers?: readonly EntryRef[];
  };
  /** The call exists because a person edited another: that call, and the answer that proposed these arguments. */
  readonly edited?: { readonly call: string; readonly answer: EntryRef };
  /** HMAC over the exact raw call; equal in ask, approval and allow. */
  readonly binds?: string;
  /** Of an allow that a grant made of a `require_approval`: which one, and the how many-th use of it this is, from 1. */
  readonly grant?: { readonly id: string; readonly entry: EntryRef; readonly use: number };
}

export type ApproverMethod = 'key' | 'terminal' | 'host' | 'elicitation' | 'page' | 'webhook';

export interface ApproverIdentity {
  readonly id: string;
  /** How the approver was authenticated. `host`: asserted by the application that embeds the guard. */
  readonly method: ApproverMethod;
  readonly assurance: Assurance;
}

export interface ApprovalBody {
  readonly kind: 'approval';
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly approval: string;
  readonly ask: EntryRef;
  readonly answer: 'approve' | 'deny';
  readonly approver: ApproverIdentity;
  readonly binds: string;
  readonly expires_at: number;
  /** Of a deny that proposes other arguments: commitment to them. */
  readonly args_commit?: string;
  readonly message_commit?: string;
  /** For method `key`: base64 Ed25519 signature over the approval statement. */
  readonly signature?: string;
}

/** An override that a person gave together with an approval: later calls of this tool under this rule need not ask. */
export interface GrantedBody {
  readonly kind: 'grant';
  readonly event: 'granted';
  readonly grant: string;
  readonly agent: string;
  /** Good in this session only; absent = in every session of the agent. */
  readonly session?: string;
  readonly principal?: string;
  readonly tool: DecisionBody['tool'];
  readonly rule?: string;
  readonly policy: DecisionBody['policy'];
  /** How many calls it is good for. */
  readonly uses: number;
  readonly expires_at: number;
  readonly approver: ApproverIdentity;
  /** The answer it was given with: the entry before this one. */
  readonly approval: { readonly id: string; readonly answer: EntryRef };
  readonly reason_commit: string;
  /** A CEL condition that calls must meet. */
  readonly when_commit?: string;
  /** For method `key`: base64 Ed25519 signature over the grant statement. */
  readonly signature?: string;
}

/** Takes a grant back. */
export interface RevokedBody {
  readonly kind: 'grant';
  readonly event: 'revoked';
  readonly grant: string;
  readonly agent: string;
  readonly session?: string;
  /** Where it was granted. */
  readonly entry: EntryRef;
  readonly approver: ApproverIdentity;
  readonly message_commit?: string;
  /** For method `key`: base64 Ed25519 signature over the grant statement. */
  readonly signature?: string;
}

export type GrantBody = GrantedBody | RevokedBody;

/** What a person should look at in a declaration (`pin/flags.ts`), by kind. */
export const PIN_FLAGS = ['ansi', 'hidden', 'imitates', 'instructions', 'name', 'shadows'] as const;
export type PinFlag = (typeof PIN_FLAGS)[number];

export interface PinnedTool {
  readonly name: string;
  /** Of the declaration (`pin/declaration.ts`), hex. */
  readonly digest: string;
  /** Sorted, without repeats; absent when nothing stands out. */
  readonly flags?: readonly PinFlag[];
  /** What lies in the opening is not the very declaration: something in it looked like a secret, and was replaced. */
  readonly redacted?: true;
}

/** What a server declares its tools to be. `first`: trusted from here on. `changed`: other than what is trusted, and not trusted. */
export interface OfferedBody {
  readonly kind: 'pin';
  readonly event: 'first' | 'changed';
  readonly agent: string;
  /** Name of the server in our configuration; absent for tools that have none. */
  readonly server?: string;
  /** Sorted by name, each once. */
  readonly pins: readonly PinnedTool[];
  /** Commitment to the declarations, by name. */
  readonly declarations_commit: string;
  /** The pin entry before this one; absent in the first of the ledger. */
  readonly before?: EntryRef;
}

/** A person trusts these declarations from here on (`accepted`), or trusts them no more. */
export interface PinAnswerBody {
  readonly kind: 'pin';
  readonly event: 'accepted' | 'revoked';
  readonly agent: string;
  readonly server?: string;
  /** Sorted by name, each once; `entry`: where the declaration was recorded. */
  readonly pins: readonly { readonly name: string; readonly digest: string; readonly entry: EntryRef }[];
  readonly approver: ApproverIdentity;
  /** For method `key`: base64 Ed25519 signature over the pin statement. */
  readonly signature?: string;
  readonly before: EntryRef;
}

export type PinBody = OfferedBody | PinAnswerBody;

/** By what it says it is: a field that a later version adds, or a forger, makes no answer of a declaration. */
export function isPinAnswer<Body extends PinBody>(body: Body): body is Body & PinAnswerBody {
  return body.event === 'accepted' || body.event === 'revoked';
}

export interface ResourceFigures {
  /** CPU time during the call; of a tree between the first and the last sample in it, which is less. */
  readonly cpu_ms?: number;
  readonly rss_bytes?: number;
  readonly samples: number;
  /** `process`: of the process of the guard. `tree`: of the processes of the server and what they started, without the guard's. Neither of this call alone. */
  readonly scope: 'process' | 'tree';
}

export interface ReleasedResult {
  /** What was done. */
  readonly action: ResultAction;
  /** What policy said; present when audit mode let the result through all the same. */
  readonly would?: ResultAction;
  readonly rule?: string;
  /** The rule's own, or why the result could not be judged. */
  readonly reason_code?: string;
}

export interface OutcomeBody {
  readonly kind: 'outcome';
  readonly agent: string;
  readonly session: string;
  readonly call: string;
  readonly decision: EntryRef;
  readonly status: OutcomeStatus;
  readonly error_type?: string;
  readonly duration_ms: number;
  readonly result_commit?: string;
  readonly error_commit?: string;
  readonly labels?: readonly string[];
  readonly labelled?: Labelled;
  /** What rules on results made of it; absent when none matched. */
  readonly released?: ReleasedResult;
  readonly resources?: ResourceFigures;
  /** Charges given back, in the order of the decision's. */
  readonly refunds?: readonly BudgetRefund[];
}

/** What a host monitor can see of a session, from nothing upwards. */
export const COVERAGES: readonly string[] = ['none', 'L0', 'L1', 'L2', 'L3'];

export interface SessionBody {
  readonly kind: 'session';
  readonly agent: string;
  readonly session: string;
  readonly event: 'start' | 'end' | 'labels' | 'coverage' | 'halted' | 'resumed';
  readonly labels?: readonly string[];
  readonly labelled?: Labelled;
  /** What the monitor can see: none, L0 ... L3. */
  readonly coverage?: string;
  readonly reason_code?: string;
  /** Of `halted` and `resumed`: every session of this ledger, also those to come. `session` is then whose word it is. Absent: this session. */
  readonly scope?: 'ledger';
  /** Of `halted`: why. */
  readonly incident?: string;
  /** Of `resumed`: the halt that it ends. */
  readonly halt?: EntryRef;
  /** Of `resumed`: the answer of the people who were asked, or who ended the halt on their own. */
  readonly approval?: HaltAnswer;
  readonly approver?: ApproverIdentity;
  readonly message_commit?: string;
  /** For method `key`: base64 Ed25519 signature over the resume statement. */
  readonly signature?: string;
  /** Of `start`, `halted` and `resumed`: the newest entry before it that halted or resumed anything. */
  readonly before?: EntryRef;
}

export interface PolicyBody {
  readonly kind: 'policy';
  readonly policy: { readonly id: string; readonly version?: string; readonly hash: string };
  readonly document: string;
}

export interface KeyBody {
  readonly kind: 'key';
  readonly event: 'first' | 'rotated';
  /** C2SP verifier line of the key that signs from `from` (a tree size) on. */
  readonly vkey: string;
  readonly from: number;
}

export interface RecoveryBody {
  readonly kind: 'recovery';
  /** `unsigned-tail`: entries `from` up to `to` (sizes) stood without a signature when this writer went on after them. */
  readonly event: 'open-decisions' | 'reopened' | 'mirror-tail-cut' | 'unsigned-tail';
  /** The writer whose decisions were left open. */
  readonly of_writer?: string;
  readonly open?: readonly EntryRef[];
  /** Of `mirror-tail-cut`: whole lines the mirror kept, and bytes of a half written one that were cut off. */
  readonly kept_entries?: number;
  readonly cut_bytes?: number;
  readonly from?: number;
  readonly to?: number;
  /** Of `unsigned-tail`: as in `session`. */
  readonly before?: EntryRef;
  readonly reason_code?: string;
}

/** Says whose openings were erased. */
export interface ForgetBody {
  readonly kind: 'forget';
  readonly entries: readonly EntryRef[];
  readonly reason_code?: string;
}

/** What a monitor made of something the watched processes did; FLAG and above. */
export interface VerdictBody {
  readonly kind: 'verdict';
  readonly agent: string;
  /** Of the call where it is known, else of the monitor (`run`, `attach`). */
  readonly session: string;
  /** The call it belongs to; absent when that is not sure. */
  readonly call?: string;
  /** The calls it may belong to, sorted; only without `call`. */
  readonly candidates?: readonly string[];
  readonly level: 'FLAG' | 'HALT' | 'KILL';
  /** What was done of it under `mode`. */
  readonly enforced: 'FLAG' | 'HALT' | 'KILL';
  readonly mode: 'audit_only' | 'flag_and_hold' | 'enforce_kill';
  readonly rule: string;
  readonly evaluator: 'rules' | 'intent' | 'judge';
  /** 0 to 1. */
  readonly confidence: number;
  /** Present with every HALT and KILL. */
  readonly incident?: string;
  /** `before`: it was held or refused. `after`: it had happened. */
  readonly phase: 'before' | 'after';
  /** Commitment to the reason and what was seen (section `activity` of the opening). */
  readonly activity_commit: string;
}

/** What people said to the question after a halt (`AFTER_HALT`). */
export interface HaltAnswer {
  /** The approval, or the call where a grant answered in its place. */
  readonly id: string;
  /** The decision that allowed it, or the approval entry that says no. */
  readonly decision: EntryRef;
}

/** What was done to a process tree, or to what it wrote. */
export interface ContainmentBody {
  readonly kind: 'containment';
  readonly agent: string;
  readonly session: string;
  readonly incident: string;
  /**
   * `resumed`, `denied` (what waited failed, the processes that had done it were ended, the rest goes on), `killed`: an answer to `frozen`. `overridden`: an
   * operator's override let it go on. `failed`: something could not be done, and what is left runs.
   */
  readonly event: 'frozen' | 'resumed' | 'denied' | 'killed' | 'overridden' | 'quarantined' | 'restored' | 'failed';
  /** The verdict it follows; absent for what an operator did on their own. */
  readonly verdict?: EntryRef;
  readonly grade?: 'signal' | 'gate' | 'cgroup';
  /** Processes, or files, it was done to. */
  readonly count?: number;
  /** Of `denied`: what waited for the answer, or was refused before, and failed instead of happening. */
  readonly refused?: number;
  /** How many are left that it should have been done to. */
  readonly left?: number;
  readonly duration_ms?: number;
  readonly approval?: HaltAnswer;
  readonly reason_code?: string;
  /** Commitment to names, paths and texts (section `details` of the opening). */
  readonly details_commit?: string;
}

export interface NoteBody {
  readonly kind: 'note';
  readonly topic: string;
  readonly data: Json;
}

export type EntryBody =
  | DecisionBody
  | ApprovalBody
  | GrantBody
  | OutcomeBody
  | SessionBody
  | PolicyBody
  | KeyBody
  | RecoveryBody
  | ForgetBody
  | PinBody
  | VerdictBody
  | ContainmentBody
  | NoteBody;

export type Entry = EntryStamp & EntryBody;

/**
 * What lies beside an entry and is committed to in it, but can be erased: the random key the commitments are salted
 * with, and the clear values by section (`args`, `reason`, `facts`, `message`, `when`, `declarations`, `result`, `error`, `activity`, `details`).
 */
export interface Opening {
  /** 32 random bytes, hex. */
  readonly key: string;
  readonly sections: { readonly [section: string]: Json };
}
