/**
 * What budgets cost a commit: a guarded call charged to ten of them, on a ledger that holds 100,000 charges already,
 * against the same call on a ledger without any. Both are signed, both decisions durable before the tool runs.
 *
 * The charges that lie there are spread over the ten budgets, 100 keys each and three days, so that windows of an hour, of
 * a day and for life all hold some. Each call is charged to ten keys of its own among them.
 */
import { type Budget, budgetFrom, createGuard, type Guard, rulePolicy } from '@countersign/core';
import Sqlite from 'better-sqlite3';
import { AGENT, ARGS, RESULT, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim } from './figure.ts';
import { benchSigner, benchStore, freshPath } from './fixtures.ts';
import { ONE_BY_ONE, timeRatio } from './measure.ts';

const overNone = 'a commit with 10 budgets over 100,000 charges / a commit with none';

export const budgetClaims: readonly Claim[] = [{ name: overNone, measure: async () => atMost(overNone, await budgetsOverNone(), 1.5) }];

const CHARGES = 100_000;
const KEYS = 100;
const DAY_MS = 86_400_000;

const POLICY = rulePolicy({
  id: 'bench',
  version: '1',
  rules: [{ id: 'reports', tools: [`${TOOL.server}/${TOOL.name}`], effect: 'allow' }],
});

const LIMIT = 1_000_000_000;
const TEN: readonly Budget[] = [
  budgetFrom({ id: 'calls-hour', per: 'agent', limit: LIMIT, window: '1h' }),
  budgetFrom({ id: 'calls-day', per: 'agent', limit: LIMIT, window: '24h' }),
  budgetFrom({ id: 'calls-life', per: 'agent', limit: LIMIT }),
  budgetFrom({ id: 'tool-hour', per: 'tool', limit: LIMIT, window: '1h' }),
  budgetFrom({ id: 'tool-day', per: 'tool', limit: LIMIT, window: '24h' }),
  budgetFrom({ id: 'session-hour', per: 'session', limit: LIMIT, window: '1h' }),
  budgetFrom({ id: 'session-rows', per: 'session', limit: LIMIT, cost: 'args.limit' }),
  budgetFrom({ id: 'principal-day', per: 'principal', limit: LIMIT, window: '24h' }),
  budgetFrom({ id: 'path-day', key: 'args.path', limit: LIMIT, window: '24h' }),
  budgetFrom({ id: 'path-rows', key: 'args.path', limit: LIMIT, cost: 'args.limit', refund: 'error' }),
];

export async function budgetsOverNone(): Promise<number> {
  const charged = guarded(TEN);
  const free = guarded([]);
  await charged.calls(1);
  fill(charged.path);
  const ratio = await timeRatio(
    (count) => charged.calls(count),
    (count) => free.calls(count),
    ONE_BY_ONE,
  );
  for (const each of [charged, free]) await each.close();
  return ratio;
}

interface Guarded {
  readonly path: string;
  calls(count: number): Promise<void>;
  close(): Promise<void>;
}

function guarded(budgets: readonly Budget[]): Guarded {
  const path = freshPath('ledger.db');
  const store = benchStore(benchSigner(), path);
  const guard: Guard = createGuard({ agent: AGENT, session: SESSION, policy: POLICY, store, budgets });
  return {
    path,
    async calls(count) {
      for (let i = 0; i < count; i++) await guard.run({ tool: TOOL, args: ARGS, principal: 'ada' }, () => RESULT);
    },
    async close() {
      await guard.close();
      if (guard.counters.lostOutcomes > 0) throw new Error(`${guard.counters.lostOutcomes} outcomes were not recorded`);
      await store.close();
    },
  };
}

/** Charges from the days before, to the keys of the one call that was made and to others. */
function fill(path: string): void {
  const database = new Sqlite(path);
  const own = new Map(database.prepare<[], [string, string]>('SELECT budget, key FROM charges').raw().all());
  if (own.size !== TEN.length) throw new Error(`the bench call was charged to ${own.size} budgets, not to ${TEN.length}`);
  const insert = database.prepare('INSERT INTO charges (budget, key, at, cost, call) VALUES (?, ?, ?, ?, ?)');
  const from = Date.now() - 3 * DAY_MS;
  database.transaction(() => {
    for (let i = 0; i < CHARGES; i++) {
      const { id } = TEN[i % TEN.length] as Budget;
      const nth = Math.floor(i / TEN.length) % KEYS;
      const key = nth === 0 ? (own.get(id) as string) : `${id} of somebody else, ${nth}`;
      insert.run(id, key, from + Math.floor((i / CHARGES) * 3 * DAY_MS), 1_000_000, 'f'.repeat(32));
    }
  })();
  database.close();
}
