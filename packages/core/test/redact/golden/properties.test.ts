import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../../src/redact/redact.ts';
import { PLACED } from './places.ts';
import { Random } from './random.ts';
import { surroundingsOf } from './surroundings.ts';
import { VENDORS } from './vendors.ts';

const redactor = createRedactor();

/** One text of every shape of every kind, in a surrounding that gives it what it needs to be known, and no other. */
const TEXTS = [
  ...VENDORS.flatMap((vendor) =>
    vendor.make.map((make, i) => {
      const random = new Random(`property ${vendor.kind} ${i}`);
      const secret = make(random);
      const [, write] = surroundingsOf(vendor, secret)[0] ?? [];
      if (vendor.needs === undefined || write === undefined) return { kind: vendor.kind, secret, text: secret };
      return { kind: vendor.kind, secret, text: write({ name: vendor.names[0] ?? '', vendor: vendor.kind, value: secret, random }).trimEnd() };
    }),
  ),
  ...PLACED.flatMap(({ kind, make }) => make.map((one, i) => ({ kind, ...one(new Random(`property ${kind} ${i}`)) }))),
];
const anyText = fc.constantFrom(...TEXTS);

/** What may stand before or behind a secret without being a part of it. */
const ordinary = fc.oneof(
  fc.constantFrom('', ' ', '\n', '\t', '\r\n', '"', "'", '`', '\\n', '\\"', '\\u003d', '%3D', '&quot;', '(', ')', '[', ']', '{', '}', '<', '>', ',', ';', '|', '!', '…', '日本', '🚀', '«', '\u001b[31m', '\u0000', '\u200b'),
  fc.constantFrom('the key is ', ' and more words', 'const x = ', '= ', ': ', '"value": ', '- ', '// ', '# ', '<b>', '</b>', '**', '\\\\', '[redacted:jwt]'),
  fc.string({ unit: fc.constantFrom(' ', '.', ',', '!', '?', '(', ')', '"', "'", '\n'), maxLength: 6 }),
);

const BESIDE = [
  ['"', '"'],
  ["'", "'"],
  ['`', '`'],
  ['\\n', '\\n'],
  ['\\"', '\\"'],
  ['(', ')'],
  ['[', ']'],
  ['<', '>'],
  ['=', ','],
  [': ', ';'],
  ['日', '日'],
  ['\n', '\n'],
] as const;
const known = (kind: string): boolean => PLACED.some((placed) => placed.kind === kind);

describe('over every kind', () => {
  it('no ordinary text around a secret hides it', () => {
    fc.assert(
      fc.property(anyText, fc.array(ordinary, { maxLength: 4 }), fc.array(ordinary, { maxLength: 4 }), ({ secret, text }, before, behind) => {
        const shown = redactor.text(`${before.join('')} ${text} ${behind.join('')}`);
        expect(shown).not.toContain(secret);
      }),
      { numRuns: 4000 },
    );
  });

  it.each(TEXTS.map((text, i) => [`${text.kind} ${i}`, text] as const))('%s is found right beside quotes, escapes and marks', (_name, { kind, secret, text }) => {
    // A name behind an encoded character or a colour is another name; a token is the same one.
    const pairs = known(kind) ? BESIDE : [...BESIDE, ['%3D', '&x=1'] as const, ['\\u0022', '\\u0022'] as const, ['\u001b[1m', '\u001b[0m'] as const];
    for (const [before, behind] of pairs) {
      const found: string[] = redactor.redact(`${before}${text}${behind}`).findings.map((finding) => finding.kind);
      expect(redactor.text(`${before}${text}${behind}`), before).not.toContain(secret);
      // The name in front of it may say so first.
      if (!found.includes('key-name')) expect(found, `${before} ${text}`).toContain(kind);
    }
  });

  it('letters written behind a token do not hide it', () => {
    for (const { secret, text } of TEXTS) {
      for (const behind of ['x', 'X', '0', 'Zz9']) {
        const shown = redactor.text(`${text}${behind} `);
        if (!BY_CHECK_DIGIT.test(text)) expect(shown, text).not.toContain(secret);
      }
    }
  });

  it('two secrets beside each other are both found', () => {
    fc.assert(
      fc.property(anyText, anyText, fc.constantFrom(' ', '\n', '", "', "','", ' | ', '\t'), (a, b, between) => {
        const shown = redactor.text(`${a.text}${between}${b.text}`);
        expect(shown).not.toContain(a.secret);
        expect(shown).not.toContain(b.secret);
      }),
      { numRuns: 3000 },
    );
  });

  it('redacting twice equals redacting once, also with parts of secrets in the text', () => {
    const part = fc.tuple(anyText, fc.nat(100), fc.nat(100)).map(([{ text }, a, b]) => text.slice(Math.floor((text.length * a) / 250), Math.floor((text.length * (100 + b)) / 200)));
    fc.assert(
      fc.property(fc.array(fc.oneof(part, ordinary, anyText.map(({ text }) => text)), { maxLength: 8 }), (pieces) => {
        const once = redactor.text(pieces.join(''));
        expect(redactor.text(once)).toBe(once);
        const shown = redactor.redact({ [pieces[0] ?? '']: pieces }).shown;
        expect(redactor.redact(shown)).toEqual({ shown, findings: [] });
      }),
      { numRuns: 3000 },
    );
  });
});

/** A number with one digit more is another number: these are known by a check digit, and a letter behind it ends none of them. */
const BY_CHECK_DIGIT = /iban|card/i;
