/** Who may fetch, cancel and answer what: sessions, streams that break off, clients and servers that leave. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, Harness, masking, result, unchunked } from './harness.ts';
import { post, type RawClient } from './raw.ts';
import { events, json, RecordingUpstream } from './recording-upstream.ts';

let http: Harness;
beforeEach(async () => {
  http = await new Harness().start();
});
afterEach(() => http.stop());

const S1 = 'mcp-session-id: s1';
const resume = (id: string, ...headers: readonly string[]): string =>
  `GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nlast-event-id: ${id}\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`;
const bodyOf = (client: RawClient): string => unchunked(client.received.slice(client.received.indexOf('\r\n\r\n') + 4));

/** A server that keeps what it says in a session, and says it again to whoever asks. */
function resumable(): { readonly streams: ServerResponse[]; readonly replayed: (answer: string) => void } {
  const streams: ServerResponse[] = [];
  let replay = '';
  http.upstream.answer = ({ method, body }, response) => {
    if (method === 'GET') {
      streams.push(events(response, replay));
      return;
    }
    const { id, method: rpc } = JSON.parse(body.toString()) as { id?: unknown; method: string };
    if (rpc === 'tools/call') streams.push(events(response, 'id: p\ndata: \n\n'));
    else if (id === undefined) response.writeHead(202).end();
    else json(response, { jsonrpc: '2.0', id, result: {} });
  };
  return {
    streams,
    replayed: (answer) => {
      replay = answer;
    },
  };
}

async function ended(count: number): Promise<void> {
  while (http.guard.outcomes.length < count) await new Promise<void>((resolve) => setImmediate(resolve));
}

describe('clients that share a connection', () => {
  it('are told apart by what each request says of its client', async () => {
    const open: ServerResponse[] = [];
    http.upstream.answer = ({ method, body }, response) => {
      const { method: rpc } = JSON.parse(body.toString() || '{}') as { method?: string };
      if (rpc === 'tools/call') open.push(response);
      else response.writeHead(method === 'POST' ? 202 : 405).end();
    };
    const cancelled = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}';
    const client = http.connect().send(post(call(1, 'read'), [S1, 'authorization: Bearer one']));
    await http.upstream.until(1);
    const shared = http.connect().send(post(cancelled, [S1, 'authorization: Bearer one-too']));
    await shared.until(/ 202 /);
    shared.send(post(cancelled, [S1, 'authorization: Bearer two']));
    await shared.until(/ 202 [^]* 202 /);
    // Neither is whoever asked.
    json(open[0] as ServerResponse, { jsonrpc: '2.0', id: 1, result: { content: [] } });
    await client.until(/"content":\[\]/);
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
    // A third request of the same connection is.
    client.send(post(call(2, 'read'), [S1, 'authorization: Bearer one']));
    await http.upstream.until(4);
    shared.send(post(cancelled.replace('1}', '2}'), [S1, 'authorization: Bearer one']));
    await shared.until(/ 202 [^]* 202 [^]* 202 /);
    open[1]?.destroy();
    await ended(2);
    expect(http.guard.outcomes[1]).toMatchObject({ outcome: { status: 'cancelled' } });
  });
});

