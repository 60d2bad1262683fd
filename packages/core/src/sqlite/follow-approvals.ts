/** Following what happens to the approvals of a ledger, live and without writing a byte. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Database } from 'better-sqlite3';
import { type ApprovalEvent, eventsSince, JUST_ASKED, type Told, toldOf } from '../approval/events.ts';
import { MAX_APPROVALS_LISTED } from '../approval/listing.ts';
import { CountersignError } from '../errors.ts';
import type { ApprovalView } from './approval-view.ts';
import { isBusy, openForReading } from './database.ts';
import { LedgerChanges } from './ledger-changes.ts';
import { removeReaderFiles } from './read-only.ts';
import { type LedgerReader, readLedger } from './reader.ts';

export interface FollowOptions {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Told once when the file has to be polled: `LEDGER_NOT_WATCHED`. */
  readonly onError?: (error: CountersignError) => void;
}

/** Entries looked at in one go. */
const CHUNK = 1000;
/** How often the rows of what waits are looked at: an approval may fail without an entry. */
const ROWS_MS = 1000;

/**
 * First `asked` for everything that waits now, oldest first, then events as they come. Holds no snapshot between two, so
 * checkpoints go on. Nothing about it is proven; views say where they differ from entries.
 *
 * @throws {CountersignError} `LEDGER_NOT_FOUND`, `LEDGER_UNREADABLE`, `LEDGER_VERSION`; `LEDGER_REPLACED` once another file lies there.
 */
export async function* followApprovals(path: string, options: FollowOptions): AsyncGenerator<ApprovalEvent<ApprovalView>, void> {
  const file = resolve(path);
  const follower = new Follower(file, options);
  const { signal } = options;
  const stop = (): void => follower.wakeUp();
  signal.addEventListener('abort', stop);
  try {
    follower.start();
    for (;;) {
      for (let event = follower.next(); event !== undefined; event = follower.next()) {
        if (signal.aborted) return;
        yield event;
      }
      if (signal.aborted) return;
      await follower.more();
    }
  } finally {
    signal.removeEventListener('abort', stop);
    follower.close();
  }
}

class Follower {
  private readonly file: string;
  private readonly database: Database;
  private readonly wasClosed: boolean;
  private readonly inode: bigint | undefined;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly changes: LedgerChanges;
  private readonly events: ApprovalEvent<ApprovalView>[] = [];
  /** What waits for an answer, or to be used, as told. */
  private readonly open = new Map<string, Told & { readonly expiresAtMs: number }>();
  private size = 0;
  /** Asks from here on are new. */
  private startedAt = 0;
  private version = -1;
  private rowsAt = 0;
  private failure: unknown;
  private wake: (() => void) | undefined;

  constructor(file: string, { onError = () => {} }: FollowOptions) {
    this.file = file;
    this.wasClosed = !existsSync(`${file}-wal`) && !existsSync(`${file}-shm`);
    // With all checks of a first look at a file that may be anybody's.
    readLedger(file).close();
    this.database = openForReading(file);
    this.inode = inodeOf(file);
    this.statements = prepare(this.database);
    this.changes = new LedgerChanges({ file: `${file}-wal`, look: () => this.look(), onError });
  }

  start(): void {
    this.version = this.statements.version.get() ?? 0;
    this.size = this.statements.size.get() ?? 0;
    this.startedAt = this.size;
    this.withReader((reader) => {
      // Of what is approved only the use is still to come.
      for (const view of reader.approvals({ state: 'approved', limit: MAX_APPROVALS_LISTED })) this.remember(view);
      for (const view of reader.approvals({ state: 'pending', limit: MAX_APPROVALS_LISTED })) this.tell(view, undefined);
    });
    this.changes.start();
  }

  /** @throws what broke it, once everything before was taken. */
  next(): ApprovalEvent<ApprovalView> | undefined {
    const event = this.events.shift();
    if (event === undefined && this.failure !== undefined) throw this.failure;
    return event;
  }

  async more(): Promise<void> {
    if (this.events.length > 0 || this.failure !== undefined) return;
    await new Promise<void>((woken) => {
      this.wake = woken;
    });
  }

