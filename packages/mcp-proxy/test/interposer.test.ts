import { createHash } from 'node:crypto';
import { createRedactor, WITHHELD_RESULT } from '@countersign/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProxyGuard } from '../src/guard-source.ts';
import { MAX_IN_FLIGHT, MAX_REQUESTS } from '../src/in-flight.ts';
import type { Interposer } from '../src/interposer.ts';
import { isObject, type JsonObject } from '../src/message.ts';
import { UNREADABLE_TOOL } from '../src/refusals.ts';
import { LineReader, MAX_MESSAGE_BYTES } from '../src/wire.ts';
import { FakeGuard, type Verdict } from './fake-guard.ts';
import { type OneLaneOptions, oneLane } from './one-lane.ts';

let guard: FakeGuard;
let toServer: string[];
let toClient: string[];
let logged: string[];
let invalid: string[];
let proxy: Interposer;

function start(options: Partial<OneLaneOptions> = {}): void {
  toServer = [];
  toClient = [];
  logged = [];
  invalid = [];
  proxy = oneLane({
    guard: async () => guard,
    server: 'fs',
    toClient: (bytes) => toClient.push(bytes.toString()),
    toServer: (bytes) => toServer.push(bytes.toString()),
    log: (text) => logged.push(text),
    onInvalid: ({ code }) => invalid.push(code),
    ...options,
  });
}

beforeEach(() => {
  guard = new FakeGuard();
  start();
});

/** Nothing a test leaves open may be lost: every permit settles exactly once (the fake throws otherwise). */
afterEach(async () => {
  await proxy.serverEnded('test over');
  if (logged.some((text) => text.includes('outcome'))) throw new Error(logged.join('\n'));
});

function clientSends(...lines: (string | Buffer)[]): void {
  for (const line of lines) for (const read of new LineReader().push(Buffer.from(line))) proxy.fromClient(read);
}

function serverSends(...lines: string[]): void {
  for (const line of lines) for (const read of new LineReader().push(Buffer.from(line))) proxy.fromServer(read);
}

const call = (id: string, name: string, rest = '"arguments":{"a":1}'): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}",${rest}}}\n`;
const cancel = (id: string): string => `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}\n`;
const result = (id: string, body = '{"content":[]}'): string => `{"jsonrpc":"2.0","id":${id},"result":${body}}\n`;

function answers(): JsonObject[] {
  return toClient.map((line) => {
    const message: unknown = JSON.parse(line);
    if (!isObject(message)) throw new Error('not a message');
    return message;
  });
}

/** A decision the test makes when it wants to. */
function decideLater(): (verdict: Verdict) => void {
  let answer: (verdict: Verdict) => void = () => {};
  const verdict = new Promise<Verdict>((resolve) => {
    answer = resolve;
  });
  guard.decide = () => verdict;
  return answer;
}

