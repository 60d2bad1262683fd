/** The log inside a SQLite ledger: entries, tiles and checkpoints, with the tree of everything committed held in memory. */
import type { Database } from 'better-sqlite3';
import type { EntryRef } from '../call.ts';
import { CountersignError } from '../errors.ts';
import type { Clock, Signer } from '../interfaces.ts';
import { formatCheckpoint, parseCheckpoint, signCheckpoint } from '../ledger/checkpoint.ts';
import { isDeferred, marksTail } from '../ledger/deferred-signer.ts';
import { consistencyProof, inclusionProof, leafHash, verifyInclusion } from '../ledger/merkle.ts';
import { isSignedNote } from '../ledger/note.ts';
import { TileTree } from '../ledger/tiles.ts';
import type { Checkpoint } from '../store.ts';
import { type CheckpointRow, CheckpointRows, KEEP_EVERY, type Keep, readOwn, readUnsigned, rotatedAway } from './checkpoint-rows.ts';

/** Entries that are read one by one to catch up. */
const MAX_LAG = 2048;

export interface LogIdentity {
  readonly origin: string;
  /** Signs each commit, or later (`deferred-signer.ts`); absent = the ledger is unsigned. */
  readonly signer: Signer | undefined;
}

export class Log {
  private readonly identity: LogIdentity;
  private readonly clock: Clock;
  private readonly statements: ReturnType<typeof prepare>;
  private readonly checkpoints: CheckpointRows;
  private tree: TileTree;
  private lastAtMs = 0;
  /** The head that is known to be durable. */
  private durable: Checkpoint;
  /** Written, but COMMIT has not returned. */
  private sealed: Checkpoint | undefined;
  /** Size of the newest checkpoint that our key signed. */
  private signedSize = 0;
  /** Size up to which every entry is signed, written by this writer, or told to be neither (`unmarkedTail`). */
  private vouchedSize = 0;

  constructor(database: Database, identity: LogIdentity, clock: Clock) {
    this.identity = identity;
    this.clock = clock;
    this.statements = prepare(database);
    this.checkpoints = new CheckpointRows(database);
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
    const newest = this.checkpoints.newest();
    if (newest === undefined) {
      if (entries > 0) throw corrupt(`${entries} entries and no checkpoint`);
      // What was rolled back may still be in memory.
      this.tree = TileTree.empty(this);
      this.durable = { origin: this.identity.origin, size: 0, root: this.tree.root(), note: '' };
      this.sealed = undefined;
      this.lastAtMs = 0;
      this.signedSize = 0;
      this.vouchedSize = 0;
      return;
    }
    const { statements, durable, vouchedSize } = this;
    this.tree = TileTree.load(
      newest.size,
      this,
      (level, index) => statements.roots.all(level, index),
      (from) => statements.bodies.all(from, newest.size).map(leafHash),
    );
    if (entries !== newest.size) throw corrupt(`${entries} entries, but the newest checkpoint covers ${newest.size}`);
    // A ledger that is signed on an interval may end unsigned.
    const signed = this.identity.signer === undefined ? this.checkpoints.newestSigned() : undefined;
    if (signed !== undefined) readUnsigned(signed.note);
    // After a rollback it is the tree this writer stood on before; then its own entries are still its own.
    const isOurs = durable.size > 0 && durable.size <= this.tree.size && this.tree.rootAt(durable.size) === durable.root;
    this.vouchedSize = isOurs ? Math.min(vouchedSize, durable.size) : 0;
    this.acceptHead(newest);
  }

  /** Takes in what other writers committed since we last looked. @returns whether there was anything. */
  catchUp(): boolean {
    const newest = this.checkpoints.newest();
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
    const { origin, signer } = this.identity;
    const head = this.sealTiles();
    if (head.size === this.durable.size) return;
    const text = { origin, ...head };
    if (signer === undefined || isDeferred(signer)) return this.sealWith(formatCheckpoint(text), head);
    this.sealWith(signCheckpoint(text, signer), head);
  }

  /** Seals the commit of a rotation: by the key that goes and the one that comes. */
  sealRotation(next: Signer): Checkpoint {
    const { origin, signer } = this.identity;
    if (signer === undefined || isDeferred(signer))
      throw new CountersignError('KEY_MISMATCH', 'a rotation is signed by the old key: give its file');
    const head = this.sealTiles();
    const note = signCheckpoint({ origin, ...head }, signer, next);
    this.sealWith(note, head, 'rotation');
    return { origin, ...head, note };
  }

  private sealTiles(): { readonly size: number; readonly root: string } {
    for (const tile of this.tree.takeFullTiles()) {
      this.statements.insertTile.run(tile.level, tile.index, Buffer.from(tile.hashes, 'hex'), tile.root);
    }
    return { size: this.tree.size, root: this.tree.root() };
  }

