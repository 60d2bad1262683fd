/** A call that one process decides and another settles: what is handed over, to whom, and what is told apart. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import {
  allowAll,
  budgetFrom,
  type Guard,
  type GuardOptions,
  MAX_HAND_OVER_MS,
  type Permit,
  rulePolicy,
  type TakenOver,
  type ToolCall,
} from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const CALL: ToolCall = { tool: { server: 'claude-code', name: 'Bash' }, args: { command: 'ls' }, id: 'toolu_1', session: 'c1' };
const HOUR = 3_600_000;

let path: string;
beforeEach(() => {
  path = join(tempDirectory(), 'ledger.db');
});
afterEach(() => {
  vi.useRealTimers();
});

/** What one short-lived process does: a guard on a store of its own, both closed at the end. */
async function process<T>(work: (guard: Guard, store: SqliteStore) => Promise<T>, options: Partial<GuardOptions> = {}): Promise<T> {
  const store = openLedger(path);
  const guard = guardOn(store, options);
  try {
    return await work(guard, store);
  } finally {
    await guard.close();
    await store.close();
  }
}

function decided(call: ToolCall = CALL, options: Partial<GuardOptions> = {}, forMs = HOUR): Promise<string> {
  return process(async (guard) => {
    const authorization = await guard.authorize(call, { approval: 'suspend', handOver: { forMs } });
    return authorization.kind === 'refusal' ? authorization.decision.reasonCode : authorization.kind;
  }, options);
}

function entries(): readonly Entry[] {
  const reader = new Sqlite(path, { readonly: true });
  const all = reader.prepare<[], string>('SELECT body FROM entries ORDER BY seq').pluck().all().map(parseEntry);
  reader.close();
  return all;
}

function kinds(): readonly string[] {
  return entries().flatMap((entry) => {
    if (entry.kind === 'decision') return [`decision ${entry.effect} ${entry.reason_code}`];
    if (entry.kind === 'outcome') return [`outcome ${entry.status}`];
    return entry.kind === 'recovery' ? [`recovery ${entry.event}`] : [];
  });
}

function leases(): number {
  const reader = new Sqlite(path, { readonly: true });
  const count = reader.prepare<[], number>('SELECT count(*) FROM leases').pluck().get();
  reader.close();
  return count ?? -1;
}

function permitOf(taken: TakenOver): Permit {
  if (taken.kind !== 'permit') throw new Error(`no permit: ${taken.kind}`);
  return taken.permit;
}

async function verified(): Promise<unknown> {
  const { status, problems } = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
  return { status, problems };
}

const ALLOWED = 'decision allow POLICY_ALLOW_LOW_RISK';

it('another process settles the call, and nothing says that anybody died', async () => {
  expect(await decided()).toBe('permit');
  // Others come and go meanwhile.
  await process(async (guard) => guard.run({ ...CALL, id: 'toolu_2' }, () => 1));
  const callId = await process(async (guard) => {
    const permit = permitOf(await guard.takeOver(CALL));
    expect(permit.args).toEqual(CALL.args);
    expect(await permit.release({ status: 'success', result: 'files' }, { durable: true })).toMatchObject({
      kind: 'shown',
      value: 'files',
    });
    return permit.callId;
  });
  expect(kinds()).toEqual([ALLOWED, ALLOWED, 'outcome success', 'outcome success']);
  const first = entries().findIndex((entry) => entry.kind === 'decision');
  expect(entries().at(-1)).toMatchObject({
    kind: 'outcome',
    call: callId,
    session: 'c1',
    decision: { of: first },
  });
  expect(leases()).toBe(0);
  expect(await verified()).toEqual({ status: 'valid', problems: [] });
});

it('settles once: whoever comes second is told so, and a permit that was taken twice leaves one outcome', async () => {
  await decided();
  await process(async (guard) => {
    const twice = [permitOf(await guard.takeOver(CALL)), permitOf(await guard.takeOver(CALL))];
    for (const permit of twice) await permit.settle({ status: 'success' }, { durable: 'or-throw' });
    expect(await guard.takeOver(CALL)).toMatchObject({ kind: 'settled', callId: twice[0]?.callId });
  });
  expect(kinds()).toEqual([ALLOWED, 'outcome success']);
});

it('the id comes again before the call ended: refused, with the same arguments and with others', async () => {
  await decided();
  expect(await decided()).toBe('CALL_IN_PROGRESS');
  expect(await decided({ ...CALL, args: { command: 'rm -rf /' } })).toBe('CALL_IN_PROGRESS');
  await process(async (guard) => permitOf(await guard.takeOver(CALL)).settle({ status: 'success' }, { durable: true }));
  expect(await decided()).toBe('CALL_ALREADY_RUN');
  expect(await verified()).toEqual({ status: 'valid', problems: [] });
});

