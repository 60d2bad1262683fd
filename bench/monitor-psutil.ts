/**
 * The predecessor's way of looking, for whoever is measured beside it: psutil, call by call as its observer does it. Only where a Python
 * has psutil (`apt-get install python3-psutil`).
 */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { median } from './measure.ts';

/**
 * One scan of it: everything below one process, and of each its files, connections and children. `facts` is what our scan reads, by the
 * same library. CPU milliseconds, one line for a line.
 */
const COST = `
import json, sys, time, psutil
root, pids = json.loads(sys.argv[1])
def scan():
    psutil.Process(root).children(recursive=True)
    for pid in pids:
        p = psutil.Process(pid)
        p.open_files(), p.connections(), p.children()
def facts():
    for pid in pids:
        p = psutil.Process(pid)
        p.create_time(), p.ppid(), p.cmdline(), p.exe(), p.cwd(), p.environ(), p.open_files()
for line in sys.stdin:
    began = time.process_time()
    scan() if line == 'scan\\n' else facts()
    print((time.process_time() - began) * 1000, flush=True)`;

const ROUNDS = 7;
const WARM_UP_ROUNDS = 2;

/** @returns CPU time of psutil / ours, one of ours, one of its, one of ours, and so on: the median. Undefined, and said on stderr, without psutil. */
export async function psutilCost(
  name: string,
  work: 'scan' | 'facts',
  pids: readonly number[],
  oursMs: () => Promise<number>,
): Promise<number | undefined> {
  const python = startPython(name, COST, [process.pid, pids]);
  if (python === undefined) return undefined;
  const lines = linesOf(python);
  const theirsMs = async (): Promise<number> => {
    python.stdin.write(`${work}\n`);
    return Number((await lines.next()).value);
  };
  try {
    const ratios: number[] = [];
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      const before = await oursMs();
      const theirs = await theirsMs();
      const after = await oursMs();
      if (round >= 0) ratios.push((2 * theirs) / (before + after));
    }
    return median(ratios);
  } finally {
    python.kill();
  }
}

/** Its loop, every half second until its input ends. Prints `ready`, and at the end every argument and path that it saw. */
const POLL = `
import json, select, sys, psutil
root, seen = json.loads(sys.argv[1])[0], set()
print('ready', flush=True)
while not select.select([sys.stdin], [], [], 0.5)[0]:
    try:
        top = psutil.Process(root)
        for p in [top, *top.children(recursive=True)]:
            try:
                seen.update(f.path for f in p.open_files())
                for child in p.children():
                    seen.update(child.cmdline())
            except psutil.Error:
                pass
    except psutil.Error:
        pass
print(json.dumps(sorted(seen)), flush=True)`;

export interface PredecessorPoll {
  readonly ready: Promise<unknown>;
  /** @returns what it saw, arguments and paths. */
  stop(): Promise<ReadonlySet<string>>;
}

export function predecessorPoll(name: string, root: number): PredecessorPoll | undefined {
  const python = startPython(name, POLL, [root]);
  if (python === undefined) return undefined;
  const lines = linesOf(python);
  let stopped: Promise<ReadonlySet<string>> | undefined;
  const stop = async (): Promise<ReadonlySet<string>> => {
    python.stdin.end();
    const { value } = await lines.next();
    return new Set(JSON.parse(value ?? '[]') as string[]);
  };
  return {
    ready: lines.next(),
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** The one that Debian's package is for comes after the one in the path. */
const PYTHONS = ['python3', '/usr/bin/python3'];

function startPython(name: string, program: string, argument: unknown): ChildProcessByStdio<Writable, Readable, null> | undefined {
  const python = PYTHONS.find((each) => spawnSync(each, ['-c', 'import psutil']).status === 0);
  if (python !== undefined) return spawn(python, ['-c', program, JSON.stringify(argument)], { stdio: ['pipe', 'pipe', 'inherit'] });
  process.stderr.write(`LEFT OUT: ${name}: python3 has no psutil here (apt-get install python3-psutil)\n`);
  return undefined;
}

function linesOf({ stdout }: ChildProcessByStdio<Writable, Readable, null>): AsyncIterator<string, undefined> {
  return createInterface({ input: stdout })[Symbol.asyncIterator]();
}