  private sealWith(note: string, head: { readonly size: number; readonly root: string }, reason?: Keep): void {
    const { checkpoints, durable, identity } = this;
    const { size } = head;
    const isSigned = isSignedNote(note);
    if (isSigned && this.signedSize < durable.size) checkpoints.dropSignedBelow(size);
    if (!isSigned && identity.signer !== undefined && this.signedSize === durable.size) checkpoints.keepAsSigned(durable.size);
    // What is kept for good should prove who wrote it: under a deferred signer the signature decides, when it comes.
    const keep = reason ?? (passesMultiple(durable.size, size) && (isSigned || identity.signer === undefined) ? 'interval' : null);
    checkpoints.replace(size, note, keep, durable.size);
    this.sealed = { origin: identity.origin, ...head, note };
  }

  /**
   * Stores a signed note of a head this log went through: a signature that came later, or what an anchor gave back.
   *
   * @returns false when it is of no head of this log, or nothing is gained by it.
   * @throws {CountersignError} `KEY_MISMATCH` when our key did not sign it.
   */
  keepNote(note: string, reason: 'signed' | 'anchor'): boolean {
    const { signer, origin } = this.identity;
    const checkpoint = signer === undefined ? parseCheckpoint(note) : readOwn(note, signer.vkey, () => this.announcedKey());
    const { size, root } = checkpoint;
    if (checkpoint.origin !== origin || size === 0 || size > this.durable.size || this.tree.rootAt(size) !== root) return false;
    if (reason === 'signed' && size <= this.signedSize) return false;
    const isNewest = size === this.durable.size;
    const kept = reason === 'anchor' ? 'anchor' : passesMultiple(this.signedSize, size) ? 'interval' : isNewest ? null : 'signed';
    const stored = this.checkpoints.put(size, note, kept);
    if (signer !== undefined) {
      this.checkpoints.dropSignedBelow(Math.max(size, this.signedSize));
      this.signedSize = Math.max(size, this.signedSize);
    }
    if (isNewest) this.sealed = { ...this.durable, note: stored };
    return true;
  }

  /** Entries that another writer left unsigned and nobody has told of: no signature of ours may cover them silently. */
  unmarkedTail(): { readonly from: number; readonly to: number } | undefined {
    const { signer } = this.identity;
    if (signer === undefined || this.vouchedSize >= this.tree.size) return undefined;
    return { from: this.vouchedSize, to: this.tree.size };
  }

  /** The durable head, while it stands unsigned and every entry under it may be signed; under a deferred signer. */
  unsignedHead(): Checkpoint | undefined {
    return this.signedSize < this.durable.size && this.vouchedSize >= this.durable.size ? this.durable : undefined;
  }

  /** The newest head that may be shown elsewhere: signed, unless the ledger is not. */
  publishable(): { readonly size: number; readonly note: string } | undefined {
    return this.identity.signer === undefined ? this.checkpoints.newest() : this.checkpoints.newestSigned();
  }

  /** Entries there are, also those that another connection added since we last looked. */
  get storedSize(): number {
    return this.checkpoints.newest()?.size ?? 0;
  }

  consistencyProof(from: number, to: number): readonly string[] {
    return consistencyProof(from, to, (level, index) => this.tree.subtree(level, index));
  }

  /** Entries at the end that no signature covers. */
  get unsignedTail(): number {
    return this.identity.signer === undefined ? 0 : this.durable.size - this.signedSize;
  }

  /** COMMIT has returned: what was sealed is durable. Until then the head is the one before. */
  confirm(): void {
    const { sealed } = this;
    if (sealed === undefined) return;
    this.durable = sealed;
    this.sealed = undefined;
    this.vouchedSize = sealed.size;
    if (this.identity.signer !== undefined && isSignedNote(sealed.note)) this.signedSize = sealed.size;
  }

  /** Text of the entry at `ref`, proven against the root we stand on; undefined when it is not there. */
  proven(ref: EntryRef): string | undefined {
    const { text, leaf } = this.stored(ref.of) ?? {};
    return text !== undefined && leaf === ref.leaf && this.isProven(ref) ? text : undefined;
  }

  /** The same of whatever stands at that position. */
  provenAt(of: number): string | undefined {
    const { text, leaf } = this.stored(of) ?? {};
    return text !== undefined && leaf !== undefined && this.isProven({ of, leaf }) ? text : undefined;
  }

  private stored(of: number): { readonly text: string; readonly leaf: string } | undefined {
    if (!Number.isSafeInteger(of) || of < 0 || of >= this.tree.size) return undefined;
    const text = this.statements.body.get(of);
    return text === undefined ? undefined : { text, leaf: leafHash(text) };
  }

