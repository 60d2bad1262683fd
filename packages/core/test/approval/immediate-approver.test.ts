import { expect, it } from 'vitest';
import { createGuard, definePolicy } from '../../src/index.ts';
import { immediateApprover, memoryStore } from '../../src/testing/index.ts';

const policy = definePolicy({ id: 'ask', evaluate: () => ({ effect: 'require_approval', rule: 'ask' }) });
const pay = { tool: { name: 'pay' }, args: { amount: 7 } };

it('answers in the place of people', async () => {
  const small = immediateApprover(({ args }) => ((args as { amount: number }).amount < 10 ? 'approve' : 'deny'));
  const guard = createGuard({ agent: 'bot', policy, store: memoryStore(), channels: [small] });
  expect(await guard.run({ tool: { name: 'pay' }, args: { amount: 7 } }, () => 'paid')).toBe('paid');
  await expect(guard.run({ tool: { name: 'pay' }, args: { amount: 700 } }, () => 'paid')).rejects.toThrow('APPROVAL_DENIED');
});

it('takes a word, a whole answer, or a function that may take its time', async () => {
  const guardWith = (...given: Parameters<typeof immediateApprover>) =>
    createGuard({ agent: 'bot', policy, store: memoryStore(), channels: [immediateApprover(...given)] });
  expect((await guardWith('approve').authorize(pay)).kind).toBe('permit');
  const denied = await guardWith({ decision: 'deny', message: 'not on a Sunday' }).authorize(pay);
  expect(denied.decision.reason).toBe('an approver denied this call: not on a Sunday');
  expect((await guardWith(async () => 'approve' as const).authorize(pay)).kind).toBe('permit');
});

it('is the approver it is told to be, and fails like a channel', async () => {
  const store = memoryStore();
  const elicited = immediateApprover('approve', { id: 'ann', method: 'elicitation' });
  await createGuard({ agent: 'bot', policy, store, channels: [elicited] }).run(pay, () => 1);
  expect(store.entries()).toContainEqual(expect.objectContaining({ approver: { id: 'ann', method: 'elicitation', assurance: 'low' } }));
  const broken = immediateApprover(() => {
    throw new Error('down');
  });
  const refused = await createGuard({ agent: 'bot', policy, store: memoryStore(), channels: [broken] }).authorize(pay);
  expect(refused.decision.reasonCode).toBe('APPROVAL_PROCESS_FAILED');
});
