/** The supervisor at work: what goes on, what fails, what waits and for whom, and what happens when one of both ends. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Told } from '../../src/kernel/supervisor-protocol.ts';
import { native } from '../../src/native/native.ts';
import { cProgram } from '../c-program.ts';
import { type Supervised, type SupervisedOptions, supervised, whyNot } from './supervised.ts';

const calls = cProgram('kernel/calls') ?? '';
const workload = cProgram('kernel/workload') ?? '';
const missing = whyNot() ?? (calls === '' || workload === '' ? 'no C compiler for the calls' : undefined);
if (missing !== undefined) console.warn(`not tried, the supervisor: ${missing}`);
const { EPERM } = constants.errno;

const open: Supervised[] = [];
let folder = '';
let secret = '';
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-supervisor-')));
  secret = join(folder, 'secret');
  writeFileSync(secret, 'nobody reads this\n');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  rmSync(folder, { recursive: true, force: true });
});

async function run(options: Partial<SupervisedOptions> & Pick<SupervisedOptions, 'program'>): Promise<Supervised> {
  const started = await supervised({ scope: { document: { filesystem: { forbidden_paths: [secret] } } }, ...options });
  open.push(started);
  return started;
}

const opens = (path: string) => ({ program: calls, args: ['open', path] });
const isHeld = ({ held }: Told): boolean => held !== undefined;
const state = (pid: number): string =>
  / ([A-Z])$/.exec(
    readFileSync(`/proc/${pid}/status`, 'utf8')
      .match(/^State:\t(.)/m)?.[0]
      .replace('\t', ' ') ?? '',
  )?.[1] ?? '';

describe.skipIf(missing)('verdicts', () => {
  test('what is in scope goes on, and is told as it was', async () => {
    const { output, ended, until } = await run({ program: '/bin/sh', args: ['-c', 'cat /etc/hostname >/dev/null; echo fine'] });
    expect(await output).toBe('fine\n');
    expect(await ended).toEqual({ code: 0 });
    const { observation } = await until(({ observation: { action } }) => action.kind === 'exec' && action.exe === '/usr/bin/cat');
    expect(observation.action).toEqual({ kind: 'exec', exe: '/usr/bin/cat', argv: ['cat', '/etc/hostname'], cwd: expect.any(String) });
  });

  test('a KILL fails at once, and is told with who it was', async () => {
    const { output, until, pid } = await run(opens(secret));
    expect(await output).toBe(`open ${EPERM}\n`);
    const told = await until(({ isRefused }) => isRefused === true);
    expect(told).toMatchObject({
      judged: { level: 'KILL' },
      observation: { phase: 'before', actor: { pid, exe: calls }, action: { kind: 'read', path: secret } },
    });
  });

  test('in audit mode it goes on, and is told as what it is', async () => {
    const { output, until } = await run({ ...opens(secret), mode: 'audit_only' });
    expect(await output).toBe('open 0\n');
    expect(await until(({ judged }) => judged?.level === 'KILL')).not.toHaveProperty('isRefused');
  });

  test('safe reads in hot folders are counted, and others are told', async () => {
    const { output, told, counted, supervisor } = await run({
      ...opens('/etc/hostname'),
      start: { hot: ['/etc', '/usr', '/lib', '/lib64'] },
    });
    expect(await output).toBe('open 0\n');
    await supervisor.stop();
    expect(counted()).toBeGreaterThanOrEqual(2);
    expect(told.filter(({ observation }) => observation.action.kind === 'read')).toEqual([]);
    const other = await run({ ...opens('/etc/hostname'), start: { hot: [] } });
    await other.output;
    await other.supervisor.stop();
    expect(other.counted()).toBe(0);
    expect(other.told.filter(({ observation }) => observation.action.kind === 'read').length).toBeGreaterThanOrEqual(3);
  });
});

describe.skipIf(missing)('held calls', () => {
  const held = (program: Partial<SupervisedOptions> & Pick<SupervisedOptions, 'program'>): Promise<Supervised> =>
    run({ ...program, mode: 'flag_and_hold' });

  test.each([
    ['continue', 0],
    ['refuse', EPERM],
  ] as const)('the answer %s', async (answer, errno) => {
    const { output, until, supervisor } = await held(opens(secret));
    const { held: number, thread } = await until(isHeld);
    expect(thread).toBeGreaterThan(0);
    // Another answer, another number, and the same one later: none of them does anything.
    supervisor.answer((number ?? 0) + 1, 'refuse');
    supervisor.answer(number ?? 0, answer);
    supervisor.answer(number ?? 0, answer === 'continue' ? 'refuse' : 'continue');
    expect(await output).toBe(`open ${errno}\n`);
  });

  test('a signal with a handler, again and again, does not take it out of its wait', async () => {
    const { output, until, supervisor } = await held({ program: calls, args: ['interrupted', secret] });
    const { held: number } = await until(isHeld);
    // Its child is done with the signals when it is gone.
    await until(({ observation }) => observation.action.kind === 'read');
    supervisor.answer(number ?? 0, 'refuse');
    expect(await output).toBe(`held ${EPERM}\n`);
  });

  test('stopped and continued while it waits', async () => {
    const { output, until, supervisor, pid } = await held(opens(secret));
    const { held: number } = await until(isHeld);
    process.kill(pid, 'SIGSTOP');
    supervisor.answer(number ?? 0, 'refuse');
    while (state(pid) !== 'T') await new Promise((resolve) => setImmediate(resolve));
    process.kill(pid, 'SIGCONT');
    expect(await output).toBe(`open ${EPERM}\n`);
  });

  test('ended while it waits: an answer that comes later harms nobody', async () => {
    const { until, supervisor, pid, ended } = await held(opens(secret));
    const { held: number } = await until(isHeld);
    process.kill(pid, 'SIGKILL');
    expect(await ended).toEqual({ signal: 'SIGKILL' });
    supervisor.answer(number ?? 0, 'continue');
    await supervisor.stop();
  });

  test('a supervisor that stops fails those that wait, and all that come', async () => {
    const { output, until, supervisor, ended } = await held({
      program: '/bin/sh',
      args: ['-c', `"${calls}" open "${secret}"; echo over; /usr/bin/true; echo $?`],
    });
    await until(isHeld);
    await supervisor.stop();
    // The shell goes on with what is built into it, and can become nothing else.
    expect(await output).toBe(`open ${EPERM}\nover\n`);
    expect((await ended).code).toBeGreaterThan(0);
  });

  test('two thousand at once, each answered', async () => {
    const count = 2_000;
    const all = Promise.withResolvers<void>();
    const waiting: number[] = [];
    const { output, supervisor } = await held({
      program: workload,
      args: ['threads', String(count), secret],
      onTold: ({ held: number }) => {
        if (number !== undefined) waiting.push(number);
        if (waiting.length === count) all.resolve();
      },
    });
    await all.promise;
    for (const number of waiting) supervisor.answer(number, 'refuse');
    expect(JSON.parse(await output)).toEqual({ threads: count, opened: 0 });
  });
});

describe.skipIf(missing)('who', () => {
  test('a thread that becomes another program is that from then on, under the number of the first', async () => {
    const { output, supervisor, told, pid } = await run({ program: calls, args: ['from-thread', workload], start: { hot: [] } });
    expect(JSON.parse(await output)).toMatchObject({ opens: 1 });
    await supervisor.stop();
    const by = (path: string): Told[] => told.filter(({ observation: { action } }) => action.kind === 'read' && action.path === path);
    expect(by('/etc/passwd')).toMatchObject([{ observation: { actor: { pid, exe: calls } } }]);
    expect(by('/etc/hostname')).toMatchObject([
      { markers: { call: 'call-after' }, observation: { actor: { pid, exe: workload, argv: [workload, 'opens', '1', '/etc/hostname'] } } },
    ]);
    expect(by('/etc/hostname')[0]?.observation.attribution).toEqual({ method: 'marker', call: 'call-after' });
  });

  test('a process whose first thread has left', async () => {
    const { output, until, pid } = await run({ program: calls, args: ['leaderless', '/etc/hostname'] });
    expect(await output).toBe('other 0\n');
    const { observation } = await until(({ observation: { action } }) => action.kind === 'read' && action.path === '/etc/hostname');
    expect(observation.actor).toMatchObject({ pid, exe: calls, argv: [calls, 'leaderless', '/etc/hostname'] });
  });

  test('of children that work for calls at the same time, each deed belongs to its call', async () => {
    const count = 40;
    const { output, supervisor, told } = await run({ program: workload, args: ['calls', String(count), join(folder, 'of')] });
    expect(JSON.parse(await output)).toEqual({ calls: count, ran: count });
    await supervisor.stop();
    const tags = new Map<string, number>();
    for (const { observation } of told) {
      const tag = /call-\d+/.exec(JSON.stringify(observation.action))?.[0];
      if (tag === undefined) continue;
      expect(observation.attribution?.call).toBe(tag);
      tags.set(tag, (tags.get(tag) ?? 0) + 1);
    }
    // Two programs and a file of each.
    expect(tags.size).toBe(count);
    expect([...tags.values()].every((times) => times === 3)).toBe(true);
  });

  test('numbers of its own: a child of another namespace is named as we see it', async (context) => {
    try {
      execFileSync('unshare', ['--pid', '--fork', 'true'], { stdio: 'ignore' });
    } catch {
      return context.skip('no new namespace of processes may be made here');
    }
    const { output, until, pid } = await run({ program: '/usr/bin/unshare', args: ['--pid', '--fork', calls, 'open', '/etc/hostname'] });
    expect(await output).toBe('open 0\n');
    const { observation } = await until(
      ({ observation: { action, actor } }) => action.kind === 'read' && action.path === '/etc/hostname' && actor?.exe === calls,
    );
    expect(observation.actor?.parent).toBe(pid);
  });
});

describe.skipIf(missing)('overload and ends', () => {
  test('while the main thread does nothing else, safe ones are lost and counted to the last, and graver ones are all there', async () => {
    const [reads, secrets] = [20_000, 50];
    mkdirSync(join(folder, 'hot'));
    const { pid, supervisor, told, lost, counted } = await run({
      program: '/bin/sh',
      args: ['-c', `"${workload}" opens ${reads} /etc/hostname; "${workload}" reads ${secrets} "${secret}" 0`],
      start: { hot: [] },
    });
    // Blocks until the agent is gone.
    execFileSync('/bin/sh', ['-c', `until grep -q '^State:.Z' /proc/${pid}/status; do sleep 0.05; done`], { timeout: 50_000 });
    await supervisor.stop();
    expect(told.filter(({ judged }) => judged?.level === 'KILL')).toHaveLength(secrets);
    expect(lost()).toBeGreaterThan(0);
    expect(counted()).toBe(0);
    const named = told.filter(({ observation: { action } }) => action.kind === 'read' && action.path === '/etc/hostname').length;
    // Some others of the start of three programs were lost with them.
    expect(named + lost()).toBeGreaterThanOrEqual(reads);
    expect(named + lost()).toBeLessThan(reads + 100);
  });

  test('one that cannot start says why, and leaves nothing that waits', async () => {
    const broken = supervised({ ...opens('/etc/hostname'), start: { rules: undefined as never } });
    await expect(broken).rejects.toMatchObject({ code: 'MONITOR_UNAVAILABLE' });
  });

  test('one that can receive nothing any more says so; what waits for it fails once its listener is gone', async () => {
    const system = native();
    const other = system?.kernel.eventfd() ?? -1;
    system?.kernel.write(other, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]));
    const { died, ended, listener } = await run({ ...opens('/etc/hostname'), start: { listener: other }, quiet: true });
    expect((await died).message).toContain('receiving a call failed (ENOTTY)');
    system?.close(listener);
    expect(await ended).toEqual({ code: 126 });
  });
});