describe('a call', () => {
  it('is put to the guard as it is, and forwarded byte for byte when allowed', async () => {
    const odd =
      '  {"params" : {"arguments":{"n":1.0,"s":"\\u0041/\\/é\u2028"},"name":"re\\u0061d","x":[1e2]},"id":"\\u0061b","jsonrpc":"2.0","method":"tools\\/call"}\t\r\n';
    clientSends(odd);
    await proxy.decided();
    expect(toServer).toEqual([odd]);
    expect(guard.calls).toEqual([
      { tool: { server: 'fs', name: 'read', declared: 'unlisted' }, args: { n: 1, s: 'A//é\u2028' }, id: 's:ab', turn: expect.any(String) },
    ]);
    expect(guard.options[0]).toMatchObject({ approval: 'suspend', adopt: true });
    expect(toClient).toEqual([]);
  });

  it('without arguments has none', async () => {
    clientSends('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}\n');
    await proxy.decided();
    expect(guard.calls[0]?.args).toEqual({});
  });

  it('has another turn on another connection', async () => {
    clientSends(call('1', 'a'));
    await proxy.decided();
    await proxy.serverEnded('over');
    start();
    clientSends(call('1', 'a'));
    await proxy.decided();
    expect(guard.calls[0]?.id).toBe(guard.calls[1]?.id);
    expect(guard.calls[0]?.turn).not.toBe(guard.calls[1]?.turn);
  });

  it('that is denied is answered and never forwarded', async () => {
    clientSends(call('"\\u0061"', 'denied'));
    await proxy.decided();
    expect(toServer).toEqual([]);
    expect(toClient).toEqual([
      '{"jsonrpc":"2.0","id":"\\u0061","result":{"content":[{"type":"text","text":"call refused: not today [POLICY_DENY_HIGH_RISK, rule r1]"}],' +
        '"isError":true,"_meta":{"countersign/reasonCode":"POLICY_DENY_HIGH_RISK","countersign/callId":"call-0"}}}\n',
    ]);
  });

  it('that waits for a human says so, and how it can run', async () => {
    clientSends(call('7', 'asked'));
    await proxy.decided();
    expect(toServer).toEqual([]);
    const [answer] = answers();
    expect(answer).toMatchObject({
      id: 7,
      result: {
        isError: true,
        _meta: {
          'countersign/reasonCode': 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
          'countersign/callId': 'call-0',
          'countersign/approvalId': 'approval-call-0',
          'countersign/expiresAt': '2027-01-15T08:00:00.000Z',
        },
      },
    });
    expect(JSON.stringify(answer)).toContain('countersign approvals approve approval-call-0');
    expect(JSON.stringify(answer)).not.toMatch(/not found/i);
  });

  it.each(['denied', 'asked'])('with a task is answered by an error when %s', async (name) => {
    clientSends(call('1', name, '"task":{}'));
    await proxy.decided();
    expect(toServer).toEqual([]);
    expect(answers()).toEqual([
      {
        jsonrpc: '2.0',
        id: 1,
        error: { code: -32050, message: expect.any(String), data: expect.objectContaining({ 'countersign/callId': 'call-0' }) },
      },
    ]);
  });

  it('of the stateless protocol gets a result type', async () => {
    clientSends(call('1', 'denied', '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}'));
    await proxy.decided();
    expect(answers()).toMatchObject([{ result: { resultType: 'complete', isError: true } }]);
  });

  it('does not hold back what comes after it', async () => {
    const answer = decideLater();
    const ping = '{"jsonrpc":"2.0","id":2,"method":"ping"}\n';
    clientSends(call('1', 'a'), ping);
    expect(toServer).toEqual([ping]);
    answer('allow');
    await proxy.decided();
    expect(toServer).toEqual([ping, call('1', 'a')]);
  });

  it('runs beside a hundred others, each decided on its own', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => String(i));
    clientSends(...ids.map((id) => call(id, Number(id) % 3 === 0 ? `denied-${id}` : `free-${id}`)));
    await proxy.decided();
    expect(toServer.length).toBe(66);
    expect(toServer.some((line) => line.includes('denied'))).toBe(false);
    serverSends(...toServer.map((line) => result(/"id":(\d+)/.exec(line)?.[1] ?? '')));
    await proxy.idle();
    expect(guard.outcomes.length).toBe(66);
    expect(new Set(answers().map(({ id }) => id)).size).toBe(100);
  });
});

