/** What a process reads through: tables, and the tree that says which entries are proven. */
import type { Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import type { Clock, Signer } from '../interfaces.ts';
import { hmacUnder } from '../ledger/hmac.ts';
import type { Checkpoint } from '../store.ts';
import { closeQuietly, openForReading } from './database.ts';
import { Leases } from './leases.ts';
import { Log } from './log.ts';
import { Rows } from './rows.ts';
import { checkSchema } from './schema.ts';

export interface LedgerView {
  readonly database: Database;
  readonly log: Log;
  readonly rows: Rows;
  readonly leases: Leases;
  /** Its random identity. */
  readonly ledger: string;
  /** HMAC-SHA-256 under the ledger's secret, hex. */
  readonly mac: (text: string) => string;
}

export interface ViewOptions {
  readonly path: string;
  readonly origin: string;
  readonly signer: Signer | undefined;
  readonly clock: Clock;
  /** Name of this open of the store. */
  readonly writer: string;
}

/**
 * A connection that reads, beside the one that writes. What was committed is seen by the next read.
 *
 * @throws {CountersignError} `LEDGER_*`, `KEY_MISMATCH`
 */
export function openView({ path, origin, signer, clock, writer }: ViewOptions): LedgerView {
  const database = openForReading(path);
  try {
    return database.transaction(() => {
      checkSchema(database);
      const meta = metaOf(database);
      const log = new Log(database, { origin, signer }, clock);
      log.load();
      const leases = new Leases(database, writer);
      const rows = new Rows(database, log, leases, writer);
      return { database, log, rows, leases, ledger: meta.get('ledger') ?? '', mac: macOf(meta) };
    })();
  } catch (cause) {
    closeQuietly(database);
    if (CountersignError.is(cause)) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('LEDGER_UNREADABLE', `cannot open the ledger ${path}: ${detail}`, { cause });
  }
}

/** Takes in what was committed since. @returns the newest head, checked. */
export function newestHead({ database, log, rows }: LedgerView): Checkpoint {
  if (database.transaction(() => log.catchUp())()) rows.fallBehind();
  return log.head();
}

export function metaOf(database: Database): ReadonlyMap<string, string> {
  return new Map(database.prepare<[], [string, string]>('SELECT key, value FROM meta').raw().all());
}

const SECRET_BYTES = 32;

/**
 * HMAC-SHA-256 under the ledger's secret.
 *
 * @throws {CountersignError} `LEDGER_UNREADABLE` when there is none.
 */
export function macOf(meta: ReadonlyMap<string, string>): (text: string) => string {
  const secret = Buffer.from(meta.get('secret') ?? '', 'hex');
  if (secret.length !== SECRET_BYTES)
    throw new CountersignError('LEDGER_UNREADABLE', 'the secret of this ledger is not 32 bytes: anybody could guess what is made with it');
  return hmacUnder(secret);
}
