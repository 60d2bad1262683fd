/**
 * /proc means another thing to whoever looks: `self` is the one who asks, and its magic links lead to what a process has open without
 * a path. Here is told what of it may be opened for somebody else.
 */
import { readFileSync } from 'node:fs';
import type { FileCalls } from '../native/file-calls.ts';
import { type FileStatus, statusOf } from './file-status.ts';
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH } from './open-flags.ts';
import { zeroEnded } from './own-descriptors.ts';

const SELF = process.pid;

/** Who asks: `/proc/self` and `/proc/thread-self` are theirs. */
export interface Asker {
  readonly pid: number;
  readonly tid: number;
}

const PROC_ROOT_INODE = 1n;
const PROC_SUPER_MAGIC = 0x9fa0n;
const STATFS_BYTES = 256;
/** Numbers of file systems are used again. */
const KNOWN_MS = 1_000;
const OF_PROCESS = /^\/proc\/(\d{1,10})(?:\/(.*))?$/s;
const MAGIC = /^(?:task\/\d{1,10}\/)?(?:fd\/\d{1,10}|cwd|root|exe|map_files\/[^/]+|ns\/[^/]+)$/;
const MEMORY = /^(?:task\/\d{1,10}\/)?mem$/;
/** Of the warden: what `ps` and `top` show of everybody. Nothing of its memory, environment, descriptors or folders. */
const SHOWN_OF_WARDEN = new Set(['stat', 'statm', 'status', 'cmdline', 'comm', 'cgroup']);

export type MagicLink = 'none' | 'ours' | 'unknown' | 'opens';

/** Of the /proc that is mounted where it should be. */
export function procFiles(files: FileCalls): ProcFiles {
  const fd = files.openat(AT_FDCWD, zeroEnded('/proc'), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return new ProcFiles(files, undefined);
  const status = statusOf(files, fd);
  files.close(fd);
  return new ProcFiles(files, status);
}

export class ProcFiles {
  readonly #files: FileCalls;
  readonly #proc: FileStatus | undefined;
  readonly #statfs = Buffer.alloc(STATFS_BYTES);
  /** By number of a file system without a disk: whether it is a /proc. */
  readonly #known = new Map<number, boolean>();
  #knownSince = 0;
  /** Only parents may look into memory here. */
  readonly #isMemoryKept: boolean;

  constructor(files: FileCalls, proc: FileStatus | undefined) {
    this.#files = files;
    this.#proc = proc;
    this.#isMemoryKept = numberIn('/proc/sys/kernel/yama/ptrace_scope') !== 0;
  }

  /** Any /proc, wherever it is mounted: another one speaks of other processes, or with other numbers, and has a `self` as well. */
  isAny(fd: number, { deviceMajor, deviceMinor }: FileStatus): boolean {
    if (deviceMajor !== 0) return false;
    const now = Date.now();
    if (now - this.#knownSince > KNOWN_MS) {
      this.#known.clear();
      this.#knownSince = now;
    }
    const known = this.#known.get(deviceMinor);
    if (known !== undefined) return known;
    // What cannot be asked is taken for one: nothing is opened there that was not looked at twice.
    const is = this.#files.fstatfs(fd, this.#statfs) < 0 || this.#statfs.readBigUInt64LE(0) === PROC_SUPER_MAGIC;
    this.#known.set(deviceMinor, is);
    return is;
  }

  isRoot(status: FileStatus): boolean {
    return status.inode === PROC_ROOT_INODE && this.#isOurProc(status);
  }

  /** What `self` and `thread-self` lead to for whoever asks; undefined for any other name. */
  self(name: string, { pid, tid }: Asker): string | undefined {
    if (name === 'self') return String(pid);
    return name === 'thread-self' ? `${pid}/task/${tid}` : undefined;
  }

  /** @param real - of a link in /proc */
  magic(real: string | undefined): MagicLink {
    if (real === undefined || !real.startsWith('/proc/')) return 'unknown';
    const [, process, rest = ''] = OF_PROCESS.exec(real) ?? [];
    if (process === undefined || !MAGIC.test(rest)) return 'none';
    return this.#isOurs(process) ? 'ours' : 'opens';
  }

  /** Below the warden's own folder, or that of one of its threads. */
  leadsToUs(real: string | undefined): boolean {
    const process = real === undefined ? undefined : OF_PROCESS.exec(real)?.[1];
    return process !== undefined && this.#isOurs(process);
  }

  /** Of what was reached by a name of its own, not by `self`. @param writes - it is to be changed */
  isOpen(real: string | undefined, status: FileStatus, { pid }: Asker, writes: boolean): boolean {
    if (!this.#isOurProc(status)) return false;
    if (real === undefined || !(real === '/proc' || real.startsWith('/proc/'))) return false;
    const [, process, rest = ''] = OF_PROCESS.exec(real) ?? [];
    if (process === undefined) return true;
    if (this.#isOurs(process)) return !writes && SHOWN_OF_WARDEN.has(rest);
    // We are the parent of all of them, and might do what they may not do to each other.
    return !MEMORY.test(rest) || !this.#isMemoryKept || Number(process) === pid;
  }

  #isOurProc({ deviceMajor, deviceMinor }: FileStatus): boolean {
    return this.#proc?.deviceMajor === deviceMajor && this.#proc.deviceMinor === deviceMinor;
  }

  #isOurs(process: string): boolean {
    if (Number(process) === SELF) return true;
    const fd = this.#files.openat(AT_FDCWD, zeroEnded(`/proc/${SELF}/task/${process}`), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd >= 0) this.#files.close(fd);
    return fd >= 0;
  }
}

/** Zero where there is no such setting. */
export function numberIn(path: string): number {
  try {
    const value = Number(readFileSync(path, 'latin1').trim());
    return Number.isInteger(value) ? value : 0;
  } catch {
    return 0;
  }
}
