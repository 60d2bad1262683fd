/**
 * How high "64 callers" could go: the plain loop's work for each row and, besides, what no log can leave out that answers each of 64
 * callers and can be proven afterwards: a promise each, the tree with its full tiles, one checkpoint and one look at the file a commit.
 * No units, sessions, labels, budgets, books of what was recorded, recovery or second process.
 *
 * Only printed: a bound above it cannot be kept by anything that keeps such a tree.
 */
import { statSync } from 'node:fs';
import { entryText } from '../packages/core/src/ledger/body.ts';
import { formatCheckpoint } from '../packages/core/src/ledger/checkpoint.ts';
import type { EntryBody } from '../packages/core/src/ledger/entry.ts';
import { leafHash } from '../packages/core/src/ledger/merkle.ts';
import { TileTree } from '../packages/core/src/ledger/tiles.ts';
import { createSchema } from '../packages/core/src/sqlite/schema.ts';
import { durableDatabase, freshPath, ORIGIN } from './fixtures.ts';

export interface BareLog {
  /** Durable when it resolves, with whatever else was asked for until then. */
  commit(body: EntryBody): Promise<void>;
  close(): void;
}

export function bareLog(writer: string): BareLog {
  const path = freshPath('crowd-floor.db');
  const database = durableDatabase(path);
  createSchema(database);
  const begin = database.prepare('BEGIN IMMEDIATE');
  const end = database.prepare('COMMIT');
  const insertEntry = database.prepare<[number, string, string]>('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)');
  const insertTile = database.prepare<[number, number, Buffer, string]>('INSERT INTO tiles (level, idx, hashes, root) VALUES (?, ?, ?, ?)');
  const putCheckpoint = database.prepare<[number, string, number]>('UPDATE checkpoints SET size = ?, note = ? WHERE size = ?');
  database.prepare('INSERT INTO checkpoints (size, note) VALUES (0, ?)').run('none');
  const tree = TileTree.empty({
    tile: () => {
      throw new Error('nothing is proven here');
    },
  });
  let waiting: { readonly body: EntryBody; readonly done: () => void }[] = [];

  function flush(): void {
    const [batch, sealed] = [waiting, tree.size];
    waiting = [];
    begin.run();
    for (const { body } of batch) {
      const text = entryText(body, { atMs: Date.now(), writer });
      const leaf = leafHash(text);
      insertEntry.run(tree.size, leaf, text);
      tree.push(leaf);
    }
    for (const { level, index, hashes, root } of tree.takeFullTiles()) insertTile.run(level, index, Buffer.from(hashes, 'hex'), root);
    putCheckpoint.run(tree.size, formatCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root() }), sealed);
    end.run();
    statSync(path);
    for (const { done } of batch) done();
  }

  return {
    commit: (body) =>
      new Promise((resolve) => {
        if (waiting.length === 0) setImmediate(flush);
        waiting.push({ body, done: resolve });
      }),
    close: () => void database.close(),
  };
}
