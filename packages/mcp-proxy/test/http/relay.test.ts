/** HTTP before HTTP, byte for byte, and what is refused without reaching the server. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startHttpProxy } from '../../src/http/http-proxy.ts';
import { MAX_MESSAGE_BYTES } from '../../src/wire.ts';
import { call, Harness, masking, result } from './harness.ts';
import { post, RawClient } from './raw.ts';
import { events, json, type Received } from './recording-upstream.ts';

let http: Harness;
beforeEach(async () => {
  http = await new Harness().start();
});
afterEach(() => http.stop());

describe('a message on its way to the server', () => {
  it.each([
    [
      'a call',
      '{"jsonrpc" : "2.0","id":"\\u0061b",\r\n "method":"tools\\/call","params":{"arguments":{"n":1.0,"s":"\\u0041/é\u2028"},"name":"re\\u0061d","x":[1e2]}}\n',
    ],
    ['a request that nobody knows', '{"jsonrpc":"2.0","id":12345678901234567890,"method":"x/y","params":{"a":1,"a":2}, "more":1.0}'],
    ['a notification', '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1.0}}'],
    ['an answer to the server', '{"jsonrpc":"2.0","id":7,"result":{"roots":[]}}'],
  ])('is the same bytes: %s', async (_what, body) => {
    if (body.includes('"a":2')) http.upstream.answer = (_received, response) => json(response, '{}');
    await http.post(body);
    expect(http.upstream.received.map((received) => received.body.toString())).toEqual(body.includes('"a":2') ? [] : [body]);
  });

  it('keeps its headers, but those of the connection and of where it goes', async () => {
    await http.post(call(1, 'read'), [
      'Authorization: Bearer t0ken',
      'X-Odd:  a  b',
      'x-odd: c',
      'Cookie: a=b',
      'TE: trailers',
      'Keep-Alive: 5',
      'Proxy-Authorization: Basic x',
      'Accept-Encoding: gzip',
      'Origin: http://localhost:3000',
      'MCP-Protocol-Version: 2025-11-25',
    ]);
    const [{ rawHeaders, headers, target, method }] = http.upstream.received as [Received];
    expect([method, target]).toEqual(['POST', '/mcp']);
    expect(headers).toMatchObject({
      host: new URL(http.upstream.url).host,
      origin: http.upstream.origin,
      authorization: 'Bearer t0ken',
      cookie: 'a=b',
      'accept-encoding': 'identity',
      'mcp-protocol-version': '2025-11-25',
    });
    const names = rawHeaders.filter((_text, i) => i % 2 === 0);
    expect(names).toEqual(expect.arrayContaining(['X-Odd', 'x-odd', 'Authorization']));
    for (const gone of ['te', 'keep-alive', 'proxy-authorization']) expect(headers[gone]).toBeUndefined();
  });

  it('goes to the path and the query of the configuration, with the query of the client behind', async () => {
    const other = await startHttpProxy({
      guard: async () => http.guard,
      server: 'web',
      url: `${http.upstream.origin}/a/mcp?key=k`,
      port: 0,
      log: () => {},
    });
    http.later(() => other.close());
    expect(other.url).toBe(`http://127.0.0.1:${other.port}/a/mcp`);
    const client = new RawClient(other.port);
    http.later(() => void client.socket.destroy());
    await client.send(post(call(1, 'read'), [], '/a/mcp?session=1')).until(/done/);
    await client.send(post(call(2, 'read'), [], '/a/mcp')).until(/done[\s\S]*done/);
    expect(http.upstream.received.map(({ target }) => target)).toEqual(['/a/mcp?key=k&session=1', '/a/mcp?key=k']);
    await client.send(post(call(3, 'read'))).until(/404/);
  });

  it('that is a denied call never gets there, and is answered', async () => {
    const { status, body } = await http.post(call(1, 'denied'));
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({
      id: 1,
      result: { isError: true, _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' } },
    });
    expect(http.upstream.received).toEqual([]);
  });

  it.each([
    ['a batch with a denied call', `[${call(1, 'denied')}]`, 'batch'],
    ['a batch with nothing', '[]', 'batch'],
    ['no JSON', '{"jsonrpc":"2.0"', 'not-json'],
    ['two values', `${call(1, 'read')}\n${call(2, 'denied')}`, 'not-json'],
    ['a text', '"tools/call"', 'not-object'],
    ['a method twice', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"denied"}}', 'duplicate-key'],
    ['a name in another case', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","Name":"denied"}}', 'lookalike-key'],
    ['bytes that are no text', Buffer.from([0x7b, 0xff, 0x7d]), 'not-utf8'],
    ['UTF-16', Buffer.from(call(1, 'denied'), 'utf16le'), 'not-json'],
    ['a call without an id', call(1, 'denied').replace('"id":1,', ''), 'id-missing'],
  ])('that is %s never gets there, and is recorded', async (_what, body, problem) => {
    const { status, body: answer } = await http.post(body);
    if (problem === 'id-missing') expect(status).toBe(202);
    else expect([status, JSON.parse(answer)]).toMatchObject([expect.any(Number), { error: { data: { 'countersign/problem': problem } } }]);
    expect(http.upstream.received).toEqual([]);
    expect(http.guard.refusals.at(-1)?.reason).toContain(`[${problem}]`);
  });

  it('that is too large never gets there, and is recorded', async () => {
    const { status, body } = await http.post(call(1, 'read', `"arguments":{"x":"${'x'.repeat(MAX_MESSAGE_BYTES)}"}`));
    expect([status, JSON.parse(body)]).toMatchObject([413, { error: { data: { 'countersign/problem': 'too-large' } } }]);
    expect(http.upstream.received).toEqual([]);
    expect(http.guard.refusals).toHaveLength(1);
  });
});

describe('headers of protocol 2026-07-28', () => {
  const meta = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}';
  const modern = (name: string, args = '{"a":1}'): string => call(1, name, `"arguments":${args},${meta}`);
  const right = ['mcp-protocol-version: 2026-07-28', 'mcp-method: tools/call', 'mcp-name: read'];

  it('that agree with the call pass', async () => {
    expect((await http.post(modern('read'), right)).status).toBe(200);
    expect(
      (await http.post(modern('l\u00e9'), [...right.slice(0, 2), `mcp-name: =?base64?${Buffer.from('l\u00e9').toString('base64')}?=`]))
        .status,
    ).toBe(200);
    expect(http.upstream.received).toHaveLength(2);
  });

  it.each([
    ['names another tool', 'mcp-name: other'],
    ['names it in another case', 'mcp-name: Read'],
    ['is packed wrongly', 'mcp-name: =?base64?cmVhZA?='],
    ['names another method', 'mcp-method: tools/list'],
    ['names its method in another case', 'mcp-method: Tools/Call'],
    ['has another version', 'mcp-protocol-version: 2025-11-25'],
  ])('one of which %s are a trick: the call is refused and recorded', async (_what, header) => {
    const headers = [...right.filter((each) => !each.startsWith(header.slice(0, header.indexOf(':')))), header];
    const { status, body } = await http.post(modern('read'), headers);
    expect([status, JSON.parse(body)]).toMatchObject([400, { id: 1, error: { code: -32020 } }]);
    expect(http.upstream.received).toEqual([]);
    expect(http.guard.refusals[0]).toMatchObject({ tool: { name: 'read' }, reason: expect.stringContaining('[header-mismatch]') });
  });

  it.each([
    ['a list', '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'],
    ['a notification', '{"jsonrpc":"2.0","method":"notifications/x"}'],
    ['an answer', '{"jsonrpc":"2.0","id":1,"result":{}}'],
  ])('that say a call are not taken with %s', async (_what, body) => {
    const { status, body: answer } = await http.post(body, ['mcp-method: tools/call']);
    expect([status, JSON.parse(answer)]).toMatchObject([400, { error: { code: -32020 } }]);
    expect(http.upstream.received).toEqual([]);
  });

  it('of any other message are left to the server', async () => {
    http.upstream.answer = (_received, response) =>
      json(response, { jsonrpc: '2.0', id: 1, error: { code: -32020, message: 'theirs' } }, 400);
    const { status, body } = await http.post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', ['mcp-method: prompts/list']);
    expect([status, JSON.parse(body)]).toMatchObject([400, { error: { message: 'theirs' } }]);
  });

  describe('that repeat arguments', () => {
    const schema = {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        deep: { type: 'object', properties: { n: { type: 'integer', 'x-mcp-header': 'N' } } },
      },
    };
    beforeEach(async () => {
      http.upstream.answer = ({ body }, response) => {
        const { id, method } = JSON.parse(body.toString()) as { id: unknown; method: string };
        json(response, {
          jsonrpc: '2.0',
          id,
          result: method === 'tools/list' ? { tools: [{ name: 'read', inputSchema: schema }] } : { content: [] },
        });
      };
      await http.post('{"jsonrpc":"2.0","id":9,"method":"tools/list"}');
      http.upstream.received.splice(0);
    });

    it.each([
      ['agree', '{"region":"eu","deep":{"n":42}}', ['mcp-param-region: eu', 'Mcp-Param-N: 42.0'], 200],
      ['are packed', '{"region":"é"}', [`mcp-param-region: =?base64?${Buffer.from('é').toString('base64')}?=`], 200],
      ['name what is not there', '{}', ['mcp-param-region: eu'], 200],
      ['name another value', '{"region":"us"}', ['mcp-param-region: eu'], 400],
      ['name another number', '{"deep":{"n":1}}', ['mcp-param-n: 2'], 400],
      ['are missing', '{"region":"us"}', [], 400],
      ['are packed wrongly', '{"region":"us"}', ['mcp-param-region: =?base64?x?='], 400],
    ])('and %s', async (_what, args, headers, status) => {
      expect((await http.post(modern('read', args), [...right, ...headers])).status).toBe(status);
      expect(http.upstream.received).toHaveLength(status === 200 ? 1 : 0);
    });
  });
});

describe('an answer on its way to the client', () => {
  it('keeps status, headers and bytes', async () => {
    const body = ` {"result":{"content":[ ],"x":1.0},\r\n"id":1, "jsonrpc":"2.0"}\n`;
    http.upstream.answer = (_received, response) => {
      response.writeHead(200, 'Fine', [
        'Content-Type',
        'application/json',
        'X-A',
        '1',
        'x-a',
        '2',
        'Set-Cookie',
        'a=b',
        'set-cookie',
        'c=d',
        'Connection',
        'x-gone',
        'X-Gone',
        '1',
        'Content-Length',
        String(body.length),
      ]);
      response.end(body);
    };
    const { head, body: given } = await http.post(call(1, 'read'));
    expect(given).toBe(body);
    expect(head).toMatch(/^HTTP\/1.1 200 Fine\r\n/);
    expect(head).toMatch(/X-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b\r\nset-cookie: c=d/);
    expect(head).not.toMatch(/x-gone/i);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
  });

  it('keeps every byte of a stream of events', async () => {
    const stream = [
      '\ufeff: hello\n\n',
      'id: 1\nretry: 500\ndata: \n\n',
      'event: message\r\nid: 2\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1.0}}\r\n\r\n',
      'data:{"jsonrpc":"2.0",\ndata: "id":"s1","method":"sampling/createMessage","params":{}}\nx: y\n\n',
      `:c\nevent: message\nid: 3\ndata: {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "n": 1.0}}\n: after\n\n`,
    ];
    http.upstream.answer = (_received, response) => {
      events(response, ...stream).end();
    };
    const { head, body } = await http.post(call(1, 'read'));
    expect(Buffer.from(body, 'latin1').toString()).toBe(stream.join(''));
    expect(head).toMatch(/content-type: text\/event-stream/);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'success', result: { n: 1 } } }]);
  });

  it('is passed on as it comes, not when it is whole', async () => {
    const client = http.connect().send(post('{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}'));
    let open: ReturnType<typeof events> | undefined;
    http.upstream.answer = (_received, response) => {
      open = events(response, ': begun\n\n');
    };
    await client.until(/: begun/);
    for (const n of [1, 2, 3]) {
      open?.write(`data: {"jsonrpc":"2.0","method":"notifications/n${n}"}\n\n`);
      await client.until(new RegExp(`notifications/n${n}`));
    }
  });

  it.each([
    ['401 with a challenge', 401, 'application/json', '{"error":"invalid_token"}'],
    ['403 as text', 403, 'text/plain', 'no "way" {'],
    ['404 as a message', 404, 'application/json', '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}'],
    ['500 as a page', 500, 'text/html', '<html>"{'],
    ['405 with nothing', 405, 'text/plain', ''],
  ])('that is %s passes, and its call is settled', async (_what, status, type, body) => {
    http.upstream.answer = (_received, response) => {
      response.writeHead(status, { 'content-type': type, 'www-authenticate': 'Bearer realm="x"' }).end(body);
    };
    const answer = await http.post(call(1, 'read'));
    expect(answer).toMatchObject({ status, body });
    expect(answer.head).toMatch(/www-authenticate: Bearer realm="x"/);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it('that refuses for want of a token lets the same message come again, as a new attempt', async () => {
    const session = ['mcp-session-id: s1'];
    await http.post('{"jsonrpc":"2.0","id":0,"method":"ping"}', session);
    const given = http.upstream.answer;
    http.upstream.answer = (_received, response) => json(response, { jsonrpc: '2.0', id: 1, error: { code: -1, message: 'no' } }, 401);
    expect((await http.post(call(1, 'read'), session)).status).toBe(401);
    http.upstream.answer = given;
    expect((await http.post(call(1, 'read'), session)).status).toBe(200);
    const [first, second] = http.guard.calls;
    expect([first?.turn === second?.turn, first?.attempt, second?.attempt]).toEqual([true, undefined, 2]);
  });

  it.each([
    ['to another request', '{"jsonrpc":"2.0","id":2,"result":{}}'],
    ['nobody can read', '{"jsonrpc":"2.0","id":1,"result":{}'],
    ['with two results', '{"jsonrpc":"2.0","id":1,"result":{},"result":{"content":[]}}'],
    ['that is a text', 'OK'],
  ])('%s is not passed on; the call is answered in its place', async (_what, body) => {
    http.upstream.answer = (_received, response) => json(response, body);
    const answer = await http.post(call(1, 'read'));
    expect(answer.body).not.toContain('"result"');
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it.each([
    ['under a type of its own', 'application/x-thing', result(1, 'p4ss')],
    ['as text', 'text/plain', result(1, 'p4ss')],
    ['in another character set', 'application/json; charset=utf-7', result(1, 'p4ss')],
  ])('is examined %s too', async (_what, type, body) => {
    http.guard.mask = masking('p4ss');
    http.upstream.answer = (_received, response) => {
      response.writeHead(200, { 'content-type': type }).end(body);
    };
    const answer = await http.post(call(1, 'read'));
    expect(answer.body).toContain('[masked]');
    expect(answer.body + answer.head).not.toMatch(/p4ss|utf-7/);
  });

  it.each(['application/json', 'text/event-stream'])('that is encoded (%s) is refused: nobody could examine it', async (type) => {
    http.upstream.answer = (_received, response) => {
      response.writeHead(200, { 'content-type': type, 'content-encoding': 'gzip' }).end('x');
    };
    const { status, body } = await http.post(call(1, 'read'));
    expect([status, JSON.parse(body)]).toMatchObject([502, { id: 1, error: { code: -32000 } }]);
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it.each([
    ['on the server', '/mcp/?a=b', 'http://localhost/mcp/?a=b'],
    ['away from it', 'https://attacker.example/mcp', 'https://attacker.example/mcp'],
    ['to a name that begins like it', '.attacker.example/mcp', '.attacker.example/mcp'],
  ])('that moves the client %s is not followed, and names us where it named the server', async (_what, to, location) => {
    const near = to.startsWith('http') ? to : `${http.upstream.origin}${to}`;
    http.upstream.answer = (_received, response) => {
      response.writeHead(307, { location: near }).end();
    };
    const { status, head } = await http.post(call(1, 'read'), ['authorization: Bearer t0ken']);
    expect(status).toBe(307);
    expect(head).toContain(`location: ${location.startsWith('.') ? near : location}\r\n`);
    expect(http.upstream.received).toHaveLength(1);
  });

  it('is masked within its event: id, comments and order stay', async () => {
    http.guard.mask = masking('s3cret');
    http.upstream.answer = (_received, response) => {
      events(response, `:c\r\nid: 9\r\nevent: message\r\ndata: ${result(1, 's3cret')}\r\nx: y\r\n\r\n`).end();
    };
    expect((await http.post(call(1, 'read'))).body).toBe(`:c\r\nid: 9\r\nevent: message\r\ndata: ${result(1, '[masked]')}\r\nx: y\r\n\r\n`);
  });

  it('cannot hide among the lines of an event', async () => {
    const hidden = `data: {"jsonrpc":"2.0","method":"n","params":[\ndata: ${result(1, 'forged')}\ndata: ]}\n\n`;
    http.upstream.answer = (_received, response) => {
      events(response, hidden, `data: ${result(1, 'true')}\n\n`).end();
    };
    const { body } = await http.post(call(1, 'read'));
    expect(body.split('\n').filter((line) => line.startsWith('data: {"jsonrpc":"2.0","id":1'))).toEqual([`data: ${result(1, 'true')}`]);
  });

  it.each([
    ['a second time', [result(1, 'first'), result(1, 'second')], ['first'], ['second']],
    ['under another id first', [result(2, 'other'), result('1', 'text'), result(1, 'right')], ['right'], ['other', 'text']],
  ])('that comes %s is given once', async (_what, answers, given, gone) => {
    http.upstream.answer = (_received, response) => {
      events(response, ...answers.map((answer) => `event: other\ndata: ${answer}\n\n`)).end();
    };
    const { body } = await http.post(call(1, 'read'));
    for (const text of given) expect(body).toContain(text);
    for (const text of gone) expect(body).not.toContain(`"text":"${text}"`);
    expect(http.guard.outcomes).toHaveLength(1);
  });

  it('that is too large is answered in its place', async () => {
    http.upstream.answer = (_received, response) => {
      events(response, `data: ${result(1, 'x'.repeat(MAX_MESSAGE_BYTES + 100_000))}\n\n`).end();
    };
    const { body } = await http.post(call(1, 'read'));
    expect(body.length).toBeLessThan(2_000);
    expect(body).toContain('more than the limit');
  });

  it.each([
    ['an event', 'text/event-stream', 'data: '],
    ['a body', 'application/json', ''],
  ])('that is %s without an end is answered in its place, before its end', async (_what, type, before) => {
    http.upstream.answer = (_received, response) => {
      response.writeHead(200, { 'content-type': type });
      response.write(`${before}{"jsonrpc":"2.0","id":1,"result":{"content":"${'x'.repeat(MAX_MESSAGE_BYTES + 200_000)}`);
    };
    const client = http.connect().send(post(call(1, 'read')));
    await client.until(/"code":-32051/);
    expect(client.received).toContain('more than the limit');
    while (http.guard.outcomes.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
    client.socket.destroy();
  });

  it('and one that ends after all is not told again: its id may be that of another call by then', async () => {
    const more = Promise.withResolvers<void>();
    http.upstream.answer = ({ body }, response) => {
      if (body.includes('second')) return void more.promise.then(() => events(response, `data: ${result(1)}\n\n`).end());
      events(response, `data: {"jsonrpc":"2.0","id":1,"result":{"content":"${'x'.repeat(MAX_MESSAGE_BYTES + 200_000)}`);
      void more.promise.then(() => response.end('"}}\n\n'));
    };
    const session = ['mcp-session-id: one'];
    const first = http.connect().send(post(call(1, 'first'), session));
    await first.until(/"code":-32051/);
    const second = http.connect().send(post(call(1, 'second'), session));
    await http.upstream.until(2);
    more.resolve();
    await second.until(/"done"/);
    await first.until(/\r\n0\r\n\r\n$/);
    expect(first.received.split('"id":1')).toHaveLength(2);
    expect(second.received).not.toContain('-32051');
    expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }, { outcome: { status: 'success' } }]);
  });
});
