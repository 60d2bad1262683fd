import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Bridge } from '../../src/http/bridge.ts';
import { type HttpListener, listenHttp } from '../../src/http/listener.ts';
import { type StdioBridgeOptions, stdioBridge } from '../../src/http/stdio-bridge.ts';
import { TaskOwners } from '../../src/http/task-owners.ts';
import { isObject, type JsonObject } from '../../src/message.ts';
import { FakeGuard } from '../fake-guard.ts';
import { Exchange, type Got } from './http-client.ts';
import { INITIALIZE, modern } from './remote-client.ts';

const SERVER = fileURLToPath(new URL('../fixtures/pipe-server.mjs', import.meta.url));
let folder: string;
let guard: FakeGuard;
let logged: string[];
let bridge: Bridge;
let listener: HttpListener;

async function start(options: Partial<StdioBridgeOptions> = {}): Promise<void> {
  bridge = stdioBridge({
    command: process.execPath,
    args: [SERVER, join(folder, 'received')],
    guard: async () => guard,
    server: 'piped',
    stderr: new PassThrough().resume(),
    log: (text) => logged.push(text),
    killGraceMs: 200,
    ...options,
  });
  listener = await listenHttp({ handler: bridge, port: 0, log: (text) => logged.push(text) });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-bridge-'));
  guard = new FakeGuard();
  logged = [];
});
afterEach(async () => {
  const closed = listener.close(0);
  await bridge.close();
  await closed;
  rmSync(folder, { recursive: true, force: true });
});

const received = (): string[] =>
  existsSync(join(folder, 'received')) ? readFileSync(join(folder, 'received'), 'utf8').split('\n').slice(0, -1) : [];
const pids = (): number[] => readFileSync(join(folder, 'received.pids'), 'utf8').split('\n').slice(0, -1).map(Number);
const untilReceived = (claim: (lines: string[]) => boolean): Promise<void> =>
  vi.waitFor(() => expect(claim(received())).toBe(true), { timeout: 30_000, interval: 10 });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const post = (message: JsonObject | string, headers: Record<string, string> = {}): Exchange =>
  new Exchange(listener.url, 'POST', headers, typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }));

interface Session {
  readonly headers: Record<string, string>;
  post(message: JsonObject | string): Exchange;
}

async function begin(version = '2025-06-18'): Promise<Session> {
  const got = await post({ ...INITIALIZE, params: { ...(INITIALIZE['params'] as JsonObject), protocolVersion: version } }).done;
  expect(got.status).toBe(200);
  const headers = { 'mcp-session-id': String(got.headers['mcp-session-id']), 'mcp-protocol-version': version };
  const session = { headers, post: (message: JsonObject | string) => post(message, headers) };
  expect((await session.post({ method: 'notifications/initialized' }).done).status).toBe(202);
  return session;
}

const call = (id: unknown, name: string, args: JsonObject = {}, meta?: JsonObject): JsonObject => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args, ...(meta !== undefined && { _meta: meta }) },
});
const textOf = ({ messages }: Pick<Got, 'messages'>): unknown => {
  const { result } = (messages.at(-1) ?? {}) as { readonly result?: { readonly content?: readonly { readonly text: string }[] } };
  const text = result?.content?.[0]?.text;
  return text === undefined ? undefined : JSON.parse(text);
};

