/** Reading a ledger without writing a byte: for export, head, the list of approvals, and other tools. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { listingOf } from '../approval/listing.ts';
import type { BudgetQuery, BudgetUse } from '../budget/use.ts';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { GrantHistories, type GrantPlaces } from '../grant/history.ts';
import { grantRow } from '../grant/row.ts';
import { isAfterHalt } from '../halt/after-halt.ts';
import { parseEntry } from '../ledger/body.ts';
import { type ParsedCheckpoint, parseCheckpoint } from '../ledger/checkpoint.ts';
import type { Entry, Opening } from '../ledger/entry.ts';
import { leafHash } from '../ledger/merkle.ts';
import { parseNote } from '../ledger/note.ts';
import { byServerAndName, PinBook, type PinState } from '../pin/book.ts';
import type { Checkpoint } from '../store.ts';
import type { ApprovalCounts, ApprovalFilter, GrantRow } from '../store-rows.ts';
import type { ApprovalRecord, GrantRecord } from '../transaction/tx.ts';
import { type ApprovalView, approvalView, newestAnswer } from './approval-view.ts';
import { openForReading } from './database.ts';
import { Leases, liveWriterPids } from './leases.ts';
import { Log } from './log.ts';
import { removeReaderFiles } from './read-only.ts';
import { Rows } from './rows.ts';
import { checkSchema, checkTables } from './schema.ts';
import { macOf, metaOf } from './view.ts';

const MAX_GRANTS_READ = 10_000;

/** One entry as stored. Nothing about it has been verified. */
export interface LedgerLine {
  /** 0-based leaf index. */
  readonly index: number;
  /** The stored text; canonical JSON in a ledger nobody tampered with. */
  readonly text: string;
  /** RFC 6962 leaf hash of `text`, hex. */
  readonly leaf: string;
  readonly opening?: Opening;
}

export interface LedgerReader {
  readonly origin: string;
  /**
   * The newest checkpoint. Its form is checked, its signature and the entries behind it are not: that is `verify`.
   * @returns undefined for a ledger without entries.
   * @throws {CountersignError} `LEDGER_CORRUPT`
   */
  head(): Checkpoint | undefined;
  /** The newest checkpoint that was copied to an anchor, as stored: its signatures are not checked. */
  copied(): { readonly size: number; readonly note: string } | undefined;
  /** Entries in order, from a leaf index on. Use one iteration at a time. */
  entries(from?: number): Iterable<LedgerLine>;
  /**
   * One page, at most 100 unless a limit is given: pending ones oldest first, others newest first. The next page starts
   * `after` the last one of this.
   *
   * @throws {CountersignError} `OPTIONS_INVALID`, `APPROVAL_NOT_FOUND` for a page after an approval that is not there.
   */
  approvals(filter?: ApprovalFilter): readonly ApprovalView[];
  /** How many there are, by state, reading none of them. Rows say so; `verify` counts entries. */
  approvalCounts(filter?: ApprovalFilter): ApprovalCounts;
  approval(id: string): ApprovalView | undefined;
  /** What is charged to a budget by now: the wall clock, or the newest entry if that is later. Nothing of it is verified. */
  budgetUse(query: BudgetQuery): BudgetUse;
  /** HMAC-SHA-256 under the ledger's secret, hex. */
  mac(text: string): string;
  /** Every grant, newest first, at most 10,000, with what the entries tell of its use. Like all of this not verified. */
  grants(): readonly GrantRow[];
  grant(id: string): GrantRow | undefined;
  /** Every tool that was ever pinned, by server and name. Like all of this not verified. */
  pins(): readonly PinState[];
  /** What lies beside an entry, unchecked. */
  opening(of: number): Opening | undefined;
  /** Processes on this host that write to this ledger now, and clients whose hooks do: its guards. */
  liveWriterPids(): readonly number[];
  close(): void;
}

/**
 * Opens a ledger for reading. All reads see one snapshot, taken here; it is held until `close`.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION`; the same from the methods.
 */
export function readLedger(path: string): LedgerReader {
  const file = resolve(path);
  const wasClosed = !existsSync(`${file}-wal`) && !existsSync(`${file}-shm`);
  const database = openForReading(file);
  const readable = <T>(read: () => T): T => reading(file, read);
  const close = (): void => {
    database.close();
    // A reader's empty files would keep a guard of another user from opening its own ledger.
    if (wasClosed) removeReaderFiles(file);
  };
  try {
    return readable(() => {
      database.exec('BEGIN');
      checkSchema(database);
      checkTables(database);
      return new Reader(database, readable, close);
    });
  } catch (error) {
    close();
    throw error;
  }
}

