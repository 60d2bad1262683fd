/** What containment reads of processes, each time anew: who a pid is right now, and what it started. */
import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessId } from '../activity.ts';

/** `gone` is a zombie: it runs nothing and cannot be ended any more. `waiting` sleeps where no signal reaches it (state D). */
export type RunState = 'running' | 'stopped' | 'traced' | 'waiting' | 'gone';

export interface ProcessStatus extends ProcessId {
  readonly parent: number;
  readonly state: RunState;
}

export interface ProcessTable {
  /** Undefined: there is no such process, or it cannot be read. */
  read(pid: number): ProcessStatus | undefined;
  /** Started by this process and still its children. Not its grandchildren. */
  children(pid: number): readonly number[];
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
    children: (pid) => (listsChildren ? listedChildren(root, pid) : table.pids().filter((each) => readStatus(root, each)?.parent === pid)),
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
  const [letter = '', parent, start] = [fields[0], Number(fields[1]), Number(fields[19])];
  if (!Number.isSafeInteger(parent) || !Number.isSafeInteger(start)) return undefined;
  return { pid, start, parent, state: runState(letter, Number(fields[17])) };
}

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

function listedChildren(root: string, pid: number): readonly number[] {
  return numbers(list(`${root}/${pid}/task`)).flatMap((thread) =>
    numbers(readText(`${root}/${pid}/task/${thread}/children`)?.split(' ') ?? []),
  );
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

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
