import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { processTable } from '../../src/contain/process-table.ts';
import { signaller } from '../../src/contain/signals.ts';
import { type Native, native, nativeMissing } from '../../src/native/native.ts';
import { FakeTable } from './fake-table.ts';

const SELF = 500;
/** init, a shell, its shell, ourselves, and one to be signalled. */
const ANCESTORS = [
  { pid: 1, start: 0, parent: 0 },
  { pid: 300, start: 30, parent: 1 },
  { pid: 400, start: 40, parent: 300 },
  { pid: SELF, start: 50, parent: 400 },
];
const TARGET = { pid: 600, start: 60, parent: SELF };

function recording(table: FakeTable) {
  const sent: string[] = [];
  const kill = (pid: number, signal: string): void => void sent.push(`${signal} ${pid}@${table.read(pid)?.start}`);
  return { sent, kill };
}

describe('without descriptors', () => {
  it('signals the process that was meant', () => {
    const table = new FakeTable([...ANCESTORS, TARGET]);
    const { sent, kill } = recording(table);
    expect(signaller({ table, kill, self: SELF }).send(TARGET, 'SIGSTOP')).toBe('sent');
    expect(sent).toEqual(['SIGSTOP 600@60']);
  });

  it('signals nobody when the pid is another process by now, or none', () => {
    const table = new FakeTable([...ANCESTORS, { ...TARGET, start: 61 }]);
    const { sent, kill } = recording(table);
    const signals = signaller({ table, kill, self: SELF });
    expect(signals.send(TARGET, 'SIGKILL')).toBe('gone');
    expect(signals.send({ pid: 601, start: 60 }, 'SIGKILL')).toBe('gone');
    expect(sent).toEqual([]);
  });

  it.each([0, 1, -1, -600, 1.5, Number.NaN, Number.MAX_VALUE])('never signals pid %s, which is a group, everybody or nobody', (pid) => {
    const table = new FakeTable([...ANCESTORS, { pid, start: 7, parent: 1 }]);
    const { sent, kill } = recording(table);
    expect(signaller({ table, kill, self: SELF }).send({ pid, start: 7 }, 'SIGKILL')).toBe('spared');
    expect(sent).toEqual([]);
  });

  it('never signals itself or what it descends from', () => {
    const table = new FakeTable([...ANCESTORS, TARGET]);
    const { sent, kill } = recording(table);
    const signals = signaller({ table, kill, self: SELF });
    for (const ancestor of ANCESTORS) expect(signals.send(ancestor, 'SIGKILL')).toBe('spared');
    expect(signals.send({ pid: SELF, start: 999 }, 'SIGKILL')).toBe('spared');
    expect(sent).toEqual([]);
  });

  it('signals what has the pid of an ancestor that ended', () => {
    const table = new FakeTable([...ANCESTORS, TARGET]);
    const { sent, kill } = recording(table);
    const signals = signaller({ table, kill, self: SELF });
    const reused = { pid: 400, start: 400, parent: 600 };
    table.processes.set(400, reused);
    expect(signals.send(reused, 'SIGSTOP')).toBe('sent');
    expect(sent).toEqual(['SIGSTOP 400@400']);
  });

  it('ends when parents go in a circle', () => {
    const table = new FakeTable([
      { pid: SELF, start: 1, parent: 7 },
      { pid: 7, start: 1, parent: SELF },
    ]);
    expect(signaller({ table, self: SELF, kill: () => {} }).isSpared({ pid: 7, start: 1 })).toBe(true);
  });

  it('says who may not be signalled', () => {
    const table = new FakeTable([...ANCESTORS, TARGET]);
    const failing = (errno: number) => (): void => {
      throw Object.assign(new Error('kill'), { errno });
    };
    expect(signaller({ table, self: SELF, kill: failing(-1) }).send(TARGET, 'SIGSTOP')).toBe('denied');
    expect(signaller({ table, self: SELF, kill: failing(-3) }).send(TARGET, 'SIGSTOP')).toBe('gone');
  });
});