describe('a stream that breaks off', () => {
  const raw = `id: 7\ndata: ${result(1, 'a s3cret')}\n\n`;
  const masked = `id: 7\ndata: ${result(1, 'a [masked]')}\n\n`;

  it('gives its answer to whoever resumes it, as often as it is resumed, and never raw', async () => {
    http.guard.mask = masking('s3cret');
    const server = resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1]));
    await first.until(/id: p/);
    first.socket.destroy();
    await new Promise<void>((resolve) => server.streams[0]?.once('close', () => resolve()));
    expect(http.guard.outcomes).toEqual([]);
    server.replayed(raw);
    for (const _time of [1, 2, 3]) {
      const again = http.connect().send(resume('p', S1));
      await again.until(/"text"[\s\S]*\n\n/);
      expect(bodyOf(again)).toBe(masked);
    }
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
  });

  it('gives what was given before, when it was given', async () => {
    http.guard.mask = masking('s3cret');
    const server = resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1]));
    await first.until(/id: p/);
    server.streams[0]?.write(raw);
    await first.until(/masked/);
    server.replayed(raw);
    const again = http.connect().send(resume('p', S1));
    await again.until(/"text"[\s\S]*\n\n/);
    expect(bodyOf(again)).toBe(masked);
    expect(http.guard.outcomes).toHaveLength(1);
  });

  it('gives what a rule made of it, also while the rule still looks', async () => {
    const looked = Promise.withResolvers<void>();
    http.guard.rule = async () => {
      await looked.promise;
      return { kind: 'replaced', action: 'withhold', text: 'withheld by rule r' } as never;
    };
    const server = resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1]));
    await first.until(/id: p/);
    server.streams[0]?.write(raw);
    await ended(1);
    first.socket.destroy();
    server.replayed(raw);
    const again = http.connect().send(resume('p', S1));
    await again.until(/\r\n\r\n/);
    looked.resolve();
    await again.until(/withheld by rule r/);
    expect(again.received).not.toContain('s3cret');
    const later = http.connect().send(resume('p', S1));
    await later.until(/withheld by rule r/);
    expect(later.received).not.toContain('s3cret');
  });

  it('gives its answer to a client whose token changed meanwhile', async () => {
    const server = resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1, 'authorization: Bearer old']));
    await first.until(/id: p/);
    first.socket.destroy();
    server.replayed(raw);
    const again = http.connect().send(resume('p', S1, 'authorization: Bearer new'));
    await again.until(/s3cret/);
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
  });

  it('gives nothing that nobody asked for', async () => {
    const server = resumable();
    await http.post('{"jsonrpc":"2.0","id":5,"method":"ping"}', [S1]);
    server.replayed(`id: 8\ndata: ${result(9, 'forged')}\n\nid: 9\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n`);
    const again = http.connect().send(resume('p', S1));
    await again.until(/notifications\/x/);
    expect(again.received).not.toContain('forged');
    const stranger = http.connect().send(resume('p'));
    await stranger.until(/notifications\/x/);
    expect(stranger.received).not.toContain('forged');
  });

  it('is not waited for for ever', async () => {
    await http.stop();
    http = await new Harness().start({ resumeWaitMs: 1 });
    resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1]));
    await first.until(/id: p/);
    first.socket.destroy();
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it('ends for the client as it ended for us, when it can be resumed', async () => {
    const server = resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1]));
    await first.until(/id: p/);
    server.streams[0]?.end();
    await first.until(/0\r\n\r\n$/);
    expect(bodyOf(first)).toBe('id: p\ndata: \n\n');
    expect(http.guard.outcomes).toEqual([]);
    server.replayed(raw);
    await http
      .connect()
      .send(resume('p', S1))
      .until(/s3cret/);
    await ended(1);
  });

  it.each([
    ['ends', (stream: ServerResponse) => void stream.end()],
    ['breaks off', (stream: ServerResponse) => void stream.destroy()],
  ])('and %s without an id says so to the client', async (_what, end) => {
    let stream: ServerResponse | undefined;
    http.upstream.answer = (_received, response) => {
      stream = events(response, ': begun\n\n');
    };
    const client = http.connect().send(post(call(1, 'read')));
    await client.until(/begun/);
    if (stream !== undefined) end(stream);
    await client.until(/0\r\n\r\n$/);
    expect(bodyOf(client)).toMatch(/data: \{"jsonrpc":"2.0","id":1,"error":\{"code":-32000/);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });
});

