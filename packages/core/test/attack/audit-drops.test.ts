/** What an audit log says it lost is what it lost, also when its sink is slow and several calls come at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { AuditRecord } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

it('dropped records are told once', async () => {
  let isUp = false;
  const records: AuditRecord[] = [];
  const slow = {
    write: async (record: AuditRecord): Promise<void> => {
      await sleep(5);
      if (!isUp) throw new Error('away');
      records.push(record);
    },
    close: () => {},
  };
  const guard = guardOn(memoryStore(), { audit: [slow], onError: () => {} });
  const deny = async (): Promise<unknown> => guard.authorize({ tool: { name: 'no' }, args: {} });
  await deny();
  await deny();
  await sleep(50);
  const { lostAuditRecords: lost } = guard.counters;
  expect(lost).toBeGreaterThan(0);
  isUp = true;
  await Promise.all([deny(), deny(), deny()]);
  await sleep(100);
  await guard.close();
  const told = records.flatMap((record) => (record.event === 'dropped' ? [record.count] : []));
  expect(told).toEqual([lost]);
});
