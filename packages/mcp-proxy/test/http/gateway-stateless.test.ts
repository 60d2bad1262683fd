/** Several servers as one, over HTTP, for clients without sessions (2026-07-28): what one can do, and what it cannot do to another. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createGuard, type Guard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { JsonObject } from '../../src/message.ts';
import { Exchange, type Got } from './http-client.ts';
import { json, type Received, recordingServer } from './recording-http-server.ts';
import { modern } from './remote-client.ts';
import { isAlive, twoServers } from './two-servers.ts';

const PATIENCE = { timeout: 30_000, interval: 20 };
const SERVER = fileURLToPath(new URL('../fixtures/stateless-server.mjs', import.meta.url));
const VERSION = '2026-07-28';
const behind = twoServers(SERVER);
const { start, linesOf, pids } = behind;
const open: Exchange[] = [];

afterEach(() => {
  for (const exchange of open.splice(0)) exchange.hangUp();
});

const callsOf = (server: string): JsonObject[] =>
  linesOf(server)
    .map((line) => JSON.parse(line) as JsonObject)
    .filter(({ method }) => method === 'tools/call' || method === 'prompts/get');

interface Sending {
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

/** A request as a client of this protocol sends it. */
function send(message: JsonObject, { token, headers }: Sending = {}): Exchange {
  const params = message['params'] as { readonly name?: string };
  const exchange = new Exchange(
    behind.url,
    'POST',
    {
      'mcp-protocol-version': VERSION,
      'mcp-method': String(message['method']),
      ...(params.name !== undefined && { 'mcp-name': params.name }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    JSON.stringify({ jsonrpc: '2.0', ...message }),
  );
  open.push(exchange);
  return exchange;
}

const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
function call(id: unknown, name: string, args: JsonObject = {}, more: JsonObject = {}): JsonObject {
  const { params, ...rest } = modern(id, 'tools/call', { name, arguments: args, ...more });
  const { _meta, ...other } = params as { readonly _meta: JsonObject };
  return {
    ...rest,
    params: { ...other, _meta: { ..._meta, [CAPABILITIES]: { elicitation: { form: {} } }, ...(more['_meta'] as object) } },
  };
}

const textOf = (got: Got): unknown => {
  const { result } = got.messages.at(-1) as { readonly result: { readonly content: readonly [{ readonly text: string }] } };
  return JSON.parse(result.content[0].text);
};

interface Asked {
  readonly requestState: string;
  readonly inputResponses: JsonObject;
}
/** The question in an answer, and what a client brings back with it. */
function askedIn(got: Got, answer: JsonObject = { action: 'accept', content: {} }): Asked {
  const { result } = got.messages.at(-1) as { readonly result: JsonObject };
  expect(result['resultType']).toBe('input_required');
  const keys = Object.keys(result['inputRequests'] as JsonObject);
  return { requestState: String(result['requestState']), inputResponses: Object.fromEntries(keys.map((key) => [key, answer])) };
}

describe('a client without a session', () => {
  it('of the SDK discovers, lists and calls; policy decides on the own names of the servers', async () => {
    await start();
    expect(pids()).toEqual([]);
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new StreamableHTTPClientTransport(new URL(behind.url)));
    onTestFinished(() => client.close());
    expect(client.getProtocolEra()).toBe('modern');
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['one__echo', 'one__pay', 'two__echo', 'two__pay']);
    expect(await client.callTool({ name: 'two__echo', arguments: { a: 1 } })).toMatchObject({ content: [{ text: '{"a":1}' }] });
    expect(await client.callTool({ name: 'one__denied', arguments: {} })).toMatchObject({ isError: true });
    expect(behind.guard.calls.map(({ tool }) => [tool.server, tool.name])).toEqual([
      ['two', 'echo'],
      ['one', 'denied'],
    ]);
    expect(callsOf('one')).toEqual([]);
    expect(pids().length).toBe(2);
  });

  it('gets no list that another may keep, nor one for longer than its servers say', async () => {
    await start();
    const [listed] = (await send(modern(1, 'tools/list')).done).messages;
    // A tool is hidden by policy: the list is this client's.
    expect(listed).toMatchObject({ result: { resultType: 'complete', ttlMs: 60_000, cacheScope: 'private' } });
    expect(JSON.stringify(listed)).not.toContain('denied');
    const [discovered] = (await send(modern(2, 'server/discover')).done).messages;
    expect(discovered).toMatchObject({ result: { ttlMs: 0, cacheScope: 'private', supportedVersions: [VERSION] } });
  });

  it.each([
    ['no method', { 'mcp-method': '' }, 'mcp-method'],
    ['another method', { 'mcp-method': 'tools/list' }, 'mcp-method'],
    ['another tool', { 'mcp-name': 'two__echo' }, 'mcp-name'],
    ["the server's own name", { 'mcp-name': 'echo' }, 'mcp-name'],
    ['another version', { 'mcp-protocol-version': '2099-01-01' }, 'mcp-protocol-version'],
    ['another parameter', { 'mcp-param-region': 'us' }, 'mcp-param-region'],
  ])('is refused when a header says otherwise: %s', async (_what, headers, named) => {
    await start();
    await send(modern(1, 'tools/list')).done;
    const got = await send(call(2, 'one__echo', { region: 'eu' }), { headers }).done;
    expect(got).toMatchObject({ status: 400, messages: [{ id: 2, error: { code: -32020, message: expect.stringContaining(named) } }] });
    expect([callsOf('one'), callsOf('two'), behind.guard.calls]).toEqual([[], [], []]);
    await vi.waitFor(() => expect(behind.guard.refusals).toHaveLength(1), PATIENCE);
    const right = send(call(3, 'one__echo', { region: 'eu' }), { headers: { 'mcp-param-region': 'eu' } });
    expect(textOf(await right.done)).toEqual({ region: 'eu' });
  });

  it('that names versions nobody speaks spoils nothing for others, first or in between', async () => {
    await start();
    const of = (version: string, id: number): Exchange => {
      const text = JSON.stringify(call(id, 'one__echo', { id })).replaceAll(VERSION, version);
      return send(JSON.parse(text) as JsonObject, { headers: { 'mcp-protocol-version': version } });
    };
    const sent = Array.from({ length: 30 }, (_, i) => ({ i, exchange: i % 2 === 0 ? of(`2099-01-${10 + i}`, i) : of(VERSION, i) }));
    for (const { i, exchange } of sent) {
      const got = await exchange.done;
      if (i % 2 === 0) expect(got).toMatchObject({ messages: [{ id: i, error: {} }] });
      else expect(textOf(got)).toEqual({ id: i });
    }
    expect(callsOf('one')).toHaveLength(15);
  });

  it('makes no session of what others share, and speaks for nobody else', async () => {
    await start();
    const initialize = modern(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x' } });
    expect(await send(initialize).done).toMatchObject({ status: 404, messages: [{ id: 1, error: { code: -32601 } }] });
    for (const method of ['notifications/initialized', 'notifications/cancelled', 'notifications/progress']) {
      const { params } = modern(1, method, { requestId: 'countersign-1', progressToken: 'countersign-1' });
      expect((await send({ method, params }).done).status).toBe(202);
    }
    for (const [id, method] of ['logging/setLevel', 'resources/subscribe', 'no/such'].entries())
      expect(await send(modern(id, method, { level: 'debug', uri: 'file:///a' })).done).toMatchObject({
        status: 404,
        messages: [{ id, error: { code: -32601 } }],
      });
    expect(textOf(await send(call(9, 'one__echo', { still: true })).done)).toEqual({ still: true });
    expect(linesOf('one').join()).not.toMatch(/initialize|cancelled|progress|setLevel|subscribe/);
  });

  it.each([
    ['half an id', '{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":PARAMS}'],
    ['two ids', '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":PARAMS}'],
    ['two methods', '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":PARAMS}'],
    ['two names', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"one__denied","name":"one__echo","_meta":META}}'],
    ['a key that looks like another', '{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"x","params":PARAMS}'],
    [
      'a state that Go would read',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"RequestState":"x","name":"one__echo","_meta":META}}',
    ],
    ['a tool of no server', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"one_echo","_meta":META}}', 'one_echo'],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":PARAMS}]'],
    ['half a message', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":PARAMS'],
  ])('is refused and recorded for %s', async (_what, template, name = 'one__echo') => {
    await start();
    const { params } = modern(0, '', { name });
    const { _meta } = params as { readonly _meta: JsonObject };
    const body = template.replace('PARAMS', JSON.stringify(params)).replace('META', JSON.stringify(_meta));
    const headers = { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/call', 'mcp-name': name };
    const got = await new Exchange(behind.url, 'POST', headers, body).done;
    expect(got.messages).toMatchObject([{ error: {} }]);
    await vi.waitFor(() => expect(behind.guard.refusals).toHaveLength(1), PATIENCE);
    expect([callsOf('one'), callsOf('two'), behind.guard.calls]).toEqual([[], [], []]);
  });
});

