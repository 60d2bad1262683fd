/** What `doctor` says of the model that judges and of who is told of halts: tried within a bound, and nobody else is contacted. */

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { modelServer } from '../../../monitor/test/judge/model-server.ts';
import { json, project, type Ran, run } from '../harness.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const env = { HOOK: SECRET };

interface Finding {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly next?: string;
}

async function doctor(monitor: string, more: NodeJS.ProcessEnv = env): Promise<{ ran: Ran; judge?: Finding; alerts?: Finding }> {
  const cwd = await project(`monitor: ${monitor}\n`);
  const ran = await run(['doctor', '--json'], { cwd, env: more });
  const found = json(ran)['checks'] as readonly Finding[];
  const of = (name: string) => found.find((each) => each.name === name);
  const [judge, alerts] = [of('judge'), of('alerts')];
  return { ran, ...(judge !== undefined && { judge }), ...(alerts !== undefined && { alerts }) };
}

const judged = (url: string, more = '') => doctor(`{ judge: { url: ${JSON.stringify(url)}${more} } }`);
const hook = (url: string, more = '') => `{ url: ${JSON.stringify(url)}, secret: { env: HOOK }${more} }`;
const told = (...hooks: readonly string[]) => doctor(`{ alerts: { webhooks: [${hooks.join(', ')}] } }`);

/** Counts what is said to it. @param greet - what it does with who connects. */
async function listener(
  greet: (socket: Socket) => void = () => {},
): Promise<{ port: number; connections: () => number; bytes: () => number }> {
  let [connections, bytes] = [0, 0];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on('data', (chunk) => (bytes += chunk.length)).on('error', () => {});
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections, bytes: () => bytes };
}

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

it('asks nobody where nobody is configured', async () => {
  const fetched = vi.spyOn(globalThis, 'fetch');
  onTestFinished(() => fetched.mockRestore());
  const { judge, alerts } = await doctor('{ alerts: { levels: [halt] } }');
  expect([judge, alerts]).toEqual([undefined, undefined]);
  expect(fetched).not.toHaveBeenCalled();
});

it('a judge that is there, with its model', async () => {
  const { url, asked } = await modelServer(() => {});
  const { judge, ran } = await judged(url);
  expect(judge).toEqual({ name: 'judge', status: 'ok', message: `${url} has qwen3:4b` });
  expect(ran.code).toBe(0);
  // Nothing was put to the model.
  expect(asked).toEqual([]);
});

it('a model that is not there, whatever the server calls its others', async () => {
  const { url } = await modelServer(() => {}, { models: [{ name: '\u001b[2Jqwen3:4b' }, { name: { toString: 'qwen3:4b' } }, null, 7] });
  const { judge } = await judged(url);
  expect(judge).toMatchObject({ status: 'warn', message: expect.stringContaining('has no model qwen3:4b: run `ollama pull qwen3:4b`') });
  expect(JSON.stringify(judge)).not.toContain('[2J');
});

it.each([
  ['cannot be reached', async () => `http://127.0.0.1:${await closedPort()}`],
  ['did not answer in time', async () => `http://127.0.0.1:${(await listener()).port}`],
])('a judge that %s is a warning, within the bound', async (why, urlOf) => {
  const started = performance.now();
  const { judge, ran } = await judged(await urlOf(), ', timeout: 200ms');
  expect(judge).toMatchObject({
    status: 'warn',
    message: expect.stringMatching(new RegExp(`${why}.*\nwhat rules leave open stays a FLAG$`)),
  });
  expect(ran.code).toBe(0);
  expect(performance.now() - started).toBeLessThan(30_000);
});

it.each<[string, unknown]>([
  ['no list', { models: 'qwen3:4b' }],
  ['a list of lists', [['qwen3:4b']]],
  ['nothing', null],
])('%s has no model in it', async (_, tags) => {
  const { url } = await modelServer(() => {}, tags);
  expect((await judged(url)).judge).toMatchObject({ status: 'warn', message: expect.stringContaining('has no model') });
});

