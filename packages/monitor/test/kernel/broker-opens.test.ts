/** What is opened for a process is what it would have opened itself, with the same errors; and nothing of ours gets into its hands. */

import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { pid as self } from 'node:process';
import { describe, expect, it } from 'vitest';
import { cProgram } from '../c-program.ts';
import { brokered, direct, folder, under } from './brokered.ts';
import { whyNot } from './supervised.ts';

const program = cProgram('kernel/broker') ?? '';
const missing = whyNot() ?? (program === '' ? 'there is no C compiler' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: opening through the broker: ${missing}`);
const { ENOENT, ELOOP, EACCES, EMFILE, EINVAL, E2BIG, EXDEV, EAGAIN, EOPNOTSUPP, ENAMETOOLONG } = constants.errno;

/** A folder with all kinds of names in it. */
function zoo(): string {
  const at = folder();
  mkdirSync(join(at, 'home'));
  mkdirSync(join(at, 'dir/below'), { recursive: true });
  writeFileSync(join(at, 'file'), 'content of the file');
  writeFileSync(join(at, 'dir/below/file'), 'content below');
  writeFileSync(join(at, 'closed'), 'closed', { mode: 0o000 });
  linkSync(join(at, 'file'), join(at, 'hard'));
  symlinkSync('file', join(at, 'link'));
  symlinkSync('dir', join(at, 'dirlink'));
  symlinkSync('nothing', join(at, 'dangling'));
  symlinkSync('loop', join(at, 'loop'));
  symlinkSync('link', join(at, 'link2'));
  symlinkSync('/proc/self/environ', join(at, 'environ'));
  symlinkSync('/proc/self/fd/0', join(at, 'fd0'));
  symlinkSync('/dev/fd/77', join(at, 'fd77'));
  symlinkSync('/proc/thread-self/comm', join(at, 'comm'));
  symlinkSync('/proc/self/cwd/file', join(at, 'through-cwd'));
  for (let index = 0; index < 45; index++) symlinkSync(index === 0 ? 'file' : `chain${index - 1}`, join(at, `chain${index}`));
  writeFileSync(join(at, 'new\nline'), 'a name of two lines');
  writeFileSync(Buffer.concat([Buffer.from(`${at}/`), Buffer.from([0xff, 0xfe, 0x2f - 1])]), 'no text');
  execFileSync('mkfifo', [join(at, 'pipe')]);
  return at;
}

const NAMES = [
  'file',
  './file',
  'dir/../file',
  'hard',
  'link',
  'link2',
  'dir',
  'dir/',
  'dirlink',
  'dirlink/',
  'dirlink/below/file',
  'dirlink/below/../../file',
  'file/',
  'file/.',
  'file/x',
  'link/',
  'dangling',
  'dangling/',
  'loop',
  'loop/x',
  'chain38',
  'chain39',
  'chain40',
  'chain44',
  'missing',
  'missing/',
  'missing/file',
  'dir/missing',
  '',
  '.',
  '..',
  '/',
  '//',
  'new\nline',
  'x'.repeat(255),
  'x'.repeat(256),
  `${'./'.repeat(2_040)}file`,
  `${'./'.repeat(2_050)}file`,
  'environ',
  'fd77',
  'comm',
  'through-cwd',
  '/proc/self',
  '/proc/self/',
  '/proc/self/status',
  '/proc/self/fd',
  '/proc/self/fd/1',
  '/proc/self/fd/99',
  '/proc/self/fd/99/x',
  '/proc/self/cwd',
  '/proc/self/cwd/file',
  '/proc/self/root',
  '/proc/self/root/etc/passwd',
  '/proc/self/exe',
  '/proc/self/task',
  '/proc/self/nothing',
  '/proc/self/ns/mnt',
  '/proc/thread-self/status',
  '/proc/mounts',
  '/proc/net/tcp',
  '/proc/1/status',
  '/proc/4194304/status',
  '/proc/cpuinfo',
  '/proc/sys/kernel/hostname',
  '/dev/null',
  '/dev/zero',
  '/dev/full',
  '/dev/urandom',
  '/dev/fd',
  '/dev/fd/1',
  '/dev/tty',
  '/dev/ptmx',
  '/sys/kernel/mm',
  '/usr/bin/env',
];

// Of this architecture, for the program.
const { O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_NOATIME, O_SYNC } = (
  await import('node:fs')
).constants;
const O_CLOEXEC = 0o2000000;
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

describe.skipIf(missing !== undefined)('as if it had opened it itself', () => {
  const CASES: readonly (readonly [string, number, readonly string[]])[] = [
    ['reading', 0, NAMES],
    ['reading, closed on exec', O_CLOEXEC, NAMES.slice(0, 12)],
    ['reading without waiting', O_NONBLOCK, [...NAMES.slice(0, 12), 'pipe']],
    ['a folder', O_DIRECTORY, NAMES],
    ['no link at the end', O_NOFOLLOW, NAMES],
    ['a folder that is no link', O_DIRECTORY | O_NOFOLLOW, NAMES.slice(0, 30)],
    ['without its time of reading', O_NOATIME, NAMES.slice(0, 8)],
    ['past the cache', O_DIRECT, ['file', '/etc/hostname']],
    ['writing', O_WRONLY, NAMES.filter((name) => !name.startsWith('/proc') && name !== '/dev/ptmx' && !name.startsWith('/usr'))],
    ['both', O_RDWR | O_APPEND | O_SYNC, ['file', 'link', 'dir', 'missing', 'pipe', '/dev/null']],
    ['made where it is missing', O_WRONLY | O_CREAT, [...NAMES.slice(0, 32).filter((name) => name !== ''), 'dangling', 'made', 'made']],
    [
      'made anew',
      O_WRONLY | O_CREAT | O_EXCL,
      ['file', 'link', 'dangling', 'loop', 'dir', 'dir/', 'made', 'made', 'made/', 'no/made', '.', '..', '/'],
    ],
    ['made over no link', O_RDWR | O_CREAT | O_NOFOLLOW, ['link', 'dangling', 'dirlink', 'file', 'made']],
    ['emptied', O_WRONLY | O_CREAT | O_TRUNC, ['file', 'link', 'dir', 'pipe-no', '/dev/null', '/dev/full']],
    ['emptied for reading', O_TRUNC, ['file', 'dir', 'missing']],
    ['a folder that is made', O_CREAT | O_DIRECTORY, ['file', 'dir', 'made']],
    ['without a name', O_TMPFILE | O_RDWR, ['dir', '.', 'file', 'missing', '/proc', '/dev/shm']],
    ['without a name, for reading', O_TMPFILE, ['dir']],
    ['all flags there are', 0o3, ['file', 'missing']],
  ];
  it('every kind of name, with every flag', async () => {
    const [one, other] = [zoo(), zoo()];
    const args = each(CASES.map(([, flags, names]) => ['open', String(flags), '640', ...names]));
    const labels = CASES.flatMap(([title, , names]) => names.map((name) => `${title}: ${name.slice(0, 60)}: `));
    const expected = await direct(program, args, one);
    const { output, end } = await brokered(program, args, other);
    const labelled = (text: string): readonly string[] =>
      text
        .trimEnd()
        .split('\n')
        .map((line, index) => `${labels[index]}${line}`);
    expect(labelled(output)).toEqual(labelled(expected.output));
    expect(labelled(output)).toHaveLength(labels.length);
    expect(end).toEqual(expected.end);
    // And nothing else was made or changed.
    expect(contents(other)).toEqual(contents(one));
  });

  it('names taken away, moved and added', async () => {
    const [one, other] = [zoo(), zoo()];
    const expected = await direct(program, ['change'], one);
    const { output } = await brokered(program, ['change'], other);
    const numbered = (text: string): readonly string[] => text.split('\n').map((line, index) => `${index + 1}: ${line}`);
    expect(numbered(output)).toEqual(numbered(expected.output));
    expect(contents(other)).toEqual(contents(one));
  });

  it('the umask is that of the one who asks', async () => {
    const [one, other] = [folder(), folder()];
    const args = (at: string): readonly string[] =>
      each(
        [
          ['022', '666'],
          ['077', '666'],
          ['000', '777'],
          ['027', '4755'],
        ].map(([mask = '', mode = '']) => ['umask', mask, mode, join(at, mask)]),
      );
    const { output } = await brokered(program, args(other), other);
    expect(output).toBe((await direct(program, args(one), one)).output);
    expect(output).toBe('644\n600\n777\n4750\n');
  });

  it('openat2 is as strict as it is', async () => {
    const at = zoo();
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['0', '0', '0', '23'], `${EINVAL}`],
      [['0', '0', '0', '4097'], `${E2BIG}`],
      [['0', '0', '0', '33'], `${E2BIG}`],
      [['0', '0', '0', '32'], '0 content of the file'],
      [['0x80000000', '0', '0', '24'], `${EINVAL}`],
      [['0x100000000', '0', '0', '24'], `${EINVAL}`],
      [['0', '600', '0', '24'], `${EINVAL}`],
      [['0', '0', '0x800', '24'], `${EINVAL}`],
      [['0', '0', '0', '24'], '0 content of the file'],
    ];
    const args = each(cases.map(([how]) => ['openat2', ...how, '-', 'file']));
    const { output } = await brokered(program, args, at);
    expect(output.trimEnd().split('\n')).toEqual(cases.map(([, expected]) => expected));
    expect(output).toBe((await direct(program, args, at)).output);
  });

  const [NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH, IN_ROOT, CACHED] = ['0x1', '0x2', '0x4', '0x8', '0x10', '0x20'] as const;
  it('bounds of openat2 are kept', async () => {
    const at = zoo();
    const cases: readonly (readonly [string, string, string, string])[] = [
      [BENEATH, 'dir', 'below/file', '0 content below'],
      [BENEATH, 'dir', '../file', `${EXDEV}`],
      [BENEATH, 'dir', 'below/../below/file', '0 content below'],
      [BENEATH, 'dir', '/etc/hostname', `${EXDEV}`],
      [BENEATH, '.', 'link', '0 content of the file'],
      [BENEATH, '.', 'environ', `${EXDEV}`],
      [IN_ROOT, 'dir', '/below/file', '0 content below'],
      [IN_ROOT, 'dir', '../../../below/file', '0 content below'],
      [IN_ROOT, '.', '/link', '0 content of the file'],
      [IN_ROOT, 'dir', '/etc/hostname', `${ENOENT}`],
      [NO_SYMLINKS, '.', 'link', `${ELOOP}`],
      [NO_SYMLINKS, '.', 'file', '0 content of the file'],
      [NO_SYMLINKS, '-', '/proc/self/comm', `${ELOOP}`],
      [NO_MAGICLINKS, '.', 'link', '0 content of the file'],
      [NO_MAGICLINKS, '-', '/proc/self/comm', '0 broker'],
      [NO_MAGICLINKS, '-', '/proc/self/cwd/file', `${ELOOP}`],
      [NO_XDEV, '.', 'file', '0 content of the file'],
      [NO_XDEV, '/', 'proc/cpuinfo', `${EXDEV}`],
    ];
    const args = each(cases.map(([resolve, from, name]) => ['openat2', '0', '0', resolve, '24', from, name]));
    const lines = (output: string): readonly string[] => output.split('\n').filter((line) => line !== '');
    const { output } = await brokered(program, args, at);
    expect(lines(output)).toEqual(cases.map(([, , , expected]) => expected));
    expect(output).toBe((await direct(program, args, at)).output);
  });

  it('what would not be exact fails: only from the cache, or within bounds that end in /proc', async () => {
    const args = each([
      ['openat2', '0', '0', CACHED, '24', '-', 'file'],
      ['openat2', '0', '0', BENEATH, '24', '/proc', 'self/comm'],
    ]);
    expect((await brokered(program, args, zoo())).output).toBe(`${EAGAIN}\n${EACCES}\n`);
  });

  it('what has no name, a table that is full, a folder that is listed, itself', async () => {
    const args = each([['memfd'], ['full', 'file'], ['list', 'dir'], ['self'], ['deleted', 'file']]);
    const { output } = await brokered(program, args, zoo());
    expect(output).toBe(`7 content\n${EMFILE} 1\n3\nbroker\nbroker\n1\n1\n0 7 content\n`);
  });

  it('a name longer than any that can be told is not opened', async () => {
    const { output } = await brokered(program, ['deep', '25'], folder());
    expect(output).toBe(`${ENAMETOOLONG}\n`);
  });

  it('bytes that are no text', async () => {
    const { output } = await brokered('/bin/sh', ['-c', 'cat "$(printf \'\\377\\376.\')" && cat "new\nline"'], zoo());
    expect(output).toBe('no texta name of two lines');
  });

  it('a pipe waits for its other end, whichever comes first, and nobody else waits with it', async () => {
    const script =
      'cat pipe & sleep 0.1; cat file; echo " then" > pipe; wait; (sleep 0.1; cat pipe) & echo first > pipe; wait; exec 3<>pipe; echo both >&3; read x <&3; echo $x';
    const { output, end } = await brokered('/bin/sh', ['-c', script], zoo());
    expect(output).toBe('content of the file then\nfirst\nboth\n');
    expect(end).toEqual({ code: 0 });
  });

  it('a writer that has come is enough for a reader, before anything is written', async () => {
    // The writer writes only when the reader says that it is in: nothing else would let it in.
    const script =
      'mkfifo said; (exec 4<pipe; echo in >said; cat <&4) & exec 3>pipe; read word <said; echo $word; echo data >&3; exec 3>&-; wait';
    const { output } = await brokered('/bin/sh', ['-c', script], zoo());
    expect(output).toBe('in\ndata\n');
  });

  it('a leased file is waited for without us', async () => {
    const { output } = await brokered(program, ['lease', 'file'], zoo());
    expect(output).toBe('opened 1\n');
  });

  it('many threads that wait for a pipe at once', async () => {
    const { output } = await brokered('/bin/sh', ['-c', `"$0" threads 40 pipe & sleep 0.2; exec 3>pipe; wait`, program], zoo());
    expect(output).toBe('opened 1\n'.repeat(40));
  });

  it('programs open what they start with: files, folders, packages, terminals', async () => {
    const script = `ls -laR /usr/share/doc | head -500; python3 -c 'import json, http.client; print(json.dumps([1]))'; cd "$0" && git init -q . && git add file && git -c user.name=a -c user.email=a@b commit -qm first && git status --short | grep -c . ; tar cf - file dir | tar tvf - | cut -c1-10; script -qec tty /dev/null; find . -name 'chain*' | wc -l; echo $((1+1)) > two; cat two; sort < file`;
    const [one, other] = [zoo(), zoo()];
    const { output, end } = await brokered('/bin/bash', ['-c', script, other], other);
    const expected = await direct('/bin/bash', ['-c', script, one], one);
    expect(output.split('\n')).toEqual(expected.output.split('\n'));
    expect(end).toEqual(expected.end);
  });
});

describe.skipIf(missing !== undefined)('nothing of ours', () => {
  it('10,000 opens leave no descriptor behind', async () => {
    const at = zoo();
    const run = await under({ program, args: ['many', '10000', join(at, 'link')], workspace: at, trapReads: 'broker', mode: 'audit_only' });
    const before = readdirSync('/proc/self/fd').length;
    expect(await run.output).toBe('10000\n');
    await run.ended;
    // The program has ended: its pipes are closed, and none has come.
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 2);
  });

  const OURS = [
    'environ',
    'mem',
    'maps',
    'fd/0',
    'fd/1',
    'root/etc/passwd',
    'cwd/package.json',
    'exe',
    'auxv',
    'fdinfo/0',
    'task',
    'ns/mnt',
    'map_files',
    'root',
    'cwd',
    'fd',
    '',
  ];
  it('below our folder in /proc', async () => {
    const names = OURS.flatMap((name) => [`/proc/${self}/${name}`, `/proc/../proc/${self}/./${name}`]);
    const { output } = await brokered(program, ['open', '0', '0', ...names], zoo());
    const told = output.trimEnd().split('\n');
    expect(names.map((name, index) => `${name}: ${told[index]}`)).toEqual(names.map((name) => `${name}: ${EACCES}`));
  });

  it('one of our threads by its number', async () => {
    const thread = readdirSync('/proc/self/task').find((each) => Number(each) !== self);
    const names = ['environ', 'mem', 'fd/0', 'root/etc/passwd'].map((name) => `/proc/${thread}/${name}`);
    const { output } = await brokered(program, ['open', '0', '0', ...names], zoo());
    expect(output).toBe(`${EACCES}\n`.repeat(4));
  });

  it('by a link, by a folder that was opened as a name, by its own magic links', async () => {
    const at = zoo();
    symlinkSync(`/proc/${self}`, join(at, 'warden'));
    symlinkSync(`/proc/${self}/environ`, join(at, 'warden-environ'));
    const { output } = await brokered(
      program,
      ['open', '0', '0', 'warden/environ', 'warden-environ', 'warden/root/etc/passwd', `/proc/self/root/proc/${self}/environ`],
      at,
    );
    expect(output).toBe(`${EACCES}\n`.repeat(4));
    const resolved = await brokered(program, ['openat2', '0', '0', '0', '24', `/proc/${self}`, 'environ'], at);
    expect(resolved.output).toBe(`${EACCES}\n`);
  });

  it('what everybody is shown of every process is shown of us, and cannot be written', async () => {
    const { output } = await brokered(program, ['open', '0', '0', `/proc/${self}/stat`, `/proc/${self}/cmdline`], zoo());
    expect(output).toMatch(/^0 .*\n0 .*\n$/);
    const written = await brokered(program, ['open', String(O_WRONLY), '0', `/proc/${self}/oom_score_adj`, `/proc/${self}/comm`], zoo());
    expect(written.output).toBe(`${EACCES}\n`.repeat(2));
  });

  it('self is the one who asks, by whatever way', async () => {
    const { output } = await brokered(
      '/bin/sh',
      ['-c', 'exec cat environ /proc/self/../self/environ /dev/../proc/thread-self/environ'],
      zoo(),
      { env: { MARK: 'mine' } },
    );
    expect(output.split('\0').filter((each) => each.startsWith('MARK='))).toEqual(['MARK=mine', 'MARK=mine', 'MARK=mine']);
  });

  it('a process with other rights is left to the kernel, and has its own', async () => {
    const at = zoo();
    chmodSync(at, 0o755);
    writeFileSync(join(at, 'mine'), 'of root', { mode: 0o600 });
    writeFileSync(join(at, 'theirs'), 'of the other', { mode: 0o600 });
    chownSync(join(at, 'theirs'), 12_345, 12_345);
    const { output } = await brokered(program, ['drop', '12345', 'mine', 'theirs', 'mine'], at);
    expect(output).toBe(`1 ${EACCES} 0 ${EACCES}\n`);
  });

  it('a sandbox of its own, which nobody could see from outside, it is told there is none of', async () => {
    expect((await brokered(program, ['landlock'], zoo())).output).toBe(`-1 ${EOPNOTSUPP}\n`);
  });
});

/** Several tasks of the hostile program, one after the other. */
function each(tasks: readonly (readonly string[])[]): readonly string[] {
  return ['each', ...tasks.flatMap((task, index) => (index === 0 ? task : ['+++', ...task]))];
}

function contents(at: string): readonly string[] {
  return execFileSync('find', [at, '-printf', '%P %y %m %s %l\\n'], { encoding: 'latin1' }).split('\n').toSorted();
}
