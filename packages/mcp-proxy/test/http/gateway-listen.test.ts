/** Several servers as one, over HTTP: what a client of one session can do, and what it cannot. */
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createGuard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { MAX_GATEWAY_SERVERS, mostSessions } from '../../src/http/gateway-bridge.ts';
import type { JsonObject } from '../../src/message.ts';
import { EVERYTHING_OVER_STDIO } from './everything-server.ts';
import { Exchange } from './http-client.ts';
import { INITIALIZE, modern } from './remote-client.ts';
import { isAlive, twoServers } from './two-servers.ts';

const PATIENCE = { timeout: 30_000, interval: 20 };
const PIPE = fileURLToPath(new URL('../fixtures/pipe-server.mjs', import.meta.url));
const FILES = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/dist/index.js');
const behind = twoServers(PIPE);
const { start, linesOf, pids } = behind;
const clients: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

const post = (message: JsonObject | string, headers: Record<string, string> = {}): Exchange =>
  new Exchange(behind.url, 'POST', headers, typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message }));

interface Session {
  readonly headers: Record<string, string>;
  post(message: JsonObject | string): Exchange;
}

async function begin(): Promise<Session> {
  const got = await post(INITIALIZE).done;
  expect(got).toMatchObject({ status: 200, messages: [{ id: 0, result: { serverInfo: { name: 'countersign' } } }] });
  const headers = { 'mcp-session-id': String(got.headers['mcp-session-id']), 'mcp-protocol-version': '2025-11-25' };
  const session = { headers, post: (message: JsonObject | string) => post(message, headers) };
  expect((await session.post({ method: 'notifications/initialized' }).done).status).toBe(202);
  return session;
}

const call = (id: unknown, name: string, args: JsonObject = {}): JsonObject => ({
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

describe('two real servers as one over HTTP', () => {
  it('serve the v1 client; policy decides on their own names, and the ledger shows those', async () => {
    writeFileSync(join(behind.folder, 'notes.txt'), 'hello');
    const store = memoryStore();
    const rules = [{ id: 'no', tools: ['files/write_file', 'everything/get-env'], effect: 'deny' as const }];
    const real = createGuard({ agent: 'test', policy: rulePolicy({ id: 'p', default: 'allow', rules }), store });
    const [command = '', ...args] = EVERYTHING_OVER_STDIO;
    await start({
      guard: async () => real,
      servers: [
        { name: 'files', command: process.execPath, args: [FILES, behind.folder] },
        { name: 'everything', command, args },
      ],
      greetingWaitMs: 30_000,
    });
    const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {} } });
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: 'assistant',
      content: { type: 'text', text: 'sampled' },
      model: 'm',
    }));
    const transport = new StreamableHTTPClientTransport(new URL(behind.url));
    await client.connect(transport);
    clients.push(client);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['files__read_text_file', 'everything__echo']));
    expect(names).not.toContain('files__write_file');
    const read = await client.callTool({ name: 'files__read_text_file', arguments: { path: join(behind.folder, 'notes.txt') } });
    expect(read).toMatchObject({ content: [{ text: 'hello' }] });
    const progress: unknown[] = [];
    const slow = { name: 'everything__trigger-long-running-operation', arguments: { duration: 0.3, steps: 3 } };
    await client.callTool(slow, undefined, { onprogress: (each) => progress.push(each) });
    expect(progress.length).toBeGreaterThan(0);
    const asked = await client.callTool({ name: 'everything__trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } });
    expect(JSON.stringify(asked)).toContain('sampled');
    const written = await client.callTool({ name: 'files__write_file', arguments: { path: join(behind.folder, 'new.txt'), content: 'x' } });
    expect(written).toMatchObject({ isError: true, _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' } });
    expect(existsSync(join(behind.folder, 'new.txt'))).toBe(false);
    const ledger = JSON.stringify(store.entries());
    const decided = store.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry.tool] : []));
    expect(decided).toContainEqual(expect.objectContaining({ server: 'files', name: 'read_text_file' }));
    expect(decided).toContainEqual(expect.objectContaining({ server: 'files', name: 'write_file' }));
    expect(ledger).not.toContain('files__');
    await transport.terminateSession();
    await expect(client.callTool({ name: 'everything__echo', arguments: { message: 'x' } })).rejects.toThrow(/session/i);
  });

  it('serve the v2 client that knows both eras in a session', async () => {
    await start();
    const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new ModernHttp(new URL(behind.url)));
    clients.push(client);
    expect(client.getProtocolEra()).toBe('legacy');
    expect(await client.callTool({ name: 'two__echo', arguments: { a: 1 } })).toMatchObject({ content: [{ text: '{"a":1}' }] });
  });
});

