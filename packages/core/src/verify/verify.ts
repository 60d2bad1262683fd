/**
 * Checks a whole ledger, trusting nobody: not the writer, not the file, not a key found in it.
 *
 *     source      read-only, one snapshot, only tables that are ours word for word
 *     integrity   every body hashed, the tree rebuilt, compared with the newest checkpoint and every kept one
 *     heads       who signed, and what the caller knows from elsewhere about the end
 *     history     what each entry claims follows from those before it
 *     openings    clear text beside an entry is what the entry commits to
 *
 * Memory stays flat: per entry a few bytes, per open call and per unused approval one record.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import { MAX_ENTRY_BYTES } from '../ledger/entry.ts';
import { leafHash } from '../ledger/merkle.ts';
import { parseVerifierKey } from '../ledger/verifier-key.ts';
import { openSource } from '../sqlite/source.ts';
import type { VerifyCode } from './codes.ts';
import { type ExpectedHead, expectedHead, type ReadCheckpoint, readCheckpoint } from './heads.ts';
import { History } from './history.ts';
import { type Claim, Integrity } from './integrity.ts';
import { Openings } from './openings.ts';
import type { Placed } from './placed.ts';
import { Findings, type VerifyReport } from './report.ts';
import { readShape } from './shapes.ts';
import type { LedgerSource, SourceRow, StoredCheckpoint } from './source.ts';

export interface VerifyOptions {
  /** Verifier lines whose signature counts. Without any, authorship stays `unchecked`. */
  readonly publicKeys?: readonly string[];
  /** A checkpoint of this log that was kept elsewhere, as text. */
  readonly against?: string;
  /** How many entries there were at some time, known from elsewhere. */
  readonly expectSize?: number;
  /** The root there was, of `expectSize` entries or of all: 64 hex digits or base64. */
  readonly expectHead?: string;
  /** What is not shown is not proven, and what this version does not know is a problem. */
  readonly strict?: boolean;
  /** Approver names to verifier lines, for answers given by key. */
  readonly approvers?: ReadonlyMap<string, string>;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Missing entries that are stepped over in all; a ledger with more is given up. */
const MAX_MISSING = 65_536;
const MAX_STRAYS = 20;
const MAX_BROKEN_CLAIMS = 100;
const REPLACEMENT = '\ufffd';

/**
 * Verifies a ledger file. Changes no byte of it; whatever is wrong with it is in the report.
 *
 * @throws {CountersignError} only for options: `KEY_INVALID`, `OPTIONS_INVALID`, `NOTE_INVALID` or `CHECKPOINT_INVALID`
 *   (`against` is no checkpoint).
 */
export async function verifyLedger(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const asked = readOptions(options);
  let source: LedgerSource;
  try {
    source = openSource(path);
  } catch (error) {
    if (CountersignError.is(error)) return unreadable(error);
    throw error;
  }
  try {
    return await new Verification(source, options, asked).run();
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    if (typeof code !== 'string' || !code.startsWith('SQLITE_')) throw error;
    return unreadable(new CountersignError('LEDGER_UNREADABLE', `the database is damaged (${code})`));
  } finally {
    source.close();
  }
}

interface Asked {
  readonly vkeys: readonly string[];
  readonly against: ReadCheckpoint | undefined;
  readonly expected: ExpectedHead | undefined;
}

function readOptions(options: VerifyOptions): Asked {
  const vkeys = options.publicKeys ?? [];
  for (const vkey of [...vkeys, ...(options.approvers?.values() ?? [])]) parseVerifierKey(vkey);
  return {
    vkeys,
    against: options.against === undefined ? undefined : readCheckpoint(options.against, vkeys),
    expected: expectedHead(options.expectSize, options.expectHead),
  };
}

