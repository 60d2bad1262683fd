import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JsonScan, MAX_DEPTH, scanJson } from '../src/json-scan.ts';

const scan = (text: string): JsonScan => scanJson(Buffer.from(text));

function flaws(text: string): string[] {
  const result = scan(text);
  if (!result.ok) throw new Error(`${result.fault} at ${result.offset}`);
  return result.flaws.map(({ kind, zone }) => `${kind} ${zone}`);
}

/** So many members, and after them one with the name of an earlier one. */
function objectOf(count: number, repeated: number): string {
  return `{${[...Array(count).keys(), repeated].map((i) => `"k${i}":0`).join(',')}}`;
}

function parses(bytes: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}

describe('scanJson', () => {
  it.each([
    ['', 'not-json'],
    [' ', 'not-json'],
    ['{', 'not-json'],
    ['{}}', 'not-json'],
    ['{} {}', 'not-json'],
    ['{"a":1,}', 'not-json'],
    ['[1,]', 'not-json'],
    ['{a:1}', 'not-json'],
    ["{'a':1}", 'not-json'],
    ['{"a" 1}', 'not-json'],
    ['{"a":01}', 'not-json'],
    ['{"a":+1}', 'not-json'],
    ['{"a":.5}', 'not-json'],
    ['{"a":1.}', 'not-json'],
    ['{"a":1e}', 'not-json'],
    ['{"a":-}', 'not-json'],
    ['{"a":NaN}', 'not-json'],
    ['{"a":Infinity}', 'not-json'],
    ['{"a":tru}', 'not-json'],
    ['{"a":"\\x41"}', 'not-json'],
    ['{"a":"\\u12g4"}', 'not-json'],
    ['{"a":"\t"}', 'not-json'],
    ['{"a":"b', 'not-json'],
    ['{"a":"b\\', 'not-json'],
    ['{"a":1}//', 'not-json'],
    ['/**/{"a":1}', 'not-json'],
    ['\ufeff{}', 'not-json'],
    ['{"a":1\u0000}', 'not-json'],
    ['\u00a0{}', 'not-json'],
  ])('refuses %j as %s', (text, fault) => {
    expect(scan(text)).toMatchObject({ ok: false, fault });
  });

  it.each([
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a cut sequence', [0x22, 0xe2, 0x82, 0x22]],
    ['a lone continuation', [0x22, 0x80, 0x22]],
    ['a code point beyond Unicode', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
  ])('refuses %s as not UTF-8', (_name, bytes) => {
    expect(scanJson(Buffer.from(bytes))).toMatchObject({ ok: false, fault: 'not-utf8' });
  });

  it('refuses what is nested too deeply, however deep', () => {
    for (const text of ['['.repeat(MAX_DEPTH + 1) + ']'.repeat(MAX_DEPTH + 1), '['.repeat(1_000_000), '{"a":'.repeat(1_000_000)]) {
      expect(scan(text)).toMatchObject({ ok: false, fault: 'too-deep' });
    }
  });

  it('says what stands at the top', () => {
    expect(scan(' {"a":[]} ')).toMatchObject({ ok: true, topLevel: 'object', flaws: [] });
    expect(scan('[{}]')).toMatchObject({ ok: true, topLevel: 'array' });
    expect(scan('"x"')).toMatchObject({ ok: true, topLevel: 'scalar' });
    expect(scan('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH))).toMatchObject({ ok: true });
  });

  it('gives the bytes of the id and of no other member', () => {
    const text = '{"params":{"id":7},"\\u0069d" : "a\\u0062" }';
    const result = scan(text);
    expect(result.ok && result.id !== undefined && text.slice(result.id.start, result.id.end)).toBe('"a\\u0062"');
    expect(scan('{"params":{"id":7}}')).not.toHaveProperty('id');
  });

  it.each([
    ['{"a":1,"a":1}', ['duplicate-key top']],
    ['{"name":1,"na\\u006de":2}', ['duplicate-key top']],
    ['{"params":{"é":1,"\\u00e9":2}}', ['duplicate-key params']],
    ['{"params":{"a":[{"b":{"c":1,"c":2}}]}}', ['duplicate-key inside-params']],
    ['{"x":{"params":{"c":1,"c":2}}}', ['duplicate-key elsewhere']],
    ['{"":1,"":2}', ['duplicate-key top']],
    [objectOf(8, 0), ['duplicate-key top']],
    [objectOf(9, 0), ['duplicate-key top']],
    [objectOf(10, 8), ['duplicate-key top']],
    [objectOf(40, 9), ['duplicate-key top']],
    [objectOf(40, 39), ['duplicate-key top']],
    ['{"__proto__":1}', ['proto-key top']],
    ['[{"id":1,"id":2}]', ['duplicate-key top']],
    ['[[{"id":1,"id":2}]]', ['duplicate-key elsewhere']],
    ['{"x":[{"id":1,"id":2}]}', ['duplicate-key elsewhere']],
    ['{"params":{"arguments":{"__pr\\u006fto__":{}}}}', ['proto-key inside-params']],
    ['{"ID":1,"params":{"Name":1,"arguments":{"Name":1}}}', ['lookalike-key top', 'lookalike-key params']],
    ['{"param\\u017f":1}', ['lookalike-key top']],
    ['{"params":{"a":12345678901234567890}}', ['lossy-number inside-params']],
    ['{"params":1e400}', ['lossy-number params']],
    ['{"params":[1e400]}', ['lossy-number inside-params']],
    ['{"id":1e400}', ['lossy-number elsewhere']],
    ['{"params":{"a":"\\ud800"}}', ['lone-surrogate inside-params']],
    ['{"a":"\\udc00\\ud800"}', ['lone-surrogate elsewhere']],
    ['{"a":"\\ud800\\ud800\\udc00"}', ['lone-surrogate elsewhere']],
    ['{"a":"\\ud800x\\udc00"}', ['lone-surrogate elsewhere']],
    ['{"a":"\\ud800\\n\\udc00"}', ['lone-surrogate elsewhere']],
    ['{"\\ud800":1}', ['lone-surrogate top']],
  ])('finds what is wrong with %s', (text, expected) => {
    expect(flaws(text)).toEqual(expected);
  });

  it.each([
    '{"a":{"b":1},"c":{"b":1}}',
    '[{"a":1},{"a":1}]',
    '{"a":1,"A":1}',
    '{"a":"\\ud83d\\ude00","b":"\\u0000","c":"\\/"}',
    '{"constructor":1,"toString":2,"hasOwnProperty":3}',
    '{"params":{"n":1.0,"m":1e2,"k":0.1}}',
  ])('finds nothing wrong with %s', (text) => {
    expect(flaws(text)).toEqual([]);
  });

  it('reports every kind once, however many come before', () => {
    const harmless = Array.from({ length: 1000 }, (_, i) => `"x${i}":{"a":1,"a":2}`).join();
    const text = `{${harmless},"id":1,"id":2}`;
    expect(flaws(text)).toEqual(['duplicate-key elsewhere', 'duplicate-key top']);
  });

  it('accepts exactly what JSON.parse accepts', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(scan(text).ok).toBe(true);
      }),
      { numRuns: 500 },
    );
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"\\u0061"',
      '\\',
      '1',
      '-',
      '0',
      '.',
      'e5',
      'true',
      'null',
      ' ',
      '\t',
      '\u0001',
      'é',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
        const bytes = Buffer.from(tokens.join(''));
        expect(scanJson(bytes).ok).toBe(parses(bytes));
      }),
      { numRuns: 3000 },
    );
  });

  it('agrees with JSON.parse about mutated messages', () => {
    const message = fc.record({ jsonrpc: fc.constant('2.0'), id: fc.integer(), method: fc.constant('tools/call'), params: fc.jsonValue() });
    const edits = fc.array(fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) }), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(message, edits, (value, changes) => {
        let bytes = Buffer.from(JSON.stringify(value));
        for (const { at, remove, insert } of changes) {
          const start = at % (bytes.length + 1);
          bytes = Buffer.concat([bytes.subarray(0, start), insert, bytes.subarray(start + remove)]);
        }
        expect(scanJson(bytes).ok).toBe(parses(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});