it('is not led elsewhere by a redirect', async () => {
  const { createServer: createHttp } = await import('node:http');
  const elsewhere = await listener();
  const server = createHttp((_, response) => response.writeHead(302, { location: `http://127.0.0.1:${elsewhere.port}/` }).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { judge } = await judged(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(judge).toMatchObject({ status: 'warn', message: expect.stringContaining('a redirect, which is never followed') });
  expect(elsewhere.connections()).toBe(0);
});

it.each(['http://ana:hunter2@127.0.0.1:1/', 'ftp://hunter2.example/', 'hunter2', 'http://127.0.0.1:1/?key=hunter2'])(
  'a judge at %s fails, and the url is not repeated',
  async (url) => {
    const { judge, ran } = await judged(url);
    expect(judge).toMatchObject({ status: 'fail', message: expect.stringContaining('OPTIONS_INVALID') });
    expect(ran.stdout + ran.stderr).not.toContain('hunter2');
    expect(ran.code).toBe(1);
  },
);

it('the path of a judge is not shown, and plain http at another host is warned of', async () => {
  const fetched = vi.spyOn(globalThis, 'fetch').mockImplementation(() => Promise.resolve(answered()));
  onTestFinished(() => fetched.mockRestore());
  const answered = (): Response => Response.json({ models: [{ name: 'qwen3:4b' }] });
  const { judge, ran } = await judged('http://models.example/hunter2/');
  expect(judge).toMatchObject({
    status: 'warn',
    message: expect.stringMatching(/^http:\/\/models\.example has qwen3:4b\n.*plain http at another host/),
  });
  expect(ran.stdout + ran.stderr).not.toContain('hunter2');
  expect(fetched.mock.calls.map(([url]) => url)).toEqual([new URL('http://models.example/hunter2/api/tags')]);
});

it('a webhook that is there is connected to, and gets no byte', async () => {
  const receiver = await listener();
  const { alerts, ran } = await told(hook(`http://127.0.0.1:${receiver.port}/services/hunter2`));
  expect(alerts).toMatchObject({
    status: 'ok',
    message: `connected to, and no alert was sent\nwebhook 127.0.0.1:${receiver.port}: somebody is there`,
  });
  await expect.poll(receiver.connections).toBe(1);
  expect(receiver.bytes()).toBe(0);
  expect(ran.stdout + ran.stderr).not.toMatch(/hunter2|whsec_/);
});

it('webhooks that are not there are warned of, each with its reason', async () => {
  const plain = await listener((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const { alerts, ran } = await told(
    hook(`http://127.0.0.1:${await closedPort()}/hunter2`),
    hook(`https://127.0.0.1:${plain.port}/hunter2`),
    hook('https://nobody.invalid/hunter2'),
  );
  const [heading, refused, notTls, unknown] = alerts?.message.split('\n') ?? [];
  expect(alerts?.status).toBe('warn');
  expect(heading).toBe('3 of 3 webhooks are not there now: alerts would be lost');
  expect(refused).toMatch(/: the receiver refused the connection$/);
  expect(notTls).toMatch(/: the receiver (?:could not prove its identity: TLS failed|closed the connection without an answer)$/);
  expect(unknown).toMatch(/^webhook nobody\.invalid: the receiver cannot be (?:found: its name is not known here|reached)$/);
  expect(ran.code).toBe(0);
  expect(ran.stdout + ran.stderr).not.toMatch(/hunter2|whsec_/);
});

it('one that takes the connection and speaks no TLS is given up', async () => {
  const silent = await listener();
  const { alerts } = await told(hook(`https://127.0.0.1:${silent.port}/`));
  expect(alerts).toMatchObject({ status: 'warn', message: expect.stringContaining('the receiver did not answer within 3000 ms') });
});

it.each([
  ['credentials in it', 'https://ana:hunter2@pager.example/', ''],
  ['a query', 'https://pager.example/?key=hunter2', ''],
  ['plain http to another host', 'http://pager.example/hunter2', ''],
  ['no URL', 'pager hunter2', ''],
  ['another protocol', 'file:///hunter2', ', allow_insecure: true'],
])('a webhook url with %s fails, is not repeated, and nobody is contacted', async (_, url, more) => {
  const { alerts, ran } = await told(hook(url, more));
  expect(alerts).toMatchObject({ status: 'fail', message: expect.stringContaining('1 of 1 webhooks cannot be used') });
  expect(ran.stdout + ran.stderr).not.toMatch(/hunter2|whsec_/);
  expect(ran.code).toBe(1);
});

it('a secret that is not there fails, and the others are still looked at', async () => {
  const receiver = await listener();
  const { alerts } = await told(hook(`http://127.0.0.1:${receiver.port}/`), `{ url: "https://pager.example/", secret: { env: NONE } }`);
  expect(alerts?.message).toContain('monitor.alerts.webhooks[1].secret: the variable NONE is not set');
  expect(alerts?.message).toContain(': somebody is there');
});

const commanded = (...words: readonly string[]) => doctor(`{ alerts: { command: ${JSON.stringify(words)} } }`);

it('a command that is there is named by its file, and not run', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-alert-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const ran = join(folder, 'ran');
  await writeFile(join(folder, 'tell-me'), `#!/bin/sh\ntouch ${ran}\n`, { mode: 0o755 });
  const { alerts, ran: done } = await commanded(join(folder, 'tell-me'), 'hunter2');
  expect(alerts).toEqual({ name: 'alerts', status: 'ok', message: `no alert was sent\ncommand ${join(folder, 'tell-me')}: can be run` });
  expect(existsSync(ran)).toBe(false);
  expect(done.stdout + done.stderr).not.toContain('hunter2');
  expect(done.code).toBe(0);
});

it.each([
  ['is in no folder of PATH', 'countersign-no-such-program', 'not found in the folders of PATH'],
  ['is not where it is said to be', '/nowhere/hunter', 'not found'],
  ['is a folder', '/usr', 'not executable'],
  ['may not be run', '/etc/passwd', 'not executable'],
  ['has a name that no file has', 'a\0b', 'not found'],
])('a command that %s fails', async (_, program, why) => {
  const { alerts, ran } = await commanded(program);
  expect(alerts).toMatchObject({
    status: 'fail',
    message: expect.stringContaining(why),
    next: expect.stringContaining('monitor.alerts.command'),
  });
  expect(ran.code).toBe(1);
});

it('a command by a relative path is warned of: which file that is depends on where the agent is run', async () => {
  const cwd = await project('monitor: { alerts: { command: [./tell-me] } }\n');
  await writeFile(join(cwd, 'tell-me'), '#!/bin/sh\n', { mode: 0o755 });
  const ran = await run(['doctor', '--json'], { cwd, env });
  const alerts = (json(ran)['checks'] as readonly Finding[]).find(({ name }) => name === 'alerts');
  expect(alerts).toMatchObject({ status: 'warn', message: expect.stringContaining('./tell-me: taken from the folder') });
});

it('of a command and a webhook the worse counts, and both are told', async () => {
  const receiver = await listener();
  const { alerts } = await doctor(`{ alerts: { command: [/nowhere], webhooks: [${hook(`http://127.0.0.1:${receiver.port}/`)}] } }`);
  expect(alerts).toMatchObject({ status: 'fail', message: expect.stringMatching(/somebody is there\n(.*\n)?.*\/nowhere: not found/) });
});

it('certificates that are not checked are no proof', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  onTestFinished(() => void vi.unstubAllEnvs());
  const receiver = await listener();
  const { alerts } = await told(hook(`https://127.0.0.1:${receiver.port}/`));
  expect(alerts?.message).toContain('NODE_TLS_REJECT_UNAUTHORIZED=0');
  expect(receiver.connections()).toBe(0);
});
