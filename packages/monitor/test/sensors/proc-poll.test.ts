import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_POLL_MS, IDLE_POLL_MS, procPoll } from '../../src/sensors/proc-poll.ts';
import { procReader } from '../../src/tree/proc-fs.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import type { FakeProcess } from '../fake-proc.ts';
import { kinds, PollHarness, ROOT } from './poll-harness.ts';

let host: PollHarness;

beforeEach(async () => {
  host = new PollHarness({ marker: 'run-1', adopter: 50 });
  await host.start();
});
afterEach(() => host.close());

const CHILD: FakeProcess = { pid: 101, start: 1_001, parent: 100, exe: '/usr/bin/cat', argv: ['cat', '/etc/hosts'], cwd: '/job' };

describe('processes', () => {
  it('a new child is a spawn by its parent and an exec of its own, once', async () => {
    host.proc.put(CHILD);
    const found = await host.look();
    expect(found).toMatchObject([
      { sensor: 'proc-poll', phase: 'after', actor: { pid: 100 }, action: { kind: 'spawn', child: { pid: 101, start: 1_001 } } },
      {
        actor: { pid: 101, exe: '/usr/bin/cat' },
        action: { kind: 'exec', exe: '/usr/bin/cat', argv: ['cat', '/etc/hosts'], cwd: '/job' },
      },
    ]);
    expect(await host.look()).toStrictEqual([]);
  });

  it('a fork that runs what its parent runs is a spawn only, and its exec is reported when it comes', async () => {
    host.proc.put({ ...ROOT, pid: 101, start: 1_001, parent: 100 });
    expect(kinds(await host.look())).toStrictEqual(['spawn']);
    host.proc.put(CHILD);
    expect(kinds(await host.look())).toStrictEqual(['exec']);
  });

  it('strangers are not reported, whatever they are called', async () => {
    host.proc.put({ pid: 300, start: 900, parent: 1, name: '100 (node) S 100', argv: ['node', 'agent.js'] });
    host.proc.put({ pid: 301, start: 900, parent: 300 });
    expect(await host.look()).toStrictEqual([]);
    expect(host.tree.size).toBe(1);
  });

  it('a whole family that came between two looks, whatever the order of its pids', async () => {
    host.proc.put({ pid: 900, start: 1_001, parent: 100 });
    host.proc.put({ pid: 20, start: 1_001, parent: 900 });
    host.proc.put({ pid: 10, start: 1_001, parent: 20 });
    await host.look();
    expect(host.tree.members().map(({ pid }) => pid)).toStrictEqual([100, 900, 20, 10]);
  });

  it('five thousand at once, amid as many strangers: each is told of, and those that vanish and come while they are looked at', async () => {
    const many = Array.from({ length: 5_000 }, (_, at) => ({ ...CHILD, pid: 10_000 + at, start: 2_000 + at }));
    for (const each of many) {
      host.proc.put(each);
      host.proc.put({ pid: each.pid + 10_000, start: each.start, parent: 1, exe: '/usr/bin/cat', argv: ['cat'] });
    }
    const found = await host.look();
    expect(new Set(found.flatMap(({ action }) => (action.kind === 'spawn' ? action.child.pid : []))).size).toBe(5_000);
    expect(found.filter(({ action }) => action.kind === 'exec')).toHaveLength(5_000);
    expect(host.tree.size).toBe(5_001);
    for (const { pid } of many.slice(0, 2_500)) host.proc.remove(pid);
    host.proc.put({ ...CHILD, pid: 9_999, start: 9_999 });
    const [ends, others] = [await host.look(), await host.look()];
    expect(ends.filter(({ action }) => action.kind === 'exit')).toHaveLength(2_500);
    expect(ends.filter(({ action }) => action.kind === 'spawn')).toHaveLength(1);
    expect(others).toEqual([]);
    expect([host.tree.size, host.deaths]).toEqual([2_502, []]);
  }, 60_000);

  it('an orphan by its marker, an orphan that was left to us, and none without either', async () => {
    host.proc.put({ pid: 1, start: 1, parent: 0 });
    host.proc.put({ pid: 50, start: 2, parent: 1 });
    host.proc.put({ pid: 200, start: 2_000, parent: 1, exe: '/bin/sh', environ: { COUNTERSIGN_RUN: 'run-1', COUNTERSIGN_CALL: 'call-7' } });
    host.proc.put({ pid: 201, start: 2_000, parent: 50, exe: '/bin/sh' });
    host.proc.put({ pid: 202, start: 2_000, parent: 1, exe: '/bin/sh', environ: { COUNTERSIGN_RUN: 'run-2' } });
    const found = await host.look();
    expect(kinds(found)).toStrictEqual(['spawn', 'exec', 'spawn', 'exec']);
    expect(found[0]?.actor).toBeUndefined();
    expect(found[0]?.attribution).toStrictEqual({ method: 'marker', call: 'call-7' });
    expect(host.tree.members().map(({ pid }) => pid)).toStrictEqual([100, 200, 201]);
  });

  it('finds below a root that is added later who was thought a stranger', async () => {
    host.proc.put({ pid: 1, start: 1, parent: 0 });
    host.proc.put({ pid: 500, start: 600, parent: 1 });
    host.proc.put({ pid: 501, start: 601, parent: 500 });
    await host.look();
    host.tree.addRoot({ pid: 500, start: 600 });
    expect(await host.look()).toMatchObject([{ action: { kind: 'spawn', child: { pid: 501 } } }]);
  });

  it('an end is reported once, with how it ended where a zombie tells', async () => {
    host.proc.put(CHILD);
    host.proc.put({ ...CHILD, pid: 102 });
    await host.look();
    host.proc.remove(101);
    host.proc.put({ ...CHILD, pid: 102, state: 'Z', exitStatus: 3 << 8 });
    expect(await host.look()).toMatchObject([
      { actor: { pid: 101, exe: '/usr/bin/cat' }, action: { kind: 'exit' } },
      { actor: { pid: 102 }, action: { kind: 'exit', code: 3 } },
    ]);
    expect(await host.look()).toStrictEqual([]);
  });

  it('one that was killed tells the signal; 0 is said only of those we may read', async () => {
    host.proc.put({ ...CHILD, state: 'Z', exitStatus: 9 });
    host.proc.put({ ...CHILD, pid: 102, state: 'Z', exitStatus: 0 });
    const found = await host.look();
    expect(found.map(({ action }) => action)).toMatchObject([
      { kind: 'spawn', child: { pid: 101 } },
      { kind: 'exit', signal: 'SIGKILL' },
      { kind: 'spawn', child: { pid: 102 } },
      { kind: 'exit', code: 0 },
    ]);
    expect(await host.look()).toStrictEqual([]);
  });

  it('a process whose first thread left has not ended', async () => {
    host.proc.put({ ...CHILD, state: 'Z', threads: 2 });
    await host.look();
    expect(host.tree.get(101)).toBeDefined();
  });

  it('a pid with another start time is an end and a stranger, and no fact of the stranger is taken for ours', async () => {
    host.proc.put(CHILD);
    await host.look();
    host.proc.put({ pid: 101, start: 9_000, parent: 1, exe: '/usr/sbin/sshd', fds: [{ fd: 3, target: '/etc/shadow' }] });
    expect(await host.look()).toMatchObject([{ actor: { pid: 101, start: 1_001, exe: '/usr/bin/cat' }, action: { kind: 'exit' } }]);
    expect(host.tree.get(101)).toBeUndefined();
    expect(await host.look()).toStrictEqual([]);
  });

  it('a pid used again by the tree itself is an end and a beginning, also when a zombie had it', async () => {
    host.proc.put({ ...CHILD, state: 'Z' });
    await host.look();
    host.proc.put({ ...CHILD, start: 9_000 });
    expect(kinds(await host.look())).toStrictEqual(['spawn', 'exec']);
    host.proc.put({ ...CHILD, start: 9_500 });
    expect(kinds(await host.look())).toStrictEqual(['exit', 'spawn', 'exec']);
  });

  it('what another sensor found first is not reported again', async () => {
    host.proc.put(CHILD);
    host.tree.seen({ ...CHILD, exe: '/usr/bin/cat' });
    expect(await host.look()).toStrictEqual([]);
    host.tree.exited({ pid: 101 }, { code: 0 });
    host.proc.put({ ...CHILD, state: 'Z' });
    expect(await host.look()).toStrictEqual([]);
  });

  it('a member that vanishes while it is read counts as lost, and the look goes on', async () => {
    host.proc.put(CHILD);
    host.proc.put({ ...CHILD, pid: 102 });
    await host.look();
    rmSync(host.proc.path(101, 'stat'));
    host.proc.put({ ...CHILD, pid: 102, exe: '/usr/bin/tac' });
    expect(kinds(await host.look())).toStrictEqual(['exit', 'exec']);
    expect(host.poll.stats().lost).toBe(1);
  });

  it.each(['a\nb', '\u001b]0;x\u0007', '$(reboot)', 'x (deleted)'])('names come as they are: %j', async (name) => {
    host.proc.put({ ...CHILD, name, exe: `/tmp/${name}`, argv: [name] });
    expect((await host.look())[1]).toMatchObject({ action: { kind: 'exec', exe: `/tmp/${name}`, argv: [name] } });
  });

  it('an exec whose program cannot be read says so with an empty name', async () => {
    host.proc.put({ pid: 200, start: 2_000, parent: 50 });
    expect((await host.look())[1]).toMatchObject({ action: { kind: 'exec', exe: '', argv: [] } });
  });
});

