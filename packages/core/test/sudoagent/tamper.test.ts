import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type VerifyOptions, type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { hasVectors, vectorText } from '../vectors.ts';
import { chained, lines, scenario, writeLines } from './writer.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString();
const own = (signed: boolean): string => lines(chained(scenario(), signed ? privateKey : undefined));
const vectors = (name: string): (() => string) => (hasVectors('sudoagent-v2') ? () => vectorText(`sudoagent-v2/${name}`) : () => '');

const LEDGERS: readonly (readonly [string, () => string])[] = [
  ['written here', () => own(false)],
  ['written here and signed', () => own(true)],
  ...(hasVectors('sudoagent-v2')
    ? ([
        ['small-unsigned.jsonl', vectors('small-unsigned.jsonl')],
        ['small-signed.jsonl', vectors('small-signed.jsonl')],
      ] as const)
    : []),
];

async function verified(content: string | Uint8Array, options: VerifyOptions = {}): Promise<VerifyReport> {
  return await verifyLedger(writeLines(content), options);
}

/** Says what is wrong first, and where. */
const first = ({ problems: [problem] }: VerifyReport): readonly [number, string] | undefined =>
  problem === undefined ? undefined : [problem.entry, problem.code];

const text = (entries: readonly string[]): string => entries.map((entry) => `${entry}\n`).join('');

/** Each changes entry `index` of the lines, and says which entry must be named. `undefined`: this one cannot be made there. */
type Tampering = (entries: readonly string[], index: number) => { readonly entries: readonly string[]; readonly at: number } | undefined;

const edit =
  (change: (line: string) => string): Tampering =>
  (entries, index) => ({ entries: entries.with(index, change(entries[index] as string)), at: index + 1 });

