/**
 * One tree of processes that start others and end, stopped and ended `runs` times: `monitor-freeze-child GRADE HOP_US RUNS PROGRAM`. A process of its
 * own because it takes in orphans, which lasts. Prints one JSON line: of each run how long the stop took, how many processes were new
 * 150 ms after it, and how many were alive after the end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeControlGroup } from '../packages/monitor/src/contain/control-group.ts';
import { freezerFor } from '../packages/monitor/src/contain/freezer-for.ts';
import { processTable } from '../packages/monitor/src/contain/process-table.ts';
import { orphanSensor } from '../packages/monitor/src/sensors/orphans.ts';
import { TrackedTree } from '../packages/monitor/src/tree/tracked-tree.ts';

export interface ForkerRun {
  readonly stopMs: number;
  readonly started: number;
  readonly alive: number;
}

const CHAINS = 10;
const LIFE_SECONDS = 6;
const RUNNING_MS = 300;
const STILL_MS = 150;
const table = processTable();

async function oneRun(grade: string, hopUs: string, program: string): Promise<ForkerRun> {
  const root = spawn('/bin/sh', ['-c', 'read _; exec "$@"', 'sh', program, String(CHAINS), String(LIFE_SECONDS), hopUs, '1'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const id = table.read(root.pid ?? 0);
  // What the kernel itself counts: nothing else is quick enough to count these.
  const truth = makeControlGroup(process.pid);
  if (id === undefined || truth === undefined) throw new Error('no control group to count in');
  truth.move(id.pid);
  const tree = new TrackedTree({ roots: [id], adopter: process.pid });
  const orphans = orphanSensor({ tree });
  if (grade === 'adopting') await orphans.start({ tree, emit: () => {}, died: () => {} });
  const freezer = freezerFor(tree, { ...(grade !== 'cgroup' && { grade: 'signal' as const }), adopted: () => orphans.adopted() });
  root.stdin.end('\n');
  await sleep(RUNNING_MS);
  const { duration_ms: stopMs } = await freezer.freeze();
  const before = new Set(truth.pids());
  await sleep(STILL_MS);
  const started = truth.pids().filter((pid) => !before.has(pid)).length;
  await freezer.kill();
  const alive = truth.pids().length;
  truth.kill();
  if (root.exitCode === null && root.signalCode === null) await once(root, 'exit');
  await freezer.close();
  await orphans.stop();
  while (!truth.remove()) await sleep(5);
  return { stopMs, started, alive };
}

const [grade = '', hopUs = '', runs = '', program = ''] = process.argv.slice(2);
const results: ForkerRun[] = [];
for (let run = 0; run < Number(runs); run++) results.push(await oneRun(grade, hopUs, program));
process.stdout.write(`${JSON.stringify(results)}\n`);
