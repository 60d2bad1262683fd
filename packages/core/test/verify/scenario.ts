/** A ledger in which everything has happened once: written by real guards on a real store, under a clock that stands still. */
import { join } from 'node:path';
import {
  type Approver,
  approvalStatement,
  budgetFrom,
  createGuard,
  definePolicy,
  type Guard,
  type GuardOptions,
  type Policy,
  type Store,
  statementOf,
  type ToolCall,
} from '../../src/index.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import type { SqliteStore, SqliteStoreOptions } from '../../src/sqlite/index.ts';
import { type FixedClock, fixedClock } from '../../src/testing/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const finance = generateKey('finance');
const financeSigner = signerFromPem(finance.privatePem, 'finance');
export const APPROVERS: ReadonlyMap<string, string> = new Map([['finance', finance.vkey]]);

const HOUR_MS = 3_600_000;

export const policy: Policy = definePolicy({
  id: 'scenario',
  version: '1',
  evaluate: ({ tool: { name } }) => {
    if (name.startsWith('no')) return { effect: 'deny', rule: 'no', reason: 'not this one' };
    if (name === 'ask-two')
      return { effect: 'require_approval', rule: 'two', terms: { quorum: 2, approvers: ['alice', 'bob', 'finance'] } };
    if (name.startsWith('ask')) return { effect: 'require_approval', rule: 'ask', reason: 'a human must agree' };
    if (name.startsWith('label')) return { effect: 'allow', rule: 'label', labels: ['seen'] };
    return { effect: 'allow', rule: 'yes' };
  },
});

export const call = (name: string, args: unknown = { path: '/srv/q1.csv' }, more: Partial<ToolCall> = {}): ToolCall => ({
  tool: { name },
  args,
  ...more,
});

export function guardOn(store: Store, options: Partial<GuardOptions> = {}): Guard {
  return createGuard({
    agent: 'billing',
    policy,
    store,
    session: 's1',
    budgets: [
      budgetFrom({ id: 'calls', per: 'agent', limit: 1000, window: '1h' }),
      budgetFrom({ id: 'refunds', per: 'tool', limit: 100, tools: ['refund'], cost: 'args.amount' }),
    ],
    approvals: { approvers: APPROVERS },
    ...options,
  });
}

/** Answers by key, as an approver's own tool would. */
export async function signedAnswer(guard: Guard, id: string, decision: 'approve' | 'deny'): Promise<void> {
  const row = await guard.approvals.get(id);
  if (row === undefined) throw new Error('the approval is gone');
  const signature = Buffer.from(financeSigner.sign(approvalStatement(statementOf(row, decision, 'finance')))).toString('base64');
  await guard.approvals.resolve(id, { decision, message: 'checked' }, { id: 'finance', method: 'key', signature });
}

/** Asks, lets everybody answer, asks again; returns the permit's outcome if there was one. */
export async function askAndRun(guard: Guard, asked: ToolCall, answers: (id: string) => Promise<unknown>): Promise<void> {
  const pending = await guard.authorize(asked, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error(`the call did not ask: ${JSON.stringify(pending.decision)}`);
  await answers(pending.approvalId);
  const permit = await guard.authorize(asked, { approval: 'suspend' });
  if (permit.kind === 'permit') await permit.settle({ status: 'success', result: { done: true } }, { durable: true });
}

export const host = (id: string): Approver => ({ id, method: 'host' });

export interface Scenario {
  readonly path: string;
  readonly clock: FixedClock;
}

/** About fifty entries of two writers. */
export async function writeScenario(
  options: Partial<SqliteStoreOptions> = {},
  path: string = join(tempDirectory(), 'ledger.db'),
): Promise<Scenario> {
  const clock = fixedClock();
  const first = openLedger(path, { clock, ...options });
  await firstDay(first, clock);
  await first.close();
  const second = openLedger(path, { clock, ...options });
  await secondDay(second, clock);
  await second.close();
  return { path, clock };
}

async function firstDay(store: SqliteStore, clock: FixedClock): Promise<void> {
  const guard = guardOn(store, { clock });
  await guard.run(call('read'), () => 'ok');
  clock.advance(1000);
  await guard.run(call('read', { path: '/srv/q2.csv', api_key: 'sk-live-0123456789abcdef0123456789abcdef' }), () => ({ rows: 3 }));
  await guard.run(call('label'), () => 'ok');
  await guard.run(call('broken'), () => Promise.reject(new TypeError('the disk is on fire'))).catch(() => undefined);
  await guard.authorize(call('no-way'));
  clock.advance(1000);
  await askAndRun(guard, call('ask', { to: 'a@example.com' }, { id: 'call-1', turn: '1' }), (id) =>
    guard.approvals.resolve(id, { decision: 'approve' }, host('alice')),
  );
  await askAndRun(guard, call('ask', { to: 'b@example.com' }, { id: 'call-2', turn: '1' }), (id) => signedAnswer(guard, id, 'approve'));
  await askAndRun(guard, call('ask', { to: 'c@example.com' }, { id: 'call-3', turn: '1' }), (id) =>
    guard.approvals.resolve(id, { decision: 'deny', message: 'not today' }, host('alice')),
  );
  await askAndRun(guard, call('ask-two', {}, { id: 'call-4', turn: '1' }), async (id) => {
    await guard.approvals.resolve(id, { decision: 'approve' }, host('alice'));
    clock.advance(500);
    await guard.approvals.resolve(id, { decision: 'approve' }, host('bob'));
  });
  for (const amount of [60, 30, 30]) await guard.run(call('refund', { amount }), () => 'paid').catch(() => undefined);
  await guard.recordRefusal({ tool: { name: 'odd' }, reasonCode: 'MESSAGE_INVALID', reason: 'not a message' });
  await guard.close();
  // Left open: this writer ends before the outcome.
  await guardOn(store, { clock, session: 's2' }).authorize(call('left-open'));
}

async function secondDay(store: SqliteStore, clock: FixedClock): Promise<void> {
  clock.advance(2 * HOUR_MS);
  const guard = guardOn(store, { clock, session: 's3' });
  await guard.run(call('read'), () => 'ok');
  await store.commit({ kind: 'record', body: { kind: 'session', agent: 'billing', session: 's3', event: 'halted', reason_code: 'TEST' } });
  await guard.authorize(call('read'));
  await store.commit({ kind: 'record', body: { kind: 'session', agent: 'billing', session: 's3', event: 'resumed' } });
  const audit = guardOn(store, {
    clock,
    mode: 'audit',
    session: 's4',
    budgets: [budgetFrom({ id: 'one', per: 'session', limit: 1, window: '1m' })],
  });
  await audit.run(call('read'), () => 'ok');
  await audit.run(call('no-way'), () => 'ok');
  const confirm = guardOn(store, {
    clock,
    mode: 'confirm',
    session: 's5',
    policy: definePolicy({ id: 'silent', evaluate: () => ({ effect: 'abstain' }) }),
  });
  await askAndRun(confirm, call('anything', {}, { id: 'call-5', turn: '1' }), (id) =>
    confirm.approvals.resolve(id, { decision: 'approve' }, host('alice')),
  );
  await store.commit({ kind: 'record', body: { kind: 'note', topic: 'test', data: { text: 'caf\u00e9 \ufffd \u{1f600}' } } });
  await Promise.all([guard.close(), audit.close(), confirm.close()]);
}
