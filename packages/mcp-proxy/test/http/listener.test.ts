/** What reaches the port of the proxy, before any message is read: wrong hosts and origins, repeats, encodings, slow and broken peers. */
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpExchange } from '../../src/http/exchange.ts';
import { createGate } from '../../src/http/gate.ts';
import { type HttpListener, type ListenOptions, listenHttp, MAX_HEADER_BYTES } from '../../src/http/listener.ts';
import { answerJson } from '../../src/http/refuse.ts';
import { type Line, MAX_MESSAGE_BYTES } from '../../src/wire.ts';
import { post, RawClient } from './raw.ts';

const open: { close(): Promise<void> | void }[] = [];
let taken: { readonly method: string; readonly body?: Line; readonly exchange: HttpExchange }[] = [];
let logged: string[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function start(options: Partial<ListenOptions> = {}): Promise<HttpListener> {
  taken = [];
  logged = [];
  const say = (exchange: HttpExchange, method: string, body?: Line): void => {
    taken.push({ method, exchange, ...(body !== undefined && { body }) });
    answerJson(exchange, 200, Buffer.from('{"ok":true}'));
  };
  const listener = await listenHttp({
    port: 0,
    log: (text) => logged.push(text),
    handler: {
      post: (exchange, body) => say(exchange, 'POST', body),
      get: (exchange) => say(exchange, 'GET'),
      delete: (exchange) => say(exchange, 'DELETE'),
    },
    ...options,
  });
  open.push({ close: () => listener.close(0) });
  return listener;
}

function connect(listener: HttpListener, options?: { readonly allowHalfOpen: boolean }): RawClient {
  const client = new RawClient(listener.port, options);
  open.push({ close: () => void client.socket.destroy() });
  return client;
}

const text = (bytes: Buffer): string => bytes.toString('latin1');

async function statusOf(listener: HttpListener, request: string | Buffer): Promise<number> {
  const received = await connect(listener)
    .send(request)
    .until(/^HTTP\/1\.1 \d{3}[\s\S]*\r\n\r\n/);
  return Number(received.slice(9, 12));
}

describe('the listener', () => {
  it('is on this machine alone unless somebody names another address', async () => {
    const listener = await start();
    expect(listener.url).toBe(`http://127.0.0.1:${listener.port}/mcp`);
    expect(await statusOf(listener, post('{"a":1}'))).toBe(200);
    expect(taken[0]?.body).toMatchObject({ kind: 'line', bytes: Buffer.from('{"a":1}') });
  });

  it('gives the body as it came, over chunks, with its byte order mark, newlines and carriage returns', async () => {
    const listener = await start();
    const head =
      'POST /mcp?x=%20 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json; charset="UTF-8"\r\ntransfer-encoding: chunked\r\n\r\n';
    const client = connect(listener).send(head);
    client.send('3\r\n{\r\n\r\n').send('2\r\n"a\r\n4\r\n":1}\r\n0\r\n\r\n');
    await client.until(/ok/);
    const { body, exchange } = taken[0] ?? {};
    expect(body?.kind === 'line' ? body.bytes.toString() : '').toBe('{\r\n"a":1}');
    expect(exchange).toMatchObject({ path: '/mcp', query: '?x=%20', target: '/mcp?x=%20' });
    const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('{}')]);
    await connect(listener).send(post(marked)).until(/ok/);
    expect(taken[1]?.body).toMatchObject({ bytes: marked, content: Buffer.from('{}') });
  });

  it.each([
    ['GET', 'GET /mcp HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n'],
    ['DELETE', 'DELETE /mcp HTTP/1.1\r\nhost: [::1]\r\n\r\n'],
  ])('hands %s on', async (method, request) => {
    expect(await statusOf(await start(), request)).toBe(200);
    expect(taken[0]?.method).toBe(method);
  });

  it.each([
    ['a name that resolves to this machine', 'host: attacker.example', 403],
    ['a name that begins like one of ours', 'host: localhost.attacker.example', 403],
    ['a name with credentials before it', 'host: localhost@attacker.example', 403],
    ['no name', 'host: ', 403],
    ['another machine', 'host: 192.0.2.1', 403],
    ['a name that was not allowed with this port', 'host: strict.example:81', 403],
    ['a name that was allowed', 'host: Mine.example:8080', 200],
    ['a name that was allowed with this port', 'host: strict.example:8443', 200],
  ])('answers a request whose host is %s accordingly', async (_what, host, status) => {
    const listener = await start({ allowedHosts: ['mine.example', 'strict.example:8443'] });
    expect(await statusOf(listener, text(post('{}')).replace('host: localhost', host))).toBe(status);
    expect(taken.length).toBe(status === 200 ? 1 : 0);
    expect(logged.length).toBe(status === 200 ? 0 : 1);
  });

  it('asks for the host of each request, whatever the one before it said', async () => {
    const listener = await start({ allowedHosts: ['mine.example', 'strict.example:8443'] });
    const statuses: number[] = [];
    for (const host of ['localhost', 'attacker.example', 'localhost', 'attacker.example', 'localhost.attacker.example', '127.0.0.1'])
      statuses.push(await statusOf(listener, text(post('{}')).replace('host: localhost', `host: ${host}`)));
    expect(statuses).toEqual([200, 403, 200, 403, 403, 200]);
  });

  it.each([
    ['of another site', 'https://attacker.example', 403],
    ['that looks like this machine', 'http://localhost.attacker.example', 403],
    ['that is a file or a sandbox', 'null', 403],
    ['with a path', 'http://localhost/x', 403],
    ['that is no page', 'ftp://localhost', 403],
    ['of the allowed host with another port', 'https://app.example:444', 403],
    ['of the allowed host without TLS', 'http://app.example', 403],
    ['that was allowed', 'https://app.example', 200],
    ['of this machine', 'http://localhost:6274', 200],
    ['of this machine by address', 'http://[::1]:6274', 200],
  ])('answers a page %s accordingly', async (_what, origin, status) => {
    const listener = await start({ allowedOrigins: ['https://app.example'] });
    const client = connect(listener).send(post('{}', [`origin: ${origin}`]));
    const received = await client.until(/\r\n\r\n\{/);
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${status}`));
    expect(taken.length).toBe(status === 200 ? 1 : 0);
    // A page that may not ask may not read the refusal either.
    expect(received.includes('access-control-allow-origin')).toBe(status === 200);
  });

  it.each([
    ['an allowed host that is a URL', { allowedHosts: ['https://mine.example'] }],
    ['an allowed host that is everything', { allowedHosts: ['*'] }],
    ['an allowed origin that is everything', { allowedOrigins: ['*'] }],
    ['an allowed origin with a path', { allowedOrigins: ['https://app.example/'] }],
    ['an allowed origin that is null', { allowedOrigins: ['null'] }],
  ])('does not start with %s', (_what, options) => {
    expect(() => createGate({ address: '127.0.0.1', ...options })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it.each(['not an address', 'example.com', ''])('does not start on the host %j', async (host) => {
    await expect(start({ host })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });

  it.each([
    ['content-type', 'content-type: application/json', 400],
    ['authorization', 'authorization: Bearer b', 400],
    ['session id', 'mcp-session-id: b', 400],
    ['method', 'mcp-method: tools/list', 400],
    ['name', 'Mcp-Name: b', 400],
    ['parameter', 'Mcp-Param-Region: b', 400],
    ['version', 'mcp-protocol-version: 2025-06-18', 400],
    ['origin', 'origin: http://localhost', 400],
    ['host', 'host: localhost', 400],
    ['length', 'content-length: 2', 400],
    ['length beside chunks', 'transfer-encoding: chunked', 400],
  ])('refuses a second %s', async (_what, header, status) => {
    const first = [
      'authorization: Bearer a',
      'mcp-session-id: a',
      'mcp-method: tools/call',
      'mcp-name: a',
      'mcp-param-region: a',
      'origin: http://localhost',
      'mcp-protocol-version: 2025-11-25',
    ];
    const listener = await start();
    expect(await statusOf(listener, post('{}', first))).toBe(200);
    expect(await statusOf(listener, post('{}', [...first, header]))).toBe(status);
    expect(taken.length).toBe(1);
  });

  it.each([
    ['text', 'text/plain', 415],
    ['nothing', '', 415],
    ['UTF-7', 'application/json; charset=utf-7', 415],
    ['UTF-16', 'application/json; charset=utf-16le', 415],
    ['two types', 'application/json, text/plain', 415],
    ['a boundary', 'application/json; boundary=x', 415],
    ['JSON', 'Application/JSON;charset=utf8', 200],
  ])('answers a body said to be %s accordingly', async (_what, type, status) => {
    const listener = await start();
    expect(await statusOf(listener, text(post('{}')).replace('content-type: application/json', `content-type: ${type}`))).toBe(status);
  });

  it.each([
    ['gzip, chunked', 415],
    ['deflate,chunked', 415],
    ['Chunked', 200],
  ])('answers a body sent as %s with %d', async (coding, status) => {
    const listener = await start();
    const head = text(post('')).replace(/content-length: 0/i, `transfer-encoding: ${coding}`);
    expect(await statusOf(listener, `${head}2\r\n{}\r\n0\r\n\r\n`)).toBe(status);
    expect(taken.length).toBe(status === 200 ? 1 : 0);
  });

  it.each(['gzip', 'br', 'identity, gzip', 'x'])('refuses a body encoded with %s', async (encoding) => {
    const listener = await start();
    expect(await statusOf(listener, post('{}', [`content-encoding: ${encoding}`]))).toBe(415);
    expect(taken.length).toBe(0);
  });

  it.each([
    ['another path', 'POST /other HTTP/1.1', 404],
    ['a path above', 'POST /mcp/../mcp HTTP/1.1', 400],
    ['a path in disguise', 'POST /x/%2e%2e/mcp HTTP/1.1', 400],
    ['a path with a slash too many', 'POST //mcp HTTP/1.1', 400],
    ['a backslash', 'POST /mcp\\ HTTP/1.1', 400],
    ['a whole URL', 'POST http://localhost/mcp HTTP/1.1', 400],
    ['another method', 'PUT /mcp HTTP/1.1', 405],
  ])('refuses %s', async (_what, line, status) => {
    const listener = await start();
    expect(await statusOf(listener, text(post('{}')).replace('POST /mcp HTTP/1.1', line))).toBe(status);
    expect(taken.length).toBe(0);
  });

  it('reads a body that is too large to its end, keeps its two ends, and goes on', async () => {
    const listener = await start();
    const body = `{"id":1,"x":"${'x'.repeat(MAX_MESSAGE_BYTES)}"}`;
    const client = connect(listener).send(post(body));
    await client.until(/ok/);
    expect(taken[0]?.body).toMatchObject({ kind: 'oversize', sizeBytes: body.length });
    await client.send(post('{}')).until(/ok[\s\S]*ok/);
  });

  it('drops headers that never end, and refuses those that are too large', async () => {
    const listener = await start();
    const head = `POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(MAX_HEADER_BYTES + 1)}`;
    expect(await statusOf(listener, head)).toBe(431);
  });

  it.each([
    ['headers that come one by one', 'POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: 1\r\n'],
    ['a body that does not come', text(post('{}')).slice(0, -1)],
  ])('ends a connection with %s', async (_what, half) => {
    const listener = await start({ headersTimeoutMs: 50, requestTimeoutMs: 50 });
    expect(await connect(listener).send(half).closed()).toMatch(/^HTTP\/1\.1 408/);
    expect(taken.length).toBe(0);
  });

  it('ends a connection on which nothing more comes', async () => {
    const listener = await start({ keepAliveMs: 20 });
    const client = connect(listener).send(post('{}'));
    await client.until(/ok/);
    await client.closed();
  });

  it.each([
    ['closes its half after half a message', text(post('{"a":1}')).slice(0, -3)],
    ['closes its half after half a header', 'POST /mcp HTTP/1.1\r\nhost: loc'],
  ])('frees a connection whose client %s', async (_what, half) => {
    const listener = await start();
    const client = connect(listener, { allowHalfOpen: true }).send(half);
    client.socket.end();
    await client.closed();
    expect(taken.length).toBe(0);
  });

  it('takes no more connections than it was told to', async () => {
    const listener = await start({ maxConnections: 1 });
    const first = connect(listener).send(post('{}'));
    await first.until(/ok/);
    expect(await connect(listener).closed()).toBe('');
    await first.send(post('{}')).until(/ok[\s\S]*ok/);
  });

  it.each([
    ['no HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01'],
    ['a length that is none', text(post('{}')).replace('content-length: 2', 'content-length: +2')],
    ['a header without a name', post('{}', [': x'])],
    ['a line end within a header', post('{}', ['x: a\rb: c'])],
    ['no host', text(post('{}')).replace('host: localhost\r\n', '')],
  ])('refuses %s', async (_what, bytes) => {
    expect(await statusOf(await start(), Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes, 'latin1'))).toBe(400);
    expect(taken.length).toBe(0);
  });

  it('closes at once when nothing runs, and cuts off what does not end', async () => {
    const running = Promise.withResolvers<void>();
    const listener = await start({ handler: { post: () => running.resolve(), get: () => {}, delete: () => {} } });
    const idle = connect(listener);
    const client = connect(listener).send(post('{}'));
    await running.promise;
    await listener.close(0);
    expect(await client.closed()).toBe('');
    await idle.closed();
  });
});
