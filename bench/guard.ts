/**
 * A guarded call, from `guard.run` to the tool's result, with one allow rule and a signed ledger.
 *
 * On SQLite it stands against one raw durable commit: the decision is durable before the tool runs, its signature
 * included, and the outcome rides with the next call's commit. With the outcome durable too, before the caller goes on, it
 * stands unsigned against two raw commits.
 *
 * On the memory store it stands against the work that no guard could leave out for the same call, done once, straight, and
 * with no awaiting in between:
 * - the private copy of the arguments with its exact text, and its MAC, by which a repeated call is recognised;
 * - redaction of the arguments and of the result's excerpt;
 * - the policy;
 * - commitments to arguments and result, under a fresh key each;
 * - the two entries, decision and outcome: canonical text and leaf hash.
 * What remains is the guard's own: queues, promises, session and call rows, the permit, the async scope.
 */
import { budgetFrom, createGuard, createRedactor, type Guard, type GuardOptions, type PolicyInput, rulePolicy } from '@countersign/core';
import type { SqliteStore } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { callMatch } from '../packages/core/src/call-key.ts';
import { entryText, newId } from '../packages/core/src/ledger/body.ts';
import { commitSection, newOpeningKey } from '../packages/core/src/ledger/commitment.ts';
import { leafHash } from '../packages/core/src/ledger/merkle.ts';
import { captureArguments } from '../packages/core/src/redact/arguments.ts';
import { showAnything } from '../packages/core/src/redact/excerpt.ts';
import { AGENT, ARGS, DECISION, RESULT, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim, printed } from './figure.ts';
import { benchSigner, benchStore, rawTable } from './fixtures.ts';
import { ONE_BY_ONE, timeRatio } from './measure.ts';

export const signed = 'guarded call, signed, one allow rule / raw durable commit';
export const bothDurable = 'guarded call, outcome durable too, unsigned / two raw durable commits';
const budgeted = 'guarded call, signed, one allow rule, 3 budgets / raw durable commit';
const inMemory = 'guarded call on the memory store / its redaction, decision, canonical text and hashes alone';
const told = 'guarded call on the memory store, told to a tracer and a listener that do nothing / told to nobody';

export const guardClaims: readonly Claim[] = [
  { name: signed, measure: async () => atMost(signed, await guardedOverRaw(), 3) },
  { name: bothDurable, measure: async () => atMost(bothDurable, await durableOverRaw(), 1.4) },
  { name: budgeted, measure: async () => printed(budgeted, await guardedOverRaw({ budgets: BUDGETS })) },
  { name: inMemory, measure: async () => atMost(inMemory, await guardedOverNeeded(), 2) },
  { name: told, measure: async () => printed(told, await toldOverUntold()) },
];

const POLICY = rulePolicy({
  id: 'bench',
  version: '1',
  rules: [{ id: 'reports', tools: [`${TOOL.server}/${TOOL.name}`], effect: 'allow' }],
});

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
  const needed = neededWork(store);
  const ratio = await timeRatio(
    (count) => guardedCalls(guard, count),
    (count) => {
      for (let i = 0; i < count; i++) needed();
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

function neededWork(store: ReturnType<typeof memoryStore>): () => string {
  const redactor = createRedactor();
  const stamp = { atMs: Date.now(), writer: store.writer };
  const session = { id: SESSION, labels: [], halted: false, startedAtMs: stamp.atMs, version: 0 };
  return () => {
    const { exact, value } = captureArguments(ARGS);
    const match = callMatch({ agent: AGENT, session: SESSION, principal: undefined, tool: TOOL, exact }, (text) => store.mac(text));
    const { shown, findings } = redactor.redact(value);
    const input: PolicyInput = {
      tool: TOOL,
      args: shown,
      findings,
      agent: AGENT,
      session,
      mode: 'enforce',
      atMs: stamp.atMs,
      raw: () => value,
    };
    const verdict = POLICY.evaluate(input);
    if (!('effect' in verdict) || verdict.effect !== 'allow') throw new Error('the bench rule does not allow the bench call');

    const call = newId();
    const decision = leafHash(entryText({ ...DECISION, call, args_commit: commitSection(newOpeningKey(), 'args', shown) }, stamp));
    const excerpt = { excerpt: showAnything(RESULT, redactor) };
    const outcome = {
      kind: 'outcome',
      agent: AGENT,
      session: SESSION,
      call,
      decision: { of: 0, leaf: decision },
      status: 'success',
      duration_ms: 0,
      result_commit: commitSection(newOpeningKey(), 'result', excerpt),
    } as const;
    return leafHash(entryText(outcome, stamp)) + match;
  };
}
