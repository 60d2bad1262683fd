import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { ScopeDocument } from '@countersign/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openSandbox } from '../../src/sandbox/sandbox.ts';
import type { Sandbox } from '../../src/sandbox/sandbox-kind.ts';
import { loadScope } from '../../src/scope/load.ts';
import { type MadeUp, madeUp, type Ran, runPrepared } from './confined.ts';

const first = await openSandbox({ by: 'srt', whenMissing: 'without' }, loadScope({ document: {} }));
await first.sandbox?.close();
const noSrt = first.contained.missing[0]?.why;
if (noSrt !== undefined) console.warn(`SKIPPED: ${noSrt}`);

async function opened(scope: ScopeDocument): Promise<Sandbox> {
  const { sandbox } = await openSandbox({ by: 'srt', whenMissing: 'refuse' }, loadScope({ document: scope }));
  if (sandbox === undefined) throw new Error('not there');
  onTestFinished(() => sandbox.close());
  return sandbox;
}

async function run(
  script: string,
  world: MadeUp,
  scope: ScopeDocument = {},
  args: readonly string[] = [],
  own: readonly string[] = [],
): Promise<Ran> {
  const sandbox = await opened(scope);
  const prepared = await sandbox.prepare(
    {
      program: process.execPath,
      args: ['-e', script, world.home, world.workspace, world.tmp, world.secret, ...args],
      cwd: world.workspace,
      env: { PATH: '/usr/bin:/bin', HOME: world.home },
    },
    { workspace: world.workspace, home: world.home, own },
  );
  return runPrepared(prepared);
}

const PRELUDE = `
const fs = require('node:fs'), path = require('node:path'), net = require('node:net');
const [home, workspace, tmp, secret, ...rest] = process.argv.slice(1);
const tried = (fn) => { try { fn(); return 'done'; } catch (error) { return error.code ?? String(error); } };
const say = (value) => console.log(JSON.stringify(value));
`;

async function outcome(script: string, ...rest: [MadeUp, ScopeDocument?, (readonly string[])?, (readonly string[])?]): Promise<unknown> {
  const { out, error, code } = await run(`${PRELUDE}${script}`, ...rest);
  expect({ error, code }).toEqual({ error: '', code: 0 });
  return JSON.parse(out);
}

