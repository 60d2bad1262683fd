/**
 * Attacks on a ledger file: with SQL against rows, and with the signing key against the whole log, so that only what the
 * entries claim can give the forgery away.
 */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import type { EntryRef, Json } from '../../src/index.ts';
import { canonicalize, signerFromPem } from '../../src/index.ts';
import { formatCheckpoint, signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { TileTree } from '../../src/ledger/tiles.ts';
import { LEDGER_PEM, ORIGIN, tempDirectory } from '../fixtures/ledger.ts';

/** An entry as anything: a forger is bound by no type. */
export type Loose = { [key: string]: Json };

export function copyOf(path: string): string {
  const copy = join(tempDirectory(), 'copy.db');
  copyFileSync(path, copy);
  return copy;
}

/** Runs SQL on a copy and mends nothing. */
export function edited(path: string, sql: string): string {
  const copy = copyOf(path);
  new Sqlite(copy).exec(sql).close();
  return copy;
}

/** Runs SQL on a copy; triggers that guard entries are taken away meanwhile and put back word for word. */
export function tampered(path: string, change: (database: Database) => void): string {
  const copy = copyOf(path);
  const database = new Sqlite(copy);
  const triggers = database.prepare<[], { name: string; sql: string }>(`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`).all();
  for (const { name } of triggers) database.exec(`DROP TRIGGER ${name}`);
  change(database);
  for (const { sql } of triggers) database.exec(sql);
  database.close();
  return copy;
}

export function entriesOf(path: string): Loose[] {
  const database = new Sqlite(path, { readonly: true });
  const bodies = database.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all();
  database.close();
  return bodies.map((body) => JSON.parse(body) as Loose);
}

export interface Forgery {
  /** Keep references as they are; default: each is given the new place and hash of what it named. */
  readonly keepReferences?: boolean;
  /** The word `none` leaves the ledger unsigned. */
  readonly pem?: string;
  readonly origin?: string;
  /** Texts in place of entries, by new position. */
  readonly texts?: ReadonlyMap<number, string>;
}

/**
 * A forged copy: entries changed by whoever holds the key, then hashed, linked and signed anew.
 *
 * @param change - gets the entries and gives those that shall stand; the same objects keep their openings.
 */
export function forged(path: string, change: (entries: Loose[]) => Loose[] | void, forgery: Forgery = {}): string {
  return tampered(path, (database) => {
    const rows = database.prepare<[], { seq: number; body: string }>('SELECT seq, body FROM entries ORDER BY seq').all();
    const old = rows.map(({ body }) => JSON.parse(body) as Loose);
    const oldPlace = new Map(old.map((entry, index) => [entry, index]));
    const entries = change([...old]) ?? old;
    const openings = database.prepare<[], { seq: number; key: string; sections: string }>('SELECT * FROM openings').all();
    const openingOf = new Map(openings.map((opening) => [opening.seq, opening]));
    database.exec('DELETE FROM entries; DELETE FROM openings; DELETE FROM tiles; DELETE FROM checkpoints');

    const refs: EntryRef[] = [];
    const tree = TileTree.empty({ tile: () => undefined });
    for (const [seq, entry] of entries.entries()) {
      const text = forgery.texts?.get(seq) ?? canonicalize(forgery.keepReferences === true ? entry : relink(entry, refs));
      const leaf = leafHash(text);
      const before = oldPlace.get(entry);
      if (before !== undefined) refs[before] = { of: seq, leaf };
      database.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)').run(seq, leaf, text);
      const opening = before === undefined ? undefined : openingOf.get(before);
      if (opening !== undefined) database.prepare('INSERT INTO openings VALUES (?, ?, ?)').run(seq, opening.key, opening.sections);
      tree.push(leaf);
    }
    for (const { level, index, hashes, root } of tree.takeFullTiles()) {
      database
        .prepare('INSERT INTO tiles (level, idx, hashes, root) VALUES (?, ?, ?, ?)')
        .run(level, index, Buffer.from(hashes, 'hex'), root);
    }
    const note = noteOf({ size: tree.size, root: tree.root() }, forgery);
    database.prepare('INSERT INTO checkpoints (size, note, keep) VALUES (?, ?, NULL)').run(tree.size, note);
  });
}

export function noteOf(head: { readonly size: number; readonly root: string }, forgery: Forgery = {}): string {
  const origin = forgery.origin ?? ORIGIN;
  if (forgery.pem === 'none') return formatCheckpoint({ ...head, origin });
  return signCheckpoint({ ...head, origin }, signerFromPem(forgery.pem ?? LEDGER_PEM, origin));
}

function relink(value: Json, refs: readonly EntryRef[]): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Json) => relink(item, refs));
  const members = value as { readonly [key: string]: Json };
  if (typeof members['of'] === 'number' && 'leaf' in members) return { ...members, ...refs[members['of']] };
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, relink(member, refs)]));
}