it.each([
  ['a blank body', ' \n'],
  ['an id that nobody follows', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
])('does not let an exchange wait for ever for an answer to %s', async (_what, body) => {
  await start();
  const session = await begin();
  const { messages } = await session.post(body).done;
  expect(messages.filter((message) => Object.hasOwn(message, 'result'))).toEqual([]);
  expect((await session.post(call(1, 'echo')).done).messages).toMatchObject([{ id: 1, result: {} }]);
});

it('does not make a message of what is none: of two byte order marks one stays', async () => {
  await start();
  const session = await begin();
  const body = `\ufeff\ufeff${JSON.stringify({ jsonrpc: '2.0', ...call(1, 'echo') })}`;
  expect((await session.post(body).done).status).toBe(400);
  expect((await session.post(body.slice(1)).done).messages).toMatchObject([{ id: 1, result: {} }]);
  expect(received().filter((line) => line.includes('tools/call'))).toHaveLength(1);
  expect(guard.calls).toHaveLength(1);
});

/** A server that cannot be started; the system says so at once, not later: the folder is below a file. */
const cannotStart = (): Partial<StdioBridgeOptions> => ({ cwd: join(SERVER, 'below') });

it('answers who begins a session where the server cannot be started, and serves on', async () => {
  await start(cannotStart());
  for (const id of [1, 2]) {
    const got = await post({ ...INITIALIZE, id }).done;
    expect(got.messages).toMatchObject([{ id, error: { code: -32_000, message: expect.stringContaining('could not be started') } }]);
  }
});

describe('the log names the server whose first greeting failed', () => {
  const scripted = (script: string): Partial<StdioBridgeOptions> => ({ args: ['-e', script] });
  const answering = (answer: string): Partial<StdioBridgeOptions> =>
    scripted(`process.stdin.once('data', () => process.stdout.write(${JSON.stringify(`${answer}\n`)})); setInterval(() => {}, 1000)`);

  it.each([
    ['one that cannot be started', cannotStart(), /^server piped began no session: the server could not be started/],
    ['one that is not there', { command: '/nowhere/server' }, /^server piped began no session: .*not found/],
    ['one that ends with a code', scripted('process.exit(3)'), /^server piped began no session: the server ended with exit code 3$/],
    ['one that ends well', scripted(''), /^server piped began no session: the server ended with exit code 0$/],
    [
      'one that says no',
      answering('{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"hunter2"}}'),
      /^server piped began no session: it answered initialize with an error$/,
    ],
  ])('%s, in one line', async (_what, options, line) => {
    await start(options);
    const got = await post({ ...INITIALIZE, id: 1 }).done;
    expect(got.messages).toMatchObject([{ id: 1, error: {} }]);
    await bridge.close();
    expect(logged.filter((each) => each.includes('piped'))).toEqual([expect.stringMatching(line)]);
    expect(logged.filter((each) => each.includes('the server'))).toHaveLength(line.source.includes('answered') ? 0 : 1);
    expect(logged.join()).not.toContain('hunter2');
  });

  it('but not one that was never asked, and not for a greeting that came later', async () => {
    await start();
    expect((await post('{"jsonrpc":"2.0","id":1,"id":2,"method":"initialize","params":{}}').done).messages).toMatchObject([{ error: {} }]);
    const session = await begin();
    await session.post({ ...INITIALIZE, id: 9, params: { protocolVersion: 'bad' } }).done;
    await bridge.close();
    expect(logged.filter((each) => each.includes('piped'))).toEqual([]);
  });

  it('and one that ends in the middle of a session', async () => {
    await start();
    const session = await begin();
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(logged).toContain('server piped: the server ended with SIGKILL'), { timeout: 10_000 });
    expect((await session.post(call(1, 'echo')).done).status).toBe(404);
  });
});

it("a task that is not remembered any more is nobody's", () => {
  const tasks = new TaskOwners(2);
  for (const id of ['1', '2', '2']) tasks.made(id, 'a');
  const objection = (taskId: string, owner: string): string | undefined =>
    tasks.objectionTo({ method: 'tasks/get', params: { taskId } }, owner);
  expect(objection('3', 'a')).toBeUndefined();
  tasks.made('3', 'b');
  expect(['1', '2', '3'].map((id) => objection(id, 'a') === undefined)).toEqual([false, true, false]);
  tasks.clear();
  expect(objection('1', 'b')).toBeUndefined();
});

/** Longer than beginning a session takes, on whatever machine. */
const IDLE_MS = 1_500;