describe.skipIf(noSrt !== undefined)(`under sandbox-runtime (${noSrt ?? 'here'})`, { timeout: 60_000 }, () => {
  it('homes hold nothing but what is granted, nothing outside of it is written, and the workspace is its own', async () => {
    const world = madeUp();
    writeFileSync(join(world.home, 'notes'), 'x');
    const got = await outcome(
      `say({
        secret: tried(() => fs.readFileSync(secret)), notes: tried(() => fs.readFileSync(path.join(home, 'notes'))), home: fs.readdirSync(home),
        out: tried(() => fs.writeFileSync('/etc/countersign-was-here', 'x')), root: tried(() => fs.writeFileSync('/countersign-was-here', 'x')),
        write: tried(() => fs.writeFileSync('made', 'x')), tmp: tried(() => fs.writeFileSync('/tmp/countersign-' + process.ppid, 'x')), tmpGone: tried(() => fs.unlinkSync('/tmp/countersign-' + process.ppid)),
        shadow: tried(() => { if (process.getuid() === 0 && fs.readFileSync('/etc/shadow', 'utf8') !== '') throw new Error('it was read'); }),
      })`,
      world,
    );
    const missing = 'ENOENT';
    expect(got).toMatchObject({
      secret: missing,
      notes: missing,
      home: ['work'],
      out: 'EROFS',
      root: 'EROFS',
      write: 'done',
      tmp: 'done',
      tmpGone: 'done',
    });
    expect((got as Record<string, string>)['shadow']).not.toMatch(/was read/); // printed by the script above
    expect(readFileSync(join(world.workspace, 'made'), 'utf8')).toBe('x');
    for (const path of ['/etc/countersign-was-here', '/countersign-was-here']) expect(existsSync(path)).toBe(false);
  });

  it('hides what is forbidden in the workspace, by path, pattern and ending, and what is our own; keeps what may not be written', async () => {
    const world = madeUp();
    const file = (name: string): string => join(world.workspace, name);
    for (const folder of ['private', 'deep/er', 'rules']) mkdirSync(file(folder), { recursive: true });
    for (const name of ['private/a', 'deep/er/.env', 'deep/key.pem', 'rules/a', 'ledger.db', 'plain']) writeFileSync(file(name), 'SECRET');
    const scope = {
      filesystem: { forbidden_paths: ['private/**', '**/.env'], forbidden_extensions: ['.pem'], forbidden_writes: ['rules/**'] },
    };
    const got = await outcome(
      `const bytes = (name) => { try { return fs.readFileSync(name, 'utf8'); } catch (error) { return error.code; } };
      say({ read: ['private/a', 'deep/er/.env', 'deep/key.pem', 'ledger.db', 'rules/a', 'plain'].map(bytes),
        write: ['private/a', 'deep/er/.env', 'deep/key.pem', 'ledger.db', 'rules/a', 'rules/b', 'plain'].map((name) => tried(() => fs.writeFileSync(name, 'changed'))),
        away: ['deep/er/.env', 'private', 'rules'].map((name) => tried(() => fs.renameSync(name, 'elsewhere'))) })`,
      world,
      scope,
      [],
      [file('ledger.db')],
    );
    const { read, write, away } = got as Record<string, readonly string[]>; // printed by the script above
    expect(read?.slice(0, 4).filter((text) => text.includes('SECRET'))).toEqual([]);
    expect(read?.slice(4)).toEqual(['SECRET', 'SECRET']);
    expect(write?.slice(4)).toEqual(['EROFS', 'EROFS', 'done']);
    expect(away).toEqual(['EBUSY', 'EBUSY', 'EBUSY']);
    for (const name of ['private/a', 'deep/er/.env', 'deep/key.pem', 'ledger.db', 'rules/a'])
      expect([name, readFileSync(file(name), 'utf8')]).toEqual([name, 'SECRET']);
  });

  it.each([
    ['blanks and quotes', ['a b', "it's", '"', "'", "''", '']],
    ['what a shell would run', ['$(touch pwned)', '`touch pwned`', '; touch pwned', '| touch pwned', '&& touch pwned', '$HOME', '${IFS}']],
    ['lines', ['a\nb', '\n', 'a\r\nb', '#', '\\', '\\\\\n', '!!', '*', '?', '~', '--', '-e', '<x', '>pwned', '(', '{a,b}']],
    ['the end of a quotation', ["'; touch pwned; '", `'"'"'; touch pwned; '"'"'`, '\u0007\u001b[31m', 'é\u2028', '\ud83d\ude00']],
  ])('arguments reach the program as they are: %s', async (_, args) => {
    const world = madeUp();
    expect(await outcome('say(rest)', world, {}, args)).toEqual(args);
    expect(existsSync(join(world.workspace, 'pwned'))).toBe(false);
  });

  it('a program that stands before bubblewrap in PATH is not run in its place', async () => {
    const world = madeUp();
    for (const name of ['bwrap', 'socat', 'bash', 'rg'])
      writeFileSync(join(world.workspace, name), `#!/bin/sh\ntouch ${world.workspace}/pwned\n`, { mode: 0o755 });
    const sandbox = await opened({});
    const env = { PATH: `${world.workspace}:/usr/bin:/bin`, HOME: world.home };
    const prepared = await sandbox.prepare(
      { program: '/bin/sh', args: ['-c', 'echo in'], cwd: world.workspace, env },
      { ...world, own: [] },
    );
    expect(await runPrepared(prepared)).toEqual({ code: 0, out: 'in\n', error: '' });
    expect(existsSync(join(world.workspace, 'pwned'))).toBe(false);
  });

  it('standard streams are its own, its end is told, and nothing of it is left', async () => {
    const world = madeUp();
    const sandbox = await opened({});
    const script = 'cat; echo problem >&2; sleep 300 & exit 7';
    const command = { program: '/bin/sh', args: ['-c', script], cwd: world.workspace, env: { PATH: '/usr/bin:/bin' } };
    expect(await runPrepared(await sandbox.prepare(command, { ...world, own: [] }), 'line\u0000\u00ff\n')).toEqual({
      code: 7,
      out: 'line\u0000\u00ff\n',
      error: 'problem\n',
    });
  });

  it('reaches no server of this host, not even past its proxy, and no host the scope does not name', async () => {
    let met = 0;
    const server = createServer((socket) => {
      met++;
      socket.destroy();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const script = `
      const direct = new Promise((done) => net.connect(+rest[0], '127.0.0.1', () => done('done')).on('error', (error) => done(error.code)));
      const { hostname, port, username, password } = new URL(process.env.HTTP_PROXY);
      const through = (target) => new Promise((done) => require('node:http').request({ host: hostname, port, method: 'CONNECT', path: target,
        headers: { 'proxy-authorization': 'Basic ' + Buffer.from(username + ':' + password).toString('base64') } })
        .on('connect', (answer, socket) => { socket.destroy(); done(answer.statusCode); }).on('error', (error) => done(error.code)).end());
      (async () => say([await direct, await through('127.0.0.1:' + rest[0]), await through('localhost:' + rest[0]), await through('other.example:443')]))()`;
    expect(await outcome(script, madeUp(), { network: { allowed_domains: ['allowed.example'] } }, [String(port)])).toEqual([
      'ECONNREFUSED',
      403,
      403,
      403,
    ]);
    expect(met).toBe(0);
  });

  it('one scope at a time: a second is refused, and there is room again after the first is closed', async () => {
    const held = await opened({});
    await expect(openSandbox({ by: 'srt', whenMissing: 'refuse' }, loadScope({ document: {} }))).rejects.toMatchObject({
      code: 'MONITOR_UNAVAILABLE',
    });
    await held.close();
    await opened({});
  });
});
