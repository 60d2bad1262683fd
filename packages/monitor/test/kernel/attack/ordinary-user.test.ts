/**
 * The attacks that matter most as an ordinary user, who is the warden's own, by a C program, a shell and Python. Level: exact; what is racy
 * is tried under the broker only.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { getuid } from 'node:process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { ATTACK, missing } from './attacked.ts';
import type { UserAttack, UserAttacked } from './user-child.ts';

const NOBODY = 65_534;
const NODE = ['--conditions=@countersign/source', '--no-warnings', fileURLToPath(new URL('./user-child.ts', import.meta.url))];
const asNobody = { cwd: '/', env: { PATH: process.env['PATH'] }, ...(getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }) };
const mayRun = missing === undefined ? spawnSync(process.execPath, [...NODE, '[]'], { ...asNobody, encoding: 'utf8' }) : undefined;
const needs = missing ?? (mayRun?.stdout === '[]\n' ? undefined : `another user cannot run this: ${mayRun?.stderr.slice(0, 200)}`);
if (needs !== undefined) console.warn(`SKIPPED: attacks as an ordinary user: ${needs}`);
/** Where everybody may run it. */
const PYTHON = '/usr/bin/python3';
const hasPython = existsSync(PYTHON);

const SHELL = `
attempt() { name=$1; shift; if "$@" 2>/dev/null; then echo "$name done"; else echo "$name refused"; fi; }
reads() { text=; read -r text < "$1"; test -n "$text" && echo "$text"; }
ln -s SECRET/key link 2>/dev/null
ln -s SECRET folder
attempt plain reads SECRET/key
attempt link reads link
attempt folder reads folder/key
attempt dots reads GOOD/../secret/key
attempt proc reads /proc/self/root/SECRET/key
attempt cwd reads /proc/self/cwd/secret/key
attempt hard ln SECRET/key hard
attempt rename mv SECRET/key moved
attempt empty sh -c ': > SECRET/key'
printf '#!/bin/echo leaked\n' > unreadable
chmod 111 unreadable
attempt unreadable ./unreadable
attempt good reads GOOD
for signal in STOP TERM KILL CONT HUP; do attempt "$signal" kill -$signal WARDEN; done
attempt group kill -STOP 0
attempt all kill -STOP -1
attempt memory reads /proc/WARDEN/mem
attempt environment reads /proc/WARDEN/environ
attempt there kill -0 WARDEN
`;
const PYTHON_ATTACKS = String.raw`
import ctypes, errno, os, platform, signal, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
key, good, warden = 'SECRET/key', 'GOOD', WARDEN
def attempt(what, do):
    try:
        print(what, do() or 'done', flush=True)
    except OSError as error:
        print(what, errno.errorcode[error.errno], flush=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), '')
def reads(path):
    with open(path) as file:
        return file.read(6)
os.symlink(good, 'swapped')
over = False
def swap():
    while not over:
        for target in (key, good):
            try:
                os.symlink(target, 'next')
                os.replace('next', 'swapped')
            except OSError:
                pass
swapping = threading.Thread(target=swap)
swapping.start()
got = []
for _ in range(int(sys.argv[1])):
    try:
        got.append(reads('swapped'))
    except OSError as error:
        got.append(errno.errorcode[error.errno])
over = True
swapping.join()
print('swapped', *sorted(set(got) - {'fine e', 'EPERM'}), 'EPERM' in got, flush=True)
attempt('own memory', lambda: open('/proc/self/mem', 'r+b', buffering=0) and None)
attempt('memory', lambda: open('/proc/%d/mem' % warden, 'r+b') and None)
attempt('thread memory', lambda: open('/proc/%d/task/%d/mem' % (warden, warden), 'rb') and None)
class Filter(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('program', ctypes.c_void_p)]
allow = ctypes.create_string_buffer(b'\x06\0\0\0\0\0\xff\x7f', 8)
program = Filter(1, ctypes.addressof(allow))
seccomp = 317 if platform.machine() == 'x86_64' else 277
attempt('listener', lambda: call(seccomp, 1, 8, ctypes.byref(program)))
for each in ('SIGSTOP', 'SIGTERM', 'SIGKILL', 'SIGCONT', 'SIGUSR1'):
    attempt(each, lambda: os.kill(warden, getattr(signal, each)))
attempt('group', lambda: os.killpg(0, signal.SIGSTOP))
attempt('handle', lambda: os.pidfd_open(warden) and None)
attempt('limits', lambda: __import__('resource').prlimit(warden, 7, (3, 3)) and None)
hidden = os.memfd_create('hidden')
os.write(hidden, open('/bin/cat', 'rb').read())
sys.stdout.flush()
child = os.fork()
if child == 0:
    try:
        os.execve(hidden, ['innocent', key], {})
    except OSError as error:
        print('memfd', errno.errorcode[error.errno], flush=True)
    os._exit(9)
print('memfd ended', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
`;

