import Sqlite, { type Database } from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSchema } from '../../src/sqlite/schema.ts';
import { SourceTiles } from '../../src/sqlite/source-tiles.ts';

/** Two are missing in the middle, one is alone on its level, and one has no place in any ledger. */
const STORED = [...numbers(0, 20), ...numbers(22, 50)].map((index) => [0, index] as const);
const ALL = [...STORED, [1, 0], [3, 7], [0, -4]] as const;

let database: Database;
beforeEach(() => {
  database = new Sqlite(':memory:');
  createSchema(database);
  const insert = database.prepare('INSERT INTO tiles (level, idx, hashes, root) VALUES (?, ?, ?, ?)');
  for (const [level, index] of ALL) insert.run(level, index, Buffer.from(`${level}/${index}`), `root ${level}/${index}`);
});
afterEach(() => void database.close());

it.each([
  { order: 'one after the other', indexes: numbers(0, 60) },
  { order: 'backwards', indexes: numbers(0, 60).reverse() },
  { order: 'again and again', indexes: [0, 1, 0, 1, 2, 2, 3, 19, 20, 21, 22, 20, 49, 50, 51, 49] },
  { order: 'in leaps', indexes: numbers(0, 200).map((each) => (each * 37) % 61) },
  { order: 'from below the first', indexes: numbers(-6, 4) },
])('tiles asked for $order are those that are stored', ({ indexes }) => {
  const tiles = new SourceTiles(database);
  for (const index of indexes)
    for (const level of [0, 1, 2, 3]) expect(tiles.get(level, index)?.root, `${level}/${index}`).toBe(stored(level, index));
});

it('one of whatever length comes as a full one and a byte at most', () => {
  database.prepare('UPDATE tiles SET hashes = zeroblob(100000), root = ? WHERE idx = 3').run('r'.repeat(1_000));
  const tiles = new SourceTiles(database);
  for (const index of numbers(0, 3)) tiles.get(0, index);
  const { hashes = '', root = '' } = tiles.get(0, 3) ?? {};
  expect([hashes.length, root.length]).toEqual([8_193, 65]);
});

function stored(level: number, index: number): string | undefined {
  return ALL.some(([one, other]) => one === level && other === index) ? `root ${level}/${index}` : undefined;
}

function numbers(from: number, end: number): number[] {
  return Array.from({ length: end - from }, (_, at) => from + at);
}
