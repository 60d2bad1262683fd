/** Opening a ledger with every check, and what belongs to one open connection. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Database, Statement } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import type { Clock, Signer } from '../interfaces.ts';
import { newId } from '../ledger/body.ts';
import { type OpenedFile, openForWriting, retryBusy } from './database.ts';
import type { KnownHeads } from './known-heads.ts';
import { Leases } from './leases.ts';
import { Log } from './log.ts';
import { Rows } from './rows.ts';
import { checkSchema, createSchema, isFresh, upgradeSchema } from './schema.ts';
import { type LedgerView, macOf, metaOf } from './view.ts';

const MAX_RECOVERED_PER_ENTRY = 200;

/** Everything that belongs to one open connection that writes. */
export interface OpenLedger extends LedgerView {
  readonly file: OpenedFile;
  /** Prepared once: parsing two words costs as much as inserting a row. */
  readonly transaction: { readonly begin: Statement<[]>; readonly commit: Statement<[]> };
}

export interface OpenOptions {
  readonly path: string;
  readonly origin: string;
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  /** Name of this open of the store. */
  readonly writer: string;
  readonly create: boolean;
  /** Where last known heads are kept. */
  readonly heads: KnownHeads;
  /** Pid of a client that counts as a guard too. */
  readonly client?: number | undefined;
  /** A head this ledger must still hold, beside the one that `heads` tells of. */
  readonly known: Head | undefined;
  /** Calls that were refused because their commit failed, though it may be durable. */
  readonly doubtful: readonly string[];
}

/** What a ledger held at some time. */
export interface Head {
  readonly ledger: string;
  readonly size: number;
  readonly root: string;
}

/** @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH` */
export function openLedger(options: OpenOptions): OpenLedger {
  const { path, origin, signer, known, heads, writer } = options;
  // Whoever opens it again has seen less than those who wrote meanwhile.
  const seen = [known, heads.read()].filter((head) => head !== undefined);
  if (seen[0] !== undefined && !existsSync(path)) throw rolledBack(options, `it is gone, ${seen[0].size} entries were there before`);
  const file = openForWriting(path, options.create);
  const { database } = file;
  try {
    retryBusy(() => database.exec('BEGIN IMMEDIATE'));
    // SQLite has just opened the WAL and its index: those that lie there are ours. Once all is read they may be others.
    file.checkIdentity();
    const fresh = isFresh(database);
    if (fresh) initialise(database, seen[0], options);
    upgradeSchema(database);
    checkSchema(database);
    const meta = metaOf(database);
    const ledger = meta.get('ledger') ?? '';
    const log = new Log(database, { origin, signer }, options.clock);
    log.load();
    for (const head of seen) checkKnown(log, ledger, head, options);

    const leases = new Leases(database, writer);
    const rows = new Rows(database, log, leases, writer);
    rows.begin();
    leases.take();
    if (options.client !== undefined) leases.guards(options.client);
    markUnsignedTail(log, rows);
    if (fresh && signer !== undefined) rows.append({ kind: 'key', event: 'first', vkey: signer.vkey, from: 0 });
    markAbandoned(rows, leases, options.doubtful);
    leases.reapDead();
    log.seal();
    database.exec('COMMIT');
    log.confirm();
    file.checkIdentity();
    heads.write({ ledger, size: log.size, root: log.head().root });
    const mac = macOf(meta);
    const transaction = { begin: database.prepare<[]>('BEGIN IMMEDIATE'), commit: database.prepare<[]>('COMMIT') };
    return { file, database, transaction, log, rows, leases, ledger, mac };
  } catch (cause) {
    file.close();
    if (CountersignError.is(cause)) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${path}: ${detail}`, { cause });
  }
}

/**
 * What another writer left unsigned is told of before a signature of ours covers it: whoever could write to the file may
 * have added it. To be called first in every transaction.
 */
export function markUnsignedTail(log: Log, rows: Rows): void {
  const tail = log.unmarkedTail();
  if (tail === undefined) return;
  const before = rows.halts(tail).newest;
  const { from, to } = tail;
  rows.append({ kind: 'recovery', event: 'unsigned-tail', from, to, ...(before !== undefined && { before }) });
}

function initialise(database: Database, seen: Head | undefined, options: OpenOptions): void {
  if (seen !== undefined) throw rolledBack(options, `it is empty, ${seen.size} entries were there before`);
  createSchema(database);
  const put = database.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  put.run('format', 'countersign-1');
  put.run('ledger', newId());
  put.run('origin', options.origin);
  put.run('secret', randomBytes(32).toString('hex'));
}

function checkKnown(log: Log, ledger: string, known: Head, options: OpenOptions): void {
  if (known.ledger !== ledger) throw rolledBack(options, 'it is another ledger than the one last seen at this path');
  if (log.size < known.size) throw rolledBack(options, `it has ${log.size} entries, ${known.size} were there before`);
  if (log.rootAt(known.size) !== known.root) throw rolledBack(options, `its first ${known.size} entries are not those seen before`);
}

function rolledBack({ path, heads }: OpenOptions, what: string): CountersignError {
  return new CountersignError(
    'LEDGER_ROLLED_BACK',
    `${path}: ${what}. Put the newest copy back; if this ledger was replaced on purpose, delete ${heads.location}`,
  );
}

/**
 * Decisions of writers that died before their outcome: the tool may or may not have run, and nobody may repeat it blindly.
 *
 * Rows say where to look. Who wrote a decision, and whether it has an outcome, is read from the tree: an entry signed on
 * the strength of an edited row would make the ledger invalid for good.
 */
function markAbandoned(rows: Rows, leases: Leases, doubtful: readonly string[]): void {
  const ours = doubtful.flatMap((id) => rows.callById(id) ?? []).filter((call) => call.state === 'allowed');
  const candidates = [...rows.openCallsOf((writer) => leases.isAlive(writer)), ...ours];
  const allowed = candidates.flatMap((call) => {
    const entry = rows.entry(call.decision);
    const isAllow = entry?.kind === 'decision' && entry.effect === 'allow' && entry.call === call.id;
    if (!isAllow || (leases.isAlive(entry.writer) && !doubtful.includes(call.id))) return [];
    return [{ call, writer: entry.writer }];
  });
  if (allowed.length === 0) return;
  const settled = rows.settledSince(Math.min(...allowed.map(({ call }) => call.decision.of)));
  const abandoned = allowed.filter(({ call }) => !settled.has(call.decision.of));
  for (const [writer, group] of Map.groupBy(abandoned, (each) => each.writer)) {
    for (let i = 0; i < group.length; i += MAX_RECOVERED_PER_ENTRY) {
      const open = group.slice(i, i + MAX_RECOVERED_PER_ENTRY).map(({ call }) => call.decision);
      rows.append({ kind: 'recovery', event: 'open-decisions', of_writer: writer, open });
    }
    for (const { call } of group) rows.putCall({ ...call, state: 'unknown' });
  }
}
