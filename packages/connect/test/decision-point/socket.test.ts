import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { claimSocket, MAX_SOCKET_BYTES } from '../../src/http/private-socket.ts';
import { ANA, BOB, EVALUATION, PERMITS, point, TOKENS, wanted } from './point.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'cs-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function ask(
  socketPath: string,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', headers: { 'content-type': 'application/json', ...headers } }, resolve);
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode ?? 0, body: text };
}

describe.skipIf(process.platform === 'win32')('a unix socket', () => {
  it('lets its owner ask as the agent of the configuration, without a token', async () => {
    const path = join(folder(), 'own', 'd.sock');
    await point({ socket: { path, owner: ANA } });
    expect([lstatSync(path).mode & 0o777, lstatSync(join(path, '..')).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(JSON.parse((await ask(path, PERMITS, wanted('read'))).body)).toMatchObject({ kind: 'permit' });
    expect(await ask(path, PERMITS, { ...wanted('read'), subject: { type: 'agent', id: BOB } })).toMatchObject({ status: 403 });
  });

  it('takes tokens as well, and a wrong one for nobody', async () => {
    const path = join(folder(), 'own', 'd.sock');
    await point({ socket: { path, owner: ANA } });
    const asBob = { ...wanted('read'), subject: { type: 'agent', id: BOB } };
    expect(JSON.parse((await ask(path, PERMITS, asBob, { authorization: `Bearer ${TOKENS[BOB]}` })).body)).toMatchObject({
      kind: 'permit',
    });
    expect((await ask(path, PERMITS, wanted('read'), { authorization: `Bearer ${TOKENS[BOB]}` })).status).toBe(403);
    for (const authorization of ['Bearer wrong', '', 'Basic YTpi'])
      expect((await ask(path, PERMITS, wanted('read'), { authorization })).status).toBe(401);
  });

  it.each(['evil.example', '127.0.0.1', 'localhost:80', 'localhost.', 'localhost:0'])('is not reached as %j', async (host) => {
    const path = join(folder(), 'own', 'd.sock');
    await point({ socket: { path, owner: ANA } });
    expect((await ask(path, EVALUATION, wanted('read'), { host })).status).toBe(421);
  });

  it('is gone when it is closed, and may be laid again where a process died', async () => {
    const path = join(folder(), 'd.sock');
    const { served } = await point({ socket: { path, owner: ANA } });
    await served.close();
    expect(existsSync(path)).toBe(false);
    // What a killed process leaves behind: a socket nobody listens on.
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${path}.alive`, resolve));
    const { linkSync } = await import('node:fs');
    linkSync(`${path}.alive`, path);
    await new Promise((resolve) => server.close(resolve));
    expect(lstatSync(path).isSocket()).toBe(true);
    await claimSocket(path);
    expect(existsSync(path)).toBe(false);
  });

  it.each<[string, (at: string) => string | Promise<string>, string]>([
    ['its folder is open to the group', (at) => open(at, 0o750), 'is open to other users (mode 750)'],
    ['its folder is open to all', (at) => open(at, 0o777), 'is open to other users (mode 777)'],
    ['its folder is open, and nothing else lies there', (at) => open(at, 0o755), 'run: chmod 700 '],
    ['its folder is open, and is the home of others', shared, 'name a folder of its own'],
    ['its folder is a link', linkTo, 'is no folder, or a link to one'],
    ['a file stands there', (at) => write(at), 'is something else than a socket, and was left as it is'],
    ['somebody listens', listening, 'is in use: another process listens there'],
    ['its path is relative', () => 'serve/d.sock', 'must be absolute'],
    ['its path is long', (at) => join(at, 'x'.repeat(MAX_SOCKET_BYTES)), 'longer than 103 bytes'],
    ['its path holds a NUL', (at) => `${at}/a\u0000b`, 'must be absolute'],
  ])('is not laid when %s', async (_name, prepare, message) => {
    const path = await prepare(folder());
    await expect(claimSocket(path)).rejects.toMatchObject({ code: 'OPTIONS_INVALID', message: expect.stringContaining(message) });
    await expect(point({ socket: { path, owner: ANA } })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });
});

function open(at: string, mode: number): string {
  mkdirSync(join(at, 'f'));
  chmodSync(join(at, 'f'), mode);
  return join(at, 'f', 'd.sock');
}

function shared(at: string): string {
  const path = open(at, 0o1777);
  writeFileSync(join(path, '..', 'theirs'), '');
  return path;
}

function linkTo(at: string): string {
  mkdirSync(join(at, 'real'), { mode: 0o700 });
  symlinkSync(join(at, 'real'), join(at, 'link'));
  return join(at, 'link', 'd.sock');
}

function write(at: string): string {
  writeFileSync(join(at, 'd.sock'), 'mine');
  return join(at, 'd.sock');
}

async function listening(at: string): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(at, 'd.sock'), resolve));
  onTestFinished(() => void server.close());
  return join(at, 'd.sock');
}