describe('a gateway over HTTP', () => {
  it('starts nothing before a client asks, and lets a denied call reach nothing', async () => {
    await start();
    expect(pids()).toEqual([]);
    const session = await begin();
    expect((await session.post(call(1, 'one__denied')).done).messages).toMatchObject([{ id: 1, result: { isError: true } }]);
    expect((await session.post(call(2, 'two__echo', { a: 1 })).done).messages).toMatchObject([{ id: 2, result: {} }]);
    expect([...linesOf('one'), ...linesOf('two')].join()).not.toContain('denied');
    expect(linesOf('one').join()).not.toContain('tools/call');
    expect(behind.guard.calls.map(({ tool }) => tool)).toEqual([
      { server: 'one', name: 'denied', declared: 'unlisted' },
      { server: 'two', name: 'echo', declared: 'unlisted' },
    ]);
  });

  it('keeps sessions apart: ids, cancellations, answers and streams', async () => {
    await start();
    const [one, two] = [await begin(), await begin()];
    expect(new Set(pids()).size).toBe(4);
    const held = one.post(call(1, 'one__hold'));
    await vi.waitFor(() => expect(linesOf('one').join()).toContain('hold'), PATIENCE);
    // The other uses the same id, takes it back, answers what it was not asked, and wants the stream.
    expect((await two.post(call(1, 'one__echo', { mine: true })).done).messages).toMatchObject([{ id: 1 }]);
    expect((await two.post({ method: 'notifications/cancelled', params: { requestId: 1 } }).done).status).toBe(202);
    expect((await two.post({ id: 900, result: {} }).done).status).toBe(202);
    await two.post(call(2, 'one__release')).done;
    await held.until(({ ids }) => ids.length > 0);
    // Ids of events are counted in each session: one that has no such stream of its own finds nobody else's.
    const third = await begin();
    const stolen = await new Exchange(behind.url, 'GET', { ...third.headers, 'last-event-id': held.ids[0] ?? '' }).done;
    expect(stolen.status).toBe(400);
    expect(held.messages).toEqual([]);
    await one.post(call(2, 'one__release')).done;
    expect((await held.done).messages).toMatchObject([{ id: 1, result: {} }]);
  });

  it('runs no call that was approved for another session', async () => {
    const rules = [{ id: 'ask', tools: ['one/echo'], effect: 'require_approval' as const }];
    const policy = rulePolicy({ id: 'p', default: 'allow', rules });
    const real = createGuard({ agent: 'test', policy, store: memoryStore(), session: 's' });
    await start({ guard: async () => real, mcp: { holdMs: 0, pins: 'off' } });
    const [one, two] = [await begin(), await begin()];
    expect((await one.post(call(1, 'one__echo')).done).body).toContain('approval');
    const [asked] = await real.approvals.list({ state: 'pending' });
    await real.approvals.resolve(asked?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    expect((await two.post(call(2, 'one__echo')).done).body).toContain('approval');
    expect(linesOf('one').join()).not.toContain('tools/call');
    expect((await one.post(call(2, 'one__echo')).done).messages.at(-1)).toMatchObject({ id: 2, result: { content: [{ text: '{}' }] } });
    expect(linesOf('one').filter((line) => line.includes('tools/call')).length).toBe(1);
  });

  it('asks on the stream of the call, and brings the answer to the server that asked', async () => {
    await start();
    const session = await begin();
    const asking = session.post(call(1, 'two__ask'));
    await asking.until(({ messages }) => messages.some(({ method }) => method === 'sampling/createMessage'));
    const id = asking.messages.find(({ method }) => method === 'sampling/createMessage')?.['id'];
    expect((await session.post({ id, result: { said: 'yes' } }).done).status).toBe(202);
    expect(JSON.stringify((await asking.done).messages.at(-1))).toContain('said');
    expect(linesOf('one').join()).not.toContain('said');
  });

  it('answers every request once: an id in use, an unreadable one, one that is taken back', async () => {
    await start();
    const session = await begin();
    const held = session.post(call(1, 'one__hold'));
    await vi.waitFor(() => expect(linesOf('one').join()).toContain('hold'), PATIENCE);
    expect(await session.post(call(1, 'one__echo')).done).toMatchObject({ messages: [{ id: null, error: { code: -32600 } }] });
    expect(await session.post('{"id":1,').done).toMatchObject({ status: 400, messages: [{ id: null, error: {} }] });
    expect(await session.post('[]').done).toMatchObject({ status: 400, messages: [{ id: null, error: {} }] });
    expect((await session.post(call(1.5, 'one__echo')).done).messages).toMatchObject([{ error: {} }]);
    const twice = '{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/call","params":{"name":"one__echo","arguments":{}}}';
    expect((await session.post(twice).done).messages).toMatchObject([{ error: {} }]);
    expect((await session.post(call(3, 'nobody__echo')).done).messages).toMatchObject([{ id: 3, error: {} }]);
    expect(held.messages).toEqual([]);
    expect((await session.post({ method: 'notifications/cancelled', params: { requestId: 1 } }).done).status).toBe(202);
    expect((await held.done).messages).toEqual([]);
    expect(linesOf('one').join()).not.toContain('echo');
  });

  it('goes on after a greeting that is refused, and knows a session no more whose first one was', async () => {
    await start();
    const session = await begin();
    expect((await session.post({ ...INITIALIZE, id: 'again' }).done).messages).toMatchObject([{ id: 'again', error: { code: -32600 } }]);
    expect((await session.post(call(2, 'one__echo')).done).messages).toMatchObject([{ id: 2, result: {} }]);
    // Servers take a moment to end; meanwhile the session is gone like any other.
    const refused = await post({ ...INITIALIZE, params: {} }).done;
    const headers = { 'mcp-session-id': String(refused.headers['mcp-session-id']) };
    expect(await post({ id: 3, method: 'ping' }, headers).done).toMatchObject({ status: 404, messages: [{ id: 3, error: {} }] });
  });

  it.each(['{"id":1,', '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"one__echo"}}]', '"text"'])(
    'refuses %s without a session, starts nothing, and records it',
    async (body) => {
      await start();
      expect(await post(body).done).toMatchObject({ status: 400, messages: [{ id: null, error: {} }] });
      await vi.waitFor(() => expect(behind.guard.refusals.length).toBe(1), PATIENCE);
      expect(pids()).toEqual([]);
    },
  );

  it('tells clients without sessions to open one where a server knows nothing else, and runs nothing for them', async () => {
    await start();
    const stateless = (method: string, params: JsonObject, name?: string): Exchange =>
      post(modern('m', method, params), {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        ...(name !== undefined && { 'mcp-name': name }),
      });
    const got = await stateless('server/discover', {}).done;
    const data = { requested: '2026-07-28', supported: expect.arrayContaining(['2025-11-25']) };
    expect(got).toMatchObject({ status: 400, messages: [{ id: 'm', error: { code: -32022, data } }] });
    const called = await stateless('tools/call', { name: 'one__echo', arguments: {} }, 'one__echo').done;
    expect(called.messages).toMatchObject([{ id: 'm', error: { message: expect.stringContaining('does not speak MCP 2026-07-28') } }]);
    expect(behind.guard.calls).toEqual([]);
    expect(linesOf('one').join()).not.toContain('tools/call');
  });

  it('ends all servers of a session with DELETE, answers what waits, and leaves the other session alone', async () => {
    await start();
    const session = await begin();
    const mine = pids();
    const other = await begin();
    const waiting = session.post(call(1, 'one__never'));
    await vi.waitFor(() => expect(linesOf('one').join()).toContain('never'), PATIENCE);
    expect((await new Exchange(behind.url, 'DELETE', session.headers).done).status).toBe(204);
    expect(await waiting.done).toMatchObject({ messages: [{ id: 1, error: { code: -32000 } }] });
    expect((await session.post(call(2, 'one__echo')).done).status).toBe(404);
    await vi.waitFor(() => expect(mine.filter(isAlive)).toEqual([]), PATIENCE);
    expect((await other.post(call(1, 'one__echo')).done).messages).toMatchObject([{ id: 1, result: {} }]);
    expect(behind.guard.outcomes.map(({ outcome }) => outcome.status).sort()).toEqual(['error', 'success']);
  });

  it('ends the servers of a session that nobody uses', async () => {
    await start({ sessionIdleMs: 20 });
    await post(INITIALIZE).done;
    await vi.waitFor(() => expect(pids().length).toBe(2), PATIENCE);
    await vi.waitFor(() => expect(pids().filter(isAlive)).toEqual([]), PATIENCE);
  });

  it('ends every server when it is closed', async () => {
    await start();
    await begin();
    await begin();
    await behind.close();
    expect(pids().length).toBe(4);
    expect(pids().filter(isAlive)).toEqual([]);
  });

  it('takes no more sessions than it has room for', async () => {
    await start({ maxSessions: 1 });
    const first = await begin();
    const held = first.post(call(1, 'one__never'));
    await vi.waitFor(() => expect(linesOf('one').join()).toContain('never'), PATIENCE);
    expect((await post(INITIALIZE).done).status).toBe(503);
    held.hangUp();
  });

  it.each([
    [1, 64],
    [4, 64],
    [10, 25],
    [300, 1],
  ])('has, for %i servers, room for %i sessions', (count, most) => {
    const servers = Array.from({ length: count }, (_, at) => ({ name: `s${at}`, command: 'x', args: [] }));
    expect(mostSessions(servers)).toBe(most);
    expect(MAX_GATEWAY_SERVERS).toBe(256);
  });
});
