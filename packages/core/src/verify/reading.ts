/** Entry by entry: hash the body, parse it, see that it has the shape of its kind, and hand it on. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { leafHash } from '../ledger/merkle.ts';
import type { VerifyCode } from './codes.ts';
import type { History } from './history.ts';
import type { Integrity } from './integrity.ts';
import type { Openings } from './openings.ts';
import type { Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { type ForgetEntry, readShape } from './shapes.ts';
import type { LedgerSource, SourceRow } from './source.ts';

/** Missing entries that are stepped over in all; a ledger with more is given up. */
const MAX_MISSING = 65_536;
/** What invalid UTF-8 is read as. */
const REPLACEMENT = '\ufffd';

type Body = { readonly [key: string]: Json };

export interface ReadingParts {
  readonly source: LedgerSource;
  readonly integrity: Integrity;
  readonly history: History;
  readonly openings: Openings;
  readonly findings: Findings;
  /** What this version does not check is a problem, not only worth telling. */
  readonly strict: boolean;
  /** The tree has grown to that size. */
  readonly onSize: (size: number) => void;
  readonly onProgress: (done: number, total: number) => void;
}

export class Reading {
  private readonly parts: ReadingParts;
  private missing = 0;
  /** Entries read. */
  entries = 0;
  /** Times of the first and the last entry, UTC milliseconds. */
  from: number | undefined;
  to: number | undefined;

  constructor(parts: ReadingParts) {
    this.parts = parts;
  }

  async readAll(): Promise<void> {
    const { source, integrity, findings, onSize, onProgress } = this.parts;
    onSize(0);
    try {
      for (const chunk of source.chunks()) {
        for (const row of chunk) {
          if (!this.stepOver(row.seq)) return;
          this.takeRow(row);
          onSize(integrity.size);
        }
        onProgress(this.entries, source.size);
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

  private takeRow(row: SourceRow): void {
    this.entries++;
    const placed = this.place(row);
    const body = placed === undefined ? undefined : this.parse(placed, row.body as string);
    if (placed === undefined || body === undefined) this.parts.history.unread(row.seq);
    else this.takeEntry(placed, body, row);
  }

  /** Hashes the body. Undefined when it is not what was written: `integrity` tells which, and nothing is read from it. */
  private place(row: SourceRow): Placed | undefined {
    const { source, integrity, findings } = this.parts;
    const { seq, body } = row;
    const unread = (code: VerifyCode, message: string): undefined => {
      findings.change(seq + 1, code, message);
      integrity.skip(row.leaf);
    };
    if (body === undefined) {
      const tooLarge = `the body has ${row.bytes} bytes, ${MAX_ENTRY_BYTES} are the most`;
      if (row.unreadable !== undefined) return unread('ENTRY_UNREADABLE', row.unreadable);
      return unread('ENTRY_UNREADABLE', row.bytes > MAX_ENTRY_BYTES ? tooLarge : 'the body is not text');
    }
    // Two different byte sequences read as the same text, and would have the same hash.
    if (body.includes(REPLACEMENT) && !Buffer.from(body).equals(source.bytes(seq) ?? new Uint8Array()))
      return unread('ENTRY_CHANGED', 'the body was changed: it is not valid UTF-8');
    const leaf = leafHash(body);
    return integrity.push(leaf, row.leaf) ? { index: seq, number: seq + 1, leaf } : undefined;
  }

  private parse(placed: Placed, text: string): Body | undefined {
    try {
      const value = parseCanonical(text);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body;
      this.parts.findings.problem(placed.number, 'ENTRY_SHAPE', 'the body is not an object');
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      this.parts.findings.problem(placed.number, 'ENTRY_NOT_CANONICAL', `the body is not canonical: ${error.message}`);
    }
    return undefined;
  }

  private takeEntry(placed: Placed, body: Body, row: SourceRow): void {
    const { history, openings, findings } = this.parts;
    const { number, index } = placed;
    const shape = readShape(body);
    switch (shape.kind) {
      case 'malformed':
        findings.problem(number, 'ENTRY_SHAPE', `the entry does not have the shape of its kind: ${shape.why}`);
        return history.unread(index);
      case 'version':
        findings.problem(number, 'ENTRY_VERSION', `the entry has version ${shape.version}, which this verifier does not know`);
        return history.unread(index);
      case 'unchecked':
        this.notice(number, 'UNKNOWN_KIND', `entries of kind ${shape.name} are not checked by this version`);
        openings.take(row, body);
        this.span(shape.at);
        return history.other(placed, shape);
      case 'forget':
      case 'known': {
        if (shape.unknownFields !== undefined) this.notice(number, 'UNKNOWN_FIELD', `not checked by this version: ${shape.unknownFields}`);
        const shown = openings.take(row, body);
        this.span(shape.entry.at);
        if (shape.kind === 'known') return history.take(placed, shape.entry, shown);
        this.forget(placed, shape.entry);
        return history.other(placed, shape.entry);
      }
    }
  }

  private forget({ index, number }: Placed, entry: ForgetEntry): void {
    for (const ref of entry.entries) {
      if (ref.of < index) this.parts.openings.forget(ref);
      else this.parts.findings.problem(number, 'FORGET_MISMATCH', `entry ${ref.of + 1}, which it names, does not stand before it`);
    }
  }

  private notice(entry: number, code: VerifyCode, message: string): void {
    if (this.parts.strict) this.parts.findings.problem(entry, code, message);
    else this.parts.findings.warn(entry, code, message);
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
