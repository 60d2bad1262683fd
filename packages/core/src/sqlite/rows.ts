/** `Tx` over the tables of a SQLite ledger, and the row shapes behind it. */
import type { Database } from 'better-sqlite3';
import type { Listing } from '../approval/listing.ts';
import type { BudgetQuery, BudgetUse } from '../budget/use.ts';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { GrantHistories, type GrantHistory, type GrantPlaces } from '../grant/history.ts';
import { HaltBook } from '../halt/book.ts';
import { entryText, parseEntry } from '../ledger/body.ts';
import { canonicalize } from '../ledger/canonical.ts';
import type { Entry, EntryBody, Opening } from '../ledger/entry.ts';
import { LabelBook, labelStamp } from '../ledger/label-book.ts';
import { WAYMARK, Waymarks } from '../ledger/waymark.ts';
import { PinBook } from '../pin/book.ts';
import type { ToolCount } from '../policy/call-counts.ts';
import type { ApprovalCounts, ApprovalFilter, CallRow } from '../store-rows.ts';
import type { Custody } from '../store-units.ts';
import { SessionCalls } from '../transaction/session-calls.ts';
import type { ApprovalRecord, CallRecord, ChargeRow, GrantRecord, SessionRecord, Tx } from '../transaction/tx.ts';
import { ApprovalPages } from './approval-pages.ts';
import { APPROVAL_COLUMNS, type ApprovalSql, approvalRecord } from './approval-rows.ts';
import { BudgetUses } from './budget-use.ts';
import { CallRows } from './call-rows.ts';
import { GrantRows } from './grant-rows.ts';
import type { Leases } from './leases.ts';
import type { Log } from './log.ts';
import { SessionRows } from './session-rows.ts';
import { SpentSums } from './spent.ts';

/** How the entries this looks for read. Data of a note may read the same: the kind of the parsed entry decides. */
const UNSIGNED_TAIL = '"event":"unsigned-tail"';
/** Entries remembered as proven: asks, answers and grants. */
const MAX_PROVEN = 1000;

export class Rows implements Tx {
  readonly writer: string;
  private readonly log: Log;
  private readonly leases: Leases;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly sums: SpentSums;
  private readonly pages: ApprovalPages;
  private readonly uses: BudgetUses;
  private readonly grantRows: GrantRows;
  private readonly callRows: CallRows;
  private readonly sessionRows: SessionRows;
  private readonly histories: GrantHistories;
  private readonly counts: SessionCalls;
  private readonly book: PinBook;
  private readonly haltBook: HaltBook;
  private readonly labelsTold: LabelBook;
  private readonly waymarks: Waymarks;
  /** By place and hash. */
  private readonly proven = new Map<string, Entry>();
  atMs = 0;

  constructor(database: Database, log: Log, leases: Leases, writer: string) {
    this.writer = writer;
    this.log = log;
    this.leases = leases;
    this.statements = prepare(database);
    this.sums = new SpentSums(database);
    this.pages = new ApprovalPages(database);
    this.uses = new BudgetUses(database);
    this.grantRows = new GrantRows(database);
    this.callRows = new CallRows(database);
    this.sessionRows = new SessionRows(database);
    this.histories = new GrantHistories((of, wanted) => log.provenSince(of, wanted));
    this.counts = new SessionCalls((of, wanted) => log.provenSince(of, wanted));
    const source = {
      entriesSince: (of: number, wanted: (text: string) => boolean) => log.provenSince(of, wanted),
      entry: (ref: EntryRef) => this.entry(ref),
      entryAt: (of: number) => this.entryAt(of),
      mark: (name: string) => this.mark(name),
    };
    this.book = new PinBook(source);
    this.haltBook = new HaltBook(source);
    this.labelsTold = new LabelBook(source);
    this.waymarks = new Waymarks(source, this);
  }

  /** Fixes store time for the transaction that was just opened. */
  begin(): void {
    this.atMs = this.log.nowMs();
  }

