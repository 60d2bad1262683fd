/**
 * Whether a commit reaches the disk on a ledger that was opened before, where better-sqlite3 would leave WAL files at
 * synchronous=NORMAL. A child under strace reopens a ledger and appends one decision after the other, each a batch of its
 * own; counted are the fsyncs beyond those of a child that only opens and closes it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { atLeast, type Claim } from './figure.ts';
import { benchStore, freshPath } from './fixtures.ts';

const BATCHES = 100;
const name = 'fsyncs per acknowledged batch on a reopened ledger';

export const durabilityClaims: readonly Claim[] = [
  {
    name,
    async measure() {
      if (spawnSync('strace', ['-V']).status !== 0) {
        process.stderr.write(`LEFT OUT: ${name}: strace is not installed, so nothing counts fsyncs here (apt-get install strace)\n`);
        return undefined;
      }
      const path = freshPath('reopened.db');
      await benchStore('none', path).close();
      const idle = syncsOfChild(path, 0);
      return atLeast(name, (syncsOfChild(path, BATCHES) - idle) / BATCHES, 1, 'fsyncs');
    },
  },
];

/** fsync and fdatasync calls of a process that opens the ledger, appends so many batches and closes it. */
function syncsOfChild(path: string, batches: number): number {
  const trace = freshPath('trace');
  const child = fileURLToPath(new URL('./durability-child.ts', import.meta.url));
  const node = [process.execPath, '--conditions=@countersign/source', '--no-warnings', child, path, String(batches)];
  const { status, stdout, stderr } = spawnSync('strace', ['-f', '-qq', '-e', 'trace=fsync,fdatasync', '-o', trace, ...node], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (status !== 0 || Number(stdout) !== batches) throw new Error(`the traced child failed: ${stderr}`);
  // A call that another thread interrupts is written as two lines; only the first has the parenthesis.
  return readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => /\bf(?:data)?sync\(/.test(line)).length;
}
