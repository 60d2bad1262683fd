/** A short run of `npm run fuzz:mcp`, with a seed of its own, and that it would see what it is there to see. */
import { describe, expect, it } from 'vitest';
import { run } from './fuzz/campaign.ts';
import type { Traffic } from './fuzz/oracle.ts';
import { toolsCalled } from './fuzz/readers.ts';
import { overStdio } from './fuzz/stdio.ts';

const whole = { seed: 7, count: 1000, batch: 500 };

it('a thousand mutated messages over stdio: no denied call arrives, no byte is changed, what is in order is answered', async () => {
  const report = await run({ ...whole, drive: overStdio });
  expect(report.problems).toEqual([]);
  expect(report.sent).toBe(1000);
  expect(Math.min(report.clean, report.calls, report.forwarded - report.calls, report.refused)).toBeGreaterThan(30);
});

describe('the same run finds', () => {
  const drives: readonly (readonly [string, (traffic: Traffic, sent: Buffer) => Traffic, RegExp])[] = [
    ['a proxy that lets everything pass', (traffic, sent) => ({ ...traffic, received: sent }), /reached the server without a decision/],
    [
      'one that changes a byte',
      (traffic) => ({ ...traffic, received: Buffer.from(traffic.received.toString('latin1').replace('"id":', '"id": '), 'latin1') }),
      /that nobody sent/,
    ],
    [
      'one that loses a message',
      (traffic) => ({ ...traffic, received: traffic.received.subarray(0, -traffic.received.length / 2) }),
      /did not arrive/,
    ],
    ['one that answers twice', (traffic) => ({ ...traffic, answers: Buffer.concat([traffic.answers, traffic.answers]) }), /2 answers/],
    ['one that does not answer', (traffic) => ({ ...traffic, answers: Buffer.alloc(0) }), /0 answers/],
    ['one that puts nothing on record', (traffic) => ({ ...traffic, entries: [] }), /were allowed/],
    ['one that ends badly', (traffic) => ({ ...traffic, code: 1 }), /ended with code 1/],
  ];
  it.each(drives)('%s', async (_what, bend, found) => {
    const drive = async (messages: readonly Buffer[]): Promise<Traffic> => bend(await overStdio(messages), Buffer.concat(messages));
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
  expect([...toolsCalled(Buffer.from(text))]).toContain('denied');
});

it.each([
  '{"method":"ping","params":{"method":"tools/call","params":{"name":"denied"}}}',
  '{"method":"tools/callx","params":{"name":"denied"}}',
  '{}',
  '',
])('to no reader this calls a tool: %j', (text) => {
  expect([...toolsCalled(Buffer.from(text))]).toEqual([]);
});
