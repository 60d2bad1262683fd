/**
 * A guarded call, from `guard.run` to the tool's result, with one allow rule and a signed ledger.
 *
 * On SQLite it stands against one raw durable commit: the decision is durable before the tool runs, its signature
 * included, and the outcome rides with the next call's commit. With the outcome durable too, before the caller goes on, it
 * stands unsigned against two raw commits.
 *
 * On the memory store it stands against the work that no guard could leave out for the same call (`needed.ts`).
 * What remains is the guard's own: queues, promises, session and call rows, the permit, the async scope.
 */
import { budgetFrom, createGuard, type Guard, type GuardOptions } from '@countersign/core';
import type { SqliteStore } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { entryText } from '../packages/core/src/ledger/body.ts';
import { AGENT, ARGS, DECISION, POLICY, RESULT, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim, printed } from './figure.ts';
import { benchSigner, benchStore, rawTable } from './fixtures.ts';
import { durableFloor, durableRowsOverRaw, signedFloor, signedRowsOverRaw } from './floor.ts';
import { ONE_BY_ONE, timeRatio } from './measure.ts';
import { neededWork } from './needed.ts';

export const signed = 'guarded call, signed, one allow rule / raw durable commit';
export const bothDurable = 'guarded call, outcome durable too, unsigned / two raw durable commits';
const budgeted = 'guarded call, signed, one allow rule, 3 budgets / raw durable commit';
const inMemory = 'guarded call on the memory store / its redaction, decision, canonical text and hashes alone';
const told = 'guarded call on the memory store, told to a tracer and a listener that do nothing / told to nobody';

export const guardClaims: readonly Claim[] = [
  { name: signed, measure: async () => atMost(signed, await guardedOverRaw(), 3) },
  { name: signedFloor, measure: async () => printed(signedFloor, await signedRowsOverRaw()) },
  { name: bothDurable, measure: async () => atMost(bothDurable, await durableOverRaw(), 1.4) },
  { name: durableFloor, measure: async () => printed(durableFloor, await durableRowsOverRaw()) },
  { name: budgeted, measure: async () => printed(budgeted, await guardedOverRaw({ budgets: BUDGETS })) },
  { name: inMemory, measure: async () => atMost(inMemory, await guardedOverNeeded(), 2) },
  { name: told, measure: async () => printed(told, await toldOverUntold()) },
];

const BUDGETS = [
  budgetFrom({ id: 'calls', per: 'agent', limit: 1_000_000, window: '1h' }),
  budgetFrom({ id: 'tool-calls', per: 'tool', limit: 1_000_000, window: '24h' }),
  budgetFrom({ id: 'rows', per: 'session', limit: 1_000_000_000, cost: 'args.limit' }),
];

export async function guardedOverRaw(options: Pick<GuardOptions, 'budgets'> = {}): Promise<number> {
  const store = benchStore(benchSigner());
  const guard = guardOn(store, options);
  const raw = rawTable();
  const ready = entryText(DECISION, { atMs: Date.now(), writer: store.writer });
  const ratio = await timeRatio(
    (count) => guardedCalls(guard, count),
    (count) => {
      for (let i = 0; i < count; i++) raw.insert(ready);
    },
    ONE_BY_ONE,
  );
  raw.database.close();
  await closeGuard(guard);
  await store.close();
  return ratio;
}

export async function durableOverRaw(): Promise<number> {
  const store = benchStore('none');
  const guard = guardOn(store);
  const raw = rawTable();
  const ready = entryText(DECISION, { atMs: Date.now(), writer: store.writer });
  const ratio = await timeRatio(
    async (count) => {
      for (let i = 0; i < count; i++) {
        const permit = await guard.authorize({ tool: TOOL, args: ARGS });
        if (permit.kind !== 'permit') throw new Error('the bench call was refused');
        await permit.settle({ status: 'success', result: RESULT }, { durable: true });
      }
    },
    (count) => {
      for (let i = 0; i < 2 * count; i++) raw.insert(ready);
    },
    ONE_BY_ONE,
  );
  raw.database.close();
  await closeGuard(guard);
  await store.close();
  return ratio;
}

function guardOn(
  store: SqliteStore | ReturnType<typeof memoryStore>,
  options: Pick<GuardOptions, 'budgets' | 'tracer' | 'onEvent'> = {},
): Guard {
  return createGuard({ agent: AGENT, session: SESSION, policy: POLICY, store, ...options });
}

/** A call that was refused throws by itself; an outcome that was not recorded would only make the guard look fast. */
async function closeGuard(guard: Guard): Promise<void> {
  await guard.close();
  if (guard.counters.lostOutcomes > 0) throw new Error(`${guard.counters.lostOutcomes} outcomes were not recorded`);
}

async function guardedCalls(guard: Guard, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await guard.run({ tool: TOOL, args: ARGS }, () => RESULT);
}

async function guardedOverNeeded(): Promise<number> {
  const store = memoryStore();
  const guard = guardOn(store);
  const needed = neededWork(POLICY, store);
  const ratio = await timeRatio(
    (count) => guardedCalls(guard, count),
    (count) => {
      for (let i = 0; i < count; i++) {
        const { call, leaf } = needed.decide();
        needed.settle(call, { of: 0, leaf });
      }
    },
    { count: 100 },
  );
  await closeGuard(guard);
  return ratio;
}

/** What events and spans cost before anybody makes something of them. */
async function toldOverUntold(): Promise<number> {
  const tracer = { begin: () => ({ tell: () => {}, within: (run: () => void) => run() }) };
  const [telling, silent] = [guardOn(memoryStore(), { tracer, onEvent: () => {} }), guardOn(memoryStore())];
  const ratio = await timeRatio(
    (count) => guardedCalls(telling, count),
    (count) => guardedCalls(silent, count),
    { count: 100 },
  );
  await closeGuard(telling);
  await closeGuard(silent);
  return ratio;
}
