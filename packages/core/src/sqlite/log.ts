/** The log inside a SQLite ledger: entries, tiles and checkpoints, with the tree of everything committed held in memory. */
import type { Database } from 'better-sqlite3';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import type { Clock, Signer } from '../interfaces.ts';
import { formatCheckpoint, parseCheckpoint, signCheckpoint, verifyCheckpoint } from '../ledger/checkpoint.ts';
import { inclusionProof, leafHash, verifyInclusion } from '../ledger/merkle.ts';
import { TileTree } from '../ledger/tiles.ts';
import type { Checkpoint } from '../store.ts';

/** A checkpoint is kept for good whenever the log passes a multiple of this. */
export const KEEP_EVERY = 65_536;

/** Entries that are read one by one to catch up. */
const MAX_LAG = 2048;

export interface LogIdentity {
  readonly origin: string;
  /** Signs each commit; absent = the ledger is unsigned. */
  readonly signer: Signer | undefined;
}

export class Log {
  private readonly identity: LogIdentity;
  private readonly clock: Clock;
  private readonly statements: ReturnType<typeof prepare>;
  private tree: TileTree;
  private lastAtMs = 0;
  /** The head that is known to be durable. */
  private durable: Checkpoint;
  /** Written, but COMMIT has not returned. */
  private sealed: Checkpoint | undefined;

  constructor(database: Database, identity: LogIdentity, clock: Clock) {
    this.identity = identity;
    this.clock = clock;
    this.statements = prepare(database);
    this.tree = TileTree.empty(this);
    this.durable = { origin: identity.origin, size: 0, root: this.tree.root(), note: '' };
  }

  get size(): number {
    return this.tree.size;
  }

  head(): Checkpoint {
    return this.durable;
  }

  rootAt(size: number): string {
    return this.tree.rootAt(size);
  }

  /** Store time: never below the newest entry. */
  nowMs(): number {
    return Math.max(this.lastAtMs, this.clock.nowMs());
  }

  /** The newest entry has this time: for a reader that does not read every entry. */
  noteTime(atMs: number): void {
    this.lastAtMs = Math.max(this.lastAtMs, atMs);
  }

  /**
   * Rebuilds the tree and checks it against the newest checkpoint: root, size, signature.
   * @throws {CountersignError} `LEDGER_CORRUPT`, `KEY_MISMATCH`
   */
  load(): void {
    const entries = Number(this.statements.count.get() ?? 0);
    const newest = this.statements.newest.get();
    if (newest === undefined) {
      if (entries > 0) throw corrupt(`${entries} entries and no checkpoint`);
      // What was rolled back may still be in memory.
      this.tree = TileTree.empty(this);
      this.durable = { origin: this.identity.origin, size: 0, root: this.tree.root(), note: '' };
      this.sealed = undefined;
      this.lastAtMs = 0;
      return;
    }
    const { statements } = this;
    this.tree = TileTree.load(
      newest.size,
      this,
      (level, index) => statements.roots.all(level, index),
      (from) => statements.bodies.all(from, newest.size).map(leafHash),
    );
    if (entries !== newest.size) throw corrupt(`${entries} entries, but the newest checkpoint covers ${newest.size}`);
    this.acceptHead(newest);
  }

  /** Takes in what other writers committed since we last looked. @returns whether there was anything. */
  catchUp(): boolean {
    const newest = this.statements.newest.get();
    if (newest === undefined || (newest.size === this.durable.size && newest.note === this.durable.note)) return false;
    if (newest.size < this.durable.size) {
      throw corrupt(`the newest checkpoint covers ${newest.size} entries, ${this.durable.size} were there before`);
    }
    if (newest.size - this.tree.size > MAX_LAG) {
      // Stored tiles are far less to read; that they continue what we knew is checked all the same.
      const { size, root } = this.durable;
      this.load();
      if (this.tree.rootAt(size) !== root) throw corrupt(`its first ${size} entries are not those that were there before`);
      return true;
    }
    for (const body of this.statements.bodies.all(this.tree.size, newest.size)) this.tree.push(leafHash(body));
    this.tree.takeFullTiles();
    this.acceptHead(newest);
    return true;
  }

  append(text: string, atMs: number): EntryRef {
    const leaf = leafHash(text);
    const of = this.tree.size;
    this.statements.insert.run(of, leaf, text);
    this.tree.push(leaf);
    this.lastAtMs = atMs;
    return { of, leaf };
  }

  /** Writes full tiles and the new checkpoint; the last step before COMMIT. */
  seal(): void {
    for (const tile of this.tree.takeFullTiles()) {
      this.statements.insertTile.run(tile.level, tile.index, Buffer.from(tile.hashes, 'hex'), tile.root);
    }
    const size = this.tree.size;
    if (size === this.durable.size) return;
    const { origin, signer } = this.identity;
    const root = this.tree.root();
    const note = signer === undefined ? formatCheckpoint({ origin, size, root }) : signCheckpoint({ origin, size, root }, signer);
    const keep = Math.floor(size / KEEP_EVERY) > Math.floor(this.durable.size / KEEP_EVERY) ? 'interval' : null;
    const { changes } = this.statements.replaceNewest.run(size, note, keep, this.durable.size);
    if (changes === 0) this.statements.insertCheckpoint.run(size, note, keep);
    this.sealed = { origin, size, root, note };
  }