describe('the outcome', () => {
  it.each([
    ['a result', result('1'), { status: 'success', result: { content: [] } }],
    ['a tool error', result('1', '{"isError":true,"content":[]}'), { status: 'error', error: { isError: true, content: [] } }],
    [
      'a JSON-RPC error',
      '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}\n',
      { status: 'error', error: { code: 1, message: 'm' } },
    ],
    ['a result in a batch', `[{"jsonrpc":"2.0","method":"note"},${result('1').trim()}]\n`, { status: 'success' }],
    ['a result beside a null error', '{"jsonrpc":"2.0","id":1,"result":{},"error":null}\n', { status: 'success' }],
    ['an error beside a null result', '{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1}}\n', { status: 'error' }],
    ['a result before two carriage returns', `${result('1').trim()}\r\r\n`, { status: 'success' }],
    ['a result with escaped keys', '{"jsonrpc":"2.0","\\u0069d":1,"re\\u0073ult":{}}\n', { status: 'success' }],
  ])('is recorded from %s, once, and only that one reaches the client', async (_name, line, outcome) => {
    clientSends(call('1', 'a'));
    await proxy.decided();
    serverSends(line, line);
    await proxy.idle();
    expect(toClient).toEqual([line]);
    expect(guard.outcomes).toMatchObject([{ callId: 'call-0', outcome }]);
  });

  it.each([
    ["a request of the server's own", '{"jsonrpc":"2.0","id":1,"method":"roots/list"}\n'],
    ['a notification', '{"jsonrpc":"2.0","method":"notifications/progress","params":{"id":1}}\n'],
    ['noise', 'listening on 1\n'],
    ['noise in brackets', '[info] 50%\rdone\n'],
    ['a blank line', ' \r\n'],
    ['a request with result in its params', '{"jsonrpc":"2.0","id":1,"method":"x","params":{"result":1,"error":"\\u0069d"}}\n'],
    ['an error about no request', '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}\n'],
    ['an id no call has', result('1.5')],
    ['no id', '{"jsonrpc":"2.0","result":{}}\n'],
  ])('is not taken from %s, which passes unchanged', async (_name, line) => {
    clientSends(call('1', 'a'));
    await proxy.decided();
    serverSends(line);
    expect(toClient).toEqual([line]);
    expect(guard.outcomes).toEqual([]);
  });

  it.each([
    ['a cut message', '{"jsonrpc":"2.0","id":1,"result":\n'],
    ['invalid UTF-8', Buffer.from('{"jsonrpc":"2.0","id":1,"result":"\xff"}\n', 'latin1')],
    ['a carriage return', '{"jsonrpc":"2.0","id":1,"result":{}\r}\n'],
    ['a result that is also an error', '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}\n'],
    ['a result that is also a request', '{"jsonrpc":"2.0","id":1,"method":"x","result":{}}\n'],
    ['neither result nor error', '{"jsonrpc":"2.0","id":1}\n'],
    ['a repeated result', '{"jsonrpc":"2.0","id":1,"result":1,"result":2}\n'],
    ['a lookalike result', '{"jsonrpc":"2.0","id":1,"result":1,"Result":2}\n'],
    ['a repeated key in the result', result('1', '{"content":[],"content":[{"type":"text","text":"x"}]}')],
    ['too deep a result', result('1', `${'['.repeat(300)}${']'.repeat(300)}`)],
    ['two in a batch', `[${result('1').trim()},${result('1').trim()}]\n`],
    ['one in a batch with a stray one', `[${result('1').trim()},${result('9').trim()}]\n`],
    ['one in a batch with a repeated id', '[{"jsonrpc":"2.0","result":{},"id":2,"id":1}]\n'],
  ])('is an error the client gets instead of %s', async (_name, line) => {
    clientSends(call('1', 'a'));
    await proxy.decided();
    for (const read of new LineReader().push(Buffer.from(line))) proxy.fromServer(read);
    serverSends(result('1'));
    await proxy.idle();
    expect(answers()).toMatchObject([{ id: 1, error: { code: -32052 } }]);
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it.each([
    ['another id', result('2')],
    ['the id as a string', result('"1"')],
    ['the id as a string of another script', result('"\u0661"')],
    ['the id in a list', result('[1]')],
    ['a long string that is a number', result(`"${' '.repeat(300)}1"`)],
    ['a long string that is an integer to Python', result(`"${' '.repeat(300)}0_1"`)],
    ['an object as id', result('{"toString":1,"valueOf":1}')],
    ['true', result('true')],
    ['null', result('null')],
    ['an id in another case', '{"jsonrpc":"2.0","Id":1,"result":{}}\n'],
    ['a method in another case', '{"jsonrpc":"2.0","id":2,"method":"x","METHOD":""}\n'],
    ['a message behind noise', `info: ${result('1')}`],
    ['the first part of a message', '{"result":{},\n'],
    ['the last part of a message', '"id":1}\n'],
    ['the very end of a message', '}\n'],
    ['the very end of a batch', ',1]\n'],
  ])('is not taken from %s, which the client never sees', async (_name, line) => {
    serverSends(line);
    clientSends(call('1', 'a'));
    await proxy.decided();
    serverSends(line);
    expect(toClient).toEqual([]);
    expect(guard.outcomes).toEqual([]);
    expect(logged.length).toBe(2);
  });

  it('is the first answer, though the client may refuse it and take the second', async () => {
    clientSends(call('1', 'a'));
    await proxy.decided();
    // Without `jsonrpc` the TypeScript SDK takes it for nothing.
    serverSends('{"id":1,"result":{"first":1}}\n', result('1', '{"second":1}'));
    await proxy.idle();
    expect(toClient.join('')).not.toContain('second');
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'success', result: { first: 1 } } }]);
  });

  it('is an error when the server ends, and the client learns it', async () => {
    clientSends(call('"a"', 'a'), '{"jsonrpc":"2.0","id":2,"method":"ping"}\n');
    await proxy.decided();
    await proxy.serverEnded('the server ended with exit code 3');
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
    expect(answers()).toMatchObject([
      { id: 2, error: { code: -32000, message: 'the server ended with exit code 3' } },
      { id: 'a', error: { code: -32000 } },
    ]);
    clientSends(call('3', 'a'), '{"jsonrpc":"2.0","method":"note"}\n');
    expect(answers()[2]).toMatchObject({ id: 3, error: { code: -32000 } });
    expect(guard.calls.length).toBe(1);
  });

  it('of a call decided after the server ended is cancelled, and nothing is forwarded', async () => {
    const answer = decideLater();
    clientSends(call('1', 'a'));
    const ended = proxy.serverEnded('gone');
    answer('allow');
    await ended;
    expect(toServer).toEqual([]);
    expect(answers()).toMatchObject([{ id: 1, error: { code: -32000 } }]);
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'cancelled' } }]);
  });

  it('of a response too long to read is an error that says the tool did run', async () => {
    clientSends(call('1', 'a'), call('"b"', 'a'));
    await proxy.decided();
    const sizeBytes = MAX_MESSAGE_BYTES + 1;
    proxy.fromServer({
      kind: 'oversize',
      sizeBytes,
      head: Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"con'),
      tail: Buffer.from('}}\n'),
    });
    proxy.fromServer({
      kind: 'oversize',
      sizeBytes,
      head: Buffer.from('{"result":{"x'),
      tail: Buffer.from('"},"jsonrpc":"2.0","id":"b"}\n'),
    });
    proxy.fromServer({
      kind: 'oversize',
      sizeBytes,
      head: Buffer.from('{"result":{"x'),
      tail: Buffer.from('"},"jsonrpc":"2.0","id":"\u0001"}\n'),
    });
    await proxy.idle();
    expect(answers()).toMatchObject([
      { id: 1, error: { code: -32051 } },
      { id: 'b', error: { code: -32051 } },
    ]);
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }, { outcome: { status: 'error' } }]);
  });
});

