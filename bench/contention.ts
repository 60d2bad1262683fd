/**
 * 8 processes on one ledger. Each appends notes one after the other for some seconds, unsigned, each a commit of its own.
 *
 * Waiting for the lock is ours: short random sleeps. Against it stand the same processes, stores and appends, with the lock
 * waited for by SQLite's busy handler (`busy_timeout` on the connection that commits). Compared is the longest time any
 * append of any process took; a round is one run of each, the figure is the median of five rounds. After each run the ledger
 * is verified: a ledger that does not verify counts as a fork, an acknowledged note that is not there (or one too many) as
 * a loss. The same again with each fsync answered 1 ms later (see `slow-disk.ts`).
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Contention } from './contention-run.ts';
import { atMost, type Claim, type Measured } from './figure.ts';
import { canDelay, DELAYED } from './slow-disk.ts';

const waits = "8 processes on one ledger: longest wait, own retry / SQLite's busy handler";
const forks = '8 processes on one ledger: ledgers that do not verify';
const losses = '8 processes on one ledger: acknowledged notes missing';
const slowWaits = `${waits}, +1 ms`;
const MAX_RUN_MS = 300_000;

let fast: Contention | undefined;

export const contentionClaims: readonly Claim[] = [
  claim(waits, (run) => atMost(waits, run.waits, 0.5)),
  claim(forks, (run) => atMost(forks, run.forks, 0, 'of 10')),
  claim(losses, (run) => atMost(losses, run.losses, 0, 'notes')),
  {
    name: slowWaits,
    async measure() {
      if (!canDelay(slowWaits)) return undefined;
      const run = contend('strace', [...DELAYED, '-o', '/dev/null', process.execPath]);
      if (run.forks > 0 || run.losses > 0) throw new Error(`${run.forks} ledgers do not verify and ${run.losses} notes are missing`);
      return atMost(slowWaits, run.waits, 0.5);
    },
  },
];

/** One run serves the three figures. */
function claim(name: string, judge: (run: Contention) => Measured): Claim {
  return { name, measure: async () => judge((fast ??= contend(process.execPath, []))) };
}

function contend(command: string, before: readonly string[]): Contention {
  const script = fileURLToPath(new URL('./contention-run.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(command, [...before, '--conditions=@countersign/source', '--no-warnings', script], {
    encoding: 'utf8',
    timeout: MAX_RUN_MS,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (status !== 0) throw new Error(`the processes failed: ${stderr}`);
  const run = JSON.parse(stdout) as Contention;
  const rounded = (values: readonly number[]): string => values.map((ms) => Math.round(ms)).join(', ');
  process.stderr.write(`longest waits in ms: own retry ${rounded(run.ownMs)}; busy handler ${rounded(run.sqliteMs)}\n`);
  return run;
}
