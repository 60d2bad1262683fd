import { createHash, createHmac } from 'node:crypto';
import canonicalizeOracle from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import {
  checkOpening,
  commitDigests,
  commitSection,
  memberDigest,
  memberPointer,
  newOpeningKey,
  sectionPointer,
} from '../../src/ledger/commitment.ts';

const KEY = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const ARGS = { limit: 3, path: '/srv/q1.csv' };

/** The definition again, in other words, with another JCS. */
function slowDigest(key: string, pointer: string, value: unknown): string {
  const salt = createHmac('sha256', Buffer.from(key, 'hex')).update(pointer).digest().subarray(0, 16).toString('hex');
  return createHash('sha256')
    .update(`countersign/argument/v1\n${canonicalizeOracle([salt, pointer, value])}`)
    .digest('hex');
}

function slowCommit(digests: string[]): string {
  return createHash('sha256')
    .update(`countersign/arguments/v1\n${JSON.stringify(digests.toSorted())}`)
    .digest('hex');
}

describe('commitSection', () => {
  it('gives the bytes of the file header', () => {
    expect(memberDigest(KEY, '/args/limit', 3)).toBe('0d8c2f11a70561133c0bb2f5aab92d05de55f56b2e886165c9c9b9329834a410');
    expect(memberDigest(KEY, '/args/path', '/srv/q1.csv')).toBe('deee5d13b7c16120e5a0b36cfc3d6e97b0b71646f3fe2f329ba2092c3f0ce2e6');
    expect(commitSection(KEY, 'args', ARGS)).toBe('14e9028d2050075a3d892512bfd9d9ff8a6df4234213563677d67966c1dcac28');
    expect(commitSection(KEY, 'reason', 'over 500')).toBe('e2dc7c2093e467e07ca64acaa9e961e2c65eac22a7c060640278a69772dc3a3e');
  });

  it('follows the definition for any object', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme' })), (value) => {
        fc.pre(!JSON.stringify(value).includes('"toJSON"'));
        const section = JSON.parse(JSON.stringify(value)) as { [key: string]: Json };
        const digests = Object.entries(section).map(([name, member]) =>
          slowDigest(KEY, `/args/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, member),
        );
        expect(commitSection(KEY, 'args', section)).toBe(slowCommit(digests));
      }),
      { numRuns: 200 },
    );
  });

  it.each<[string, Json]>([
    ['string', 'x'],
    ['array', [1, { a: 2 }]],
    ['number', 0],
    ['null', null],
    ['boolean', false],
  ])('a section that is a %s has one digest', (_name, value) => {
    expect(commitSection(KEY, 'result', value)).toBe(slowCommit([slowDigest(KEY, '/result', value)]));
  });

  it('does not depend on the order of the members, and leaves undefined ones out', () => {
    expect(commitSection(KEY, 'args', { path: '/srv/q1.csv', limit: 3 })).toBe(commitSection(KEY, 'args', ARGS));
    const withUndefined = { ...ARGS, extra: undefined } as unknown as Json;
    expect(commitSection(KEY, 'args', withUndefined)).toBe(commitSection(KEY, 'args', ARGS));
  });

  it('lets one member be disclosed: the other digests suffice', () => {
    const withheld = memberDigest(KEY, memberPointer('args', 'path'), ARGS.path);
    const shown = memberDigest(KEY, memberPointer('args', 'limit'), ARGS.limit);
    expect(commitDigests([shown, withheld])).toBe(commitSection(KEY, 'args', ARGS));
    expect(commitDigests([withheld])).not.toBe(commitSection(KEY, 'args', ARGS));
  });

  it('tells apart what looks alike', () => {
    const commits = [
      commitSection(KEY, 'args', { a: 1 }),
      commitSection(KEY, 'args', { a: '1' }),
      commitSection(KEY, 'args', { a: [1] }),
      commitSection(KEY, 'args', { a: null }),
      commitSection(KEY, 'args', { A: 1 }),
      commitSection(KEY, 'args', [1]),
      commitSection(KEY, 'args', 1),
      commitSection(KEY, 'args', {}),
      commitSection(KEY, 'args', []),
      commitSection(KEY, 'args', ''),
      commitSection(KEY, 'args', { '': '' }),
      commitSection(KEY, 'args', { 'a/b': 1 }),
      commitSection(KEY, 'args', { 'a~1b': 1 }),
      commitSection(KEY, 'args', { 'a~b': 1 }),
      commitSection(KEY, 'args', JSON.parse('{"__proto__":1}') as Json),
      commitSection(KEY, 'args', { constructor: 1 }),
      commitSection(KEY, 'args/a', 1),
      commitSection(KEY, 'result', { a: 1 }),
      commitSection(KEY.replace('00', '01'), 'args', { a: 1 }),
    ];
    expect(new Set(commits).size).toBe(commits.length);
  });

  it('escapes pointers as RFC 6901 does', () => {
    expect(memberPointer('args', 'a/b~c')).toBe('/args/a~1b~0c');
    expect(sectionPointer('reason')).toBe('/reason');
  });

  it.each(['', KEY.slice(2), `${KEY}00`, KEY.toUpperCase(), `${KEY}\n`, 'g'.repeat(64)])('refuses the key %j', (key) => {
    expect(() => commitSection(key, 'args', {})).toThrow(expect.objectContaining({ code: 'ENTRY_INVALID' }));
    expect(() => memberDigest(key, '/args', {})).toThrow(expect.objectContaining({ code: 'ENTRY_INVALID' }));
  });

  it('refuses what has no canonical form', () => {
    expect(() => commitSection(KEY, 'args', { a: Number.NaN })).toThrow(expect.objectContaining({ code: 'CANONICAL_INVALID' }));
    expect(() => commitSection(KEY, 'args', { '\ud800': 1 })).toThrow(expect.objectContaining({ code: 'CANONICAL_INVALID' }));
    expect(() => commitSection(KEY, 'args', { a: new Date(0) as unknown as Json })).toThrow(
      expect.objectContaining({ code: 'CANONICAL_INVALID' }),
    );
  });
});

describe('newOpeningKey', () => {
  it('gives different keys of 32 bytes across many pools', () => {
    const keys = new Set(Array.from({ length: 1000 }, newOpeningKey));
    expect(keys.size).toBe(1000);
    // A key taken from a pool after its bytes were wiped would be all zeros.
    for (const key of keys) expect(key).toMatch(/^(?!0{64})[0-9a-f]{64}$/);
  });
});

describe('checkOpening', () => {
  const sections = { args: ARGS, reason: 'over 500', result: [1, 2] };
  const commits = {
    args: commitSection(KEY, 'args', ARGS),
    reason: commitSection(KEY, 'reason', 'over 500'),
    result: commitSection(KEY, 'result', [1, 2]),
  };

  it('finds nothing wrong with the true opening, whole or in part', () => {
    expect(checkOpening(commits, { key: KEY, sections })).toEqual([]);
    expect(checkOpening(commits, { key: KEY, sections: { reason: 'over 500' } })).toEqual([]);
    expect(checkOpening(commits, { key: KEY, sections: {} })).toEqual([]);
  });

  it.each<[string, { key: string; sections: { [section: string]: Json } }, string[]]>([
    ['another value', { key: KEY, sections: { ...sections, reason: 'over 501' } }, ['reason']],
    ['a member more', { key: KEY, sections: { ...sections, args: { ...ARGS, admin: true } } }, ['args']],
    ['a member less', { key: KEY, sections: { ...sections, args: { limit: 3 } } }, ['args']],
    ['values swapped', { key: KEY, sections: { args: sections.result, reason: 'over 500', result: ARGS } }, ['args', 'result']],
    ['another key', { key: newOpeningKey(), sections }, ['args', 'reason', 'result']],
    ['a malformed key', { key: 'xyz', sections }, ['args', 'reason', 'result']],
    ['a section never committed to', { key: KEY, sections: { ...sections, error: 'x' } }, ['error']],
    ['a section named like a prototype member', { key: KEY, sections: { constructor: 'x' } }, ['constructor']],
    ['a value without canonical form', { key: KEY, sections: { args: { a: Number.NaN } } }, ['args']],
  ])('names the sections that do not match: %s', (_name, opening, wrong) => {
    expect(checkOpening(commits, opening)).toEqual(wrong);
  });

  it('a commitment that is absent or undefined matches nothing', () => {
    expect(checkOpening({ args: undefined }, { key: KEY, sections })).toEqual(['args', 'reason', 'result']);
  });
});