/** Whatever SQLite objects to in a file somebody else made becomes one code. */
function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (CountersignError.is(cause)) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('LEDGER_UNREADABLE', `cannot read the ledger ${path}: ${detail}`, { cause });
  }
}

class Reader implements LedgerReader {
  readonly origin: string;
  readonly #database: Database;
  readonly #readable: <T>(read: () => T) => T;
  readonly #close: () => void;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #rows: Rows;
  #histories: GrantHistories | undefined;
  #mac: ((text: string) => string) | undefined;

  constructor(database: Database, readable: <T>(read: () => T) => T, close: () => void) {
    this.#close = close;
    this.#database = database;
    this.#readable = readable;
    this.#statements = prepare(database);
    this.origin = this.#statements.origin.get() ?? '';
    // Only the parts that read are used, and the connection could not write.
    const log = new Log(database, { origin: this.origin, signer: undefined }, { nowMs: Date.now });
    this.#rows = new Rows(database, log, new Leases(database, ''), '');
  }

  head(): Checkpoint | undefined {
    const note = this.#readable(() => this.#statements.newest.get());
    if (note === undefined) return undefined;
    const { origin, size, root } = parseHead(note);
    return { origin, size, root, note };
  }

  copied(): { readonly size: number; readonly note: string } | undefined {
    return this.#readable(() => this.#statements.copied.get());
  }

  *entries(from = 0): Generator<LedgerLine> {
    const rows = this.#readable(() => this.#statements.entries.iterate(from));
    try {
      for (;;) {
        const next = this.#readable(() => rows.next());
        if (next.done === true) return;
        yield ledgerLine(next.value);
      }
    } finally {
      // A statement left half read would keep the file from being closed.
      rows.return?.();
    }
  }

  approvals(filter?: ApprovalFilter): readonly ApprovalView[] {
    const listing = listingOf(filter);
    return this.#readable(() => this.#rows.approvals(listing, Date.now()).map((row) => this.#view(row)));
  }

  approvalCounts(filter?: ApprovalFilter): ApprovalCounts {
    return this.#readable(() => this.#rows.approvalCounts(listingOf(filter), Date.now()));
  }

  approval(id: string): ApprovalView | undefined {
    return this.#readable(() => {
      const row = this.#rows.approval(id);
      if (row === undefined) return undefined;
      const level = isAfterHalt(row.tool) ? this.#coverageAfter(row.ask.of, row.session) : undefined;
      return { ...this.#view(row), ...(level !== undefined && { coverageSince: level }) };
    });
  }

  grants(): readonly GrantRow[] {
    return this.#readable(() => this.#rows.grants(MAX_GRANTS_READ).flatMap((row) => this.#grant(row) ?? []));
  }

  grant(id: string): GrantRow | undefined {
    return this.#readable(() => {
      const row = this.#rows.grant(id);
      return row === undefined ? undefined : this.#grant(row);
    });
  }

  pins(): readonly PinState[] {
    const { since } = this.#statements;
    return this.#readable(() => {
      // All of them: nothing here decides anything, and what a mark hides should be seen.
      const entriesSince = (of: number, wanted: (text: string) => boolean): readonly string[] => {
        const found: string[] = [];
        for (const text of since.iterate(of)) if (wanted(text)) found.push(text);
        return found;
      };
      const book = new PinBook({ entriesSince, entry: () => undefined, mark: () => undefined });
      return [...book.readOn(this.#size()).all()].toSorted(byServerAndName);
    });
  }

  opening(of: number): Opening | undefined {
    return this.#readable(() => this.#rows.opening(of));
  }

  budgetUse(query: BudgetQuery): BudgetUse {
    return this.#readable(() => this.#rows.budgetUse(query, Math.max(Date.now(), this.#newestAt())));
  }

  mac(text: string): string {
    return this.#readable(() => {
      this.#mac ??= macOf(metaOf(this.#database));
      return this.#mac(text);
    });
  }

  /** Store time never goes back: where the clock did, windows end where the guards of this ledger see them end. */
  #newestAt(): number {
    const body = this.#statements.last.get();
    const entry: unknown = body === undefined ? undefined : JSON.parse(body);
    const at = typeof entry === 'object' && entry !== null && 'at' in entry ? entry.at : undefined;
    return typeof at === 'number' ? at : 0;
  }

  liveWriterPids(): readonly number[] {
    return this.#readable(() => liveWriterPids(this.#database));
  }

  close(): void {
    this.#close();
  }

  #grant(row: GrantRecord): GrantRow | undefined {
    const { since } = this.#statements;
    this.#histories ??= new GrantHistories((of, wanted) => {
      const found: string[] = [];
      for (const text of since.iterate(of)) if (wanted(text)) found.push(text);
      return found;
    });
    const histories = this.#histories;
    const parts = {
      entry: (ref: EntryRef) => this.#entryAt(ref),
      opening: (of: number) => this.#rows.opening(of),
      history: (places: GrantPlaces) => histories.of(places, this.#size()),
    };
    return grantRow(row, parts, Date.now());
  }

  /** A sensor may die while people think. Newest first, and text that cannot be such an entry is not parsed. */
  #coverageAfter(of: number, session: string): string | undefined {
    for (const text of this.#statements.coverage.iterate(of)) {
      const entry = parsed(text);
      if (entry?.kind === 'session' && entry.event === 'coverage' && entry.session === session && typeof entry.coverage === 'string')
        return entry.coverage;
    }
    return undefined;
  }

  /** Undefined when nothing, or something else, stands there. */
  #entryAt({ of, leaf }: EntryRef): Entry | undefined {
    const text = this.#statements.body.get(of);
    return text === undefined || leafHash(text) !== leaf ? undefined : parseEntry(text);
  }

  #size(): number {
    return (this.#statements.newestSeq.get() ?? -1) + 1;
  }

  #view(row: ApprovalRecord): ApprovalView {
    const answered = newestAnswer(row);
    const parts = {
      text: (of: number) => this.#statements.body.get(of),
      opening: this.#rows.opening(row.ask.of),
      answer: answered === undefined ? undefined : this.#rows.opening(answered.of),
      openingAt: (of: number) => this.#rows.opening(of),
    };
    return approvalView(row, parts, Date.now());
  }
}

