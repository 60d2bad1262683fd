/** Entry by entry, in order: what each row was judged to be is joined to the tree, the history and the openings on record. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { leafHash } from '../ledger/merkle.ts';
import { Bytes } from './bytes.ts';
import type { History } from './history.ts';
import type { Integrity } from './integrity.ts';
import type { Found, Judged } from './judged.ts';
import { COMMITMENT, type Openings } from './openings.ts';
import type { Placed } from './placed.ts';
import type { Findings } from './report.ts';
import type { ForgetEntry } from './shapes.ts';

/** Missing entries that are stepped over in all; a ledger with more is given up. */
const MAX_MISSING = 65_536;

/** Entries after which whatever else waits for this thread has its turn. */
const TURN_ENTRIES = 512;

export interface ReadingParts {
  /** All rows in order of position, in parts of bounded size. */
  readonly parts: AsyncIterable<readonly Judged[]>;
  /** One more than the highest position. */
  readonly total: number;
  readonly integrity: Integrity;
  readonly history: History;
  readonly openings: Openings;
  readonly findings: Findings;
  /** The body of an entry that was read before; undefined when there is none. */
  readonly bodyOf: (index: number) => string | undefined;
  /** What this version does not check is a problem, not only worth telling. */
  readonly strict: boolean;
  /** The tree has grown to that size. */
  readonly onSize: (size: number) => void;
  readonly onProgress: (done: number, total: number) => void;
}

export class Reading {
  private readonly parts: ReadingParts;
  private missing = 0;
  /** Entries that a `forget` entry named: each is compared once, however often it is named. */
  private readonly named = new Bytes();
  /** Entries read. */
  entries = 0;
  /** Times of the first and the last entry, UTC milliseconds. */
  from: number | undefined;
  to: number | undefined;

  constructor(parts: ReadingParts) {
    this.parts = parts;
  }

  async readAll(): Promise<void> {
    const { parts, total, integrity, findings, onSize, onProgress } = this.parts;
    onSize(integrity.size);
    let turnAt = TURN_ENTRIES;
    try {
      for await (const part of parts) {
        for (const row of part) {
          if (!this.stepOver(row.seq)) return;
          this.takeRow(row);
          onSize(integrity.size);
        }
        onProgress(this.entries, total);
        if (this.entries < turnAt) continue;
        turnAt = this.entries + TURN_ENTRIES;
        await nextTurn();
      }
    } catch (error) {
      if (!isDatabaseError(error)) throw error;
      integrity.incomplete();
      findings.change(0, 'DATABASE_DAMAGED', `the database cannot be read after entry ${integrity.size} (${error.code})`);
    }
  }

  /** Entries that are not there. @returns false when there are too many to go on. */
  private stepOver(seq: number): boolean {
    const { integrity, history, findings, onSize } = this.parts;
    const next = integrity.size;
    if (seq === next) return true;
    const what = seq === next + 1 ? `entry ${seq} is missing` : `entries ${next + 1} to ${seq} are missing`;
    findings.change(next + 1, 'ENTRY_MISSING', what);
    this.missing += seq - next;
    if (this.missing > MAX_MISSING) {
      integrity.incomplete();
      findings.change(0, 'READING_STOPPED', `more than ${MAX_MISSING} entries are missing: what follows entry ${next} was not read`);
      return false;
    }
    for (let index = next; index < seq; index++) {
      integrity.skip(undefined);
      history.unread(index);
      onSize(integrity.size);
    }
    return true;
  }

  private takeRow(row: Judged): void {
    const { integrity, findings, openings } = this.parts;
    const number = row.seq + 1;
    this.entries++;
    if (row.leaf === undefined) integrity.skip(row.stored);
    else integrity.push(row.leaf, row.stored, row.fits);
    for (const found of row.found) this.report(number, found);
    if (row.more > 0) findings.uncounted(row.more);
    if (row.withheld) openings.withhold(row.seq);
    this.takeContent({ index: row.seq, number, leaf: row.stored ?? '' }, row);
  }

  /** Only what fits the hash beside it is read: that one is its hash. */
  private takeContent(placed: Placed, { content }: Judged): void {
    const { history } = this.parts;
    switch (content.is) {
      case 'unread':
        return history.unread(placed.index);
      case 'plain':
        this.span(content.entry.at);
        return history.take(placed, content.entry, undefined);
      case 'told':
        this.span(content.entry.at);
        return history.take(placed, content.entry, content.shown, content.incident);
      case 'forget':
        this.span(content.entry.at);
        this.forget(placed, content.entry);
        return history.other(placed, content.entry);
      case 'other':
        this.span(content.stamp.at);
        return history.other(placed, content.stamp);
    }
  }

  private forget({ index, number }: Placed, entry: ForgetEntry): void {
    const { openings, findings, bodyOf } = this.parts;
    for (const ref of entry.entries) {
      if (ref.of >= index) {
        findings.problem(number, 'FORGET_MISMATCH', `entry ${ref.of + 1}, which it names, does not stand before it`);
        continue;
      }
      if (this.named.get(ref.of) !== 0) continue;
      this.named.set(ref.of, 1);
      const body = bodyOf(ref.of);
      if (body === undefined || leafHash(body) === ref.leaf) openings.forget(ref, body?.includes(COMMITMENT) === true);
      else findings.problem(number, 'REFERENCE_MISMATCH', `entry ${ref.of + 1}, which it names, has another hash`);
    }
  }

  private report(entry: number, { sort, code, message }: Found): void {
    const { findings, strict } = this.parts;
    if (sort === 'change') findings.change(entry, code, message);
    else if (sort === 'problem' || strict) findings.problem(entry, code, message);
    else findings.warn(entry, code, message);
  }

  private span(at: number): void {
    this.from ??= at;
    this.to = at;
  }
}

export function isDatabaseError(error: unknown): error is Error & { readonly code: string } {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && code.startsWith('SQLITE_');
}