const races = ['race-link', 'race-rename'].map(
  (deed): UserAttack => ({ trapReads: 'broker', program: ATTACK, args: [deed, 'GOOD', 'SECRET/key', '500'] }),
);
const shells = (['deny-list', 'broker'] as const).map((trapReads): UserAttack => ({ trapReads, program: '/bin/sh', args: ['-c', SHELL] }));
const pythons = hasPython
  ? (['deny-list', 'broker'] as const).map(
      (trapReads): UserAttack => ({ trapReads, program: PYTHON, args: ['-c', PYTHON_ATTACKS, trapReads === 'broker' ? '300' : '0'] }),
    )
  : [];

describe.skipIf(needs !== undefined)('as an ordinary user', { timeout: 120_000 }, () => {
  let results: readonly UserAttacked[] = [];
  const of = (attack: UserAttack): UserAttacked | undefined => results[[...races, ...shells, ...pythons].indexOf(attack)];
  beforeAll(() => {
    const attacks = JSON.stringify([...races, ...shells, ...pythons]);
    results = JSON.parse(execFileSync(process.execPath, [...NODE, attacks], { ...asNobody, encoding: 'utf8' })) as UserAttacked[];
  }, 120_000);

  it.each(races)('$args.0: swapped while it is judged', (attack) => {
    const result = of(attack);
    expect(result?.said).toEqual([expect.stringMatching(/^made \d+ refused [1-9]\d* leaks 0$/)]);
    expect(result?.isUntouched).toBe(true);
  });

  it.each(shells)('a shell gets at nothing, and at nobody: $trapReads', (attack) => {
    const result = of(attack);
    // The last: the kernel reads the first line of a script that nobody else may read.
    const refused = 'plain link folder dots proc cwd hard rename empty unreadable'.split(' ');
    const atUs = 'STOP TERM KILL CONT HUP group all memory environment'.split(' ');
    const said = (names: readonly string[]): readonly string[] => names.map((name) => `${name} refused`);
    expect(result?.said).toEqual([...said(refused), 'fine enough', 'good done', ...said(atUs), 'there done']);
    expect(result?.isUntouched).toBe(true);
  });

  it.each(pythons)(
    'Python: a link that is swapped, its own memory and ours, a second listener, signals, a program in memory: $trapReads',
    (attack) => {
      const result = of(attack);
      expect(result?.said).toEqual([
        attack.trapReads === 'broker' ? 'swapped True' : 'swapped False',
        'own memory EPERM',
        'memory EPERM',
        'thread memory EPERM',
        'listener EBUSY',
        ...['SIGSTOP', 'SIGTERM', 'SIGKILL', 'SIGCONT', 'SIGUSR1', 'group', 'handle', 'limits'].map((each) => `${each} EPERM`),
        'memfd EPERM',
        'memfd ended 9',
      ]);
      expect(result?.programs).toContain('/memfd:hidden (deleted)');
      expect(result?.stopped.at(-1)).toBe('exec');
      expect(result?.isUntouched).toBe(true);
    },
  );
});
