/** Trees that start processes faster than anybody can look: behind the gate none gets away, as root and as an ordinary user. */

import { execFile } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { cProgram } from '../c-program.ts';
import { whyNot } from '../kernel/supervised.ts';
import type { GateRun } from './gate-child.ts';

const missing = whyNot();
const [rabbit, stampede] = [cProgram('contain/rabbit'), cProgram('contain/stampede')];
const canRun = missing === undefined && rabbit !== undefined && stampede !== undefined;
if (!canRun) console.warn(`SKIPPED: no storms, since ${missing ?? 'there is no C compiler'}`);

async function storm(works: readonly (readonly (string | undefined)[])[], runs: number, user?: number): Promise<readonly GateRun[]> {
  const script = fileURLToPath(new URL('./gate-child.ts', import.meta.url));
  const args = ['--conditions=@countersign/source', '--no-warnings', script, String(runs), JSON.stringify(works)];
  const as = user === undefined ? {} : { uid: user, gid: user, cwd: '/' };
  const { stdout } = await promisify(execFile)(process.execPath, args, { ...as, env: { PATH: process.env['PATH'] } });
  return JSON.parse(stdout) as GateRun[];
}

const NONE = { grade: 'gate', running: 0, started: 0, ran: 0, left: 0, alive: 0 };
const CHAINS = [rabbit, '10', '20', '2000', '1'];

describe.skipIf(!canRun)('behind the gate nothing is new, nothing ran and nothing is left of', () => {
  it('ten chains that fork, leave their session and end, every 2 and 20 ms', async () => {
    const runs = await storm([CHAINS, CHAINS, [rabbit, '10', '20', '20000', '1']], 1);
    expect(runs).toHaveLength(3);
    for (const run of runs) {
      expect(run).toMatchObject({ ...NONE, stopped: run.there });
      // The root, and of each chain that has begun by then one or, just then, two: on a busy machine not all have.
      expect(run.there).toBeGreaterThan(1);
    }
  });

  it('whatever else starts processes: daemons of daemons, brothers, shared memory, vfork, posix_spawn, threads, exec', async () => {
    const modes = ['twice', 'siblings', 'shared', 'vforks', 'spawns', 'execs'].map((mode) => [stampede, mode, '10']);
    const runs = await storm([...modes, [stampede, 'threads', '200']], 1);
    expect(runs.map(({ work, ...run }) => ({ work, ...run }))).toEqual(runs.map((run) => ({ ...run, ...NONE, stopped: run.there })));
    expect(new Set(runs.map(({ work }) => work)).size).toBe(7);
  });

  it('what keeps every signal from itself, wakes its brothers, or is being debugged', async () => {
    const runs = await storm(
      ['deaf', 'wakers', 'traced'].map((mode) => [stampede, mode, '5']),
      1,
    );
    expect(runs).toEqual(runs.map((run) => ({ ...run, ...NONE, stopped: run.there })));
  });

  it('what wakes itself by the clock: it may run, which is told, and starts nothing', async () => {
    const runs = await storm([[stampede, 'waking', '5']], 1);
    for (const run of runs) expect(run).toMatchObject({ grade: 'gate', started: 0, left: 0, alive: 0 });
  });

  it('an ordinary user’s tree', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root, to have another user');
    for (const file of [rabbit, stampede]) chmodSync(dirname(file ?? ''), 0o755);
    const runs = await storm([CHAINS, [stampede, 'spawns', '10']], 1, 65_534).catch((error: unknown) => String(error));
    if (typeof runs === 'string') return context.skip(`another user cannot run this: ${runs.slice(0, 200)}`);
    expect(runs).toEqual(runs.map((run) => ({ ...run, ...NONE, stopped: run.there })));
    expect(runs).toHaveLength(2);
  });
});
