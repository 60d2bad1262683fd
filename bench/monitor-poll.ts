/**
 * The poll of /proc, the baseline every Linux has: what it costs, and how little it sees of what is short.
 *
 * The rates are printed and not gated: no poll sees a child of a millisecond but by luck, and a report must say so.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observation } from '../packages/monitor/src/activity.ts';
import { OpenFiles } from '../packages/monitor/src/sensors/open-files.ts';
import { type ProcPollOptions, procPoll } from '../packages/monitor/src/sensors/proc-poll.ts';
import { type PollTiming, REAL_TIMING } from '../packages/monitor/src/sensors/timing.ts';
import { isPath } from '../packages/monitor/src/tree/descriptor.ts';
import { type ProcReader, procReader } from '../packages/monitor/src/tree/proc-fs.ts';
import { TrackedTree } from '../packages/monitor/src/tree/tracked-tree.ts';
import { TreeScanner } from '../packages/monitor/src/tree/tree-scanner.ts';
import { atLeast, atMost, type Claim, type Measured, printed } from './figure.ts';
import { median, timeRatio } from './measure.ts';
import { predecessorPoll, psutilCost } from './monitor-psutil.ts';
import { idleProcesses, startWorkload, type Truth, type WorkloadOptions } from './monitor-workload.ts';

const PROCESSES = 200;
/** Of each kind and length. */
const ACTS = 100;
const LIVES_MS = [1, 5, 50];

const fullScan = 'poll: full scan of 200 processes with files, over bare reads of the same';
const fullScanMs = 'poll: CPU time of that full scan';
const idleScanMs = 'poll: CPU time of a scan of 200 processes that did not run';
const scanMs = 'poll: CPU time of a scan of 200 processes that all ran, with files and connections';
const psutilScan = "poll: the predecessor's scan of 200 processes by psutil, over ours of 200 that all ran";
const psutilFacts = 'poll: psutil reading the same of 200 processes, over our full scan';
const idleBare = 'poll: CPU with 200 idle processes, without files';
const idleFiles = 'poll: CPU with 200 idle processes, with files';
const idleUnaccounted = 'poll: the same on a kernel that does not account for scheduling';

export const monitorPollClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  return [
    withIdle(fullScan, async (reader, tree) => {
      const pids = pidsOf(tree);
      return atMost(
        fullScan,
        await timeRatio(
          repeated(() => scanAnew(reader, tree)),
          repeated(() => readBare(pids)),
          { count: 2, rounds: 5 },
        ),
        1.5,
      );
    }),
    withIdle(fullScanMs, async (reader, tree) => atMost(fullScanMs, await cpuMs(() => scanAnew(reader, tree)), 40, 'ms')),
    withIdle(idleScanMs, async (reader, tree) => {
      const scanner = new TreeScanner(tree, reader);
      return printed(idleScanMs, await cpuMs(() => scanner.scanNow()), 'ms');
    }),
    withIdle(scanMs, async (reader, tree) => atMost(scanMs, await cpuMs(await pollOfAll(reader, tree)), 40, 'ms')),
    withIdle(psutilScan, async (reader, tree) => {
      const look = await pollOfAll(reader, tree);
      const ratio = await psutilCost(psutilScan, 'scan', pidsOf(tree), () => spentMs(look));
      return ratio === undefined ? undefined : atLeast(psutilScan, ratio, 20);
    }),
    withIdle(psutilFacts, async (reader, tree) => {
      const ratio = await psutilCost(psutilFacts, 'facts', pidsOf(tree), () => spentMs(() => scanAnew(reader, tree)));
      return ratio === undefined ? undefined : printed(psutilFacts, ratio);
    }),
    withIdle(idleBare, async (_, tree) => atMost(idleBare, await pollCpu(tree, { files: false }), 2, '%')),
    withIdle(idleFiles, async (_, tree) => atMost(idleFiles, await pollCpu(tree, {}), 8, '%')),
    withIdle(idleUnaccounted, async (reader, tree) =>
      printed(idleUnaccounted, await pollCpu(tree, { reader: { ...reader, ranMark: () => undefined } }), '%'),
    ),
    ...LIVES_MS.flatMap(rates),
  ];
}

function withIdle(
  name: string,
  measure: (reader: ProcReader, tree: TrackedTree) => Measured | undefined | Promise<Measured | undefined>,
): Claim {
  return {
    name,
    async measure() {
      const idle = await idleProcesses(PROCESSES);
      try {
        const reader = procReader();
        return await measure(reader, treeOf(reader, idle.pids));
      } finally {
        idle.close();
      }
    },
  };
}

function treeOf(reader: ProcReader, pids: readonly number[]): TrackedTree {
  return new TrackedTree({ roots: pids.map((pid) => ({ pid, start: reader.stat(pid)?.start ?? 0 })) });
}

function pidsOf(tree: TrackedTree): readonly number[] {
  return tree.members().map(({ pid }) => pid);
}

/** Nothing is known from before: every process is read whole, every descriptor is new. */
function scanAnew(reader: ProcReader, tree: TrackedTree): void {
  const files = new OpenFiles(reader);
  const { active } = new TreeScanner(tree, reader).scanNow();
  if (active.length !== PROCESSES) throw new Error(`the scan saw ${active.length} processes`);
  let opened = 0;
  for (const pid of active) {
    const process = tree.get(pid);
    if (process !== undefined) opened += files.look(process).opened.length;
  }
  if (opened !== 7 * PROCESSES) throw new Error(`the scan saw ${opened} open files`);
}

