/** A short run of `npm run fuzz:mcp`, with a seed of its own, and that it would see what it is there to see. */
import { describe, expect, it } from 'vitest';
import { overBridge } from './fuzz/bridge.ts';
import { type Drive, run } from './fuzz/campaign.ts';
import { overGateway } from './fuzz/gateway.ts';
import { overHttp } from './fuzz/http.ts';
import { toLegacy } from './fuzz/legacy.ts';
import type { Traffic } from './fuzz/oracle.ts';
import { toolsCalled } from './fuzz/readers.ts';
import { toHttp } from './fuzz/remote.ts';
import { overStdio } from './fuzz/stdio.ts';

const whole = { seed: 7, count: 1000, batch: 500 };

/** With how many messages that are no calls reach a server at least. */
const transports: readonly (readonly [string, Drive, number])[] = [
  ['stdio', overStdio, 30],
  ['http', overHttp, 30],
  ['http to stdio', overBridge, 30],
  // It answers most of them itself.
  ['http to two servers', overGateway, 5],
  ['stdio to http', toHttp, 30],
  ['stdio to http+sse', toLegacy, 30],
];

it.each(transports)(
  'a thousand mutated messages over %s: no denied call arrives, no byte is changed, what is in order is answered',
  async (_over, drive, others) => {
    const report = await run({ ...whole, drive });
    expect(report.problems).toEqual([]);
    expect(report.sent).toBe(1000);
    expect(Math.min(report.clean, report.calls, report.refused)).toBeGreaterThan(30);
    expect(report.forwarded - report.calls).toBeGreaterThan(others);
  },
);

describe.each(transports)('the same run over %s finds', (over, sound) => {
  const bends: readonly (readonly [string, (traffic: Traffic, sent: readonly Buffer[]) => Partial<Traffic>, RegExp])[] = [
    ['a proxy that lets everything pass', (_traffic, sent) => ({ received: sent }), /reached the server without a decision/],
    [
      'one that changes a byte',
      ({ received }) => ({
        received: received.map((bytes) => Buffer.from(bytes.toString('latin1').replace('"id":', '"id": '), 'latin1')),
      }),
      /that nobody sent/,
    ],
    ['one that loses a message', ({ received }) => ({ received: received.slice(received.length / 2) }), /did not arrive/],
    ['one that answers twice', ({ answers }) => ({ answers: [...answers, ...answers] }), /2 answers/],
    ['one that does not answer', () => ({ answers: [] }), /0 answers/],
    ['one that puts nothing on record', () => ({ entries: [] }), /were allowed/],
    ['one that ends badly', () => ({ code: 1 }), /ended with code 1/],
    ...(over.startsWith('http')
      ? [['one that answers another one', ({ answers }: Traffic) => ({ answers: answers.toReversed() }), /on its own exchange/] as const]
      : []),
  ];
  it.each(bends)('%s', async (_what, bend, found) => {
    const drive: Drive = async (messages) => {
      const traffic = await sound(messages);
      return {
        ...traffic,
        ...bend(
          traffic,
          messages.map(({ bytes }) => bytes),
        ),
      };
    };
    const { problems } = await run({ seed: 7, count: 200, batch: 200, drive });
    expect(problems.join('\n')).toMatch(found);
  });

  it('one that crashes', async () => {
    const { problems } = await run({ seed: 7, count: 10, batch: 10, drive: () => Promise.reject(new Error('boom')) });
    expect(problems.join('\n')).toContain('boom');
  });
});

it.each([
  '{"method":"tools/call","params":{"name":"denied"}}',
  '{"METHOD":"tools/call","params":{"name":"denied"}}',
  '{"method":"ping","method":"tools/call","params":{},"params":{"name":"free","name":"denied"}}',
  '{"method":"tools/call","method":"ping","param\u017f":{"n\\u0061me":"denied"}}',
  '[[{"method":"tools/call","params":{"name":"denied"}}]]',
  "{'method':'tools/call','params':{name:'denied'}}",
  '{"method":"ping"}{"method":"tools/call","params":{"name":"denied"}}',
  'noise {"method":"ping",\r{"method":"tools/call","params":{"name":"denied"}}',
  '\ufeff{"method" /* x */ : "tools/call",,\n"params":{"name":"denied",}}',
  'data: {"method":"tools/call","params":{"name":"denied"}}',
  '{"method":"TOOLS\u200b/call","params":{"name":"denied"}}',
])('to some reader this calls a tool: %j', (text) => {
  expect([...toolsCalled(Buffer.from(text), 'lines')]).toContain('denied');
});

it.each([
  '{"method":"tools/call","method":"ping","param\u017f":{"n\\u0061me":"denied"}}',
  '{"method" /* x */ : "tools/call",,\n"params":{"name":"denied",}}',
])('to some reader of bodies this calls a tool: %j', (text) => {
  expect([...toolsCalled(Buffer.from(text), 'bodies')]).toContain('denied');
});

it.each([
  '{"method":"ping","params":{"method":"tools/call","params":{"name":"denied"}}}',
  '{"method":"tools/callx","params":{"name":"denied"}}',
  '{}',
  '',
])('to no reader this calls a tool: %j', (text) => {
  expect([...toolsCalled(Buffer.from(text), 'lines')]).toEqual([]);
});