describe('cancelling', () => {
  it('a call being decided aborts it, tells the server nothing and answers nothing', async () => {
    const answer = decideLater();
    clientSends(call('1', 'a'), cancel('1'));
    expect(guard.options.length).toBe(0);
    await Promise.resolve();
    answer('deny');
    await proxy.decided();
    expect(guard.options[0]?.signal?.aborted).toBe(true);
    expect([toServer, toClient]).toEqual([[], []]);
  });

  it('a call that was allowed at the same moment records it as cancelled', async () => {
    const answer = decideLater();
    clientSends(call('1', 'a'), cancel('1'));
    answer('allow');
    await proxy.decided();
    expect([toServer, toClient]).toEqual([[], []]);
    expect(guard.outcomes).toEqual([{ callId: 'call-0', outcome: { status: 'cancelled' } }]);
  });

  it('a running call is forwarded, and how it really ended still counts', async () => {
    clientSends(call('1', 'a'));
    await proxy.decided();
    clientSends(cancel('1'), cancel('1'));
    serverSends(result('1'));
    await proxy.idle();
    expect(toServer).toEqual([call('1', 'a'), cancel('1'), cancel('1')]);
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
  });

  it('a running call that tells nothing records it as cancelled; its id stays used', async () => {
    start({ cancelGraceMs: 0 });
    clientSends(call('1', 'a'));
    await proxy.decided();
    clientSends(cancel('1'));
    await proxy.idle();
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'cancelled' } }]);
    clientSends(call('1', 'b'));
    expect(invalid).toEqual(['id-in-use']);
    expect(toServer.length).toBe(2);
  });

  it('anything else is none of our business', () => {
    clientSends('{"jsonrpc":"2.0","id":1,"method":"ping"}\n', cancel('1'), cancel('"x"'), cancel('{}'));
    expect(toServer.length).toBe(4);
    expect(toClient).toEqual([]);
  });

  it('does not take a string id for a number', async () => {
    const answer = decideLater();
    clientSends(call('1', 'a'), cancel('"1"'));
    answer('allow');
    await proxy.decided();
    expect(toServer).toEqual([cancel('"1"'), call('1', 'a')]);
  });
});

