import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arch } from 'node:process';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { kernelControlMissing } from '../../src/kernel/available.ts';
import { exactBytes, startedWith } from '../../src/kernel/exact-bytes.ts';
import { filterProgram } from '../../src/kernel/filter.ts';
import { launchThroughShim, SHIM } from '../../src/kernel/launch-shim.ts';
import { wardenProcess } from '../../src/kernel/processes.ts';
import { trapsOf } from '../../src/kernel/traps.ts';
import { native, nativeMissing } from '../../src/native/native.ts';
import { type LaunchOptions, launchAgent } from '../../src/warden/launch.ts';
import { cProgram } from '../c-program.ts';
import { type Supervised, supervised } from './supervised.ts';

const NEEDS_NATIVE = native() === undefined ? `kernel control: ${nativeMissing()}` : undefined;
const missing = kernelControlMissing();
const NEEDS_KERNEL = missing === undefined ? undefined : `kernel control: ${missing}`;
const PATH = '/usr/local/bin:/usr/bin:/bin';
const SOURCE = ['--conditions=@countersign/source', '--no-warnings'];

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-launch-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function ran(options: Partial<LaunchOptions> & Pick<LaunchOptions, 'program'>, launch: typeof launchAgent = launchThroughShim) {
  const agent = await launch({ args: [], cwd: folder, env: { PATH }, stdio: 'pipe', ...options });
  onTestFinished(() => void agent.child.kill('SIGKILL'));
  const [output, errors] = [bytesOf(agent.child, 'stdout'), bytesOf(agent.child, 'stderr')];
  agent.go();
  agent.child.stdin?.end();
  return { end: await agent.ended, output: await output, errors: (await errors).toString() };
}

const bytesOf = (child: ChildProcess, stream: 'stdout' | 'stderr'): Promise<Buffer> => {
  const from = child[stream];
  return from === null ? Promise.resolve(Buffer.alloc(0)) : buffer(from);
};