describe('a table in which pids are reused at any time', () => {
  const step = fc.record({ pid: fc.integer({ min: 1, max: 8 }), start: fc.integer({ min: 1, max: 4 }), reuse: fc.boolean() });

  it('no signal ever reaches a process with another start time', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = new FakeTable([]);
        const { sent, kill } = recording(table);
        const signals = signaller({ table, kill, self: SELF });
        for (const { pid, start, reuse } of steps) {
          if (reuse) table.processes.set(pid, { pid, start, parent: 1 });
          else {
            const before = sent.length;
            const outcome = signals.send({ pid, start }, 'SIGKILL');
            expect(sent.slice(before)).toEqual(outcome === 'sent' ? [`SIGKILL ${pid}@${start}`] : []);
          }
        }
      }),
    );
  });

  /** Descriptors of /dev/null stand for those of processes: they are closed for real. */
  function descriptors(table: FakeTable, afterOpen: () => void) {
    const opened = new Map<number, number | undefined>();
    const reached: string[] = [];
    const fake = {
      pidfdOpen: (pid: number): number => {
        const pidfd = openSync('/dev/null', 'r');
        opened.set(pidfd, table.read(pid)?.start);
        afterOpen();
        return pidfd;
      },
      close: (pidfd: number): number => {
        closeSync(pidfd);
        return 0;
      },
      pidfdSignal: (pidfd: number): number => {
        const start = opened.get(pidfd);
        if (table.read(TARGET.pid)?.start !== start) return -3;
        reached.push(`${TARGET.pid}@${start}`);
        return 0;
      },
    };
    return { native: fake as unknown as Native, opened, reached };
  }

  it('with a descriptor, what was reused before it was opened is not signalled', () => {
    const table = new FakeTable([...ANCESTORS, { ...TARGET, start: 61 }]);
    const { native, opened, reached } = descriptors(table, () => {});
    expect(signaller({ table, native, self: SELF }).send(TARGET, 'SIGKILL')).toBe('gone');
    expect([...opened.values()]).toEqual([61]);
    expect(reached).toEqual([]);
  });

  it('with a descriptor, what is reused after it was opened is not signalled', () => {
    const table = new FakeTable([...ANCESTORS, TARGET]);
    const { native, reached } = descriptors(table, () => void table.processes.set(TARGET.pid, { ...TARGET, start: 61 }));
    expect(signaller({ table, native, self: SELF }).send(TARGET, 'SIGKILL')).toBe('gone');
    expect(reached).toEqual([]);
  });

  it('closes every descriptor', () => {
    const table = new FakeTable([...ANCESTORS, TARGET]);
    const { native, opened, reached } = descriptors(table, () => {});
    expect(signaller({ table, native, self: SELF }).send(TARGET, 'SIGKILL')).toBe('sent');
    expect(reached).toEqual(['600@60']);
    for (const pidfd of opened.keys()) expect(() => fstatSync(pidfd)).toThrow('EBADF');
  });
});

describe.skipIf(native() === undefined)(`with descriptors of the kernel (${nativeMissing() ?? 'here'})`, () => {
  const table = processTable();

  function sleeper() {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const status = table.read(child.pid ?? 0);
    if (status === undefined) throw new Error('the child cannot be read');
    return { child, id: { pid: status.pid, start: status.start } };
  }

  it('stops, continues and ends a process', async () => {
    const { child, id } = sleeper();
    const signals = signaller({ table, native: native() });
    expect(signals.send(id, 'SIGSTOP')).toBe('sent');
    await until(() => table.read(id.pid)?.state === 'stopped');
    expect(signals.send(id, 'SIGCONT')).toBe('sent');
    await until(() => table.read(id.pid)?.state === 'running');
    const ended = once(child, 'exit');
    expect(signals.send(id, 'SIGKILL')).toBe('sent');
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(signals.send(id, 'SIGKILL')).toBe('gone');
  });

  it('stops all of a process through one of its threads, and nothing through a thread of another', async () => {
    const { id } = sleeper();
    const other = sleeper();
    await until(() => table.threads(id.pid).length > 1);
    const threads = table.threads(id.pid).map(({ thread }) => thread);
    const signals = signaller({ table, native: native() });
    expect(signals.sendThrough(threads.at(-1) ?? 0, other.id, 'SIGSTOP')).toBe('gone');
    expect(signals.sendThrough(threads.at(-1) ?? 0, { ...id, start: id.start - 1 }, 'SIGSTOP')).toBe('gone');
    expect(table.read(id.pid)?.state).not.toBe('stopped');
    expect(signals.sendThrough(threads.at(-1) ?? 0, id, 'SIGSTOP')).toBe('sent');
    await until(() => table.threads(id.pid).every(({ state }) => state === 'stopped'));
    expect(signals.sendThrough(process.pid, { pid: process.pid, start: table.read(process.pid)?.start ?? 0 }, 'SIGSTOP')).toBe('spared');
  });

  it('does not signal a live process of another start time', () => {
    const { id } = sleeper();
    expect(signaller({ table, native: native() }).send({ pid: id.pid, start: id.start - 1 }, 'SIGKILL')).toBe('gone');
    expect(table.read(id.pid)?.state).not.toBe('gone');
  });

  it('a descriptor opened in time never reaches what has the pid later', async () => {
    const { child, id } = sleeper();
    const calls = native();
    if (calls === undefined) throw new Error('no native calls');
    const pidfd = calls.pidfdOpen(id.pid);
    onTestFinished(() => void calls.close(pidfd));
    expect(pidfd).toBeGreaterThanOrEqual(0);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    // ESRCH: it is gone, whoever has its pid now.
    expect(calls.pidfdSignal(pidfd, 9)).toBe(-3);
  });

  it('spares itself and its parent for real', () => {
    const signals = signaller({ table, native: native() });
    for (const pid of [process.pid, process.ppid])
      expect(signals.send({ pid, start: table.read(pid)?.start ?? 0 }, 'SIGSTOP')).toBe('spared');
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}
