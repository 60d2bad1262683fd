/**
 * Stopping a tree and ending it.
 *
 * A tree of 200 processes that behave: how long until all are stopped and until all go on. Ten chains in which a process starts its
 * successor, leaves its session and ends, every 2 or 20 ms: by control group nothing is new and nothing is left, which is gated; by
 * signals they get away, more or fewer of them, which is printed. What is gated is of three times 20 runs. `adopting`: with orphans coming to us, as under `run`.
 */
import { execFile, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeControlGroup } from '../packages/monitor/src/contain/control-group.ts';
import type { FreezeGrade } from '../packages/monitor/src/contain/freezer.ts';
import { freezerFor } from '../packages/monitor/src/contain/freezer-for.ts';
import { processTable } from '../packages/monitor/src/contain/process-table.ts';
import { TrackedTree } from '../packages/monitor/src/tree/tracked-tree.ts';
import { cProgram } from '../packages/monitor/test/c-program.ts';
import { atMost, type Claim, type Measured, printed } from './figure.ts';
import { median } from './measure.ts';
import type { ForkerRun } from './monitor-freeze-child.ts';

const PROCESSES = 200;
const ROUNDS = 9;
const TIMES = 3;
const FORKER_RUNS = 20;
const LOSING_RUNS = 5;

interface Times {
  readonly freezeMs: number;
  readonly resumeMs: number;
  readonly running: number;
}

export const monitorFreezeClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  return [
    ...(['signal', 'cgroup'] as const).flatMap((grade) => [
      timed(`freeze (${grade}): until all of 200 processes are stopped`, grade, ({ freezeMs }) => freezeMs, 50, 'ms'),
      timed(`freeze (${grade}): until all of them go on`, grade, ({ resumeMs }) => resumeMs, 20, 'ms'),
      timed(`freeze (${grade}): processes of them still running`, grade, ({ running }) => running, 0, ''),
    ]),
    ...[2_000, 20_000].flatMap((hopUs) => [
      forked(
        'cgroup',
        hopUs,
        `slowest stop, of ${TIMES} times ${FORKER_RUNS} runs`,
        (runs) => Math.max(...runs.map(({ stopMs }) => stopMs)),
        150,
        'ms',
      ),
      forked(
        'cgroup',
        hopUs,
        `new after the stop, of ${TIMES} times ${FORKER_RUNS} runs`,
        (runs) => sum(runs, ({ started }) => started),
        0,
      ),
      forked('cgroup', hopUs, `alive after the end, of ${TIMES} times ${FORKER_RUNS} runs`, (runs) => sum(runs, ({ alive }) => alive), 0),
      forked('signal', hopUs, `alive after the end, of ${LOSING_RUNS} runs`),
      forked('adopting', hopUs, `alive after the end, of ${LOSING_RUNS} runs`),
    ]),
  ];
}

const measured = new Map<string, Promise<Times | undefined>>();

function timed(name: string, grade: FreezeGrade, value: (times: Times) => number, bound: number, unit: string): Claim {
  const measure = async (): Promise<Measured | undefined> => {
    if (!measured.has(grade)) measured.set(grade, timesOf(grade));
    const times = await measured.get(grade);
    return times && atMost(name, value(times), bound, unit);
  };
  return { name, measure };
}

async function timesOf(grade: FreezeGrade): Promise<Times | undefined> {
  const table = processTable();
  const root = spawn('/bin/sh', ['-c', `i=0; while [ $i -lt ${PROCESSES - 1} ]; do sleep 600 & i=$((i+1)); done; wait`], {
    stdio: 'ignore',
  });
  const pid = root.pid ?? 0;
  while (table.children(pid).length < PROCESSES - 1) await sleep(20);
  const id = table.read(pid);
  if (id === undefined) throw new Error('the tree of the bench ended');
  const freezer = freezerFor(new TrackedTree({ roots: [id] }), { grade, marker: 'COUNTERSIGN_RUN=bench' });
  try {
    if (freezer.grade !== grade) return unmeasured(`grade ${grade} is not to be had here`);
    const freezes: number[] = [];
    const resumes: number[] = [];
    let running = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const frozen = await freezer.freeze();
      if (frozen.processes !== PROCESSES) throw new Error(`${frozen.processes} of ${PROCESSES} processes were found`);
      freezes.push(frozen.duration_ms);
      running += frozen.running.length + (grade === 'signal' ? stillRunning(table.children(pid)) : 0);
      const since = performance.now();
      await freezer.resume();
      resumes.push(performance.now() - since);
    }
    return { freezeMs: median(freezes), resumeMs: median(resumes), running };
  } finally {
    await freezer.kill();
    await freezer.close();
  }

  function stillRunning(pids: readonly number[]): number {
    return pids.filter((each) => table.read(each)?.state === 'running').length;
  }
}

const forkers = new Map<string, Promise<readonly ForkerRun[] | undefined>>();

/** @param value - gated; without it the mean of those alive is printed. */
function forked(
  grade: 'cgroup' | 'signal' | 'adopting',
  hopUs: number,
  what: string,
  value?: (runs: readonly ForkerRun[]) => number,
  bound = 0,
  unit = '',
): Claim {
  const name = `freeze (${grade}): ten chains of ${hopUs / 1_000} ms, ${what}`;
  const measure = async (): Promise<Measured | undefined> => {
    const key = `${grade} ${hopUs}`;
    if (!forkers.has(key)) forkers.set(key, runForkers(grade, hopUs, value === undefined ? LOSING_RUNS : TIMES * FORKER_RUNS));
    const runs = await forkers.get(key);
    if (runs === undefined) return undefined;
    return value === undefined
      ? printed(
          name,
          sum(runs, ({ alive }) => alive),
          '',
        )
      : atMost(name, value(runs), bound, unit);
  };
  return { name, measure };
}

function sum(runs: readonly ForkerRun[], of: (run: ForkerRun) => number): number {
  return runs.reduce((total, run) => total + of(run), 0);
}

async function runForkers(grade: string, hopUs: number, runs: number): Promise<readonly ForkerRun[] | undefined> {
  const group = makeControlGroup(process.pid);
  if (group === undefined) return unmeasured('no cgroup v2 that may be written, and nothing else can count such processes');
  group.remove();
  const program = cProgram('contain/rabbit');
  if (program === undefined) return unmeasured('no C compiler for the workload');
  const child = fileURLToPath(new URL('./monitor-freeze-child.ts', import.meta.url));
  const args = ['--conditions=@countersign/source', '--no-warnings', child, grade, String(hopUs), String(runs), program];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as ForkerRun[];
}

function unmeasured(why: string): undefined {
  process.stderr.write(`not measured: ${why}\n`);
  return undefined;
}
