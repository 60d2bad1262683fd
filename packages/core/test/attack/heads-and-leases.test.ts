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
