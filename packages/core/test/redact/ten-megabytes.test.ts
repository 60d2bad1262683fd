/** Ten megabytes of anything: the redactor comes back, hides what is in there, and nothing overflows. */
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { captureArguments } from '../../src/redact/arguments.ts';
import { MAX_EXCERPT_CHARS, showAnything } from '../../src/redact/excerpt.ts';
import { maskResult } from '../../src/redact/mask.ts';
import { createRedactor } from '../../src/redact/redact.ts';

const SIZE = 10_000_000;
const SECRET = 'postgres://app:hunter2hunter2@db/main';
const SHOWN = 'postgres://app:[redacted:url-password]@db/main';
const redactor = createRedactor({ detectors: [{ kind: 'badge', pattern: 'EMP-[0-9]{6}' }] });
const filled = (piece: string): string => piece.repeat(Math.ceil(SIZE / piece.length));

describe('ten megabytes', () => {
  it.each([
    'The quick brown fox jumps over the lazy dog.\n',
    'const total = items.reduce((sum, { price }) => sum + price, 0);\n',
    '{"id":1,"name":"Ann","tags":["a","b"]},\n',
    'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODkwYWJjZGVm',
    '敏捷的棕色狐狸跳过懒狗。',
    '"',
    '\\"',
    '=',
    'eyJ',
    '://',
    '{"a":',
    '[redacted:jwt]',
    'EMP-12345 ',
  ])('of %j', (piece) => {
    const text = filled(piece);
    expect(redactor.text(`${text}\n ${SECRET} \n${text.slice(0, 1000)}`)).toContain(SHOWN);
  });

  it('of which each line holds a secret', () => {
    const shown = redactor.text(filled(`db = ${SECRET}\n`));
    expect(shown).not.toContain('hunter2');
    expect(shown.split(SHOWN).length).toBeGreaterThan(200_000);
  });

  it('as arguments are refused, naming the limit and no content', () => {
    const refusal = (value: unknown): unknown => {
      try {
        return captureArguments(value);
      } catch (error) {
        return CountersignError.is(error) ? `${error.code}: ${error.message}` : error;
      }
    };
    for (const value of [{ text: filled(SECRET) }, { list: Array.from({ length: 100_000 }, () => 'x'.repeat(100)) }]) {
      expect(refusal(value)).toMatch(/^ARGUMENTS_INVALID: .*bytes/);
      expect(refusal(value)).not.toContain('hunter2');
    }
  });

  it('as a result are an excerpt in the record, and masked for the model', () => {
    const result = { rows: Array.from({ length: 50_000 }, (_, id) => ({ id, db: SECRET, note: 'x'.repeat(150) })) };
    const excerpt = JSON.stringify(showAnything(result, redactor));
    expect(excerpt.length).toBeLessThanOrEqual(MAX_EXCERPT_CHARS);
    expect(excerpt).not.toContain('hunter2');
    const masked = maskResult(result, redactor);
    expect(masked.rows).toHaveLength(50_000);
    expect(masked.rows.at(-1)).toEqual({ id: 49_999, db: SHOWN, note: 'x'.repeat(150) });
  });
});
