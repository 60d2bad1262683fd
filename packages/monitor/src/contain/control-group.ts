/**
 * A control group (cgroup v2) of our own below that of the process that is watched: what is in it can be stopped and ended by the
 * kernel as a whole, whatever it starts meanwhile. Below, so that its limits and its supervisor stay what they were.
 *
 * @see the kernel's Documentation/admin-guide/cgroup-v2.rst
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `denied`: not permitted. `fixed`: it cannot be moved (threads of it are in groups of their own, or the kernel refuses). */
export type MoveOutcome = 'moved' | 'gone' | 'denied' | 'fixed';

/** A mount of cgroup2: which part of the hierarchy is seen where. */
export interface GroupMount {
  readonly root: string;
  readonly at: string;
}

/** Groups nested deeper or more numerous are not looked into. */
const MAX_GROUPS = 1_024;

export class ControlGroup {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws {Error} where it cannot be written */
  freeze(isFrozen: boolean): void {
    writeFileSync(join(this.folder, 'cgroup.freeze'), isFrozen ? '1' : '0');
  }

  /** The kernel's own word: every process in it is still. */
  isFrozen(): boolean {
    return /^frozen 1$/m.test(readText(join(this.folder, 'cgroup.events')) ?? '');
  }

  /** @returns false on kernels before 5.14: end them one by one. */
  kill(): boolean {
    try {
      writeFileSync(join(this.folder, 'cgroup.kill'), '1');
      return true;
    } catch {
      return false;
    }
  }

  move(pid: number): MoveOutcome {
    return moveInto(this.folder, pid);
  }

  /** Of it and of the groups that were made in it. Zombies are not among them. */
  pids(): readonly number[] {
    const folders = [this.folder];
    // Grows while it is walked through.
    for (const folder of folders) {
      const inside = attempt(() => readdirSync(folder, { withFileTypes: true })) ?? [];
      for (const entry of inside) if (entry.isDirectory() && folders.length < MAX_GROUPS) folders.push(join(folder, entry.name));
    }
    return folders.flatMap((folder) => (readText(join(folder, 'cgroup.procs')) ?? '').split('\n').filter(isPid).map(Number));
  }

  /** @returns false while something is in it. */
  remove(): boolean {
    try {
      rmdirSync(this.folder);
      return true;
    } catch {
      return false;
    }
  }
}

/**
 * Makes a group where one can be made: below the group of `pid`, else of its ancestors.
 *
 * @param root - where /proc is mounted.
 * @returns undefined where there is no cgroup v2, or none that may be written.
 */
export function makeControlGroup(pid: number, root = '/proc'): ControlGroup | undefined {
  const path = groupOf(readText(`${root}/${pid}/cgroup`) ?? '');
  if (path === undefined) return undefined;
  for (const mount of groupMounts(readText(`${root}/self/mountinfo`) ?? '')) {
    const folder = folderOf(mount, path);
    for (let below = folder; below !== undefined; below = parentWithin(mount, below)) {
      const made = makeIn(below);
      if (made !== undefined) return made;
    }
  }
  return undefined;
}

/** The group of a process in the unified hierarchy, from /proc/PID/cgroup. */
export function groupOf(text: string): string | undefined {
  return /^0::(\/.*)$/m.exec(text)?.[1];
}

/** Mounts of cgroup2 that may be written, from /proc/PID/mountinfo. */
export function groupMounts(mountinfo: string): readonly GroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ', 2);
    const [, , , root, at, options = ''] = before.split(' ');
    if (!after.startsWith('cgroup2 ') || root === undefined || at === undefined || !options.split(',').includes('rw')) return [];
    return [{ root: unescape(root), at: unescape(at) }];
  });
}

/** Where a group is seen; undefined outside of what is mounted. */
export function folderOf({ root, at }: GroupMount, path: string): string | undefined {
  if (path.split('/').includes('..')) return undefined;
  if (root === '/') return join(at, path);
  return path === root || path.startsWith(`${root}/`) ? join(at, path.slice(root.length)) : undefined;
}

/** Tells the folder of the group a process is in. */
export function originReader(root = '/proc'): (pid: number) => string | undefined {
  const mounts = groupMounts(readText(`${root}/self/mountinfo`) ?? '');
  return (pid) => {
    const path = groupOf(readText(`${root}/${pid}/cgroup`) ?? '');
    return path === undefined ? undefined : mounts.map((mount) => folderOf(mount, path)).find((folder) => folder !== undefined);
  };
}

/** Moves a process back, or elsewhere. */
export function moveInto(folder: string, pid: number): MoveOutcome {
  try {
    writeFileSync(join(folder, 'cgroup.procs'), String(pid));
    return 'moved';
  } catch (error) {
    switch (error instanceof Error && 'code' in error ? error.code : undefined) {
      case 'ESRCH':
        return 'gone';
      case 'EACCES':
      case 'EPERM':
        return 'denied';
      default:
        return 'fixed';
    }
  }
}

function makeIn(below: string): ControlGroup | undefined {
  // A group of threads, or one inside it, holds no processes.
  const type = readText(join(below, 'cgroup.type'))?.trim();
  if (type !== undefined && type !== 'domain') return undefined;
  removeLeftBehind(below);
  const folder = join(below, `countersign-${process.pid}-${randomBytes(4).toString('hex')}`);
  const made = attempt(() => {
    mkdirSync(folder);
    return new ControlGroup(folder);
  });
  if (made === undefined) return undefined;
  const isUsable = attempt(() => {
    for (const file of ['cgroup.procs', 'cgroup.freeze']) accessSync(join(folder, file), constants.W_OK);
    return true;
  });
  if (isUsable === true) return made;
  made.remove();
  return undefined;
}

/** Groups of watching processes that were killed. One that still holds something cannot be removed, and stays. */
function removeLeftBehind(below: string): void {
  for (const name of attempt(() => readdirSync(below)) ?? []) {
    const pid = /^countersign-([1-9][0-9]{0,9})-[0-9a-f]{8}$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) attempt(() => rmdirSync(join(below, name)));
  }
}

function parentWithin({ at }: GroupMount, folder: string): string | undefined {
  return folder === at || !folder.startsWith(at) ? undefined : join(folder, '..');
}

/** Spaces and newlines in paths are octal there. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function isPid(line: string): boolean {
  return /^[1-9][0-9]*$/.test(line);
}

function readText(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
