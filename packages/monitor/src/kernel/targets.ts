/** Which process a thread belongs to. Looked up once, and asked again cheaply whether it is still the same: a number may be another's by now. */
import type { Actor } from '../activity.ts';
import { type KernelCalls, STATX_BYTES } from '../native/kernel-calls.ts';
import type { Markers } from '../tree/markers.ts';
import { type ProcReader, procReader } from '../tree/proc-fs.ts';
import { processOfThread } from './processes.ts';

export interface Target extends Actor {
  readonly tid: number;
  readonly markers?: Markers;
  /** The same without the rest: one object for all that is told of it. */
  readonly actor: Actor;
}

/** Each has a descriptor open. The one used longest ago makes room. */
export const MAX_TARGETS = 512;
/** Processes that became another program and have not called since. */
export const MAX_EXECUTING = 16_384;
const O_RDONLY_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;

interface Known {
  readonly target: Target;
  /** Names this very thread: a pidfd, or where there is none for threads /proc/TID/comm, which cannot be read once it has ended. */
  readonly witness: number;
  /** The higher, the later it was asked for. */
  used: number;
}

export interface TargetsOptions {
  readonly reader?: ProcReader;
  /** Where /proc is mounted; tests give a folder of their own. */
  readonly root?: string;
}

export class Targets {
  readonly #calls: KernelCalls;
  readonly #reader: ProcReader;
  readonly #root: string;
  readonly #known = new Map<number, Known>();
  /** By pid: the thread of it among those known that was added last. */
  readonly #threadOf = new Map<number, number>();
  /** By pid: threads of it that may have become another program, and have not been heard of since. */
  readonly #executing = new Map<number, Set<number>>();
  readonly #byte = Buffer.alloc(1);
  readonly #status = Buffer.alloc(STATX_BYTES);
  /** The process that was heard of last. */
  #last = 0;
  #uses = 0;
  #hasThreadDescriptors = true;

  constructor(calls: KernelCalls, { root = '/proc', reader = procReader({ root }) }: TargetsOptions = {}) {
    this.#calls = calls;
    this.#reader = reader;
    this.#root = root;
  }

  /** Of a thread that waits. Undefined: it ended meanwhile, or cannot be read. */
  of(tid: number): Target | undefined {
    const known = this.#known.get(tid);
    if (known !== undefined && this.#isAlive(known.witness)) {
      known.used = ++this.#uses;
      this.#last = known.target.pid;
      return known.target;
    }
    this.#forget(tid);
    const target = this.#look(tid);
    if (target !== undefined) this.#last = target.pid;
    return target;
  }

