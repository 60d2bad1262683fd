/** The programs of docs/guides/budgets.md, run. */
import { expect, it } from 'vitest';
import { allowAll, budgetFrom, createGuard } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';

it('the guide to budgets does what it says', async () => {
  const policy = allowAll();
  const store = memoryStore();
  const budgets = [
    budgetFrom({ id: 'calls', per: 'agent', limit: 100, window: '1h' }),
    budgetFrom({ id: 'spent', key: 'args.customer', limit: 500, cost: 'args.amount', refund: 'error' }),
  ];
  const guard = createGuard({ agent: 'billing-bot', policy, store, budgets });

  const permit = await guard.authorize({ tool: { name: 'refund' }, args: { customer: 'ann', amount: 12.5 } });
  if (permit.kind !== 'permit') throw new Error('refused');
  const [calls] = await guard.budgets({ budget: 'calls' });
  const left = calls?.keys[0]?.left ?? calls?.limit;
  expect(left).toBe(99_000_000);

  await permit.settle({ status: 'cancelled', refund: true });
  await guard.run({ tool: { name: 'refund' }, args: { customer: 'ann', amount: 500 } }, () => 'paid');
  expect(await guard.budgets({ budget: 'calls' })).toMatchObject([{ keys: [{ left: 99_000_000 }] }]);
});

it('a key may fold spellings', async () => {
  const budgets = [budgetFrom({ id: 'one', key: 'args.customer.trim().lowerAscii()', limit: 1 })];
  const guard = createGuard({ agent: 'billing-bot', policy: allowAll(), store: memoryStore(), budgets });
  const call = (customer: string) => guard.authorize({ tool: { name: 'refund' }, args: { customer } });
  expect([(await call('ann')).kind, (await call('Ann ')).kind]).toEqual(['permit', 'refusal']);
});
