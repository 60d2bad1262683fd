/**
 * The same ratios on a disk that takes its time: every fsync and fdatasync of a child process returns 1 ms later, on both
 * sides, delayed by strace (`--seccomp-bpf`, so that no other system call pays for being traced). That is closer to a cloud
 * disk than the one this runs on. The child measures as `ledger.ts` and `guard.ts` do and prints the ratio.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atLeast, atMost, type Claim, type Measured, printed } from './figure.ts';
import { durableFloor, signedFloor } from './floor.ts';
import { bothDurable, signed } from './guard.ts';
import { alone, overOne, overReady } from './ledger.ts';

export const DELAYED = ['-f', '-qq', '--seccomp-bpf', '-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:delay_exit=1000'];
const MAX_RUN_MS = 300_000;

export const slowDiskClaims: readonly Claim[] = [
  slow(alone, (name, value) => atMost(name, value, 1.15)),
  slow(signed, (name, value) => atMost(name, value, 1.3)),
  slow(signedFloor, printed),
  slow(bothDurable, (name, value) => atMost(name, value, 1.15)),
  slow(durableFloor, printed),
  slow(overOne, (name, value) => atLeast(name, value, 20)),
  slow(overReady, (name, value) => atLeast(name, value, 0.5)),
];

function slow(measure: string, judge: (name: string, value: number) => Measured): Claim {
  const name = `${measure}, +1 ms`;
  return {
    name,
    async measure() {
      if (!canDelay(name)) return undefined;
      const child = fileURLToPath(new URL('./slow-disk-child.ts', import.meta.url));
      const node = [process.execPath, '--conditions=@countersign/source', '--no-warnings', '--expose-gc', child, measure];
      const { status, stdout, stderr } = spawnSync('strace', [...DELAYED, '-o', '/dev/null', ...node], {
        encoding: 'utf8',
        timeout: MAX_RUN_MS,
        env: { ...process.env, NODE_OPTIONS: '' },
      });
      if (status !== 0) throw new Error(`the delayed child failed: ${stderr}`);
      return judge(name, Number(stdout));
    },
  };
}

/** Says loudly what is left out where nothing can slow the disk down. */
export function canDelay(name: string): boolean {
  if (spawnSync('strace', ['-V']).status === 0) return true;
  process.stderr.write(`LEFT OUT: ${name}: strace is not installed, so nothing delays fsyncs here (apt-get install strace)\n`);
  return false;
}
