/** What is committed to a store, and what came of it. Units are plain data: they cross threads and sockets. */
import type { ApprovalTerms, EntryRef, Json } from './call.ts';
import type { Halt } from './halt/book.ts';
import type {
  ApproverIdentity,
  BudgetCharge,
  ContainmentBody,
  DecisionBody,
  NoteBody,
  Opening,
  OutcomeBody,
  PinAnswerBody,
  PinFlag,
  PolicyBody,
  RecoveryBody,
  SessionBody,
  VerdictBody,
} from './ledger/entry.ts';
import type { ApprovalRow, ApprovalState, CallRow } from './store-rows.ts';

/** A charge wanted by a call; it happens only if every charge of the unit fits. */
export type Charge = Omit<BudgetCharge, 'left'>;

/** Commits one decision. */
export interface DecideUnit {
  readonly kind: 'decide';
  readonly body: DecisionBody;
  readonly opening?: Opening;
  readonly call: { readonly key?: string; readonly match: string; readonly bindKey?: string };
  /** Version the decision was made on; the unit comes back `stale` when it moved. Absent = does not depend on it. */
  readonly sessionVersion?: number;
  /** Labels of the session, sorted, that the decision was made on; the unit comes back `stale` when entries say otherwise. Absent = does not depend on them. */
  readonly sessionLabels?: readonly string[];
  /**
   * The declaration of its tool that was trusted when it was decided on; null: none. The unit comes back `stale` when it is
   * another by now. Absent = does not depend on it.
   */
  readonly pinned?: string | null;
  /** Counts of earlier calls that the decision was made on, by subject; the unit comes back `stale` when one is another by now. */
  readonly counted?: Readonly<Record<string, number>>;
  /** Coverage level to write into the session's start entry when this call is its first. */
  readonly coverage?: string;
  readonly charges?: readonly Charge[];
  /** The charges do not refuse (audit mode); `left` may turn negative and `would` becomes `deny`. */
  readonly auditBudgets?: boolean;
  /** For `effect: require_approval`: opens the pending row. */
  readonly ask?: ApprovalTerms & { readonly id: string };
  /**
   * For an approved call: consumes the approval. The caller has authenticated the answers standing at `answers`; the
   * transaction checks that exactly those entries are in the tree, bind `body.binds`, are in time and unused, and that
   * they meet the terms of the ask and those policy asks for now.
   */
  readonly use?: { readonly approval: string; readonly answers: readonly EntryRef[]; readonly terms?: Partial<ApprovalTerms> };
  /**
   * For a call that a grant allows. The caller has authenticated who gave it and evaluated its condition; the transaction
   * checks everything else, and numbers the use. Comes back `not-granted` when the grant is not good for it.
   */
  readonly grant?: { readonly id: string; readonly entry: EntryRef };
  /** For a call that another process will settle: see `Custody`. */
  readonly custody?: Custody;
}

/**
 * An allowed call that outlives the process that decided it. Until `forMs` have passed it counts as running, although its
 * writer is gone: no recovery takes it for abandoned. One open call to a name: another one comes back as a `repeat` of it.
 */
export interface Custody {
  /** MAC of what the settling process knows of the call, 64 hex digits. Found again by `Store.inCustody`. */
  readonly name: string;
  readonly forMs: number;
}

/** What is granted with an answer, as it will be recorded. Whoever signs chooses the id and the opening's key. */
export interface GrantOffer {
  /** 32 hex digits. */
  readonly id: string;
  /** 64 hex digits, from `newOpeningKey`: what the commitments to `reason` and `when` are salted with. */
  readonly openingKey: string;
  readonly scope: 'session' | 'agent';
  readonly uses: number;
  readonly expiresAtMs: number;
  /** Already redacted. */
  readonly reason: string;
  readonly when?: string;
  /** For method `key`: base64 Ed25519 signature over the grant statement. */
  readonly signature?: string;
}

