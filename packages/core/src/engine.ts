/** What the steps of a call share: the guard's parts, and the few things that outlive a call. */
import type { ApproverKeys } from './approval/answers.ts';
import type { ApprovalNotices } from './approval/notices.ts';
import type { AuditTrail } from './audit-log/trail.ts';
import type { Budget } from './budget/budget.ts';
import type { BudgetKeys } from './budget/key.ts';
import type { Mode } from './call.ts';
import type { Stories } from './call-story.ts';
import type { ApprovalAnswer, Approver, Channel, HostMonitor } from './interfaces.ts';
import type { OpenCalls } from './open-calls.ts';
import type { PinMode } from './pin/objection.ts';
import type { PolicyInForce } from './policy/in-force.ts';
import type { Policy } from './policy/policy.ts';
import type { Roots } from './policy/roots.ts';
import type { Redactor } from './redact/redact.ts';
import type { SessionTurns } from './session-turns.ts';
import type { Store } from './store.ts';
import type { ApprovalRow } from './store-rows.ts';

export interface Engine {
  readonly agent: string;
  readonly mode: Mode;
  /** Session of calls that name none. */
  readonly session: string;
  readonly store: Store;
  readonly audit: AuditTrail;
  readonly redactor: Redactor;
  readonly masksResults: boolean;
  readonly budgets: readonly Budget[];
  readonly budgetKeys: BudgetKeys;
  readonly channels: readonly Channel[];
  /** Answers in place of people, where code and environment both say so. */
  readonly autoApprover: Channel | undefined;
  readonly notices: ApprovalNotices;
  readonly keys: ApproverKeys;
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  readonly maxGrantTtlMs: number;
  readonly monitor: HostMonitor | undefined;
  readonly openCalls: OpenCalls;
  /** Undefined when nobody is to be told of calls. */
  readonly stories: Stories | undefined;
  /** What is done about tools that are not what was trusted. */
  readonly pins: PinMode;
  readonly roots: Roots;
  readonly turns: SessionTurns;
  /** Guards Countersign's own files; cannot be removed. */
  readonly ownFiles: Policy;
  readonly inForce: PolicyInForce;
  readonly counts: { allowed: number; refused: number; pending: number; lostOutcomes: number; grantsUsed: number };
  /** Grants found to be given by whom they say, with the reason code of the ask; undefined for those that are not. */
  readonly authenticGrants: Map<string, string | undefined>;
  /** Open prompts by approval, so that they can be withdrawn. */
  readonly prompts: Map<string, AbortController>;
  /** `store.commit`, told to the audit log afterwards without waiting for it. */
  readonly commit: Store['commit'];
  /**
   * Records a policy's document once per ledger.
   *
   * @param isPutInForce - ask the ledger again whether it may be: a newer bundle may stand there by now.
   * @returns undefined when it stands there already.
   * @throws {CountersignError} `POLICY_BUNDLE_ROLLED_BACK`, `LEDGER_*`
   */
  recordPolicy(policy: Policy, isPutInForce?: boolean): Promise<void> | undefined;
  resolve(id: string, answer: ApprovalAnswer, approver: Approver): Promise<ApprovalRow>;
  /** Keeps hold of a write nobody awaits, so that `close` can. */
  track(write: Promise<unknown>): void;
  /** Counts and reports an outcome that could not be recorded; the tool's own result stands. */
  lost(error: unknown, callId: string): void;
  /** Tells `onError`; never throws. */
  report(error: unknown, context: { readonly callId?: string; readonly during: string }): void;
}

/** What differs between a plain call and one of `guard.tool`. */
export interface Rules {
  /** In force: another one after `guard.setPolicy`. Whoever decides takes `now()` first. */
  readonly policy: Policy;
  /** Of `policy`, as `PolicyInForce` counts. */
  readonly epoch: number;
  /** The same with the policy that is in force at this moment, which stays it. */
  now(): Rules;
  readonly ttlMs?: number;
  /** As in `AuthorizeOptions`. */
  readonly costOf?: (args: unknown) => number;
  readonly validate?: (args: unknown) => unknown;
}
