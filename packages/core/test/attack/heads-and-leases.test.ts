/** Several writers on one ledger: what one remembers or reaps must not undo another. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { KnownHeads } from '../../src/sqlite/index.ts';
import { guardOn, openLedger, tempDirectory, writesOnThread } from '../fixtures/ledger.ts';

it('an idle writer that closes last does not turn the last known head back', async () => {
  const directory = tempDirectory();
  const path = join(directory, 'ledger.db');
  const options = { stateDirectory: join(directory, 'state') };
  const busy = openLedger(path, options);
  const idle = openLedger(path, options);
  for (let i = 0; i < 5; i++) await guardOn(busy).authorize({ tool: { name: 'read' }, args: { i } });
  const { size } = await busy.head();
  await busy.close();
  await idle.close();
  expect(new KnownHeads(path, options.stateDirectory).read()?.size).toBeGreaterThanOrEqual(size);
});

// A thread renews its lease by itself.
it.skipIf(writesOnThread())('a writer that was taken for dead while it was suspended gets its lease back', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const suspended = openLedger(path);
  const raw = new Sqlite(path);
  // Another pid namespace, silent for a minute: what a paused container looks like to the next one.
  raw.prepare(`UPDATE leases SET host = 'elsewhere', heartbeat_at = 0 WHERE writer = ?`).run(suspended.writer);
  const other = openLedger(path);
  suspended['beat']();
  const permit = await guardOn(suspended).authorize({ tool: { name: 'read' }, args: {}, id: 'c1' });
  expect(permit.kind).toBe('permit');
  const third = openLedger(path);
  // It lives and its call runs: not abandoned.
  expect(await third.callById(permit.callId)).toMatchObject({ state: 'allowed' });
  raw.close();
  for (const store of [third, other, suspended]) await store.close();
});

it.each([
  ['lives while its heart beats', 59_000, 'allowed', 0],
  ['is dead after a minute of silence', 61_000, 'unknown', 1],
])('a writer in another pid namespace %s: its open call is recovered only then, and once', async (_what, silentMs, state, recoveries) => {
  const path = join(tempDirectory(), 'ledger.db');
  const elsewhere = openLedger(path, { writer: 'inline' });
  const here = openLedger(path, { writer: 'inline' });
  const theirs = await guardOn(elsewhere).authorize({ tool: { name: 'read' }, args: {} });
  const ours = await guardOn(here, { session: 's2' }).authorize({ tool: { name: 'read' }, args: {} });
  if (theirs.kind !== 'permit' || ours.kind !== 'permit') throw new Error('not allowed');
  const raw = new Sqlite(path);
  raw.prepare(`UPDATE leases SET host = 'elsewhere', heartbeat_at = ? WHERE writer = ?`).run(Date.now() - silentMs, elsewhere.writer);
  for (let i = 0; i < 2; i++) {
    const later = openLedger(path, { writer: 'inline' });
    expect(await later.callById(theirs.callId)).toMatchObject({ state });
    // A writer that lives keeps its calls, whoever else was found dead.
    expect(await later.callById(ours.callId)).toMatchObject({ state: 'allowed' });
    await later.close();
  }
  const named = raw.prepare(`SELECT count(*) FROM entries WHERE body LIKE '%"kind":"recovery"%'`).pluck().get();
  expect(named).toBe(recoveries);
  raw.close();
  for (const store of [here, elsewhere]) await store.close();
});