describe('everything else', () => {
  const PASSED = [
    '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"x":{}}}}\n',
    '{ "method":"ping" , "id":12345678901234567890,"jsonrpc":"2.0"}\r\n',
    '{"jsonrpc":"2.0","id":1.0,"method":"ping"}\n',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1e2,"progress":0.1234567890123456789}}\n',
    '{"jsonrpc":"2.0","id":"s","method":"unknown/method","params":{"a":{"b":1,"b":2}},"extra":[]}\n',
    '{"jsonrpc":"2.0","id":5,"result":{"roots":[]}}\n',
    '{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"\\ud83d\\ude00"}}\n',
    '{"jsonrpc":"2.0","id":8,"method":"tools/list","params":{"cursor":"tools/call"}}\n',
    '{"jsonrpc":"2.0","id":9,"method":"tools/callx","params":{"name":"a"}}\n',
    '\n',
    '  \r\n',
    '{}\n',
  ];

  it('passes from client to server byte for byte and in order', () => {
    clientSends(...PASSED);
    expect(toServer).toEqual(PASSED);
    expect([toClient, invalid, guard.calls]).toEqual([[], [], []]);
  });

  it('passes from server to client byte for byte and in order', () => {
    const lines = [
      // Responses go to whoever asked: nobody did.
      ...PASSED.filter((line) => !/"(result|error)":/.test(line)),
      'server starting...\n',
      '[1,2]\n',
      '{"a":1,"a":2}\n',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call"}\n',
      '\ufeff{}\n',
    ];
    serverSends(...lines);
    expect(toClient).toEqual(lines);
  });

  it('does not open the guard', () => {
    start({ guard: () => Promise.reject(new Error('opened')) });
    clientSends(...PASSED);
    serverSends(...PASSED.filter((line) => !/"(result|error)":/.test(line)));
    expect(logged).toEqual([]);
  });
});

