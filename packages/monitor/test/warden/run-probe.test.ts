/** The probe in what `run` starts: real Node programs, a real socket, and programs that lie to it. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Observation } from '../../src/activity.ts';
import { native } from '../../src/native/native.ts';
import { HANDOVER_VARIABLE } from '../../src/probe/child-environment.ts';
import { loadScope } from '../../src/scope/load.ts';
import type { Judged, Sensor } from '../../src/sensor.ts';
import { procReader } from '../../src/tree/proc-fs.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import type { MonitorMode } from '../../src/verdict.ts';
import { MAX_OF_PROCESS } from '../../src/warden/probe-listener.ts';
import { isNodeProgram, openRunProbe, type RunProbe } from '../../src/warden/run-probe.ts';
import type { WatchOptions } from '../../src/warden/watch-options.ts';

const RUN = 'run-of-this-test';
let folder: string;
let secret: string;
let probe: RunProbe | undefined;
let sensor: Sensor | undefined;
let seen: { readonly observation: Observation; readonly judged: Judged | undefined }[];
let died: string[];
let tree: TrackedTree;
let children: ChildProcess[];

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'run-probe-'));
  secret = join(folder, 'secret.txt');
  writeFileSync(secret, 'THE SECRET');
  seen = [];
  died = [];
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await sensor?.stop();
  await probe?.close();
  sensor = probe = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function options(mode: MonitorMode = 'enforce_kill', env: NodeJS.ProcessEnv = {}): WatchOptions {
  const launch = { program: process.execPath, args: [], cwd: folder, env: { PATH: process.env['PATH'], COUNTERSIGN_RUN: RUN, ...env } };
  return {
    target: { launch },
    probe: true,
    mode,
    scope: loadScope({ text: `scope:\n  filesystem: { forbidden_paths: [${JSON.stringify(secret)}] }\n` }),
    home: folder,
    canaries: [],
    own: {
      files: [join(folder, 'ledger.db'), join(folder, 'logs')],
      configs: [],
      guards: { files: [join(folder, 'ledger.db')], isWriter: () => false },
    },
    ledger: { session: RUN },
  } as unknown as WatchOptions;
}

/** @returns the environment of what is launched. */
async function on(given: WatchOptions = options()): Promise<NodeJS.ProcessEnv> {
  probe = await openRunProbe(given);
  if (probe === undefined) throw new Error('no probe');
  tree = new TrackedTree({ roots: [], marker: RUN });
  sensor = probe.sensor(tree, procReader());
  await sensor.start({
    tree,
    emit: (observation, judged) => void seen.push({ observation, judged }),
    died: (error) => void died.push(error.message),
  });
  const { target } = probe.into(given);
  return 'launch' in target ? target.launch.env : {};
}

function node(env: NodeJS.ProcessEnv, code: string, more: readonly string[] = []): ChildProcess & { readonly said: () => string } {
  const file = join(folder, `program-${children.length}.cjs`);
  writeFileSync(file, code);
  const child = spawn(process.execPath, ['--no-warnings', ...more, file], { env, cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  for (const out of [child.stdout, child.stderr]) out.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return Object.assign(child, { said: () => text });
}

const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once('close', resolve));
const channelOf = (env: NodeJS.ProcessEnv): string => join(dirname((env[HANDOVER_VARIABLE] ?? '').slice(65)), 'channel');
const of = (kind: string) => seen.filter(({ observation }) => observation.action.kind === kind);
const heard = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 20_000, interval: 20 });

/** Connects without a probe, and writes what it likes. */
const LIAR = (env: NodeJS.ProcessEnv, lines: readonly unknown[], then = ''): string => `
const socket = require('node:net').connect(${JSON.stringify(channelOf(env))}, () => {
  socket.write(${JSON.stringify(lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join(''))});
  ${then}
});
socket.on('error', () => {}).on('close', () => console.log('closed'));
setTimeout(() => {}, 60_000);`;
const HELLO = '{"probe":1}\n';
const told = (action: object, level = 'SAFE', more: object = {}, verdict: object = {}) => ({
  activity: { seq: 1, at: 1, sensor: 'x', phase: 'before', action, attribution: { method: 'none' }, ...more },
  verdict: { level, rule: 'a-rule', reason: 'because', evaluator: 'rules', confidence: 1, evidence: [1], ...verdict },
});
const plain = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({ ...env, NODE_OPTIONS: undefined });

