/** What processes of a server do is judged, and recorded with the call that was in flight there. Servers, processes and freezing are real. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { allowAll, createGuard, createRedactor, type Guard } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { tempDirectory } from '../../../core/test/fixtures/ledger.ts';
import type { Alert } from '../../src/alerts/alert.ts';
import { incidentIds, readIncident } from '../../src/evidence/incident-files.ts';
import { hostMonitor } from '../../src/monitor.ts';
import { nativeMissing } from '../../src/native/native.ts';
import { defaultScope, loadScope, type ScopeSource } from '../../src/scope/load.ts';
import type { Sensor } from '../../src/sensor.ts';
import { procReader } from '../../src/tree/proc-fs.ts';
import { type ServerIncidents, serverIncidents } from '../../src/warden/server-incidents.ts';
import { type ServerWatchOptions, watchServers } from '../../src/warden/watch-servers.ts';

/** Does what it is told, line by line, and says so. It never rests, so that it is looked at as often as it can be. */
const SERVER = `
const { openSync } = require('node:fs');
const { spawn } = require('node:child_process');
setInterval(() => {}, 5);
let left = '';
process.stdin.on('data', (chunk) => {
  const lines = (left + chunk).split('\\n');
  left = lines.pop();
  for (const line of lines) {
    const [what, ...args] = JSON.parse(line);
    if (what === 'read') openSync(args[0], 'r');
    if (what === 'write') openSync(args[0], 'w');
    if (what === 'start') spawn(args[0], args.slice(1), { stdio: 'ignore', env: { ...process.env, ...JSON.parse(process.env.MORE ?? '{}') } });
    if (what === 'end') process.exit();
    console.log('done');
  }
});
process.stdin.on('end', () => process.exit());
console.log('up');
`;
/** In no folder that is granted. */
const OUTSIDE = join(import.meta.dirname, 'countersign-was-here');
afterAll(() => rmSync(OUTSIDE, { force: true }));
const LINUX_ONLY = process.platform === 'linux' ? undefined : 'there is no /proc to poll';

interface Server {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly pid: number;
  readonly ended: Promise<unknown>;
  tell(...command: readonly string[]): Promise<void>;
}

