/** The checkpoints of a SQLite ledger: which row is the newest, which are kept and why, and whose signature they carry. */
import type { Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { type ParsedCheckpoint, parseCheckpoint, verifyCheckpoint } from '../ledger/checkpoint.ts';
import { isSignedNote, mergeNotes } from '../ledger/note.ts';

/** A checkpoint is kept for good whenever the log passes a multiple of this. */
export const KEEP_EVERY = 65_536;

/**
 * Why a checkpoint is kept: it passed a multiple of `KEEP_EVERY`; it was sent elsewhere; two keys signed it; or it is the
 * newest signed one of a ledger whose newest is not signed yet, and goes when the next one is.
 */
export type Keep = 'interval' | 'anchor' | 'rotation' | 'signed';

export interface CheckpointRow {
  readonly size: number;
  readonly note: string;
  readonly keep: string | null;
}

export class CheckpointRows {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.statements = prepare(database);
  }

  newest(): CheckpointRow | undefined {
    return this.statements.newest.get();
  }

  /** The newest one that carries signatures, whoever's they are. */
  newestSigned(): CheckpointRow | undefined {
    return this.statements.newestSigned.get();
  }

  lastRotation(): CheckpointRow | undefined {
    return this.statements.lastRotation.get();
  }

  /** The checkpoint of a commit, in place of the newest one unless that is kept. */
  replace(size: number, note: string, keep: Keep | null, before: number): void {
    const { changes } = this.statements.replace.run(size, note, keep, before);
    if (changes === 0) this.statements.insert.run(size, note, keep);
  }

  /** The newest one is signed and the next will not be: it stays, as what is proven so far. */
  keepAsSigned(size: number): void {
    this.statements.markSigned.run(size);
    this.statements.dropSigned.run(size);
  }

  /** Everything up to a size is signed by a newer checkpoint. */
  dropSignedBelow(size: number): void {
    this.statements.dropSigned.run(size);
  }

  /**
   * Stores a note of a size that was reached before, beside or in place of what stands there: signatures are only added.
   *
   * @param keep - null: the newest one, kept for nothing.
   * @returns the note as it stands now.
   */
  put(size: number, note: string, keep: Keep | null): string {
    const known = this.statements.at.get(size);
    if (known === undefined) {
      this.statements.insert.run(size, note, keep);
      return note;
    }
    const merged = mergeNotes(known.note, note);
    const stays = known.keep === null || known.keep === 'signed' ? keep : known.keep;
    this.statements.update.run(merged, stays, size);
    return merged;
  }
}

function prepare(database: Database) {
  const one = (where: string): string => `SELECT size, note, keep FROM checkpoints ${where} ORDER BY size DESC LIMIT 1`;
  return {
    newest: database.prepare<[], CheckpointRow>(one('')),
    newestSigned: database.prepare<[], CheckpointRow>(one('WHERE instr(note, char(10) || char(10)) > 0')),
    lastRotation: database.prepare<[], CheckpointRow>(one("WHERE keep = 'rotation'")),
    at: database.prepare<[number], CheckpointRow>('SELECT size, note, keep FROM checkpoints WHERE size = ?'),
    insert: database.prepare<[number, string, Keep | null]>('INSERT INTO checkpoints (size, note, keep) VALUES (?, ?, ?)'),
    replace: database.prepare<[number, string, Keep | null, number]>(
      'UPDATE checkpoints SET size = ?, note = ?, keep = ? WHERE size = ? AND keep IS NULL',
    ),
    update: database.prepare<[string, string | null, number]>('UPDATE checkpoints SET note = ?, keep = ? WHERE size = ?'),
    markSigned: database.prepare<[number]>("UPDATE checkpoints SET keep = 'signed' WHERE size = ? AND keep IS NULL"),
    dropSigned: database.prepare<[number]>("DELETE FROM checkpoints WHERE keep = 'signed' AND size < ?"),
  };
}

/** The text of a checkpoint of a ledger that is not signed. @throws {CountersignError} `KEY_MISMATCH` when it is. */
export function readUnsigned(note: string): ParsedCheckpoint {
  if (isSignedNote(note)) throw new CountersignError('KEY_MISMATCH', 'this ledger is signed: open it with its key, not with `sign: none`');
  return parseCheckpoint(note);
}

/**
 * A checkpoint that must be by our own key.
 *
 * @param announced - tells the key that the last rotation of this ledger announced, as a hint for people.
 * @throws {CountersignError} `KEY_MISMATCH`
 */
export function readOwn(note: string, vkey: string, announced: () => string | undefined): ParsedCheckpoint {
  try {
    return verifyCheckpoint(note, [vkey]).checkpoint;
  } catch (cause) {
    const next = isSignedNote(note) ? announced() : undefined;
    if (next !== undefined && next !== vkey) throw rotatedAway(next);
    const why = isSignedNote(note) ? 'does not verify under the configured key' : 'is not signed, and the configured key signs';
    throw new CountersignError('KEY_MISMATCH', `the newest checkpoint of this ledger ${why}: check \`ledger.key\``, { cause });
  }
}

/** The ledger goes on under another key: nothing may be signed over it with this one. */
export function rotatedAway(announced: string): CountersignError {
  return new CountersignError(
    'KEY_MISMATCH',
    `the key of this ledger was rotated: it is now ${announced}. Set \`ledger.key\` to the file of that key, and restart what still uses the old one`,
  );
}