describe('files', () => {
  const open = (...fds: NonNullable<FakeProcess['fds']>): void => host.proc.put({ ...ROOT, fds });

  it('a descriptor that is new is a read or a write, by its mode', async () => {
    open(
      { fd: 3, target: '/job/in' },
      { fd: 4, target: '/job/out', flags: '0100001' },
      { fd: 5, target: '/job/both', flags: '0100002' },
      { fd: 6, target: '/job', flags: '0200000' },
      { fd: 7, target: '/job/named', flags: '010000000' },
      { fd: 8, target: '/dev/null' },
      { fd: 9, target: 'pipe:[77]' },
      { fd: 10, target: '/memfd:x (deleted)' },
    );
    const found = await host.look();
    expect(found.map(({ action }) => action)).toStrictEqual([
      { kind: 'read', path: '/job/in', resolved: '/job/in' },
      { kind: 'write', path: '/job/out', resolved: '/job/out' },
      { kind: 'read', path: '/job/both', resolved: '/job/both' },
      { kind: 'write', path: '/job/both', resolved: '/job/both' },
    ]);
    expect(await host.look()).toStrictEqual([]);
  });

  it.each<[string, NonNullable<FakeProcess['fds']>[number]]>([
    ['under another number', { fd: 4, target: '/job/in', inode: 5 }],
    ['that stands earlier than before', { fd: 3, target: '/job/in', inode: 5, position: 99 }],
    ['of another file with that name', { fd: 3, target: '/job/in', inode: 6, position: 100 }],
  ])('the same path opened again is reported again: %s', async (_, again) => {
    open({ fd: 3, target: '/job/in', inode: 5, position: 100 });
    expect(kinds(await host.look())).toStrictEqual(['read']);
    open(again);
    expect((await host.look()).map(({ action }) => action)).toMatchObject([{ kind: 'read', path: '/job/in' }]);
  });

  it('and after it was closed at one look', async () => {
    for (let round = 0; round < 3; round++) {
      open({ fd: 3, target: '/job/in', position: 100 });
      expect(kinds(await host.look())).toStrictEqual(['read']);
      open();
      expect(await host.look()).toStrictEqual([]);
    }
  });

  it('reading on is no second read, nor is the file being unlinked meanwhile', async () => {
    open({ fd: 3, target: '/job/in', position: 100 });
    await host.look();
    open({ fd: 3, target: '/job/in', position: 200 });
    expect(await host.look()).toStrictEqual([]);
    open({ fd: 3, target: '/job/in (deleted)', position: 200 });
    expect(await host.look()).toStrictEqual([]);
  });

  it('a file that was unlinked before it was seen is named without what the kernel adds', async () => {
    open({ fd: 3, target: '/home/me/.ssh/id_rsa (deleted)' });
    expect((await host.look())[0]?.action).toStrictEqual({ kind: 'read', path: '/home/me/.ssh/id_rsa', resolved: '/home/me/.ssh/id_rsa' });
  });

  it('what a child inherited was its parent’s act; what it opened itself is its own', async () => {
    open({ fd: 3, target: '/job/in' });
    await host.look();
    host.proc.put({
      ...CHILD,
      fds: [
        { fd: 3, target: '/job/in' },
        { fd: 4, target: '/job/own', inode: 9 },
      ],
    });
    const files = (await host.look()).filter(({ action }) => action.kind === 'read');
    expect(files).toMatchObject([{ actor: { pid: 101 }, action: { path: '/job/own' } }]);
  });

  it('a process that lets nobody look counts as lost once', async () => {
    host.proc.put(CHILD);
    rmSync(host.proc.path(101, 'fd'), { recursive: true });
    symlinkSync('fd', host.proc.path(101, 'fd'));
    await host.look();
    await host.look();
    await host.look();
    expect(host.poll.stats().lost).toBe(1);
  });

  it('a descriptor that is closed while it is looked at counts as lost', async () => {
    open({ fd: 3, target: '/job/in' });
    rmSync(host.proc.path(100, 'fdinfo', '3'));
    expect(await host.look()).toStrictEqual([]);
    expect(host.poll.stats().lost).toBe(1);
  });

  it.each(['/job/a\nb', '/job/\u001b[2K', '/job/..'])('paths come as they are: %j', async (target) => {
    open({ fd: 3, target });
    expect((await host.look())[0]).toMatchObject({ action: { path: target } });
  });

  it('bytes that are no UTF-8 are shown as replacement characters', async () => {
    open({ fd: 3, target: Buffer.from([0x2f, 0xff, 0x61]) });
    expect((await host.look())[0]).toMatchObject({ action: { path: '/\ufffda' } });
  });

  it('carry the call of the process', async () => {
    host.proc.put({ ...CHILD, environ: { COUNTERSIGN_CALL: 'call-7' }, fds: [{ fd: 3, target: '/job/in' }] });
    expect((await host.look()).map(({ attribution }) => attribution)).toStrictEqual(
      Array.from({ length: 3 }, () => ({ method: 'marker', call: 'call-7' })),
    );
  });
});