  /** COMMIT has returned: what was sealed is durable. Until then the head is the one before. */
  confirm(): void {
    this.durable = this.sealed ?? this.durable;
    this.sealed = undefined;
  }

  /** Text of the entry at `ref`, proven against the root we stand on; undefined when it is not there. */
  proven(ref: EntryRef): string | undefined {
    if (!Number.isSafeInteger(ref.of) || ref.of < 0 || ref.of >= this.tree.size) return undefined;
    const text = this.statements.body.get(ref.of);
    if (text === undefined || leafHash(text) !== ref.leaf) return undefined;
    const size = this.tree.size;
    const proof = inclusionProof(ref.of, size, (level, index) => this.tree.subtree(level, index));
    return verifyInclusion({ index: ref.of, size, leaf: ref.leaf, root: this.tree.root(), proof }) ? text : undefined;
  }

  /**
   * Texts after position `of` that are `wanted`, once all of them are proven to be the tree's: somebody who edits the
   * file must not be able to hide one.
   */
  provenSince(of: number, wanted: (text: string) => boolean): readonly string[] {
    const range = this.tree.rangeAt(of + 1);
    const found: string[] = [];
    for (const text of this.statements.since.iterate(of)) {
      range.push(leafHash(text));
      if (wanted(text)) found.push(text);
    }
    if (range.size !== this.tree.size || range.root() !== this.tree.root())
      throw corrupt('the newest entries are not those that were committed');
    return found;
  }

  /** Implements TileReader for the tree. */
  tile(level: number, index: number): string | undefined {
    return this.statements.tile.get(level, index)?.toString('hex');
  }

  private acceptHead(newest: HeadRow): void {
    const { origin, signer } = this.identity;
    const checkpoint = signer === undefined ? parseUnsigned(newest.note) : verifyOwn(newest.note, signer);
    if (checkpoint.origin !== origin) throw corrupt(`the checkpoint names origin ${checkpoint.origin}, the configuration ${origin}`);
    if (checkpoint.size !== newest.size || checkpoint.size !== this.tree.size || checkpoint.root !== this.tree.root()) {
      throw corrupt('the stored entries do not give the root of the newest checkpoint');
    }
    this.durable = { origin, size: newest.size, root: checkpoint.root, note: newest.note };
    this.sealed = undefined;
    this.lastAtMs = newest.size === 0 ? 0 : atOf(this.statements.body.get(newest.size - 1));
  }
}

interface HeadRow {
  readonly size: number;
  readonly note: string;
}

function prepare(database: Database) {
  return {
    count: database.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM entries').pluck(),
    newest: database.prepare<[], HeadRow>('SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1'),
    bodies: database.prepare<[number, number], string>('SELECT body FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq').pluck(),
    body: database.prepare<[number], string>('SELECT body FROM entries WHERE seq = ?').pluck(),
    since: database.prepare<[number], string>('SELECT body FROM entries WHERE seq > ? ORDER BY seq').pluck(),
    insert: database.prepare<[number, string, string]>('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)'),
    roots: database.prepare<[number, number], string>('SELECT root FROM tiles WHERE level = ? AND idx >= ? ORDER BY idx').pluck(),
    tile: database.prepare<[number, number], Buffer>('SELECT hashes FROM tiles WHERE level = ? AND idx = ?').pluck(),
    insertTile: database.prepare<[number, number, Buffer, string]>('INSERT INTO tiles (level, idx, hashes, root) VALUES (?, ?, ?, ?)'),
    insertCheckpoint: database.prepare<[number, string, string | null]>('INSERT INTO checkpoints (size, note, keep) VALUES (?, ?, ?)'),
    replaceNewest: database.prepare<[number, string, string | null, number]>(
      'UPDATE checkpoints SET size = ?, note = ?, keep = ? WHERE size = ? AND keep IS NULL',
    ),
  };
}

function parseUnsigned(note: string): ReturnType<typeof parseCheckpoint> {
  if (note.includes('\n\n'))
    throw new CountersignError('KEY_MISMATCH', 'this ledger is signed: open it with its key, not with `sign: none`');
  return parseCheckpoint(note);
}

function verifyOwn(note: string, signer: Signer): ReturnType<typeof parseCheckpoint> {
  try {
    const { checkpoint, signedBy } = verifyCheckpoint(note, [signer.vkey]);
    if (signedBy.length > 0) return checkpoint;
  } catch (cause) {
    throw new CountersignError('KEY_MISMATCH', 'the newest checkpoint of this ledger does not verify under the configured key', { cause });
  }
  throw new CountersignError(
    'KEY_MISMATCH',
    'the newest checkpoint of this ledger is not signed by the configured key: check `ledger.key`',
  );
}

function atOf(text: string | undefined): number {
  const entry: unknown = text === undefined ? undefined : JSON.parse(text);
  const at = typeof entry === 'object' && entry !== null && 'at' in entry ? entry.at : undefined;
  if (!Number.isSafeInteger(at)) throw corrupt('the newest entry has no time');
  return at as number;
}

function corrupt(what: string): CountersignError {
  return new CountersignError('LEDGER_CORRUPT', `${what}: nothing is written to this ledger, run \`countersign verify\``);
}
