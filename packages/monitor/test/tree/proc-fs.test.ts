import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_ARGV, MAX_CMDLINE_BYTES, MAX_DESCRIPTORS, MAX_ENVIRON_BYTES, type ProcReader, procReader } from '../../src/tree/proc-fs.ts';
import { FakeProc } from '../fake-proc.ts';

let proc: FakeProc;
let reader: ProcReader;

beforeEach(() => {
  proc = new FakeProc();
  reader = procReader({ root: proc.root });
});
afterEach(() => proc.close());

describe('processes', () => {
  it('lists numbers only', () => {
    proc.put({ pid: 7, start: 1 });
    proc.put({ pid: 12, start: 1 });
    mkdirSync(join(proc.root, '12x'));
    mkdirSync(join(proc.root, '-3'));
    expect(reader.pids().toSorted((a, b) => a - b)).toStrictEqual([7, 12]);
  });

  it('lists none where there is no /proc', () => {
    expect(procReader({ root: join(proc.root, 'absent') }).pids()).toStrictEqual([]);
  });

  it('reads what a process is', () => {
    proc.put({ pid: 7, start: 99, parent: 3, exe: '/usr/bin/node', cwd: '/job', argv: ['node', '', 'a b'] });
    expect(reader.stat(7)).toMatchObject({ pid: 7, start: 99, parent: 3 });
    expect([reader.exe(7), reader.cwd(7), reader.argv(7)]).toStrictEqual(['/usr/bin/node', '/job', ['node', '', 'a b']]);
  });
});

