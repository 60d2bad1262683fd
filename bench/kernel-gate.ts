/**
 * Freezing a tree under kernel control: behind the supervisor's gate.
 *
 * A tree of 200 processes that behave: how long until all are stopped and until all go on, three times; the worst of three medians counts. Ten
 * chains in which a process starts its successor, leaves its session and ends, every 2 or 20 ms, three times 20 runs: how long the slowest stop
 * took, how many processes were new 150 ms after it, how many of those stopped used a processor meanwhile, and how many were alive after
 * the end. The kernel's own control group counts them where there is one, else the environment of all processes there are.
 */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freezerFor } from '../packages/monitor/src/contain/freezer-for.ts';
import { processTable } from '../packages/monitor/src/contain/process-table.ts';
import { TrackedTree } from '../packages/monitor/src/tree/tracked-tree.ts';
import { cProgram } from '../packages/monitor/test/c-program.ts';
import type { GateRun } from '../packages/monitor/test/contain/gate-child.ts';
import { supervised, whyNot } from '../packages/monitor/test/kernel/supervised.ts';
import { atMost, type Claim, type Measured } from './figure.ts';
import { median } from './measure.ts';

const PROCESSES = 200;
const TIMES = 3;
const ROUNDS = 9;
const FORKER_RUNS = 20;
const CHAINS = 10;
const LIFE_SECONDS = 20;

export const kernelGateClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  return [
    timed('until all of 200 processes are stopped', ({ freezeMs }) => freezeMs, 50, 'ms'),
    timed('until all of them go on', ({ resumeMs }) => resumeMs, 20, 'ms'),
    timed('processes of them not still, or not going on', ({ wrong }) => wrong, 0, ''),
    ...[2_000, 20_000].flatMap((hopUs) => [
      forked(hopUs, 'slowest stop', (runs) => Math.max(...runs.map(({ stopMs }) => stopMs)), 150, 'ms'),
      forked(hopUs, 'new after the stop', (runs) => sum(runs, ({ started }) => started)),
      forked(hopUs, 'run after the stop', (runs) => sum(runs, ({ ran, running }) => ran + running)),
      forked(hopUs, 'alive after the end', (runs) => sum(runs, ({ alive }) => alive)),
    ]),
  ];
}

interface Times {
  readonly freezeMs: number;
  readonly resumeMs: number;
  readonly wrong: number;
}

let measured: Promise<readonly Times[] | undefined> | undefined;

function timed(what: string, value: (times: Times) => number, bound: number, unit: string): Claim {
  const name = `freeze (gate): ${what}`;
  const measure = async (): Promise<Measured | undefined> => {
    measured ??= threeTimes();
    const all = await measured;
    return all && atMost(name, Math.max(...all.map(value)), bound, unit);
  };
  return { name, measure };
}

async function threeTimes(): Promise<readonly Times[] | undefined> {
  const why = whyNot();
  if (why !== undefined) return unmeasured(why);
  const all: Times[] = [];
  for (let time = 0; time < TIMES; time++) all.push(await timesOf());
  return all;
}

async function timesOf(): Promise<Times> {
  const table = processTable();
  const script = `i=0; while [ $i -lt ${PROCESSES - 1} ]; do sleep 600 & i=$((i+1)); done; wait`;
  const work = await supervised({ program: '/bin/sh', args: ['-c', script], env: { COUNTERSIGN_RUN: 'bench' } });
  const root = table.read(work.pid);
  if (root === undefined) throw new Error('the tree of the bench ended');
  const freezer = freezerFor(new TrackedTree({ roots: [{ pid: root.pid, start: root.start }] }), {
    gate: () => work.supervisor,
    marker: 'COUNTERSIGN_RUN=bench',
  });
  const all = (): readonly number[] => [work.pid, ...table.children(work.pid)];
  const count = (state: string): number => all().filter((pid) => table.read(pid)?.state === state).length;
  try {
    while (all().length < PROCESSES) await sleep(20);
    const freezes: number[] = [];
    const resumes: number[] = [];
    let wrong = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const frozen = await freezer.freeze();
      if (frozen.grade !== 'gate' || frozen.processes !== PROCESSES)
        throw new Error(`${frozen.processes} processes, grade ${frozen.grade}`);
      freezes.push(frozen.duration_ms);
      wrong += frozen.running.length + PROCESSES - count('stopped');
      const since = performance.now();
      await freezer.resume();
      resumes.push(performance.now() - since);
      wrong += count('stopped');
    }
    return { freezeMs: median(freezes), resumeMs: median(resumes), wrong };
  } finally {
    await freezer.kill();
    await freezer.close();
    await work.close();
  }
}

const forkers = new Map<number, Promise<readonly GateRun[] | undefined>>();

function forked(hopUs: number, what: string, value: (runs: readonly GateRun[]) => number, bound = 0, unit = ''): Claim {
  const name = `freeze (gate): ten chains of ${hopUs / 1_000} ms, ${what}, of ${TIMES} times ${FORKER_RUNS} runs`;
  const measure = async (): Promise<Measured | undefined> => {
    if (!forkers.has(hopUs)) forkers.set(hopUs, runForkers(hopUs));
    const runs = await forkers.get(hopUs);
    return runs && atMost(name, value(runs), bound, unit);
  };
  return { name, measure };
}

function sum(runs: readonly GateRun[], of: (run: GateRun) => number): number {
  return runs.reduce((total, run) => total + of(run), 0);
}

async function runForkers(hopUs: number): Promise<readonly GateRun[] | undefined> {
  const why = whyNot();
  if (why !== undefined) return unmeasured(why);
  const program = cProgram('contain/rabbit');
  if (program === undefined) return unmeasured('no C compiler for the workload');
  const child = fileURLToPath(new URL('../packages/monitor/test/contain/gate-child.ts', import.meta.url));
  const works = JSON.stringify([[program, String(CHAINS), String(LIFE_SECONDS), String(hopUs), '1']]);
  const args = ['--conditions=@countersign/source', '--no-warnings', child, String(FORKER_RUNS), works];
  const all: GateRun[] = [];
  for (let time = 0; time < TIMES; time++)
    all.push(...(JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as GateRun[]));
  if (all.some(({ grade }) => grade !== 'gate')) throw new Error('a run was not of grade gate');
  return all;
}

function unmeasured(why: string): undefined {
  process.stderr.write(`not measured: ${why}\n`);
  return undefined;
}
