import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { routed } from '../../src/http/routes.ts';
import { type Handler, MAX_HEADER_BYTES, type Served, type ServeOptions, serve } from '../../src/http/serve.ts';

const SECRET = 'hunter2-in-an-error';
const CROWD = 8;

/** Says back what it was asked. */
const echo: Handler = async (request, peer) => {
  const { pathname, search } = new URL(request.url);
  return Response.json({
    method: request.method,
    pathname,
    search,
    body: await request.text(),
    host: request.headers.get('host'),
    peer: peer.address,
  });
};

async function served(handler: Handler = echo, more: Partial<ServeOptions> = {}): Promise<Served> {
  const server = await serve({ handler, ...more });
  onTestFinished(() => server.close());
  return server;
}

/** Sends bytes as they are; resolves with everything that came back once the other side has closed. */
async function raw({ port }: Served, text: string): Promise<string> {
  const socket = open(port);
  socket.write(text, 'latin1');
  return all(socket);
}

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function all(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  // Not `once`: a reset is an end like any other here.
  await new Promise<void>((resolve) => socket.on('close', () => resolve()));
  return text;
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
}

const HEAD = 'Host: 127.0.0.1\r\nConnection: close\r\n';

describe('serve', () => {
  it('listens on 127.0.0.1 and hands over the whole request', async () => {
    const server = await served();
    expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
    const answer = await fetch(`${server.url}/a/b?c=d`, { method: 'POST', body: 'hello' });
    expect(await answer.json()).toEqual({
      method: 'POST',
      pathname: '/a/b',
      search: '?c=d',
      body: 'hello',
      host: `127.0.0.1:${server.port}`,
      peer: '127.0.0.1',
    });
  });

  it('keeps several cookies apart, and sends no body to HEAD', async () => {
    const server = await served(async () => {
      const headers = new Headers();
      headers.append('set-cookie', 'a=1');
      headers.append('set-cookie', 'b=2');
      return new Response('text', { headers, status: 201 });
    });
    const answer = await fetch(server.url);
    expect([answer.status, answer.headers.getSetCookie(), await answer.text()]).toEqual([201, ['a=1', 'b=2'], 'text']);
    expect(await raw(server, `HEAD / HTTP/1.1\r\n${HEAD}\r\n`)).toMatch(/\r\n\r\n$/);
  });

  it('makes the URL from its own address, whatever Host says', async () => {
    const server = await served(async (request) => new Response(new URL(request.url).host));
    const answer = await raw(server, `GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n`);
    expect(answer.endsWith(`127.0.0.1:${server.port}`)).toBe(true);
  });

  it.each<[string, string, number]>([
    ['two lengths', `POST / HTTP/1.1\r\n${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, 400],
    ['two equal lengths', `POST / HTTP/1.1\r\n${HEAD}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, 400],
    ['a list of lengths', `POST / HTTP/1.1\r\n${HEAD}Content-Length: 1, 1\r\n\r\na`, 400],
    ['a signed length', `POST / HTTP/1.1\r\n${HEAD}Content-Length: +1\r\n\r\na`, 400],
    ['a length beside chunks', `POST / HTTP/1.1\r\n${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['an odd transfer encoding', `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
    ['chunked not last', `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
    ['a compressed transfer', `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`, 400],
    ['a space before the colon', `GET / HTTP/1.1\r\nHost : a\r\nConnection: close\r\n\r\n`, 400],
    ['a bare line feed in a header', `GET / HTTP/1.1\r\n${HEAD}X: a\rb\r\n\r\n`, 400],
    ['a folded header', `GET / HTTP/1.1\r\n${HEAD}X: a\r\n b: c\r\n\r\n`, 400],
    ['a NUL in a header', `GET / HTTP/1.1\r\n${HEAD}X: a\0b\r\n\r\n`, 400],
    ['no host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['two hosts', `GET / HTTP/1.1\r\n${HEAD}Host: other\r\n\r\n`, 400],
    ['two origins', `POST / HTTP/1.1\r\n${HEAD}Origin: a\r\nOrigin: b\r\nContent-Length: 0\r\n\r\n`, 400],
    ['a GET with a body', `GET / HTTP/1.1\r\n${HEAD}Content-Length: 1\r\n\r\na`, 400],
    ['another scheme and host', `GET http://evil.example/ HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['another host in the path', `GET //evil.example/x HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['steps up', `GET /a/../b HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['encoded steps up', `GET /a/%2e%2e/b HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['a backslash', `GET /a\\..\\b HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['a fragment', `GET /a#b HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['a star', `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['a long path', `GET /${'a'.repeat(5000)} HTTP/1.1\r\n${HEAD}\r\n`, 400],
    ['TRACE', `TRACE / HTTP/1.1\r\n${HEAD}\r\n`, 405],
    ['a method of its own', `PROPFIND / HTTP/1.1\r\n${HEAD}\r\n`, 405],
    ['large headers', `GET / HTTP/1.1\r\n${HEAD}X: ${'a'.repeat(MAX_HEADER_BYTES)}\r\n\r\n`, 431],
    ['no HTTP at all', '\u0016\u0003\u0001\r\n\r\n', 400],
    ['a large body that says so', `POST / HTTP/1.1\r\n${HEAD}Content-Length: 1001\r\n\r\n`, 413],
    ['a large body in chunks', `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n3e9\r\n${'a'.repeat(1001)}\r\n0\r\n\r\n`, 413],
  ])('refuses %s and runs nothing', async (_, text, status) => {
    let ran = 0;
    const server = await served(
      async () => {
        ran++;
        return new Response('ran');
      },
      { maxBodyBytes: 1000 },
    );
    const answer = await raw(server, text);
    expect([statusOf(answer), ran]).toEqual([status, 0]);
    expect(answer).toMatch(/connection: close/i);
  });

  it('reads nothing that follows a refused request on the same connection', async () => {
    const paths: string[] = [];
    const server = await served(
      async (request) => {
        paths.push(new URL(request.url).pathname);
        return new Response('ran');
      },
      { maxBodyBytes: 10 },
    );
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
    await raw(server, `POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`);
    await raw(server, `POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`);
    expect(paths).toEqual([]);
  });

  it('takes a body of exactly the limit', async () => {
    const server = await served(echo, { maxBodyBytes: 1000 });
    expect((await fetch(server.url, { method: 'POST', body: 'a'.repeat(1000) })).status).toBe(200);
  });

  it('keeps no large body of somebody who is objected to, and says why once it has come to its end', async () => {
    const sizeBytes = 200_000;
    const bodies: number[] = [];
    const server = await served(
      async (request) => {
        bodies.push((await request.arrayBuffer()).byteLength);
        return new Response('ran');
      },
      {
        maxBodyBytes: sizeBytes,
        maxBufferedBytes: sizeBytes,
        objectionTo: ({ headers, body }) =>
          headers.has('authorization') ? undefined : new Response(body === null ? 'who are you' : 'has a body', { status: 401 }),
      },
    );
    const large = `POST / HTTP/1.1\r\n${HEAD}Content-Length: ${sizeBytes}\r\n\r\n`;
    const strangers = Array.from({ length: CROWD }, () => {
      const socket = open(server.port);
      socket.write(large + 'a'.repeat(sizeBytes - 1));
      return { socket, answer: all(socket) };
    });
    const known = await fetch(server.url, { method: 'POST', body: 'b'.repeat(sizeBytes), headers: { authorization: 'x' } });
    expect(known.status).toBe(200);
    for (const { socket, answer } of strangers) {
      socket.write('a');
      expect(await answer).toMatch(/^HTTP\/1\.1 401 [\s\S]*who are you$/);
    }
    // A small one is the handler's to refuse.
    expect((await fetch(server.url, { method: 'POST', body: 'b' })).status).toBe(200);
    expect(bodies).toEqual([sizeBytes, 1]);
  });

  it('reads what follows an objection as the next request, and no more than a body may have', async () => {
    const server = await served(echo, { maxBodyBytes: 100_000, objectionTo: () => new Response('no', { status: 401 }) });
    const body = 'a'.repeat(100_000);
    const two = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}GET /next HTTP/1.1\r\n${HEAD}\r\n`;
    expect(await raw(server, two)).toMatch(/^HTTP\/1\.1 401 [\s\S]*HTTP\/1\.1 200 [\s\S]*"pathname":"\/next"/);
    const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
    const endless = `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}`;
    expect(statusOf(await raw(server, endless))).toBe(413);
  });

  it('answers what a handler throws with a status and nothing of it', async () => {
    const errors: unknown[] = [];
    const server = await served(
      async () => {
        throw new Error(SECRET);
      },
      { onError: (error) => errors.push(error) },
    );
    const answer = await raw(server, `GET / HTTP/1.1\r\n${HEAD}\r\n`);
    expect(statusOf(answer)).toBe(500);
    expect(answer).not.toContain(SECRET);
    expect(errors).toMatchObject([{ message: SECRET }]);
  });

  it('sends nothing of a body that fails half-way', async () => {
    const server = await served(async () => {
      const body = new ReadableStream({
        pull(controller) {
          controller.enqueue(new TextEncoder().encode('half'));
          controller.error(new Error(SECRET));
        },
      });
      return new Response(body);
    });
    const answer = await raw(server, `GET / HTTP/1.1\r\n${HEAD}\r\n`);
    expect(statusOf(answer)).toBe(500);
    expect(answer).not.toMatch(/half|hunter2/);
  });

  it('cuts requests that never end: headers, then a body', async () => {
    const server = await served(echo, { requestTimeoutMs: 50 });
    expect(statusOf(await raw(server, 'GET / HTTP/1.1\r\nHost: a\r\nX-Slow: '))).toBe(408);
    expect(statusOf(await raw(server, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na'))).toBe(408);
  });

  it('cuts a handler that hangs, and tells it', async () => {
    let told: Promise<unknown> | undefined;
    const server = await served(
      ({ signal }) => {
        told = once(signal, 'abort');
        return new Promise(() => {});
      },
      { durationMs: 500 },
    );
    expect(await raw(server, `GET / HTTP/1.1\r\n${HEAD}\r\n`)).toBe('');
    await told;
    expect(told).toBeDefined();
  });

  it('drops connections past the limit, and serves again when there is room', async () => {
    const server = await served(echo, { maxConnections: CROWD });
    const held = await Promise.all(
      Array.from({ length: CROWD }, async () => {
        const socket = open(server.port);
        await once(socket, 'connect');
        return socket;
      }),
    );
    expect(await raw(server, `GET / HTTP/1.1\r\n${HEAD}\r\n`)).toBe('');
    for (const socket of held) socket.destroy();
    let answer = '';
    while (answer === '') answer = await raw(server, `GET / HTTP/1.1\r\n${HEAD}\r\n`);
    expect(statusOf(answer)).toBe(200);
  });

  it('frees its port when closed, also with a connection that does nothing and a handler that hangs', async () => {
    let begun = (): void => {};
    const running = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const server = await serve({
      handler: () => {
        begun();
        return new Promise(() => {});
      },
    });
    const idle = open(server.port);
    await once(idle, 'connect');
    const hanging = raw(server, `GET / HTTP/1.1\r\n${HEAD}\r\n`);
    await running;
    await server.close();
    await server.close();
    expect(await hanging).toBe('');
    const again = await serve({ handler: echo, port: server.port });
    await again.close();
  });

  it('rejects with the error of the system when the port is taken', async () => {
    const server = await served();
    await expect(serve({ handler: echo, port: server.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each<[Partial<ServeOptions>]>([
    [{ port: -1 }],
    [{ port: 65_536 }],
    [{ port: Number.NaN }],
    [{ host: 'localhost' }],
    [{ host: '' }],
    [{ maxBodyBytes: 1e9 }],
    [{ maxBufferedBytes: 1000, maxBodyBytes: 1001 }],
    [{ maxConnections: 0 }],
    [{ requestTimeoutMs: 0 }],
    [{ durationMs: Number.POSITIVE_INFINITY }],
  ])('does not listen with %j', async (options) => {
    await expect(serve({ handler: echo, ...options })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });
});

describe('routed', () => {
  const said =
    (text: string): Handler =>
    async () =>
      new Response(text);
  const handler = routed(
    [
      { path: '/slack/interactions', handler: said('slack') },
      { path: '/webhooks/', handler: said('webhook') },
    ],
    said('page'),
  );

  it.each([
    ['/slack/interactions', 'slack'],
    ['/slack/interactions?x=1', 'slack'],
    ['/slack/interactions/', 'page'],
    ['/slack', 'page'],
    ['/webhooks/ops', 'webhook'],
    ['/webhooks', 'page'],
    ['/', 'page'],
    ['/__proto__', 'page'],
  ])('%s goes to the %s', async (path, to) => {
    const answer = await handler(new Request(`http://127.0.0.1${path}`), { address: '127.0.0.1', port: 1 });
    expect(await answer.text()).toBe(to);
  });
});
