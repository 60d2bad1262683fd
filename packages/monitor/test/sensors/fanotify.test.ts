import { execFile } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../src/activity.ts';
import { processTable } from '../../src/contain/process-table.ts';
import { parseFanotifyEvents } from '../../src/native/fanotify-event.ts';
import { defaultScope } from '../../src/scope/load.ts';
import type { Judged } from '../../src/sensor.ts';
import { connectorSensor } from '../../src/sensors/connector.ts';
import { fanotifyMissing, fanotifySensor } from '../../src/sensors/fanotify.ts';
import { FanotifyMarks, MAX_MARKS } from '../../src/sensors/fanotify-marks.ts';
import { guardedPaths } from '../../src/sensors/guarded-paths.ts';
import { openedFor } from '../../src/sensors/opening-call.ts';
import { startThread } from '../../src/thread.ts';
import type { MonitorMode } from '../../src/verdict.ts';
import { launchGated, until } from '../contain/workloads.ts';
import { scopeOf } from '../rules/activities.ts';

const missing = fanotifyMissing();
if (missing !== undefined) console.warn(`SKIPPED: ${missing}`);

const SECRET = 'canary-of-the-fanotify-tests';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'countersign-fanotify-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Pipes and links are left alone. */
function filesIn(path: string): readonly string[] {
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
}

describe('what the kernel tells', () => {
  const event = (mask: bigint, fd: number, tid: number, { length = 24, version = 3 } = {}): Buffer => {
    const bytes = Buffer.alloc(24);
    bytes.writeUInt32LE(length, 0);
    bytes.writeUInt8(version, 4);
    bytes.writeBigUInt64LE(mask, 8);
    bytes.writeInt32LE(fd, 16);
    bytes.writeInt32LE(tid, 20);
    return bytes;
  };

  it('is opens, and times its queue was full', () => {
    const bytes = Buffer.concat([event(0x1_0000n, 9, 44), event(0x4000n, -1, 0), event(0x1_0000n, 10, 45)]);
    expect(parseFanotifyEvents(bytes)).toEqual({
      opens: [
        { fd: 9, tid: 44 },
        { fd: 10, tid: 45 },
      ],
      overflows: 1,
      isForeign: false,
    });
  });

  it('is not believed in another version', () => {
    expect(parseFanotifyEvents(event(0x1_0000n, 9, 44, { version: 4 }))).toEqual({ opens: [], overflows: 0, isForeign: true });
  });

  it('ends where it does not fit in its own length, and is nothing without a descriptor or a question', () => {
    for (const length of [0, 1, 23, 25, 0xffff_ffff]) expect(parseFanotifyEvents(event(0x1_0000n, 9, 44, { length })).opens).toEqual([]);
    for (let size = 0; size < 24; size++) expect(parseFanotifyEvents(event(0x1_0000n, 9, 44).subarray(0, size)).opens).toEqual([]);
    expect(parseFanotifyEvents(event(0x1_0000n, -1, 44)).opens).toEqual([]);
    expect(parseFanotifyEvents(event(0x20n, 9, 44)).opens).toEqual([]);
  });
});

it.runIf(process.arch === 'x64').each([
  ['257 0xffffff9c 0x7ffd 0x80000 0x0 0x0 0x0 0x7ffd 0x7f00', 'read'],
  ['257 0xffffff9c 0x7ffd 0x1 0x0 0x0 0x0 0x7ffd 0x7f00', 'write'],
  ['257 0xffffff9c 0x7ffd 0x2 0x0 0x0 0x0', 'write'],
  ['257 0xffffff9c 0x7ffd 0x40 0x1b6', 'write'],
  ['257 0xffffff9c 0x7ffd 0x200', 'write'],
  ['257 0xffffff9c 0x7ffd 0xffffffff00000000', 'read'],
  ['2 0x7ffd 0x241 0x1b6', 'write'],
  ['2 0x7ffd 0x0 0x1b6', 'read'],
  ['85 0x7ffd', 'write'],
  ['59 0x7ffd 0x7ffe 0x7fff', 'read'],
  // What a pointer leads to may be another thing in a moment.
  ['437 0xffffff9c 0x7ffd 0x7ffe 0x18', undefined],
  ['-1 0x7ffd 0x7f00', undefined],
  ['running', undefined],
  ['', undefined],
  ['257', undefined],
  ['257 0xffffff9c 0x7ffd nonsense', undefined],
  ['257 0xffffff9c 0x7ffd', undefined],
  ['99999 0x0 0x0 0x0', undefined],
  ['0 0x3 0x7ffd 0x0', undefined],
])('a thread in %j opens for %s', (text, use) => {
  expect(openedFor(text)).toBe(use);
});

