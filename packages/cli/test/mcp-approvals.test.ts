import { type Channel, createGuard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { expect, it, vi } from 'vitest';
import { elicitationChannel } from '../src/mcp-approvals.ts';

const policy = rulePolicy({ id: 'asks', rules: [{ id: 'all', tools: ['*/*'], effect: 'require_approval' }] });
const down: Channel = { name: 'pager', ask: () => Promise.reject(new Error('nobody there')) };

it.each([
  ['given up', [], 'failed'],
  ['kept for the client', ['elicitation' as const], 'pending'],
])('where the only webhook cannot be reached an approval is %s', async (_what, channels, state) => {
  const onError = vi.fn();
  const also = elicitationChannel({ approvals: { channels } as unknown as Parameters<typeof elicitationChannel>[0]['approvals'] });
  const store = memoryStore();
  const guard = createGuard({ agent: 'bot', policy, store, channels: [down, ...also], onError });
  const asked = await guard.authorize({ tool: { server: 'files', name: 'write' }, args: {} }, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error(`it is a ${asked.kind}`);
  await vi.waitFor(() => expect(onError).toHaveBeenCalled(), { timeout: 20_000 });
  await vi.waitFor(async () => expect((await store.approval(asked.approvalId))?.state).toBe(state), { timeout: 20_000 });
  // Whatever the channels still had to say has been said.
  await guard.close();
  expect((await store.approval(asked.approvalId))?.state).toBe(state);
});