describe('a message that is not clear', () => {
  const secretCall = call('1', 'a').trim();
  it.each([
    ['a batch', `[${secretCall}]\n`, 'batch'],
    ['noise', `${secretCall} \n`.replace('}}', '}'), 'not-json'],
    ['two messages in one line', `${secretCall}${secretCall}\n`, 'not-json'],
    ['a line in a line', `{"method":"note","params":\r${secretCall}\r}\n`, 'carriage-return'],
    ['a byte order mark in the middle', `\n\ufeff${secretCall}\n`, 'not-json'],
    ['a notification', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}\n', 'id-missing'],
    ['a repeated method', `{"method":"ping",${secretCall.slice(1)}\n`, 'duplicate-key'],
    ['a lookalike', `{"METHOD":"tools/call","id":1,"params":{"name":"a"}}\n`, 'lookalike-key'],
    ['a null id', call('null', 'a'), 'id-invalid'],
    ['a lossy number', call('1', 'a', '"arguments":{"n":9007199254740993}'), 'lossy-number'],
    ['arguments in a list', call('1', 'a', '"arguments":[]'), 'arguments-invalid'],
  ])('is refused and recorded, and the server never sees it: %s', async (_name, line, code) => {
    clientSends(line);
    await proxy.serverEnded('over');
    expect(toServer.join('').trim()).toBe('');
    expect(invalid).toEqual([code]);
    expect(guard.calls).toEqual([]);
    expect(guard.refusals).toMatchObject([
      { tool: { server: 'fs' }, reasonCode: 'MESSAGE_INVALID', reason: expect.stringContaining(code) },
    ]);
    expect(logged.length).toBe(1);
    // Nobody waits for an answer to a notification.
    const answered =
      code === 'id-missing' ? [] : [{ error: { data: { 'countersign/reasonCode': 'MESSAGE_INVALID', 'countersign/problem': code } } }];
    expect(answers()).toMatchObject(answered);
    expect(answers().length).toBe(answered.length);
  });

  it('is recorded under its tool, if that can be read', async () => {
    clientSends(call('null', 'read_file'), 'noise\n');
    await proxy.serverEnded('over');
    expect(guard.refusals.map(({ tool }) => tool.name)).toEqual(['read_file', UNREADABLE_TOOL]);
  });

  it('is refused but not recorded as a call when it was certainly none', async () => {
    clientSends('{"jsonrpc":"2.0","id":3,"method":"ping","params":{"a":1,"a":1}}\n');
    await proxy.serverEnded('over');
    expect(answers()).toMatchObject([{ id: 3, error: { code: -32600 } }]);
    expect([toServer, guard.refusals]).toEqual([[], []]);
  });

  it('is refused when it is too long', () => {
    proxy.fromClient({ kind: 'oversize', sizeBytes: MAX_MESSAGE_BYTES + 1, head: Buffer.from('{'), tail: Buffer.from('}') });
    expect(invalid).toEqual(['too-large']);
    expect(answers()).toMatchObject([{ id: null, error: { code: -32600 } }]);
  });

  it.each([
    [
      'a recorder that fails',
      async (): Promise<ProxyGuard> => ({
        authorize: () => Promise.reject(new Error('unused')),
        offers: () => Promise.reject(new Error('unused')),
        recordRefusal: () => Promise.reject(new Error('disk full')),
        approvals: guard.approvals,
        pins: guard.pins,
      }),
    ],
    ['no guard at all', (): Promise<ProxyGuard> => Promise.reject(new Error('locked'))],
  ])('is refused all the same with %s', async (_name, open) => {
    start({ guard: open });
    clientSends('noise\n');
    await proxy.serverEnded('over');
    expect(toServer).toEqual([]);
    expect(answers().length).toBe(1);
  });

  it('is an id already in use: answered under null, so that the first call keeps its answer', async () => {
    const answer = decideLater();
    clientSends(call('1', 'a'), call('1', 'b'), '{"jsonrpc":"2.0","id":1,"method":"ping"}\n');
    answer('allow');
    await proxy.decided();
    clientSends(call('1', 'c'));
    expect(toServer).toEqual([call('1', 'a')]);
    expect(invalid).toEqual(['id-in-use', 'id-in-use', 'id-in-use']);
    expect(answers()).toMatchObject([{ id: null }, { id: null }, { id: null }]);
    serverSends(result('1'));
    clientSends(call('1', 'd'));
    await proxy.decided();
    expect(toServer.length).toBe(2);
  });
});

describe('limits', () => {
  it('refuses calls past the limit, and takes new ones when others ended', async () => {
    const answer = decideLater();
    clientSends(...Array.from({ length: MAX_IN_FLIGHT + 1 }, (_, i) => call(String(i), 'a')));
    expect(invalid).toEqual(['too-many-requests']);
    expect(answers()).toMatchObject([{ id: MAX_IN_FLIGHT, error: { code: -32051 } }]);
    answer('allow');
    await proxy.decided();
    expect(toServer.length).toBe(MAX_IN_FLIGHT);
    serverSends(result('0'));
    clientSends(call('"new"', 'a'));
    await proxy.decided();
    expect(toServer.length).toBe(MAX_IN_FLIGHT + 1);
  });

  it('refuses requests nobody answers past the limit', () => {
    clientSends(...Array.from({ length: MAX_REQUESTS + 1 }, (_, i) => `{"jsonrpc":"2.0","id":${i},"method":"x"}\n`));
    expect(toServer.length).toBe(MAX_REQUESTS);
    expect(answers()).toMatchObject([{ id: MAX_REQUESTS, error: { code: -32051 } }]);
  });
});