function script(name: string, content: string | Buffer, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

describe('what the agent gets', () => {
  it('its arguments and its environment, byte by byte as Node itself hands them on', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const args = [
      '-c',
      'cat /proc/self/environ; tr "\\0" "|" < /proc/$$/cmdline',
      'first',
      '',
      ' ',
      '*',
      '$(id)',
      'é\u{1F600}',
      '\ud800',
      '\u0001\u001b[2J\n',
    ];
    const env = {
      PATH,
      EMPTY: '',
      'odd name': 'a=b=c',
      LINES: 'one\ntwo\r',
      '': 'no name',
      WIDE: '漢字\u{10FFFF}',
      LONE: 'x\udfffy',
      CONTROLS: '\u0001\u0007\u007f\u0080\u009f',
      __proto__x: 'constructor',
      constructor: 'y',
    };
    const shimmed = await ran({ program: '/bin/sh', args, env });
    const plain = spawn('/bin/sh', args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
    expect(shimmed.output.toString('latin1')).toBe((await buffer(plain.stdout)).toString('latin1'));
    expect(shimmed).toMatchObject({ end: { code: 0 }, errors: '' });
  });

  it.for<readonly [Partial<LaunchOptions>, string]>([
    [{ args: ['a\0b'] }, 'an argument holds a zero byte'],
    [{ env: { A: 'b\0c' } }, 'a variable of the environment holds a zero byte'],
    [{ env: { 'A\0B': 'c' } }, 'a variable of the environment holds a zero byte'],
    [{ program: '/bin/true\0' }, 'an argument holds a zero byte'],
  ])('nothing runs of %j', async ([over, reason], context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    await expect(ran({ program: '/bin/true', ...over })).rejects.toMatchObject({
      code: 'MONITOR_UNAVAILABLE',
      message: `the agent could not be started: ${reason}`,
    });
  });

  it('exactly the three standard streams, whatever we and the shim have open', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const fd = openSync('/dev/null', 'r');
    onTestFinished(() => closeSync(fd));
    expect((await ran({ program: '/bin/sh', args: ['-c', 'ls /proc/$$/fd'] })).output.toString()).toBe('0\n1\n2\n');
  });

  it('what the plain launcher gives it: signals, limits, groups, session, mask, priority and folder', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const before = process.umask(0o027);
    onTestFinished(() => void process.umask(before));
    const look =
      'grep -E "^(Sig(Blk|Ign|Cgt)|Shd|Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask|THP)" /proc/self/status; umask; pwd; nice; ulimit -a; cut -d" " -f4-8 /proc/$$/stat; cat /proc/$$/oom_score_adj /proc/$$/timerslack_ns /proc/$$/personality';
    const options = { program: '/bin/sh', args: ['-c', look] };
    const [shimmed, plain] = [await ran(options), await ran(options, launchAgent)];
    expect(shimmed.output.toString()).toBe(plain.output.toString());
    expect(shimmed.output.toString()).toContain('SigIgn:\t0000000000000000');
  });

  it('its loader and Node settings, of which the shim takes none', async (context) => {
    const library = cProgram('kernel/preloaded', ['-shared', '-fPIC']);
    if (NEEDS_NATIVE !== undefined || library === undefined) return context.skip(NEEDS_NATIVE ?? 'no C compiler for the library');
    const log = join(folder, 'loaded');
    const required = script(
      'required.cjs',
      `require('fs').appendFileSync(${JSON.stringify(log)}, 'required by ' + process.argv.length + '\\n')`,
    );
    const env = {
      PATH,
      LD_PRELOAD: library,
      LD_LIBRARY_PATH: '/nowhere',
      PRELOADED_LOG: log,
      NODE_OPTIONS: `--require=${required}`,
      NODE_DEBUG: 'fs,module',
      NODE_EXTRA_CA_CERTS: '/nowhere/ca.pem',
    };
    const shell = await ran({
      program: '/bin/sh',
      args: ['-c', 'echo $LD_PRELOAD $LD_LIBRARY_PATH $NODE_OPTIONS $NODE_DEBUG $NODE_EXTRA_CA_CERTS'],
      env,
    });
    expect(shell).toMatchObject({ end: { code: 0 }, errors: '' });
    expect(shell.output.toString()).toBe(`${library} /nowhere --require=${required} fs,module /nowhere/ca.pem\n`);
    expect(readFileSync(log, 'utf8').trimEnd().split('\n')).toEqual([realpathSync('/bin/sh')]);
    rmSync(log);
    const { NODE_DEBUG: _, NODE_EXTRA_CA_CERTS: __, ...rest } = env;
    expect((await ran({ program: process.execPath, args: ['-e', '0'], env: rest })).end).toEqual({ code: 0 });
    expect(readFileSync(log, 'utf8').trimEnd().split('\n')).toEqual([realpathSync(process.execPath), 'required by 1']);
  });
});

describe('bytes that are no UTF-8', () => {
  const BROKEN = Buffer.from([0x61, 0xff, 0xfe, 0x62]);
  const lost = BROKEN.toString();

  it('are those we were started with', () => {
    const texts = () => [Buffer.from('other'), BROKEN];
    expect(exactBytes(lost, texts)).toEqual(BROKEN);
    expect(exactBytes('plain', () => [BROKEN])).toEqual(Buffer.from('plain'));
    // What only looks like it, and what somebody really wrote so.
    expect(exactBytes('c\ufffd', texts)).toEqual(Buffer.from('c\ufffd'));
    expect(exactBytes(lost, () => [])).toEqual(Buffer.from(lost));
  });

  it.each([
    ['', []],
    ['a\0b\0', ['a', 'b']],
    ['a\0\0b', ['a', '', 'b']],
  ])('%j of /proc is %j', (content, texts) => {
    mkdirSync(join(folder, 'self'));
    writeFileSync(join(folder, 'self/environ'), content);
    expect(startedWith('environ', folder).map(String)).toEqual(texts);
    expect(startedWith('cmdline', folder)).toEqual([]);
  });

  it('reach the agent through us', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const child = fileURLToPath(new URL('./launching-child.ts', import.meta.url));
    const run = `X=$(printf 'x\\377\\376') exec "$0" "$@" "$(printf 'a\\200b')"`;
    const output = execFileSync('/bin/sh', ['-c', run, process.execPath, ...SOURCE, child, '/bin/sh', '-c', 'printf %s "$X:$1"', 'sh'], {
      env: { PATH },
    });
    expect(output).toEqual(
      Buffer.concat([Buffer.from('x'), Buffer.from([0xff, 0xfe]), Buffer.from(':a'), Buffer.from([0x80]), Buffer.from('b')]),
    );
  });
});

