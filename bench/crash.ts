/**
 * kill -9 in the middle of load, 50 times on 5 ledgers: a child makes guarded calls in three lanes, and its tool, which runs
 * once the decision was acknowledged, writes the id of the call to a pipe; it is killed at a random moment, and the next child opens the same ledger with its recovery.
 * Counted at the end are acknowledged decisions that are not in their ledger, and ledgers that do not open and verify.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readLedger, verifyLedger } from '@countersign/core/sqlite';
import { parseEntry } from '../packages/core/src/ledger/body.ts';
import { atMost, type Claim, type Measured } from './figure.ts';
import { benchStore, freshPath } from './fixtures.ts';

const LEDGERS = 5;
const KILLS_EACH = 10;
const LONGEST_LIFE_MS = 60;
const missing = `${LEDGERS * KILLS_EACH} kills under load: acknowledged decisions missing`;
const unreadable = `${LEDGERS * KILLS_EACH} kills under load: ledgers that do not open and verify`;

interface Kills {
  readonly missing: number;
  readonly unreadable: number;
}

let done: Promise<Kills> | undefined;

export const crashClaims: readonly Claim[] = [
  claim(missing, (kills) => atMost(missing, kills.missing, 0, 'decisions')),
  claim(unreadable, (kills) => atMost(unreadable, kills.unreadable, 0, 'ledgers')),
];

/** One run serves both figures. */
function claim(name: string, judge: (kills: Kills) => Measured): Claim {
  return { name, measure: async () => judge(await (done ??= killAll())) };
}

async function killAll(): Promise<Kills> {
  const kills = { missing: 0, unreadable: 0 };
  let acknowledged = 0;
  for (let ledger = 0; ledger < LEDGERS; ledger++) {
    const path = freshPath('killed.db');
    const calls = new Set<string>();
    for (let kill = 0; kill < KILLS_EACH; kill++) for (const call of await lifeOf(path)) calls.add(call);
    acknowledged += calls.size;
    try {
      await benchStore('none', path).close();
      if ((await verifyLedger(path)).status !== 'valid') throw new Error('it does not verify');
    } catch {
      kills.unreadable++;
    }
    for (const call of decisionsIn(path)) calls.delete(call);
    kills.missing += calls.size;
  }
  // Nothing acknowledged would mean nothing was tested.
  if (acknowledged < LEDGERS * KILLS_EACH) throw new Error(`only ${acknowledged} decisions were acknowledged before the kills`);
  return kills;
}

/** @returns the calls one child acknowledged until it was killed. */
async function lifeOf(path: string): Promise<readonly string[]> {
  const file = fileURLToPath(new URL('./crash-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@countersign/source', '--no-warnings', file, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const closed = once(child, 'close');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await Promise.race([once(child.stdout, 'data'), closed]);
  await sleep(Math.random() * LONGEST_LIFE_MS);
  child.kill('SIGKILL');
  await closed;
  // The last line may be cut.
  return said.split('\n').filter((call) => call.length === 32);
}

function* decisionsIn(path: string): Iterable<string> {
  const reader = readLedger(path);
  try {
    for (const { text } of reader.entries()) {
      const entry = parseEntry(text);
      if (entry.kind === 'decision') yield entry.call;
    }
  } finally {
    reader.close();
  }
}
