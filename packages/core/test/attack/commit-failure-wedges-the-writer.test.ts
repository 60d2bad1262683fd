/** A COMMIT that fails (disk full shows here first) must not be taken for a rollback of the ledger by somebody else. */
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { guardOn, inlineConnection, openLedger, tempDirectory, writesOnThread } from '../fixtures/ledger.ts';

it.skipIf(writesOnThread())('after one failed COMMIT the writer comes back', async () => {
  const store = openLedger(join(tempDirectory(), 'ledger.db'));
  const guard = guardOn(store);
  const attempt = (): Promise<{ readonly kind: string }> => guard.authorize({ tool: { name: 'read' }, args: {} });
  expect((await attempt()).kind).toBe('permit');

  const { commit } = inlineConnection(store).transaction;
  let failed = false;
  Object.defineProperty(commit, 'run', {
    value: () => {
      failed = true;
      throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    },
  });
  expect((await attempt()).kind).toBe('refusal');
  expect(failed).toBe(true);
  // Long enough for every back-off; nothing else is wrong with the file.
  await vi.waitFor(async () => expect(await attempt()).toMatchObject({ kind: 'permit' }), { timeout: 20_000, interval: 200 });
  await store.close();
});