describe('a program that cannot be run', () => {
  it.for<readonly [string, () => string, number, string]>([
    ['is gone by then', () => join(folder, 'gone'), 127, 'it, or what it names as its interpreter, is not there (ENOENT)'],
    ['is below a file', () => join(script('file', ''), 'below'), 127, 'a part of its path is no folder (ENOTDIR)'],
    [
      'names an interpreter that is not there',
      () => script('odd', '#!/nowhere/interpreter\n'),
      127,
      'it, or what it names as its interpreter, is not there (ENOENT)',
    ],
    ['may not be executed', () => script('plain', '#!/bin/sh\n', 0o644), 126, 'permission denied (EACCES)'],
    ['is a folder', () => folder, 126, 'permission denied (EACCES)'],
  ])('%s: the exit code of a shell, and one line', async ([, make, code, reason], context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const program = make();
    const { end, output, errors } = await ran({ program });
    expect(errors).toBe(`countersign: ${program} cannot be run: ${reason}\n`);
    expect({ end, output: output.length }).toEqual({ end: { code }, output: 0 });
  });

  it('a path that a terminal would obey is shown without that', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const { errors } = await ran({ program: join(folder, 'a\u001b]0;owned\u0007\n\u202eb') });
    expect(errors).toBe(
      `countersign: ${folder}/a?]0;owned???b cannot be run: it, or what it names as its interpreter, is not there (ENOENT)\n`,
    );
  });

  it('a script that does not say what runs it is run by the shell', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const program = script('unsaid', 'echo "$0 $#: $1"; exit 3\n');
    const { end, output, errors } = await ran({ program, args: ['a b', 'c'] });
    expect({ end, output: output.toString(), errors }).toEqual({ end: { code: 3 }, output: `${program} 2: a b\n`, errors: '' });
  });

  it('two megabytes of environment and arguments arrive whole, more than the kernel takes is said', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    const part = 'Q'.repeat(100_000);
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`PART${index}`, part]));
    const count = {
      program: '/bin/sh',
      args: ['-c', 'cat /proc/$$/environ /proc/$$/cmdline | tr -cd Q | wc -c', 'sh', ...Array<string>(8).fill(part)],
    };
    const fits = await ran({ ...count, env: { PATH, ...many(8) } });
    expect(fits).toMatchObject({ end: { code: 0 }, errors: '' });
    // With the one of the command itself.
    expect(Number(fits.output)).toBe(1_600_001);
    // `ulimit -s` of this process decides how much fits, at most six megabytes.
    for (const over of [{ env: { PATH, ...many(80) } }, { env: { PATH, ONE: 'x'.repeat(200_000) } }])
      expect(await ran({ ...count, ...over })).toMatchObject({
        end: { code: 126 },
        errors: 'countersign: /bin/sh cannot be run: its arguments and environment are longer than the kernel takes (E2BIG)\n',
      });
  });

  it('one that the supervisor refuses', async (context) => {
    if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
    const running = await supervised({
      program: '/bin/true',
      scope: { document: { process: { forbidden_commands: ['true'] } } },
      quiet: true,
    });
    onTestFinished(() => running.close());
    expect(await running.ended).toEqual({ code: 126 });
    expect(await running.errors).toBe('countersign: /bin/true cannot be run: refused by who watches, or by the kernel (EPERM)\n');
  });

  it('a folder to start in that is gone', async (context) => {
    if (NEEDS_NATIVE !== undefined) return context.skip(NEEDS_NATIVE);
    await expect(ran({ program: '/bin/true', cwd: join(folder, 'gone') })).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
  });
});

