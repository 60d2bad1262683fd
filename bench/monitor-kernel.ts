/**
 * What the kernel's own events show of what is short: 200 children that live for a millisecond, 200 reads that last as long, and under which
 * call each child is put when ten of them run at once. Of three runs the worst counts: a rate is what can be relied on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observation } from '../packages/monitor/src/activity.ts';
import { processTable } from '../packages/monitor/src/contain/process-table.ts';
import type { Sensor } from '../packages/monitor/src/sensor.ts';
import { connectorSensor } from '../packages/monitor/src/sensors/connector.ts';
import { inotifySensor } from '../packages/monitor/src/sensors/inotify.ts';
import { TrackedTree } from '../packages/monitor/src/tree/tracked-tree.ts';
import { atLeast, atMost, type Claim, type Measured } from './figure.ts';

const CHILDREN = 200;
const AT_ONCE = 10;
const READS = 200;
const RUNS = 3;
/** Events are on their way for so long at most. */
const SETTLE_MS = 500;

interface Seen {
  readonly execs: number;
  readonly withCommand: number;
  readonly attributed: number;
  readonly wrong: number;
}

const seen = 'connector: of 200 children of 1 ms, execs seen';
const commands = 'connector: of 200 children of 1 ms, command lines read';
const attributed = 'connector: of 200 children of 1 ms, ten at once, put under a call';
const wrong = 'connector: children put under a wrong call';
const reads = 'inotify: of 200 reads of 1 ms of a watched file, seen';

export const monitorKernelClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  const percent = (name: string, value: (of: Seen) => number, bound: number): Claim => ({
    name,
    measure: () => ofWorst((worst) => atLeast(name, (100 * Math.min(...worst.map(value))) / CHILDREN, bound, '%')),
  });
  return [
    percent(seen, (each) => each.execs, 99),
    percent(commands, (each) => each.withCommand, 85),
    percent(attributed, (each) => each.attributed, 85),
    { name: wrong, measure: () => ofWorst((worst) => atMost(wrong, Math.max(...worst.map((each) => each.wrong)), 0, '')) },
    { name: reads, measure: async () => unlessUnavailable(async () => atLeast(reads, (100 * (await worstReads())) / READS, 100, '%')) },
  ];
}

let runs: Promise<readonly Seen[]> | undefined;

function ofWorst(figure: (runs: readonly Seen[]) => Measured): Promise<Measured | undefined> {
  runs ??= (async () => {
    const all: Seen[] = [];
    for (let run = 0; run < RUNS; run++) all.push(await children());
    return all;
  })();
  return unlessUnavailable(async () => figure((await runs) ?? []));
}

/** Each child has a tag among its arguments, and the call of the same number in its environment. */
async function children(): Promise<Seen> {
  const script = `read _; i=0; while [ $i -lt ${CHILDREN} ]; do
    COUNTERSIGN_CALL=$(printf '%032d' $i) sleep 0.001 0.000000$((1000+i)) & i=$((i+1)); [ $((i % ${AT_ONCE})) -eq 0 ] && wait; done; wait`;
  const root = spawn('/bin/sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'] });
  const tree = treeOf(root);
  const observed = await watch(connectorSensor({ tree }), tree, root);
  // printf is a builtin of the shell in a subshell: no exec. Every other exec is a child of the workload.
  const execs = observed.filter(({ action }) => action.kind === 'exec');
  const tags = execs.flatMap(({ action, attribution }) => {
    const tag = action.kind === 'exec' ? /^0\.000000(\d{4})$/.exec(action.argv[2] ?? '')?.[1] : undefined;
    return tag === undefined ? [] : [{ expected: String(Number(tag) - 1_000).padStart(32, '0'), call: attribution?.call }];
  });
  return {
    execs: Math.min(execs.length, CHILDREN),
    withCommand: tags.length,
    attributed: tags.filter(({ call }) => call !== undefined).length,
    wrong: tags.filter(({ expected, call }) => call !== undefined && call !== expected).length,
  };
}

async function worstReads(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-bench-reads-'));
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'secret');
  const script = `const fs = require('node:fs'); const cell = new Int32Array(new SharedArrayBuffer(4));
    fs.readSync(0, Buffer.alloc(1)); for (let i = 0; i < ${READS}; i++) {
      const file = fs.openSync(process.argv[1], 'r'); fs.readSync(file, Buffer.alloc(8)); Atomics.wait(cell, 0, 0, 1); fs.closeSync(file); }`;
  try {
    let worst = READS;
    for (let run = 0; run < RUNS; run++) {
      const root = spawn(process.execPath, ['-e', script, secret], { stdio: ['pipe', 'ignore', 'inherit'] });
      const observed = await watch(inotifySensor({ paths: [secret] }), treeOf(root), root);
      worst = Math.min(worst, observed.filter(({ action }) => action.kind === 'read' && action.path === secret).length);
    }
    return worst;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function watch(sensor: Sensor, tree: TrackedTree, root: ChildProcess): Promise<readonly Observation[]> {
  const observed: Observation[] = [];
  const died = (error: Error): void => {
    process.stderr.write(`${error.message}\n`);
  };
  try {
    await sensor.start({ tree, emit: (observation) => void observed.push(observation), died });
  } catch (error) {
    root.kill('SIGKILL');
    throw error;
  }
  const ended = once(root, 'exit');
  root.stdin?.end('\n');
  await ended;
  await sleep(SETTLE_MS);
  await sensor.stop();
  return observed;
}

function treeOf(root: ChildProcess): TrackedTree {
  const id = processTable().read(root.pid ?? 0);
  if (id === undefined) throw new Error('the workload of the bench ended');
  return new TrackedTree({ roots: [{ pid: id.pid, start: id.start }] });
}

async function unlessUnavailable(measure: () => Promise<Measured>): Promise<Measured | undefined> {
  try {
    return await measure();
  } catch (error) {
    process.stderr.write(`not measured: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}