describe('clients without sessions are not in reach of one another', () => {
  it.each(['the same', 'other'])('with %s credentials: ids, answers, progress and cancellation', async (credentials) => {
    await start();
    const [mine, theirs] = ['mine', credentials === 'other' ? 'theirs' : 'mine'];
    await send(call(1, 'one__echo'), { token: mine }).done;
    const held = send(call(1, 'one__hold', { as: 'first' }), { token: mine });
    await vi.waitFor(() => expect(callsOf('one').at(-1)).toMatchObject({ params: { name: 'hold' } }), PATIENCE);
    // The same id and token at the same time.
    const moves = (by: string, at: number): Promise<Got> =>
      send(call(1, 'one__progress', { at }, { _meta: { progressToken: 1 } }), { token: by }).done;
    const [one, two] = await Promise.all([moves(mine, 1), moves(theirs, 2)]);
    const progressed = ({ messages }: Got): unknown =>
      messages.flatMap(({ method, params }) => (method === 'notifications/progress' ? [params] : []));
    expect([progressed(one), textOf(one)]).toEqual([[{ progressToken: 1, progress: 1 }], { at: 1 }]);
    expect([progressed(two), textOf(two)]).toEqual([[{ progressToken: 1, progress: 2 }], { at: 2 }]);
    const other = send(call(1, 'one__hold', { as: 'second' }), { token: theirs });
    await vi.waitFor(() => expect(callsOf('one').at(-1)).toMatchObject({ params: { arguments: { as: 'second' } } }), PATIENCE);
    other.hangUp();
    await vi.waitFor(() => expect(linesOf('one').filter((line) => line.includes('notifications/cancelled'))).toHaveLength(1), PATIENCE);
    await send(call(2, 'one__release', { as: 'first' }), { token: mine }).done;
    expect(textOf(await held.done)).toEqual({ released: 'first' });
    expect((await send(call(3, 'one__log'), { token: theirs }).done).body).not.toContain('secret');
    expect(new Set(pids()).size).toBe(credentials === 'other' ? 4 : 2);
  });

  it('each listens under its own id, and to nothing any more once it hung up', async () => {
    await start();
    const listen = (id: string): Exchange => send(modern(id, 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
    const [one, two] = [listen('mine'), listen('mine')];
    const heard = ({ messages }: Exchange): readonly unknown[] => messages.map(({ method, params }) => [method, params]);
    await Promise.all([one, two].map((each) => each.until(({ messages }) => messages.length > 0)));
    await vi.waitFor(() => expect(linesOf('two').filter((line) => line.includes('subscriptions/listen'))).toHaveLength(2), PATIENCE);
    const before = [one, two].map((each) => each.messages.length);
    await send(call(1, 'two__changed')).done;
    const stamp = { _meta: { 'io.modelcontextprotocol/subscriptionId': 'mine' } };
    await Promise.all([one, two].map((each, at) => each.until(({ messages }) => messages.length > (before[at] ?? 0))));
    for (const each of [one, two]) expect(heard(each).at(-1)).toEqual(['notifications/tools/list_changed', stamp]);
    one.hangUp();
    await vi.waitFor(() => expect(linesOf('two').filter((line) => line.includes('notifications/cancelled'))).toHaveLength(1), PATIENCE);
    const count = one.messages.length;
    await send(call(2, 'two__changed')).done;
    await two.until(({ messages }) => messages.length > (before[1] ?? 0) + 1);
    expect(one.messages.length).toBe(count);
    await behind.close();
    expect((await two.done).messages.at(-1)).toMatchObject({ id: 'mine', result: { resultType: 'complete' } });
  });

  it('makes room for a new client by ending the one that was idle longest, and for none while all are busy', async () => {
    await start({ maxSessions: 1 });
    await send(call(1, 'one__echo'), { token: 'first' }).done;
    const first = pids();
    const held = send(call(1, 'one__hold', { as: 'x' }), { token: 'second' });
    await vi.waitFor(() => expect(callsOf('one').at(-1)).toMatchObject({ params: { name: 'hold' } }), PATIENCE);
    await vi.waitFor(() => expect(first.filter(isAlive)).toEqual([]), PATIENCE);
    expect((await send(call(1, 'one__echo'), { token: 'third' }).done).status).toBe(503);
    await behind.close();
    expect((await held.done).messages).toMatchObject([{ id: 1, error: { code: -32000 } }]);
    expect(pids().filter(isAlive)).toEqual([]);
  });

  it('ends the servers of a client that nobody hears of any more', async () => {
    await start({ sessionIdleMs: 200 });
    await send(call(1, 'one__echo')).done;
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), PATIENCE);
    expect(textOf(await send(call(2, 'one__echo', { again: 1 })).done)).toEqual({ again: 1 });
  });
});

