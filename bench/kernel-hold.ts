/**
 * What a held call is worth. A thousand files that were there before are deleted one by one: how many are gone when the rule for twenty in ten
 * seconds holds the next. And a warden that is killed: how many calls of somebody who survived it went through afterwards.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { supervised, whyNot } from '../packages/monitor/test/kernel/supervised.ts';
import { atMost, type Claim } from './figure.ts';

const TIMES = 3;
const FILES = 1_000;
const DELETIONS = 20;
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CHILD = fileURLToPath(new URL('./kernel-warden-child.ts', import.meta.url));
const LOOK_MS = 10;
const PATIENCE_MS = 30_000;

export const kernelHoldClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  return [
    claim(`held: of ${FILES} files, gone when the rule for ${DELETIONS} held a deletion (worst of three)`, gone, Math.max, DELETIONS),
    claim(
      'held: calls that went through once the warden was killed (sum of three)',
      wentThrough,
      (...all) => all.reduce((a, b) => a + b),
      0,
    ),
  ];
}

function claim(name: string, once: () => Promise<number>, of: (...all: number[]) => number, most: number): Claim {
  return {
    name,
    measure: async () => {
      const why = whyNot();
      if (why !== undefined) {
        process.stderr.write(`not measured: ${why}\n`);
        return undefined;
      }
      const all: number[] = [];
      for (let time = 0; time < TIMES; time++) all.push(await once());
      return atMost(name, of(...all), most, '');
    },
  };
}

async function gone(): Promise<number> {
  // Deletions in temporary folders are not counted.
  const folder = mkdtempSync(join(ROOT, '.countersign-bench-hold-'));
  try {
    const files = join(folder, 'files');
    mkdirSync(files);
    for (let file = 0; file < FILES; file++) writeFileSync(join(files, `old${file}`), '');
    // Files of the same millisecond as the session are not old.
    await sleep(LOOK_MS);
    const run = await supervised({
      program: '/bin/sh',
      args: ['-c', `cd ${files} && exec rm *`],
      workspace: folder,
    });
    await Promise.race([run.until(({ held }) => held !== undefined), run.ended]);
    const left = readdirSync(files).length;
    await run.close();
    return FILES - left;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function wentThrough(): Promise<number> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-bench-warden-')));
  const warden = spawn(process.execPath, [...process.execArgv, CHILD, folder], { stdio: 'ignore' });
  try {
    await until(() => existsSync(join(folder, 'ready')));
    warden.kill('SIGKILL');
    const said = (): string => readFileSync(join(folder, 'went-through'), 'utf8');
    await until(() => said().endsWith('\n'));
    return Number(said());
  } finally {
    warden.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const since = performance.now(); !isSo(); await sleep(LOOK_MS))
    if (performance.now() - since > PATIENCE_MS) throw new Error('it did not happen in time');
}