describe('what vanishes or is not ours', () => {
  it('a process that is gone gives nothing at all', () => {
    expect([reader.stat(7), reader.argv(7), reader.exe(7), reader.cwd(7), reader.markers(7), reader.io(7), reader.owner(7)]).toStrictEqual(
      Array.from({ length: 7 }),
    );
    expect([reader.descriptors(7), reader.descriptorState(7, 0), reader.descriptorCount(7), reader.net('tcp')]).toStrictEqual([
      'gone',
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each([
    ['stat', [undefined, ['a'], '/bin/a', {}, 1]],
    ['cmdline', [7, undefined, '/bin/a', {}, 1]],
    ['exe', [7, ['a'], undefined, {}, 1]],
    ['environ', [7, ['a'], '/bin/a', undefined, 1]],
    ['fd', [7, ['a'], '/bin/a', {}, undefined]],
  ])('%s may be gone while the others are there', (part, left) => {
    proc.put({ pid: 7, start: 1, exe: '/bin/a', argv: ['a'], fds: [{ fd: 0, target: '/dev/null' }] });
    rmSync(proc.path(7, part), { recursive: true });
    expect([reader.stat(7)?.pid, reader.argv(7), reader.exe(7), reader.markers(7), reader.descriptorCount(7)]).toStrictEqual(left);
  });

  it('another user’s process is denied, which is not the same as gone', () => {
    proc.put({ pid: 7, start: 1, fds: [{ fd: 0, target: '/dev/null' }] });
    chmodSync(proc.path(7, 'fd'), 0);
    // Root may read everything: then the kernel's own answer is played by a folder that is a loop.
    if (process.getuid?.() === 0) {
      rmSync(proc.path(7, 'fd'), { recursive: true });
      symlinkSync('fd', proc.path(7, 'fd'));
    }
    expect(reader.descriptors(7)).toBe('denied');
    expect(reader.descriptorCount(7)).toBeUndefined();
    expect(reader.stat(7)).toMatchObject({ pid: 7 });
  });

  it('a descriptor that is closed between the listing and the look is left out', () => {
    proc.put({ pid: 7, start: 1, fds: [{ fd: 3, target: '/a' }] });
    // No link, so reading it fails as for one that is gone or strange.
    writeFileSync(proc.path(7, 'fd', '4'), '');
    expect(reader.descriptors(7)).toStrictEqual([{ fd: 3, target: '/a' }]);
  });
});

describe('what a process chooses', () => {
  it.each(['a\nb', '\u001b[31mred', 'x (deleted)', 'ünïcödé', '__proto__', ' '])('is given as it is: %j', (name) => {
    proc.put({ pid: 7, start: 1, exe: `/bin/${name}`, argv: [name], cwd: `/${name}`, fds: [{ fd: 3, target: `/${name}` }] });
    expect([reader.exe(7), reader.argv(7), reader.cwd(7), reader.descriptors(7)]).toStrictEqual([
      `/bin/${name}`,
      [name],
      `/${name}`,
      [{ fd: 3, target: `/${name}` }],
    ]);
  });

  it('bytes that are no UTF-8 become replacement characters', () => {
    const name = Buffer.from([0x2f, 0x61, 0xff, 0xfe, 0x62]);
    proc.put({ pid: 7, start: 1, exe: name, fds: [{ fd: 3, target: name }] });
    writeFileSync(proc.path(7, 'cmdline'), Buffer.from([0xc3, 0x28, 0x00, 0x61]));
    expect([reader.exe(7), reader.descriptors(7), reader.argv(7)]).toStrictEqual([
      '/a\ufffd\ufffdb',
      [{ fd: 3, target: '/a\ufffd\ufffdb' }],
      ['\ufffd(', 'a'],
    ]);
  });

  it('is bounded: bytes, arguments, descriptors', () => {
    proc.put({ pid: 7, start: 1 });
    writeFileSync(proc.path(7, 'cmdline'), 'x'.repeat(3 * MAX_CMDLINE_BYTES));
    expect(reader.argv(7)?.[0]?.length).toBe(MAX_CMDLINE_BYTES);
    writeFileSync(proc.path(7, 'cmdline'), 'x\0'.repeat(5_000));
    expect(reader.argv(7)?.length).toBe(MAX_ARGV);
    for (let fd = 0; fd < MAX_DESCRIPTORS + 10; fd++) symlinkSync('/a', proc.path(7, 'fd', String(fd)));
    expect(reader.descriptors(7)).toHaveLength(MAX_DESCRIPTORS);
    expect(reader.descriptorCount(7)).toBe(MAX_DESCRIPTORS);
  });
});

describe('markers in the environment', () => {
  const markersOf = (environ: string): unknown => {
    proc.put({ pid: 7, start: 1 });
    writeFileSync(proc.path(7, 'environ'), environ);
    return reader.markers(7);
  };

  it('are read, and nothing else is', () => {
    expect(markersOf('HOME=/root\0COUNTERSIGN_CALL=0192-ab\0API_KEY=x\0COUNTERSIGN_RUN=run_1\0')).toStrictEqual({
      run: 'run_1',
      call: '0192-ab',
    });
  });

  it.each([
    ['no variable', ''],
    ['inside another value', 'A=COUNTERSIGN_CALL=x\0'],
    ['a longer name', 'XCOUNTERSIGN_CALL=x\0COUNTERSIGN_CALLS=y\0'],
    ['an empty value', 'COUNTERSIGN_CALL=\0'],
    ['a value with a newline', 'COUNTERSIGN_CALL=a\nb\0'],
    ['a value that is too long', `COUNTERSIGN_CALL=${'x'.repeat(129)}\0`],
    ['a value that is cut off', 'COUNTERSIGN_CALL=abc'],
    ['past the bound', `${'A=1\0'.repeat(MAX_ENVIRON_BYTES / 4)}COUNTERSIGN_CALL=x\0`],
  ])('there is none for %s', (_, environ) => {
    expect(markersOf(environ)).toStrictEqual({});
  });

  it('the first of a name counts, as it does for the process', () => {
    expect(markersOf('COUNTERSIGN_CALL=a\0COUNTERSIGN_CALL=b\0')).toStrictEqual({ call: 'a' });
  });

  it('is found across the pieces in which a large environment is read', () => {
    expect(markersOf(`A=${'x'.repeat(64 * 1024 - 10)}\0COUNTERSIGN_CALL=abc\0`)).toStrictEqual({ call: 'abc' });
  });
});

describe('descriptors', () => {
  it.each([
    ['0100000', { read: true, write: false, nameOnly: false }],
    ['0100001', { read: false, write: true, nameOnly: false }],
    ['02100002', { read: true, write: true, nameOnly: false }],
    ['010000000', { read: true, write: false, nameOnly: true }],
    ['0100003', { read: false, write: false, nameOnly: false }],
  ])('opened with flags %s', (flags, state) => {
    proc.put({ pid: 7, start: 1, fds: [{ fd: 3, target: '/a', flags, position: 12, inode: 5 }] });
    expect(reader.descriptorState(7, 3)).toStrictEqual({ ...state, mount: 22, position: 12, inode: 5 });
  });

  it.each(['', 'pos:\t0\n', 'flags:\t0100000\n', 'pos:\t-1\nflags:\t0\n', 'pos:\t0\nflags:\t9\n'])('refuses %j', (text) => {
    proc.put({ pid: 7, start: 1, fds: [{ fd: 3, target: '/a' }] });
    writeFileSync(proc.path(7, 'fdinfo', '3'), text);
    expect(reader.descriptorState(7, 3)).toBeUndefined();
  });
});

const IO = 'rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 512\n';

it('reads bytes from and to storage', () => {
  proc.put({ pid: 7, start: 1, io: IO });
  expect(reader.io(7)).toStrictEqual({ readBytes: 4_096, writeBytes: 8_192 });
  proc.put({ pid: 7, start: 1, io: IO.replace('4096', '-1') });
  expect(reader.io(7)).toBeUndefined();
});

describe.skipIf(process.platform !== 'linux')('the kernel’s own /proc', () => {
  const real = procReader();
  let child: ChildProcess | undefined;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-tree-'));
  });
  afterEach(() => {
    child?.kill('SIGKILL');
    child = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts `node -e` and waits until it says something. */
  const started = async (program: string, env: Readonly<Record<string, string>> = {}): Promise<number> => {
    child = spawn(process.execPath, ['-e', program], { cwd: folder, env: { ...env }, stdio: ['ignore', 'pipe', 'ignore'] });
    if (child.stdout === null || child.pid === undefined) throw new Error('the child did not start');
    await once(child.stdout, 'data');
    return child.pid;
  };

  it('a child, its arguments, folder, markers and the file it holds open, with its mode', async () => {
    const file = join(folder, 'name\nwith\u001bnewline');
    const program = `require('fs').openSync(${JSON.stringify(file)}, 'a'); console.log('up'); setInterval(() => {}, 1e6)`;
    const pid = await started(program, { COUNTERSIGN_RUN: 'run-1', SECRET: 'x' });
    expect(real.stat(pid)).toMatchObject({ pid, parent: process.pid });
    expect(real.argv(pid)).toStrictEqual([process.execPath, '-e', program]);
    expect(real.markers(pid)).toStrictEqual({ run: 'run-1' });
    expect(real.owner(pid)).toBe(process.getuid?.());
    const descriptors = real.descriptors(pid);
    const held = typeof descriptors === 'string' ? undefined : descriptors.find(({ target }) => target === file);
    expect(held).toBeDefined();
    expect(real.descriptorState(pid, held?.fd ?? -1)).toMatchObject({ read: false, write: true, nameOnly: false, position: 0 });
    expect(real.pids()).toContain(pid);
  });

  it('a process whose first thread has left is read through another', async (context) => {
    if (spawnSync('python3', ['-c', 'import ctypes, threading']).status !== 0) return context.skip('needs python3 with ctypes');
    const program = `
import ctypes, threading, time
held = open('/etc/passwd')
threading.Thread(target=time.sleep, args=(60,)).start()
print('up', flush=True)
ctypes.CDLL(None).pthread_exit(None)`;
    const python = spawn('python3', ['-c', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, COUNTERSIGN_CALL: 'call-1' },
    });
    child = python;
    await once(python.stdout, 'data');
    const pid = python.pid ?? 0;
    while (real.stat(pid)?.state !== 'Z') await new Promise(setImmediate);
    const descriptors = real.descriptors(pid);
    expect(typeof descriptors === 'string' ? [] : descriptors.map(({ target }) => target)).toContain('/etc/passwd');
    expect(real.exe(pid)).toMatch(/python/);
    expect(real.argv(pid)).toContain(program);
    expect(real.markers(pid)).toStrictEqual({ call: 'call-1' });
  });
});
