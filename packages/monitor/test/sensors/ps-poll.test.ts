import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Observation } from '../../src/activity.ts';
import type { Sensor } from '../../src/sensor.ts';
import { parseLsof } from '../../src/sensors/lsof-table.ts';
import { psPoll, psStart } from '../../src/sensors/ps-poll.ts';
import { parseProcesses, parseTexts } from '../../src/sensors/ps-table.ts';
import { findProgram } from '../../src/system-program.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

const AT = Date.UTC(2026, 10, 26, 13, 35, 5) / 1_000;

/** In the form of macOS, where nothing of this was run. */
const PS = `    1     0 Ss   Wed Nov 25 20:08:09 2026    
  501     1 S+   Thu Nov 26 13:35:05 2026    
  502   501 U    Thu Nov 26 13:35:06 2026    
  503   502 Z    Thu Nov 26 13:35:06 2026    
  600     1 ?Es  Thu Nov  5 00:00:00 2026    
`;

describe('the table of ps', () => {
  it('in its usual form', () => {
    const found = parseProcesses(PS);
    expect([...found.keys()]).toStrictEqual([1, 501, 502, 503, 600]);
    expect(found.get(501)).toStrictEqual({ pid: 501, parent: 1, start: AT, state: 'S' });
    expect(found.get(600)).toMatchObject({ state: '?', start: Date.UTC(2026, 10, 5) / 1_000 });
  });

  it.each([
    ['nothing', ''],
    ['a heading', '  PID  PPID STAT STARTED'],
    ['a negative pid', '   -1     0 S    Thu Nov 26 13:35:05 2026'],
    ['no parent', '  501 S    Thu Nov 26 13:35:05 2026'],
    ['another month', '  501     1 S    Thu Nox 26 13:35:05 2026'],
    ['another language', '  501     1 S    Do 26 Nov 13:35:05 2026'],
    ['a time cut off', '  501     1 S    Thu Nov 26 13:35'],
    ['more behind it', '  501     1 S    Thu Nov 26 13:35:05 2026 /bin/sh'],
    ['no state', '  501     1      Thu Nov 26 13:35:05 2026'],
    ['a pid past all', '99999999999     1 S    Thu Nov 26 13:35:05 2026'],
    ['an error', 'ps: illegal option -- z'],
  ])('leaves out %s', (_, line) => {
    expect(parseProcesses(`${line}\n`).size).toBe(0);
  });
});

describe('programs and arguments of ps', () => {
  const asked = new Set([501, 502]);

  it('by pid, with spaces inside', () => {
    expect(parseTexts('  501 /Applications/My App.app/Contents/MacOS/My App\n  502 node -e 1\n', asked)).toStrictEqual(
      new Map([
        [501, '/Applications/My App.app/Contents/MacOS/My App'],
        [502, 'node -e 1'],
      ]),
    );
  });

  it.each([
    ['a line made up in the arguments of another', '  501 sh -c x\n  502 /bin/harmless\n  502 rm -rf /\n', [501]],
    ['in whatever order', '  502 rm -rf /\n  501 sh -c x\n  502 /bin/harmless\n', [501]],
    ['a line of nobody who was asked for', '  501 sh\n  999 sh\n', [501]],
    ['a line that is none', '  501 sh\ntext\n\n   x 502 y\n', [501]],
  ])('do not believe %s', (_, text, pids) => {
    expect([...parseTexts(text, asked).keys()]).toStrictEqual(pids);
  });

  it('are bounded', () => {
    expect(parseTexts(`  501 ${'x'.repeat(200_000)}\n`, asked).get(501)?.length).toBe(65_536);
  });
});

const set = (...fields: readonly string[]): string => `${fields.join('\0')}\0\n`;