describe('what a server wants brought back', () => {
  const asked = async (id: unknown, name: string, args: JsonObject = {}, by: Sending = {}): Promise<Asked> =>
    askedIn(await send(call(id, name, args), by).done);
  /** What of it the server was sent last. */
  const broughtTo = (server: string): JsonObject => {
    const { requestState, inputResponses } = (callsOf(server).at(-1)?.['params'] ?? {}) as JsonObject;
    return { ...(requestState !== undefined && { requestState }), ...(inputResponses !== undefined && { inputResponses }) };
  };

  it('comes back to it as it was, and to nobody else', async () => {
    await start();
    const brought = await asked(1, 'one__ask', { a: 1.5 });
    expect(brought.requestState).not.toContain('state');
    const got = await send(call(2, 'one__ask', { a: 1.5 }, { ...brought })).done;
    expect(textOf(got)).toEqual({ requestState: `state ${join(behind.folder, 'one')} 0`, inputResponses: brought.inputResponses });
    expect(linesOf('two').join()).not.toContain('state');
    expect(behind.guard.calls.map(({ tool }) => tool.name)).toEqual(['ask', 'ask']);
  });

  it('of a prompt too', async () => {
    await start();
    const get = (id: unknown, more: JsonObject = {}): JsonObject => modern(id, 'prompts/get', { name: 'two__p', ...more });
    const brought = askedIn(await send(get(1)).done);
    await send(get(2, { ...brought })).done;
    expect(broughtTo('two')).toEqual({ requestState: `state ${join(behind.folder, 'two')} 0`, inputResponses: brought.inputResponses });
    await send(get(3, { ...brought, arguments: { other: 'x' } })).done;
    expect(broughtTo('two')).toEqual({});
  });

  it.each<[string, (state: string) => string]>([
    ['changed in its middle', (state) => `${state.slice(0, 60)}${state[60] === 'A' ? 'B' : 'A'}${state.slice(61)}`],
    ['changed at its end', (state) => `${state.slice(0, -1)}${state.endsWith('A') ? 'B' : 'A'}`],
    ['cut', (state) => state.slice(0, -1)],
    [
      'the one in it',
      (state) =>
        String((JSON.parse(Buffer.from(state.split('.')[2] ?? '', 'base64url').toString()) as { carried: Asked }).carried.requestState),
    ],
    ['empty', () => ''],
  ])('counts for nothing: %s', async (_how, forge) => {
    await start();
    const brought = await asked(1, 'one__ask');
    const forged = forge(brought.requestState);
    expect(forged).not.toBe(brought.requestState);
    const again = await send(call(2, 'one__ask', {}, { ...brought, requestState: forged })).done;
    // A new call: the server is asked anew, and sees nothing of what was brought.
    expect(askedIn(again).requestState).not.toBe(brought.requestState);
    expect(broughtTo('one')).toEqual({});
    expect(behind.log.join()).toContain('counts for nothing');
  });

  it('counts once, for its own call, server and client', async () => {
    await start();
    const mine = { token: 'mine' };
    const brought = await asked(1, 'one__ask', { a: 1 }, mine);
    const ask = async (name: string, args: JsonObject, by: Sending): Promise<JsonObject> => {
      askedIn(await send(call(2, name, args, { ...brought }), by).done);
      return broughtTo(name.split('__')[0] ?? '');
    };
    expect(await ask('two__ask', { a: 1 }, mine)).toEqual({});
    expect(await ask('one__ask', { a: 2 }, mine)).toEqual({});
    expect(await ask('one__ask', { a: 1 }, { token: 'theirs' })).toEqual({});
    expect(await ask('one__ask', { a: 1 }, {})).toEqual({});
    // None of that used it up.
    expect(textOf(await send(call(3, 'one__ask', { a: 1 }, { ...brought }), mine).done)).toMatchObject({ inputResponses: {} });
    expect(await ask('one__ask', { a: 1 }, mine)).toEqual({});
  });

  it('that no gateway can keep is an error, and not handed on', async () => {
    await start();
    expect(await send(call(1, 'one__odd')).done).toMatchObject({ messages: [{ id: 1, error: { code: -32052 } }] });
  });
});