describe('a session over HTTP in front of a server over stdio', () => {
  it('passes messages as they are, denies what is denied, and says 202 to a notification', async () => {
    await start();
    const session = await begin();
    const odd = '{"id" : 1.0, "params":{"x":1.0,\r\n"name":"\\u0061"},"method":"ping","jsonrpc":"2.0"}';
    expect((await session.post(odd).done).status).toBe(200);
    expect(textOf(await session.post(call(2, 'echo', { a: 1 })).done)).toEqual({ a: 1 });
    expect((await session.post(call(3, 'denied')).done).messages).toMatchObject([{ id: 3, result: { isError: true } }]);
    expect(received()).toContain(odd.replace('\r\n', '  '));
    expect(received().join()).not.toContain('denied');
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['success']);
  });

  it('has an id nobody guesses, and a process of its own', async () => {
    await start();
    const [one, two] = [await begin(), await begin()];
    expect(one.headers['mcp-session-id']).toMatch(/^[\w-]{43}$/);
    expect(one.headers['mcp-session-id']).not.toBe(two.headers['mcp-session-id']);
    const ids = [textOf(await one.post(call(1, 'pid')).done), textOf(await two.post(call(1, 'pid')).done)];
    expect(new Set(ids).size).toBe(2);
  });

  it.each([
    ['an unknown session', { 'mcp-session-id': 'a'.repeat(43) }, 404],
    ['no session', {}, 400],
  ])('refuses %s', async (_what, headers, status) => {
    await start();
    expect((await post(call(1, 'echo'), headers).done).status).toBe(status);
    expect((await new Exchange(listener.url, 'GET', headers).done).status).toBe(status === 404 ? 404 : 405);
    expect((await new Exchange(listener.url, 'DELETE', headers).done).status).toBe(status === 404 ? 404 : 405);
    expect(guard.calls).toEqual([]);
    expect(existsSync(join(folder, 'received.pids'))).toBe(false);
  });

  it.each(['{"id":1,', '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}]', '"text"'])(
    'refuses %s without a server, and records it',
    async (body) => {
      await start();
      expect(await post(body).done).toMatchObject({ status: 400, messages: [{ id: null, error: {} }] });
      expect(guard.refusals.length).toBe(1);
      expect(existsSync(join(folder, 'received.pids'))).toBe(false);
    },
  );

  it('gives progress to the call it is about', async () => {
    await start();
    const session = await begin();
    const held = session.post(call(1, 'never', {}, { progressToken: 'other' }));
    await untilReceived((lines) => lines.some((line) => line.includes('never')));
    const got = await session.post(call(2, 'progress', {}, { progressToken: 7 })).done;
    expect(got.messages.map((message) => message['params'] ?? message['id'])).toEqual([
      { progressToken: 7, progress: 1, total: 2 },
      { progressToken: 7, progress: 2, total: 2 },
      2,
    ]);
    expect(held.messages).toEqual([]);
    held.hangUp();
  });

  it('asks the client on the stream of the call, and takes its answer', async () => {
    await start();
    const session = await begin();
    const asking = session.post(call(1, 'ask'));
    await asking.until(({ messages }) => messages.some(({ method }) => method === 'sampling/createMessage'));
    expect((await session.post({ id: 900, result: { said: 'yes' } }).done).status).toBe(202);
    expect(textOf(await asking.done)).toEqual({ said: 'yes' });
  });

  it('keeps what the server says by itself for the stream of the session', async () => {
    await start();
    const session = await begin();
    const stream = new Exchange(listener.url, 'GET', session.headers);
    await vi.waitFor(async () => {
      await session.post(call('c', 'changed')).done;
      expect(stream.messages.length).toBeGreaterThan(0);
    }, 20_000);
    expect(stream.messages[0]).toMatchObject({ method: 'notifications/tools/list_changed' });
    const [seen = ''] = stream.ids;
    stream.hangUp();
    await session.post(call('d', 'changed')).done;
    const again = new Exchange(listener.url, 'GET', { ...session.headers, 'last-event-id': seen });
    await again.until(({ messages }) => messages.length > 0);
    again.hangUp();
  });

  it('gives the answer of a call whose connection broke to whoever comes back for it, with the session', async () => {
    await start();
    const session = await begin('2025-11-25');
    const broken = session.post(call(1, 'hold'));
    await broken.until(({ ids }) => ids.length === 1);
    await untilReceived((lines) => lines.some((line) => line.includes('hold')));
    broken.hangUp();
    await session.post(call(2, 'release')).done;
    const back = await new Exchange(listener.url, 'GET', { ...session.headers, 'last-event-id': broken.ids[0] ?? '' }).done;
    expect(back.messages).toMatchObject([{ id: 1, result: {} }]);
    // Another session has other streams, whatever their ids are.
    const other = await begin('2025-11-25');
    const stolen = await new Exchange(listener.url, 'GET', { ...other.headers, 'last-event-id': broken.ids[0] ?? '' }).done;
    expect(stolen).toMatchObject({ status: 400, messages: [{ id: null }] });
    expect(guard.outcomes.length).toBe(2);
  });

  it.each(['', 'x', '1', '1_', '-1_1', '99_1', '1_99999', '1_1_1', '__proto__'])('knows no event %j', async (lastId) => {
    await start();
    const session = await begin();
    const got = await new Exchange(listener.url, 'GET', { ...session.headers, 'last-event-id': lastId }).done;
    expect(got.status).toBe(400);
  });

  it('ends the process with the session, and answers what waits', async () => {
    await start();
    const session = await begin();
    const waiting = session.post(call(1, 'never'));
    await untilReceived((lines) => lines.some((line) => line.includes('never')));
    const [pid = 0] = pids();
    expect((await new Exchange(listener.url, 'DELETE', session.headers).done).status).toBe(204);
    expect(await waiting.done).toMatchObject({ messages: [{ id: 1, error: { code: -32000 } }] });
    expect((await session.post(call(2, 'echo')).done).status).toBe(404);
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 30_000 });
  });

  it('answers for a process that dies, and knows the session no more', async () => {
    await start();
    const session = await begin();
    const waiting = session.post(call(1, 'never'));
    await untilReceived((lines) => lines.some((line) => line.includes('never')));
    const dying = session.post(call(2, 'die'));
    for (const each of [waiting, dying])
      expect(await each.done).toMatchObject({ messages: [{ error: { code: -32000, message: 'the server ended with exit code 3' } }] });
    await vi.waitFor(async () => expect((await session.post(call(3, 'echo')).done).status).toBe(404), { timeout: 30_000 });
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['error', 'error']);
  });

  it('ends sessions that nobody uses, and makes room by that', async () => {
    await start({ maxSessions: 1 });
    const first = await begin();
    const held = first.post(call(1, 'never'));
    await untilReceived((lines) => lines.some((line) => line.includes('never')));
    expect((await post(INITIALIZE).done).status).toBe(503);
    first.post({ method: 'notifications/cancelled', params: { requestId: 1 } });
    held.hangUp();
    await vi.waitFor(async () => expect((await post(INITIALIZE).done).status).toBe(200), { timeout: 30_000, interval: 100 });
    expect((await first.post(call(2, 'echo')).done).status).toBe(404);
  });

  it('ends a session whose client went away in the middle of a call', async () => {
    await start({ sessionIdleMs: IDLE_MS });
    const session = await begin();
    const held = session.post(call(1, 'never'));
    await untilReceived((lines) => lines.some((line) => line.includes('never')));
    expect(pids().filter(isAlive).length).toBe(1);
    held.hangUp();
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), { timeout: 30_000, interval: 20 });
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it('ends sessions after a while', async () => {
    await start({ sessionIdleMs: IDLE_MS });
    const session = await begin();
    await vi.waitFor(async () => {
      // Each post keeps it alive for as long again.
      await new Promise((resolve) => setTimeout(resolve, 2 * IDLE_MS));
      expect((await session.post({ method: 'notifications/x' }).done).status).toBe(404);
    }, 30_000);
  });

  it('begins no session for a client that is gone, or whose handshake fails', async () => {
    await start();
    const gone = post(INITIALIZE);
    gone.hangUp();
    const failing = await post({ ...INITIALIZE, method: 'initialize', params: {} }).done;
    expect(failing.headers['mcp-session-id']).toBeDefined();
    await bridge.close();
    expect(pids().filter(isAlive)).toEqual([]);
  });
});