it('guards what is named by itself, and nothing that a pattern only describes', () => {
  const scope = scopeOf(
    'scope: { filesystem: { forbidden_paths: [/srv/key.pem, "~/.aws/**", "/srv/*.pem", "**/secrets", relative/file, "/*", "/{a,b}"] } }',
  );
  expect(guardedPaths({ scope, home: '/home/me', listed: ['/canary', '/canary'] })).toEqual([
    '/canary',
    '/home/me/.ssh',
    '/srv/key.pem',
    '/home/me/.aws',
  ]);
});

describe('marks', () => {
  function lookingAt(guarded: readonly string[], spared: readonly string[] = []) {
    const marked: string[] = [];
    const mark = (kind: string) => (_: number, path: string) => marked.push(`${kind} ${path}`);
    const marks = new FanotifyMarks({ init: () => 0, markFile: mark('file'), markFolder: mark('folder') }, 0, { guarded, spared });
    marks.look();
    return { marks, marked };
  }

  it('are on a listed file wherever its link leads, and on all in a folder but what links in it lead to', () => {
    const top = folder();
    const inside = join(top, 'inside');
    mkdirSync(join(inside, 'deeper'), { recursive: true });
    writeFileSync(join(inside, 'deeper/key'), '');
    writeFileSync(join(top, 'listed'), '');
    symlinkSync(join(top, 'listed'), join(top, 'link'));
    symlinkSync('/', join(inside, 'everything'));
    expect(lookingAt([inside, join(top, 'link'), join(top, 'gone'), 'with\0zero']).marked).toEqual([
      `folder ${inside}`,
      `folder ${inside}/deeper`,
      `file ${inside}/deeper/key`,
      `file ${top}/link`,
    ]);
  });

  it('are never on a file that we have locks on, under whatever name, nor on its folder as a whole', () => {
    const top = folder();
    mkdirSync(join(top, 'deeper'));
    for (const name of ['ledger.db', 'ledger.db-wal', 'key', 'deeper/log']) writeFileSync(join(top, name), '');
    linkSync(join(top, 'ledger.db'), join(top, 'other-name'));
    symlinkSync(top, `${top}-link`);
    onTestFinished(() => rmSync(`${top}-link`));
    const spared = [join(`${top}-link`, 'ledger.db'), join(`${top}-link`, 'ledger.db-wal'), join(`${top}-link`, 'ledger.db-shm')];
    expect(lookingAt([top, join(top, 'other-name')], spared).marked).toEqual([
      `folder ${top}/deeper`,
      `file ${top}/deeper/log`,
      `file ${top}/key`,
    ]);
  });

  it('are bounded, and those beyond are counted', () => {
    const top = folder();
    for (let index = 0; index < MAX_MARKS + 9; index++) writeFileSync(join(top, String(index)), '');
    const { marks, marked } = lookingAt([top]);
    expect(marked).toHaveLength(MAX_MARKS);
    expect(marks.unmarked).toBe(10);
  });
});

