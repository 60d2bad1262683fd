/** `Tx` over maps, for the store in memory. */
import type { EntryRef } from '../call.ts';
import { GrantHistories, type GrantHistory, type GrantPlaces } from '../grant/history.ts';
import { HaltBook } from '../halt/book.ts';
import { entryText, parseEntry } from '../ledger/body.ts';
import type { Entry, EntryBody, Opening } from '../ledger/entry.ts';
import { LabelBook, labelStamp } from '../ledger/label-book.ts';
import { leafHash } from '../ledger/merkle.ts';
import { PinBook } from '../pin/book.ts';
import type { ToolCount } from '../policy/call-counts.ts';
import type { CallRow } from '../store-rows.ts';
import { SessionCalls } from '../transaction/session-calls.ts';
import type { ApprovalRecord, CallRecord, ChargeRow, GrantRecord, SessionRecord, Tx } from '../transaction/tx.ts';

export class MemoryRows implements Tx {
  readonly writer: string;
  atMs: number = 0;
  readonly texts: string[] = [];
  readonly openings: Map<number, Opening> = new Map();
  readonly calls: Map<string, CallRecord> = new Map();
  readonly approvalRows: Map<string, ApprovalRecord> = new Map();
  readonly grants: Map<string, GrantRecord> = new Map();
  private readonly histories = new GrantHistories((of, wanted) => this.texts.slice(of + 1).filter(wanted));
  private readonly counts = new SessionCalls((of, wanted) => this.texts.slice(of + 1).filter(wanted));
  private readonly book = new PinBook({
    entriesSince: (of, wanted) => this.texts.slice(of + 1).filter(wanted),
    entry: (ref) => this.entry(ref),
    mark: (name) => this.mark(name),
  });
  private readonly haltBook = new HaltBook({
    entriesSince: (of, wanted) => this.texts.slice(of + 1).filter(wanted),
    entry: (ref) => this.entry(ref),
    mark: (name) => this.mark(name),
  });
  private readonly labelsTold = new LabelBook({
    entriesSince: (of, wanted) => this.texts.slice(of + 1).filter(wanted),
    entry: (ref) => this.entry(ref),
    entryAt: (of) => this.entry({ of, leaf: this.leaves[of] ?? '' }),
    mark: (name) => this.mark(name),
  });
  private readonly leaves: string[] = [];
  private readonly sessions = new Map<string, SessionRecord>();
  private readonly keys = new Map<string, string>();
  /** Calls that wait for an answer, by what they ask for. */
  private readonly asked = new Map<string, Set<string>>();
  readonly charges: Map<string, { readonly at: number; readonly cost: number }[]> = new Map();
  private readonly marks = new Map<string, EntryRef>();

  constructor(writer: string) {
    this.writer = writer;
  }

  append(body: EntryBody, opening?: Opening): EntryRef {
    const { atMs, writer } = this;
    const labels = labelStamp(body, () => this.labelsTold.readOn(this.texts.length));
    const text = entryText(body, { atMs, writer, ...labels });
    const ref = { of: this.texts.length, leaf: leafHash(text) };
    this.texts.push(text);
    this.leaves.push(ref.leaf);
    this.counts.appended(ref.of, body);
    this.book.appended(ref, this.atMs, body);
    this.haltBook.appended(ref, this.atMs, body);
    this.labelsTold.appended(ref, labels === undefined ? body : { ...body, ...labels });
    if (opening !== undefined) this.openings.set(ref.of, opening);
    return ref;
  }

  text(ref: EntryRef): string | undefined {
    return this.leaves[ref.of] === ref.leaf ? this.texts[ref.of] : undefined;
  }

  entry(ref: EntryRef): Entry | undefined {
    const text = this.text(ref);
    return text === undefined ? undefined : parseEntry(text);
  }

  lasting(ref: EntryRef): Entry | undefined {
    return this.entry(ref);
  }

  entriesAbout(of: number, approval: string): readonly Entry[] {
    return this.texts
      .slice(of + 1)
      .filter((text) => text.includes(approval))
      .map(parseEntry);
  }

  /** Nobody else can write here. */
  stoodUnsigned(): boolean {
    return false;
  }

  opening(of: number): Opening | undefined {
    return this.openings.get(of);
  }

  eraseOpening(of: number): boolean {
    return this.openings.delete(of);
  }

  /** Nothing here is signed, so there is nothing to keep. */
  keepNote(): boolean {
    return false;
  }

  session(id: string): SessionRecord | undefined {
    return this.sessions.get(id);
  }

  labels(session: string): readonly string[] {
    return this.labelsTold.readOn(this.texts.length).of(session);
  }

  sessionCalls(session: string): readonly ToolCount[] {
    return this.counts.of(session, this.texts.length, () => 0);
  }

  putSession(row: SessionRecord): void {
    this.sessions.set(row.id, row);
  }

  callById(id: string): (CallRecord & CallRow) | undefined {
    return alive(this.calls.get(id));
  }

  inCustody(name: string): CallRow | undefined {
    return alive([...this.calls.values()].find((row) => row.writer === name && row.state === 'allowed'));
  }

  /** Nothing here dies before the process does. */
  takeCustody(): void {}

  endCustody(): void {}

  callByKey(key: string): CallRow | undefined {
    return alive(this.calls.get(this.keys.get(key) ?? ''));
  }

  /** The latest of those that ask for the same. */
  askedCall(match: string): CallRow | undefined {
    return alive(this.calls.get([...(this.asked.get(match) ?? [])].at(-1) ?? ''));
  }

  putCall(row: CallRecord): void {
    this.calls.set(row.id, row);
    const asked = this.asked.get(row.match);
    if (row.state === 'asked') this.asked.set(row.match, (asked ?? new Set()).add(row.id));
    else if (asked?.delete(row.id) === true && asked.size === 0) this.asked.delete(row.match);
    if (row.key !== undefined) this.keys.set(row.key, row.id);
  }

  approval(id: string): ApprovalRecord | undefined {
    return this.approvalRows.get(id);
  }

  putApproval(row: ApprovalRecord): void {
    this.approvalRows.set(row.id, row);
  }

  grant(id: string): GrantRecord | undefined {
    return this.grants.get(id);
  }

  putGrant(row: GrantRecord): void {
    this.grants.set(row.id, row);
  }

  grantHistory(places: GrantPlaces): GrantHistory {
    return this.histories.of(places, this.texts.length);
  }

  pins(): PinBook {
    return this.book.readOn(this.texts.length);
  }

  halts(): HaltBook {
    return this.haltBook.readOn(this.texts.length);
  }

  spent(budget: string, key: string, sinceMs: number | undefined): number {
    const charges = this.charges.get(JSON.stringify([budget, key])) ?? [];
    return charges.reduce((sum, charge) => (sinceMs === undefined || charge.at >= sinceMs ? sum + charge.cost : sum), 0);
  }

  charge({ budget, key, cost, atMs = this.atMs }: ChargeRow): void {
    const name = JSON.stringify([budget, key]);
    const charges = this.charges.get(name) ?? [];
    charges.push({ at: atMs, cost });
    this.charges.set(name, charges);
  }

  mark(name: string): EntryRef | undefined {
    return this.marks.get(name);
  }

  putMark(name: string, ref: EntryRef): void {
    this.marks.set(name, ref);
  }
}

/** The one process that has this store is the one asking. */
function alive(row: CallRecord | undefined): (CallRecord & CallRow) | undefined {
  return row === undefined ? undefined : { ...row, writerAlive: true };
}