const TCP = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const line = (local: string, remote: string, state: string, inode: number): string =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;

describe('connections', () => {
  const hold = (...inodes: readonly number[]): void =>
    host.proc.put({ ...ROOT, fds: inodes.map((inode, at) => ({ fd: 10 + at, target: `socket:[${inode}]` })) });

  it('a socket joined with the table', async () => {
    host.proc.net('tcp', TCP + line('0100007F:C350', '22D8B85D:01BB', '01', 4_001));
    hold(4_001);
    expect(await host.look()).toMatchObject([
      { actor: { pid: 100 }, action: { kind: 'connect', protocol: 'tcp', address: '93.184.216.34', port: 443 } },
    ]);
    host.steadyMs += 2_000;
    expect(await host.look()).toStrictEqual([]);
  });

  it.each([
    ['of a stranger', line('0100007F:C350', '22D8B85D:01BB', '01', 4_002)],
    ['that listens', line('00000000:1F90', '00000000:0000', '0A', 4_001)],
    ['that was accepted', line('00000000:1F90', '00000000:0000', '0A', 1) + line('0100007F:1F90', '22D8B85D:C350', '01', 4_001)],
    ['with a line that is cut off', line('0100007F:C350', '22D8B85D:01BB', '01', 4_001).slice(0, 60)],
    ['with an inode that is none', line('0100007F:C350', '22D8B85D:01BB', '01', 4_001).replace('4001', 'x')],
  ])('none for a socket %s', async (_, lines) => {
    host.proc.net('tcp', TCP + lines);
    hold(4_001);
    expect(await host.look()).toStrictEqual([]);
  });

  it('are looked for once a second at most, and one that connects later is found', async () => {
    host.proc.net('tcp', TCP);
    hold(4_001);
    await host.look();
    host.proc.net('tcp', TCP + line('0100007F:C350', '22D8B85D:01BB', '02', 4_001));
    for (let look = 0; look < 3; look++) expect(await host.look()).toStrictEqual([]);
    expect(kinds(await host.look())).toStrictEqual(['connect']);
  });

  it('UDP that is pointed at somebody else later is another connection', async () => {
    host.proc.net('udp', TCP + line('0100007F:C350', '08080808:0035', '01', 4_001));
    hold(4_001);
    expect((await host.look())[0]?.action).toStrictEqual({ kind: 'connect', protocol: 'udp', address: '8.8.8.8', port: 53 });
    host.proc.net('udp', TCP + line('0100007F:C350', '04040808:0035', '01', 4_001));
    host.steadyMs += 1_000;
    expect((await host.look())[0]?.action).toMatchObject({ address: '8.8.4.4' });
  });

  it('of IPv6, and of IPv4 in its clothes', async () => {
    host.proc.net(
      'tcp6',
      TCP +
        line('00000000000000000000000001000000:C350', 'B80D0120000000000000000001000000:01BB', '01', 4_001) +
        line('0000000000000000FFFF00000100007F:C350', '0000000000000000FFFF000022D8B85D:0050', '01', 4_002),
    );
    hold(4_001, 4_002);
    expect((await host.look()).map(({ action }) => action)).toMatchObject([
      { address: '2001:db8::1', port: 443 },
      { address: '93.184.216.34', port: 80 },
    ]);
  });

  it('are found in the table of another network namespace', async () => {
    host.proc.net('tcp', TCP);
    hold(4_001);
    symlinkSync('../net-of-another', host.proc.path(100, 'net'));
    symlinkSync(host.proc.root, `${host.proc.root}/net-of-another`);
    writeFileSync(`${host.proc.root}/tcp`, TCP + line('0100007F:C350', '22D8B85D:01BB', '01', 4_001));
    expect(kinds(await host.look())).toStrictEqual(['connect']);
  });

  it('one that a child inherited is not a second one', async () => {
    host.proc.net('tcp', TCP + line('0100007F:C350', '22D8B85D:01BB', '01', 4_001));
    hold(4_001);
    await host.look();
    host.proc.put({ ...CHILD, fds: [{ fd: 10, target: 'socket:[4001]' }] });
    host.steadyMs += 2_000;
    expect(kinds(await host.look())).toStrictEqual(['spawn', 'exec']);
  });

  it('unix sockets are known for what they are and never taken for others', async () => {
    host.proc.net(
      'unix',
      'Num       RefCount Protocol Flags    Type St Inode Path\n00000000e369519b: 00000003 00000000 00000000 0001 03 4001 /run/docker.sock\n',
    );
    host.proc.net('tcp', TCP);
    hold(4_001);
    await host.look();
    host.proc.net('tcp', TCP + line('0100007F:C350', '22D8B85D:01BB', '01', 4_001));
    host.steadyMs += 2_000;
    expect(await host.look()).toStrictEqual([]);
  });
});