  /**
   * This thread may run another program from now on: its process has that one, and none of its other threads, as soon as the kernel is
   * done, or it goes on as it was. Until it is heard of again nothing that is read of the process is kept.
   */
  executes({ pid, tid }: Target): void {
    for (const [thread, { target }] of this.#known) if (target.pid === pid) this.#forget(thread);
    const threads = this.#executing.get(pid) ?? new Set();
    threads.add(tid);
    this.#executing.set(pid, threads);
    // Many run programs that never call. With more of them alive than there is room for, nothing is kept of anybody.
    if (this.#executing.size > MAX_EXECUTING)
      for (const each of this.#executing.keys()) if (this.#reader.stat(each) === undefined) this.#executing.delete(each);
  }

  /** Where it is now. A process may go elsewhere at any time. */
  cwd(tid: number): string | undefined {
    return this.#reader.cwd(tid);
  }

  close(): void {
    for (const tid of [...this.#known.keys()]) this.#forget(tid);
  }

  #look(tid: number): Target | undefined {
    const witness = this.#witness(tid);
    if (witness < 0) return undefined;
    const fellow = this.#fellow(tid);
    const pid = fellow?.pid ?? processOfThread(tid, this.#root);
    // Asked first: what is read once the kernel is done is of the new program.
    const mayChange = pid !== undefined && this.#mayBecomeAnother(pid, tid);
    const target = fellow ?? (pid === undefined ? undefined : (this.#another(pid, tid) ?? this.#read(pid, tid)));
    // Its number may be another's by now, and what was read is of that one.
    const isThere = this.#isAlive(witness);
    if (target === undefined || mayChange || !isThere) {
      this.#calls.close(witness);
      return isThere ? target : undefined;
    }
    if (this.#known.size >= MAX_TARGETS) this.#forgetOldest();
    this.#known.set(tid, { target, witness, used: ++this.#uses });
    this.#threadOf.set(target.pid, tid);
    return target;
  }

  /**
   * Programs with many threads start them while they work: a new one is of the process that called last, as a rule. One look tells, where
   * finding out of which it is takes five. That process is still the same as long as the thread that is known of it is alive.
   */
  #fellow(tid: number): Target | undefined {
    const pid = this.#last;
    if (!this.#threadOf.has(pid) || this.#calls.statx(`${this.#root}/${pid}/task/${tid}`, false, this.#status) < 0) return undefined;
    return this.#another(pid, tid);
  }

  /** All threads of a process run its program: once it is known of one that is alive, it need not be read for the others. */
  #another(pid: number, tid: number): Target | undefined {
    const first = this.#threadOf.get(pid);
    const known = first === undefined ? undefined : this.#known.get(first);
    return known?.target.pid === pid && this.#isAlive(known.witness) ? { ...known.target, tid } : undefined;
  }

  #read(pid: number, tid: number): Target | undefined {
    const stat = this.#reader.stat(pid);
    if (stat === undefined) return undefined;
    const [exe, argv, cwd, markers] = [this.#reader.exe(pid), this.#reader.argv(pid), this.#reader.cwd(pid), this.#reader.markers(pid)];
    const actor: Actor = {
      pid,
      start: stat.start,
      parent: stat.parent,
      ...(exe !== undefined && { exe }),
      ...(argv !== undefined && { argv }),
      ...(cwd !== undefined && { cwd }),
    };
    return { ...actor, tid, actor, ...(markers !== undefined && { markers }) };
  }

  /** A thread of it is about to run another program: what is read now may not be true the next time. */
  #mayBecomeAnother(pid: number, tid: number): boolean {
    const threads = this.#executing.get(pid);
    if (threads === undefined) return this.#executing.size > MAX_EXECUTING;
    // Whoever calls is done with that: it failed, or it is the new program that calls, under the number of the first thread.
    threads.delete(tid);
    for (const thread of threads) if (processOfThread(thread, this.#root) !== pid) threads.delete(thread);
    if (threads.size > 0) return true;
    this.#executing.delete(pid);
    return false;
  }

  #witness(tid: number): number {
    if (this.#hasThreadDescriptors) {
      const fd = this.#calls.pidfdOpen(tid, true);
      if (fd >= 0) return fd;
      // Not a number of a thread that is there, or a kernel that knows pidfds of processes only.
      this.#hasThreadDescriptors = this.#calls.pidfdOpen(process.pid, true) >= 0;
    }
    return this.#calls.openat(AT_FDCWD, `${this.#root}/${tid}/comm`, O_RDONLY_CLOEXEC, 0);
  }

  #isAlive(witness: number): boolean {
    return this.#hasThreadDescriptors ? this.#calls.isAlive(witness) === 0 : this.#calls.pread(witness, this.#byte, 0) >= 0;
  }

  /** Looked for only when there is no room: moving each one that is used to the end of the map costs every call. */
  #forgetOldest(): void {
    let [oldest, used] = [0, Number.POSITIVE_INFINITY];
    for (const [tid, known] of this.#known) if (known.used < used) [oldest, used] = [tid, known.used];
    this.#forget(oldest);
  }

  #forget(tid: number): void {
    const known = this.#known.get(tid);
    if (known === undefined) return;
    this.#known.delete(tid);
    if (this.#threadOf.get(known.target.pid) === tid) this.#threadOf.delete(known.target.pid);
    this.#calls.close(known.witness);
  }
}
