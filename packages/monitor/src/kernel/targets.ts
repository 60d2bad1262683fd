/** Which process a thread belongs to. Looked up once, and asked again cheaply whether it is still the same: a number may be another's by now. */
import { readFileSync } from 'node:fs';
import type { Actor } from '../activity.ts';
import type { KernelCalls } from '../native/kernel-calls.ts';
import type { Markers } from '../tree/markers.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';

export interface Target extends Actor {
  readonly tid: number;
  readonly markers?: Markers;
}

/** Each has a descriptor open. The one used longest ago makes room. */
export const MAX_TARGETS = 512;
const O_RDONLY_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;

interface Known {
  readonly target: Target;
  /** Of /proc/TID/comm: reading it fails once that very thread has ended. */
  readonly witness: number;
}

export class Targets {
  readonly #calls: KernelCalls;
  readonly #reader: ProcReader;
  readonly #known = new Map<number, Known>();
  readonly #byte = Buffer.alloc(1);

  constructor(calls: KernelCalls, reader: ProcReader = procReader()) {
    this.#calls = calls;
    this.#reader = reader;
  }

  /** Of a thread that waits. Undefined: it ended meanwhile, or cannot be read. */
  of(tid: number): Target | undefined {
    const known = this.#known.get(tid);
    if (known !== undefined && this.#calls.pread(known.witness, this.#byte, 0) >= 0) {
      // The last one of the map is the one used last.
      this.#known.delete(tid);
      this.#known.set(tid, known);
      return known.target;
    }
    this.#forget(tid);
    return this.#look(tid);
  }

  /** It runs another program from now on, and its other threads are gone. */
  executed(pid: number): void {
    for (const [tid, { target }] of this.#known) if (target.pid === pid) this.#forget(tid);
  }

  close(): void {
    for (const tid of [...this.#known.keys()]) this.#forget(tid);
  }

  #look(tid: number): Target | undefined {
    const witness = this.#calls.openat(AT_FDCWD, `/proc/${tid}/comm`, O_RDONLY_CLOEXEC, 0);
    if (witness < 0) return undefined;
    const pid = groupOf(tid);
    const stat = pid === undefined ? undefined : this.#reader.stat(pid);
    if (pid === undefined || stat === undefined) {
      this.#calls.close(witness);
      return undefined;
    }
    const [exe, argv, cwd, markers] = [this.#reader.exe(pid), this.#reader.argv(pid), this.#reader.cwd(pid), this.#reader.markers(pid)];
    const target: Target = {
      tid,
      pid,
      start: stat.start,
      parent: stat.parent,
      ...(exe !== undefined && { exe }),
      ...(argv !== undefined && { argv }),
      ...(cwd !== undefined && { cwd }),
      ...(markers !== undefined && { markers }),
    };
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= MAX_TARGETS) this.#forget(oldest);
    this.#known.set(tid, { target, witness });
    return target;
  }

  #forget(tid: number): void {
    const known = this.#known.get(tid);
    if (known === undefined) return;
    this.#known.delete(tid);
    this.#calls.close(known.witness);
  }
}

/** The process a thread is of. */
function groupOf(tid: number): number | undefined {
  try {
    const found = /^Tgid:\t(\d{1,10})$/m.exec(readFileSync(`/proc/${tid}/status`, 'latin1'))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}