// Real processes of Node, on a machine that is busy.
describe.skipIf(native() === undefined)('a Node program of the run', { timeout: 60_000 }, () => {
  it('refuses what the scope forbids before it happens, and tells it as itself', async () => {
    const env = await on();
    const child = node(
      env,
      `try { require('fs').readFileSync(${JSON.stringify(secret)}); console.log('READ'); } catch (error) { console.log(error.code); }`,
    );
    expect(await ended(child)).toBe(0);
    expect(child.said()).toBe('ACTIVITY_REFUSED\n');
    await heard(() => expect(of('read').some(({ observation: { action } }) => 'path' in action && action.path === secret)).toBe(true));
    const { observation, judged } = of('read').find(({ observation: { action } }) => 'path' in action && action.path === secret) ?? {};
    expect(observation).toMatchObject({ sensor: 'probe', phase: 'before', actor: { pid: child.pid } });
    expect(judged).toMatchObject({ verdict: { level: 'KILL', rule: 'forbidden-path' }, isHeld: false, isItsWord: true });
    expect(judged?.verdict.reason).not.toContain(secret);
    expect(sensor?.stats()).toMatchObject({ programs: 1 });
    expect(died).toEqual([]);
  });

  it.each([
    ['its parent has not asked for it yet', '& exec sleep 60', 'Z'],
    ['it is gone', '; exec sleep 60', undefined],
  ])('that ended before anybody could look at it is heard all the same: %s', async (_, then, state) => {
    const env = await on();
    writeFileSync(
      join(folder, 'short.cjs'),
      `require('fs').writeFileSync('pid', String(process.pid)); try { require('fs').readFileSync(${JSON.stringify(secret)}) } catch {}`,
    );
    children.push(
      spawn('/bin/sh', ['-c', `${JSON.stringify(process.execPath)} --no-warnings short.cjs ${then}`], {
        env,
        cwd: folder,
        stdio: 'ignore',
      }),
    );
    // Nobody is let in meanwhile.
    let pid = 0;
    const reader = procReader();
    const until = Date.now() + 20_000;
    while (Date.now() < until && (pid === 0 || reader.stat(pid)?.state !== state)) {
      try {
        pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
      } catch {
        // Not yet.
      }
    }
    expect(reader.stat(pid)?.state).toBe(state);
    await heard(() => expect(of('read').find(({ judged }) => judged?.verdict.level === 'KILL')?.observation.actor).toMatchObject({ pid }));
    expect(sensor?.stats()).toMatchObject({ programs: 1, lost: 0 });
  });

  it('in audit mode nothing is refused, and all is told', async () => {
    const env = await on(options('audit_only'));
    const child = node(env, `console.log(require('fs').readFileSync(${JSON.stringify(secret)}, 'utf8'))`);
    await ended(child);
    expect(child.said()).toContain('THE SECRET');
    await heard(() => expect(of('read').at(-1)?.judged).toMatchObject({ verdict: { level: 'KILL' }, wentOn: true }));
    expect(of('read').at(-1)?.judged?.isItsWord).toBeUndefined();
  });

  it('hands it on to workers and children, whatever environment they are given, and keeps NODE_OPTIONS that were there', async () => {
    writeFileSync(join(folder, 'first.cjs'), `globalThis.first = true;`);
    const env = await on(options('enforce_kill', { NODE_OPTIONS: `--require=${join(folder, 'first.cjs')} --max-http-header-size=20000` }));
    const read = `try { require('fs').readFileSync(${JSON.stringify(secret)}); console.log('READ') } catch (error) { console.log(error.code, globalThis.first === true) }`;
    writeFileSync(join(folder, 'child.cjs'), read);
    const child = node(
      env,
      `const { execFileSync } = require('node:child_process');
       console.log(require('node:http').maxHeaderSize);
       new (require('node:worker_threads').Worker)(${JSON.stringify(read)}, { eval: true, execArgv: [], env: {} }).on('exit', () => {
         console.log(execFileSync(process.execPath, ['child.cjs'], { env: {} }).toString());
         console.log(execFileSync('/bin/sh', ['-c', JSON.stringify(process.execPath) + ' child.cjs']).toString());
       });`,
    );
    await ended(child);
    expect(child.said()).toContain('20000');
    expect(child.said()).not.toContain('READ');
    expect(child.said().match(/ACTIVITY_REFUSED/g)).toHaveLength(3);
    expect(child.said()).toContain('ACTIVITY_REFUSED true');
    await heard(() => expect(of('read').filter(({ judged }) => judged?.verdict.level === 'KILL')).toHaveLength(3));
    expect(sensor?.stats()).toMatchObject({ programs: 3 });
  });

  it('tells which call it was done in, where it knows', async () => {
    const env = await on();
    await ended(node({ ...env, COUNTERSIGN_CALL: 'c'.repeat(32) }, `require('fs').readFileSync('/etc/hostname')`));
    await heard(() =>
      expect(of('read').find(({ observation: { action } }) => 'path' in action && action.path === '/etc/hostname')).toMatchObject({
        observation: { attribution: { method: 'marker', call: 'c'.repeat(32) } },
      }),
    );
  });

  it('tells what names led to, after it was asked', async () => {
    const env = await on();
    const child = node(
      env,
      `const dns = require('node:dns');
       dns.lookup('localhost', (error, address) => dns.lookup('LOCALHOST', { all: true }, (_, all) => dns.promises.lookup('localhost').then((one) => console.log(address, all.length > 0, one.address))));`,
    );
    await ended(child);
    expect(child.said()).toMatch(/^(127\.0\.0\.1|::1) true /);
    await heard(() => expect(of('dns')).toHaveLength(6));
    expect(of('dns').map(({ observation: { action } }) => action)).toEqual(
      [1, 2, 3].flatMap(() => [
        { kind: 'dns', name: 'localhost' },
        { kind: 'dns', name: 'localhost', addresses: expect.arrayContaining([expect.stringMatching(/^(127\.0\.0\.1|::1)$/)]) },
      ]),
    );
  });

  it('is not told of the canaries', async () => {
    const given = { ...options(), canaries: [join(folder, 'the-canary')] };
    const env = await on(given);
    const path = (env[HANDOVER_VARIABLE] ?? '').slice(65);
    expect(readFileSync(path, 'utf8')).not.toContain('the-canary');
    expect(statSync(path).mode & 0o077).toBe(0);
  });

  it('a guard among them may use the ledger; everything else of ours is refused', async () => {
    writeFileSync(join(folder, 'ledger.db'), 'l');
    const env = await on();
    const child = node(
      env,
      `for (const name of ['ledger.db', 'logs/x']) try { require('fs').writeFileSync(name, 'x'); console.log('wrote', name) } catch (error) { console.log(error.code) }`,
    );
    await ended(child);
    expect(child.said()).toBe('wrote ledger.db\nACTIVITY_REFUSED\n');
    await heard(() =>
      expect(of('write').map(({ observation: { action } }) => 'path' in action && action.path)).toContain(join(folder, 'ledger.db')),
    );
  });

  it('without its channel it does nothing at all, and says so', async () => {
    const env = await on();
    unlinkSync(channelOf(env));
    const child = node(env, `console.log('ran', require('fs').readFileSync('/etc/hostname').length)`);
    expect(await ended(child)).not.toBe(0);
    expect(child.said()).toContain('refuses everything');
    expect(child.said()).toContain('nobody listens');
    expect(child.said()).not.toContain('ran ');
    await heard(() => expect(died).toEqual([expect.stringContaining('its channel was removed')]));
  });

  it('closing it while it runs on is noticed: what is seen is less from then on', async () => {
    const env = await on();
    const child = node(
      env,
      `const fs = require('node:fs');
       setTimeout(() => { for (const fd of fs.readdirSync('/proc/self/fd')) { let to = ''; try { to = fs.readlinkSync('/proc/self/fd/' + fd) } catch {}; if (to.startsWith('socket:') && fd > 2) fs.closeSync(Number(fd)); }
       console.log('closed'); }, 100); setInterval(() => {}, 1000);`,
    );
    await heard(() => expect(child.said()).toContain('closed'));
    await heard(() => expect(died).toEqual([`process ${child.pid} closed its channel, and runs on`]));
    // Others are heard all the same.
    await ended(node(env, `require('fs').readFileSync('/etc/hostname')`));
    await heard(() =>
      expect(of('read').some(({ observation: { action } }) => 'path' in action && action.path === '/etc/hostname')).toBe(true),
    );
    expect(died).toHaveLength(1);
  });

  it('is noticed too under another name of what it runs, which it may change as it likes', async () => {
    const env = await on();
    const own = join(folder, 'node');
    copyFileSync(process.execPath, own);
    const file = join(folder, 'renaming.cjs');
    writeFileSync(
      file,
      `const fs = require('node:fs');
       fs.renameSync(${JSON.stringify(own)}, ${JSON.stringify(join(folder, 'something'))});
       setTimeout(() => { for (const fd of fs.readdirSync('/proc/self/fd')) { let to = ''; try { to = fs.readlinkSync('/proc/self/fd/' + fd) } catch {}; if (to.startsWith('socket:') && fd > 2) fs.closeSync(Number(fd)); }
       }, 100); setInterval(() => {}, 1000);`,
    );
    const child = spawn(own, ['--no-warnings', file], { env, cwd: folder, stdio: 'ignore' });
    children.push(child);
    await heard(() => expect(died).toEqual([`process ${child.pid} closed its channel, and runs on`]));
  });

  it('a channel that another one took the place of for a moment is noticed', async () => {
    const env = await on();
    const channel = channelOf(env);
    renameSync(channel, `${channel}.away`);
    writeFileSync(channel, '');
    renameSync(`${channel}.away`, channel);
    await heard(() => expect(died).toEqual([expect.stringContaining('its channel was removed or replaced')]));
  });

  it('one that ends, and a worker that does, are no silence', async () => {
    const env = await on();
    const child = node(
      env,
      `const { Worker } = require('node:worker_threads');
       const worker = new Worker('setInterval(() => {}, 1000)', { eval: true });
       worker.on('online', () => worker.terminate().then(() => { console.log('terminated'); setTimeout(() => {}, 2000); }));`,
    );
    await ended(child);
    expect(child.said()).toContain('terminated');
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(died).toEqual([]);
  });
});

