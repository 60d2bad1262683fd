/** A server that cannot be started is one that ended at once, whatever way the system says so: nobody is thrown at. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Upstream, type UpstreamOptions } from '../src/upstream.ts';

const FIXTURE = fileURLToPath(new URL('fixtures/no-descriptors.ts', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-upstream-'));
  writeFileSync(join(folder, 'file'), 'no program');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it.each<[string, () => Partial<UpstreamOptions>, number]>([
  ['is not there', () => ({ command: join(folder, 'nothing') }), 127],
  ['is no program', () => ({ command: join(folder, 'file') }), 126],
  ['stands in a folder that is none', () => ({ command: join(folder, 'file/below') }), 126],
  ['is to run in a folder that is none', () => ({ cwd: join(folder, 'file/below') }), 126],
  ['has more arguments than the system takes', () => ({ args: ['x'.repeat(4_000_000)] }), 126],
  ['has a NUL in an argument', () => ({ args: ['a\0b'] }), 126],
  ['has a NUL in its name', () => ({ command: 'a\0b' }), 126],
])('one that %s', async (_what, options, code) => {
  const upstream = new Upstream({ command: process.execPath, args: ['--version'], ...options() });
  expect(upstream.pid).toBeUndefined();
  upstream.stdin.write('nobody reads this');
  for (const stream of [upstream.stdout, upstream.stderr]) stream.resume();
  upstream.signal('SIGTERM');
  upstream.terminate();
  expect(await upstream.ended).toMatchObject({ code, reason: expect.stringMatching(/^the server could not be started: ./) });
  upstream.kill();
});

it.skipIf(process.platform === 'win32')('one for which no file descriptor is left', async () => {
  const command = `ulimit -n 64; exec "$0" --conditions=@countersign/source --no-warnings "$1"`;
  const child = spawn('/bin/sh', ['-c', command, process.execPath, FIXTURE], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let said: unknown = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.on('message', (message) => (said = message));
  await new Promise((resolve) => child.once('exit', resolve));
  expect(said).toEqual({ code: 126, reason: expect.stringMatching(/^the server could not be started: .*EMFILE/) });
});
