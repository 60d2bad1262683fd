import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type Native, native, nativeMissing } from '../../src/native/native.ts';
import { Subreaper, subreaper } from '../../src/native/subreaper.ts';
import { FakeTable } from '../contain/fake-table.ts';

describe.skipIf(native() === undefined)(`orphans of a process of ours (${nativeMissing() ?? 'here'})`, () => {
  it('come to it, end with their codes and signals, and cost Node none of its own', async () => {
    const child = fileURLToPath(new URL('./subreaper-child.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=@countersign/source', '--no-warnings', child]);
    expect(JSON.parse(stdout)).toEqual({
      rootCode: 3,
      olderCode: 9,
      own: Array.from({ length: 20 }, (_, code) => code),
      adopted: 3,
      members: 3,
      exits: ['5', 'SIGKILL', 'SIGTERM'],
      zombies: 0,
      treeLeft: 0,
    });
  });
});

describe('where orphans cannot be taken in', () => {
  it('says so', () => {
    const calls = { becomeSubreaper: () => -22 } as unknown as Native;
    expect(() => subreaper({ calls })).toThrow(
      expect.objectContaining({ code: 'MONITOR_UNAVAILABLE', message: expect.stringContaining('EINVAL') }),
    );
  });
});

describe('a zombie', () => {
  function reaping(processes: ConstructorParameters<typeof FakeTable>[0]) {
    const table = new FakeTable(processes);
    const asked: number[] = [];
    const waitpid = (pid: number) => {
      asked.push(pid);
      table.processes.delete(pid);
      return { pid, status: 0x700 };
    };
    const ended: unknown[] = [];
    const reaper = new Subreaper(table, { waitpid } as unknown as Native, { onExit: (...exit) => void ended.push(exit) });
    const look = (): void => void process.emit('SIGCHLD', 'SIGCHLD');
    return { table, asked, ended, reaper, look };
  }

  it('that was there before is not asked for; one with its pid and another start time is', () => {
    const { table, asked, ended, reaper, look } = reaping([{ pid: 50, start: 1, parent: process.pid, state: 'gone' }]);
    look();
    expect(asked).toEqual([]);
    table.processes.set(50, { pid: 50, start: 2, parent: process.pid, state: 'gone' });
    look();
    reaper.close();
    expect(asked).toEqual([50]);
    expect(ended).toEqual([
      [
        { pid: 50, start: 2 },
        { kind: 'exit', code: 7 },
      ],
    ]);
  });

  it('of another parent, or a process that runs, is not asked for', () => {
    const { table, asked, reaper, look } = reaping([]);
    table.processes.set(51, { pid: 51, start: 1, parent: 1, state: 'gone' });
    table.processes.set(52, { pid: 52, start: 1, parent: process.pid });
    look();
    expect(reaper.orphans()).toEqual([{ pid: 52, start: 1 }]);
    reaper.close();
    look();
    expect(asked).toEqual([]);
  });
});