/** The same files, read and thrown away. Other processes of this host are listed and looked at once by both. */
function readBare(pids: readonly number[]): void {
  const ours = new Set(pids);
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || ours.has(Number(name))) continue;
    tryTo(() => readFileSync(`/proc/${name}/stat`));
  }
  for (const pid of pids) {
    for (const file of ['stat', 'cmdline', 'environ']) readFileSync(`/proc/${pid}/${file}`);
    for (const link of ['exe', 'exe', 'cwd']) readlinkSync(`/proc/${pid}/${link}`);
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      if (isPath(target) && target !== '/dev/null') readFileSync(`/proc/${pid}/fdinfo/${fd}`);
    }
  }
}

function tryTo(read: () => unknown): void {
  try {
    read();
  } catch {
    // Gone meanwhile.
  }
}

function repeated(work: () => void): (count: number) => void {
  return (count) => {
    for (let at = 0; at < count; at++) work();
  };
}

/** Median of 15, after 5 that warm up. */
async function cpuMs(work: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let at = -5; at < 15; at++) {
    const spent = await spentMs(work);
    if (at >= 0) times.push(spent);
  }
  return median(times);
}

async function spentMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** @returns one look of the poll at all of them, as if each had run; a second later each time, so that the tables of sockets are due. */
async function pollOfAll(reader: ProcReader, tree: TrackedTree): Promise<() => Promise<void>> {
  let due: (() => void) | undefined;
  let looked = (): void => {};
  let nowMs = 0;
  const timing: PollTiming = {
    ...REAL_TIMING,
    steady: () => nowMs,
    after: (_, run) => {
      due = run;
      looked();
      return () => {};
    },
  };
  const poll = procPoll({ tree, reader: { ...reader, ranMark: () => undefined }, timing });
  await poll.start({
    tree,
    emit: () => {},
    died: (error) => {
      throw error;
    },
  });
  return () =>
    new Promise((resolve) => {
      looked = resolve;
      nowMs += 1_000;
      due?.();
    });
}

const SETTLE_MS = 4_000;
const WATCH_MS = 10_000;

/** Of one core, in percent, once the poll knows that nothing runs. */
async function pollCpu(tree: TrackedTree, options: Partial<ProcPollOptions>): Promise<number> {
  const poll = procPoll({ tree, ...options });
  await poll.start({
    tree,
    emit: () => {},
    died: (error) => {
      throw error;
    },
  });
  await sleep(SETTLE_MS);
  const before = process.cpuUsage();
  const beganAt = performance.now();
  await sleep(WATCH_MS);
  const { user, system } = process.cpuUsage(before);
  const percent = (user + system) / 10 / (performance.now() - beganAt);
  await poll.stop();
  return percent;
}

/** Both on the same workload, ours every 250 ms, the predecessor's every 500 ms. */
function rates(lifeMs: number): readonly Claim[] {
  return [
    ...ratesOf(`children of ${lifeMs} ms seen`, { children: ACTS, childMs: lifeMs, reads: 0, readMs: 0 }),
    ...ratesOf(`reads of ${lifeMs} ms seen`, { children: 0, childMs: 0, reads: ACTS, readMs: lifeMs }),
  ];
}

function ratesOf(what: string, options: WorkloadOptions): readonly Claim[] {
  const ours = `poll at 250 ms: ${what}`;
  const theirs = `the predecessor's poll at 500 ms: ${what}`;
  let measured: Promise<Rates> | undefined;
  const rate = (): Promise<Rates> => {
    measured ??= seenOf(theirs, options);
    return measured;
  };
  return [
    { name: ours, measure: async () => printed(ours, (await rate()).ours, '%') },
    {
      name: theirs,
      async measure() {
        const { theirs: value } = await rate();
        return value === undefined ? undefined : printed(theirs, value, '%');
      },
    },
  ];
}

interface Rates {
  readonly ours: number;
  readonly theirs: number | undefined;
}

async function seenOf(name: string, options: WorkloadOptions): Promise<Rates> {
  const workload = await startWorkload(options);
  const reader = procReader();
  const tree = treeOf(reader, [workload.pid]);
  const seen: Observation[] = [];
  const poll = procPoll({ tree, reader });
  const predecessor = predecessorPoll(name, workload.pid);
  try {
    await predecessor?.ready;
    await poll.start({ tree, emit: (observation) => seen.push(observation), died: () => {} });
    const truth = await workload.go();
    await poll.stop();
    const tags = new Set(seen.flatMap(({ action }) => (action.kind === 'exec' ? action.argv : [])));
    const paths = new Set(seen.flatMap(({ action }) => (action.kind === 'read' ? [action.path] : [])));
    const theirs = await predecessor?.stop();
    return { ours: hits(truth, tags, paths), theirs: theirs && hits(truth, theirs, theirs) };
  } finally {
    await poll.stop();
    await predecessor?.stop();
    await workload.close();
  }
}

function hits({ children, reads }: Truth, tags: ReadonlySet<string>, paths: ReadonlySet<string>): number {
  const found = children.filter(({ tag }) => tags.has(tag)).length + reads.filter((path) => paths.has(path)).length;
  return (100 * found) / (children.length + reads.length);
}
