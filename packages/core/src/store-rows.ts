/** Calls, approvals and grants as a store tells of them. What rows say is a hint; the entries decide. */
import type { Assurance, EntryRef, Json, OutcomeStatus } from './call.ts';
import type { ApproverIdentity } from './ledger/entry.ts';

/** How a call stands. `asked` waits for a human; `unknown`: allowed, but its writer died before the outcome. */
export type CallState = 'asked' | 'allowed' | 'denied' | 'settled' | 'unknown';

export interface CallRow {
  readonly id: string;
  /** The call key (see `call-key.ts`), hex; absent when the framework gives no id. */
  readonly key?: string;
  /** MAC of agent, session, tool and raw arguments: equal for two calls that ask for the same thing. */
  readonly match: string;
  readonly state: CallState;
  readonly session: string;
  readonly agent: string;
  readonly writer: string;
  /** False once that writer's lease is gone and its process dead. */
  readonly writerAlive: boolean;
  /** Random key of the binding, hex; gone once the call is settled or denied. */
  readonly bindKey?: string;
  readonly approval?: string;
  /** The newest decision entry of the call. */
  readonly decision: EntryRef;
  /** Where its outcome should stand: what stands there decides. */
  readonly outcome?: EntryRef;
  readonly reasonCode: string;
  readonly status?: OutcomeStatus;
}

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'failed' | 'consumed';

/** An answer as its row tells it. `edited`: the deny proposes other arguments. */
export type GivenAnswer = EntryRef & { readonly approver: string; readonly answer: 'approve' | 'deny'; readonly edited?: true };

export interface ApprovalRow {
  readonly id: string;
  readonly call: string;
  readonly agent: string;
  readonly session: string;
  readonly principal?: string;
  readonly tool: { readonly server?: string; readonly name: string };
  readonly rule?: string;
  readonly reasonCode: string;
  /** `pending` past its expiry is reported as `expired`. */
  readonly state: ApprovalState;
  readonly binds: string;
  readonly policyHash: string;
  readonly ask: EntryRef;
  readonly answers: readonly GivenAnswer[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly quorum: number;
  readonly approvers?: readonly string[];
  /** From the openings: shown arguments, policy's reason, approver's message; absent once forgotten. */
  readonly shown?: Json;
  readonly reason?: string;
  readonly message?: string;
  /** Arguments proposed by an approver in place of `shown`. */
  readonly edit?: Json;
  /** From the ask's entry, in answers to `approval(id)` only: what an answer must be worth to approve. */
  readonly assurance?: Assurance;
  /** Likewise, when the call exists because a person edited another: that one, with its shown arguments. */
  readonly edited?: { readonly call: string; readonly from?: Json };
}

/** Which approvals a list is about. Everything given must hold. */
export interface ApprovalFilter {
  readonly state?: ApprovalState;
  readonly agent?: string;
  readonly session?: string;
  /** `server/name`, or the name alone for that tool on any server. Not a pattern. */
  readonly tool?: string;
  /** Default 100, at most 10,000. */
  readonly limit?: number;
  /** Id of the approval that the page before ended with. */
  readonly after?: string;
}

export type ApprovalCounts = Readonly<Record<ApprovalState, number>>;

export type GrantState = 'open' | 'used' | 'expired' | 'revoked' | 'forgotten' | 'altered';

export interface GrantRow {
  readonly id: string;
  readonly entry: EntryRef;
  readonly state: GrantState;
  readonly agent: string;
  /** Good in this session only; absent = in every session of the agent. */
  readonly session?: string;
  readonly principal?: string;
  readonly tool: { readonly server?: string; readonly name: string; readonly schema?: string };
  readonly rule?: string;
  readonly policyHash: string;
  readonly uses: number;
  readonly usesLeft: number;
  readonly givenAtMs: number;
  readonly expiresAtMs: number;
  readonly approver: ApproverIdentity;
  /** The approval it was given with, and the answer. */
  readonly approval: string;
  readonly answer: EntryRef;
  readonly signature?: string;
  /** From the opening; absent once forgotten. */
  readonly reason?: string;
  readonly when?: string;
  /** It was given on a condition, whether or not `when` is still there. */
  readonly isConditional: boolean;
}
