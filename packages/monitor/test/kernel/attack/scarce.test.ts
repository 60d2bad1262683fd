/**
 * What a tree or its warden has none left of: descriptors, processes; and what a descriptor brings that was opened elsewhere. Level: exact
 * for what runs out; a descriptor that is handed over is not asked about (see the guide's limits).
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getuid, pid as self } from 'node:process';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadScope } from '../../../src/scope/load.ts';
import { attacked, attacking, linesOf, missing } from './attacked.ts';

const MODES = ['deny-list', 'broker'] as const;
/** Not a shim that looks for it: the program itself, which is run in the tree. */
const python = spawnSync('python3', ['-c', 'import socket, sys; socket.send_fds; print(sys.executable)'], {
  encoding: 'utf8',
}).stdout?.trim();
if (python === '') console.warn('SKIPPED: python3 (3.9 or later) hands descriptors over; without it that is not shown');

/** Limits how many descriptors we may have, and lifts that again: started before there is none left to start it. */
async function scarcity(): Promise<{ readonly begin: () => Promise<void>; readonly end: () => Promise<void> }> {
  const limit = (soft: string): string => `prlimit --pid ${self} --nofile=${soft}: && echo done`;
  const [before] = spawnSync('prlimit', ['--pid', String(self), '--nofile', '--raw', '--noheadings', '-o', 'SOFT'], {
    encoding: 'utf8',
  }).stdout.split('\n');
  const helper = spawn('sh', ['-c', `read x; ${limit('3')}; read x; ${limit(before ?? '')}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void helper.kill('SIGKILL'));
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      helper.stdout.once('data', () => resolve());
      helper.stdin.write('\n');
    });
  return { begin: next, end: next };
}

describe.skipIf(missing !== undefined || python === '').each(MODES)('reads: %s', (trapReads) => {
  it('a warden that has no descriptor left lets nothing go on that it cannot look up', async () => {
    const { begin, end } = await scarcity();
    const run = await attacking({
      trapReads,
      args: ({ secret, good, work }) => {
        symlinkSync(join(secret, 'key'), join(work, 'link'));
        return ['behind-flood', '0', '', 'link', good];
      },
    });
    await run.until(({ observation: { action } }) => action.kind === 'exec' && action.exe.endsWith('attack'));
    // Reads its input, which takes nothing more to be looked up.
    while (!/^(?:0|63) 0x0 /.test(readFileSync(`/proc/${run.pid}/syscall`, 'latin1')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    await begin();
    run.say('.');
    const output = await run.output;
    await end();
    const answer = trapReads === 'broker' ? 'EMFILE' : 'EPERM';
    expect(linesOf(output)).toEqual([`link ${answer}`, `good ${answer}`, 'flood opened 0 refused 0 else 0', `good ${answer}`]);
  });

  it('neither descriptors nor processes that a tree has none left of let anything through, and all goes on when it has', async () => {
    const script = `
import os, resource, signal, sys, time
key, good = sys.argv[1:3]
def attempt(what, do):
    try:
        print(what, do() or 'done', flush=True)
    except OSError as error:
        print(what, error.strerror, flush=True)
def reads(path):
    fd = os.open(path, os.O_RDONLY)
    text = os.read(fd, 6).decode()
    os.close(fd)
    return text
kept = [os.open(good, os.O_RDONLY)]
resource.setrlimit(resource.RLIMIT_NOFILE, (kept[0] + 1, kept[0] + 1))
attempt('no descriptor: key', lambda: reads(key))
attempt('no descriptor: good', lambda: reads(good))
os.close(kept[0])
attempt('one descriptor: key', lambda: reads(key))
attempt('one descriptor: good', lambda: reads(good))
# Root is not limited.
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (int(sys.argv[3]), int(sys.argv[3])))
children = []
def forks():
    while len(children) < 200:
        child = os.fork()
        if child == 0:
            time.sleep(60)
        children.append(child)
attempt('forks', forks)
attempt('no process: key', lambda: reads(key))
attempt('no process: good', lambda: reads(good))
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
`;
    const before = readdirSync('/proc/self/fd').length;
    const { said, stopped, isUntouched } = await attacked({
      trapReads,
      program: python,
      args: ({ secret, good, work }) => {
        for (const folder of [dirname(work), work, secret]) chmodSync(folder, 0o755);
        for (const file of [join(secret, 'key'), good]) chmodSync(file, 0o644);
        return ['-c', script, join(secret, 'key'), good, getuid?.() === 0 ? '20' : '1'];
      },
    });
    const full = 'Too many open files';
    expect(said).toEqual([
      'no descriptor: key Operation not permitted',
      `no descriptor: good ${full}`,
      'one descriptor: key Operation not permitted',
      'one descriptor: good fine e',
      'forks Resource temporarily unavailable',
      'no process: key Operation not permitted',
      'no process: good fine e',
    ]);
    expect(stopped).toHaveLength(3);
    expect(isUntouched()).toBe(true);
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 4);
  });

  it('a descriptor from outside of the tree is nothing that could be asked about: what is told is the connection; opened anew it is refused', async () => {
    const { said, actions } = await handedOver(trapReads, true);
    expect(said).toEqual(['connect done', 'by descriptor SECRET', 'anew Operation not permitted']);
    expect(actions).toContainEqual(expect.objectContaining({ kind: 'connect', protocol: 'unix' }));
  });

  it('from within it there is none to hand over: whoever opens it is refused', async () => {
    const { said } = await handedOver(trapReads, false);
    expect(said).toEqual(['open Operation not permitted', 'by descriptor none']);
  });
});

const FROM_OUTSIDE = `
import os, socket, sys
path, key = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
print('ready', flush=True)
other, _ = server.accept()
socket.send_fds(other, [b'x'], [os.open(key, os.O_RDONLY)])
`;
const FROM_WITHIN = `
import os, socket, sys
path, key = sys.argv[1:]
def attempt(what, do):
    try:
        print(what, do() or 'done', flush=True)
    except OSError as error:
        print(what, error.strerror, flush=True)
if path:
    ours = socket.socket(socket.AF_UNIX)
    attempt('connect', lambda: ours.connect(path))
else:
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        attempt('open', lambda: socket.send_fds(theirs, [b'x'], [os.open(key, os.O_RDONLY)]) and None)
        os._exit(0)
    theirs.close()
_, got, _, _ = socket.recv_fds(ours, 1, 1)
attempt('by descriptor', lambda: os.read(got[0], 6).decode() if got else 'none')
if got:
    attempt('anew', lambda: os.read(os.open('/proc/self/fd/%d' % got[0], os.O_RDONLY), 6).decode())
`;

async function handedOver(trapReads: (typeof MODES)[number], isFromOutside: boolean): ReturnType<typeof attacked> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-handed-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const key = join(folder, 'key');
  const path = join(folder, 'socket');
  writeFileSync(key, 'SECRET of somebody');
  if (isFromOutside) {
    const helper = spawn(python, ['-c', FROM_OUTSIDE, path, key], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void helper.kill('SIGKILL'));
    await once(helper.stdout, 'data');
  }
  return attacked({
    trapReads,
    program: python,
    args: () => ['-c', FROM_WITHIN, isFromOutside ? path : '', key],
    start: { scope: loadScope({ document: { filesystem: { forbidden_paths: [key] } } }) },
  });
}
