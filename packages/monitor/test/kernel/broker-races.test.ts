/** What a path means is changed while it is opened. With the broker the secret is never in anybody's hands; a call that goes on may lose. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pid as self } from 'node:process';
import { describe, expect, it } from 'vitest';
import { seccompSensor } from '../../src/kernel/seccomp-sensor.ts';
import type { TrapReads } from '../../src/kernel/traps.ts';
import { loadScope } from '../../src/scope/load.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { cProgram } from '../c-program.ts';
import { folder, under } from './brokered.ts';
import { whyNot } from './supervised.ts';

const program = cProgram('kernel/broker');
const missing = whyNot() ?? (program === undefined ? 'there is no C compiler' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: races against the broker: ${missing}`);

interface Score {
  readonly tries: number;
  readonly leaks: number;
  readonly opened: number;
  readonly refused: number;
}

async function race(kind: string, tries: number, trapReads: TrapReads = 'broker'): Promise<Score> {
  const at = folder();
  for (const name of ['good', 'bad', 'good/moved', 'home']) mkdirSync(join(at, name));
  const [good, bad] = [join(at, 'good/file'), join(at, 'bad/file')];
  writeFileSync(good, 'fine enough');
  writeFileSync(bad, 'SECRET of somebody');
  const folders = [join(at, 'good'), join(at, 'bad')];
  const args: Record<string, readonly string[]> = {
    links: [good, bad, join(at, 'link')],
    descriptors: folders,
    cwd: folders,
    parents: [join(at, 'good/moved'), join(at, 'bad/moved')],
    hardlinks: [good, bad, '', join(at, 'hard')],
    renames: [good, bad, '', join(at, 'else')],
  };
  const { output, ended } = await under({
    program: program ?? '',
    args: ['race', kind, String(tries), ...(args[kind] ?? [good, bad])],
    workspace: at,
    trapReads,
    start: { rules: { workspace: at, home: join(at, 'home'), tmp: [], own: { pids: [self], files: [bad] } } },
  });
  const [all = -1, leaks = -1, opened = -1, refused = -1] = ((await output).match(/\d+/g) ?? []).map(Number);
  expect(await ended).toEqual({ code: 0 });
  return { tries: all, leaks, opened, refused };
}

describe.skipIf(missing !== undefined)('what a path means is changed while it is opened', () => {
  it.each([
    ['paths', 9_000],
    ['openat2', 1_500],
    ['links', 1_500],
    ['descriptors', 1_500],
    ['cwd', 1_500],
    ['parents', 1_500],
    ['how', 1_500],
    ['hardlinks', 1_500],
    ['renames', 1_500],
    ['writes', 1_500],
    ['deletes', 1_500],
  ])('%s: never in anybody’s hands', async (kind, tries) => {
    const score = await race(kind, tries);
    expect(score).toMatchObject({ tries, leaks: 0 });
    // It was tried: some were let through, some were not.
    expect(score.refused).toBeGreaterThan(0);
    if (!['how', 'renames'].includes(kind)) expect(score.opened).toBeGreaterThan(0);
  });

  it('without the broker the kernel reads the path again: that loses, and is called L2', async () => {
    let leaks = 0;
    for (let round = 0; round < 10 && leaks === 0; round++) leaks += (await race('descriptors', 3_000, 'deny-list')).leaks;
    expect(leaks).toBeGreaterThan(0);
    const sensor = (trapReads: TrapReads) =>
      seccompSensor({
        tree: new TrackedTree({ roots: [] }),
        listener: -1,
        mode: 'enforce_kill',
        trapReads,
        scope: loadScope({ document: {} }),
        rules: { workspace: '/', home: '/', tmp: [] },
        since: 0,
        redact: (text) => text,
        stat: () => undefined,
      });
    expect(sensor('deny-list').level).toBe('L2');
    expect(sensor('broker').level).toBe('L3');
  });
});
