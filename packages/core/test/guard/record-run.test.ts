/** Calls that ran elsewhere: on record as what they are, counted like others, and never passed off as decided in time. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  allowAll,
  budgetFrom,
  type CountersignError,
  createGuard,
  definePolicy,
  denyAll,
  type GuardOptions,
  rulePolicy,
} from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const SEARCH = { tool: { name: 'web_search' }, args: { query: 'tea' }, id: 'c1', session: 's1' };

function bench(policy: GuardOptions['policy'], more: Partial<GuardOptions> = {}) {
  const store = memoryStore();
  return { store, guard: createGuard({ agent: 'bot', policy, store, ...more }) };
}

function told(store: ReturnType<typeof memoryStore>): string[] {
  return store.entries().flatMap((entry) => {
    if (entry.kind === 'decision') return [`decision ${entry.mode} ${entry.effect} ${entry.would} ${entry.reason_code}`];
    if (entry.kind === 'outcome') return [`outcome ${entry.status}`];
    return entry.kind === 'note' ? [`note ${entry.topic} ${JSON.stringify(entry.data).replace(/"call":"[^"]+"/, '"call":"*"')}`] : [];
  });
}
const NOTE = 'note ran-elsewhere {"agent":"bot","by":"provider","call":"*","session":"s1"}';

it.each<readonly [string, GuardOptions['policy'], string]>([
  ['allowed', allowAll(), 'decision audit allow allow POLICY_ALLOW_LOW_RISK'],
  ['denied', denyAll(), 'decision audit allow deny POLICY_DENY_HIGH_RISK'],
  [
    'asked about',
    rulePolicy({ id: 'p', rules: [{ id: 'ask', tools: ['*'], effect: 'require_approval' }] }),
    'decision audit allow require_approval POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
  ],
])('a call that would have been %s is recorded as run', async (_what, policy, decision) => {
  const { guard, store } = bench(policy);
  const run = await guard.recordRun(SEARCH, 'provider');
  await run.ended({ status: 'success', result: { hits: 3 } });
  await run.ended({ status: 'error', error: new Error('twice') });
  expect(run).toMatchObject({ isRecorded: true, decision: { effect: 'allow' } });
  expect(told(store)).toEqual([decision, NOTE, 'outcome success']);
  expect(await guard.approvals.list()).toEqual([]);
});

it.each<readonly [string, GuardOptions['policy'], string]>([
  [
    'a policy that fails',
    definePolicy({
      id: 'f',
      evaluate: () => {
        throw new Error('no');
      },
    }),
    'POLICY_EVALUATION_FAILED',
  ],
  [
    'a condition that cannot be evaluated',
    rulePolicy({ id: 'p', rules: [{ id: 'd', tools: ['*'], effect: 'deny', when: 'args.nope == 1' }] }),
    'POLICY_EVALUATION_FAILED',
  ],
])('%s refuses, and the note says that it ran all the same', async (_what, policy, code) => {
  const { guard, store } = bench(policy);
  const run = await guard.recordRun(SEARCH, 'provider');
  await run.ended({ status: 'success' });
  expect(run.decision.effect).toBe('deny');
  expect(told(store)).toEqual([`decision audit deny deny ${code}`, NOTE]);
});

it('its labels count for the calls that follow, also those of rules that would have denied it', async () => {
  const policy = rulePolicy({
    id: 'p',
    rules: [
      { id: 'searched', tools: ['web_search'], effect: 'label', label: ['untrusted'] },
      { id: 'no-search', tools: ['web_search'], effect: 'deny' },
      { id: 'send', tools: ['send'], effect: 'allow' },
      { id: 'no-leak', tools: ['send'], effect: 'deny', when: "'untrusted' in session.labels" },
    ],
  });
  const { guard } = bench(policy);
  const send = { tool: { name: 'send' }, args: {}, session: 's1' };
  expect((await guard.preview(send)).decision.effect).toBe('allow');
  await guard.recordRun(SEARCH, 'provider');
  expect((await guard.preview(send)).decision).toMatchObject({ effect: 'deny', rule: 'no-leak' });
});

it('rules on results say what they would have done, and keep nothing', async () => {
  const policy = rulePolicy({
    id: 'p',
    default: 'allow',
    rules: [{ id: 'held', on: 'result', tools: ['web_search'], effect: 'withhold', label: ['seen'] }],
  });
  const { guard, store } = bench(policy);
  await (await guard.recordRun(SEARCH, 'provider')).ended({ status: 'success', result: 'text' });
  const outcome = store.entries().find((entry) => entry.kind === 'outcome');
  expect(outcome).toMatchObject({ released: { would: 'withhold' }, labels: ['seen'] });
});

it('a budget it exceeds says so and goes below zero, as in audit mode', async () => {
  const { guard, store } = bench(allowAll(), { budgets: [budgetFrom({ id: 'calls', per: 'agent', limit: 1 })] });
  await guard.recordRun(SEARCH, 'provider');
  await guard.recordRun({ ...SEARCH, id: 'c2' }, 'provider');
  expect(told(store).filter((line) => line.startsWith('decision'))).toEqual([
    'decision audit allow allow POLICY_ALLOW_LOW_RISK',
    expect.stringMatching(/^decision audit allow deny BUDGET_EXCEEDED/),
  ]);
  expect((await guard.authorize({ tool: { name: 'other' }, args: {} })).kind).toBe('refusal');
});

it('ids that come again are other runs: each is recorded and counted, and none is a refusal', async () => {
  const { guard, store } = bench(allowAll(), { budgets: [budgetFrom({ id: 'calls', per: 'agent', limit: 10 })] });
  const ends = ['success', 'error'] as const;
  for (const status of ends) await (await guard.recordRun(SEARCH, 'provider')).ended({ status });
  const decision = 'decision audit allow allow POLICY_ALLOW_LOW_RISK';
  expect(told(store)).toEqual([decision, NOTE, 'outcome success', decision, NOTE, 'outcome error']);
  expect(await guard.budgets()).toMatchObject([{ keys: [{ left: 8_000_000 }] }]);
});

it('is not the call of ours with the same id: its approval, and what a person made of it, are left to it', async () => {
  const ask = { id: 'ask', tools: ['*'], effect: 'require_approval', when: "args.query == 'tea'" } as const;
  const policy = rulePolicy({ id: 'p', default: 'allow', rules: [ask] });
  const { guard, store } = bench(policy);
  const asked = await guard.authorize(SEARCH, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error(asked.kind);
  await guard.approvals.resolve(asked.approvalId, { decision: 'edit', args: { query: 'coffee' } }, { id: 'ana', method: 'host' });
  await guard.recordRun(SEARCH, 'provider');
  const shown = store.entries().flatMap((entry, at) => (entry.kind === 'decision' ? [store.openings().get(at)?.sections] : []));
  expect(JSON.stringify(shown.at(-1))).toContain('tea');
  expect(JSON.stringify(shown)).not.toContain('coffee');
  expect(await guard.approvals.get(asked.approvalId)).toMatchObject({ state: 'denied' });
  // Ours still runs, as it was edited.
  expect(await guard.run({ ...SEARCH }, (args) => args, {})).toEqual({ query: 'coffee' });
});

it('a halted session is refused, and the run is noted', async () => {
  const { guard, store } = bench(allowAll());
  await guard.run({ tool: { name: 'x' }, args: {}, session: 's1' }, () => 1);
  await store.commit({ kind: 'record', body: { kind: 'session', agent: 'bot', session: 's1', event: 'halted' } });
  const { decision, isRecorded } = await guard.recordRun(SEARCH, 'provider');
  expect([decision.reasonCode, isRecorded]).toEqual(['SESSION_HALTED', true]);
  expect(told(store).at(-1)).toBe(NOTE);
});

it('a call that cannot be read is noted too', async () => {
  const { guard, store } = bench(allowAll());
  const { decision } = await guard.recordRun({ ...SEARCH, args: { n: Number.NaN } }, 'provider');
  expect(decision.reasonCode).toBe('ARGUMENTS_INVALID');
  expect(told(store)).toEqual(['decision audit deny deny ARGUMENTS_INVALID', NOTE]);
});

it('says when the ledger could not be written, and does not throw', async () => {
  const errors: unknown[] = [];
  const { guard, store } = bench(allowAll(), { onError: (error) => errors.push(error) });
  store.failWith(new Error('disk full'));
  const run = await guard.recordRun(SEARCH, 'provider');
  await run.ended({ status: 'success' });
  expect(run).toMatchObject({ isRecorded: false, decision: { effect: 'deny' } });
  expect(errors.length).toBeGreaterThan(0);
});

it('takes nobody else for a runner', async () => {
  const { guard } = bench(allowAll());
  const wrong = guard.recordRun(SEARCH, 'me' as 'provider');
  await expect(wrong).rejects.toSatisfy((error: CountersignError) => error.code === 'OPTIONS_INVALID');
});

it('verify finds nothing wrong, and lists a run whose result was not seen as open', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store, { policy: denyAll() });
  await (await guard.recordRun(SEARCH, 'provider')).ended({ status: 'success' });
  await guard.recordRun({ ...SEARCH, id: 'c2' }, 'provider');
  await guard.close();
  await store.close();
  const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
  expect(report).toMatchObject({ status: 'valid', problems: [], open_decisions: 1 });
});