class Verification {
  private readonly source: LedgerSource;
  private readonly options: VerifyOptions;
  private readonly asked: Asked;
  private readonly findings = new Findings();
  private readonly integrity: Integrity;
  private readonly history: History;
  private readonly openings: Openings;
  private readonly newest: ReadCheckpoint | undefined;
  private readonly wantedSizes: ReadonlySet<number>;
  private kept: StoredCheckpoint | undefined;
  private readonly brokenKept: Claim[] = [];
  private entries = 0;
  private missing = 0;
  private from: number | undefined;
  private to: number | undefined;

  constructor(source: LedgerSource, options: VerifyOptions, asked: Asked) {
    this.source = source;
    this.options = options;
    this.asked = asked;
    this.integrity = new Integrity(source, this.findings);
    this.history = new History(this.findings, this.integrity.suspect, options.approvers);
    this.openings = new Openings(this.findings);
    this.newest = this.readNewest();
    const { against, expected } = asked;
    this.wantedSizes = new Set([this.newest?.size, against?.size, expected?.size].filter((size) => size !== undefined));
  }

  async run(): Promise<VerifyReport> {
    for (const { code, message } of this.source.faults) this.findings.problem(0, code, message);
    this.kept = this.source.checkpointAfter(-1);
    this.compareHeads();
    await this.readEntries();
    this.integrity.keepRoot();
    this.checkCoverage();
    const isIntact = this.integrity.finish(this.newest, this.brokenKept) && !this.findings.hasChanges;
    for (const seq of this.source.strayOpenings(MAX_STRAYS))
      this.findings.problem(0, 'OPENING_WITHOUT_ENTRY', `an opening lies at position ${seq}, where no entry stands`);
    this.openings.finish(this.integrity.size);
    this.history.approvals.finish();
    if (isIntact) this.history.context.finish(this.newest?.signatures ?? []);
    return this.report(isIntact, this.authorship(isIntact), this.end());
  }

  private async readEntries(): Promise<void> {
    try {
      for (const chunk of this.source.chunks()) {
        for (const row of chunk) {
          if (!this.stepOver(row.seq)) return;
          this.takeRow(row);
          this.compareHeads();
        }
        this.options.onProgress?.(this.entries, this.source.size);
        await nextTurn();
      }
    } catch (error) {
      const code = (error as { code?: unknown } | null)?.code;
      if (typeof code !== 'string' || !code.startsWith('SQLITE_')) throw error;
      this.integrity.incomplete();
      this.findings.change(0, 'DATABASE_DAMAGED', `the database cannot be read after entry ${this.integrity.size} (${code})`);
    }
  }

  /** Entries that are not there. @returns false when there are too many to go on. */
  private stepOver(seq: number): boolean {
    const next = this.integrity.size;
    if (seq === next) return true;
    const count = seq - next;
    const what = count === 1 ? `entry ${seq} is missing` : `entries ${next + 1} to ${seq} are missing`;
    this.findings.change(next + 1, 'ENTRY_MISSING', what);
    this.missing += count;
    if (!(this.missing <= MAX_MISSING)) {
      this.integrity.incomplete();
      this.findings.change(0, 'READING_STOPPED', `more than ${MAX_MISSING} entries are missing: what follows entry ${next} was not read`);
      return false;
    }
    for (let index = next; index < seq; index++) {
      this.integrity.skip(undefined);
      this.history.unread(index);
      this.compareHeads();
    }
    return true;
  }

  private takeRow(row: SourceRow): void {
    this.entries++;
    const placed = this.place(row);
    if (placed === undefined) return this.history.unread(row.seq);
    const value = this.parse(placed, row.body as string);
    if (value === undefined) return this.history.unread(row.seq);
    this.takeEntry(placed, value, row);
  }