async function started(env: NodeJS.ProcessEnv = {}): Promise<Server> {
  const child = spawn(process.execPath, ['-e', SERVER], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: tempDirectory(),
    env: { ...process.env, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  // Of what is ended while it is told something.
  child.stdin.on('error', () => {});
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    async tell(...command) {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      await once(child.stdout, 'data');
    },
  };
}

interface BenchOptions {
  readonly mode?: 'audit_only' | 'enforce_kill';
  readonly scope?: Extract<ScopeSource, { readonly document: unknown }>['document'];
  readonly isGuarded?: boolean;
  readonly pollMs?: number;
  readonly more?: Partial<ServerWatchOptions>;
}

function bench({ mode = 'audit_only', scope, isGuarded = true, pollMs = 20, more = {} }: BenchOptions = {}) {
  const canary = join(tempDirectory(), 'bait.key');
  writeFileSync(canary, 'secret');
  const store = memoryStore();
  const monitor = hostMonitor({ mode });
  const guardIt = (): Guard => createGuard({ agent: 'billing', policy: allowAll(), store, session: 's1', monitor });
  const real = procReader();
  let [looks, isBroken] = [0, false];
  const trouble: string[] = [];
  const servers = watchServers({
    monitor,
    scope: scope === undefined ? defaultScope() : loadScope({ document: scope }),
    home: '/home/nobody-here',
    own: { files: [], configs: [] },
    canaries: [canary],
    pollMs,
    onTrouble: (server) => void trouble.push(server),
    reader: {
      ...real,
      pids() {
        looks++;
        if (isBroken) throw new Error('no more looks');
        return real.pids();
      },
    },
    ...more,
  });
  onTestFinished(() => servers.close());
  return {
    canary,
    store,
    monitor,
    servers,
    trouble,
    guardIt,
    guard: isGuarded ? guardIt() : undefined,
    verdicts: () => store.entries().flatMap((entry) => (entry.kind === 'verdict' ? [entry] : [])),
    /** What was done before is seen, and what is done from here on is seen as done later. */
    looked: async (): Promise<void> => {
      const from = looks;
      await vi.waitFor(() => expect(looks).toBeGreaterThanOrEqual(from + 3), { timeout: 20_000, interval: 5 });
    },
    breaks: () => {
      isBroken = true;
    },
  };
}

async function begun(guard: Guard | undefined, server: string, session = 's1') {
  const decided = await guard?.authorize({ tool: { name: 'go', server }, args: {}, session });
  if (decided?.kind !== 'permit') throw new Error(`not permitted: ${JSON.stringify(decided)}`);
  return { id: decided.callId, end: () => decided.settle({ status: 'success' }) };
}

const reasonOf = async (guard: Guard | undefined, session: string): Promise<string | undefined> => {
  const decided = await guard?.authorize({ tool: { name: 'go', server: 'files' }, args: {}, session });
  return decided?.kind === 'permit' ? 'allowed' : decided?.decision.reasonCode;
};

const soon = { timeout: 20_000, interval: 20 };

describe.skipIf(LINUX_ONLY !== undefined)('the processes of servers', { timeout: 60_000 }, () => {
  it('a canary that is read during a call is a verdict on that call', async () => {
    const { guard, servers, canary, verdicts, looked } = bench();
    const [server, other] = [await started(), await started()];
    servers.watch({ server: 'files', ...server });
    servers.watch({ server: 'mail', ...other });
    const call = await begun(guard, 'files', 's7');
    const elsewhere = await begun(guard, 'mail');
    await looked();
    await server.tell('read', canary);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    await looked();
    expect(verdicts()).toMatchObject([{ rule: 'forbidden-path', level: 'KILL', enforced: 'FLAG', call: call.id, session: 's7' }]);
    await call.end();
    await elsewhere.end();
  });

  it.each([
    ['a program it starts', ['start', 'sleep', '5'], 'forbidden-command', 'KILL'],
    ['a file it writes outside', ['write', OUTSIDE], 'write-outside', 'HALT'],
  ] as const)('%s during a call is a verdict on that call', async (_what, command, rule, level) => {
    const { guard, servers, verdicts, looked } = bench({ scope: { version: 1, process: { forbidden_commands: ['sleep'] } } as never });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    const call = await begun(guard, 'files');
    await looked();
    await server.tell(...command);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    expect(verdicts()[0]).toMatchObject({ rule, level, call: call.id });
    await call.end();
  });

  it.skipIf(nativeMissing() !== undefined)(
    'a program that is over before the next look is seen, of the server that started it, with its call',
    async () => {
      const scope = { version: 1, process: { forbidden_commands: ['sleep'] } } as never;
      const { guard, servers, verdicts, monitor } = bench({ scope, pollMs: 60_000 });
      const [server, other] = [await started(), await started()];
      servers.watch({ server: 'mail', ...other });
      servers.watch({ server: 'files', ...server });
      await vi.waitFor(() => expect(monitor.coverage).toBe('L1'), soon);
      const call = await begun(guard, 'files', 's7');
      await pause(200);
      await server.tell('start', 'sleep', '1');
      await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
      expect(verdicts()).toMatchObject([{ rule: 'forbidden-command', call: call.id, session: 's7' }]);
      await call.end();
      // And of the other one, under a server's own name, between calls.
      await other.tell('start', 'sleep', '1');
      await vi.waitFor(() => expect(verdicts()).toHaveLength(2), soon);
      expect(verdicts()[1]).not.toHaveProperty('call');
    },
  );

  it('of a server that does what it should nothing is recorded', async () => {
    const { guard, servers, verdicts, looked } = bench();
    const server = await started();
    servers.watch({ server: 'files', ...server });
    const call = await begun(guard, 'files');
    await looked();
    await server.tell('write', join(tempDirectory(), 'made'));
    await server.tell('start', 'true');
    await looked();
    await call.end();
    await looked();
    expect(verdicts()).toEqual([]);
  });

  it('with two calls at once both are candidates, and no more than that', async () => {
    const { guard, servers, canary, verdicts, looked } = bench();
    const server = await started();
    servers.watch({ server: 'files', ...server });
    const calls = [await begun(guard, 'files'), await begun(guard, 'files')];
    await looked();
    await server.tell('read', canary);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    expect(verdicts()[0]).toMatchObject({ candidates: calls.map(({ id }) => id).toSorted() });
    expect(verdicts()[0]).not.toHaveProperty('call');
    for (const call of calls) await call.end();
  });

  it('between calls it is nobody’s, whatever call the process says it is of', async () => {
    const { guard, servers, canary, verdicts, looked } = bench();
    const earlier = await begun(guard, 'files');
    const server = await started({ COUNTERSIGN_CALL: earlier.id });
    servers.watch({ server: 'files', ...server });
    await earlier.end();
    await looked();
    await server.tell('read', canary);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    expect(verdicts()[0]).not.toHaveProperty('call');
    expect(verdicts()[0]).not.toHaveProperty('candidates');
  });

  it('a server that is started anew is watched anew', async () => {
    const { guard, servers, canary, verdicts, looked, trouble } = bench();
    const first = await started();
    servers.watch({ server: 'files', ...first });
    await looked();
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await started();
    servers.watch({ server: 'files', ...second });
    const call = await begun(guard, 'files');
    await looked();
    await second.tell('read', canary);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    expect(verdicts()[0]).toMatchObject({ call: call.id });
    expect(trouble).toEqual([]);
    await call.end();
  });

  it('what a server that has ended left behind is watched until it ends too', async () => {
    const { servers, canary, verdicts, looked } = bench();
    const server = await started();
    servers.watch({ server: 'files', ...server });
    // Waits for the end of its parent, and reads then.
    const script = `setInterval(() => { try { process.kill(${server.pid}, 0); } catch { require('node:fs').openSync(${JSON.stringify(canary)}); } }, 5); setTimeout(process.exit, 20_000)`;
    await server.tell('start', process.execPath, '-e', script);
    await looked();
    server.child.stdin.write(`${JSON.stringify(['end'])}\n`);
    await server.ended;
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
  });

  it('one that is gone before it is looked at is no trouble', async () => {
    const { servers, trouble, monitor } = bench();
    const server = await started();
    server.child.kill('SIGKILL');
    await server.ended;
    servers.watch({ server: 'files', ...server });
    expect({ trouble, level: monitor.coverage }).toEqual({ trouble: [], level: 'L0' });
  });

  it('a look that fails lowers the level and says so, until that server has ended', async () => {
    const { guard, servers, monitor, store, trouble, breaks } = bench({ more: { events: () => undefined } });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    await (await begun(guard, 'files', 's7')).end();
    breaks();
    await vi.waitFor(() => expect(trouble).toEqual(['files']), soon);
    expect(monitor.coverage).toBe('none');
    await vi.waitFor(
      () =>
        expect(store.entries()).toContainEqual(
          expect.objectContaining({ kind: 'session', event: 'coverage', session: 's7', coverage: 'none' }),
        ),
      soon,
    );
    server.child.kill('SIGKILL');
    await vi.waitFor(() => expect(monitor.coverage).toBe('L0'), soon);
  });

  it('without the kernel’s events, or when they end, the poll is what there is, and the level says so', async () => {
    let died = (_error: Error): void => {};
    const sensor: Sensor = {
      name: 'events',
      level: 'L1',
      gives: ['exec'],
      start: async (host) => void (died = (error) => host.died(error)),
      stop: async () => {},
      stats: () => ({ seen: 0, lost: 0 }),
    };
    const { servers, monitor, canary, verdicts, looked, trouble } = bench({ more: { events: () => sensor } });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    await vi.waitFor(() => expect(monitor.coverage).toBe('L1'), soon);
    died(new Error('the thread ended'));
    expect(monitor.coverage).toBe('L0');
    await looked();
    await server.tell('read', canary);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    expect(trouble).toEqual([]);
    const refusing = bench({ more: { events: () => ({ ...sensor, start: () => Promise.reject(new Error('not here')) }) } });
    refusing.servers.watch({ server: 'files', ...server });
    await refusing.looked();
    expect(refusing.monitor.coverage).toBe('L0');
  });

  it('of what was stopped there is a story: what led to it, what it was, and what was done, until it goes on', async () => {
    const dir = join(tempDirectory(), 'log');
    const [notes, told, trouble]: [unknown[], Alert[], unknown[]] = [[], [], []];
    const incidents = serverIncidents({
      dir,
      maxAgeMs: 86_400_000,
      agent: 'billing',
      redactor: createRedactor(),
      note: async (topic, data) => void notes.push([topic, data]),
      alerts: { tell: (alert) => void told.push(alert), stats: () => ({ told: 0, failed: 0, dropped: 0 }), close: async () => {} },
      onTrouble: (error) => void trouble.push(error),
    });
    const { guard, servers, looked, store } = bench({ mode: 'enforce_kill', more: { incidents } });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    const call = await begun(guard, 'files', 's7');
    await looked();
    server.child.stdin.write(`${JSON.stringify(['write', OUTSIDE])}\n`);
    await vi.waitFor(() => expect(told).toMatchObject([{ enforced: 'HALT', state: 'frozen', call: call.id }]), soon);
    await vi.waitFor(() => expect(notes).toHaveLength(2), soon);
    await guard?.halts.resume({ session: 's7' }, { id: 'alice', method: 'host' });
    await vi.waitFor(() => expect(notes).toHaveLength(3), soon);
    await incidents.close();
    const [only, ...others] = incidentIds(dir);
    expect(others).toEqual([]);
    const written = readIncident(dir, only?.id ?? '');
    expect(written).toMatchObject({
      session: 's7',
      mode: 'enforce_kill',
      verdict: { rule: 'write-outside', level: 'HALT' },
      steps: [{ event: 'frozen' }, { event: 'resumed' }],
    });
    expect(written.timeline.map(({ verdict }) => verdict.rule)).toContain('write-outside');
    expect(written.evidence?.processes.map(({ pid }) => pid)).toContain(server.pid);
    const onRecord = store.entries().filter((entry) => entry.kind === 'containment');
    expect(new Set(onRecord.map(({ incident }) => incident))).toEqual(new Set([written.id]));
    expect(trouble).toEqual([]);
    await call.end();
  });

  it('in audit mode nothing is stopped: whoever is alerted is told once a minute, and there is no incident', async () => {
    const told: (readonly [string, number])[] = [];
    const follow: ServerIncidents['follow'] = ({ verdict }, steps) => void told.push([verdict.rule, steps.length]);
    const { servers, canary, verdicts, looked } = bench({ more: { incidents: { see: () => {}, follow } } });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    await looked();
    await server.tell('read', canary);
    await vi.waitFor(() => expect(verdicts()).not.toEqual([]), soon);
    expect(told).toEqual([['forbidden-path', 0]]);
  });

  it('what is seen before there is a ledger stops it at once, and is recorded as soon as there is one', async () => {
    const { servers, canary, verdicts, guardIt } = bench({ mode: 'enforce_kill', isGuarded: false });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    server.child.stdin.write(`${JSON.stringify(['read', canary])}\n`);
    await server.ended;
    expect(await reasonOf(guardIt(), 's1')).toBe('SESSION_HALTED');
    await vi.waitFor(() => expect(verdicts()).toMatchObject([{ rule: 'forbidden-path', level: 'KILL', enforced: 'KILL' }]), soon);
  });

  it('a kill ends the server and what it started, and nothing else', async () => {
    const { guard, servers, canary, verdicts, looked, store } = bench({ mode: 'enforce_kill' });
    const [server, other] = [await started(), await started()];
    servers.watch({ server: 'files', ...server });
    servers.watch({ server: 'mail', ...other });
    const call = await begun(guard, 'files', 's7');
    await looked();
    server.child.stdin.write(`${JSON.stringify(['read', canary])}\n`);
    await server.ended;
    await vi.waitFor(() => expect(verdicts()).toMatchObject([{ level: 'KILL', enforced: 'KILL', call: call.id }]), soon);
    expect(await reasonOf(guard, 's7')).toBe('SESSION_HALTED');
    expect(await reasonOf(guard, 's8')).toBe('allowed');
    await vi.waitFor(
      () => expect(store.entries()).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'killed', left: 0 })),
      soon,
    );
    await other.tell('nothing');
  });

  it('a halt freezes it; what is frozen at the end is ended', async () => {
    const { guard, servers, verdicts, looked, store } = bench({ mode: 'enforce_kill' });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    const call = await begun(guard, 'files', 's7');
    await looked();
    server.child.stdin.write(`${JSON.stringify(['write', OUTSIDE])}\n`);
    await vi.waitFor(() => expect(store.entries()).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'frozen' })), soon);
    expect(verdicts()).toMatchObject([{ rule: 'write-outside', enforced: 'HALT', call: call.id }]);
    expect(await reasonOf(guard, 's7')).toBe('SESSION_HALTED');
    await servers.close();
    await server.ended;
  });

  it('what a halt froze goes on when an operator says so', async () => {
    const { guard, servers, looked, store } = bench({ mode: 'enforce_kill' });
    const server = await started();
    servers.watch({ server: 'files', ...server });
    const call = await begun(guard, 'files', 's7');
    await looked();
    server.child.stdin.write(`${JSON.stringify(['write', OUTSIDE])}\n`);
    await vi.waitFor(() => expect(store.entries()).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'frozen' })), soon);
    let said = '';
    server.child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    server.child.stdin.write(`${JSON.stringify(['nothing'])}\n`);
    await looked();
    const before = said;
    await guard?.halts.resume({ session: 's7' }, { id: 'alice', method: 'host' });
    await vi.waitFor(() => expect(said.length).toBeGreaterThan(before.length), soon);
    await vi.waitFor(
      () => expect(store.entries()).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'resumed' })),
      soon,
    );
    await call.end();
    expect(await reasonOf(guard, 's7')).toBe('allowed');
  });
});
