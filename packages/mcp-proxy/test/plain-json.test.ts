import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DEPTH, scanJson } from '../src/json-scan.ts';
import { MAX_PLAIN_BYTES, type PlainJson, plainJson } from '../src/plain-json.ts';

const plain = (text: string): PlainJson | undefined => plainJson(Buffer.from(text));

/** What `plainJson` takes is what a scan finds nothing in. @returns whether it was taken. */
function agrees(bytes: Buffer, keys?: ReadonlySet<string>): boolean {
  const read = plainJson(bytes, keys);
  if (read === undefined) return false;
  const scan = scanJson(bytes, keys);
  expect(scan).toMatchObject({ ok: true, topLevel: 'object', flaws: [] });
  expect(isDeepStrictEqual(read.value, JSON.parse(bytes.toString('utf8')))).toBe(true);
  const { id } = scan as Extract<typeof scan, { ok: true }>;
  expect(read.idJson).toBe(id === undefined ? undefined : bytes.toString('utf8', id.start, id.end));
  return true;
}

describe('plainJson', () => {
  it.each([
    ['{}'],
    ['{"jsonrpc":"2.0","id":"a\\"b","method":"x"}'],
    ['{"id":-5,"method":"tools/call","params":{"name":"e","arguments":{"n":[1,-0.5,1e+21,1e-7,null,true,{}]}}}'],
    ['{"id":{"a":[1]},"constructor":{"toJSON":"x"},"é":"日本\u2028😀"}'],
    ['{"1":0,"2":0,"a":"\\\\x"}'],
  ])('takes %s', (text) => {
    expect(agrees(Buffer.from(text))).toBe(true);
  });

  it.each([
    ['no object', '[]'],
    ['a batch', '[{"id":1}]'],
    ['a scalar', '1'],
    ['nothing', ''],
    ['half of it', '{"id":1'],
    ['two of them', '{}{}'],
    ['a byte order mark', '\ufeff{}'],
    ['space', '{"id": 1}'],
    ['a carriage return', '{"id":1}\r'],
    ['a carriage return inside', '{"id":1,\r"method":"x"}'],
    ['a repeated key', '{"id":1,"id":1}'],
    ['a repeated key with an escape', '{"id":1,"\\u0069d":1}'],
    ['a repeated key further in', '{"params":{"arguments":{"a":1,"b":[{"c":1,"c":1}]}}}'],
    ['a repeated key that is no name', '{"params":{"__proto__":1,"__proto__":2}}'],
    ['__proto__', '{"params":{"arguments":{"__proto__":{"a":1}}}}'],
    ['a key with an escape', '{"\\u006dethod":"x"}'],
    ['an escape that need not be', '{"a":"\\/"}'],
    ['half a surrogate pair', '{"a":"\\ud800"}'],
    ['half a surrogate pair in a key', '{"\\udfff":1}'],
    ['a number beyond a double', '{"a":12345678901234567891}'],
    ['a number out of range', '{"a":1e400}'],
    ['a number that becomes another', '{"a":0.1234567890123456789}'],
    ['a fraction of nothing', '{"a":1.0}'],
    ['minus zero', '{"a":-0}'],
    ['a key like a deciding one', '{"Method":"x"}'],
    ['a key like a deciding one, in params', '{"params":{"Name":"x"}}'],
    ['a key like a deciding one but for what is not seen', '{"i\u200bd":1}'],
    ['keys in another order than they are read', '{"2":0,"1":0}'],
  ])('leaves %s to a scan', (_, text) => {
    expect(plain(text)).toBeUndefined();
  });

  it('leaves what is not UTF-8 to a scan, in keys and values', () => {
    for (const bytes of ['7b226122 3a22ff227d', '7b22c3223a317d', '7b2261223a22eda080227d', '7b2261223a22c080227d'])
      expect(plainJson(Buffer.from(bytes.replace(' ', ''), 'hex'))).toBeUndefined();
  });

  it('takes a key like a deciding one where it decides nothing, and goes by the keys it is given', () => {
    expect(agrees(Buffer.from('{"params":{"arguments":{"Name":1,"ID":2}}}'))).toBe(true);
    expect(plain('{"Result":1}')).toBeDefined();
    expect(plainJson(Buffer.from('{"Result":1}'), new Set(['result']))).toBeUndefined();
  });

  it('takes nothing that is nested deeper than a scan goes, whichever way', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const nested = (depth: number): string => `{"a":${open.repeat(depth - 1)}0${close.repeat(depth - 1)}}`;
      expect(agrees(Buffer.from(nested(MAX_DEPTH)))).toBe(true);
      expect(plain(nested(MAX_DEPTH + 1))).toBeUndefined();
      expect(plain(nested(30_000 / open.length))).toBeUndefined();
    }
  });

  it('takes up to so many bytes, not characters', () => {
    const of = (filler: string): string => `{"a":"${filler}"}`;
    expect(plain(of('x'.repeat(MAX_PLAIN_BYTES - 8)))).toBeDefined();
    expect(plain(of('x'.repeat(MAX_PLAIN_BYTES - 7)))).toBeUndefined();
    expect(plain(of('é'.repeat(MAX_PLAIN_BYTES / 2)))).toBeUndefined();
  });

  it('takes what was written by JSON.stringify, and of that with pieces put in or taken out only what a scan finds sound', () => {
    const key = fc.oneof(
      fc.constantFrom('jsonrpc', 'id', 'method', 'params', 'name', 'arguments', 'ID', '__proto__', 'toJSON', '0'),
      fc.string(),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.string({ unit: 'binary' }),
        fc.double(),
        fc.integer(),
        fc.constant(null),
        tie('object'),
        fc.array(tie('value')),
      ),
      object: fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map((members) => Object.fromEntries(members)),
    }));
    const message = fc.array(fc.tuple(key, value), { maxLength: 6 }).map((members) => JSON.stringify(Object.fromEntries(members)));
    const piece = fc.constantFrom(
      ' ',
      '\r',
      '\\',
      '"',
      ',',
      ':',
      '{',
      '}',
      '[',
      ']',
      '0',
      '-',
      '.',
      'e1',
      '\ufeff',
      '\\ud800',
      '\\u0069',
      ',"id":1',
      '"id":1,',
    );
    const edit = fc.tuple(fc.nat(), fc.nat(3), fc.oneof(piece, fc.constant('')));
    let taken = 0;
    fc.assert(
      fc.property(message, fc.array(edit, { maxLength: 2 }), (text, edits) => {
        const bytes = Buffer.from(
          edits.reduce((now, [at, cut, put]) => {
            const start = at % (now.length + 1);
            return now.slice(0, start) + put + now.slice(start + cut);
          }, text),
        );
        if (agrees(bytes)) taken += 1;
      }),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(300);
  });

  it('agrees with a scan when any one byte is changed', () => {
    const text = Buffer.from('{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"e","arguments":{"a":[1,"é\\n"]}}}');
    for (let at = 0; at < text.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const changed = Buffer.from(text);
        changed[at] = byte;
        agrees(changed);
      }
    }
  });
});