  private isProven({ of, leaf }: EntryRef): boolean {
    const { size } = this.tree;
    const proof = inclusionProof(of, size, (level, index) => this.tree.subtree(level, index));
    return verifyInclusion({ index: of, size, leaf, root: this.tree.root(), proof });
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

  private acceptHead(newest: CheckpointRow): void {
    const { origin, signer } = this.identity;
    const checkpoint = signer === undefined ? readUnsigned(newest.note) : this.readHead(newest, signer);
    if (checkpoint.origin !== origin) throw corrupt(`the checkpoint names origin ${checkpoint.origin}, the configuration ${origin}`);
    if (checkpoint.size !== newest.size || checkpoint.size !== this.tree.size || checkpoint.root !== this.tree.root()) {
      throw corrupt('the stored entries do not give the root of the newest checkpoint');
    }
    const last = newest.size === 0 ? undefined : this.statements.body.get(newest.size - 1);
    if (signer !== undefined) checkNotRotated(last, signer);
    this.durable = { origin, size: newest.size, root: checkpoint.root, note: newest.note };
    this.sealed = undefined;
    this.lastAtMs = newest.size === 0 ? 0 : atOf(last);
  }

  private readHead(newest: CheckpointRow, signer: Signer): ReturnType<typeof readOwn> {
    const announced = (): string | undefined => this.announcedKey();
    if (isSignedNote(newest.note) || !marksTail(signer)) {
      const checkpoint = readOwn(newest.note, signer.vkey, announced);
      this.signedSize = newest.size;
      this.vouchedSize = newest.size;
      return checkpoint;
    }
    this.signedSize = this.checkSignedPrefix(signer, announced);
    this.vouchedSize = Math.max(this.vouchedSize, this.signedSize);
    return parseCheckpoint(newest.note);
  }

  /** The newest signed head must be by our key, and of this tree. @returns its size. */
  private checkSignedPrefix(signer: Signer, announced: () => string | undefined): number {
    const signed = this.checkpoints.newestSigned();
    if (signed === undefined) {
      // Its writer died before the first signature. Who was to sign stands in the first entry, or nobody knows.
      const first = this.statements.body.get(0);
      if (first !== undefined && vkeyOf(first) === signer.vkey) return 0;
      throw new CountersignError('KEY_MISMATCH', 'no checkpoint of this ledger is signed: it is not the ledger of the configured key');
    }
    const { size, root, origin } = readOwn(signed.note, signer.vkey, announced);
    const isHead = origin === this.identity.origin && size === signed.size && size <= this.tree.size && this.tree.rootAt(size) === root;
    if (!isHead) throw corrupt('the entries do not give the root of the newest signed checkpoint');
    // What follows it may be unsigned because the next key has not signed yet.
    checkNotRotated(this.statements.body.get(size - 1), signer);
    return size;
  }

  /** Which key the last rotation announces: a hint for people, since whoever writes to the file can change the row. */
  private announcedKey(): string | undefined {
    const rotation = this.checkpoints.lastRotation();
    const body = rotation === undefined ? undefined : this.statements.body.get(rotation.size - 1);
    return body === undefined ? undefined : vkeyOf(body);
  }
}

/** The checkpoint of a rotation is signed by the old key too. Its last entry is the rotation itself. */
function checkNotRotated(last: string | undefined, signer: Signer): void {
  const next = last === undefined ? undefined : vkeyOf(last);
  if (next !== undefined && next !== signer.vkey) throw rotatedAway(next);
}

function passesMultiple(from: number, to: number): boolean {
  return Math.floor(to / KEEP_EVERY) > Math.floor(from / KEEP_EVERY);
}

function prepare(database: Database) {
  return {
    count: database.prepare<[], number>('SELECT coalesce(max(seq) + 1, 0) FROM entries').pluck(),
    bodies: database.prepare<[number, number], string>('SELECT body FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq').pluck(),
    body: database.prepare<[number], string>('SELECT body FROM entries WHERE seq = ?').pluck(),
    since: database.prepare<[number], string>('SELECT body FROM entries WHERE seq > ? ORDER BY seq').pluck(),
    insert: database.prepare<[number, string, string]>('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)'),
    roots: database.prepare<[number, number], string>('SELECT root FROM tiles WHERE level = ? AND idx >= ? ORDER BY idx').pluck(),
    tile: database.prepare<[number, number], Buffer>('SELECT hashes FROM tiles WHERE level = ? AND idx = ?').pluck(),
    insertTile: database.prepare<[number, number, Buffer, string]>('INSERT INTO tiles (level, idx, hashes, root) VALUES (?, ?, ?, ?)'),
  };
}

/** The key a `key` entry announces; undefined for any other entry. */
function vkeyOf(text: string): string | undefined {
  if (!text.includes('"kind":"key"')) return undefined;
  const entry: unknown = JSON.parse(text);
  if (typeof entry !== 'object' || entry === null || !('kind' in entry) || entry.kind !== 'key') return undefined;
  return 'vkey' in entry && typeof entry.vkey === 'string' ? entry.vkey : undefined;
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
