/** What an audit log says it lost is what it lost, also when its sink is slow and several calls come at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
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
  // With the start of the session.
  const lost = 3;
  await vi.waitFor(() => expect(guard.counters.lostAuditRecords).toBe(lost), 20_000);
  isUp = true;
  await Promise.all([deny(), deny(), deny()]);
  await vi.waitFor(() => expect(records.filter(({ event }) => event !== 'dropped')).toHaveLength(3), 20_000);
  await guard.close();
  const told = records.flatMap((record) => (record.event === 'dropped' ? [record.count] : []));
  expect(told).toEqual([lost]);
});