describe('the table of lsof', () => {
  it('in its usual form', () => {
    const found = parseLsof(
      set('p501') +
        set('fcwd', 'a ', 'tDIR', 'i2', 'n/Users/me') +
        set('ftxt', 'a ', 'tREG', 'i9', 'n/bin/zsh') +
        set('f3', 'ar', 'tREG', 'o0t4096', 'i7', 'n/Users/me/notes.txt') +
        set('f4', 'au', 'tREG', 'o0x10', 'i8', 'n/Users/me/db') +
        set('f5', 'au', 'tIPv4', 'o0t0', 'PTCP', 'n192.168.1.4:50312->93.184.216.34:443', 'TST=ESTABLISHED') +
        set('f6', 'au', 'tIPv6', 'o0t0', 'PTCP', 'n[::1]:50313->[2001:db8::1]:80') +
        set('f7', 'au', 'tIPv4', 'PTCP', 'n*:8080', 'TST=LISTEN') +
        set('f8', 'au', 'tunix', 'n->0x6a') +
        set('p502') +
        set('f1', 'aw', 'tREG', 'i5', 'n/tmp/out'),
    );
    expect(found.get(501)).toStrictEqual({
      cwd: '/Users/me',
      descriptors: [
        { fd: 3, target: '/Users/me/notes.txt' },
        { fd: 4, target: '/Users/me/db' },
      ],
      states: new Map([
        [3, { read: true, write: false, nameOnly: false, position: 4_096, inode: 7 }],
        [4, { read: true, write: true, nameOnly: false, position: 16, inode: 8 }],
      ]),
      sockets: [
        { fd: 5, localPort: 50_312, remote: { kind: 'connect', protocol: 'tcp', address: '93.184.216.34', port: 443 } },
        { fd: 6, localPort: 50_313, remote: { kind: 'connect', protocol: 'tcp', address: '2001:db8::1', port: 80 } },
        { fd: 7, localPort: 8_080 },
      ],
    });
    expect(found.get(502)?.descriptors).toStrictEqual([{ fd: 1, target: '/tmp/out' }]);
  });

  it.each([
    ['a\\nb', '/w/a\nb'],
    ['a\\\\nb', '/w/a\\nb'],
    ['a\\x1fb', '/w/a\u001fb'],
    ['a^[b', '/w/a^[b'],
    ['a\np999', '/w/a\np999'],
    ['p1 f3', '/w/p1 f3'],
  ])('names as lsof writes them: %j', (written, name) => {
    const found = parseLsof(set('p501') + set('f3', 'ar', 'tREG', 'i7', `n/w/${written}`));
    expect([[...found.keys()], found.get(501)?.descriptors]).toStrictEqual([[501], [{ fd: 3, target: name }]]);
  });

  it.each([
    ['nothing', ''],
    ['an error', 'lsof: status error on x: No such file'],
    ['a file of nobody', set('f3', 'ar', 'tREG', 'n/x')],
    ['a pid that is none', set('p-1') + set('f3', 'ar', 'tREG', 'n/x')],
  ])('gives nobody for %s', (_, text) => {
    expect(parseLsof(text).size).toBe(0);
  });

  it.each([
    ['a descriptor that is none', ['f3x', 'ar', 'tREG', 'n/x']],
    ['a name that is no path', ['f3', 'ar', 'tREG', 'nx']],
    ['a type nobody knows', ['f3', 'ar', 'tKQUEUE', 'n/x']],
    ['no type', ['f3', 'ar', 'n/x']],
  ])('leaves out %s', (_, fields) => {
    expect(parseLsof(set('p501') + set(...fields)).get(501)?.descriptors).toStrictEqual([]);
  });

  it.each(['n', 'n:', 'n*:*->', 'n1.2.3.4', 'n1.2.3.4:5->', 'n1.2.3.4:5->x', 'n1.2.3.4:x->1.1.1.1:1'])('no socket for %j', (name) => {
    expect(parseLsof(set('p501') + set('f3', 'au', 'tIPv4', 'PTCP', name)).get(501)?.sockets).toStrictEqual([]);
  });
});