it.each<readonly [string, ToolCall]>([
  ['other arguments', { ...CALL, args: { command: 'rm -rf /' } }],
  ['another tool', { ...CALL, tool: { server: 'claude-code', name: 'Write' } }],
  ['another server', { ...CALL, tool: { name: 'Bash' } }],
  ['another principal', { ...CALL, principal: 'eve' }],
])('what ran has %s than what was decided: no permit, and the call stays open', async (_what, ran) => {
  await decided();
  expect(await process((guard) => guard.takeOver(ran))).toMatchObject({ kind: 'changed' });
  await process(async (guard) => permitOf(await guard.takeOver(CALL)).settle({ status: 'success' }, { durable: true }));
  expect(kinds()).toEqual([ALLOWED, 'outcome success']);
});

it.each<readonly [string, ToolCall]>([
  ['another id', { ...CALL, id: 'toolu_9' }],
  ['another session', { ...CALL, session: 'c2' }],
  ['no id', { ...CALL, id: undefined } as unknown as ToolCall],
  ['arguments that cannot be read', { ...CALL, args: { n: Number.NaN } }],
])('%s: nobody decided that', async (_what, ran) => {
  await decided();
  expect(await process((guard) => guard.takeOver(ran))).toEqual({ kind: 'unknown' });
});

it('a guard of another agent takes nothing over', async () => {
  await decided();
  expect(await process((guard) => guard.takeOver(CALL), { agent: 'other' })).toEqual({ kind: 'unknown' });
});

it('a call that was refused, or waits for a person, is told as that and gives no permit', async () => {
  const no = { ...CALL, tool: { name: 'no' } };
  const ask = { ...CALL, id: 'toolu_2', tool: { name: 'ask' } };
  expect(await decided(no)).toBe('POLICY_DENY_HIGH_RISK');
  expect(await decided(ask)).toBe('pending');
  await process(async (guard) => {
    expect(await guard.takeOver(no)).toMatchObject({ kind: 'refused' });
    expect(await guard.takeOver(ask)).toMatchObject({ kind: 'refused' });
  });
  expect(leases()).toBe(0);
});

it('an approved call is handed over, and its approval used once', async () => {
  const ask = { ...CALL, tool: { name: 'ask' } };
  await decided(ask);
  await process(async (guard) => {
    const [row] = await guard.approvals.list();
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'ana', method: 'host' });
  });
  expect(await decided(ask)).toBe('permit');
  await process(async (guard) => permitOf(await guard.takeOver(ask)).settle({ status: 'success' }, { durable: true }));
  expect(await verified()).toEqual({ status: 'valid', problems: [] });
});

it('a call that a person edited is found under the id it came with, by the arguments that were decided on', async () => {
  const ask = { ...CALL, tool: { name: 'ask' } };
  const edited = { command: 'ls -l' };
  await decided(ask);
  await process(async (guard) => {
    const [row] = await guard.approvals.list();
    await guard.approvals.resolve(row?.id ?? '', { decision: 'edit', args: edited }, { id: 'ana', method: 'host' });
  }, {});
  // The edited call is decided from the start: by a policy that lets it run.
  const policy = rulePolicy({
    id: 'p',
    default: 'allow',
    rules: [{ id: 'a', tools: ['ask'], effect: 'require_approval', when: "args.command == 'ls'" }],
  });
  await process(
    async (guard) => {
      const authorization = await guard.authorize(ask, { approval: 'suspend', handOver: { forMs: HOUR } });
      expect(authorization).toMatchObject({ kind: 'permit', args: edited, edited: { shown: edited } });
    },
    { policy },
  );
  await process(
    async (guard) => {
      expect(await guard.takeOver(ask)).toMatchObject({ kind: 'changed' });
      await permitOf(await guard.takeOver({ ...ask, args: edited })).settle({ status: 'success' }, { durable: true });
    },
    { policy },
  );
  expect(await verified()).toEqual({ status: 'valid', problems: [] });
});

it('once the time is over the call counts as abandoned; who comes later settles it all the same, and no money comes back', async () => {
  const budgets = [budgetFrom({ id: 'calls', per: 'agent', limit: 5, refund: 'error' })];
  await decided(CALL, { budgets }, 1);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
  await process(
    async (guard) => {
      await permitOf(await guard.takeOver(CALL)).settle({ status: 'error', error: new Error('x') }, { durable: true });
      expect(await guard.budgets()).toMatchObject([{ keys: [{ left: 4_000_000 }] }]);
    },
    { budgets },
  );
  expect(kinds()).toEqual([ALLOWED, 'recovery open-decisions', 'outcome error']);
  expect(leases()).toBe(0);
  expect(await verified()).toEqual({ status: 'valid', problems: [] });
});

