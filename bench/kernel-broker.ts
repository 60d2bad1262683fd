/**
 * Opening in the place of a process (A10, and its part of A9): how often a second thread that swaps the path gets at a secret, and
 * what an open costs. The program is the hostile one of the tests; each way is measured in the same minute as the others.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pid as self } from 'node:process';
import { promisify } from 'node:util';
import type { TrapReads } from '../packages/monitor/src/kernel/traps.ts';
import { cProgram } from '../packages/monitor/test/c-program.ts';
import { supervised, whyNot } from '../packages/monitor/test/kernel/supervised.ts';
import { atMost, type Claim, type Measured, printed } from './figure.ts';
import { median } from './measure.ts';

const TRIES = 9_000;
const RACES = 3;
const OPENS = 3_000;
const ROUNDS = 5;

interface Costs {
  readonly none: number;
  readonly denyList: number;
  readonly broker: number;
}

export const kernelBrokerClaims: readonly Claim[] = [
  ...Array.from({ length: RACES }, (_, index) =>
    claim(`broker: secrets opened by swapping the path, of ${TRIES} tries (run ${index + 1})`, async (name) =>
      atMost(name, await leaks('broker'), 0, ''),
    ),
  ),
  claim(`deny-list: secrets opened by swapping the path, of ${TRIES} tries`, async (name) => printed(name, await leaks('deny-list'), '')),
  claim('broker: added to one open, median', async (name) => {
    const { none, broker } = await costs();
    return atMost(name, broker - none, 25, 'us');
  }),
  claim('broker: an open against one that is judged and goes on', async (name) => {
    const { denyList, broker } = await costs();
    return printed(name, broker / denyList);
  }),
  claim('broker: an open against one that nobody watches', async (name) => {
    const { none, broker } = await costs();
    return printed(name, broker / none);
  }),
];

function claim(name: string, measure: (name: string) => Promise<Measured>): Claim {
  return {
    name,
    measure: async () => {
      const reason = whyNot() ?? (cProgram('kernel/broker') === undefined ? 'there is no C compiler' : undefined);
      if (reason === undefined) return measure(name);
      console.error(`${name}: not measured, ${reason}`);
      return undefined;
    },
  };
}

async function leaks(trapReads: TrapReads): Promise<number> {
  const at = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-bench-broker-')));
  const [good, bad] = [join(at, 'good'), join(at, 'bad')];
  mkdirSync(join(at, 'home'));
  writeFileSync(good, 'fine enough');
  writeFileSync(bad, 'SECRET of somebody');
  const run = await supervised({
    program: cProgram('kernel/broker') ?? '',
    args: ['race', 'paths', String(TRIES), good, bad],
    workspace: at,
    trapReads,
    start: { rules: { workspace: at, home: join(at, 'home'), tmp: [], own: { pids: [self], files: [bad] } } },
  });
  try {
    const [tries, leaked] = ((await run.output).match(/\d+/g) ?? []).map(Number);
    if (tries !== TRIES || leaked === undefined) throw new Error('the race did not end as it should');
    return leaked;
  } finally {
    await run.close();
    rmSync(at, { recursive: true, force: true });
  }
}

let measured: Promise<Costs> | undefined;

function costs(): Promise<Costs> {
  measured ??= measureCosts();
  return measured;
}

/** In microseconds. One after the other, round for round: a neighbour that wakes up slows all three. */
async function measureCosts(): Promise<Costs> {
  const rounds: Costs[] = [];
  const at = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-bench-broker-')));
  const path = join(at, 'file');
  writeFileSync(path, 'content');
  for (let round = 0; round < ROUNDS; round++)
    rounds.push({ none: await opens(path), denyList: await opens(path, 'deny-list'), broker: await opens(path, 'broker') });
  rmSync(at, { recursive: true, force: true });
  const of = (key: keyof Costs): number => median(rounds.map((round) => round[key]));
  return { none: of('none'), denyList: of('denyList'), broker: of('broker') };
}

async function opens(path: string, trapReads?: TrapReads): Promise<number> {
  const args = ['timed', String(OPENS), path];
  const program = cProgram('kernel/broker') ?? '';
  if (trapReads === undefined) return Number((await promisify(execFile)(program, args)).stdout) / 1_000;
  const run = await supervised({ program, args, trapReads, mode: 'audit_only' });
  try {
    return Number(await run.output) / 1_000;
  } finally {
    await run.close();
  }
}
