/** Whose thread it is that calls, while numbers are used again and programs change. With real processes: `supervisor.test.ts`, `attack/identity.test.ts`. */
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_TARGETS, Targets } from '../../src/kernel/targets.ts';
import type { KernelCalls } from '../../src/native/kernel-calls.ts';
import { FakeProc, type FakeProcess } from '../fake-proc.ts';

const ESRCH = -3;
const EINVAL = -22;

let proc: FakeProc;
let kernel: FakeThreads;
beforeEach(() => {
  proc = new FakeProc();
  kernel = new FakeThreads();
});
afterEach(() => proc.close());

/** Which threads there are: each time a number is used it is another thread. */
class FakeThreads {
  readonly #alive = new Map<number, number>();
  readonly #open = new Map<number, number>();
  #last = 100;
  /** Called when a descriptor was asked for. */
  onOpen: () => void = () => {};
  knowsThreads = true;
  opened = 0;

  begin(tid: number): void {
    this.#alive.set(tid, ++this.#last);
  }

  end(tid: number): void {
    this.#alive.delete(tid);
  }

  get open(): number {
    return this.#open.size;
  }

  readonly calls = {
    pidfdOpen: (tid: number) => {
      if (!this.knowsThreads) return EINVAL;
      const thread = this.#alive.get(tid);
      if (thread === undefined) return tid === process.pid ? 3 : ESRCH;
      this.opened++;
      this.#open.set(thread, thread);
      this.onOpen();
      return thread;
    },
    isAlive: (fd: number) => ([...this.#alive.values()].includes(fd) ? 0 : ESRCH),
    close: (fd: number) => Number(this.#open.delete(fd)),
    openat: () => ESRCH,
    // No process has a thread but its first.
    statx: () => ESRCH,
    pread: () => ESRCH,
  } as Partial<KernelCalls> as KernelCalls;
}

/** A thread of a process, in /proc and for the kernel. */
function begin(tid: number, process: Partial<FakeProcess> = {}, pid = tid): void {
  if (pid === tid) proc.put({ pid, start: 10, argv: ['a'], exe: '/bin/a', cwd: '/', environ: {}, ...process });
  else proc.put({ pid: tid, start: 11 });
  writeFileSync(proc.path(tid, 'status'), `Name:\tx\nTgid:\t${pid}\nPid:\t${tid}\n`);
  kernel.begin(tid);
}

function targets(): Targets {
  return new Targets(kernel.calls, { root: proc.root });
}

describe('targets', () => {
  it('a thread is of its process, and is looked up once', () => {
    begin(50, { argv: ['cat', 'x'], exe: '/bin/cat', environ: { COUNTERSIGN_CALL: 'c1' } });
    begin(51, {}, 50);
    const known = targets();
    const target = known.of(51);
    expect(target).toMatchObject({ pid: 50, tid: 51, start: 10, exe: '/bin/cat', argv: ['cat', 'x'], markers: { call: 'c1' } });
    expect(known.of(51)).toBe(target);
    expect(kernel.opened).toBe(1);
  });

  it('nobody, where there is no such thread, or nothing of it can be read', () => {
    const known = targets();
    expect(known.of(50)).toBeUndefined();
    kernel.begin(50);
    expect(known.of(50)).toBeUndefined();
    expect(kernel.open).toBe(0);
  });

  it('a number that is another process by now is that one', () => {
    begin(50, { start: 10, argv: ['old'] });
    const known = targets();
    expect(known.of(50)).toMatchObject({ start: 10, argv: ['old'] });
    kernel.end(50);
    begin(50, { start: 99, argv: ['new'] });
    expect(known.of(50)).toMatchObject({ start: 99, argv: ['new'] });
    expect(kernel.open).toBe(1);
  });

  it('nobody, when it ended while it was looked at: what was read may be of who has its number now', () => {
    begin(50, { start: 10 });
    const known = targets();
    kernel.onOpen = () => {
      kernel.end(50);
      begin(50, { start: 99 });
      kernel.onOpen = () => {};
    };
    expect(known.of(50)).toBeUndefined();
    expect(kernel.open).toBe(0);
    expect(known.of(50)).toMatchObject({ start: 99 });
  });

  it('of a process that may run another program nothing is kept until it calls again', () => {
    begin(50, { argv: ['before'] });
    begin(51, {}, 50);
    const known = targets();
    const target = known.of(50);
    known.of(51);
    if (target !== undefined) known.executes(target);
    expect(kernel.open).toBe(0);
    // Another thread of it: it may be the old program still, or the new one in a moment.
    expect(known.of(51)).toMatchObject({ argv: ['before'] });
    begin(50, { argv: ['after'] });
    expect(known.of(51)).toMatchObject({ argv: ['after'] });
    expect(kernel.open).toBe(0);
    expect(known.of(50)).toMatchObject({ argv: ['after'] });
    expect(kernel.open).toBe(1);
  });

  it('no more descriptors are open than that: the one used longest ago makes room', () => {
    const known = targets();
    for (let tid = 1; tid <= MAX_TARGETS; tid++) {
      begin(tid);
      known.of(tid);
    }
    known.of(1);
    begin(10_000);
    known.of(10_000);
    expect(kernel.open).toBe(MAX_TARGETS);
    const asked = kernel.opened;
    known.of(1);
    expect(kernel.opened).toBe(asked);
    known.of(2);
    expect(kernel.opened).toBe(asked + 1);
    known.close();
    expect(kernel.open).toBe(0);
  });

  it('nobody, where a kernel names no threads and /proc has no such one either', () => {
    begin(50);
    kernel.knowsThreads = false;
    expect(targets().of(50)).toBeUndefined();
  });
});
