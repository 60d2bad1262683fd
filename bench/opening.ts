/**
 * Opening a long ledger, and the first look at which sessions are halted and which tools are trusted: what a proxy and a
 * warden do at their start. That is told by entries (`packages/core/src/ledger/waymark.ts`), so the question is how many
 * of them must be read.
 *
 * "nothing leads": 100,000 entries in which none says where the newest of those stand, as older versions left them, against
 * the same ledger after one entry was added. "long": that one against a ledger of 2,000 entries.
 */
import { openStore } from '@countersign/core/sqlite';
import { atLeast, atMost, type Claim } from './figure.ts';
import { ORIGIN } from './fixtures.ts';
import { timeRatio, type Work } from './measure.ts';
import { largeLedger } from './verify-ledgers.ts';

const nothingLeads = 'opening and a first look at 100,000 entries, nothing leads to halts and pins / an entry does';
const long = 'opening and a first look at 100,000 entries / at 2,000';
const LONG = 100_000;
const SHORT = 2000;
const OPENINGS = { rounds: 5, warmUpRounds: 1, slices: 2, count: 1 };

export const openingClaims: readonly Claim[] = [
  {
    name: nothingLeads,
    measure: async () => atLeast(nothingLeads, await timeRatio(openings(without(LONG)), openings(await marked(LONG)), OPENINGS), 5),
  },
  {
    name: long,
    measure: async () => atMost(long, await timeRatio(openings(await marked(LONG)), openings(await marked(SHORT)), OPENINGS), 3),
  },
];

/** Nothing that opens and looks adds an entry to it. */
function without(entries: number): string {
  return largeLedger(entries, { openings: false }).path;
}

async function marked(entries: number): Promise<string> {
  const path = without(entries);
  const store = openStore({ path, origin: ORIGIN, signer: 'none', writer: 'inline' });
  await store.commit({ kind: 'record', body: { kind: 'note', topic: 'bench', data: null } });
  await store.close();
  return path;
}

function openings(path: string): Work {
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const store = openStore({ path, origin: ORIGIN, signer: 'none', writer: 'inline' });
      await store.halts();
      await store.pins();
      await store.close();
    }
  };
}