describe.skipIf(native() === undefined)('whoever lies on the channel', { timeout: 60_000 }, () => {
  it('speaks for itself alone, whatever process it names', async () => {
    const env = await on();
    const victim = node(env, `setInterval(() => {}, 1000)`);
    await heard(() => expect(sensor?.stats().programs).toBe(1));
    const lie = told({ kind: 'read', path: '/made/up' }, 'HALT', { actor: { pid: victim.pid, start: 1, exe: '/victim' } });
    const liar = node(plain(env), LIAR(env, [HELLO, lie]));
    await heard(() => expect(of('read').some(({ observation: { action } }) => 'path' in action && action.path === '/made/up')).toBe(true));
    expect(of('read').at(-1)?.observation.actor).toMatchObject({ pid: liar.pid });
    expect(of('read').at(-1)?.observation.actor?.exe).not.toBe('/victim');
    expect(died).toEqual([]);
  });

  it('says it lost more than there can be, and what was lost is a number all the same', async () => {
    const env = await on();
    node(
      plain(env),
      LIAR(env, [HELLO, ...Array.from({ length: 3 }, () => ({ lost: Number.MAX_SAFE_INTEGER })), told({ kind: 'load', path: '/last' })]),
    );
    await heard(() => expect(of('load')).toHaveLength(1));
    expect(sensor?.stats().lost).toSatisfy(Number.isSafeInteger);
    expect(sensor?.stats().lost).toBeGreaterThan(1_000_000);
  });

  it('claims nothing that a probe does not see, and no facts that others are judged by', async () => {
    const env = await on();
    const start = { pid: 1, start: 1 };
    node(
      plain(env),
      LIAR(env, [
        HELLO,
        told({ kind: 'exit', code: 0 }),
        told({ kind: 'spawn', child: start }),
        told({ kind: 'resource', processes: 1, rss_bytes: 1e15 }),
        told({ kind: 'memory', target: 1 }),
        told({ kind: 'read', path: 7 }),
        told({ kind: 'connect', protocol: 'tcp', port: 'x' }),
        '{"lost":-3}\n',
        'no json\n',
        told({ kind: 'delete', path: '/d', existed: false, other: 1 }),
        told({ kind: 'dns', name: 'good.example', addresses: ['6.6.6.6'] }),
        told({ kind: 'read', path: '/r' }, 'HALT', {}, { rule: 'YOU MAY\u001b[31m', reason: 'let it go on, says the boss' }),
      ]),
    );
    await heard(() => expect(of('read')).toHaveLength(1));
    expect(seen.map(({ observation: { action } }) => action.kind).filter((kind) => kind !== 'spawn' && kind !== 'exec')).toEqual([
      'delete',
      'dns',
      'read',
    ]);
    expect(of('delete')[0]?.observation.action).toEqual({ kind: 'delete', path: '/d' });
    expect(of('dns')[0]?.observation.action).toEqual({ kind: 'dns', name: 'good.example', addresses: ['6.6.6.6'] });
    expect(of('read')[0]?.judged?.verdict).toMatchObject({ rule: 'probe-told', reason: 'the probe inside of the program stopped it' });
    expect(of('spawn').filter(({ observation: { action } }) => 'child' in action && action.child.pid === 1)).toEqual([]);
    expect(sensor?.stats().lost).toBe(8);
  });

  it('who does not say that it is a probe is not heard, and a line without an end is cut off', async () => {
    const env = await on();
    const mute = node(plain(env), LIAR(env, [told({ kind: 'read', path: '/no/hello' })]));
    const endless = node(plain(env), LIAR(env, [HELLO], `socket.write('x'.repeat(300_000));`));
    await heard(() => expect(endless.said()).toContain('closed'));
    await heard(() => expect(sensor?.stats().lost).toBe(2));
    expect(of('read')).toEqual([]);
    expect(mute.exitCode).toBeNull();
  });

  it('who does not belong to the run is not let in', async () => {
    const env = await on();
    const stranger = node({ PATH: process.env['PATH'] }, LIAR(env, [HELLO, told({ kind: 'read', path: '/stranger' })]));
    await heard(() => expect(stranger.said()).toContain('closed'));
    expect(of('read')).toEqual([]);
    expect(sensor?.stats()).toMatchObject({ programs: 0, lost: 1 });
  });

  it('one that never stops talking, and takes all the connections it may, keeps nobody from being heard', async () => {
    const env = await on();
    const line = JSON.stringify(told({ kind: 'read', path: '/flood' }));
    const flood = node(
      plain(env),
      `const net = require('node:net');
       let open = 0; let closed = 0;
       for (let i = 0; i < ${MAX_OF_PROCESS + 20}; i++) {
         const socket = net.connect(${JSON.stringify(channelOf(env))});
         socket.on('error', () => {}).on('close', () => { closed++; });
         socket.write('{"probe":1}\\n');
         if (i === 0) { const more = () => { while (socket.write(${JSON.stringify(`${line}\n`)}.repeat(50))); socket.once('drain', more); }; more(); }
       }
       setInterval(() => console.log('closed', closed), 200);`,
    );
    await heard(() => expect(flood.said()).toContain('closed 20'));
    await heard(() => expect(of('read').length).toBeGreaterThan(1000));
    const other = node(env, `try { require('fs').readFileSync(${JSON.stringify(secret)}) } catch (error) { console.log(error.code) }`);
    await ended(other);
    expect(other.said()).toBe('ACTIVITY_REFUSED\n');
    await heard(() =>
      expect(of('read').some(({ observation: { actor }, judged }) => actor?.pid === other.pid && judged !== undefined)).toBe(true),
    );
    expect(died).toEqual([]);
  });

  it('on many connections at once leaves whoever watches time for everything else', async () => {
    const { ProbeListener } = await import('../../src/warden/probe-listener.ts');
    const path = join(folder, 'flooded');
    const listener = await ProbeListener.listen<{ readonly pid: number }>(path, () => ({ pid: 1 }));
    let busyMs = 0;
    listener.start({
      enter: (pid) => ({ pid }),
      opened: () => {},
      // As long as judging and writing down may take.
      told: () => {
        const from = performance.now();
        while (performance.now() - from < 0.05);
        busyMs += performance.now() - from;
      },
      lost: () => {},
      closed: () => {},
    });
    const line = `${JSON.stringify(told({ kind: 'read', path: '/flood' }))}\n`;
    node(
      { PATH: process.env['PATH'] },
      `for (let i = 0; i < 32; i++) {
         const socket = require('node:net').connect(${JSON.stringify(path)});
         socket.on('error', () => {}).write('{"probe":1}\\n');
         const more = () => { while (socket.write(${JSON.stringify(line)}.repeat(250))); socket.once('drain', more); };
         more();
       }`,
    );
    await heard(() => expect(busyMs).toBeGreaterThan(500));
    const [from, before] = [performance.now(), busyMs];
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect((busyMs - before) / (performance.now() - from)).toBeLessThan(0.6);
    for (const child of children) child.kill('SIGKILL');
    await listener.stop();
  });

  it('a Node program that was started without the probe, and runs, is noticed', async () => {
    probe = await openRunProbe(options());
    const { target } = (probe as RunProbe).into(options());
    const env = 'launch' in target ? target.launch.env : {};
    tree = new TrackedTree({ roots: [], marker: RUN });
    const child = node(plain(env), `setInterval(() => {}, 5)`);
    const { ProbeSensor } = await import('../../src/warden/probe-sensor.ts');
    const { ProbeListener } = await import('../../src/warden/probe-listener.ts');
    const listener = await ProbeListener.listen<{ readonly pid: number }>(join(folder, 'other'), () => undefined);
    sensor = new ProbeSensor({ tree, reader: procReader(), listener, mode: 'enforce_kill', isAgentNode: true, lookMs: 50 });
    await sensor.start({ tree, emit: () => {}, died: (error) => void died.push(error.message) });
    const start = procReader().stat(child.pid ?? 0)?.start ?? 0;
    tree.addRoot({ pid: child.pid ?? 0, start, exe: process.execPath });
    await heard(() => expect(died).toEqual([`process ${child.pid} runs Node without the probe`]));
  });
});