/** Why a grant is not good for a call. `halted`: another halted since, so a person is asked; the grant stays as it is. */
export type GrantObjection = 'altered' | 'mismatch' | 'expired' | 'forgotten' | 'revoked' | 'used' | 'halted';

/** Commits an approver's answer. */
export interface AnswerUnit {
  readonly kind: 'answer';
  /** What is granted with an approving answer, if anything. */
  readonly grant?: GrantOffer;
  /** A deny that takes an approval back: good also after approvals, by whoever gave one too, until it is used. */
  readonly revokes?: true;
  readonly approval: string;
  readonly answer: 'approve' | 'deny';
  readonly approver: ApproverIdentity;
  readonly signature?: string;
  /** For the model; already redacted. */
  readonly message?: string;
  /** With `deny`: the proposed arguments, as shown, and the opening key the approver signed under (or a fresh one). */
  readonly edit?: { readonly args: Json; readonly openingKey: string };
}

/** Takes a grant back. */
export interface RevokeUnit {
  readonly kind: 'revoke';
  readonly grant: string;
  readonly approver: ApproverIdentity;
  readonly signature?: string;
  /** Already redacted. */
  readonly message?: string;
}

/** Closes a pending approval that no human will answer (every channel failed). Writes no entry: the refusal does. */
export interface LapseUnit {
  readonly kind: 'lapse';
  readonly approval: string;
  readonly state: 'failed' | 'expired';
}

/** Commits an outcome. */
export interface OutcomeUnit {
  readonly kind: 'outcome';
  /** Without `refunds`: what is given back is worked out in the transaction, from the decision's entry. */
  readonly body: Omit<OutcomeBody, 'refunds'>;
  readonly opening?: Opening;
  /** Ids of budgets that give back what the decision charged them; `all` of them. */
  readonly refund?: 'all' | readonly string[];
}

/** Appends an entry that changes no other state than the session's, if it is one. */
export interface RecordUnit {
  readonly kind: 'record';
  readonly body: PolicyBody | NoteBody | SessionBody | RecoveryBody | VerdictBody | ContainmentBody;
  /** Of a verdict or what followed from it. */
  readonly opening?: Opening;
  /** Append only if no entry was recorded under this name before (`policy:<hash>`). */
  readonly once?: string;
}

/** A person lets a halted session go on, or, without one, every session. */
export interface ResumeUnit {
  readonly kind: 'resume';
  readonly agent: string;
  readonly session?: string;
  /** The halt they looked at: it must be the one that stands. */
  readonly halt: EntryRef;
  readonly approver: ApproverIdentity;
  readonly signature?: string;
  /** Already redacted. */
  readonly message?: string;
}

/**
 * Erases the clear text beside entries and what could still be tested against a guess at it, and records that it did. The
 * entries stay, and so does the tree.
 */
export interface ForgetUnit {
  readonly kind: 'forget';
  readonly entries: readonly EntryRef[];
  /** Calls of which all entries are meant: comes back `stale` when one has entries from position `since` on. */
  readonly calls: readonly string[];
  readonly since: number;
  readonly reasonCode?: string;
}

/** A declaration of a tool, as an adapter read it (`readDeclaration`). */
export interface PinOffer {
  readonly name: string;
  readonly digest: string;
  /** Strings that look like secrets replaced. */
  readonly declaration: Json;
  readonly isRedacted: boolean;
  /** Sorted. */
  readonly flags: readonly PinFlag[];
}

/** Records declarations: trusts what is new, and only tells of what is other than what is trusted. Each name once. */
export interface PinUnit {
  readonly kind: 'pin';
  readonly agent: string;
  readonly server?: string;
  readonly offers: readonly PinOffer[];
}

/** A person trusts declarations, or trusts them no more; at most 1000. All of it or nothing. */
export interface PinAnswerUnit {
  readonly kind: 'pin-answer';
  readonly event: PinAnswerBody['event'];
  readonly agent: string;
  readonly server?: string;
  readonly pins: readonly { readonly name: string; readonly digest: string }[];
  /** The newest pin entry when the person looked. */
  readonly before: EntryRef;
  readonly approver: ApproverIdentity;
  readonly signature?: string;
}