  /** Other writers may have charged what these rows did not see. */
  fallBehind(): void {
    this.sums.fallBehind();
  }

  /** Charges that these rows made were rolled back. */
  forgetSums(): void {
    this.sums.clear();
  }

  /** Entries were rolled back: what was counted may have gone with them. */
  forgetHistories(): void {
    this.histories.clear();
    this.counts.clear();
    this.book.clear();
    this.haltBook.clear();
    this.labelsTold.clear();
    this.waymarks.clear();
    this.proven.clear();
  }

  append(body: EntryBody, opening?: Opening): EntryRef {
    const { atMs, writer } = this;
    const labels = labelStamp(body, () => this.labelBook());
    const plain = entryText(body, { atMs, writer, ...labels });
    const newest = this.waymarks.next(body, plain, this.log.size);
    const ref = this.log.append(newest === undefined ? plain : entryText(body, { atMs, writer, newest, ...labels }), atMs);
    if (newest !== undefined) this.putMark(WAYMARK, ref);
    this.histories.appended(ref.of, body);
    this.counts.appended(ref.of, body);
    this.book.appended(ref, this.atMs, body);
    this.haltBook.appended(ref, this.atMs, body);
    this.labelsTold.appended(ref, labels === undefined ? body : { ...body, ...labels });
    if (opening !== undefined) this.statements.insertOpening.run(ref.of, opening.key, canonicalize(opening.sections));
    return ref;
  }

  entry(ref: EntryRef): Entry | undefined {
    const text = this.log.proven(ref);
    return text === undefined ? undefined : parseEntry(text);
  }

  private entryAt(of: number): Entry | undefined {
    const text = this.log.provenAt(of);
    return text === undefined ? undefined : parseEntry(text);
  }

  lasting(ref: EntryRef): Entry | undefined {
    const name = `${ref.of} ${ref.leaf}`;
    const known = this.proven.get(name);
    if (known !== undefined) return known;
    const entry = this.entry(ref);
    if (entry === undefined) return undefined;
    if (this.proven.size >= MAX_PROVEN) this.proven.clear();
    this.proven.set(name, entry);
    return entry;
  }

  entriesAbout(of: number, approval: string): readonly Entry[] {
    return this.log.provenSince(of, (text) => text.includes(approval) || text.includes(UNSIGNED_TAIL)).map(parseEntry);
  }

  /** @param tail - as of `halts`. */
  stoodUnsigned({ of }: EntryRef, tail?: { readonly from: number; readonly to: number }): boolean {
    const isIn = ({ from = 0, to = 0 }: { readonly from?: number; readonly to?: number }): boolean => of >= from && of < to;
    if (tail !== undefined && isIn(tail)) return true;
    const told = this.log.provenSince(of, (text) => text.includes(UNSIGNED_TAIL)).map(parseEntry);
    return told.some((entry) => entry.kind === 'recovery' && entry.event === 'unsigned-tail' && isIn(entry));
  }

  keepNote(note: string, reason: 'signed' | 'anchor'): boolean {
    try {
      return this.log.keepNote(note, reason);
    } catch (error) {
      if (CountersignError.is(error)) return false;
      throw error;
    }
  }

  /** Positions of decisions whose outcome stands after position `of`. */
  settledSince(of: number): ReadonlySet<number> {
    const outcomes = this.log.provenSince(of, (text) => text.includes('"kind":"outcome"')).map(parseEntry);
    return new Set(outcomes.flatMap((entry) => (entry.kind === 'outcome' ? [entry.decision.of] : [])));
  }

  eraseOpening(of: number): boolean {
    return this.statements.eraseOpening.run(of).changes > 0;
  }

  session(id: string): SessionRecord | undefined {
    return this.sessionRows.one(id);
  }

  /** Those of two that are there, in one read: with its locks that costs as much as one of them. */
  sessions(one: string, other: string): readonly SessionRecord[] {
    return this.sessionRows.two(one, other);
  }

