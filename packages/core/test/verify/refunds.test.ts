/** What a ledger may claim to have given back. The bytes are in order and signed; only the story is wrong. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { allowAll, budgetFrom, createGuard } from '../../src/index.ts';
import type { VerifyCode } from '../../src/sqlite/index.ts';
import { fixedClock } from '../../src/testing/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { entriesOf, forged, type Loose } from './forge.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY] };

let path: string;
beforeAll(async () => {
  path = join(tempDirectory(), 'ledger.db');
  const clock = fixedClock();
  const store = openLedger(path, { clock });
  const guard = createGuard({
    agent: 'billing',
    session: 's1',
    policy: allowAll(),
    store,
    budgets: [
      budgetFrom({ id: 'calls', per: 'agent', limit: 5, window: '1m', refund: 'error' }),
      budgetFrom({ id: 'money', key: 'args.customer', limit: 100, cost: 'args.amount', refund: 'error' }),
    ],
  });
  const pay = (amount: number, fails: boolean): Promise<unknown> =>
    guard
      .run({ tool: { name: 'pay' }, args: { amount, customer: 'ann' } }, () => (fails ? Promise.reject(new Error('no')) : 'paid'))
      .catch(() => undefined);
  for (let i = 0; i < 12; i++) {
    await pay(i + 1, i % 3 === 0);
    clock.advance(9_000);
  }
  await guard.close();
  await store.close();
});

type Refund = { id: string; key: string; cost: number };
const isRefund = (entry: Loose): boolean => entry['kind'] === 'outcome' && 'refunds' in entry;
const isPlain = (entry: Loose): boolean => entry['kind'] === 'outcome' && !('refunds' in entry);
const refundsOf = (entries: readonly Loose[], nth = 0): Refund[] => entries.filter(isRefund)[nth]?.['refunds'] as unknown as Refund[];

it('an honest ledger with refunds is valid, and has some', async () => {
  expect(entriesOf(path).filter(isRefund)).toHaveLength(4);
  expect(await verifyLedger(path, OPTIONS)).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  expect((await verifyLedger(path, { ...OPTIONS, strict: true })).problems.map(({ code }) => code)).not.toContain('UNKNOWN_FIELD');
});

const FORGERIES: readonly (readonly [VerifyCode, string, (entries: Loose[]) => void])[] = [
  ['REFUND_DIFFERS', 'more than was charged', (entries) => void ((refundsOf(entries)[1] as Refund).cost += 1)],
  ['REFUND_DIFFERS', 'less than was charged', (entries) => void ((refundsOf(entries, 1)[1] as Refund).cost -= 1)],
  ['REFUND_TWICE', 'one charge twice', (entries) => void refundsOf(entries).push({ ...(refundsOf(entries)[0] as Refund) })],
  ['REFUND_WITHOUT_CHARGE', 'another budget', (entries) => void ((refundsOf(entries)[0] as Refund).id = 'other')],
  ['REFUND_WITHOUT_CHARGE', "somebody else's window", (entries) => void ((refundsOf(entries)[1] as Refund).key = 'f'.repeat(64))],
  ['REFUND_WITHOUT_CHARGE', 'a name that objects have', (entries) => void ((refundsOf(entries)[0] as Refund).id = 'constructor')],
  ['BUDGET_MISMATCH', 'a refund left out', (entries) => void delete (entries.find(isRefund) as Loose)['refunds']],
  [
    'BUDGET_MISMATCH',
    'a refund that is not owed by what follows',
    (entries) => {
      const outcome = entries.find(isPlain) as Loose;
      const decision = entries.find((entry) => entry['kind'] === 'decision' && entry['call'] === outcome['call']) as Loose;
      const charges = decision['budgets'] as unknown as Refund[];
      outcome['refunds'] = charges.map(({ id, key, cost }) => ({ id, key, cost }));
    },
  ],
  [
    'REFUND_WITHOUT_CHARGE',
    'a second outcome that gives back again',
    (entries) => {
      const first = entries.find(isRefund) as Loose;
      entries.push({ ...structuredClone(first), id: 'e'.repeat(32), at: entries.at(-1)?.['at'] ?? 0 });
    },
  ],
  ['ENTRY_SHAPE', 'a negative refund', (entries) => void ((refundsOf(entries)[0] as Refund).cost = -1)],
  ['ENTRY_SHAPE', 'a refund of nothing', (entries) => void ((refundsOf(entries)[0] as Refund).cost = 0)],
  ['ENTRY_SHAPE', 'a fraction', (entries) => void ((refundsOf(entries)[0] as Refund).cost = 0.5)],
  ['ENTRY_SHAPE', 'a refund in text', (entries) => void ((refundsOf(entries)[0] as unknown as Loose)['cost'] = '1')],
  ['UNKNOWN_FIELD', 'a field nobody knows', (entries) => void ((refundsOf(entries)[0] as unknown as Loose)['note'] = 'x')],
];

describe('finds', () => {
  it.each(FORGERIES)('%s: %s', async (code, _what, change) => {
    const copy = forged(path, (entries) => {
      change(entries);
      return entries;
    });
    const report = await verifyLedger(copy, { ...OPTIONS, strict: true });
    expect(report.problems.map((problem) => problem.code)).toContain(code);
  });

  it('what is wrong, and nothing beside it, when the rest follows what was recorded', async () => {
    // The last refund: no decision after it could tell of the sum.
    const last = entriesOf(path).findLastIndex(isRefund);
    const copy = forged(path, (entries) => {
      const cut = entries.slice(0, last + 1);
      const refunds = (cut[last] as Loose)['refunds'] as unknown as Refund[];
      (refunds[0] as Refund).cost += 7;
      return cut;
    });
    expect((await verifyLedger(copy, OPTIONS)).problems.map(({ code }) => code)).toEqual(['REFUND_DIFFERS']);
  });
});
