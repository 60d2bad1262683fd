/** The public shape of a guard. `guard.ts` has the main flow; start reading there. */

import type { ApprovalEvent } from './approval/events.ts';
import type { Budget } from './budget/budget.ts';
import type { BudgetStatus, BudgetsFilter } from './budget/status.ts';
import type { Authorization, Decision, EntryRef, Mode, ReasonCode, Refusal, ToolCall, ToolRef } from './call.ts';
import type { CallListener } from './call-events.ts';
import type { AuthorizeOptions, KeepLater, OnceOptions, PreviewOptions, RunScope, ToolOptions } from './call-options.ts';
import type { GrantDraft } from './grant/give.ts';
import type { Revoked } from './grant/revoke.ts';
import type { GrantTerms } from './grant/terms.ts';
import type { Halt } from './halt/book.ts';
import type { HaltChoice, ResumeDraft, ResumeOptions } from './halt/resume.ts';
import type { ApprovalAnswer, Approver, AuditSink, CallTracer, Channel, Clock, HostMonitor } from './interfaces.ts';
import type { Offer } from './offers.ts';
import type { OpenCall } from './open-calls.ts';
import type { PinChoice, PinDraft } from './pin/answer.ts';
import type { PinState } from './pin/book.ts';
import type { DeclarationChanges } from './pin/changes.ts';
import type { PinMode } from './pin/objection.ts';
import type { OfferedTool } from './pin/offer.ts';
import type { Policy, PolicyName } from './policy/policy.ts';
import type { RootOptions } from './policy/roots.ts';
import type { RanInstead, RecordedRun, Runner } from './record-run.ts';
import type { Redactor } from './redact/redact.ts';
import type { Store } from './store.ts';
import type { ApprovalCounts, ApprovalFilter, ApprovalRow, ApprovalState, GrantRow } from './store-rows.ts';
import type { TakenOver } from './take-over.ts';

export interface GuardOptions {
  /** Name of the agent whose calls are guarded; written into every entry. Required. */
  readonly agent: string;
  /** One policy or several; the most restrictive verdict wins. Required: ask for `allowAll()` by name if that is meant. */
  readonly policy: Policy | readonly Policy[];
  /** Where decisions become durable. Required: there is no guard without a ledger. */
  readonly store: Store;
  /** Default `enforce`. */
  readonly mode?: Mode;
  /** Session of calls that name none and are not made inside a guarded call; default: random per guard. */
  readonly session?: string;
  readonly budgets?: readonly Budget[];
  readonly channels?: readonly Channel[];
  readonly approvals?: {
    /** Default time an approval may wait, milliseconds; default 5 minutes. */
    readonly ttlMs?: number;
    /** No rule may ask for longer; default 1 hour. */
    readonly maxTtlMs?: number;
    /** No grant may last longer; default 24 hours. */
    readonly maxGrantTtlMs?: number;
    /** Approver names to verifier lines: who may answer with a key. */
    readonly approvers?: ReadonlyMap<string, string>;
    /**
     * Told of what becomes of the approvals this guard asked for, waits for or answers: asked, answered by whichever process,
     * settled, used. Carries the shown view, like everything else. Not waited for; what it throws goes to `onError`.
     */
    readonly notify?: (event: ApprovalEvent) => void | Promise<void>;
    /** Lets `COUNTERSIGN_AUTO_APPROVE=1` approve calls without anybody. Never in production. */
    readonly allowAutoApprove?: boolean;
    /** Told once when it is in force; default: a line on standard error. */
    readonly onAutoApprove?: (warning: string) => void;
  };
  readonly redactor?: Redactor;
  /** Secrets in what tools return are replaced before the caller gets it; default false. What tools throw is not touched. */
  readonly maskResults?: boolean;
  /** Where decisions, outcomes, answers and sessions are told to operators, after the ledger has them. Closed with the guard. */
  readonly audit?: readonly AuditSink[];
  readonly monitor?: HostMonitor;
  /** Traces calls: `openTelemetryTracer()` of `@countersign/core/otel`. */
  readonly tracer?: CallTracer;
  /** Told what becomes of each call, for the application's own log. Not waited for; what it throws goes to `onError`. */
  readonly onEvent?: CallListener;
  /** More absolute paths that tool arguments may never name; the store's own files always count. */
  readonly protectedPaths?: readonly string[];
  /** Folders that relative paths of tools are relative to, for `path.within` and the like in conditions. */
  readonly roots?: RootOptions;
  /**
   * What is done about calls of tools that are not what was trusted when they were first seen; default `deny`. Concerns tools
   * whose adapter says how they are declared (`ToolRef.declared`), and holds in every mode.
   */
  readonly pins?: PinMode;
  readonly clock?: Clock;
  /** Told of everything that could not be reported otherwise (a lost outcome, a failed channel). Must not throw. */
  readonly onError?: (error: unknown, context: { readonly callId?: string; readonly during: string }) => void;
}

