import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Answer, event, json, type RecordingServer, recordingServer, stream, withSession } from './recording-http-server.ts';
import { INITIALIZE, modern, RemoteClient } from './remote-client.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function serve(answer: Answer): Promise<RecordingServer> {
  const server = await recordingServer(answer);
  open.push(server);
  return server;
}

function connect(url: string, options: ConstructorParameters<typeof RemoteClient>[1] = {}): RemoteClient {
  const client = new RemoteClient(url, { resumeMs: [1, 10], ...options });
  open.push(client);
  return client;
}

const call = (id: number, name = 'free') => ({ id, method: 'tools/call', params: { name, arguments: { a: 1 } } });
const result = (id: unknown, text = 'x') => ({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text }] } });

describe('a client over stdio in front of a server over HTTP', () => {
  it('POSTs exactly what the client wrote, and denied calls not at all', async () => {
    const server = await serve(withSession(({ message }, response) => json(response, result(message['id']))));
    const client = connect(server.url);
    await client.initialize();
    const odd = '{"id" : "\\u0061", "params":{"x":1.0},"method":"ping","jsonrpc":"2.0"}';
    client.send(`${odd}\r\n\n`, call(1), call(2, 'denied'), '[{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"free"}}]\n');
    await Promise.all([client.answer('a'), client.answer(1), client.answer(2), client.answer(null)]);
    expect(server.received.map(({ body }) => body)).toContain(odd);
    expect(server.received.filter(({ message }) => message['method'] === 'tools/call').map(({ message }) => message['id'])).toEqual([1]);
    expect(await client.close()).toBe(0);
    expect(client.guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['success']);
  });

  it('keeps the session and the version, and ends the session', async () => {
    const server = await serve(
      withSession(({ message }, response) => json(response, result(message['id']), 200, { 'mcp-session-id': 'another' })),
    );
    const client = connect(server.url);
    await client.initialize();
    await client.ask(call(1));
    await client.ask(call(2));
    expect(await client.close()).toBe(0);
    const [first, ...rest] = server.received;
    expect(first?.headers).not.toHaveProperty('mcp-session-id');
    expect(first?.headers).not.toHaveProperty('mcp-protocol-version');
    expect(rest.map(({ headers }) => [headers['mcp-session-id'], headers['mcp-protocol-version']])).toEqual(
      rest.map(() => ['session-1', '2025-11-25']),
    );
    expect(rest.at(-1)?.method).toBe('DELETE');
  });

  it('makes one line of a message, whatever its line ends are', async () => {
    const server = await serve(
      withSession(({ message, headers }, response) => {
        if (message['id'] === 1) return json(response, '\ufeff{"jsonrpc":"2.0",\r\n"id":1,\n"result":\t{"n":1.0,\r"é":"\\u0061"}}\n');
        if (message['id'] === 2) return stream(response, `data: {"jsonrpc":"2.0",\r\ndata:"id":2,\r\ndata: "result":{}}\r\n\r\n`);
        return headers['last-event-id'] === undefined ? undefined : void response.writeHead(405).end();
      }),
    );
    const client = connect(server.url);
    await client.initialize();
    client.send(call(1));
    await client.answer(1);
    client.send({ id: 2, method: 'ping' });
    await client.answer(2);
    expect(client.output.split('\n').slice(1)).toEqual([
      '{"jsonrpc":"2.0",  "id":1, "result":\t{"n":1.0, "é":"\\u0061"}} ',
      '{"jsonrpc":"2.0", "id":2, "result":{}}',
      '',
    ]);
  });

  it('sends nothing before the answer to initialize, and a notification before what follows it', async () => {
    const held: (() => void)[] = [];
    const server = await serve((received, response) => {
      const go = (): void => withSession(({ message }, to) => json(to, result(message['id'])))(received, response);
      if (received.method === 'POST' && received.message['id'] !== 2) held.push(go);
      else go();
    });
    const client = connect(server.url);
    client.send(INITIALIZE, { method: 'notifications/initialized' }, { id: 2, method: 'ping' });
    await server.got(({ message }) => message['method'] === 'initialize');
    held.shift()?.();
    await server.got(({ message }) => message['method'] === 'notifications/initialized');
    expect(server.received.some(({ message }) => message['method'] === 'ping')).toBe(false);
    expect(client.messages().map(({ id }) => id)).toEqual([0]);
    held.shift()?.();
    await client.answer(2);
  });

  it('goes on behind a notification that the server never takes', async () => {
    const answer = withSession(({ message }, response) => json(response, result(message['id'])));
    const server = await serve((received, response) => {
      if (received.message['method'] !== 'notifications/x') answer(received, response);
    });
    const client = connect(server.url, { notificationWaitMs: 20 });
    client.send(INITIALIZE, { method: 'notifications/x' }, call(1));
    expect(await client.answer(1)).toMatchObject({ result: {} });
  });

  it('reads messages of the server from its own stream, and takes it up where it broke off', async () => {
    let streams = 0;
    const server = await serve((received, response) => {
      if (received.method !== 'GET') return withSession(() => {})(received, response);
      streams += 1;
      if (streams === 1) {
        stream(response, 'retry: 3\n\n', event({ method: 'notifications/a' }, 'e1'), 'data: {"cut');
        setImmediate(() => response.destroy());
      } else if (streams === 2) stream(response, event({ id: 7, method: 'ping' }, 'e2'));
    });
    const client = connect(server.url);
    await client.initialize();
    await client.until(() => client.output.includes('"ping"'));
    client.send({ id: 7, result: {} });
    await server.got(({ message }) => message['id'] === 7);
    expect(server.received.filter(({ method }) => method === 'GET').map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      'e1',
    ]);
    expect(client.messages().map(({ method }) => method)).toEqual([undefined, 'notifications/a', 'ping']);
  });

  it.each([405, 404, 400])('does without a stream of the server (%i)', async (status) => {
    const server = await serve((received, response) => {
      if (received.method === 'GET') return void response.writeHead(status).end();
      withSession(({ message }, to) => json(to, result(message['id'])))(received, response);
    });
    const client = connect(server.url);
    await client.initialize();
    await server.got(({ method }) => method === 'GET');
    await client.ask(call(1));
    expect(server.received.filter(({ method }) => method === 'GET').length).toBe(1);
  });

  it('takes up the stream of a call that broke off, and gives its answer once', async () => {
    const server = await serve(
      withSession(({ method, headers }, response) => {
        if (method === 'POST')
          stream(response, 'id: p1\nretry: 1\ndata:\n\n', event({ method: 'notifications/progress', params: {} }, 'p2'));
        if (headers['last-event-id'] === 'p2') stream(response, event(result(1, 'late'), 'p3'), event(result(1, 'again'), 'p4'));
        response.end();
      }),
    );
    const client = connect(server.url);
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ result: { content: [{ text: 'late' }] } });
    await client.until(() => client.log.includes('an answer to no open request'));
    expect(client.output).not.toContain('again');
    expect(client.guard.outcomes.length).toBe(1);
  });

  it.each([
    ['a stream that ends', (response: Parameters<Answer>[1]) => (stream(response, ': nothing\n\n'), response.end())],
    [
      'a stream cut within the answer',
      (response: Parameters<Answer>[1]) => (stream(response, event(result(1)).slice(0, -1)), response.end()),
    ],
    ['a stream with the answer of another', (response: Parameters<Answer>[1]) => (stream(response, event(result(9))), response.end())],
    [
      'a body cut short',
      (response: Parameters<Answer>[1]) => (
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '500' }),
        response.write('{"jsonrpc":'),
        setImmediate(() => response.destroy())
      ),
    ],
    ['an empty body', (response: Parameters<Answer>[1]) => json(response, '')],
    ['a page', (response: Parameters<Answer>[1]) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['202 to a request', (response: Parameters<Answer>[1]) => response.writeHead(202).end()],
    ['a hang-up', (response: Parameters<Answer>[1]) => response.destroy()],
    ['500', (response: Parameters<Answer>[1]) => response.writeHead(500).end('oops')],
    [
      'streams that can be taken up but bring nothing',
      (response: Parameters<Answer>[1]) => (stream(response, 'id: same\ndata:\n\n'), response.end()),
    ],
  ])('answers a request in the place of a server that gives %s', async (_what, answer) => {
    const server = await serve(withSession((_received, response) => answer(response)));
    const client = connect(server.url);
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ id: 1, error: { code: -32000 } });
    expect(client.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it.each([
    [401, /wants a credential/],
    [403, /does not allow this: no entry/],
    [404, /has ended this session. Connect again/],
    [429, /too many requests; retry later/],
    [503, /answered 503: no entry/],
  ])('says what a status means (%i)', async (status, text) => {
    const server = await serve(
      withSession(({ message }, response) =>
        json(response, { jsonrpc: '2.0', id: null, error: { code: -32001, message: 'no\nentry' }, asked: message }, status),
      ),
    );
    const client = connect(server.url);
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ error: { code: -32000, message: expect.stringMatching(text) } });
  });

  it('gives an answer of the server that comes with a status of its own', async () => {
    const said = { jsonrpc: '2.0', id: 1, error: { code: -32020, message: 'header mismatch' } };
    const server = await serve(({ message }, response) => json(response, { ...said, id: message['id'] }, 400));
    const client = connect(server.url);
    expect(await client.ask(modern(1, 'tools/list'))).toEqual(said);
  });

  it('says that nobody listens', async () => {
    const server = await recordingServer(() => {});
    await server.close();
    const client = connect(`${server.url}?token=hunter2`);
    const { origin } = new URL(server.url);
    expect(await client.ask(INITIALIZE)).toMatchObject({ error: { message: `${origin}/... cannot be reached [ECONNREFUSED]` } });
  });

  it('sends headers to their server, and shows them to nobody', async () => {
    const server = await serve(({ message, headers }, response) =>
      json(
        response,
        { jsonrpc: '2.0', id: message['id'] === 1 ? null : 5, error: { code: 1, message: `bad ${headers['authorization']}` } },
        403,
      ),
    );
    const client = connect(server.url, { headers: { Authorization: 'Bearer hunter2-secret', 'X-Key': 'key-secret' } });
    await client.ask(call(1));
    expect(server.received[0]?.headers).toMatchObject({ authorization: 'Bearer hunter2-secret', 'x-key': 'key-secret' });
    expect(client.output + client.log).toMatch(/bad \[redacted\]/);
    expect(client.output + client.log + JSON.stringify(client.guard.outcomes)).not.toMatch(/hunter2|key-secret/);
  });

  it('shows nothing of its url but where it is, whatever the server says', async () => {
    const server = await serve(({ url, message }, response) =>
      message['id'] === 1 ? void response.destroy() : json(response, { error: { code: 1, message: `Cannot POST ${url}` } }, 404),
    );
    const client = connect(`${server.url}/hunter2-path/mcp?key=hunter2-query`);
    await client.ask(call(1));
    await client.ask(call(2));
    expect(client.output).toContain(`${new URL(server.url).origin}/... cannot be reached`);
    expect(client.output).toContain('Cannot POST [redacted][redacted]');
    expect(client.output + client.log + JSON.stringify(client.guard.outcomes)).not.toContain('hunter2');
  });

  it.each([
    ['the value of a parameter', '/mcp?key=hunter2-query', 'hunter2-query'],
    ['one that is encoded', '/mcp?key=hunter2%2Fq%20ery', 'hunter2/q ery'],
    ['as it is encoded', '/mcp?key=hunter2%2Fq%20ery', 'hunter2%2Fq%20ery'],
    ['a parameter without a value', '/mcp?hunter2-query', 'hunter2-query'],
    ['a part of the path', '/s/hunter2-hunter2-path/mcp', 'hunter2-hunter2-path'],
    ['its own encoding of that', '/s/hunter2%2Dhunter2-path/mcp', 'hunter2-hunter2-path'],
    ['the path and the query together', '/s/hunter2-hunter2-path/mcp?key=hunter2-query', '/s/hunter2-hunter2-path/mcp?key=hunter2-query'],
  ])('shows no part of its url alone either: %s', async (_what, path, said) => {
    const server = await serve((_received, response) => json(response, { error: { code: 1, message: `unknown: ${said}!` } }, 403));
    const client = connect(`${new URL(server.url).origin}${path}`);
    await client.ask(call(1));
    expect(client.output + client.log).toMatch(/unknown: (\[redacted\])+!/);
    expect(client.output + client.log + JSON.stringify(client.guard.outcomes)).not.toContain('hunter2');
  });

  it('shows nothing of the url it was given where the server sent it on to another', async () => {
    const server = await serve(({ url }, response) =>
      url?.includes('key=') === true
        ? void response.writeHead(308, { location: '/elsewhere' }).end()
        : json(response, { error: { code: 1, message: 'unknown: hunter2-query!' } }, 403),
    );
    const client = connect(`${server.url}?key=hunter2-query`);
    await client.ask(call(1));
    await client.ask(call(2));
    expect(client.output + client.log).toContain('unknown: [redacted]!');
    expect(client.output + client.log).not.toContain('hunter2');
  });

  it.each([
    ['alone', 'hunter2-password', 'hunter2-password'],
    ['with its name, though it is short', 'abc', 'somebody:abc'],
  ])('shows no password that a header holds encoded: %s', async (_what, password, repeated) => {
    const server = await serve((_received, response) => json(response, { error: { code: 1, message: `wrong: ${repeated}!` } }, 403));
    const basic = Buffer.from(`somebody:${password}`).toString('base64');
    const client = connect(server.url, { headers: { Authorization: `Basic ${basic}` } });
    await client.ask(call(1));
    expect(client.output + client.log).toContain('wrong: [redacted]!');
  });

  it('shows no half of a secret where the words of a server are cut, nor the end of one that begins with another', async () => {
    let padding = 0;
    const server = await serve(({ headers }, response) =>
      json(
        response,
        { error: { code: 1, message: `${'x'.repeat(padding)}${String(headers['x-key'])} ${String(headers['x-other'])}` } },
        403,
      ),
    );
    const client = connect(server.url, { headers: { 'X-Other': 'hunter2', 'X-Key': 'hunter2-and-the-rest-of-it' } });
    for (padding = 265; padding < 305; padding++) await client.ask(call(padding));
    expect(client.output + client.log).toContain('x[redacted]');
    expect(client.output + client.log).not.toMatch(/xh|hun|rest/);
  });

  it.each([307, 308, 302])('takes no credential to another origin (%i)', async (status) => {
    const other = await serve(({ message }, response) => json(response, result(message['id'])));
    const server = await serve((_received, response) => void response.writeHead(status, { location: other.url }).end());
    const client = connect(server.url, { headers: { Authorization: 'Bearer hunter2-secret' } });
    expect(await client.ask(call(1))).toMatchObject({ error: { code: -32000 } });
    expect(other.received).toEqual([]);
  });

  it('follows a redirect within the origin, once', async () => {
    const server = await serve(({ url, message }, response) =>
      url === '/mcp/' ? json(response, result(message['id'])) : void response.writeHead(307, { location: '/mcp/' }).end(),
    );
    const client = connect(server.url, { headers: { 'X-Key': 'key-secret' } });
    await client.ask(call(1));
    await client.ask(call(2));
    expect(server.received.map(({ url, headers }) => [url, headers['x-key']])).toEqual([
      ['/mcp', 'key-secret'],
      ['/mcp/', 'key-secret'],
      ['/mcp/', 'key-secret'],
    ]);
  });

  it('does not follow redirects for ever', async () => {
    const server = await serve((_received, response) => void response.writeHead(307, { location: '/mcp' }).end());
    expect(await connect(server.url).ask(call(1))).toMatchObject({ error: { message: expect.stringContaining('redirects without end') } });
  });

  it('skips an event of 100 MB and answers its request', async () => {
    const server = await serve(
      withSession((_received, response) => {
        stream(response, 'data: {"jsonrpc":"2.0","id":1,"result":"');
        let left = 100;
        const more = (): void => {
          while (left-- > 0) if (!response.write('x'.repeat(1024 * 1024))) return void response.once('drain', more);
          response.end('"}\n\n');
        };
        more();
      }),
    );
    const client = connect(server.url);
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ error: { code: -32051 } });
  });

  it('does not read an answer of 100 MB to its end', async () => {
    let written = 0;
    const server = await serve(
      withSession((_received, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const more = (): void => {
          while (written < 100 && !response.destroyed) {
            written += 1;
            if (!response.write('x'.repeat(1024 * 1024))) return void response.once('drain', more);
          }
        };
        more();
      }),
    );
    const client = connect(server.url);
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ error: { code: -32000, message: expect.stringContaining('bytes') } });
    expect(written).toBeLessThan(60);
  });

  it.each([
    ['endless headers', 'HTTP/1.1 200 OK\r\n', 'x-a: '.padEnd(1000, 'a').concat('\r\n')],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', ''],
  ])('answers in the place of a peer that sends %s', async (_what, first, again) => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write(first);
      const more = (): void => {
        while (again !== '' && !socket.destroyed) if (!socket.write(again)) return void socket.once('drain', more);
      };
      more();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({
      close: async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      },
    });
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
    expect(await client.ask(call(1))).toMatchObject({ error: { code: -32000 } });
  });

  it('cancels a call of a session by telling the server', async () => {
    const server = await serve(withSession((_received, response) => stream(response, ': working\n\n')));
    const client = connect(server.url, { cancelGraceMs: 1 } as never);
    await client.initialize();
    client.send(call(1));
    await server.got(({ message }) => message['id'] === 1);
    client.send({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await server.got(({ message }) => message['method'] === 'notifications/cancelled');
    expect(client.messages().some(({ id }) => id === 1)).toBe(false);
  });
});

