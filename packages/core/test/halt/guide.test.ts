import { expect, it } from 'vitest';
import { allowAll, createGuard, monitorHost } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';

it('a halt is ended as the guide to the monitor shows', async () => {
  const store = memoryStore();
  const guard = createGuard({ agent: 'bot', policy: allowAll(), store });
  await monitorHost({ store, agent: 'bot' }).halt('s1', 'MONITOR_HALTED');
  const call = { tool: { name: 'read' }, args: {}, session: 's1' };
  await expect(guard.run(call, async () => 'read')).rejects.toMatchObject({ code: 'CALL_REFUSED' });

  for (const { session } of await guard.halts.list()) {
    if (session !== undefined) await guard.halts.resume({ session }, { id: 'alice', method: 'host' }, { message: 'it was the build' });
  }

  expect(await guard.halts.list()).toEqual([]);
  await expect(guard.run(call, async () => 'read')).resolves.toBe('read');
  await guard.close();
});
