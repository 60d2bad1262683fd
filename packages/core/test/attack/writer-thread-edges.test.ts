/** A thread that cannot be started, and a store that is closed while its thread comes back. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import Sqlite from 'better-sqlite3';
import { afterEach, expect, it, vi } from 'vitest';
import type * as threads from '../../src/thread.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const shared = vi.hoisted(() => ({ mayStart: true, running: new Set<Worker>() }));
vi.mock('../../src/thread.ts', async (original) => {
  const { startThread } = await original<typeof threads>();
  return {
    startThread: (base: string, name: string, options: Parameters<typeof startThread>[2]) => {
      if (!shared.mayStart) throw Object.assign(new Error('Access to this API has been restricted'), { code: 'ERR_ACCESS_DENIED' });
      const worker = startThread(base, name, options);
      const terminate = worker.terminate.bind(worker);
      // As one that is busy in native code.
      worker.terminate = async () => {
        await sleep(300);
        return terminate();
      };
      shared.running.add(worker);
      worker.once('exit', () => shared.running.delete(worker));
      return worker;
    },
  };
});
afterEach(() => {
  shared.mayStart = true;
});

const call = (i: number) => ({ tool: { name: 'read' }, args: { i } });

it('auto goes on inline where no thread may be started', async () => {
  shared.mayStart = false;
  const store = openLedger(join(tempDirectory(), 'ledger.db'), { writer: 'auto' });
  const guard = guardOn(store);
  const results = await Promise.all(Array.from({ length: 200 }, (_, i) => guard.run(call(i), () => i)));
  expect(results).toEqual(Array.from({ length: 200 }, (_, i) => i));
  await store.close();
});

it('worker is refused there, and leaves neither lease nor connection', () => {
  shared.mayStart = false;
  const path = join(tempDirectory(), 'ledger.db');
  expect(() => openLedger(path, { writer: 'worker' })).toThrow(/restricted/);
  const raw = new Sqlite(path);
  expect(raw.prepare('SELECT count(*) FROM leases').pluck().get()).toBe(0);
  raw.close();
});

it('closing while the thread comes back leaves no thread and no lease behind', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path, { writer: 'worker' });
  const guard = guardOn(store);
  expect(await guard.run(call(1), () => 'ran')).toBe('ran');
  for (const worker of shared.running) worker.emit('error', new Error('broken'));
  await expect(guard.run(call(2), () => 'ran')).rejects.toMatchObject({ code: 'CALL_REFUSED' });
  await sleep(150);
  // A read brings the writer back.
  const reading = store.approvals().catch(() => undefined);
  await store.close();
  await reading;
  await sleep(2000);
  await vi.waitFor(() => expect(shared.running.size).toBe(0), 20_000);
  const raw = new Sqlite(path);
  expect(raw.prepare('SELECT count(*) FROM leases').pluck().get()).toBe(0);
  raw.close();
});