describe('how often', () => {
  it('every 250 ms while something runs, every second while nothing does, and fast again', async () => {
    const ran = (mark: string): void => writeFileSync(host.proc.path(100, 'schedstat'), `${mark} 7 8\n`);
    expect(host.waitingMs).toBe(DEFAULT_POLL_MS);
    ran('1000');
    for (let look = 0; look < 12; look++) await host.look();
    expect(host.waitingMs).toBe(IDLE_POLL_MS);
    ran('1001');
    await host.look();
    expect(host.waitingMs).toBe(DEFAULT_POLL_MS);
  });

  it('what did not run is not looked at, and what did is', async () => {
    writeFileSync(host.proc.path(100, 'schedstat'), '1000 7 8\n');
    await host.look();
    await host.look();
    symlinkSync('/job/in', host.proc.path(100, 'fd', '3'));
    host.proc.put({ ...ROOT, fds: [{ fd: 3, target: '/job/in' }] });
    writeFileSync(host.proc.path(100, 'schedstat'), '1000 7 8\n');
    expect(await host.look()).toStrictEqual([]);
    writeFileSync(host.proc.path(100, 'schedstat'), '1001 7 9\n');
    expect(kinds(await host.look())).toStrictEqual(['read']);
  });

  it.each(['0 0 0\n', '', 'x y z\n', '1000\n'])('a kernel that does not account (%j) means looking each time', async (text) => {
    writeFileSync(host.proc.path(100, 'schedstat'), text);
    for (let look = 0; look < 12; look++) await host.look();
    expect(host.waitingMs).toBe(DEFAULT_POLL_MS);
  });

  it.each([19, 60_001, 0, -1, 250.5, Number.NaN])('refuses an interval of %d', (intervalMs) => {
    expect(() => procPoll({ tree: host.tree, intervalMs })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('many', () => {
  it('5,000 processes are found in one look, which lets others run meanwhile', async () => {
    const ordinary = { exe: '/bin/sh', cwd: '/job', argv: ['sh'], fds: [{ fd: 0, target: 'pipe:[1]' }] };
    for (let pid = 1_000; pid < 6_000; pid++) host.proc.put({ ...ordinary, pid, start: 2_000, parent: pid === 1_000 ? 100 : pid - 1 });
    // Each step takes a millisecond by this clock.
    let clock = 0;
    Object.defineProperty(host, 'steadyMs', { get: () => clock++, set: () => {} });
    await host.look();
    expect(host.tree.size).toBe(5_001);
    expect(host.turns).toBeGreaterThan(1_000);
  });

  it('a fork storm: all of them come and go between looks, and the tree is empty of them after it', async () => {
    for (let round = 0; round < 5; round++) {
      for (let pid = 1_000; pid < 1_200; pid++) host.proc.put({ pid, start: 2_000 + round, parent: 100 });
      const found = await host.look();
      expect(found.filter(({ action }) => action.kind === 'spawn')).toHaveLength(200);
      expect(found.filter(({ action }) => action.kind === 'exit')).toHaveLength(round === 0 ? 0 : 200);
    }
    for (let pid = 1_000; pid < 1_200; pid++) host.proc.remove(pid);
    await host.look();
    expect(host.tree.size).toBe(1);
  });
});

describe('beginning and end', () => {
  it('does not start where there is no /proc', async () => {
    const poll = procPoll({ tree: new TrackedTree({ roots: [] }), reader: procReader({ root: `${host.proc.root}/absent` }) });
    await expect(poll.start({ tree: host.tree, emit: () => {}, died: () => {} })).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
  });

  it('says nothing after it was stopped, and may be stopped twice', async () => {
    await host.poll.stop();
    await host.poll.stop();
    host.tree.seen({ pid: 101, start: 1_001, parent: 100 });
    expect(host.observations).toStrictEqual([]);
  });

  it('a reader that throws ends the sensor, which says so once', async () => {
    const broken = {
      ...procReader({ root: host.proc.root }),
      stat: () => {
        throw new Error('broken');
      },
    };
    const deaths: Error[] = [];
    const poll = procPoll({ tree: host.tree, reader: broken });
    await poll.start({ tree: host.tree, emit: () => {}, died: (error) => deaths.push(error) });
    expect(deaths.map(({ message }) => message)).toStrictEqual(['broken']);
    await poll.stop();
  });
});
