/**
 * Eight processes spend the same three budgets of one ledger, many calls at once in each, a tenth of which fail and are
 * given back. 100,000 calls: `COUNTERSIGN_RACING_CALLS=100000 npx vitest run budget/race`.
 */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { budgetFrom } from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const RACER = new URL('../fixtures/budget-racer.ts', import.meta.url);
const PROCESSES = 8;
const CALLS = Number(process.env['COUNTERSIGN_RACING_CALLS'] ?? 4000);
/** Fewer than can be had, so that the last units are raced for; more than are given back while it lasts. */
const LIMIT = Math.floor(CALLS / 4);
const MICRO = 1_000_000;

interface Result {
  readonly allowed: number;
  readonly amounts: number;
  readonly givenBack: number;
  readonly lostOutcomes: number;
  readonly codes: readonly string[];
  readonly rss: number;
}

const children: ReturnType<typeof fork>[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function startRacer(path: string, name: string): { readonly ready: Promise<void>; race(): Promise<Result> } {
  const pem = Buffer.from(LEDGER_PEM).toString('base64');
  const child = fork(RACER, [path, pem, name, String(CALLS / PROCESSES), String(LIMIT)], {
    execArgv: ['--conditions=@countersign/source', '--no-warnings'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.push(child);
  const message = <T>(): Promise<T> =>
    new Promise((done, fail) => {
      child.once('message', (value) => done(value as T));
      child.once('exit', (code) => fail(new Error(`a racer died early with ${code}`)));
    });
  const ready = message<void>();
  return {
    ready,
    race: () => {
      const result = message<Result>();
      child.send('go');
      return result;
    },
  };
}

it(
  `${PROCESSES} processes that race for ${LIMIT} units overspend none and lose none`,
  async () => {
    const path = join(tempDirectory(), 'ledger.db');
    await openLedger(path).close();
    const racers = Array.from({ length: PROCESSES }, (_, i) => startRacer(path, `racer-${i}`));
    await Promise.all(racers.map(({ ready }) => ready));
    const results = await Promise.all(racers.map((racer) => racer.race()));
    const sum = (of: (result: Result) => number): number => results.reduce((total, result) => total + of(result), 0);
    expect(sum(({ lostOutcomes }) => lostOutcomes)).toBe(0);
    expect(new Set(results.flatMap(({ codes }) => codes))).toEqual(new Set(['BUDGET_EXCEEDED_TOOL_RATE']));

    const store = openLedger(path);
    const budgets = [
      budgetFrom({ id: 'wide', per: 'agent', limit: 1_000_000_000 }),
      budgetFrom({ id: 'spent', key: 'args.customer', limit: 1_000_000_000, window: '24h', cost: 'args.amount' }),
      budgetFrom({ id: 'narrow', per: 'tool', limit: LIMIT, window: '24h' }),
    ];
    const guard = guardOn(store, { budgets });
    const used = async (): Promise<readonly (number | undefined)[]> =>
      (await guard.budgets()).map(({ keys }) => (keys[0] === undefined ? 0 : keys[0].used / MICRO));
    const kept = sum(({ allowed, givenBack }) => allowed - givenBack);
    expect(kept).toBeLessThanOrEqual(LIMIT);
    // All or none: a call that one budget refused is charged to none of them.
    expect(await used()).toEqual([kept, sum(({ amounts }) => amounts), kept]);

    // What was given back last may be left over: it can be had, to the last unit and no further.
    let more = 0;
    while ((await guard.authorize({ tool: { name: 'pay' }, args: { customer: 'ann', amount: 1 } })).kind === 'permit') more++;
    expect(kept + more).toBe(LIMIT);
    expect(await used()).toEqual([LIMIT, sum(({ amounts }) => amounts) + more, LIMIT]);
    await guard.close();
    await store.close();
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ integrity: 'intact', problems: [] });
    if (CALLS > 50_000) process.stderr.write(`${JSON.stringify({ kept, more, results })}\n`);
  },
  CALLS * 20 + 120_000,
);
