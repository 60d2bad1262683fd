/** What containment reads of processes, each time anew: who a pid is right now, and what it started. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import type { ProcessId } from '../activity.ts';

/** `gone` is a zombie: it runs nothing and cannot be ended any more. `waiting` sleeps where no signal reaches it (state D). */
export type RunState = 'running' | 'stopped' | 'traced' | 'waiting' | 'gone';

export interface ProcessStatus extends ProcessId {
  readonly parent: number;
  readonly threads: number;
  readonly state: RunState;
}

export interface ThreadStatus {
  readonly thread: number;
  readonly state: RunState;
}

export interface ProcessTable {
  /** Undefined: there is no such process, or it cannot be read. */
  read(pid: number): ProcessStatus | undefined;
  /** Started by this process and still its children. Not its grandchildren. @param threads - how many it has, where that is known. */
  children(pid: number, threads?: number): readonly number[];
  /** Of a process, each with its own state. Ended ones are not among them, or `gone`. */
  threads(pid: number): readonly ThreadStatus[];
  /** Of one thread, which may be the first of its process. Undefined: there is none. */
  threadState(thread: number): RunState | undefined;
  /** Waits in the kernel until its child begins another program or ends (`vfork`), and for nothing else. False where that cannot be read. */
  awaitsChild(thread: number): boolean;
  /** Its debugger. */
  tracer(thread: number): number | undefined;
  /** Of every process there is. */
  pids(): readonly number[];
  /** Has `NAME=value` in its environment, as it was when it started. False where that cannot be read. */
  hasMarker(pid: number, marker: string): boolean;
}

/** An environment is not read past this. */
const MAX_ENVIRONMENT_BYTES = 2 * 1024 * 1024;

/** @param root - where /proc is mounted. */
export function processTable(root = '/proc'): ProcessTable {
  // Kernels without CONFIG_PROC_CHILDREN have no list of children: it is then made from the parents of all.
  const listsChildren = readText(`${root}/self/task/${process.pid}/children`) !== undefined;
  const table: ProcessTable = {
    read: (pid) => readStatus(root, pid),
    children: (pid, threads) =>
      listsChildren ? listedChildren(root, pid, threads) : table.pids().filter((each) => readStatus(root, each)?.parent === pid),
    threads: (pid) =>
      numbers(list(`${root}/${pid}/task`)).flatMap((thread) => {
        const state = readThread(root, `${pid}/task/${thread}`);
        return state === undefined ? [] : [{ thread, state }];
      }),
    threadState: (thread) => readThread(root, String(thread)),
    awaitsChild: (thread) => VFORK_WAITS.has(readText(`${root}/${thread}/wchan`) ?? ''),
    tracer: (thread) => {
      const found = /^TracerPid:\t([1-9]\d{0,9})$/m.exec(readText(`${root}/${thread}/status`) ?? '')?.[1];
      return found === undefined ? undefined : Number(found);
    },
    pids: () => numbers(list(root)),
    hasMarker: (pid, marker) => environment(root, pid).includes(`\0${marker}\0`),
  };
  return table;
}

/** A process chooses its own name, which may hold spaces, parentheses and newlines: fields count from the last parenthesis. */
function readStatus(root: string, pid: number): ProcessStatus | undefined {
  const stat = readText(`${root}/${pid}/stat`);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [letter = '', parent, threads, start] = [fields[0], Number(fields[1]), Number(fields[17]), Number(fields[19])];
  if (!Number.isSafeInteger(parent) || !Number.isSafeInteger(start)) return undefined;
  return { pid, start, parent, threads, state: runState(letter, threads) };
}

/** /proc/TID tells of the one thread, but for how many there are. */
function readThread(root: string, path: string): RunState | undefined {
  const stat = readText(`${root}/${path}/stat`);
  return stat === undefined ? undefined : runState(stat.charAt(stat.lastIndexOf(')') + 2), 1);
}

/** Where in the kernel a thread sleeps that called `vfork`, by versions of it. */
const VFORK_WAITS: ReadonlySet<string> = new Set(['kernel_clone', 'wait_for_vfork_done', '_do_fork', 'do_fork']);

function runState(letter: string, threads: number): RunState {
  switch (letter) {
    case 'T':
      return 'stopped';
    case 't':
      return 'traced';
    case 'D':
      return 'waiting';
    case 'Z':
    case 'X':
      // Its first thread may have ended alone, and then it looks dead: the process lives while any other does.
      return threads > 1 ? 'running' : 'gone';
    default:
      return 'running';
  }
}

/** Each thread has children of its own. Most processes have one thread, which has the pid's number. */
function listedChildren(root: string, pid: number, threads: number | undefined): readonly number[] {
  const all = threads === 1 ? [pid] : numbers(list(`${root}/${pid}/task`));
  return all.flatMap((thread) => numbers(readText(`${root}/${pid}/task/${thread}/children`)?.split(' ') ?? []));
}

function environment(root: string, pid: number): string {
  try {
    const bytes = readFileSync(`${root}/${pid}/environ`);
    return `\0${bytes.toString('latin1', 0, MAX_ENVIRONMENT_BYTES)}\0`;
  } catch {
    return '';
  }
}

function numbers(names: readonly string[]): readonly number[] {
  return names.filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number);
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

const PIECE_BYTES = 2_048;
const scratch = Buffer.allocUnsafe(4 * PIECE_BYTES);

/** A kept buffer and no question of the size: half the time of `readFileSync`, and a freeze reads thousands. */
function readText(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const size = readSync(file, scratch);
    // The kernel gives lists in pieces of at least this size while there is more.
    if (size < PIECE_BYTES) return scratch.toString('latin1', 0, size);
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
