/** Rows inside one open transaction, as every store brings them. */
import type { EntryRef } from '../call.ts';
import type { GrantHistory, GrantPlaces } from '../grant/history.ts';
import type { HaltBook } from '../halt/book.ts';
import type { Entry, EntryBody, Opening } from '../ledger/entry.ts';
import type { PinBook } from '../pin/book.ts';
import type { ToolCount } from '../policy/call-counts.ts';
import type { ApprovalRow, CallRow } from '../store-rows.ts';
import type { Custody } from '../store-units.ts';

/** A session as kept. */
export interface SessionRecord {
  readonly id: string;
  readonly agent: string;
  readonly labels: readonly string[];
  readonly version: number;
  readonly halted: boolean;
  readonly startedAtMs: number;
}

/** A call as kept; `writerAlive` is worked out when it is read. */
export type CallRecord = Omit<CallRow, 'writerAlive'>;

/** An approval as kept; the clear text lies in the openings. */
export type ApprovalRecord = Omit<ApprovalRow, 'shown' | 'reason' | 'message' | 'edit' | 'assurance' | 'edited'>;

/** One movement on a budget, as kept. */
export interface ChargeRow {
  readonly budget: string;
  readonly key: string;
  /** Micro-units; negative for a refund. */
  readonly cost: number;
  readonly call: string;
  /** Absent = store time of the transaction. Never later than that. */
  readonly atMs?: number;
}

/** A grant as kept: where it stands, and hints that spare looking at what is used up, expired or taken back. */
export interface GrantRecord {
  readonly id: string;
  readonly entry: EntryRef;
  readonly expiresAtMs: number;
  readonly usesLeft: number;
  /** Position of the entry that took it back. */
  readonly revoked?: number;
}

/** Rows inside one open transaction. */
export interface Tx {
  /** Store time of this transaction: max(newest entry, wall clock). */
  readonly atMs: number;
  readonly writer: string;
  /** Stamps, serialises, hashes and inserts; the entry joins the tree with the commit. */
  append(body: EntryBody, opening?: Opening): EntryRef;
  /** The entry at `ref`, if it is proven to be in the tree (entries of this transaction included). */
  entry(ref: EntryRef): Entry | undefined;
  /** The same for entries that are read again and again: what was proven once stays in the tree. */
  lasting(ref: EntryRef): Entry | undefined;
  /**
   * Entries after `of` that name this approval or tell of an unsigned tail, from entries proven to be the tree's, not from rows.
   * @throws {CountersignError} `LEDGER_CORRUPT` when what is stored since then is not what the tree holds.
   */
  entriesAbout(of: number, approval: string): readonly Entry[];
  /**
   * Whether the entry is one that another writer left unsigned: whoever can write to the file may have added it.
   * @throws {CountersignError} `LEDGER_CORRUPT` as `entriesAbout`.
   */
  stoodUnsigned(ref: EntryRef): boolean;
  /** Erases what lies beside an entry. @returns whether anything did. */
  eraseOpening(of: number): boolean;
  /** Keeps a signed note of an earlier head. @returns false when it is refused; never throws for what the note says. */
  keepNote(note: string, reason: 'signed' | 'anchor'): boolean;
  session(id: string): SessionRecord | undefined;
  putSession(row: SessionRecord): void;
  /**
   * Labels of a session, sorted; from entries proven to be the tree's, those of this transaction included, not from rows.
   * @throws {CountersignError} `LEDGER_CORRUPT` when what is stored is not what the tree holds.
   */
  labels(session: string): readonly string[];
  /** Allowed calls of a session, by tool; from entries proven to be the tree's, those of this transaction included. */
  sessionCalls(session: string): readonly ToolCount[];
  callById(id: string): (CallRecord & CallRow) | undefined;
  callByKey(key: string): CallRow | undefined;
  putCall(row: CallRecord): void;
  /** The open call kept under this name. */
  inCustody(name: string): CallRow | undefined;
  /** From now on calls whose writer is `name` count as running, for so long. */
  takeCustody(custody: Custody): void;
  /** Ends it; nothing happens for a name that keeps none. */
  endCustody(name: string): void;
  approval(id: string): ApprovalRecord | undefined;
  putApproval(row: ApprovalRecord): void;
  grant(id: string): GrantRecord | undefined;
  putGrant(row: GrantRecord): void;
  /**
   * What the entries tell of a grant, from entries proven to be the tree's, not from rows.
   * @throws {CountersignError} `LEDGER_CORRUPT` when what is stored is not what the tree holds.
   */
  grantHistory(places: GrantPlaces): GrantHistory;
  /**
   * What the entries tell of pinned tools, those of this transaction included; not from rows.
   * @throws {CountersignError} `LEDGER_CORRUPT` when what is stored is not what the tree holds.
   */
  pins(): PinBook;
  /**
   * What the entries tell of halts, those of this transaction included; not from rows.
   * @throws {CountersignError} `LEDGER_CORRUPT` when what is stored is not what the tree holds.
   */
  halts(): HaltBook;
  /** Sum of charges to (budget, key) at or after `sinceMs`; undefined = for life. */
  spent(budget: string, key: string, sinceMs: number | undefined): number;
  /** Counts from now on, or as if charged at `atMs`: a refund, of negative cost, leaves a window together with its charge. */
  charge(charge: ChargeRow): void;
  mark(name: string): EntryRef | undefined;
  putMark(name: string, ref: EntryRef): void;
}
