/** What a poll knows of unix sockets: real ones, and messages that are none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import type { Observation } from '../../src/activity.ts';
import { native } from '../../src/native/native.ts';
import { ruleEngine } from '../../src/rules/engine.ts';
import { defaultScope } from '../../src/scope/load.ts';
import { procPoll } from '../../src/sensors/proc-poll.ts';
import { parseUnixSockets, peersOf, unixPeers } from '../../src/sensors/unix-peers.ts';
import { procReader } from '../../src/tree/proc-fs.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

function client(path: string): ChildProcess {
  const child = spawn(process.execPath, ['-e', `require('net').connect(${JSON.stringify(path)}); setTimeout(() => {}, 60_000)`], {
    stdio: 'ignore',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

it.skipIf(native() === undefined)(
  'a poll sees who talks to the socket of a container engine, and the rules halt it; who serves it does not talk to it',
  async () => {
    const folder = mkdtempSync(join(realpathSync(tmpdir()), 'unix-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, 'docker.sock');
    const server = createServer().listen(path);
    onTestFinished(() => void server.close());
    const child = client(path);
    const reader = procReader();
    const pid = child.pid ?? 0;
    // The server too: what was accepted is no connection of its own.
    const root = (of: number) => ({ pid: of, start: reader.stat(of)?.start ?? 0 });
    const tree = new TrackedTree({ roots: [root(pid), root(process.pid)] });
    const sensor = procPoll({ tree, intervalMs: 50 });
    const seen: Observation[] = [];
    await sensor.start({ tree, emit: (observation) => void seen.push(observation), died: () => {} });
    onTestFinished(() => sensor.stop());
    const those = () => seen.filter(({ action }) => action.kind === 'connect' && action.address === path);
    await vi.waitFor(() => expect(those()).toHaveLength(1), { timeout: 20_000, interval: 50 });
    const [found] = those();
    expect(found).toMatchObject({ actor: { pid }, action: { kind: 'connect', protocol: 'unix', address: path } });
    const engine = ruleEngine(defaultScope(), { workspace: folder, home: '/home/ann' });
    expect(engine.judge({ ...(found as Observation), seq: 1, attribution: { method: 'none' } })).toMatchObject({
      level: 'HALT',
      rule: 'container-socket',
    });
    // Once.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(those()).toHaveLength(1);
  },
  60_000,
);

function message(inode: number, attributes: readonly (readonly [number, Buffer])[], type = 20): Buffer {
  const body = Buffer.alloc(16);
  body[0] = 1;
  body.writeUInt32LE(inode, 4);
  const parts = attributes.map(([kind, value]) => {
    const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
    bytes.writeUInt16LE(4 + value.length, 0);
    bytes.writeUInt16LE(kind, 2);
    value.copy(bytes, 4);
    return bytes;
  });
  const header = Buffer.alloc(16);
  const all = Buffer.concat([header, body, ...parts]);
  all.writeUInt32LE(all.length, 0);
  all.writeUInt16LE(type, 4);
  return all;
}
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

it('a socket is connected to what its peer was bound to', () => {
  const bytes = Buffer.concat([
    message(7, [[2, word(8)]]),
    message(8, [
      [0, Buffer.from('/run/docker.sock\0')],
      [2, word(7)],
    ]),
    message(9, [[0, Buffer.from('\0abstract')]]),
    message(10, [[2, word(9)]]),
  ]);
  const { sockets, isLast } = parseUnixSockets(bytes);
  expect(isLast).toBe(false);
  expect([...peersOf(sockets)]).toEqual([
    [7, '/run/docker.sock'],
    [10, '\0abstract'],
  ]);
});

it.each([
  ['nothing', Buffer.alloc(0)],
  ['half a header', Buffer.alloc(9)],
  ['a length of none', Buffer.alloc(64)],
  ['one that is cut off', message(7, [[2, word(8)]]).subarray(0, 30)],
  ['of another kind', message(7, [[2, word(8)]], 99)],
])('%s is no socket, and ends', (_, bytes) => {
  expect(parseUnixSockets(bytes).sockets).toEqual([]);
});

it('an error ends it, and without the calls there is none', () => {
  expect(parseUnixSockets(message(1, [], 2))).toEqual({ sockets: [], isLast: true });
  expect(unixPeers({ ...(native() ?? ({} as never)), socket: () => -13 }).size).toBe(0);
});