const TAMPERINGS: readonly (readonly [string, string, Tampering])[] = [
  ['a changed field', 'ENTRY_HASH_MISMATCH', edit((line) => line.replace(/"action":"([^"]*)"/, '"action":"$1x"'))],
  ['a changed time', 'ENTRY_HASH_MISMATCH', edit((line) => line.replace(/("created_at":"\d{4}-\d\d-\d\dT)\d\d/, '$100'))],
  ['a changed version', 'ENTRY_HASH_MISMATCH', edit((line) => line.replace('"schema_version":"2.0"', '"schema_version":"3.0"'))],
  [
    'a forged hash',
    'ENTRY_HASH_MISMATCH',
    edit((line) => line.replace(/"entry_hash":"[0-9a-f]{64}"/, `"entry_hash":"${'ab'.repeat(32)}"`)),
  ],
  [
    'a hash in upper case',
    'ENTRY_SHAPE',
    edit((line) => line.replace(/"entry_hash":"[0-9a-f]{64}"/, (member) => member.toUpperCase().replace('ENTRY_HASH', 'entry_hash'))),
  ],
  ['no hash', 'ENTRY_SHAPE', edit((line) => line.replace(/"entry_hash":"[0-9a-f]{64}"/, '"entry_hash":null'))],
  ['an added field', 'ENTRY_HASH_MISMATCH', edit((line) => line.replace('"schema_version"', '"role":"admin","schema_version"'))],
  ['a duplicate key', 'ENTRY_NOT_CANONICAL', edit((line) => line.replace('"schema_version"', '"schema_version":"2.0","schema_version"'))],
  ['CRLF', 'ENTRY_NOT_CANONICAL', edit((line) => `${line}\r`)],
  ['a space before it', 'ENTRY_NOT_CANONICAL', edit((line) => ` ${line}`)],
  ['a space behind it', 'ENTRY_NOT_CANONICAL', edit((line) => `${line} `)],
  ['a space inside', 'ENTRY_NOT_CANONICAL', edit((line) => line.replace('":"', '": "'))],
  ['a byte order mark', 'ENTRY_NOT_CANONICAL', edit((line) => `\ufeff${line}`)],
  ['a NUL', 'ENTRY_NOT_CANONICAL', edit((line) => line.replace('"action":"', '"action":"\u0000'))],
  [
    'an escape it does not need',
    'ENTRY_NOT_CANONICAL',
    edit((line) => line.replace('"action":"f', '"action":"\\u0066').replace('"action":"t', '"action":"\\u0074')),
  ],
  ['two entries on one line', 'ENTRY_NOT_CANONICAL', edit((line) => `${line}${line}`)],
  ['a word', 'ENTRY_NOT_CANONICAL', edit(() => 'ledger')],
  ['an array', 'ENTRY_NOT_CANONICAL', edit((line) => `[${line}]`)],
  ['an empty object', 'ENTRY_SHAPE', edit(() => '{}')],
  ['a blank line before it', 'ENTRY_NOT_CANONICAL', (entries, index) => ({ entries: entries.toSpliced(index, 0, ''), at: index + 1 })],
  [
    'the entry twice',
    'CHAIN_BROKEN',
    (entries, index) => ({ entries: entries.toSpliced(index, 0, entries[index] as string), at: index + 2 }),
  ],
  [
    'the entry removed',
    'CHAIN_BROKEN',
    (entries, index) => (index === entries.length - 1 ? undefined : { entries: entries.toSpliced(index, 1), at: index + 1 }),
  ],
  [
    'two entries in the other order',
    'CHAIN_BROKEN',
    (entries, index) => {
      if (index === entries.length - 1) return undefined;
      return { entries: entries.with(index, entries[index + 1] as string).with(index + 1, entries[index] as string), at: index + 1 };
    },
  ],
  [
    'an older entry inserted',
    'CHAIN_BROKEN',
    (entries, index) => (index < 2 ? undefined : { entries: entries.toSpliced(index, 0, entries[index - 2] as string), at: index + 1 }),
  ],
];

describe.each(LEDGERS)('a ledger %s', (_name, read) => {
  const whole = read();
  const entries = whole.trimEnd().split('\n');

  it('is valid as it is', async () => {
    expect(await verified(whole)).toMatchObject({ status: 'valid', entries: entries.length, problems: [] });
  });

  it.each(TAMPERINGS)('%s is named with its entry: %s', async (_what, code, tamper) => {
    let made = 0;
    for (let index = 0; index < entries.length; index++) {
      const tampered = tamper(entries, index);
      if (tampered === undefined || text(tampered.entries) === whole) continue;
      made++;
      const report = await verified(text(tampered.entries));
      expect([index, report.status, first(report)]).toEqual([index, 'invalid', [tampered.at, code]]);
      expect(report.integrity).toBe('broken');
    }
    expect(made).toBeGreaterThan(5);
  });

  it('cut at every line is whole up to there, and its end is not proven, or contradicted', async () => {
    for (let size = 1; size < entries.length; size++) {
      const cut = text(entries.slice(0, size));
      expect(await verified(cut)).toMatchObject({ status: 'valid', entries: size, end: 'unproven' });
      const expected = await verified(cut, { expectSize: entries.length });
      expect(expected).toMatchObject({ status: 'invalid', end: 'contradicted', problems: [{ entry: 0, code: 'EXPECT_TRUNCATED' }] });
    }
  });

  it('cut inside a line is torn there', async () => {
    let place = 0;
    for (const [index, entry] of entries.entries()) {
      const length = Buffer.byteLength(entry);
      for (const at of [1, 2, Math.floor(length / 2), length - 1, length]) {
        const report = await verified(Buffer.from(whole).subarray(0, place + at));
        // One or two bytes of the first line tell nobody what they were.
        if (index === 0 && at <= 2) expect(report.status).toBe('unreadable');
        else expect([at, report.status, first(report)]).toEqual([at, 'invalid', [index + 1, 'LINE_TORN']]);
      }
      place += length + 1;
    }
  });

  it('with bytes that are no text names the entry', async () => {
    for (const [index, entry] of entries.entries()) {
      const before = Buffer.from(text(entries.slice(0, index)));
      const broken = Buffer.concat([
        before,
        Buffer.from(entry.slice(0, 12)),
        Buffer.from([0xc3, 0x28]),
        Buffer.from(`${entry.slice(12)}\n`),
      ]);
      const report = await verified(Buffer.concat([broken, Buffer.from(text(entries.slice(index + 1)))]));
      expect(first(report)).toEqual([index + 1, 'ENTRY_UNREADABLE']);
    }
  });
});

/** A generator with a seed (mulberry32), so that a run can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('flipped bytes', () => {
  const FLIPS = 600;
  it.each(LEDGERS)('never pass in a ledger %s', async (name, read) => {
    const bytes = Buffer.from(read());
    const next = random(20_261_122);
    // In a signed ledger a signature may be changed by whoever likes, unless the key is there to check it.
    const key =
      name === 'written here and signed'
        ? PEM
        : name.includes('signed.jsonl') && !name.includes('un')
          ? vectorText('sudoagent-v2/key.pub.pem')
          : undefined;
    const options = key === undefined ? {} : { publicKeys: [key] };
    for (let flip = 0; flip < (key === undefined ? FLIPS : FLIPS / 10); flip++) {
      const place = Math.floor(next() * bytes.length);
      const mutant = Buffer.from(bytes);
      mutant[place] = (bytes[place] as number) ^ (1 << Math.floor(next() * 8));
      const { status } = await verified(mutant, options);
      expect([place, status]).toEqual([place, expect.stringMatching(/^(?:invalid|unreadable)$/)]);
    }
  });
});
