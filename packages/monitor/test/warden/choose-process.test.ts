import { describe, expect, it } from 'vitest';
import { type ChooseOptions, processByName, processByPid } from '../../src/warden/choose-process.ts';

interface Row {
  readonly parent?: number;
  readonly start?: number;
  readonly state?: string;
  readonly exe?: string;
  readonly argv?: readonly string[];
  readonly owner?: number;
}

const HOST: Readonly<Record<number, Row>> = {
  1: { parent: 0, exe: '/sbin/init', owner: 0 },
  9: { parent: 2, owner: 0 },
  50: { parent: 1, exe: '/usr/bin/bash' },
  60: { parent: 50, exe: '/usr/bin/node', argv: ['node', '/opt/countersign', 'attach', '--name', 'openclaw'] },
  70: { parent: 1, exe: '/usr/bin/node', argv: ['node', '--inspect', '/opt/openclaw.js', 'openclaw'], start: 700 },
  71: { parent: 1, exe: '/usr/bin/python3.11', argv: ['python3', '-u', '/opt/worker.py'] },
  72: { parent: 1, exe: '/usr/bin/vim', argv: ['vim', 'openclaw'] },
  73: { parent: 1, exe: '/usr/bin/sleep', argv: ['sleep', '9'] },
  74: { parent: 1, exe: '/usr/bin/sleep', argv: ['sleep', '9'] },
  75: { parent: 1, exe: '/usr/bin/top', owner: 0 },
  76: { parent: 1, exe: '/opt/gone (deleted)' },
  77: { parent: 1, state: 'Z' },
  78: { parent: 1, exe: '/opt/__proto__' },
};

function options(more: Partial<ChooseOptions> = {}): ChooseOptions {
  const row = (pid: number): Row | undefined => (Object.hasOwn(HOST, pid) ? HOST[pid] : undefined);
  return {
    self: 60,
    user: 1000,
    reader: {
      pids: () => Object.keys(HOST).map(Number),
      stat: (pid) => {
        const found = row(pid);
        if (found === undefined) return undefined;
        const { parent = 1, start = 1, state = 'S' } = found;
        return { pid, name: 'openclaw', state, parent, session: 1, cpuTicks: 0, threads: 1, start, rssPages: 0, exitStatus: 0 };
      },
      exe: (pid) => row(pid)?.exe,
      argv: (pid) => row(pid)?.argv,
      owner: (pid) => row(pid)?.owner ?? 1000,
    },
    ...more,
  };
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return `${(error as { readonly code: string }).code}: ${(error as Error).message}`;
  }
  return 'nothing was thrown';
};

describe('by pid', () => {
  it('is pid and start time', () => {
    expect(processByPid(70, options())).toEqual({ pid: 70, start: 700 });
  });

  it.each([
    [4711, 'PROCESS_NOT_FOUND: there is no process 4711'],
    [0, 'PROCESS_NOT_FOUND'],
    [-1, 'PROCESS_NOT_FOUND'],
    [Number.NaN, 'PROCESS_NOT_FOUND'],
    [70.5, 'PROCESS_NOT_FOUND'],
    [77, 'PROCESS_NOT_FOUND'],
    [1, 'PROCESS_REFUSED: process 1'],
    [9, "PROCESS_REFUSED: process 9 is the kernel's own"],
    [60, 'PROCESS_REFUSED: process 60 is this command'],
    [50, 'PROCESS_REFUSED: process 50 is this command, or what started it'],
    [75, "PROCESS_REFUSED: process 75 is user 0's"],
  ])('refuses %d', (pid, message) => {
    expect(codeOf(() => processByPid(pid, options()))).toContain(message);
  });

  it('root may watch everybody, and still not itself', () => {
    expect(processByPid(75, options({ user: 0 }))).toMatchObject({ pid: 75 });
    expect(codeOf(() => processByPid(1, options({ user: 0 })))).toContain('PROCESS_REFUSED');
    expect(codeOf(() => processByPid(60, options({ user: 0 })))).toContain('PROCESS_REFUSED');
  });
});

describe('by name', () => {
  it.each([
    ['openclaw', 70],
    ['openclaw.js', 70],
    ['worker', 71],
    ['worker.py', 71],
    ['vim', 72],
    ['gone', 76],
    ['__proto__', 78],
  ])('%s is the program or the script, not an argument, not what it calls itself, and not this command', (name, pid) => {
    expect(processByName(name, options())).toMatchObject({ pid });
  });

  it.each(['open', 'claw', 'OPENCLAW', '', '9', '/opt/openclaw.js', 'constructor', 'open*', '.*', 'init', 'top'])(
    '%j fits none: a name is whole, and of a process of yours',
    (name) => {
      expect(codeOf(() => processByName(name, options()))).toContain('PROCESS_NOT_FOUND: no process of yours');
    },
  );

  it('of several none is chosen, and they are named', () => {
    expect(codeOf(() => processByName('sleep', options()))).toContain('2 processes are called that (73, 74): say which with --pid');
  });
});