describe('the stateless protocol', () => {
  it('is told in headers, written from the message', async () => {
    const schema = {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } },
        gone: { type: 'boolean', 'x-mcp-header': 'Gone' },
      },
    };
    const flawed = {
      type: 'object',
      properties: { b: { type: 'string', 'x-mcp-header': 'bad name\r\nX-Evil: 1' } },
    };
    const tools = [
      { name: 'tö', inputSchema: schema },
      { name: 'flawed', inputSchema: flawed },
    ];
    const server = await serve(({ message }, response) =>
      json(response, {
        jsonrpc: '2.0',
        id: message['id'],
        result: message['method'] === 'tools/list' ? { resultType: 'complete', tools } : { content: [] },
      }),
    );
    const client = connect(server.url);
    await client.ask(modern(1, 'tools/list'));
    await client.ask(modern(2, 'tools/call', { name: 'tö', arguments: { region: ' eu\r\nX-Evil: 1', deep: { n: 42 }, gone: null } }));
    await client.ask(modern(3, 'tools/call', { name: 'flawed', arguments: { b: 'x' } }));
    await client.ask(modern(4, 'resources/read', { uri: 'test://x' }));
    const told = server.received.map(({ headers }) =>
      Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('mcp-'))),
    );
    const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;
    const version = { 'mcp-protocol-version': '2026-07-28' };
    expect(told).toEqual([
      { ...version, 'mcp-method': 'tools/list' },
      {
        ...version,
        'mcp-method': 'tools/call',
        'mcp-name': base64('tö'),
        'mcp-param-region': base64(' eu\r\nX-Evil: 1'),
        'mcp-param-n': '42',
      },
      { ...version, 'mcp-method': 'tools/call', 'mcp-name': 'flawed' },
      { ...version, 'mcp-method': 'resources/read', 'mcp-name': 'test://x' },
    ]);
  });

  it('cancels by hanging up, and by nothing else', async () => {
    const gone = Promise.withResolvers<void>();
    const server = await serve((_received, response) => {
      response.on('close', () => gone.resolve());
      stream(response, event({ method: 'notifications/subscriptions/acknowledged' }));
    });
    const client = connect(server.url);
    client.send(modern('sub', 'subscriptions/listen'));
    await client.until(() => client.output.includes('acknowledged'));
    client.send({ method: 'notifications/cancelled', params: { requestId: 'sub' } });
    await gone.promise;
    expect(server.received.length).toBe(1);
    expect(await client.close()).toBe(0);
    expect(client.messages().length).toBe(1);
  });

  it('is not resumed', async () => {
    const server = await serve((_received, response) => {
      stream(response, event({ method: 'notifications/a' }, 'e1'));
      response.end();
    });
    const client = connect(server.url);
    expect(await client.ask(modern(1, 'subscriptions/listen'))).toMatchObject({ error: { code: -32000 } });
    expect(server.received.length).toBe(1);
  });
});