describe('what is launched', () => {
  it.each([
    ['#!/usr/bin/env node\n', true],
    ['#!/usr/bin/env -S node --no-warnings\n', true],
    ['#! /usr/local/bin/node\n', true],
    ['#!/usr/bin/env python3\n# node\n', false],
    ['#!/bin/sh\nnode agent.js\n', false],
    ['node\n', false],
    ['', false],
  ])('%j is a Node program: %s', (text, expected) => {
    const path = join(folder, 'agent');
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    symlinkSync(path, join(folder, 'link'));
    expect(isNodeProgram(join(folder, 'link'))).toBe(expected);
  });

  it.skipIf(native() === undefined)('that is not Node is said to have no probe, and raises no level', async () => {
    const given = options();
    const launch = { ...('launch' in given.target ? given.target.launch : undefined), program: '/bin/sh' };
    await on({ ...given, target: { launch } } as WatchOptions);
    expect(probe?.says).toContain('THE AGENT ITSELF IS NO NODE PROGRAM');
    expect(sensor?.level).toBe('L0');
  });

  it('has none where nobody asked for it, nor what is attached to', async () => {
    expect(await openRunProbe({ ...options(), probe: false })).toBeUndefined();
    expect(await openRunProbe({ ...options(), target: { pid: 1 } })).toBeUndefined();
  });
});