describe('without a warden', () => {
  it.for(['without', 'with'])('nothing runs, and nothing is left (%s a filter)', async (filter, context) => {
    if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
    const child = fileURLToPath(new URL('./launching-child.ts', import.meta.url));
    const mark = join(folder, 'ran');
    const warden = spawn(process.execPath, [...SOURCE, child, `--wait-${filter}-filter`, '/bin/sh', '-c', `echo > ${mark}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH },
    });
    onTestFinished(() => void warden.kill('SIGKILL'));
    const [line] = (await once(warden.stdout, 'data')) as [Buffer];
    const shim = Number(line);
    expect(existsSync(`/proc/${shim}`)).toBe(true);
    // The shim has its streams: they are closed once it is gone too, whoever its parent is by then.
    const closed = once(warden, 'close');
    warden.kill('SIGKILL');
    await closed;
    expect(existsSync(mark)).toBe(false);
  });
});

describe('on a terminal', () => {
  const child = fileURLToPath(new URL('./launching-child.ts', import.meta.url));
  const terminal = fileURLToPath(new URL('./terminal.py', import.meta.url));
  const python = spawnSync('python3', ['-c', 'import pty']).status === 0 ? 'python3' : undefined;

  it('the agent has it, in the foreground, and cannot type into it: the answer to a question of ours', (context) => {
    if (NEEDS_KERNEL !== undefined || python === undefined) return context.skip(NEEDS_KERNEL ?? 'needs python3, for a terminal');
    const shown = execFileSync(python, [terminal, process.execPath, ...SOURCE, child, '--never', '/usr/bin/env', 'python3', '-c'], {
      env: process.env,
    });
    expect(shown.toString()).toBe(
      'terminals: True True True\nforeground: True session of a parent\nTIOCSTI EPERM\nTIOCLINUX EPERM\nTCGETS done\nend\n',
    );
  });

  it.for([
    ['<&-', '0'],
    ['>&-', '1'],
    ['2>&-', '2'],
    ['<&- 2>&-', '02'],
  ] as const)('a stream that was closed (%s) is an empty one', ([redirection, closed], context) => {
    if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
    const look = `set -- "$(readlink /proc/$$/fd/0)" "$(readlink /proc/$$/fd/1)" "$(readlink /proc/$$/fd/2)"; printf '%s\\n' "$@" > ${folder}/streams`;
    execFileSync('/bin/sh', ['-c', `"$0" "$@" ${redirection}`, process.execPath, ...SOURCE, child, '--never', '/bin/sh', '-c', look], {
      env: { PATH },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const streams = readFileSync(join(folder, 'streams'), 'utf8').trimEnd().split('\n');
    expect(streams).toHaveLength(3);
    for (const fd of closed) expect(streams[Number(fd)]).toBe('/dev/null');
  });
});

describe('as an ordinary user', () => {
  const asNobody = { uid: 65_534, gid: 65_534, cwd: '/', env: { PATH } };
  const mayRun = spawnSync(process.execPath, [...SOURCE, fileURLToPath(new URL('./trying-child.ts', import.meta.url))], asNobody);
  const needs =
    NEEDS_KERNEL ??
    (process.getuid?.() !== 0 ? 'needs root, to have another user' : mayRun.status === 0 ? undefined : 'another user cannot run this');

  it('a call is held, read and refused as well', (context) => {
    if (needs !== undefined) return context.skip(needs);
    expect(mayRun.stdout.toString()).toBe('undefined\n');
  });

  it('a program that would run as root does not', (context) => {
    if (needs !== undefined) return context.skip(needs);
    chmodSync(folder, 0o755);
    const program = join(folder, 'as-root');
    copyFileSync('/usr/bin/id', program);
    chmodSync(program, 0o4755);
    const child = fileURLToPath(new URL('./launching-child.ts', import.meta.url));
    const run = (...args: string[]) => execFileSync(process.execPath, [...SOURCE, child, ...args, program, '-u'], asNobody).toString();
    if (run() !== '0\n') return context.skip('no program runs as its owner in the folder for temporary files');
    expect(run('--never')).toBe('65534\n');
  });
});

it('a warden that dies after its word leaves nobody waiting for it', async (context) => {
  if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
  const mark = join(folder, 'ran');
  const agent = await launchThroughShim({
    program: '/bin/sh',
    args: ['-c', `echo > ${mark}`],
    cwd: folder,
    env: { PATH },
    stdio: 'pipe',
    filter: filterProgram(arch, trapsOf({ trapReads: 'deny-list', ...wardenProcess() })),
  });
  onTestFinished(() => void agent.child.kill('SIGKILL'));
  const errors = bytesOf(agent.child, 'stderr');
  // As when it is gone: nobody has the listener.
  native()?.close(agent.listener ?? -1);
  agent.go();
  expect(await agent.ended).toEqual({ code: 126 });
  expect((await errors).toString()).toBe('countersign: /bin/sh cannot be run: who watched is gone (ENOSYS)\n');
  expect(existsSync(mark)).toBe(false);
});

describe('the tree that comes of it', () => {
  let running: Supervised | undefined;
  afterEach(async () => {
    await running?.close();
    running = undefined;
  });

  it('has no listener, no descriptor of the shim, and gains no rights', async (context) => {
    if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
    running = await supervised({ program: '/bin/sh', args: ['-c', 'ls /proc/$$/fd; grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status'] });
    expect(await running.output).toBe('0\n1\n2\nNoNewPrivs:\t1\nSeccomp:\t2\n');
  });

  it('holds no second warden: that says why', async (context) => {
    if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
    const child = fileURLToPath(new URL('./trying-child.ts', import.meta.url));
    running = await supervised({ program: process.execPath, args: [...SOURCE, child, '--nested'], mode: 'audit_only', env: { PATH } });
    expect((await running.output).split('\n')).toEqual([
      'the agent could not be started: another supervisor listens to this process tree already: an agent cannot be watched from inside a watched tree',
      'descriptors of other processes cannot be taken over (ENOSYS): a filter above this process forbids it, as in containers and in a tree that is watched already',
      '',
    ]);
  });
});

describe('the shim as it is shipped', () => {
  const dist = fileURLToPath(new URL('../../dist/kernel/', import.meta.url));

  it('lies beside its launcher, in a folder that the package has', () => {
    expect(existsSync(SHIM)).toBe(true);
    const { files } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      readonly files: readonly string[];
    };
    expect(files).toContain('dist');
  });

  it('works as compiled', async (context) => {
    if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
    if (!existsSync(join(dist, 'shim.js'))) return context.skip('not built: npm run build');
    const look = `import(${JSON.stringify(join(dist, 'available.js'))}).then(async (it) => console.log(await it.tryKernelControl()))`;
    const child = spawn(process.execPath, ['--no-warnings', '-e', look], { stdio: ['ignore', 'pipe', 'inherit'], env: { PATH } });
    expect(await text(child.stdout)).toBe('undefined\n');
  });
});

it('a filter that the kernel does not take is told, and nothing runs', async (context) => {
  if (NEEDS_KERNEL !== undefined) return context.skip(NEEDS_KERNEL);
  const broken = Buffer.concat([filterProgram(arch, []), Buffer.alloc(8, 0xff)]);
  const mark = join(folder, 'ran');
  await expect(
    launchThroughShim({ program: '/bin/sh', args: ['-c', `echo > ${mark}`], cwd: folder, env: { PATH }, stdio: 'pipe', filter: broken }),
  ).rejects.toMatchObject({ message: 'the agent could not be started: the seccomp filter could not be set (EINVAL)' });
  expect(readdirSync(folder)).toEqual([]);
});