  wakeUp(): void {
    this.wake?.();
    this.wake = undefined;
  }

  close(): void {
    this.changes.stop();
    this.database.close();
    // A reader's empty files would keep a guard of another user from opening its own ledger.
    if (this.wasClosed) removeReaderFiles(this.file);
  }

  private look(): boolean {
    try {
      if (inodeOf(this.file) !== this.inode)
        throw new CountersignError('LEDGER_REPLACED', `${this.file} was removed or replaced while it was followed: start again`);
      const version = this.statements.version.get() ?? 0;
      const changed = version !== this.version;
      if (changed) this.version = version;
      const ids = new Set(changed ? this.named() : []);
      for (const id of this.lapsed(changed)) ids.add(id);
      if (ids.size > 0) this.withReader((reader) => this.tellAll(ids, (id) => reader.approval(id)));
      return changed;
    } catch (error) {
      if (isBusy(error)) return true;
      this.failure = error;
      this.changes.stop();
      return false;
    } finally {
      if (this.events.length > 0 || this.failure !== undefined) this.wakeUp();
    }
  }

  /** Approvals that new entries are about, in their order. */
  private named(): readonly string[] {
    const ids: string[] = [];
    for (;;) {
      const rows = this.statements.named.all(this.size, this.size + CHUNK);
      for (const { id } of rows) if (typeof id === 'string') ids.push(id);
      const size = this.statements.size.get() ?? 0;
      this.size = Math.min(size, this.size + CHUNK);
      if (this.size >= size) return ids;
    }
  }

  /** What nobody writes an entry about: that time ran out, or that nobody could be asked. */
  private lapsed(changed: boolean): readonly string[] {
    const nowMs = Date.now();
    const expired = [...this.open].flatMap(([id, { state, expiresAtMs }]) => (state === 'pending' && nowMs >= expiresAtMs ? [id] : []));
    const now = performance.now();
    if (!changed || now - this.rowsAt < ROWS_MS) return expired;
    this.rowsAt = now;
    return [...expired, ...this.statements.settled.all(JSON.stringify([...this.open.keys()]))];
  }

  private tellAll(ids: ReadonlySet<string>, viewOf: (id: string) => ApprovalView | undefined): void {
    for (const id of ids) {
      const view = viewOf(id);
      if (view === undefined) this.open.delete(id);
      else this.tell(view, this.open.get(id));
    }
  }

  private tell(view: ApprovalView, told: Told | undefined): void {
    const isNew = told === undefined && (view.state === 'pending' || view.ask.of >= this.startedAt);
    if (isNew) this.events.push({ kind: 'asked', approval: { ...view, state: 'pending', answers: [] } });
    this.events.push(...eventsSince(told ?? (isNew ? JUST_ASKED : { ...JUST_ASKED, answers: view.answers.length }), view));
    this.remember(view);
  }

  private remember(view: ApprovalView): void {
    if (view.state === 'pending' || view.state === 'approved') this.open.set(view.id, { ...toldOf(view), expiresAtMs: view.expiresAtMs });
    else this.open.delete(view.id);
  }

  private withReader(read: (reader: LedgerReader) => void): void {
    const reader = readLedger(this.file);
    try {
      read(reader);
    } finally {
      reader.close();
    }
  }
}

function inodeOf(file: string): bigint | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}

function prepare(database: Database) {
  return {
    version: database.prepare<[], number>('PRAGMA data_version').pluck(),
    size: database.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM entries').pluck(),
    named: database.prepare<[number, number], { readonly id: unknown }>(
      `SELECT iif(json_valid(body), coalesce(body ->> '$.approval.id', body ->> '$.approval'), NULL) AS id FROM entries
       WHERE seq >= ? AND seq < ? AND instr(body, '"approval":') > 0 ORDER BY seq`,
    ),
    settled: database
      .prepare<[string], string>(
        `SELECT value FROM json_each(?) LEFT JOIN approvals ON approvals.id = value WHERE approvals.state NOT IN ('pending', 'approved')`,
      )
      .pluck(),
  };
}
