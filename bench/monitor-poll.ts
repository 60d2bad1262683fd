/**
 * The poll of /proc, the baseline every Linux has: what it costs, and how little it sees of what is short.
 *
 * The rates are printed and not gated: no poll sees a child of a millisecond but by luck, and a report must say so.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Observation } from '../packages/monitor/src/activity.ts';
import { OpenFiles } from '../packages/monitor/src/sensors/open-files.ts';
import { type ProcPollOptions, procPoll } from '../packages/monitor/src/sensors/proc-poll.ts';
import { isPath } from '../packages/monitor/src/tree/descriptor.ts';
import { type ProcReader, procReader } from '../packages/monitor/src/tree/proc-fs.ts';
import { TrackedTree } from '../packages/monitor/src/tree/tracked-tree.ts';
import { TreeScanner } from '../packages/monitor/src/tree/tree-scanner.ts';
import { atLeast, atMost, type Claim, type Measured, printed } from './figure.ts';
import { median, timeRatio } from './measure.ts';
import { idleProcesses, startWorkload } from './monitor-workload.ts';

const PROCESSES = 200;
/** Of each kind and length. */
const ACTS = 100;
const LIVES_MS = [1, 5, 50];

const fullScan = 'poll: full scan of 200 processes with files, over bare reads of the same';
const fullScanMs = 'poll: CPU time of that full scan';
const idleScanMs = 'poll: CPU time of a scan of 200 processes that did not run';
const psutilScan = 'poll: psutil over our full scan of 200 processes';
const idleBare = 'poll: CPU with 200 idle processes, without files';
const idleFiles = 'poll: CPU with 200 idle processes, with files';
const idleUnaccounted = 'poll: the same on a kernel that does not account for scheduling';

export const monitorPollClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  return [
    withIdle(fullScan, async (reader, tree) => {
      const pids = tree.members().map(({ pid }) => pid);
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
    withIdle(fullScanMs, (reader, tree) =>
      printed(
        fullScanMs,
        cpuMs(() => scanAnew(reader, tree)),
        'ms',
      ),
    ),
    withIdle(idleScanMs, (reader, tree) => {
      const scanner = new TreeScanner(tree, reader);
      return printed(
        idleScanMs,
        cpuMs(() => scanner.scanNow()),
        'ms',
      );
    }),
    withIdle(psutilScan, (reader, tree) => overPsutil(reader, tree)),
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
function cpuMs(work: () => unknown): number {
  const times: number[] = [];
  for (let at = -5; at < 15; at++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    if (at >= 0) times.push((user + system) / 1_000);
  }
  return median(times);
}

/** What the predecessor reads of each process, by the library it uses. */
const PSUTIL = `
import json, sys, time, psutil
pids = json.loads(sys.argv[1])
times = []
for _ in range(5):
    began = time.process_time()
    for pid in pids:
        p = psutil.Process(pid)
        p.name(), p.cmdline(), p.exe(), p.cwd(), p.ppid(), p.create_time(), p.children(), p.open_files()
    times.append((time.process_time() - began) * 1000)
print(sorted(times)[2])`;

function overPsutil(reader: ProcReader, tree: TrackedTree): Measured | undefined {
  const { status, stdout } = spawnSync('python3', ['-c', PSUTIL, JSON.stringify(tree.members().map(({ pid }) => pid))], {
    encoding: 'utf8',
  });
  if (status === 0) return atLeast(psutilScan, Number(stdout) / cpuMs(() => scanAnew(reader, tree)), 20);
  process.stderr.write(`LEFT OUT: ${psutilScan}: python3 has no psutil here (apt-get install python3-psutil)\n`);
  return undefined;
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

function rates(lifeMs: number): readonly Claim[] {
  const children = `poll at 250 ms: children of ${lifeMs} ms seen`;
  const reads = `poll at 250 ms: reads of ${lifeMs} ms seen`;
  return [
    { name: children, measure: async () => printed(children, await seenOf({ children: ACTS, childMs: lifeMs, reads: 0, readMs: 0 }), '%') },
    { name: reads, measure: async () => printed(reads, await seenOf({ children: 0, childMs: 0, reads: ACTS, readMs: lifeMs }), '%') },
  ];
}

async function seenOf(options: Parameters<typeof startWorkload>[0]): Promise<number> {
  const workload = await startWorkload(options);
  const reader = procReader();
  const tree = treeOf(reader, [workload.pid]);
  const seen: Observation[] = [];
  const poll = procPoll({ tree, reader });
  try {
    await poll.start({ tree, emit: (observation) => seen.push(observation), died: () => {} });
    const truth = await workload.go();
    await poll.stop();
    const tags = new Set(seen.flatMap(({ action }) => (action.kind === 'exec' ? action.argv : [])));
    const paths = new Set(seen.flatMap(({ action }) => (action.kind === 'read' ? [action.path] : [])));
    const hits = truth.children.filter(({ tag }) => tags.has(tag)).length + truth.reads.filter((path) => paths.has(path)).length;
    return (100 * hits) / (truth.children.length + truth.reads.length);
  } finally {
    await poll.stop();
    await workload.close();
  }
}