describe('the stateless protocol in front of a server over stdio', () => {
  const headersOf = (message: JsonObject): Record<string, string> => {
    const params = message['params'] as JsonObject;
    const name = params['name'];
    return {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': String(message['method']),
      ...(typeof name === 'string' && { 'mcp-name': name }),
    };
  };
  const ask = (message: JsonObject, headers: Record<string, string> = {}): Exchange => post(message, { ...headersOf(message), ...headers });
  const modernCall = (id: unknown, name: string, args: JsonObject = {}, meta: JsonObject = {}): JsonObject => {
    const message = modern(id, 'tools/call', { name, arguments: args });
    const params = message['params'] as JsonObject;
    return { ...message, params: { ...params, _meta: { ...(params['_meta'] as JsonObject), ...meta } } };
  };

  it('the log names the server that ended', async () => {
    await start();
    await ask(modernCall(1, 'echo')).done;
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(logged).toContain('server piped: the server ended with SIGKILL'), { timeout: 10_000 });
  });

  it('serves clients with the same ids and tokens from one process, and each gets what is its own', async () => {
    await start();
    const token = { progressToken: 1 };
    const asked = Array.from({ length: 20 }, (_, i) => ask(modernCall(1, i % 2 === 0 ? 'progress' : 'echo', { i }, token)));
    const got = await Promise.all(asked.map(({ done }) => done));
    for (const [i, each] of got.entries()) {
      expect(each.messages.at(-1)).toMatchObject({ id: 1 });
      expect(textOf(each)).toEqual(i % 2 === 0 ? 'done' : { i });
      expect(each.messages.slice(0, -1)).toEqual(
        i % 2 === 0
          ? [1, 2].map((progress) => ({
              jsonrpc: '2.0',
              method: 'notifications/progress',
              params: { progressToken: 1, progress, total: 2 },
            }))
          : [],
      );
    }
    expect(pids().length).toBe(1);
    const ids = received().map((line) => (JSON.parse(line) as { readonly id: unknown }).id);
    expect(new Set(ids).size).toBe(20);
  });

  it('changes only the id and the token of a request, and puts them back', async () => {
    await start();
    const body =
      '{ "id" : "\\u0061-1","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28", "progressToken" :"t"},"name":"odd","arguments":{"n":1.50,"id":"mine"}} ,"method":"tools/call","jsonrpc":"2.0"}';
    const got = await post(body, { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'odd' }).done;
    expect(got.body).toBe('{"result" : {"n":1.0,"id":"x"},\t"jsonrpc":"2.0", "id": "\\u0061-1" }');
    const [line = ''] = received();
    const given = (JSON.parse(line) as { readonly id: string }).id;
    expect(line).toBe(body.replace('"\\u0061-1"', JSON.stringify(given)).replace(':"t"', `:${JSON.stringify(given)}`));
  });

  it('lets nobody cancel, answer or change what another asked', async () => {
    await start();
    const victim = ask(modernCall(1, 'hold'));
    await untilReceived((lines) => lines.length === 1);
    const pipeId = (JSON.parse(received()[0] ?? '') as { readonly id: unknown }).id;
    const meta = modern(1, 'x')['params'];
    for (const requestId of [1, pipeId]) {
      const cancel = { method: 'notifications/cancelled', params: { ...(meta as JsonObject), requestId } };
      expect((await post(cancel, { 'mcp-protocol-version': '2026-07-28' }).done).status).toBe(202);
      const answer = { id: requestId, result: { content: [] } };
      expect((await post(answer).done).status).toBe(400);
    }
    // An id of the pipe is another's id like any other one.
    expect(textOf(await ask(modernCall(pipeId, 'echo', { mine: true })).done)).toEqual({ mine: true });
    await ask(modernCall(2, 'release')).done;
    expect(await victim.done).toMatchObject({ messages: [{ id: 1, result: {} }] });
    expect(received().some((line) => line.includes('cancelled'))).toBe(false);
  });

  it.each(['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update'])('lets nobody reach the task of another by %s', async (method) => {
    await start();
    const [alice, bob] = [{ authorization: 'Bearer a' }, { authorization: 'Bearer b' }];
    expect((await ask(modernCall(1, 'task', { taskId: 'task-1' }), alice).done).messages).toMatchObject([{ result: { taskId: 'task-1' } }]);
    const about = (taskId: string, who: Record<string, string>): Promise<Got> =>
      ask(modern(2, method, { taskId }), { ...who, ...(method !== 'tasks/result' && { 'mcp-name': taskId }) }).done;
    for (const headers of [bob, {}]) expect((await about('task-1', headers)).messages).toMatchObject([{ id: 2, error: { code: -32_050 } }]);
    expect(await ask(modern(3, 'tasks/list'), bob).done).toMatchObject({ status: 404, messages: [{ id: 3, error: { code: -32_601 } }] });
    expect(received().filter((line) => line.includes('"tasks/'))).toEqual([]);
    expect((await about('task-1', alice)).messages).toMatchObject([{ id: 2, result: { method } }]);
    // The server says whether there is one.
    expect((await about('task-2', bob)).messages).toMatchObject([{ id: 2, result: { method } }]);
    // What is made again by the same name, after the process was, is its maker's.
    process.kill(pids()[0] ?? 0, 'SIGKILL');
    await vi.waitFor(() => expect(logged.join()).toContain('SIGKILL'), { timeout: 10_000 });
    await vi.waitFor(async () => expect((await ask(modernCall(4, 'task', { taskId: 'task-1' }), bob).done).body).toContain('task-1'), {
      timeout: 10_000,
    });
    expect((await about('task-1', alice)).messages).toMatchObject([{ id: 2, error: { code: -32_050 } }]);
    expect((await about('task-1', bob)).messages).toMatchObject([{ id: 2, result: { method } }]);
  });

  it.each([
    ['by its name', { notifications: { taskIds: ['task-1'] } }],
    ['beside one of their own', { notifications: { taskIds: ['task-2', 'task-1'] } }],
    ['by a name that some readers take for it', { notifications: { TaskIds: ['task-1'] } }],
    ['where some readers look too', { taskIds: ['task-1'] }],
    ['by what is no list', { notifications: { taskIds: 'task-1' } }],
    ['by what is no name', { notifications: { taskIds: [['task-1']] } }],
  ])('lets nobody listen to the task of another, which tells of its result: %s', async (_what, params) => {
    await start();
    const [alice, bob] = [{ authorization: 'Bearer a' }, { authorization: 'Bearer b' }];
    await ask(modernCall(1, 'task', { taskId: 'task-1' }), alice).done;
    const got = await ask(modern(2, 'subscriptions/listen', params), bob).done;
    expect(got.messages).toMatchObject([{ id: 2, error: { code: -32_050 } }]);
    expect(received().filter((line) => line.includes('listen'))).toEqual([]);
    const own = ask(modern(2, 'subscriptions/listen', { notifications: { taskIds: ['task-1'] } }), alice);
    await untilReceived((lines) => lines.some((line) => line.includes('"taskIds":["task-1"]')));
    own.hangUp();
  });

  it.each([
    ['beside more than a task has', { resultType: 'task', taskId: 'task-1', status: 'working', more: 1 }],
    ['beside a result', { content: [], task: { taskId: 'task-1', status: 'working' } }],
    ['beside another task', { resultType: 'task', taskId: 'task-1', task: { taskId: 'task-0' } }],
  ])('ties a task to its client however it was told: %s', async (_what, result) => {
    await start();
    const [alice, bob] = [{ authorization: 'Bearer a' }, { authorization: 'Bearer b' }];
    await ask(modernCall(1, 'as-told', { result }), alice).done;
    const about = (who: Record<string, string>): Promise<Got> =>
      ask(modern(2, 'tasks/get', { taskId: 'task-1' }), { ...who, 'mcp-name': 'task-1' }).done;
    expect((await about(bob)).messages).toMatchObject([{ id: 2, error: { code: -32_050 } }]);
    expect((await about(alice)).messages).toMatchObject([{ id: 2, result: {} }]);
  });

  it('lets nobody make a session of the process that others share', async () => {
    await start();
    const got = await ask(modern(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {} })).done;
    expect([got.status, got.messages]).toMatchObject([404, [{ id: 1, error: { code: -32_601 } }]]);
    expect(received()).toEqual([]);
  });

  it('gives nobody what the server says of no request', async () => {
    await start();
    const other = ask(modernCall(1, 'hold'));
    await untilReceived((lines) => lines.length === 1);
    const got = await ask(modernCall(1, 'log')).done;
    expect(got.body).not.toContain('secret of one client');
    await ask(modernCall(3, 'release')).done;
    expect((await other.done).body).not.toContain('secret of one client');
    expect(logged).toContain('dropped a message that belongs to no request');
  });

  it('takes the first of two answers, and none to a request nobody sent', async () => {
    await start();
    expect(textOf(await ask(modernCall(1, 'twice')).done)).toBe('first');
    expect(logged.filter((line) => line.includes('no open request')).length).toBeGreaterThan(0);
    expect(guard.outcomes.length).toBe(1);
  });

  it('brings a subscription what is its own, under the id its client gave', async () => {
    await start();
    const listen = (uri: string): Exchange => ask(modern('sub', 'subscriptions/listen', { uri }));
    const one = listen('a');
    await one.until(({ messages }) => messages.length === 1);
    const two = listen('b');
    await two.until(({ messages }) => messages.length === 1);
    expect([one, two].map(({ messages }) => messages[0]?.['params'])).toEqual(
      ['a', 'b'].map((uri) => ({ uri, _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub' } })),
    );
    one.hangUp();
    await untilReceived((lines) => lines.some((line) => line.includes('notifications/cancelled')));
    const cancelled = received().filter((line) => line.includes('notifications/cancelled'));
    const [first = ''] = received();
    expect(cancelled.map((line) => (JSON.parse(line) as { params: unknown }).params)).toEqual([
      { requestId: (JSON.parse(first) as { id: unknown }).id },
    ]);
    two.hangUp();
  });

  it('tells the server that a client hung up on a call, and records it', async () => {
    await start({ cancelGraceMs: 1 });
    const hanging = ask(modernCall(1, 'never'));
    await untilReceived((lines) => lines.length === 1);
    hanging.hangUp();
    await untilReceived((lines) => lines.some((line) => line.includes('notifications/cancelled')));
    await vi.waitFor(() => expect(guard.outcomes).toMatchObject([{ outcome: { status: 'cancelled' } }]), { timeout: 30_000 });
  });

  it('runs nothing for a client that hung up while its call was decided', async () => {
    await start();
    const deciding = Promise.withResolvers<'allow'>();
    guard.decide = () => deciding.promise;
    const hanging = ask(modernCall(1, 'echo'));
    await vi.waitFor(() => expect(guard.calls.length).toBe(1), { timeout: 30_000 });
    hanging.hangUp();
    await vi.waitFor(() => expect(guard.options[0]?.signal?.aborted).toBe(true), { timeout: 30_000 });
    deciding.resolve('allow');
    await vi.waitFor(() => expect(guard.outcomes).toMatchObject([{ outcome: { status: 'cancelled' } }]), { timeout: 30_000 });
    expect(existsSync(join(folder, 'received.pids'))).toBe(false);
  });

  it('answers everybody when the process dies, and starts another', async () => {
    await start();
    const waiting = [1, 2, 3].map(() => ask(modernCall(1, 'never')));
    await untilReceived((lines) => lines.length === 3);
    const dying = ask(modernCall(9, 'die'));
    for (const each of [...waiting, dying]) expect(await each.done).toMatchObject({ messages: [{ error: { code: -32000 } }] });
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(Array(4).fill('error'));
    await vi.waitFor(async () => expect(textOf(await ask(modernCall(1, 'echo', { again: true })).done)).toEqual({ again: true }), {
      timeout: 30_000,
      interval: 100,
    });
    expect(pids().length).toBe(2);
  });

  it('answers a call whose answer is too large', async () => {
    await start();
    expect(await ask(modernCall(1, 'huge')).done).toMatchObject({ messages: [{ id: 1, error: { code: -32051 } }] });
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it.each([
    ['version', { 'mcp-protocol-version': '2025-11-25' }],
    ['no version', { 'mcp-protocol-version': '' }],
    ['method', { 'mcp-method': 'tools/list' }],
    ['method in another case', { 'mcp-method': 'Tools/Call' }],
    ['name', { 'mcp-name': 'denied' }],
    ['name in bad base64', { 'mcp-name': '=?base64?!?=' }],
    ['parameter', { 'mcp-param-region': 'us' }],
  ])('refuses a header that says something else than the message (%s)', async (_what, headers) => {
    await start();
    await ask(modern(1, 'tools/list')).done;
    const region = { 'mcp-param-region': 'eu' };
    expect((await ask(modernCall(2, 'echo', { region: 'eu' }), region).done).status).toBe(200);
    const got = await ask(modernCall(3, 'echo', { region: 'eu' }), { ...region, ...headers }).done;
    expect(got).toMatchObject({ status: 400, messages: [{ id: 3, error: { code: -32020 } }] });
    expect(guard.calls.length).toBe(1);
    expect(guard.refusals.length).toBe(1);
  });

  it.each([
    [-32_601, 404],
    [-32_020, 400],
    [-32_021, 400],
    [-32_022, 400],
    [-32_602, 200],
    [-32_603, 200],
    [-32_001, 200],
  ])('says error %i by the status too, where the protocol ties it to one: %i', async (code, status) => {
    await start();
    expect(await ask(modernCall(1, 'error', { code })).done).toMatchObject({ status, messages: [{ id: 1, error: { code } }] });
    const session = await begin();
    expect(await session.post(call(2, 'error', { code })).done).toMatchObject({ status: 200, messages: [{ id: 2, error: { code } }] });
  });

  it('takes an error for one of the envelope where that lacks something, and a result that speaks of errors for a result', async () => {
    await start();
    const [version, capabilities] = ['io.modelcontextprotocol/protocolVersion', 'io.modelcontextprotocol/clientCapabilities'];
    for (const lacking of [{ [version]: '2026-07-28' }, { [version]: '2026-07-28', [capabilities]: [] }]) {
      const message = { id: 1, method: 'tools/call', params: { name: 'error', arguments: { code: -32_602 }, _meta: lacking } };
      expect(await ask(message).done).toMatchObject({ status: 400, messages: [{ id: 1, error: { code: -32_602 } }] });
    }
    const got = await ask(modernCall(2, 'echo', { error: { code: -32_601 } })).done;
    expect([got.status, textOf(got)]).toEqual([200, { error: { code: -32_601 } }]);
  });

  it.each([
    ['no version', { _meta: { 'io.modelcontextprotocol/clientCapabilities': {} } }],
    ['a version that is none', { _meta: { 'io.modelcontextprotocol/protocolVersion': '\n' } }],
    ['a number', { _meta: { 'io.modelcontextprotocol/protocolVersion': 2026 } }],
    ['no _meta', {}],
    ['a _meta that is none', { _meta: [] }],
  ])('does not take a request for one of a session that says in its header that it is none, and has %s', async (_what, params) => {
    await start();
    const message = { id: 'x', method: 'tools/call', params: { name: 'echo', ...params } };
    const got = await ask(message).done;
    expect(got).toMatchObject({ status: 400, messages: [{ id: 'x', error: { code: -32_602 } }] });
    expect(await ask(message, { 'mcp-protocol-version': '2025-11-25' }).done).toMatchObject({
      status: 400,
      messages: [{ error: { code: -32_000 } }],
    });
    expect(received()).toEqual([]);
    expect([guard.calls.length, guard.refusals.length]).toEqual([0, 1]);
  });

  it('is asked whether it speaks that at all without a session', async () => {
    await start();
    const got = await ask(modern('d', 'fails')).done;
    expect(got.messages).toMatchObject([{ id: 'd', error: { code: -32601 } }]);
    expect(isObject(got.messages[0])).toBe(true);
  });

  it('answers who asks where the process cannot be started, with an outcome for what was decided, and serves on', async () => {
    await start(cannotStart());
    for (const id of [1, 2]) expect(await ask(modernCall(id, 'echo')).done).toMatchObject({ messages: [{ id, error: { code: -32_000 } }] });
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['error', 'error']);
  });
});