  /** Hashes the body. Undefined when it is not what was written, which `integrity` reports. */
  private place(row: SourceRow): Placed | undefined {
    const { seq, body } = row;
    const number = seq + 1;
    const unread = (code: VerifyCode, message: string): undefined => {
      this.findings.change(number, code, message);
      this.integrity.skip(row.leaf);
    };
    if (body === undefined)
      return unread(
        'ENTRY_UNREADABLE',
        row.bytes > MAX_ENTRY_BYTES ? `the body has ${row.bytes} bytes, ${MAX_ENTRY_BYTES} are the most` : 'the body is not text',
      );
    // Invalid UTF-8 reads as replacement characters: two different texts would look the same.
    if (body.includes(REPLACEMENT) && !Buffer.from(body).equals(this.source.bytes(seq) ?? new Uint8Array()))
      return unread('ENTRY_CHANGED', 'the body was changed: it is not valid UTF-8');
    const leaf = leafHash(body);
    return this.integrity.push(leaf, row.leaf) ? { index: seq, number, leaf } : undefined;
  }

  private parse(placed: Placed, body: string): { readonly [key: string]: Json } | undefined {
    try {
      const value = parseCanonical(body);
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as { readonly [key: string]: Json };
      this.findings.problem(placed.number, 'ENTRY_SHAPE', 'the body is not an object');
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      this.findings.problem(placed.number, 'ENTRY_NOT_CANONICAL', `the body is not canonical: ${error.message}`);
    }
    return undefined;
  }

  private takeEntry(placed: Placed, value: { readonly [key: string]: Json }, row: SourceRow): void {
    const { number, index } = placed;
    const shape = readShape(value);
    if (shape.kind === 'malformed' || shape.kind === 'version') {
      this.history.unread(index);
      if (shape.kind === 'malformed')
        this.findings.problem(number, 'ENTRY_SHAPE', `the entry does not have the shape of its kind: ${shape.why}`);
      else this.findings.problem(number, 'ENTRY_VERSION', `the entry has version ${shape.version}, which this verifier does not know`);
      return;
    }
    const shown = this.openings.take(row, value);
    if (shape.kind === 'unchecked') {
      this.notice(number, 'UNKNOWN_KIND', `entries of kind ${shape.name} are not checked by this version`);
      this.span(shape.at);
      return this.history.other(placed, shape);
    }
    if (shape.unknownFields !== undefined) this.notice(number, 'UNKNOWN_FIELD', `not checked by this version: ${shape.unknownFields}`);
    this.span(shape.entry.at);
    if (shape.kind === 'forget') {
      for (const ref of shape.entry.entries) {
        if (ref.of < index) this.openings.forget(ref);
        else this.findings.problem(number, 'FORGET_MISMATCH', `entry ${ref.of + 1}, which it names, does not stand before it`);
      }
      return this.history.other(placed, shape.entry);
    }
    this.history.take(placed, shape.entry, shown);
  }

  private notice(entry: number, code: VerifyCode, message: string): void {
    if (this.options.strict === true) this.findings.problem(entry, code, message);
    else this.findings.warn(entry, code, message);
  }

  private span(at: number): void {
    this.from ??= at;
    this.to = at;
  }

  /** After each entry: is this a size somebody made a statement about? */
  private compareHeads(): void {
    const { size } = this.integrity;
    if (this.wantedSizes.has(size)) this.integrity.keepRoot();
    while (this.kept !== undefined && this.kept.size <= size) {
      if (this.kept.size === size && size !== this.newest?.size) this.compareKept(this.kept);
      this.kept = this.source.checkpointAfter(this.kept.size);
    }
  }

  private compareKept(kept: StoredCheckpoint): void {
    const checkpoint = this.readStored(kept, 'kept checkpoint');
    if (checkpoint === undefined) return;
    this.integrity.keepRoot();
    const verdict = this.integrity.compare(checkpoint);
    if (verdict === 'same' || verdict === 'stored') this.integrity.matched(checkpoint.size);
    else if (this.brokenKept.length < MAX_BROKEN_CLAIMS) this.brokenKept.push(checkpoint);
    if (checkpoint.origin !== this.newest?.origin)
      this.findings.problem(0, 'ORIGIN_MISMATCH', `the checkpoint kept at size ${kept.size} is of another log`);
    if (checkpoint.signature === 'wrong')
      this.findings.problem(0, 'SIGNATURE_INVALID', `the checkpoint kept at size ${kept.size} has a signature that does not verify`);
    else if (this.asked.vkeys.length > 0 && checkpoint.signature !== 'trusted')
      this.findings.warn(0, 'SIGNATURE_UNKNOWN', `the checkpoint kept at size ${kept.size} is not signed by a key that was given`);
  }