describe('the poll', () => {
  const ROOT = { pid: 501, start: AT, parent: 1 };
  let table: string;
  let commands: string;
  let files: string;
  let broken: boolean;
  let tree: TrackedTree;
  let sensor: Sensor;
  let found: Observation[];
  let deaths: Error[];
  let next: () => void;
  let asked: string[][];

  beforeEach(() => {
    table = '  501     1 S    Thu Nov 26 13:35:05 2026\n';
    commands = '  501 node\n';
    files = set('p501');
    broken = false;
    tree = new TrackedTree({ roots: [ROOT] });
    found = [];
    deaths = [];
    asked = [];
    sensor = psPoll({
      tree,
      run: (program, args) => {
        asked.push([program, ...args]);
        if (broken) return Promise.reject(new Error('ps is gone'));
        if (program === 'lsof') return Promise.resolve(files);
        return Promise.resolve(args.includes('lstart=') ? table : commands);
      },
      timing: {
        now: () => 1_700_000_000_000,
        steady: () => 0,
        after: (_, run) => {
          next = run;
          return () => {
            next = () => {};
          };
        },
        turn: () => Promise.resolve(),
      },
    });
  });

  const start = (): Promise<void> => sensor.start({ tree, emit: (each) => found.push(each), died: (error) => deaths.push(error) });
  const look = async (times = 1): Promise<readonly unknown[]> => {
    found = [];
    for (let each = 0; each < times; each++) {
      next();
      await new Promise(setImmediate);
    }
    return found.map(({ action }) => action);
  };

  it('finds descendants, what they run, and their end', async () => {
    await start();
    table +=
      '  503   502 S    Thu Nov 26 13:35:07 2026\n  502   501 S    Thu Nov 26 13:35:06 2026\n  700     1 S    Thu Nov 26 13:35:06 2026\n';
    commands += '  502 /bin/sh -c  ls\n  503 /bin/ls -l\n';
    expect(await look()).toMatchObject([
      { kind: 'spawn', child: { pid: 502, start: AT + 1 } },
      { kind: 'exec', exe: '/bin/sh -c  ls', argv: ['/bin/sh', '-c', 'ls'] },
      { kind: 'spawn', child: { pid: 503 } },
      { kind: 'exec', argv: ['/bin/ls', '-l'] },
    ]);
    table = table.replace('502   501 S ', '502   501 Z ').replace(/.*503 .*\n/, '');
    expect(await look()).toMatchObject([{ kind: 'exit' }, { kind: 'exit' }]);
    expect(tree.members().map(({ pid }) => pid)).toStrictEqual([501]);
  });

  it('a pid with another start time is an end and a stranger', async () => {
    await start();
    table = '  501     1 S    Thu Nov 26 14:00:00 2026\n  502   501 S    Thu Nov 26 14:00:01 2026\n';
    expect(await look()).toMatchObject([{ kind: 'exit' }]);
    expect(tree.size).toBe(0);
  });

  it('stays with an orphan that was seen before, and never joins one that was not', async () => {
    await start();
    table += '  502   501 S    Thu Nov 26 13:35:06 2026\n';
    await look();
    table = '  502     1 S    Thu Nov 26 13:35:06 2026\n  503     1 S    Thu Nov 26 13:35:06 2026\n';
    await look();
    expect(tree.members().map(({ pid }) => pid)).toStrictEqual([502]);
  });

  it('files and connections at every third look', async () => {
    files =
      set('p501') +
      set('f3', 'aw', 'tREG', 'i7', 'n/w/out') +
      set('f5', 'au', 'tIPv4', 'PTCP', 'n1.1.1.1:5000->93.184.216.34:443') +
      set('f6', 'au', 'tIPv4', 'PTCP', 'n*:8080') +
      set('f7', 'au', 'tIPv4', 'PTCP', 'n1.1.1.1:8080->93.184.216.34:50000');
    await start();
    expect(found.map(({ action }) => action)).toStrictEqual([
      { kind: 'write', path: '/w/out', resolved: '/w/out' },
      { kind: 'connect', protocol: 'tcp', address: '93.184.216.34', port: 443 },
    ]);
    asked = [];
    expect(await look(3)).toStrictEqual([]);
    expect(asked.filter(([program]) => program === 'lsof')).toHaveLength(1);
  });

  it('never asks for more than pids, and never through a shell', async () => {
    await start();
    expect(asked.map((call) => call.join(' '))).toStrictEqual([
      'ps -ax -o pid= -o ppid= -o state= -o lstart=',
      'ps -ww -o pid= -o comm= -p 501',
      'ps -ww -o pid= -o command= -p 501',
      'lsof -n -P -w -F pftanoiPT0 -p 501',
    ]);
  });

  it.each(['', 'ps: no\n'])('does not start when ps prints %j', async (text) => {
    table = text;
    await expect(start()).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
    tree.seen({ pid: 502, start: AT, parent: 501 });
    expect(found).toStrictEqual([]);
  });

  it('counts a look that fails, goes on, and is dead after five in a row', async () => {
    await start();
    broken = true;
    await look(4);
    broken = false;
    await look();
    expect([deaths.length, sensor.stats().lost]).toStrictEqual([0, 4]);
    broken = true;
    await look(7);
    expect(deaths.map(({ message }) => message)).toStrictEqual(['ps is gone']);
  });

  it('says nothing after it was stopped, though a ps comes back late', async () => {
    await start();
    next();
    await sensor.stop();
    table += '  502   501 S    Thu Nov 26 13:35:06 2026\n';
    await new Promise(setImmediate);
    expect(found).toStrictEqual([]);
    expect(tree.size).toBe(1);
  });
});

describe.skipIf(findProgram('ps') === undefined || findProgram('lsof') === undefined)('the ps and lsof of this host', () => {
  it('tell of a child and of a file it holds', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-ps-'));
    const held = openSync(join(folder, 'name with\nnewline'), 'w');
    const child = spawn(process.execPath, ['-e', "console.log('up'); setInterval(() => {}, 1e6)"], {
      stdio: ['ignore', 'pipe', 'ignore', held],
    });
    try {
      await once(child.stdout ?? child, 'data');
      const pid = process.pid;
      const tree = new TrackedTree({ roots: [{ pid, start: (await psStart(pid)) ?? 0 }] });
      const found: Observation[] = [];
      const sensor = psPoll({ tree });
      await sensor.start({ tree, emit: (each) => found.push(each), died: () => {} });
      await sensor.stop();
      expect(tree.get(child.pid ?? 0)).toMatchObject({ parent: pid });
      const written = found
        .filter(({ action }) => action.kind === 'write')
        .map(({ action }) => (action.kind === 'write' ? action.path : ''));
      expect(written).toContain(join(realpathSync(folder), 'name with\nnewline'));
    } finally {
      child.kill('SIGKILL');
      closeSync(held);
      rmSync(folder, { recursive: true });
    }
  });
});