describe('an approval through the client', () => {
  const YES = { action: 'accept', content: { decision: 'approve' } };
  let real: Guard;
  const begin = async (): Promise<void> => {
    const rules = [{ id: 'ask', tools: ['one/pay', 'two/pay', 'one/ask'], effect: 'require_approval' as const }];
    const policy = rulePolicy({ id: 'p', default: 'allow', rules });
    real = createGuard({ agent: 'test', policy, store: memoryStore(), session: 's' });
    await start({ guard: async () => real, mcp: { holdMs: 0, pins: 'off' }, approvals: { ask: ['form'] } });
  };
  const ask = async (name: string, args: JsonObject, by: Sending): Promise<Asked> => askedIn(await send(call(1, name, args), by).done, YES);
  const paid = (): number => [...callsOf('one'), ...callsOf('two')].filter(({ params }) => (params as JsonObject)['name'] === 'pay').length;

  it('runs the call once: not for another client, server or amount, and not when it is brought again', async () => {
    await begin();
    const mine = { token: 'mine' };
    const brought = await ask('one__pay', { amount: 600 }, mine);
    const retry = (name: string, args: JsonObject, by: Sending): Promise<Got> => send(call(2, name, args, { ...brought }), by).done;
    const isAskedAgain = async (got: Promise<Got>): Promise<void> => void askedIn(await got);
    await isAskedAgain(retry('one__pay', { amount: 600 }, { token: 'theirs' }));
    await isAskedAgain(retry('one__pay', { amount: 600 }, {}));
    await isAskedAgain(retry('two__pay', { amount: 600 }, mine));
    await isAskedAgain(retry('one__pay', { amount: 601 }, mine));
    expect(paid()).toBe(0);
    expect(textOf(await retry('one__pay', { amount: 600 }, mine))).toEqual({ paid: { amount: 600 } });
    expect(paid()).toBe(1);
    expect(callsOf('one').at(-1)?.['params']).not.toHaveProperty('requestState');
    expect(callsOf('one').at(-1)?.['params']).not.toHaveProperty('inputResponses');
    await isAskedAgain(retry('one__pay', { amount: 600 }, mine));
    expect(paid()).toBe(1);
  });

  it('given elsewhere runs the call of the client that asked, when it comes again, and of no other', async () => {
    await begin();
    const mine = { token: 'mine' };
    await ask('one__pay', { amount: 1 }, mine);
    const [waiting] = await real.approvals.list({ state: 'pending' });
    await real.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    askedIn(await send(call(2, 'one__pay', { amount: 1 }), { token: 'theirs' }).done);
    expect(paid()).toBe(0);
    expect(textOf(await send(call(3, 'one__pay', { amount: 1 }), mine).done)).toEqual({ paid: { amount: 1 } });
    askedIn(await send(call(4, 'one__pay', { amount: 1 }), mine).done);
    expect(paid()).toBe(1);
  });

  it('holds through a question of the server: one decision, and its state inside ours inside ours', async () => {
    await begin();
    const mine = { token: 'mine' };
    const brought = await ask('one__ask', {}, mine);
    const question = askedIn(await send(call(2, 'one__ask', {}, { ...brought }), mine).done);
    // The approved call goes on for nobody else.
    askedIn(await send(call(3, 'one__ask', {}, { ...question }), { token: 'theirs' }).done, YES);
    expect(callsOf('one')).toHaveLength(1);
    const done = await send(call(4, 'one__ask', {}, { ...question }), mine).done;
    expect(textOf(done)).toMatchObject({ requestState: `state ${join(behind.folder, 'one')} 0` });
    expect(callsOf('one')).toHaveLength(2);
  });
});

