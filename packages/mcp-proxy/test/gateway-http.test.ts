/** Servers over HTTP behind the gateway, beside one another and beside processes. */
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type GatewayTarget, runStdioGateway } from '../src/index.ts';
import { isObject, type JsonObject } from '../src/message.ts';
import { FakeGuard } from './fake-guard.ts';
import { everythingServer } from './http/everything-server.ts';
import { json, type Received, recordingServer, withSession } from './http/recording-http-server.ts';

const PATIENCE = { timeout: 40_000, interval: 20 };
const MEMORY = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-memory/dist/index.js');

/** A gateway in this process. */
class Desk {
  readonly guard = new FakeGuard();
  readonly messages: JsonObject[] = [];
  log = '';
  readonly #stdin = new PassThrough();
  readonly #ended: Promise<number>;

  constructor(servers: readonly GatewayTarget[]) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    let rest = '';
    stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      this.messages.push(...lines.map((line): unknown => JSON.parse(line)).filter(isObject));
    });
    stderr.on('data', (chunk: Buffer) => {
      this.log += chunk.toString('utf8');
    });
    const signals = new EventEmitter();
    this.#ended = runStdioGateway({
      servers,
      guard: async () => this.guard,
      stdin: this.#stdin,
      stdout,
      stderr,
      version: '0',
      signals,
      greetingWaitMs: 20_000,
    });
    onTestFinished(async () => {
      this.#stdin.end();
      await this.#ended;
    });
  }

  send(message: JsonObject): void {
    this.#stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  async request(id: number, method: string, params: JsonObject = {}): Promise<JsonObject> {
    this.send({ id, method, params });
    return vi.waitUntil(() => this.messages.find((message) => message['id'] === id), PATIENCE);
  }

  async initialize(): Promise<JsonObject> {
    const answer = await this.request(0, 'initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'c', version: '1' },
    });
    this.send({ method: 'notifications/initialized' });
    return answer;
  }
}

const isCall = ({ message }: Received): boolean => message['method'] === 'tools/call';

describe('servers over HTTP behind a gateway', () => {
  it('get their own headers and sessions, and their own names of tools', async () => {
    const answer = ({ message }: Received, response: Parameters<typeof json>[0]): void =>
      json(response, { jsonrpc: '2.0', id: message['id'], result: { content: [] } });
    const [one, two] = [
      await recordingServer(withSession(answer, 'session-one')),
      await recordingServer(withSession(answer, 'session-two')),
    ];
    onTestFinished(async () => void (await Promise.all([one.close(), two.close()])));
    const desk = new Desk([
      { name: 'one', url: one.url, headers: { Authorization: 'Bearer secret-one' } },
      { name: 'two', url: two.url, headers: { Authorization: 'Bearer secret-two' } },
    ]);
    expect(one.received).toEqual([]);
    await desk.initialize();
    expect(await desk.request(1, 'tools/call', { name: 'two__t', arguments: {} })).toMatchObject({ result: { content: [] } });
    expect(two.received.filter(isCall)).toMatchObject([
      { headers: { authorization: 'Bearer secret-two', 'mcp-session-id': 'session-two' }, message: { params: { name: 't' } } },
    ]);
    expect(one.received.filter(isCall)).toEqual([]);
    expect(one.received.every(({ headers }) => headers.authorization === 'Bearer secret-one')).toBe(true);
    expect(desk.guard.calls).toMatchObject([{ tool: { server: 'two', name: 't' } }]);
    expect(desk.log).not.toContain('secret');
  });

  it('read in their headers what is in the message: the tool under its own name', async () => {
    const server = await recordingServer(({ message }, response) => {
      const offer = { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' };
      const result = { resultType: 'complete', ...(message['method'] === 'server/discover' ? offer : { content: [] }) };
      json(response, { jsonrpc: '2.0', id: message['id'], result });
    });
    onTestFinished(() => server.close());
    const desk = new Desk([{ name: 'far', url: server.url }]);
    const key = 'io.modelcontextprotocol/';
    const _meta = {
      [`${key}protocolVersion`]: '2026-07-28',
      [`${key}clientInfo`]: { name: 'c', version: '1' },
      [`${key}clientCapabilities`]: {},
    };
    expect(await desk.request(1, 'tools/call', { name: 'far__t', arguments: {}, _meta })).toMatchObject({ result: { content: [] } });
    const [called] = server.received.filter(isCall);
    expect([called?.headers['mcp-method'], called?.headers['mcp-name']]).toEqual(['tools/call', 't']);
    expect(called?.message).toMatchObject({ params: { name: 't' } });
  });

  it('stand beside processes, in both transports, and one that nobody answers at harms none', async () => {
    const [http, sse] = await Promise.all([everythingServer('streamableHttp'), everythingServer('sse')]);
    onTestFinished(async () => void (await Promise.all([http.close(), sse.close()])));
    const desk = new Desk([
      { name: 'nobody', url: 'http://127.0.0.1:1/mcp' },
      { name: 'memory', command: process.execPath, args: [MEMORY], env: { ...process.env, MEMORY_FILE_PATH: '/nonexistent/memory.jsonl' } },
      { name: 'http', url: http.url },
      { name: 'sse', url: sse.url, transport: 'sse' },
    ]);
    expect(await desk.initialize()).toMatchObject({ result: { protocolVersion: '2025-11-25' } });
    const { result } = await desk.request(1, 'tools/list');
    const names = (result as { readonly tools: readonly JsonObject[] }).tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['memory__read_graph', 'http__echo', 'sse__echo']));
    for (const [id, server] of [
      [2, 'http'],
      [3, 'sse'],
    ] as const) {
      const echoed = await desk.request(id, 'tools/call', { name: `${server}__echo`, arguments: { message: `to ${server}` } });
      expect(JSON.stringify(echoed)).toContain(`to ${server}`);
    }
    expect(await desk.request(4, 'tools/call', { name: 'nobody__t', arguments: {} })).toMatchObject({
      error: { code: -32000, message: expect.stringContaining('server nobody is not running') },
    });
  });
});