describe('the server', () => {
  it('answers other requests as they were asked, byte for byte', () => {
    const asked = ['1', '"2"', '12345678901234567890', '1.5', `"${'x'.repeat(300)}"`, '0'];
    clientSends(...asked.map((id) => `{"jsonrpc":"2.0","id":${id},"method":"resources/read"}\n`));
    const lines = asked.map((id) => result(id, '{"a":[1.0,12345678901234567890,"\\u0041"],"b":{"c":1,"c":2},"Id":3}'));
    serverSends(...lines);
    expect(toClient).toEqual(lines);
    expect(logged).toEqual([]);
  });

  it('cannot answer a request nobody made yet, not even before its client wins the race', async () => {
    serverSends(result('1'));
    clientSends(call('1', 'denied'));
    await proxy.decided();
    expect(answers()).toMatchObject([{ id: 1, result: { isError: true } }]);
  });

  it('frees the id of a cancelled request by its late answer, which the client does not see', () => {
    const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}\n';
    clientSends(ping, cancel('1'));
    serverSends(result('1'));
    clientSends(ping);
    expect(toServer.length).toBe(3);
    expect(toClient).toEqual([]);
  });

  it('does not end a request of the client by one of its own that is too long', () => {
    clientSends('{"jsonrpc":"2.0","id":1,"method":"ping"}\n');
    const head = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"x":"');
    proxy.fromServer({ kind: 'oversize', sizeBytes: MAX_MESSAGE_BYTES + 1, head, tail: Buffer.from('"},"id":1}\n') });
    expect(toClient).toEqual([]);
  });

  it('cannot answer a call it was not sent', async () => {
    const answer = decideLater();
    clientSends(call('1', 'denied'));
    serverSends(result('1', '{"content":[{"type":"text","text":"done!"}]}'));
    answer('deny');
    await proxy.decided();
    expect(answers()).toMatchObject([{ id: 1, result: { isError: true } }]);
    expect(logged.length).toBe(1);
  });

  it('declares tools, whose hints and digest the guard sees', async () => {
    const declared = {
      name: 'a',
      inputSchema: { type: 'object' },
      annotations: { readOnlyHint: true, destructiveHint: 'no', title: 'A', extra: 1 },
    };
    const tools = [declared, { name: 'constructor' }, { name: 7 }, null, { name: 'bad', description: '\ud800' }];
    clientSends('{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n');
    serverSends(result('1', JSON.stringify({ tools })));
    await proxy.idle();
    clientSends(call('2', 'a'), call('3', 'constructor'), call('4', 'bad'), call('5', 'toString'));
    await proxy.decided();
    const canonical =
      'countersign/tool/v1\n{"annotations":{"destructiveHint":"no","extra":1,"readOnlyHint":true,"title":"A"},"inputSchema":{"type":"object"},"name":"a"}';
    const digest = createHash('sha256').update(canonical).digest('hex');
    const anyDigest = expect.stringMatching(/^[0-9a-f]{64}$/) as string;
    expect(guard.calls.map(({ tool }) => tool)).toEqual([
      {
        server: 'fs',
        name: 'a',
        annotations: { readOnlyHint: true, title: 'A' },
        schema: digest,
        declared: { digest },
      },
      { server: 'fs', name: 'constructor', schema: anyDigest, declared: { digest: anyDigest } },
      { server: 'fs', name: 'bad', declared: 'unpinnable' },
      { server: 'fs', name: 'toString', declared: 'unlisted' },
    ]);
  });

  it('declares nothing in an answer nobody asked for', async () => {
    serverSends(result('1', '{"tools":[{"name":"a","annotations":{"readOnlyHint":true}}]}'));
    clientSends('{"jsonrpc":"2.0","id":1,"method":"ping"}\n');
    serverSends(result('1', '{"tools":[{"name":"a","annotations":{"readOnlyHint":true}}]}'));
    clientSends(call('2', 'a'));
    await proxy.decided();
    expect(guard.calls[0]?.tool).toEqual({ server: 'fs', name: 'a', declared: 'unlisted' });
  });
});

describe('a guard', () => {
  it('that cannot be opened refuses the call, and is tried again', async () => {
    let attempts = 0;
    start({
      guard: async () => {
        attempts += 1;
        if (attempts === 1) throw new Error('the ledger is locked\nby 7');
        return guard;
      },
    });
    clientSends(call('1', 'a'), call('2', 'a'));
    await proxy.decided();
    expect(answers()).toMatchObject(
      [1, 2].map((id) => ({ id, result: { isError: true, _meta: { 'countersign/reasonCode': 'LEDGER_WRITE_FAILED_DECISION' } } })),
    );
    expect(logged[0]).toBe('the guard could not be opened: the ledger is locked by 7');
    expect(toServer).toEqual([]);
    clientSends(call('3', 'a'), call('4', 'a'));
    await proxy.decided();
    expect(toServer.length).toBe(2);
    expect(attempts).toBe(2);
  });

  it('whose opener throws at once refuses the call', async () => {
    start({
      guard: () => {
        throw new Error('no config');
      },
    });
    clientSends(call('1', 'a'));
    await proxy.decided();
    expect(answers()).toMatchObject([{ result: { isError: true } }]);
    expect(toServer).toEqual([]);
  });

  it('that throws while deciding refuses the call', async () => {
    guard.decide = () => {
      throw new Error('broken');
    };
    clientSends(call('1', 'a'));
    await proxy.decided();
    expect(answers()).toMatchObject([{ result: { isError: true, _meta: { 'countersign/reasonCode': 'INTERNAL_ERROR' } } }]);
    expect(toServer).toEqual([]);
  });
});

