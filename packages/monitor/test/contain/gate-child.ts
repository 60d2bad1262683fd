/**
 * Trees under kernel control that start processes as fast as they can, one after the other, each stopped behind the gate and ended:
 * `gate-child RUNS [[PROGRAM, ARGUMENT, ...], ...]`. A process of its own because it takes in orphans, which lasts. Prints one JSON line.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeControlGroup, moveInto, originReader } from '../../src/contain/control-group.ts';
import { freezerFor } from '../../src/contain/freezer-for.ts';
import { processTable } from '../../src/contain/process-table.ts';
import { orphanSensor } from '../../src/sensors/orphans.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { supervised } from '../kernel/supervised.ts';

export interface GateRun {
  /** Its arguments. */
  readonly work: string;
  readonly grade: string;
  readonly stopMs: number;
  /** As the freezer says. */
  readonly stopped: number;
  readonly running: number;
  /** In truth, when it was over. */
  readonly there: number;
  /** Processes that were not there when the freeze was over, 150 ms later. */
  readonly started: number;
  /** Of those that were, how many used any time of a processor meanwhile. */
  readonly ran: number;
  readonly left: number;
  /** After the end. Zombies do not count. */
  readonly alive: number;
  /** Who counts. `group`: the kernel. `marker`: the environment of all there are. */
  readonly truth: 'group' | 'marker';
}

const RUNNING_MS = 150;
const STILL_MS = 150;
const table = processTable();

async function oneRun(program: string, args: readonly string[]): Promise<GateRun> {
  const value = randomUUID();
  const home = originReader()(process.pid);
  const group = makeControlGroup(process.pid);
  // We are in it ourselves for as long, so that all we start is born in it.
  const isGrouped = group?.move(process.pid) === 'moved';
  const pids = (): readonly number[] =>
    group !== undefined && isGrouped
      ? group.pids().filter((pid) => pid !== process.pid)
      : table.pids().filter((pid) => table.hasMarker(pid, `COUNTERSIGN_TEST=${value}`) && table.read(pid)?.state !== 'gone');
  const tree = new TrackedTree({ roots: [], adopter: process.pid });
  const orphans = orphanSensor({ tree });
  await orphans.start({ tree, emit: () => {}, died: () => {} });
  const work = await supervised({ program, args, env: { COUNTERSIGN_TEST: value } });
  const root = table.read(work.pid);
  if (root === undefined) throw new Error('the tree ended');
  tree.addRoot({ pid: root.pid, start: root.start });
  const freezer = freezerFor(tree, { gate: () => work.supervisor, adopted: () => orphans.adopted() });
  try {
    await sleep(RUNNING_MS);
    const { grade, duration_ms: stopMs, processes: stopped, running } = await freezer.freeze();
    const before = new Map(pids().map((pid) => [pid, nsOnProcessor(pid)]));
    await sleep(STILL_MS);
    const after = pids();
    const ran = after.filter((pid) => before.has(pid) && nsOnProcessor(pid) !== before.get(pid)).length;
    const { left } = await freezer.kill();
    return {
      work: args.join(' '),
      grade,
      stopMs,
      stopped,
      running: running.length,
      there: before.size,
      started: after.filter((pid) => !before.has(pid)).length,
      ran,
      left: left.length,
      alive: pids().length,
      truth: isGrouped ? 'group' : 'marker',
    };
  } finally {
    for (const pid of pids()) process.kill(pid, 'SIGKILL');
    await work.close();
    await freezer.close();
    await orphans.stop();
    if (group !== undefined && isGrouped) moveInto(home ?? `${group.folder}/..`, process.pid);
    for (let look = 0; group !== undefined && look < 100 && !group.remove(); look++) await sleep(5);
  }
}

/** Of all its threads, as the kernel counts: nothing that runs at all stays hidden. */
function nsOnProcessor(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]))
      .reduce((sum, each) => sum + each, 0);
  } catch {
    return 0;
  }
}

const [runs = '', works = ''] = process.argv.slice(2);
const results: GateRun[] = [];
for (const [program = '', ...args] of JSON.parse(works) as string[][])
  for (let run = 0; run < Number(runs); run++) results.push(await oneRun(program, args));
process.stdout.write(`${JSON.stringify(results)}\n`);