it('a server over HTTP is told in headers what its own message says', async () => {
  const server = await recordingServer(({ message }, response) => {
    const offer = { supportedVersions: [VERSION], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' };
    const result = { resultType: 'complete', ...(message['method'] === 'server/discover' ? offer : { content: [] }) };
    json(response, { jsonrpc: '2.0', id: message['id'], result });
  });
  onTestFinished(() => server.close());
  await start({ servers: [{ name: 'far', url: server.url, headers: { Authorization: 'Bearer of-the-proxy' } }] });
  expect(await send(call('x', 'far__t'), { token: 'of-the-client' }).done).toMatchObject({
    status: 200,
    messages: [{ id: 'x', result: {} }],
  });
  expect((await send(call('y', 'far__denied'), { token: 'of-the-client' }).done).messages).toMatchObject([
    { id: 'y', result: { isError: true } },
  ]);
  const called = server.received.filter(({ message }: Received) => message['method'] === 'tools/call');
  expect(called).toHaveLength(1);
  expect(called[0]?.headers).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': 't', authorization: 'Bearer of-the-proxy' });
});

it('a task at a server over HTTP is of the client whose call made it, and its result passes the rules once', async () => {
  const server = await recordingServer(({ message }, response) => {
    const offer = { supportedVersions: [VERSION], capabilities: { tools: {}, tasks: {} }, ttlMs: 0, cacheScope: 'private' };
    const result = {
      'server/discover': { resultType: 'complete', ...offer },
      'tools/call': { resultType: 'task', taskId: 't-1', status: 'working' },
      'tasks/get': {
        resultType: 'complete',
        taskId: 't-1',
        status: 'completed',
        result: { content: [{ type: 'text', text: 'THE SECRET' }] },
      },
    }[String(message['method'])];
    json(response, { jsonrpc: '2.0', id: message['id'], result });
  });
  onTestFinished(() => server.close());
  behind.guard.rule = () => ({ kind: 'shown', value: { content: [{ type: 'text', text: 'masked' }] }, mask: (beside) => beside });
  await start({ servers: [{ name: 'far', url: server.url }] });
  const fetched = async (token: string): Promise<string> => {
    const headers = { 'mcp-name': 'far__t-1' };
    return JSON.stringify((await send(modern(token, 'tasks/get', { taskId: 'far__t-1' }), { token, headers }).done).messages);
  };
  const made = await send(call(1, 'far__t'), { token: 'mine' }).done;
  expect(made.messages).toMatchObject([{ result: { resultType: 'task', taskId: 'far__t-1' } }]);
  expect(await fetched('of-another')).toContain('another client');
  expect(behind.guard.outcomes).toEqual([]);
  expect(await fetched('mine')).toContain('masked');
  for (const token of ['of-another', 'mine']) expect(await fetched(token)).not.toContain('THE SECRET');
  expect(behind.guard.outcomes).toHaveLength(1);
});

describe('tasks at a server over HTTP, which knows the proxy only, where no rule looks at results', () => {
  async function serving(): Promise<{ readonly asked: () => readonly string[] }> {
    const server = await recordingServer(({ message }, response) => {
      const offer = { supportedVersions: [VERSION], capabilities: { tools: {}, tasks: { list: {} } }, ttlMs: 0, cacheScope: 'private' };
      const task = { resultType: 'task', taskId: 't-1', status: 'working' };
      const answers: Record<string, object> = {
        'server/discover': { resultType: 'complete', ...offer },
        initialize: { protocolVersion: '2025-11-25', capabilities: offer.capabilities, serverInfo: { name: 'far', version: '1' } },
        'tools/call': task,
        'tasks/list': { resultType: 'complete', tasks: [task] },
      };
      json(response, {
        jsonrpc: '2.0',
        id: message['id'],
        result: answers[String(message['method'])] ?? { ...task, resultType: 'complete' },
      });
    });
    onTestFinished(() => server.close());
    await start({ servers: [{ name: 'far', url: server.url }] });
    const asked = (): readonly string[] =>
      server.received.map(({ message }) => String(message['method'])).filter((method) => /^tasks|^subscriptions/.test(method));
    return { asked };
  }
  const about = async (method: string, token: string | undefined, taskId = 'far__t-1'): Promise<Got> =>
    send(modern(9, method, { taskId }), { ...(token !== undefined && { token }), headers: { 'mcp-name': taskId } }).done;

  it.each(['tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update'])('are of the client whose call made them: %s', async (method) => {
    const { asked } = await serving();
    await send(call(1, 'far__t'), { token: 'mine' }).done;
    for (const token of ['of-another', undefined])
      expect((await about(method, token)).messages).toMatchObject([{ id: 9, error: { code: -32_050 } }]);
    expect(asked()).toEqual([]);
    expect((await about(method, 'mine')).messages).toMatchObject([{ id: 9, result: {} }]);
    expect((await about(method, 'of-another', 'far__t-2')).messages).toMatchObject([{ id: 9, result: {} }]);
  });

  it('are not listed, and nobody listens to those of another', async () => {
    const { asked } = await serving();
    await send(call(1, 'far__t'), { token: 'mine' }).done;
    for (const token of ['mine', 'of-another'])
      expect(await send(modern(2, 'tasks/list'), { token }).done).toMatchObject({
        status: 404,
        messages: [{ id: 2, error: { code: -32601 } }],
      });
    const listening = send(modern(3, 'subscriptions/listen', { notifications: { taskIds: ['t-1'] } }), { token: 'of-another' });
    await about('tasks/get', 'mine');
    listening.hangUp();
    expect(asked().filter((method) => !method.startsWith('tasks/get'))).toEqual([]);
  });

  it('are not of a client with a session, nor the other way round', async () => {
    await serving();
    const begun = await session();
    await send(call(1, 'far__t'), { token: 'mine' }).done;
    expect((await begun('tasks/get', { taskId: 'far__t-1' })).messages).toMatchObject([{ error: { code: -32_050 } }]);
    await begun('tools/call', { name: 'far__t', arguments: {}, task: {} });
    expect((await about('tasks/get', 'mine')).messages).toMatchObject([{ error: { code: -32_050 } }]);
    // The credentials of a client outlive its session: another one of sessions may go on with it.
    expect((await (await session())('tasks/get', { taskId: 'far__t-1' })).messages).toMatchObject([{ result: {} }]);
  });

  /** A client of the protocol before that. */
  async function session(): Promise<(method: string, params: JsonObject) => Promise<Got>> {
    const post = async (message: JsonObject, headers: Record<string, string> = {}): Promise<Got> =>
      new Exchange(behind.url, 'POST', headers, JSON.stringify({ jsonrpc: '2.0', ...message })).done;
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
    const { headers } = await post({ id: 0, method: 'initialize', params });
    const own = { 'mcp-session-id': String(headers['mcp-session-id']), 'mcp-protocol-version': '2025-11-25' };
    await post({ method: 'notifications/initialized' }, own);
    let id = 0;
    return async (method, asked) => post({ id: ++id, method, params: asked }, own);
  }
});