  private readNewest(): ReadCheckpoint | undefined {
    const stored = this.source.newestCheckpoint();
    return stored === undefined ? undefined : this.readStored(stored, 'newest checkpoint');
  }

  private readStored(stored: StoredCheckpoint, what: string): ReadCheckpoint | undefined {
    const problem = (message: string): undefined => {
      this.findings.change(0, 'CHECKPOINT_INVALID', `the ${what} (size ${stored.size}) ${message}`);
    };
    if (stored.note === undefined) return problem('is not text, or too long');
    try {
      const checkpoint = readCheckpoint(stored.note, this.asked.vkeys);
      return checkpoint.size === stored.size ? checkpoint : problem(`says it has size ${checkpoint.size}`);
    } catch (error) {
      if (CountersignError.is(error)) return problem(`is malformed: ${error.message}`);
      throw error;
    }
  }

  /** The newest checkpoint covers exactly the entries there are. */
  private checkCoverage(): void {
    const { newest, integrity } = this;
    const { size } = integrity;
    const origin = this.source.origin;
    if (newest !== undefined && origin !== undefined && origin !== newest.origin)
      this.findings.problem(0, 'ORIGIN_MISMATCH', 'the ledger and its newest checkpoint name different origins');
    if (newest === undefined) {
      if (size > 0 && this.source.newestCheckpoint() === undefined)
        this.findings.change(0, 'CHECKPOINT_MISSING', `no checkpoint covers the ${size} entries`);
    } else if (newest.size > size) {
      this.findings.change(
        0,
        'LEDGER_TRUNCATED',
        `the newest checkpoint covers ${newest.size} entries: ${newest.size - size} are missing at the end`,
      );
    } else if (newest.size < size) {
      this.findings.change(
        newest.size + 1,
        'ENTRY_NOT_COVERED',
        `the newest checkpoint covers ${newest.size} entries: ${size - newest.size} were added after it`,
      );
    }
    for (const claim of this.brokenKept) {
      // When the newest one does not match either, the changed entry is the news.
      if (newest !== undefined && integrity.compare(newest) === 'same')
        this.findings.change(0, 'CHECKPOINT_FORKED', `the entries do not give the root of the checkpoint kept at size ${claim.size}`);
    }
  }

  private authorship(isIntact: boolean): VerifyReport['authorship'] {
    const { newest, asked, findings } = this;
    if (newest === undefined) return this.entries === 0 || asked.vkeys.length === 0 ? 'unsigned' : 'failed';
    if (asked.vkeys.length === 0) return newest.signature === 'none' ? 'unsigned' : 'unchecked';
    switch (newest.signature) {
      case 'trusted':
        // A good signature over other entries says nothing about who wrote these.
        return isIntact ? 'proven' : 'failed';
      case 'none':
        findings.problem(0, 'UNSIGNED', 'the newest checkpoint is not signed at all');
        return 'failed';
      case 'unknown':
        findings.problem(0, 'SIGNATURE_UNKNOWN', 'the newest checkpoint is not signed by a key that was given');
        return 'failed';
      case 'wrong':
        findings.problem(0, 'SIGNATURE_INVALID', 'the newest checkpoint has a signature that does not verify');
        return 'failed';
    }
  }

  private end(): VerifyReport['end'] {
    const { against, expected } = this.asked;
    const verdicts: VerifyReport['end'][] = [];
    if (against !== undefined) verdicts.push(this.isOurs(against) ? this.endAt(against, 'AGAINST', 'the checkpoint given') : 'unproven');
    if (expected !== undefined) verdicts.push(this.endAt(expected, 'EXPECT', 'the head expected'));
    if (verdicts.includes('contradicted')) return 'contradicted';
    return verdicts.length > 0 && verdicts.every((verdict) => verdict === 'proven') ? 'proven' : 'unproven';
  }

