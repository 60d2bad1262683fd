/** Run by `slow-disk.ts` under strace: measures both sides of one ratio in this process and prints it. */
import { removeFixtures } from './fixtures.ts';
import { durableFloor, durableRowsOverRaw, signedFloor, signedRowsOverRaw } from './floor.ts';
import { bothDurable, durableOverRaw, guardedOverRaw, signed } from './guard.ts';
import { alone, crowdOverOne, crowdOverReady, noteAlone, overOne, overReady } from './ledger.ts';

const MEASURES = new Map<string, () => Promise<number>>([
  [alone, noteAlone],
  [signed, guardedOverRaw],
  [bothDurable, durableOverRaw],
  [signedFloor, signedRowsOverRaw],
  [durableFloor, durableRowsOverRaw],
  [overOne, crowdOverOne],
  [overReady, crowdOverReady],
]);

const measure = MEASURES.get(process.argv[2] ?? '');
if (measure === undefined) throw new Error('no such measure');
try {
  process.stdout.write(String(await measure()));
} finally {
  removeFixtures();
}
