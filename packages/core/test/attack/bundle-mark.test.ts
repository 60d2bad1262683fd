/** Whoever may edit the file, and holds an older bundle that was signed once, wants it in force again. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { policyHash } from '../../src/policy/hash.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const FIRST = `(SELECT seq FROM entries WHERE body LIKE '%serial\\":5}%')`;

it.each<[string, string]>([
  ['as they were', ''],
  ['gone', 'DELETE FROM marks'],
  [
    'put back to the older bundle',
    `UPDATE marks SET seq = ${FIRST}, leaf = (SELECT leaf FROM entries WHERE seq = ${FIRST}) WHERE name = 'bundle:b'`,
  ],
  ['put on an entry of another kind', `UPDATE marks SET seq = 0, leaf = (SELECT leaf FROM entries WHERE seq = 0) WHERE name = 'bundle:b'`],
  ['without a place', `UPDATE marks SET seq = 9999 WHERE name = 'bundle:b'`],
])('an older bundle is refused when the marks are %s', async (_name, edit) => {
  const path = join(tempDirectory(), 'bundles.db');
  expect(await put(path, 5)).toBe('recorded');
  expect(await put(path, 7)).toBe('recorded');
  const database = new Sqlite(path);
  database.exec(edit);
  expect(database.prepare("SELECT count(*) FROM entries WHERE body LIKE '%serial%'").pluck().get()).toBe(2);
  database.close();
  for (const serial of [5, 6]) expect(await put(path, serial)).toBe('rolled-back');
  expect(await put(path, 8)).toBe('recorded');
  expect(await put(path, 7)).toBe('rolled-back');
});

async function put(path: string, serial: number): Promise<string> {
  const store = openLedger(path);
  const document = JSON.stringify({ kind: 'bundle', bundle: { id: 'b', serial } });
  try {
    const { kind } = await store.commit({
      kind: 'record',
      body: { kind: 'policy', policy: { id: 'b', hash: policyHash(document) }, document },
    });
    return kind;
  } finally {
    await store.close();
  }
}
