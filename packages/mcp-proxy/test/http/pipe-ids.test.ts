import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onThePipe, ownerOf, withClientId, withClientNames } from '../../src/http/pipe-ids.ts';
import { isObject, type JsonObject } from '../../src/message.ts';

const line = (text: string): Buffer => Buffer.from(`${text}\n`);
const parsed = (bytes: Buffer): JsonObject => {
  const message: unknown = JSON.parse(bytes.toString());
  if (!isObject(message)) throw new Error('not a message');
  return message;
};
const space = fc.constantFrom('', ' ', '\t', '  ');
const idJson = fc.oneof(
  fc.integer().map(String),
  fc.string({ unit: 'grapheme', maxLength: 10 }).map((text) => JSON.stringify(text)),
  fc.constantFrom('1.0', '"\\u0061"', '""'),
);
/** Names that mean something elsewhere in a message, as values and keys of other things. */
const args = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constantFrom('{"id":"x","progressToken":"y"}', '"\\"id\\":1"', '[{"id":[1]}]', '{"n":1.50e1}'),
);

describe('ids of many clients on one pipe', () => {
  it('replace the id and the token, and nothing else, and come back as they were', () => {
    fc.assert(
      fc.property(idJson, idJson, args, space, (id, token, argument, gap) => {
        const before = `{${gap}"id"${gap}:${gap}`;
        const between = `${gap},"method":"tools/call","params":{"arguments":{"a":${argument}},"_meta":{"x":1.0,"progressToken":${gap}`;
        const after = `${gap}}},"jsonrpc":"2.0"}`;
        const named = onThePipe(line(before + id + between + token + after), 'ours-1');
        if (new Set(argument.match(/"__proto__"/g)).size > 0) return;
        expect(named?.bytes.toString()).toBe(`${before}"ours-1"${between}"ours-1"${after}\n`);
        expect(named?.token).toEqual(JSON.parse(token));
        const answer = `{${gap}"result":${argument},"id":${gap}"ours-1"${gap}}`;
        expect(withClientId(Buffer.from(answer), id)?.toString()).toBe(`${answer.replace('"ours-1"', () => id)}\n`);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['{"id":1,"id":2,"method":"a"}', 'two ids'],
    ['{"id":1,"method":"a","params":{"_meta":{"progressToken":1,"progressToken":2}}}', 'two tokens'],
    ['{"id":1,"method":"a","params":{"_meta":{},"_meta":{"progressToken":2}}}', 'two places for a token'],
    ['{"id":1,"method":"a","params":{"a":{"b":1,"b":2}}}', 'a repeated key further down'],
    ['[{"id":1,"method":"a"}]', 'a batch'],
    ['{"method":"a"}', 'no id'],
    ['{"id":1', 'half a message'],
  ])('do not go into %s (%s)', (text) => {
    expect(onThePipe(line(text), 'ours-1')).toBeUndefined();
  });

  it.each([
    [{ method: 'notifications/progress', params: { progressToken: 'ours-1' } }, 'ours-1'],
    [{ method: 'notifications/progress', params: { progressToken: 1 } }, undefined],
    [{ method: 'notifications/message', params: { progressToken: 'ours-1' } }, undefined],
    [{ method: 'notifications/x', params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'ours-2' } } }, 'ours-2'],
    [{ method: 'notifications/x', params: ['ours-1'] }, undefined],
    [{ method: 'notifications/x', params: { requestId: 'ours-1' } }, undefined],
    [{ method: 'notifications/x' }, undefined],
  ])('are found where a message names its request (%j)', (message, owner) => {
    expect(ownerOf(message)).toBe(owner);
  });

  it('give a message of the server back what its client gave, byte for byte otherwise', () => {
    const progress = '{"params":{"progress":1.0, "progressToken":"ours-1" ,"message":"ours-1"},"method":"notifications/progress"}';
    const told = withClientNames(Buffer.from(progress), parsed(Buffer.from(progress)), { id: 1, token: 7 });
    expect(told?.toString()).toBe(`${progress.replace('"progressToken":"ours-1"', '"progressToken":7')}\n`);
    const repeated = '{"params":{"progressToken":"ours-1","progressToken":"ours-2"},"method":"notifications/progress"}';
    expect(withClientNames(Buffer.from(repeated), parsed(Buffer.from(repeated)), { id: 1, token: 7 })).toBeUndefined();
  });
});
