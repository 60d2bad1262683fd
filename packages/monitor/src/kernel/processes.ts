/** Which process a thread is of, whose child, in which group: numbers as /proc has them now. */
import { readFileSync, readlinkSync } from 'node:fs';

/** What is known of processes. */
export interface Processes {
  readonly warden: number;
  readonly wardenGroup: number;
  /** Whose thread it is. Undefined: there is none. */
  readonly processOf: (thread: number) => number | undefined;
  /** Its process group. */
  readonly groupOf: (thread: number) => number | undefined;
  readonly parentOf: (thread: number) => number | undefined;
  /** What a descriptor of that thread means: a pidfd, or a folder of /proc. Undefined: no process. */
  readonly processOfDescriptor: (thread: number, fd: number) => number | undefined;
}

/** For the filter. */
export function wardenProcess(): { readonly warden: number; readonly wardenGroup: number } {
  const { warden, wardenGroup } = processesOf(process.pid);
  return { warden, wardenGroup };
}

/** As /proc has them now. */
export function processesOf(warden: number, root = '/proc'): Processes {
  const groupOf = (thread: number): number | undefined => {
    // The name, in parentheses, may hold anything; state, parent and group follow it.
    const stat = read(`${root}/${thread}/stat`);
    const group = Number(stat?.slice(stat.lastIndexOf(')') + 2).split(' ', 3)[2]);
    return Number.isSafeInteger(group) ? group : undefined;
  };
  return {
    warden,
    // Nobody else moves it: shells do so before they start it.
    wardenGroup: groupOf(warden) ?? warden,
    processOf: (thread) => processOfThread(thread, root),
    groupOf,
    parentOf: (thread) => field(`${root}/${thread}/status`, 'PPid'),
    processOfDescriptor: (thread, fd) => field(`${root}/${thread}/fdinfo/${fd}`, 'Pid') ?? folderOf(`${root}/${thread}/fd/${fd}`),
  };
}

/**
 * Belongs to the tree, and is no helper of the warden's own: those are its children too, but carry no filter more than it does. Where the
 * kernel does not count filters (before 5.9) they are taken for members.
 */
export function isInTree(pid: number, processes: Pick<Processes, 'warden' | 'parentOf'>, root = '/proc'): boolean {
  if (!descends(pid, processes)) return false;
  const [own, its] = [processes.warden, pid].map((each) => field(`${root}/${each}/status`, 'Seccomp_filters'));
  return own === undefined || its === undefined || its > own;
}

/** Belongs to the tree: of its orphans the warden becomes the parent. */
export function descends(pid: number, { warden, parentOf }: Pick<Processes, 'warden' | 'parentOf'>): boolean {
  if (pid === warden) return false;
  let at: number | undefined = pid;
  for (let steps = 0; at !== undefined && at > 1 && steps < MAX_DEPTH; steps++) {
    at = parentOf(at);
    if (at === warden) return true;
  }
  return false;
}

/** `/proc/12/mem` for `/proc/13/mem`, where 13 is a thread of 12. */
export function ofWholeProcess(path: string, processOf: Processes['processOf'] = processOfThread): string {
  const thread = /^\/proc\/(\d{1,10})(?=\/|$)/.exec(path)?.[1];
  const process = thread === undefined ? undefined : processOf(Number(thread));
  return thread === undefined || process === undefined ? path : `/proc/${process}${path.slice('/proc/'.length + thread.length)}`;
}

/** The process a thread is of. Undefined: it ended, or we do not see it. @param root - where /proc is mounted; tests give a folder of their own */
export function processOfThread(thread: number, root = '/proc'): number | undefined {
  return field(`${root}/${thread}/status`, 'Tgid');
}

function field(path: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s+(\\d{1,10})$`, 'm').exec(read(path) ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function folderOf(link: string): number | undefined {
  try {
    const found = /^\/proc\/(\d{1,10})$/.exec(readlinkSync(link))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}

const MAX_DEPTH = 1_000;
