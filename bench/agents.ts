/**
 * What the guard adds to a turn of an agent: the model asks for one call, or for 64 at once, they run, it reads the results.
 * Everything but the guard is the framework's own: the model answers at once, the tool returns a constant. Beside any real
 * model the part of the guard vanishes; here nothing hides it.
 *
 * On the memory store the difference to the same agent without a guard is told in percent of that agent's turn. On SQLite,
 * durable, it is told against `guard.run` doing the same calls alone: what is above 1 is the adapter's.
 */
import { createGuard, type Guard, type Store } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { aiSdkAgent } from './agents-ai-sdk.ts';
import type { Agent } from './agents-kind.ts';
import { langchainAgent, langchainGraph } from './agents-langchain.ts';
import { AGENT, ARGS, POLICY, RESULT, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim, lowerEndAtMost, printed } from './figure.ts';
import { benchSigner, benchStore } from './fixtures.ts';
import { median } from './measure.ts';
import { neededWork } from './needed.ts';
import { comparePairs, type PairOfTurns, type PairOptions, timed } from './pairs.ts';

interface Kind {
  readonly name: string;
  readonly build: (calls: number, guard: Guard | undefined) => Agent;
}

const KINDS: readonly Kind[] = [
  { name: 'LangChain createAgent, countersignMiddleware', build: langchainAgent },
  { name: 'LangGraph ToolNode, guardTools', build: langchainGraph },
  { name: 'AI SDK generateText, guardTools', build: (calls, guard) => aiSdkAgent(calls, guard, false) },
  { name: 'AI SDK generateText, guardTools and approvalFor', build: (calls, guard) => aiSdkAgent(calls, guard, true) },
];

const SIZES = [
  { calls: 1, title: '1 call', memory: { pairs: 2000, slice: 100 }, durable: { pairs: 2000, slice: 100 } },
  { calls: 64, title: '64 calls at once', memory: { pairs: 2000, slice: 50 }, durable: { pairs: 300, slice: 20 } },
] as const;

const MAX_PERCENT = 15;
const FLOOR_PAIRS = 500;
const MAX_DURABLE = 1.5;

export const agentClaims: readonly Claim[] = KINDS.flatMap((kind) =>
  SIZES.flatMap(({ calls, title, memory, durable }) => {
    const added = `${kind.name}, ${title}: what the guard adds, memory store / the turn without it`;
    const floor = `${kind.name}, ${title}: needed work of the calls alone (floor) / the turn without a guard`;
    const kept = `${kind.name}, ${title}: what the guard adds, signed, SQLite / guard.run alone`;
    return [
      { name: added, measure: () => onMemory(added, kind, calls, memory) },
      { name: floor, measure: async () => printed(floor, await neededPercent(kind, calls, memory), '%') },
      { name: kept, measure: async () => atMost(kept, await onSqlite(kind, calls, durable), MAX_DURABLE) },
    ];
  }),
);

async function onMemory(name: string, kind: Kind, calls: number, options: PairOptions): ReturnType<Claim['measure']> {
  const { medianMs, lowMs, highMs, baselineMs } = await comparePairs(() => pairOf(kind, calls, memoryStore()), options);
  const percent = (ms: number): number => (100 * ms) / baselineMs;
  return lowerEndAtMost(name, percent(medianMs), { low: percent(lowMs), high: percent(highMs) }, MAX_PERCENT);
}

/** What no guard could leave out (`needed.ts`), done once for each call of a turn, in percent of that turn. */
async function neededPercent({ build }: Kind, calls: number, { slice }: PairOptions): Promise<number> {
  const { medianMs, baselineMs } = await comparePairs(
    () => {
      const store = memoryStore();
      const needed = neededWork(POLICY, store);
      const turn = build(calls, undefined).turn;
      return {
        subject: async () => {
          for (let i = 0; i < calls; i++) {
            const { call, leaf } = needed.decide();
            needed.settle(call, { of: 0, leaf });
          }
          await turn();
        },
        baseline: turn,
        close: () => store.close(),
      };
    },
    { pairs: FLOOR_PAIRS, slice },
  );
  return (100 * medianMs) / baselineMs;
}

/** The median difference over the median of the same calls through `guard.run`, one turn of it after each pair. */
async function onSqlite(kind: Kind, calls: number, options: PairOptions): Promise<number> {
  const runs: number[] = [];
  const { medianMs } = await comparePairs(() => {
    const pair = pairOf(kind, calls, benchStore(benchSigner()));
    const alone = guardOn(benchStore(benchSigner()));
    let turns = 0;
    return {
      ...pair,
      async between() {
        runs.push(await timed(() => Promise.all(Array.from({ length: calls }, (_, call) => runAlone(alone.guard, `${++turns}-${call}`)))));
      },
      async close() {
        await pair.close();
        await alone.close();
      },
    };
  }, options);
  // Those of the warm-up come first.
  return medianMs / median(runs.slice(-options.pairs));
}

function runAlone(guard: Guard, id: string): Promise<string> {
  return guard.run({ tool: TOOL, args: { ...ARGS }, id, turn: 'bench' }, () => JSON.stringify(RESULT));
}

function pairOf({ build }: Kind, calls: number, store: Store): PairOfTurns {
  const { guard, close } = guardOn(store);
  const guarded = build(calls, guard);
  const bare = build(calls, undefined);
  return {
    subject: guarded.turn,
    baseline: bare.turn,
    async close() {
      await close();
      // A turn whose calls were refused, or went around the guard, would only look fast.
      const { allowed, refused } = guard.counters;
      const isHonest = allowed > 0 && refused === 0 && guarded.ran() === allowed && bare.ran() === allowed;
      if (!isHonest) throw new Error(`${guarded.ran()} calls ran, ${allowed} were allowed, ${refused} refused, ${bare.ran()} ran bare`);
    },
  };
}

function guardOn(store: Store): { readonly guard: Guard; readonly close: () => Promise<void> } {
  const guard = createGuard({ agent: AGENT, session: SESSION, policy: POLICY, store });
  return {
    guard,
    async close() {
      await guard.close();
      await store.close();
      if (guard.counters.lostOutcomes > 0) throw new Error(`${guard.counters.lostOutcomes} outcomes were not recorded`);
    },
  };
}