  private isOurs(against: ReadCheckpoint): boolean {
    const origin = this.newest?.origin ?? this.source.origin;
    if (against.origin !== origin) {
      this.findings.problem(0, 'AGAINST_ORIGIN', `the checkpoint given is of the log ${against.origin}, not of this one`);
      return false;
    }
    if (this.asked.vkeys.length > 0 && against.signature !== 'trusted') {
      this.findings.problem(0, 'AGAINST_SIGNATURE', 'the checkpoint given is not signed by a key that was given');
      return false;
    }
    return true;
  }

  private endAt(
    head: { readonly size: number | undefined; readonly root: string | undefined },
    prefix: string,
    what: string,
  ): VerifyReport['end'] {
    const entries = this.integrity.size;
    const { size = entries, root } = head;
    if (size > entries) {
      this.findings.problem(
        0,
        `${prefix}_TRUNCATED`,
        `${what} has ${size} entries, the ledger ${entries}: ${size - entries} are missing at the end`,
      );
      return 'contradicted';
    }
    const verdict = root === undefined ? 'same' : this.integrity.compare({ size, root });
    if (verdict === 'other') {
      this.findings.problem(0, `${prefix}_FORKED`, `the first ${size} entries are not those of ${what}`);
      return 'contradicted';
    }
    if (verdict === 'unknown') return 'unproven';
    if (size < entries)
      this.findings.warn(0, 'END_BEYOND_HEAD', `${entries - size} entries follow ${what}: nothing shows whether more followed them`);
    return 'proven';
  }

  private report(isIntact: boolean, authorship: VerifyReport['authorship'], end: VerifyReport['end']): VerifyReport {
    const { findings, history, integrity, newest, source } = this;
    const origin = newest?.origin ?? source.origin;
    const root = integrity.root;
    return {
      status: this.status(authorship, end),
      format: source.format,
      ...(origin !== undefined && { origin }),
      entries: this.entries,
      ...(root !== undefined && { root }),
      integrity: isIntact && this.entries > 0 ? 'intact' : findings.hasChanges ? 'broken' : 'unknown',
      authorship,
      end,
      open_decisions: history.openDecisions,
      counts: history.counts,
      forgotten: this.openings.forgotten,
      warnings: findings.warnings(),
      problems: findings.problems(),
      problem_count: findings.count,
      ...(this.from !== undefined && { from: isoTime(this.from) }),
      ...(this.to !== undefined && { to: isoTime(this.to) }),
    };
  }

  private status(authorship: VerifyReport['authorship'], end: VerifyReport['end']): VerifyReport['status'] {
    const { vkeys, against, expected } = this.asked;
    const isStrict = this.options.strict === true;
    if (this.findings.count > 0) return 'invalid';
    if (this.entries === 0) return 'unproven';
    if (authorship !== 'proven' && (isStrict || vkeys.length > 0)) return 'unproven';
    if (end !== 'proven' && (isStrict || against !== undefined || expected !== undefined)) return 'unproven';
    return isStrict && this.history.approvals.unchecked > 0 ? 'unproven' : 'valid';
  }
}

/** Times come from the file: those no calendar has are left as numbers. */
function isoTime(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

function unreadable(error: CountersignError): VerifyReport {
  const counts = {
    decisions: 0,
    allowed: 0,
    refused: 0,
    asked: 0,
    approvals: 0,
    outcomes: 0,
    sessions: 0,
    policies: 0,
    recoveries: 0,
    others: 0,
  };
  return {
    status: 'unreadable',
    format: 'countersign-1',
    entries: 0,
    integrity: 'unknown',
    authorship: 'unchecked',
    end: 'unproven',
    open_decisions: 0,
    counts,
    forgotten: 0,
    warnings: [],
    problems: [{ entry: 0, code: error.code, message: error.message }],
    problem_count: 1,
  };
}