describe('a client that leaves', () => {
  it('cancels what it asked of a server without sessions, and the server is told', async () => {
    const gone = Promise.withResolvers<void>();
    http.upstream.answer = (_received, response) => {
      response.once('close', () => gone.resolve());
    };
    const client = http.connect().send(post(call(1, 'read')));
    await http.upstream.until(1);
    client.socket.destroy();
    await gone.promise;
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'cancelled' } }]);
  });

  it('while its call is decided runs nothing', async () => {
    const decided = Promise.withResolvers<'allow'>();
    const asked = Promise.withResolvers<void>();
    http.guard.decide = () => {
      asked.resolve();
      return decided.promise;
    };
    const client = http.connect().send(post(call(1, 'read'), [S1]));
    await asked.promise;
    client.socket.destroy();
    while (http.guard.options[0]?.signal?.aborted !== true) await new Promise<void>((resolve) => setImmediate(resolve));
    decided.resolve('allow');
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'cancelled' } }]);
    expect(http.upstream.received).toEqual([]);
  });

  it('closing only its half of the connection frees what it held', async () => {
    const gone = Promise.withResolvers<void>();
    http.upstream.answer = (_received, response) => {
      response.once('close', () => gone.resolve());
    };
    const client = http.connect({ allowHalfOpen: true }).send(post(call(1, 'read')));
    await http.upstream.until(1);
    client.socket.end();
    await client.closed();
    await gone.promise;
    await ended(1);
  });

  it('and one that does not read is not read for either: the server waits', async () => {
    let written = 0;
    const blocked = Promise.withResolvers<void>();
    http.upstream.answer = (_received, response) => {
      const stream = events(response);
      const line = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"${'x'.repeat(65_000)}"}}\n\n`;
      const write = (): void => {
        while (written < 512 && stream.write(line)) written += 1;
        if (written >= 512) blocked.resolve();
        else stream.once('drain', write);
      };
      write();
      const settle = (before: number): void => {
        if (written === before && written > 0) blocked.resolve();
        else setTimeout(settle, 300, written).unref();
      };
      settle(-1);
    };
    const client = http.connect();
    client.socket.pause();
    client.send(post('{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}'));
    await blocked.promise;
    expect(written).toBeLessThan(512);
    client.socket.resume();
    while (written < 512) await new Promise<void>((resolve) => setImmediate(resolve));
  });
});

it('a session hears on its stream that its tools have changed, and in no other', async () => {
  await http.stop();
  let streams = 0;
  http = await new Harness().start({ listCheckMs: 5 });
  http.upstream.answer = ({ method, body }, response) => {
    if (method === 'GET') {
      streams += 1;
      return void events(response, ': open\n\n');
    }
    const { id, method: asked } = JSON.parse(body.toString()) as { id: number; method: string };
    const result =
      asked === 'initialize' ? { capabilities: { tools: { listChanged: true } } } : { tools: [{ name: 'a', inputSchema: {} }] };
    if (asked === 'initialize') response.setHeader('mcp-session-id', `s${id}`);
    json(response, { jsonrpc: '2.0', id, result });
  };
  const streamOf = async (id: number): Promise<RawClient> => {
    await http.post(`{"jsonrpc":"2.0","id":${id},"method":"initialize","params":{}}`);
    const stream = http
      .connect()
      .send(`GET /mcp HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nmcp-session-id: s${id}\r\n\r\n`);
    await stream.until(/: open/);
    return stream;
  };
  const [one, other] = [await streamOf(1), await streamOf(2)];
  await http.post('{"jsonrpc":"2.0","id":3,"method":"tools/list"}', ['mcp-session-id: s1']);
  const denial = { effect: 'deny', would: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK' } as const;
  http.guard.offers = async (tools) => tools.map((tool) => ({ tool, denial }));
  await one.until(/data: {"jsonrpc":"2.0","method":"notifications\/tools\/list_changed"}\n\n/);
  const { body } = await http.post('{"jsonrpc":"2.0","id":4,"method":"tools/list"}', ['mcp-session-id: s2']);
  expect(body).toContain('"tools":[]');
  expect(one.received.split('list_changed')).toHaveLength(2);
  expect(other.received).not.toContain('list_changed');
  expect(streams).toBe(2);
});

describe('another client', () => {
  const mine = [S1, 'authorization: Bearer mine'];

  it.each([
    ['without a token', [S1]],
    ['with a token of its own', [S1, 'authorization: Bearer other']],
    ['with a cookie', [...mine, 'cookie: a=b']],
    ['with a key of its own', [...mine, 'X-Api-Key: k']],
  ])('%s cancels nothing, blocks no id and answers nothing of a session it knows the id of', async (_what, theirs) => {
    const open: { readonly id: unknown; readonly response: ServerResponse }[] = [];
    http.upstream.answer = ({ body, headers }, response) => {
      const { id, method } = JSON.parse(body.toString()) as { id?: unknown; method: string };
      if (headers.authorization !== 'Bearer mine' || headers.cookie !== undefined || headers['x-api-key'] !== undefined)
        json(response, { error: 'invalid_token' }, 401);
      else if (method === 'tools/call') open.push({ id, response });
      else json(response, { jsonrpc: '2.0', id, result: {} });
    };
    await http.post('{"jsonrpc":"2.0","id":0,"method":"ping"}', mine);
    const client = http.connect().send(post(call(1, 'read'), [...mine, 'connection: close']));
    while (open.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    expect((await http.post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}', theirs)).status).toBe(401);
    expect((await http.post(call(2, 'read'), theirs)).status).toBe(401);
    expect((await http.post(`DELETE`, theirs)).status).toBe(400);
    expect(http.guard.outcomes).toMatchObject([{ callId: 'call-1', outcome: { status: 'error' } }]);
    json(open[0]?.response as ServerResponse, result(1, 'mine alone'));
    expect(await client.closed()).toContain('mine alone');
    await ended(2);
    expect(http.guard.outcomes[1]).toMatchObject({ callId: 'call-0', outcome: { status: 'success' } });
    expect((await http.post(call(2, 'denied'), mine)).status).toBe(200);
  });

  it('using the same ids without a session has calls of its own', async () => {
    const open: ServerResponse[] = [];
    http.upstream.answer = (_received, response) => {
      open.push(response);
    };
    const [a, b] = [http.connect().send(post(call(1, 'a'))), http.connect().send(post(call(1, 'b')))];
    while (open.length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    const [first, second] = http.upstream.received[0]?.body.includes('"a"') === true ? [a, b] : [b, a];
    json(open[1] as ServerResponse, result(1, 'for the second'));
    await second.until(/for the second/);
    json(open[0] as ServerResponse, result(1, 'for the first'));
    await first.until(/for the first/);
    expect(first.received).not.toContain('second');
  });
});

describe('a session', () => {
  it('begins with the answer to initialize, and refuses an id that is in use', async () => {
    const open: ServerResponse[] = [];
    http.upstream.answer = ({ body }, response) => {
      const { id, method } = JSON.parse(body.toString()) as { id: unknown; method: string };
      if (method === 'initialize') json(response, { jsonrpc: '2.0', id, result: {} }, 200, { 'Mcp-Session-Id': 's9' });
      else open.push(response);
    };
    expect((await http.post('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}')).head).toMatch(/Mcp-Session-Id: s9/);
    const client = http.connect().send(post(call(1, 'read'), ['mcp-session-id: s9']));
    while (open.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    const { status, body } = await http.post(call(1, 'read'), ['mcp-session-id: s9']);
    expect([status, JSON.parse(body)]).toMatchObject([400, { id: null, error: { data: { 'countersign/problem': 'id-in-use' } } }]);
    json(open[0] as ServerResponse, result(1));
    await client.until(/done/);
    expect(http.guard.refusals).toHaveLength(1);
  });

  it('that its client ends settles what waits for it', async () => {
    resumable();
    const first = http.connect().send(post(call(1, 'read'), [S1]));
    await first.until(/id: p/);
    first.socket.destroy();
    http.upstream.answer = (_received, response) => {
      response.writeHead(200).end();
    };
    await http.connect().send(`DELETE /mcp HTTP/1.1\r\nhost: localhost\r\n${S1}\r\n\r\n`).until(/200/);
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it('that the server lost is told to the client as the server says it', async () => {
    await http.post('{"jsonrpc":"2.0","id":0,"method":"ping"}', [S1]);
    const lost = '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}';
    http.upstream.answer = (_received, response) => json(response, lost, 404);
    expect(await http.post(call(1, 'read'), [S1])).toMatchObject({ status: 404, body: lost });
    await ended(1);
  });
});

describe('a server', () => {
  it('that is not there is told as a JSON-RPC error, without its address', async () => {
    await http.upstream.close();
    const { status, body } = await http.post(call(1, 'read'));
    expect([status, JSON.parse(body)]).toMatchObject([
      502,
      { id: 1, error: { code: -32000, message: expect.stringContaining('ECONNREFUSED') } },
    ]);
    expect(body).not.toMatch(/127\.0\.0\.1/);
    await ended(1);
    expect((await http.post('{"jsonrpc":"2.0","method":"notifications/x"}')).status).toBe(502);
    expect(await http.connect().send('GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n').closed()).toMatch(
      /^HTTP\/1.1 502/,
    );
    http.upstream = await RecordingUpstream.start();
    http.later(() => http.upstream.close());
  });

  it.each([
    ['closes without an answer', (response: ServerResponse) => void response.socket?.destroy()],
    [
      'breaks off within a body',
      (response: ServerResponse) =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
          .write('{"jsonrpc":', () => response.destroy()),
    ],
    ['sends no HTTP', (response: ServerResponse) => void response.socket?.end('hello\r\n\r\n')],
  ])('that %s ends the call', async (_what, end) => {
    http.upstream.answer = (_received, response) => end(response);
    const { status, body } = await http.post(call(1, 'read'));
    expect([status, JSON.parse(body)]).toMatchObject([502, { id: 1, error: { code: -32000 } }]);
    await ended(1);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it('asks its client things, and gets the answers', async () => {
    let stream: ServerResponse | undefined;
    http.upstream.answer = ({ body }, response) => {
      const { method, id } = JSON.parse(body.toString()) as { method?: string; id: unknown };
      if (method === 'tools/call') stream = events(response, `data: {"jsonrpc":"2.0","id":"q","method":"roots/list"}\n\n`);
      else {
        response.writeHead(202).end();
        stream?.end(`data: ${result(1, `heard ${String(id)}`)}\n\n`);
      }
    };
    const client = http.connect().send(post(call(1, 'read'), [S1]));
    await client.until(/roots\/list/);
    expect((await http.post('{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}', [S1])).status).toBe(202);
    await client.until(/heard q/);
  });

  it('is asked a thousand things at once, and each is answered', async () => {
    const clients = Array.from({ length: 1000 }, (_each, i) => ({ i, answer: http.post(call(i, 'read'), i % 2 === 0 ? [S1] : []) }));
    for (const { i, answer } of clients) expect(JSON.parse((await answer).body)).toMatchObject({ id: i, result: {} });
    expect(http.guard.outcomes).toHaveLength(1000);
    expect(http.guard.outcomes.every(({ outcome }) => outcome.status === 'success')).toBe(true);
  });
});

it('closing answers what is open, and records how it ended', async () => {
  http.upstream.answer = () => {};
  const clients = [http.connect().send(post(call(1, 'read'), [S1])), http.connect().send(post(call(2, 'read')))];
  await http.upstream.until(2);
  await http.proxy.close();
  for (const client of clients) expect(await client.closed()).toContain('the proxy is shutting down');
  expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }, { outcome: { status: 'error' } }]);
});

it('no credential is in a log, in an error, or in what the guard is given', async () => {
  await http.stop();
  http = await new Harness().start({ headers: { 'X-Upstream-Key': 'h1dden' } });
  const secrets = ['authorization: Bearer t0ken', 'cookie: sid=c00kie', 'x-api-key: k3y', S1];
  const said: string[] = [];
  for (const upstream of [
    (response: ServerResponse) => json(response, { error: 'invalid_token' }, 401),
    (response: ServerResponse) => void response.socket?.destroy(),
    (response: ServerResponse) => json(response, '{"jsonrpc":"2.0","id":1'),
    (response: ServerResponse) => void events(response, 'data: {"jsonrpc":"2.0","id":99,"result":{}}\n\n').end(),
  ]) {
    http.upstream.answer = (_received, response) => upstream(response);
    for (const body of [call(1, 'read'), call(2, 'denied'), '[', '{"jsonrpc":"2.0","id":1,"method":"tools/list"}']) {
      const { head, body: answer } = await http.post(body, secrets);
      said.push(head, answer);
    }
  }
  said.push(
    (await http.post('{}', [...secrets, 'authorization: Bearer t0ken2'])).body,
    (await http.post('{}', [...secrets, 'origin: https://attacker.example'])).body,
  );
  await http.proxy.close();
  expect(http.upstream.received[0]?.headers).toMatchObject({ authorization: 'Bearer t0ken', 'x-upstream-key': 'h1dden' });
  const everything = JSON.stringify([
    said,
    http.logged,
    http.guard.calls,
    http.guard.refusals,
    http.guard.outcomes.map(({ outcome }) => [outcome, String(outcome.error)]),
  ]);
  expect(http.logged.length).toBeGreaterThan(4);
  for (const secret of ['t0ken', 'c00kie', 'k3y', 'h1dden']) expect(everything).not.toContain(secret);
});