describe('answers to calls, where the guard masks results', () => {
  const secret = '{"content":[{"type":"text","text":"postgres://u:hunter22@h/"}],"structuredContent":{"password":"hunter22","n":1.50}}';

  beforeEach(() => {
    const redactor = createRedactor();
    guard.mask = (value) => {
      const { shown, findings } = redactor.redact(value);
      return findings.length === 0 ? value : shown;
    };
  });

  it('go on without their secrets, and are recorded so', async () => {
    clientSends(call('1', 'read'), call('"1"', 'read'));
    await proxy.decided();
    serverSends(result('1', secret), `{"id":"1","error":{"code":5,"message":"postgres://u:hunter22@h/"},"jsonrpc":"2.0"}\n`);
    const shown = {
      content: [{ type: 'text', text: 'postgres://u:[redacted:url-password]@h/' }],
      structuredContent: { password: '[redacted:key-name]', n: 1.5 },
    };
    expect(answers()).toEqual([
      { jsonrpc: '2.0', id: 1, result: shown },
      { jsonrpc: '2.0', id: '1', error: { code: 5, message: 'postgres://u:[redacted:url-password]@h/' } },
    ]);
    expect(JSON.stringify(guard.outcomes)).not.toContain('hunter22');
  });

  it('go on byte for byte when nothing is in them', async () => {
    clientSends(call('1', 'read'));
    await proxy.decided();
    const line = result('1', '{ "content":[ {"type":"text","text":"\\u0061 1.0"} ], "structuredContent":{"n":1.50} }');
    serverSends(line);
    expect(toClient).toEqual([line]);
  });

  it('keep every other byte: digits, escapes, order, spacing, line end', async () => {
    clientSends(call('1', 'read'), call('2', 'read'));
    await proxy.decided();
    const rest =
      '\t"n":[12345678901234567890, 0.10000000000000000000001, 1E2, -0, 1e400], "\\u0061\\/" : "\\ud83d\\ude00\\u00e9\\/" ,"10":1,"9":{ } }';
    serverSends(`{ "result":{"password" : "hunter22",${rest} ,"id": 1, "jsonrpc":"2.0"}\r\n`);
    serverSends(`{ "error":null ,"result":{"password":"hunter22",${rest},"id":2,"jsonrpc":"2.0"}\n`);
    expect(toClient).toEqual([
      `{ "result":{"password" : "[redacted:key-name]",${rest} ,"id": 1, "jsonrpc":"2.0"}\r\n`,
      `{ "error":null ,"result":{"password":"[redacted:key-name]",${rest},"id":2,"jsonrpc":"2.0"}\n`,
    ]);
  });

  it('are masked in a batch too, whose other answers keep their content', async () => {
    clientSends(call('1', 'read'), '{"jsonrpc":"2.0","id":2,"method":"ping"}\n');
    await proxy.decided();
    serverSends(`[${result('1', secret).trim()},{"jsonrpc":"2.0","id":2,"result":{"password":"kept, it is no call"}}]\n`);
    expect(toClient.join('')).not.toContain('hunter22');
    expect(toClient.join('')).toContain('kept, it is no call');
  });

  it('still are after the client cancelled', async () => {
    clientSends(call('1', 'read'));
    await proxy.decided();
    clientSends(cancel('1'));
    serverSends(result('1', secret));
    expect(toClient.join('')).not.toContain('hunter22');
  });

  it('that cannot be masked are withheld', async () => {
    clientSends(call('1', 'read'));
    await proxy.decided();
    guard.mask = (value) => (value === undefined ? value : WITHHELD_RESULT);
    serverSends(result('1', secret));
    expect(answers()).toEqual([{ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: WITHHELD_RESULT }], isError: true } }]);
  });
});