  labels(session: string): readonly string[] {
    return this.labelBook().of(session);
  }

  labelBook(): LabelBook {
    return this.labelsTold.readOn(this.log.size);
  }

  sessionCalls(session: string): readonly ToolCount[] {
    return this.counts.of(session, this.log.size, () => {
      const row = this.session(session);
      return row === undefined ? undefined : this.firstAt(row.startedAtMs);
    });
  }

  /** Position of the first entry that is not older: times never decrease. */
  private firstAt(atMs: number): number {
    let from = 0;
    let to = this.log.size;
    while (from < to) {
      const middle = Math.floor((from + to) / 2);
      if ((this.statements.entryTime.get(middle) ?? atMs) < atMs) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  putSession(row: SessionRecord): void {
    this.sessionRows.put(row);
  }

  callById(id: string): (CallRecord & CallRow) | undefined {
    return this.withLiveness(this.callRows.byId(id));
  }

  callByKey(key: string): CallRow | undefined {
    return this.withLiveness(this.callRows.byKey(key));
  }

  inCustody(name: string): CallRow | undefined {
    return this.withLiveness(this.callRows.openOf(name)[0]);
  }

  takeCustody({ name, forMs }: Custody): void {
    this.leases.keep(name, forMs);
  }

  endCustody(name: string): void {
    this.leases.letGo(name);
  }

  askedCall(match: string): CallRow | undefined {
    return this.withLiveness(this.callRows.asked(match));
  }

  private withLiveness(record: CallRecord | undefined): (CallRecord & CallRow) | undefined {
    return record === undefined ? undefined : { ...record, writerAlive: this.leases.isAlive(record.writer) };
  }

  putCall(row: CallRecord): void {
    this.callRows.put(row);
  }

  approval(id: string): ApprovalRecord | undefined {
    const row = this.statements.approval.get(id);
    return row === undefined ? undefined : approvalRecord(row);
  }

  /** Those of `ids` that are not pending, or not there. */
  settledAmong(ids: readonly string[]): readonly string[] {
    return this.statements.settledAmong.all(JSON.stringify(ids));
  }

  /** Approvals that entries from position `from` on answer, or seem to: nothing about it is proven. */
  answeredSince(from: number): readonly string[] {
    return this.statements.answeredSince.all(from).filter((id) => id !== null);
  }

  /** As stored, not proven. */
  entryCount(): number {
    return this.statements.entryCount.get() ?? 0;
  }

  /** Changes whenever another connection changed the file; says nothing about another connection's. */
  dataVersion(): number {
    return this.statements.dataVersion.get() ?? 0;
  }

  /** @throws {CountersignError} `APPROVAL_NOT_FOUND` for a page after an approval that is not there. */
  approvals(listing: Listing, nowMs: number): readonly ApprovalRecord[] {
    return this.pages.page(listing, nowMs);
  }

  approvalCounts(filter: ApprovalFilter, nowMs: number): ApprovalCounts {
    return this.pages.counts(filter, nowMs);
  }

  putApproval(row: ApprovalRecord): void {
    this.statements.putApproval.run(
      row.id,
      row.call,
      row.agent,
      row.session,
      row.principal ?? null,
      row.tool.server ?? null,
      row.tool.name,
      row.rule ?? null,
      row.reasonCode,
      row.state,
      row.binds,
      row.policyHash,
      row.ask.of,
      row.ask.leaf,
      JSON.stringify(row.answers),
      row.createdAtMs,
      row.expiresAtMs,
      row.quorum,
      row.approvers === undefined ? null : JSON.stringify(row.approvers),
    );
  }

  grant(id: string): GrantRecord | undefined {
    return this.grantRows.one(id);
  }

  /** Newest first. */
  grants(limit: number): readonly GrantRecord[] {
    return this.grantRows.newest(limit);
  }

  /** Those that rows say may still be used, the first to expire first. */
  openGrants(nowMs: number, limit: number): readonly GrantRecord[] {
    return this.grantRows.open(nowMs, limit);
  }

  putGrant(row: GrantRecord): void {
    this.grantRows.put(row);
  }

  grantHistory(places: GrantPlaces): GrantHistory {
    return this.histories.of(places, this.log.size);
  }

  pins(): PinBook {
    return this.book.readOn(this.log.size);
  }

  /** @param tail - entries that are unsigned, of which none tells yet. */
  halts(tail?: { readonly from: number; readonly to: number }): HaltBook {
    return this.haltBook.readOn(this.log.size, tail);
  }

  spent(budget: string, key: string, sinceMs: number | undefined): number {
    return this.sums.spent(budget, key, sinceMs, this.atMs);
  }

  charge({ budget, key, cost, call, atMs = this.atMs }: ChargeRow): void {
    const { lastInsertRowid } = this.statements.charge.run(budget, key, atMs, cost, call);
    this.sums.add({ id: Number(lastInsertRowid), budget, key, at: atMs, cost });
  }

  budgetUse(query: BudgetQuery, nowMs: number): BudgetUse {
    return this.uses.read(query, nowMs);
  }

  mark(name: string): EntryRef | undefined {
    const row = this.statements.mark.get(name);
    return row === undefined ? undefined : { of: row.seq, leaf: row.leaf };
  }

  putMark(name: string, ref: EntryRef): void {
    this.statements.putMark.run(name, ref.of, ref.leaf);
  }

  opening(of: number): Opening | undefined {
    const row = this.statements.opening.get(of);
    return row === undefined ? undefined : { key: row.key, sections: JSON.parse(row.sections) };
  }

  /** Calls still open whose writer is not `alive`. */
  openCallsOf(isAlive: (writer: string) => boolean): readonly CallRecord[] {
    const dead = this.callRows.openWriters().filter((writer) => !isAlive(writer));
    return dead.flatMap((writer) => this.callRows.openOf(writer));
  }
}

function prepare(database: Database) {
  const marks = (columns: string): string => columns.replaceAll(/\w+/g, '?');
  return {
    insertOpening: database.prepare('INSERT INTO openings (seq, key, sections) VALUES (?, ?, ?)'),
    opening: database.prepare<[number], { key: string; sections: string }>('SELECT key, sections FROM openings WHERE seq = ?'),
    eraseOpening: database.prepare<[number]>('DELETE FROM openings WHERE seq = ?'),
    approval: database.prepare<[string], ApprovalSql>(`SELECT ${APPROVAL_COLUMNS} FROM approvals WHERE id = ?`),
    settledAmong: database
      .prepare<[string], string>(
        `SELECT value FROM json_each(?) LEFT JOIN approvals ON approvals.id = value WHERE approvals.state IS NOT 'pending'`,
      )
      .pluck(),
    answeredSince: database
      .prepare<[number], string | null>(
        // Canonical text: a string that holds these words has its quotes escaped.
        `SELECT iif(json_valid(body), body ->> '$.approval', NULL) FROM entries WHERE seq >= ? AND instr(body, '"kind":"approval"') > 0`,
      )
      .pluck(),
    entryTime: database
      .prepare<[number], number | null>(`SELECT iif(json_valid(body), body ->> '$.at', NULL) FROM entries WHERE seq = ?`)
      .pluck(),
    entryCount: database.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM entries').pluck(),
    dataVersion: database.prepare<[], number>('PRAGMA data_version').pluck(),
    putApproval: database.prepare(`INSERT OR REPLACE INTO approvals (${APPROVAL_COLUMNS}) VALUES (${marks(APPROVAL_COLUMNS)})`),
    charge: database.prepare('INSERT INTO charges (budget, key, at, cost, call) VALUES (?, ?, ?, ?, ?)'),
    mark: database.prepare<[string], { seq: number; leaf: string }>('SELECT seq, leaf FROM marks WHERE name = ?'),
    putMark: database.prepare('INSERT OR REPLACE INTO marks (name, seq, leaf) VALUES (?, ?, ?)'),
  };
}
