import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type Answer, event, json, type RecordingServer, recordingServer, stream } from './recording-http-server.ts';
import { INITIALIZE, RemoteClient } from './remote-client.ts';

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
  const client = new RemoteClient(url, { halfCloseMs: 10, exitGraceMs: 0, ...options });
  open.push(client);
  return client;
}

/** HTTP+SSE of 2024-11-05, which knows no POST where its stream is. */
function legacy(endpoint: string, status = 404): Answer {
  let events: ServerResponse | undefined;
  return ({ method, url, message }, response) => {
    if (method === 'GET') {
      events = response;
      return stream(response, `event: endpoint\ndata: ${endpoint}\n\n`);
    }
    if (url === '/mcp') return void response.writeHead(status).end();
    response.writeHead(202).end('Accepted');
    if (Object.hasOwn(message, 'id') && events !== undefined)
      stream(events, event({ id: message['id'], result: { protocolVersion: '2024-11-05', asked: message['method'] } }));
  };
}

const call = (id: number, name = 'free') => ({ id, method: 'tools/call', params: { name, arguments: {} } });

describe('a server that only speaks HTTP+SSE', () => {
  it.each([404, 405, 400])('is found out at initialize (%i), and spoken to', async (status) => {
    const server = await serve(legacy('/messages?session=1', status));
    const client = connect(server.url, { headers: { 'X-Key': 'key-secret' } });
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ result: { asked: 'tools/call' } });
    expect(await client.ask(call(2, 'denied'))).toMatchObject({ result: { isError: true } });
    expect(server.received.map(({ method, url, message, headers }) => [method, url, message['method'], headers['x-key']])).toEqual([
      ['POST', '/mcp', 'initialize', 'key-secret'],
      ['GET', '/mcp', undefined, 'key-secret'],
      ['POST', '/messages?session=1', 'initialize', 'key-secret'],
      ['POST', '/messages?session=1', 'notifications/initialized', 'key-secret'],
      ['POST', '/messages?session=1', 'tools/call', 'key-secret'],
    ]);
  });

  it('is spoken to at once when that was asked for', async () => {
    const server = await serve(legacy('messages'));
    const client = connect(server.url, { transport: 'sse' });
    await client.initialize();
    expect(server.received[0]).toMatchObject({ method: 'GET' });
    expect(server.received.slice(1).every(({ url }) => url === '/messages')).toBe(true);
  });

  it('is not looked for when Streamable HTTP was asked for, nor after any other answer', async () => {
    const server = await serve(legacy('/messages'));
    expect(await connect(server.url, { transport: 'http' }).ask(INITIALIZE)).toMatchObject({
      error: { message: expect.stringContaining('404') },
    });
    const failing = await serve((_received, response) => json(response, {}, 401));
    expect(await connect(failing.url).ask(INITIALIZE)).toMatchObject({ error: { message: expect.stringContaining('credential') } });
    expect([...server.received, ...failing.received].map(({ method }) => method)).toEqual(['POST', 'POST']);
  });

  it.each([
    ['another host', (other: string) => other],
    ['another host without a scheme', (other: string) => other.replace('http:', '')],
    ['another scheme', (other: string) => other.replace('http:', 'https:')],
    ['credentials', (_other: string, own: string) => own.replace('//', '//user:pass@')],
    ['no url', () => 'http://['],
  ])('may not say to POST to %s', async (_what, endpointOf) => {
    const other = await serve(({ message }, response) => json(response, { jsonrpc: '2.0', id: message['id'], result: {} }));
    const answers: { answer: Answer } = { answer: () => {} };
    const server = await serve((received, response) => answers.answer(received, response));
    answers.answer = legacy(endpointOf(other.url, server.url));
    const client = connect(server.url, { transport: 'sse', headers: { Authorization: 'Bearer hunter2-secret' } });
    expect(await client.ask(INITIALIZE)).toMatchObject({ error: { code: -32000, message: expect.stringMatching(/POST messages/) } });
    expect(other.received).toEqual([]);
  });

  it('may not move its endpoint later, nor speak before it named one', async () => {
    const other = await serve((_received, response) => void response.writeHead(202).end());
    const server = await serve((received, response) => {
      if (received.method === 'GET') {
        stream(
          response,
          event({ id: 0, result: { early: true } }),
          'event: endpoint\ndata: /messages\n\n',
          `event: endpoint\ndata: ${other.url}\n\n`,
        );
        return;
      }
      response.writeHead(202).end();
    });
    const client = connect(server.url, { transport: 'sse' });
    client.send(INITIALIZE, { method: 'notifications/initialized' });
    await server.got(({ url }) => url === '/messages');
    expect(client.output).toBe('');
    expect(other.received).toEqual([]);
  });

  it('that closes its stream ends the connection, and everything that waits is answered', async () => {
    const streams: ServerResponse[] = [];
    const answer = legacy('/messages');
    const server = await serve((received, response) => {
      if (received.method === 'GET') streams.push(response);
      if (received.message['method'] === 'tools/call') {
        response.writeHead(202).end();
        for (const each of streams) each.destroy();
      } else answer(received, response);
    });
    const client = connect(server.url, { transport: 'sse' });
    await client.initialize();
    expect(await client.ask(call(1))).toMatchObject({ error: { code: -32000, message: 'the server closed its stream of events' } });
    expect(await client.exit).toBe(1);
    expect(client.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });
});