/** What would happen, without committing, charging or granting anything. */
export interface Preview {
  readonly decision: Decision;
  /** Present when an approval is pending (opened with `openApproval`, or before). */
  readonly approvalId?: string;
  readonly approvalState?: ApprovalState;
  /** Present when the call ran, and `once` with this form would be given its result; `decision` says that it ran. */
  readonly isKept?: true;
}

export interface GuardCounters {
  readonly allowed: number;
  readonly refused: number;
  readonly pending: number;
  /** Of the allowed: calls that a grant let run without asking. */
  readonly grantsUsed: number;
  /** Outcomes that could not be recorded. The calls had run; their decisions stand open in the ledger. */
  readonly lostOutcomes: number;
  /** Records that an audit sink did not take. The ledger has what they tell. */
  readonly lostAuditRecords: number;
}

export interface Guard {
  readonly agent: string;
  readonly mode: Mode;
  readonly counters: GuardCounters;
  /** Decides without committing; grants nothing. */
  preview(call: ToolCall, options?: PreviewOptions): Promise<Preview>;
  /**
   * Which of these tools to offer to an agent, in this order. A tool is kept back (`denial` says why) only when every call of it
   * would be refused now, whatever its arguments: the session is halted, a deny rule applies whatever is asked for, or no rule
   * that could let it through. Where policy cannot tell without arguments, and in audit mode, everything is offered. What `tool` adds
   * to the policies is not known here. Records and grants nothing.
   */
  offers(tools: readonly ToolRef[], of?: Pick<ToolCall, 'session' | 'principal'>): Promise<readonly Offer[]>;
  /** Decides and makes the decision durable. Never throws for a refusal; the permit is the only way to run. */
  authorize(call: ToolCall, options?: AuthorizeOptions): Promise<Authorization>;
  /**
   * `authorize` for an adapter whose framework runs a call again: `use` runs the tool on a permit, releases what came of it, and
   * returns (or throws) what the framework gets. The same call again (same call key) is given that: at once if it is remembered
   * (the last 1000 are, in this process), when it ends if it runs. `use` is not called then.
   *
   * Nothing is remembered of a call that was refused or suspended, or whose permit was settled as `cancelled` or not at all: `use`
   * is called anew with what is decided then. Nor is a result given once the session is halted or another policy is in force.
   *
   * @param use - must settle or release a permit. What it returns is shared by the runs of the call.
   */
  once<T>(call: ToolCall, options: OnceOptions, use: (authorization: Authorization, keepLater: KeepLater<T>) => T | Promise<T>): Promise<T>;
  /**
   * Authorizes, runs `fn` with exactly the decided arguments, records the outcome, returns `fn`'s result.
   *
   * @throws {CallRefusedError} code `CALL_REFUSED`; whatever `fn` throws, unchanged.
   */
  run<T>(call: ToolCall, fn: (args: unknown, scope: RunScope) => T | Promise<T>, options?: Omit<AuthorizeOptions, 'approval'>): Promise<T>;
  /** Wraps a function so that every call of it is guarded. */
  tool<Args, Result>(
    name: string,
    fn: (args: Args, scope: RunScope) => Result | Promise<Result>,
    options?: ToolOptions<Args>,
  ): (args: Args, call?: Omit<ToolCall, 'tool' | 'args'>, options?: Pick<AuthorizeOptions, 'signal'>) => Promise<Result>;
  /**
   * Puts a call on record that ran where no guard stands: at the model's provider, or at the client. Decided as in audit mode, since
   * nothing can stop it any more: budgets and labels count it, and the entries say that it ran elsewhere. Its `id` makes it no repeat
   * of another call: each run is recorded. Resolves once that is
   * durable, also when the ledger could not be written (`isRecorded`).
   */
  recordRun(call: ToolCall, by: Runner, of?: RanInstead): Promise<RecordedRun>;
  /**
   * For a process that learns how a call ended which another one decided (`AuthorizeOptions.handOver`): the permit of that
   * call, when it is open and `call` is the same call, or what stands in the way. Needs the same store, agent, session and `id`;
   * what the store says is checked against the ledger. Records nothing, and decides nothing anew: rules on results are those
   * in force here.
   *
   * @throws {CountersignError} `LEDGER_*`
   */
  takeOver(call: ToolCall): Promise<TakenOver>;
  /**
   * Records that something which asked to be a tool call was turned away before it could be one (a malformed message).
   * Resolves also when the ledger could not be written: nothing ran.
   */
  recordRefusal(refused: {
    readonly tool: ToolRef;
    readonly session?: string;
    readonly reasonCode: ReasonCode;
    readonly reason: string;
  }): Promise<Refusal>;
  /** For adapters: tells `onError` what nobody would hear of otherwise. Never throws. */
  report(error: unknown, context: { readonly callId?: string; readonly during: string }): void;
  /**
   * Calls of this guard that have a permit and are not settled: running, hanging, or forgotten. Oldest first.
   *
   * @param filter.olderThanMs - only those that are open for so long, milliseconds. @throws {CountersignError} `OPTIONS_INVALID`
   */
  openCalls(filter?: { readonly olderThanMs?: number }): readonly OpenCall[];
  /** The policy in force, without what single tools add to it. */
  readonly policy: PolicyName;
  /**
   * Puts another policy in force, for every call and every wrapped tool, and records the change before anything is decided
   * under it. Calls that are not decided durably yet are decided under the new one; permits that were given stay good; an
   * approval or grant given under another policy than the one in force then is good for nothing. Changes are made one
   * after the other.
   *
   * @param policy - one or several, or a function that reads one: when it throws, that is recorded, and the policy in force stays.
   * @throws {CountersignError} `OPTIONS_INVALID` for what is no policy, `LEDGER_*` when the change could not be recorded, and
   *   whatever `policy` throws. The policy in force is then the one that was.
   */
  setPolicy(policy: GuardOptions['policy'] | (() => GuardOptions['policy'] | Promise<GuardOptions['policy']>)): Promise<PolicyChange>;
  readonly approvals: {
    /**
     * Answers a pending approval. The only way to answer one.
     *
     * @throws {CountersignError} `APPROVAL_NOT_FOUND`, `APPROVAL_NOT_PENDING`, `APPROVER_REFUSED`
     */
    resolve(id: string, answer: ApprovalAnswer, approver: Approver): Promise<ApprovalRow>;
    /**
     * Takes back a grant, or an approval that is not used yet. What is taken back already stays so; whether this or a
     * call was first is told by the ledger.
     *
     * @param approver - for method `key` signed: `revocationStatement` of a grant, the statement of a deny for an approval.
     * @throws {CountersignError} `APPROVAL_NOT_FOUND`, `APPROVAL_NOT_PENDING` (used, expired), `APPROVER_REFUSED`
     */
    revoke(id: string, approver: Approver, options?: { readonly message?: string }): Promise<Revoked>;
    /** What an approver signs to give a grant together with an answer by key. */
    draftGrant(id: string, terms: GrantTerms): Promise<GrantDraft>;
    /** Every grant, newest first, with what is left of it. */
    grants(): Promise<readonly GrantRow[]>;
    get(id: string): Promise<ApprovalRow | undefined>;
    /**
     * One page: at most 100 unless a limit is given, pending ones oldest first, others newest first. The next page starts
     * `after` the last one of this.
     */
    list(filter?: ApprovalFilter): Promise<readonly ApprovalRow[]>;
    /** How many there are, by state. */
    counts(filter?: ApprovalFilter): Promise<ApprovalCounts>;
    /**
     * Waits until the approval is no longer pending, whichever process answers it, until it expires, or until `signal` is aborted,
     * and tells how it stands then. Uses nothing up: whoever suspended a call comes back with it afterwards.
     */
    settled(id: string, options?: { readonly signal?: AbortSignal }): Promise<ApprovalRow | undefined>;
  };
  /**
   * Sessions that a monitor halted: their calls are refused (`SESSION_HALTED`). Any process on the store may resume them; no tool
   * call can, and nothing that a framework hands over.
   */
  readonly halts: {
    /** Those that stand, oldest first; from entries. */
    list(): Promise<readonly Halt[]>;
    /** What an approver signs to resume by key. @throws {CountersignError} `HALT_NOT_FOUND`, `LEDGER_*` */
    draft(choice: HaltChoice): Promise<ResumeDraft>;
    /**
     * Ends the halt of a session, or, without one, that of every session. A halt of the one outlasts the end of the other.
     *
     * @returns the entry. @throws {CountersignError} `HALT_NOT_FOUND`, `HALT_MOVED`, `APPROVER_REFUSED`, `LEDGER_*`
     */
    resume(choice: HaltChoice, approver: Approver, options?: ResumeOptions): Promise<EntryRef>;
  };
  /** Trust on first use: what servers declared their tools to be, and what people made of it. Per ledger. */
  readonly pins: {
    /** As configured. */
    readonly mode: PinMode;
    /**
     * Takes in what a server lists (items of `tools` in an answer to `tools/list`, one page or all): what is new is trusted from
     * here on, what is other than it is trusted is put on record. Resolves once that is durable; before it no tool of the
     * listing may be called. The digest of each is for `ToolRef.declared` of its calls. With mode `off` too.
     *
     * @param offered.tools - as parsed, from text without repeated keys. Further ones than 10,000 cannot be called.
     * @returns one for each, in their order.
     * @throws {CountersignError} `OPTIONS_INVALID`, `LEDGER_*`
     */
    offer(offered: { readonly server?: string; readonly tools: readonly unknown[] }): Promise<readonly OfferedTool[]>;
    /** Every tool that was ever pinned. */
    list(): Promise<readonly PinState[]>;
    /**
     * What differs between what is trusted and what was offered last; undefined when the tool was never pinned. A server writes all
     * of it: escape it before it is shown.
     */
    changes(tool: Pick<ToolRef, 'server' | 'name'>): Promise<DeclarationChanges | undefined>;
    /** What an approver signs to answer by key. */
    draft(event: 'accepted' | 'revoked', choice: PinChoice): Promise<PinDraft>;
    /**
     * Trusts these declarations from here on: each what was offered last, or what is trusted already. All of them or none.
     *
     * @param options.before - for method `key`: of the draft that was signed.
     * @returns the pin entry. @throws {CountersignError} `PIN_NOT_FOUND`, `PIN_MOVED`, `APPROVER_REFUSED`, `LEDGER_*`
     */
    accept(choice: PinChoice, approver: Approver, options?: { readonly before?: EntryRef }): Promise<EntryRef>;
    /** Trusts them no more: their tools are refused until a person accepts what they are. As `accept`. */
    revoke(choice: PinChoice, approver: Approver, options?: { readonly before?: EntryRef }): Promise<EntryRef>;
  };
  /**
   * What is used and left of the guard's budgets now. Reserves nothing: a call may find less.
   *
   * @throws {CountersignError} `OPTIONS_INVALID` for a budget there is not; `LEDGER_*`
   */
  budgets(filter?: BudgetsFilter): Promise<readonly BudgetStatus[]>;
  /** Writes outstanding outcomes and the session's end; does not close the store. */
  close(): Promise<void>;
}

export interface PolicyChange {
  /** False: the policy has the same hash as the one in force, and nothing was recorded. */
  readonly changed: boolean;
  readonly from: PolicyName;
  readonly to: PolicyName;
}