it('money comes back to a call that another process settles as an error in time', async () => {
  const budgets = [budgetFrom({ id: 'calls', per: 'agent', limit: 5, refund: 'error' })];
  await decided(CALL, { budgets });
  await process(
    async (guard) => {
      await permitOf(await guard.takeOver(CALL)).settle({ status: 'error', error: new Error('x') }, { durable: true });
      expect(await guard.budgets()).toMatchObject([{ keys: [] }]);
    },
    { budgets },
  );
});

it('a process that dies between the decision and the answer leaves the call to whoever settles it', async () => {
  const store = openLedger(path);
  await guardOn(store).authorize(CALL, { handOver: { forMs: HOUR } });
  // Nothing is closed: its lease stays, and is that of a process that is gone.
  const reader = new Sqlite(path);
  reader.prepare("UPDATE leases SET pid = 0, start_time = 'gone' WHERE host <> 'custody'").run();
  reader.close();
  await process(async (guard) => permitOf(await guard.takeOver(CALL)).settle({ status: 'success' }, { durable: true }));
  expect(kinds()).toEqual([ALLOWED, 'outcome success']);
  await store.close();
});

it('without handOver the next process finds the call abandoned, as before', async () => {
  await process((guard) => guard.authorize(CALL));
  await process(async (guard) => expect(await guard.takeOver(CALL)).toMatchObject({ kind: 'permit' }));
  expect(kinds()).toEqual([ALLOWED, 'recovery open-decisions']);
});

it('rules on results are asked where the call is settled', async () => {
  const policy = rulePolicy({
    id: 'p',
    default: 'allow',
    rules: [{ id: 'held', on: 'result', tools: ['*'], effect: 'withhold', label: ['seen'] }],
  });
  await decided(CALL, { policy });
  await process(
    async (guard, store) => {
      const permit = permitOf(await guard.takeOver(CALL));
      expect(permit.holdsResult).toBe(true);
      expect(await permit.release({ status: 'success', result: 'secret' })).toMatchObject({ kind: 'replaced', action: 'withhold' });
      expect((await store.session('c1')).labels).toEqual(['seen']);
    },
    { policy },
  );
  expect(entries().at(-1)).toMatchObject({ kind: 'outcome', released: { action: 'withhold', rule: 'held' } });
});

it.each([0, -1, 1.5, Number.NaN, MAX_HAND_OVER_MS + 1])('a time of %s refuses, closed', async (forMs) => {
  expect(await decided(CALL, {}, forMs)).toBe('INTERNAL_ERROR');
  expect(kinds().filter((kind) => kind.includes('allow'))).toEqual([]);
});

it('a call without an id cannot be handed over: refused', async () => {
  const { id: _none, ...unnamed } = CALL;
  expect(await decided(unnamed)).toBe('INTERNAL_ERROR');
});

it('a row that names another decision gives no permit', async () => {
  await decided();
  await decided({ ...CALL, id: 'toolu_2', tool: { name: 'no' } });
  const at = entries().findLastIndex((entry) => entry.kind === 'decision' && entry.effect === 'deny');
  const database = new Sqlite(path);
  const leaf = database.prepare<[number], string>('SELECT leaf FROM entries WHERE seq = ?').pluck().get(at);
  database.prepare("UPDATE calls SET decision_of = ?, decision_leaf = ? WHERE state = 'allowed'").run(at, leaf);
  database.close();
  expect(await process((guard) => guard.takeOver(CALL))).toEqual({ kind: 'unknown' });
});

it('what ran in place of a call is recorded with a reference to it', async () => {
  await decided({ ...CALL, tool: { name: 'no' } });
  await process(async (guard) => {
    const run = await guard.recordRun(CALL, 'client', { call: 'a1', was: 'refused' });
    await run.ended({ status: 'success' });
    await expect(guard.recordRun(CALL, 'client', { call: 'a1', was: 'odd' as 'refused' })).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
    });
    await expect(guard.recordRun(CALL, 'client', { call: '', was: 'refused' })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });
  expect(entries().find((entry) => entry.kind === 'note')).toMatchObject({
    topic: 'ran-elsewhere',
    data: { by: 'client', of: 'a1', was: 'refused', session: 'c1' },
  });
  expect(await verified()).toEqual({ status: 'valid', problems: [] });
});

it('a policy that allows everything hands over too, and forms of one permit are used once', async () => {
  await decided(CALL, { policy: allowAll() });
  await process(
    async (guard) => {
      const permit = permitOf(await guard.takeOver(CALL));
      await permit.settle({ status: 'cancelled' });
      await expect(permit.settle({ status: 'success' })).rejects.toMatchObject({ code: 'PERMIT_ALREADY_SETTLED' });
      expect(guard.openCalls()).toEqual([]);
    },
    { policy: allowAll() },
  );
});
