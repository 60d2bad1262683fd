/**
 * The Store: ledger, calls, approvals, budgets and sessions behind one transaction.
 *
 * Work reaches a store as *units*, plain data that can cross a thread or a socket. The rules of the transaction are in
 * `commit.ts` and are the same for every store; a store brings rows and durability.
 */
import type { BudgetQuery, BudgetUse } from './budget/use.ts';
import type { EntryRef } from './call.ts';
import type { Halt } from './halt/book.ts';
import type { Opening } from './ledger/entry.ts';
import type { PinState } from './pin/book.ts';
import type { ToolCount } from './policy/call-counts.ts';
import type { SessionFacts } from './policy/policy.ts';
import type { ApprovalCounts, ApprovalFilter, ApprovalRow, CallRow, GrantRow } from './store-rows.ts';
import type { Committed, Unit } from './store-units.ts';

/** Where a store on a file commits: on the thread it was opened on, on a thread of its own, or first here, then there. */
export const WRITERS = ['inline', 'worker', 'auto'] as const;
export type WriterChoice = (typeof WRITERS)[number];

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  /** SHA-256 tree root, 32 bytes as hex. */
  readonly root: string;
  /** The whole note, signatures included. */
  readonly note: string;
}

export interface Store {
  /** Name of this open of the store, written into every entry. */
  readonly writer: string;
  /** Absolute paths this store keeps (ledger, wal, keys): tool arguments may not name them. */
  readonly files: readonly string[];
  /**
   * Makes a unit durable and says what it became.
   *
   * @param options.lazy - may wait up to 20 ms for company.
   * @throws {CountersignError} `LEDGER_*`: nothing may run on the strength of this unit.
   */
  commit(unit: Unit, options?: { readonly lazy?: boolean }): Promise<Committed>;
  /** Facts of a session; version 0 and no labels when it has no entry yet. */
  session(id: string): Promise<SessionFacts>;
  /** How many calls of a session were allowed, by tool; counted from entries that are proven to be in the tree. */
  sessionCalls(session: string): Promise<readonly ToolCount[]>;
  callByKey(key: string): Promise<CallRow | undefined>;
  callById(id: string): Promise<CallRow | undefined>;
  /** The open call kept under this name (`DecideUnit.custody`), as long as it counts as running. A row: a hint where to look. */
  inCustody(name: string): Promise<CallRow | undefined>;
  /** The newest call in state `asked` with this match, for clients whose retries carry fresh ids. */
  askedCall(match: string): Promise<CallRow | undefined>;
  /**
   * Canonical text of an entry that is proven to be in the tree this store stands on, or undefined.
   * What this returns can be acted on; rows of other tables are only hints where to look.
   */
  entry(ref: EntryRef): Promise<string | undefined>;
  /**
   * Whether the entry at `ref` is one that this store did not write and no signature covered when it came here: on a ledger
   * that is signed on an interval, whoever can write to the file may have added it. Reads all entries after it.
   */
  stoodUnsigned(ref: EntryRef): Promise<boolean>;
  /** What lies beside an entry, unchecked: compare it with the commitments of the entry (`checkOpening`). */
  opening(of: number): Promise<Opening | undefined>;
  approval(id: string): Promise<ApprovalRow | undefined>;
  /**
   * One page. Pending ones oldest first, others newest first; the next page starts `after` the last one of this.
   *
   * @throws {CountersignError} `OPTIONS_INVALID`, `APPROVAL_NOT_FOUND` for a page after an approval that is not there.
   */
  approvals(filter?: ApprovalFilter): Promise<readonly ApprovalRow[]>;
  /** How many there are, by state, reading none of them. `state`, `limit` and `after` say nothing here. */
  approvalCounts(filter?: ApprovalFilter): Promise<ApprovalCounts>;
  grant(id: string): Promise<GrantRow | undefined>;
  /** All grants, newest first, counted from entries; at most 10,000. */
  grants(): Promise<readonly GrantRow[]>;
  /**
   * Grants that rows say may still be used, those that expire first before the others. For finding one: `usesLeft` is a
   * hint here, and the transaction has the last word.
   */
  openGrants(): Promise<readonly GrantRow[]>;
  /** What the entries tell of a tool that was pinned; undefined when it never was. */
  pin(server: string | undefined, name: string): Promise<PinState | undefined>;
  /** Every tool that was ever pinned, and the newest pin entry. */
  pins(): Promise<{ readonly tools: readonly PinState[]; readonly newest: EntryRef | undefined }>;
  /** Halts that stand, oldest first; from entries, not from rows. */
  halts(): Promise<readonly Halt[]>;
  /** Resolves when the approval is no longer pending or `signal` aborts; also for answers given by other processes. */
  approvalSettled(id: string, signal: AbortSignal): Promise<void>;
  /** What is charged to a budget now. Reserves nothing. */
  budgetUse(query: BudgetQuery): Promise<BudgetUse>;
  /** HMAC-SHA-256 under the store's secret, hex. */
  mac(text: string): string;
  /** Store time: never below the newest entry. */
  nowMs(): number;
  head(): Promise<Checkpoint>;
  close(): Promise<void>;
}