function parsed(text: string): Entry | undefined {
  try {
    return parseEntry(text);
  } catch {
    return undefined;
  }
}

interface EntrySql {
  readonly seq: number;
  readonly body: string;
  readonly key: string | null;
  readonly sections: string | null;
}

function ledgerLine({ seq, body, key, sections }: EntrySql): LedgerLine {
  const opening = key === null || sections === null ? undefined : { key, sections: parseSections(sections) };
  return { index: seq, text: body, leaf: leafHash(body), ...(opening !== undefined && { opening }) };
}

function prepare(database: Database) {
  return {
    origin: database.prepare<[], string>(`SELECT value FROM meta WHERE key = 'origin'`).pluck(),
    newest: database.prepare<[], string>('SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1').pluck(),
    copied: database.prepare<[], { readonly size: number; readonly note: string }>(
      "SELECT size, note FROM checkpoints WHERE keep = 'anchor' ORDER BY size DESC LIMIT 1",
    ),
    last: database.prepare<[], string>('SELECT body FROM entries ORDER BY seq DESC LIMIT 1').pluck(),
    body: database.prepare<[number], string>('SELECT body FROM entries WHERE seq = ?').pluck(),
    since: database.prepare<[number], string>('SELECT body FROM entries WHERE seq > ? ORDER BY seq').pluck(),
    coverage: database
      .prepare<[number], string>(`SELECT body FROM entries WHERE seq > ? AND instr(body, '"event":"coverage"') > 0 ORDER BY seq DESC`)
      .pluck(),
    newestSeq: database.prepare<[], number | null>('SELECT max(seq) FROM entries').pluck(),
    entries: database.prepare<[number], EntrySql>(
      'SELECT entries.seq, body, openings.key, sections FROM entries LEFT JOIN openings ON openings.seq = entries.seq WHERE entries.seq >= ? ORDER BY entries.seq',
    ),
  };
}

function parseHead(note: string): ParsedCheckpoint {
  try {
    // An unsigned ledger keeps the text alone.
    return parseCheckpoint(note.includes('\n\n') ? parseNote(note).text : note);
  } catch (cause) {
    throw new CountersignError('LEDGER_CORRUPT', 'the newest checkpoint is malformed: run `countersign verify`', { cause });
  }
}

/** Openings are not under the tree; what does not parse is shown as the text it is. */
function parseSections(text: string): Opening['sections'] {
  try {
    const sections: unknown = JSON.parse(text);
    if (typeof sections === 'object' && sections !== null && !Array.isArray(sections)) return sections as Opening['sections'];
  } catch {
    // Below.
  }
  return { malformed: text };
}