describe.skipIf(missing !== undefined)(`asked before a guarded file is opened (${missing ?? 'as root'})`, () => {
  /** A made-up home with a key, and a tree that runs the script in it once it is let. What it reads goes to `out`. */
  async function asking(script: string, { mode = 'enforce_kill', alone = true }: { mode?: MonitorMode; alone?: boolean } = {}) {
    const home = folder();
    const key = join(home, '.ssh/id_rsa');
    mkdirSync(join(home, '.ssh'));
    mkdirSync(join(home, 'work'));
    writeFileSync(key, SECRET);
    const workload = launchGated('/bin/sh', ['-c', `cd "${home}/work" || exit 9; exec 2>>"${home}/errors"; ${script}`]);
    const seen: { readonly observation: Observation; readonly judged: Judged | undefined }[] = [];
    const died: Error[] = [];
    const host = {
      tree: workload.tree,
      emit: (observation: Observation, judged?: Judged) => void seen.push({ observation, judged }),
      died: (error: Error) => void died.push(error),
    };
    const scope = defaultScope();
    const guarded = guardedPaths({ scope, home, listed: [] });
    const threads: Worker[] = [];
    const sensor = fanotifySensor({
      tree: workload.tree,
      places: { guarded, spared: [] },
      mode,
      scope,
      rules: { workspace: join(home, 'work'), home },
      startThread: (start) => {
        const thread = startThread(new URL('../../src/sensors/fanotify.ts', import.meta.url).href, './fanotify-thread', {
          workerData: start,
        });
        threads.push(thread);
        return thread;
      },
    });
    const others = alone ? [] : [connectorSensor({ tree: workload.tree })];
    for (const each of others) await each.start({ ...host, emit: () => {} });
    await sensor.start(host);
    onTestFinished(async () => {
      await sensor.stop();
      for (const each of others) await each.stop();
    });
    return {
      home,
      key,
      sensor,
      threads,
      seen,
      died,
      open: () => workload.open(),
      run: async () => {
        workload.open();
        await workload.ended();
      },
      ended: () => workload.ended(),
      leaked: () => filesIn(join(home, 'work')).filter((name) => readFileSync(join(home, 'work', name), 'utf8').includes(SECRET)),
      told: () => seen.map(({ observation: { action }, judged }) => `${action.kind} ${judged?.verdict.rule ?? 'went on'}`),
    };
  }

  it('refuses the tree, and lets everybody else go on, ourselves among them', async () => {
    const { run, key, seen, leaked, home, sensor, died } = await asking('cat ../.ssh/id_rsa > out; echo $? > code');
    await run();
    expect(leaked()).toEqual([]);
    expect(readFileSync(join(home, 'work/code'), 'utf8')).toBe('1\n');
    expect(readFileSync(join(home, 'errors'), 'utf8')).toContain('Operation not permitted');
    await until(() => seen.length > 0);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.judged).toMatchObject({ isHeld: false, verdict: { rule: 'ssh-keys', level: 'KILL' } });
    expect(seen[0]?.observation).toMatchObject({
      sensor: 'fanotify',
      phase: 'before',
      action: { kind: 'read', path: key },
      actor: { argv: ['cat', '../.ssh/id_rsa'] },
    });
    // We open it ourselves on the thread that the other one tells things to, and a stranger does.
    expect(readFileSync(key, 'utf8')).toBe(SECRET);
    expect((await promisify(execFile)('cat', [key])).stdout).toBe(SECRET);
    expect(seen).toHaveLength(1);
    expect(sensor.stats()).toEqual({ seen: 1, lost: 0 });
    expect(died).toEqual([]);
  });

  it('tells whether it is opened for writing', async () => {
    const { run, told, key } = await asking('echo x >> ../.ssh/id_rsa; true > ../.ssh/id_rsa; cp ../.ssh/id_rsa copy', {
      mode: 'enforce_kill',
    });
    await run();
    await until(() => told().length >= 3);
    expect(told()).toEqual(['write ssh-keys', 'write ssh-keys', 'read ssh-keys']);
    expect(readFileSync(key, 'utf8')).toBe(SECRET);
  });

  it('knows the file under every name: links, hard links, /proc, a bind mount in another mount namespace, other roots', async () => {
    const { run, leaked, told, home } = await asking(
      [
        'i=0; try() { i=$((i+1)); "$@" > out$i; }',
        'ln -s ../.ssh/id_rsa link; try cat link',
        'try cat ../hard',
        'try cat /proc/self/root/$PWD/../.ssh/id_rsa',
        'try unshare -m sh -c "mkdir other && mount --bind ../.ssh other && cat other/id_rsa"',
        'try unshare -m sh -c "mkdir root && mount --bind / root && chroot root cat $PWD/../.ssh/id_rsa"',
        'exec 5< ../.ssh && try cat /proc/self/fd/5/id_rsa',
      ].join('\n'),
    );
    linkSync(join(home, '.ssh/id_rsa'), join(home, 'hard'));
    await run();
    expect(leaked()).toEqual([]);
    await until(() => told().length >= 6);
    expect(told()).toEqual(Array.from({ length: 6 }, () => 'read ssh-keys'));
  });

  it('knows a process that left its parents a moment ago', async () => {
    const script =
      'for i in 1 2 3 4 5 6 7 8; do (setsid sh -c "cat ../.ssh/id_rsa > out$i; : > done$i" &); done; while [ ! -e done8 ]; do sleep 0.1; done';
    const { run, leaked, told, home } = await asking(script, { alone: false });
    await run();
    await until(() => readdirSync(join(home, 'work')).filter((name) => name.startsWith('done')).length === 8);
    await until(() => told().length >= 8);
    expect(leaked()).toEqual([]);
  });

  it('keeps waiting what a person decides about, and does what was decided', async () => {
    const { open, ended, seen, leaked, home } = await asking('cat ../.ssh/id_rsa > first; cat ../.ssh/id_rsa > second; :', {
      mode: 'flag_and_hold',
    });
    open();
    await until(() => seen.length === 1);
    expect(seen[0]?.judged).toMatchObject({ isHeld: true, verdict: { level: 'KILL' } });
    // A stranger does not wait behind it.
    expect(readFileSync(join(home, '.ssh/id_rsa'), 'utf8')).toBe(SECRET);
    expect(leaked()).toEqual([]);
    seen[0]?.judged?.answer('continue');
    seen[0]?.judged?.answer('refuse');
    await until(() => seen.length === 2);
    expect(leaked()).toEqual(['first']);
    seen[1]?.judged?.answer('refuse');
    seen[1]?.judged?.answer('continue');
    await ended();
    expect(leaked()).toEqual(['first']);
  });

  it('refuses what still waits when it stops, or when whoever waited is gone', async () => {
    const { open, ended, seen, leaked, sensor } = await asking('cat ../.ssh/id_rsa > out & cat ../.ssh/id_rsa > other & wait', {
      mode: 'flag_and_hold',
    });
    open();
    await until(() => seen.length === 2);
    const gone = seen[0]?.observation.actor?.pid ?? 0;
    process.kill(gone, 'SIGKILL');
    await until(() => (processTable().read(gone)?.state ?? 'gone') === 'gone');
    seen[0]?.judged?.answer('continue');
    await sensor.stop();
    seen[1]?.judged?.answer('continue');
    await ended();
    expect(leaked()).toEqual([]);
  });

  it('in audit mode tells, and lets all go on', async () => {
    const { run, told, leaked } = await asking('cat ../.ssh/id_rsa > out', { mode: 'audit_only' });
    await run();
    await until(() => told().length === 1);
    expect(told()).toEqual(['read went on']);
    expect(leaked()).toEqual(['out']);
  });

  it('asks about a file that is put in the place of a guarded one, and about new ones in a guarded folder', async () => {
    const { run, told, leaked, home } = await asking('cat ../.ssh/id_ed25519 > out; cat ../.ssh/id_rsa > other');
    writeFileSync(join(home, '.ssh/id_ed25519'), SECRET);
    writeFileSync(join(home, 'new'), SECRET);
    renameSync(join(home, 'new'), join(home, '.ssh/id_rsa'));
    await run();
    await until(() => told().length === 2);
    expect(leaked()).toEqual([]);
  });

  it('is not kept waiting by a pipe or a leased file that the tree puts there', async () => {
    const { run, leaked, key, told, home } = await asking(
      [
        'mkfifo ../.ssh/pipe; (cat ../.ssh/pipe > piped &)',
        'python3 -c \'import fcntl,os,sys,signal,time; signal.signal(signal.SIGIO, signal.SIG_IGN); fd=os.open("../leased",os.O_RDWR|os.O_CREAT,0o600); fcntl.fcntl(fd,1024,1); os.rename("../leased","../.ssh/leased"); open("ready","w"); time.sleep(3)\' &',
        'while [ ! -e ready ]; do sleep 0.05; done; cat ../.ssh/leased > out; cat ../.ssh/id_rsa > other; kill %2; :',
      ].join('\n'),
    );
    await run();
    expect(leaked()).toEqual([]);
    await until(() => told().length >= 1);
    // Still there for others.
    expect(readFileSync(key, 'utf8')).toBe(SECRET);
    rmSync(join(home, '.ssh/pipe'));
  });

  it('when its thread is gone says so, refuses who waits, and then asks about nothing: it fails open', async () => {
    const { open, ended, seen, died, leaked, threads } = await asking('cat ../.ssh/id_rsa > out; cat ../.ssh/id_rsa > later', {
      mode: 'flag_and_hold',
    });
    open();
    await until(() => seen.length === 1);
    // It fails over what it is told. Ended from outside while it is in a call of the kernel it would take the whole process with it.
    threads.at(-1)?.postMessage(null);
    await ended();
    expect(died.map(({ message }) => message)).toEqual([expect.stringContaining('its thread failed')]);
    expect(leaked()).toEqual(['later']);
  });

  it('lets no storm of opens through', async () => {
    const script = 'i=0; while [ $i -lt 40 ]; do for j in 1 2 3 4 5 6 7 8; do cat ../.ssh/id_rsa > out$j & done; wait; i=$((i+1)); done';
    const { run, told, leaked, sensor } = await asking(script);
    await run();
    await until(() => told().length === 320);
    expect(leaked()).toEqual([]);
    expect(sensor.stats()).toEqual({ seen: 320, lost: 0 });
  });
});

describe('to an ordinary user', () => {
  it('is not offered, and says why', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('needs root, to have another user');
    const script = fileURLToPath(new URL('./fanotify-other-user.ts', import.meta.url));
    const ran = await promisify(execFile)(process.execPath, ['--conditions=@countersign/source', '--no-warnings', script], {
      uid: 65_534,
      gid: 65_534,
      cwd: '/',
      env: { PATH: process.env['PATH'] },
    }).catch((error: unknown) => String(error));
    if (typeof ran === 'string') return context.skip(`another user cannot run this: ${ran.slice(0, 200)}`);
    expect(JSON.parse(ran.stdout)).toBe('only root may answer for the opening of files');
  });
});
