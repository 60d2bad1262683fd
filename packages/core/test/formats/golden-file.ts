/** The examples of `docs/formats/` as a SQLite ledger. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { canonicalize } from '../../src/ledger/canonical.ts';
import { createSchema } from '../../src/sqlite/schema.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { CHECKPOINT, GOLDEN, type GoldenEntry, ORIGIN } from './ledger.ts';

/** @returns its path. */
export function goldenFile(entries: readonly GoldenEntry[] = GOLDEN, checkpoint: string = CHECKPOINT): string {
  const path = join(tempDirectory(), 'golden.db');
  const database = new Sqlite(path);
  createSchema(database);
  const meta = database.prepare('INSERT INTO meta VALUES (?, ?)');
  meta.run('format', 'countersign-1');
  meta.run('origin', ORIGIN);
  for (const [seq, { text, leaf, opening }] of entries.entries()) {
    database.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)').run(seq, leaf, text);
    if (opening !== undefined)
      database.prepare('INSERT INTO openings VALUES (?, ?, ?)').run(seq, opening.key, canonicalize(opening.sections));
  }
  database.prepare('INSERT INTO checkpoints VALUES (?, ?, NULL)').run(entries.length, checkpoint);
  database.close();
  return path;
}