/** Keeps a note of a head this ledger went through: a signature that came later, or what an anchor gave back. */
export interface KeepUnit {
  readonly kind: 'keep';
  readonly note: string;
  readonly reason: 'signed' | 'anchor';
}

export type Unit =
  | DecideUnit
  | AnswerUnit
  | RevokeUnit
  | LapseUnit
  | OutcomeUnit
  | RecordUnit
  | ResumeUnit
  | ForgetUnit
  | KeepUnit
  | PinUnit
  | PinAnswerUnit;

export type Committed =
  /** Durable. `body` is the decision as recorded: for a business refusal its effect and reason code differ from the unit's. */
  | {
      readonly kind: 'decided';
      readonly entry: EntryRef;
      readonly atMs: number;
      readonly body: DecisionBody;
      readonly reason?: string;
      /** The session's first entry was written with it. */
      readonly startedSession?: true;
      /** Its call was forgotten before: the clear text was not kept, and must not be told to anybody who keeps it. */
      readonly isForgotten?: true;
    }
  /** The session changed since the decision was made: decide again. Nothing was written. */
  | { readonly kind: 'stale' }
  /** Another call with this key was committed first. Nothing was written. */
  | { readonly kind: 'repeat'; readonly call: CallRow }
  /** The grant is not good for this call: ask about it, as if there were none. No entry was written. */
  | { readonly kind: 'not-granted'; readonly why: GrantObjection }
  /** The grant is good for nothing from here on. Without `entry` it was so before, and nothing was written. */
  | { readonly kind: 'revoked'; readonly atMs: number; readonly entry?: EntryRef }
  | { readonly kind: 'not-revocable'; readonly why: 'not-found' | 'altered' | 'approver' }
  | {
      readonly kind: 'answered';
      readonly entry: EntryRef;
      readonly atMs: number;
      readonly approval: ApprovalRow;
      /** What was granted with it. */
      readonly grant?: EntryRef;
    }
  | {
      readonly kind: 'not-answerable';
      readonly why: 'not-found' | 'altered' | 'not-pending' | 'expired' | 'approver' | 'assurance' | 'grant';
      readonly state?: ApprovalState;
    }
  | { readonly kind: 'lapsed' }
  /** False: it is of no head of this ledger, not by its key, or adds nothing. */
  | { readonly kind: 'kept'; readonly isKept: boolean }
  | { readonly kind: 'settled'; readonly entry: EntryRef }
  | {
      readonly kind: 'forgotten';
      /** The forget entries; more than one when many entries are named. */
      readonly recorded: readonly EntryRef[];
      readonly entries: readonly EntryRef[];
    }
  /** Nothing was written. `already`: of none of them is anything left. */
  | { readonly kind: 'not-forgettable'; readonly why: 'already' | 'unknown' | 'pending' | 'running'; readonly of?: number }
  | { readonly kind: 'recorded'; readonly entry?: EntryRef }
  | { readonly kind: 'resumed'; readonly entry: EntryRef; readonly atMs: number; readonly halt: Halt }
  /** Nothing was written. `moved`: it was halted anew meanwhile. */
  | { readonly kind: 'not-resumable'; readonly why: 'not-halted' | 'moved' }
  /** What was to be told of these declarations is on record; without entries it was so before. */
  | { readonly kind: 'pinned'; readonly entries: readonly EntryRef[] }
  /** Nothing was written. `changed`: that declaration is not what is trusted or was offered last. `moved`: other pins were recorded since. */
  | { readonly kind: 'not-pinned'; readonly why: 'not-found' | 'changed' | 'moved' | 'too-many'; readonly name?: string }
  /** A policy bundle that is older than one of the same id that stands in the ledger. Nothing was written. */
  | { readonly kind: 'rolled-back'; readonly bundle: string; readonly serial: number; readonly recorded: number };
