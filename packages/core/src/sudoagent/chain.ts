/** Entry by entry: canonical, its hash its own, naming the hash of the one before it, of the shape of its event. */
import { CountersignError } from '../errors.ts';
import type { VerifyCode } from '../verify/codes.ts';
import type { Findings } from '../verify/report.ts';
import { entryHashOf, hasUnknownFields, parseSudoEntry, readSudoShape, type SudoEntry, type SudoShape } from './entry.ts';
import type { SudoHistory } from './history.ts';
import type { Signatures } from './signatures.ts';
import type { SudoRow } from './source.ts';

export interface ChainParts {
  readonly findings: Findings;
  readonly history: SudoHistory;
  readonly signatures: Signatures;
  /** What this version does not check is a problem, not only worth telling. */
  readonly strict: boolean;
  /** Number of the entry whose hash the caller wants to compare. */
  readonly keepHashOf: number | undefined;
}

export class Chain {
  private readonly parts: ChainParts;
  /** Hash the next entry must name: null at the start, undefined when the entry before could not be read. */
  private last: string | null | undefined = null;
  /** Entries read: the number of the last one. */
  entries = 0;
  /** Hash of entry `keepHashOf`. */
  kept: string | undefined;
  /** Times of the first and the last entry that could be read. */
  from: string | undefined;
  to: string | undefined;

  constructor(parts: ChainParts) {
    this.parts = parts;
  }

  /** `entry_hash` of the last entry; undefined when there is none that can be read. */
  get head(): string | undefined {
    return this.last ?? undefined;
  }

  take(row: SudoRow): void {
    const number = ++this.entries;
    if (row.remark !== undefined) this.notice(number, row.remark.code, row.remark.message);
    const parsed = row.text === undefined ? undefined : this.parse(number, row.text);
    if (row.fault !== undefined) this.parts.findings.change(number, row.fault.code, row.fault.message);
    if (parsed === undefined) {
      this.last = undefined;
      this.parts.history.unread();
    } else {
      this.takeEntry(number, parsed, row.columns);
    }
    if (number === this.parts.keepHashOf) this.kept = this.head;
  }

  notice(entry: number, code: VerifyCode, message: string): void {
    if (this.parts.strict) this.parts.findings.problem(entry, code, message);
    else this.parts.findings.warn(entry, code, message);
  }

  private parse(number: number, text: string): SudoEntry | undefined {
    const { findings } = this.parts;
    try {
      const parsed = parseSudoEntry(text);
      if (!('why' in parsed)) return parsed;
      findings.change(number, 'ENTRY_SHAPE', `the entry cannot be in a chain: ${parsed.why}`);
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      findings.change(number, 'ENTRY_NOT_CANONICAL', text === '' ? 'the line is blank' : `the entry is not canonical: ${error.message}`);
    }
    return undefined;
  }

  private takeEntry(number: number, parsed: SudoEntry, columns: SudoRow['columns']): void {
    const { findings, history, signatures } = this.parts;
    const isOwn = entryHashOf(parsed) === parsed.entryHash;
    if (!isOwn) findings.change(number, 'ENTRY_HASH_MISMATCH', 'entry_hash is not the hash of this entry: one of the two was changed');
    this.follow(number, parsed);
    if (columns !== undefined) this.compareColumns(number, parsed, columns);
    signatures.take(number, parsed.entryHash, parsed.signature);
    const shape = readSudoShape(parsed);
    if (isOwn) this.takeShape(number, parsed, shape);
    else if (shape.kind === 'version') findings.problem(number, 'ENTRY_VERSION', shape.why);
    if (isOwn && (shape.kind === 'version' || shape.kind === 'malformed')) history.unread();
    // It was changed: what it says is not taken, but that it stands there is.
    if (!isOwn) history.suspect(shape.kind === 'decision' ? shape.entry.decisionHash : undefined, number);
  }

  private follow(number: number, { prevHash, entryHash }: SudoEntry): void {
    const { last } = this;
    this.last = entryHash;
    if (last === undefined || prevHash === last) return;
    const broken = (message: string): void => this.parts.findings.change(number, 'CHAIN_BROKEN', message);
    if (last === null) broken('the first entry names a hash before it: entries were removed at the beginning');
    else if (prevHash === null) broken('the entry claims to be the first: another ledger begins here, or entries were removed');
    else
      broken(`prev_entry_hash is not the hash of entry ${number - 1}: that one was changed, or entries were removed, added or moved here`);
  }

  private compareColumns(number: number, { entryHash, prevHash }: SudoEntry, columns: NonNullable<SudoRow['columns']>): void {
    const differs = (column: string): void =>
      this.parts.findings.change(number, 'COLUMN_MISMATCH', `the column ${column} beside the entry is not the one in it`);
    if (columns.entryHash !== entryHash) differs('entry_hash');
    if (columns.prevHash !== prevHash) differs('prev_entry_hash');
  }

  private takeShape(number: number, parsed: SudoEntry, shape: SudoShape): void {
    const { findings, history } = this.parts;
    switch (shape.kind) {
      case 'version':
        return findings.problem(number, 'ENTRY_VERSION', shape.why);
      case 'malformed':
        return findings.problem(number, 'ENTRY_SHAPE', `the entry does not have the shape of its event: ${shape.why}`);
      case 'checkpoint':
        history.other();
        this.notice(number, 'UNKNOWN_KIND', 'checkpoint entries are chained and nothing more: SudoAgent 2.0.0 never writes one');
        return this.span(parsed, shape.createdAt);
      case 'decision':
        history.decision(number, parsed, shape.entry);
        return this.span(parsed, shape.entry.createdAt);
      case 'outcome':
        history.outcome(number, parsed, shape.entry);
        return this.span(parsed, shape.entry.createdAt);
    }
  }

  private span(parsed: SudoEntry, at: string): void {
    if (hasUnknownFields(parsed)) this.notice(this.entries, 'UNKNOWN_FIELD', 'the entry has fields that SudoAgent 2.0.0 does not write');
    this.from ??= at;
    this.to = at;
  }
}
