import { describe, expect, it } from 'vitest';
import { editedArguments, readEdit } from '../../src/approval/edit.ts';
import type { Json } from '../../src/call.ts';
import { captureArguments } from '../../src/redact/arguments.ts';
import { createRedactor } from '../../src/redact/redact.ts';

const redactor = createRedactor();
const TOKEN = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';

function shownOf(args: unknown): { raw: unknown; shown: Json } {
  const raw = captureArguments(args).value;
  return { raw, shown: redactor.redact(raw).shown };
}

/** What would run. */
function applied(args: unknown, edit: unknown): unknown {
  const { raw, shown } = shownOf(args);
  return editedArguments(readEdit(edit, shown, redactor), shown, raw);
}

describe('an edit', () => {
  it('is taken as it is written', () => {
    expect(applied({ amount: 700, to: 'ann' }, { amount: 70, to: 'ann', note: ['x', null] })).toEqual({
      amount: 70,
      to: 'ann',
      note: ['x', null],
    });
  });

  it('leaves secrets and values that are not JSON where they were', () => {
    const at = new Date(0);
    const bytes = Buffer.from('abc');
    const args = { amount: 700, api_key: TOKEN, at, deep: { list: [{ bytes, note: 'a' }, `see ${TOKEN}`] } };
    const edit = {
      amount: 70,
      api_key: '[redacted:key-name]',
      at: '[date 1970-01-01T00:00:00.000Z]',
      deep: { list: [{ bytes: '[bytes:3]', note: 'b' }, shownOf(`see ${TOKEN}`).shown] },
    };
    expect(applied(args, edit)).toEqual({ ...args, amount: 70, deep: { list: [{ bytes, note: 'b' }, `see ${TOKEN}`] } });
  });

  it('can take a secret out', () => {
    expect(applied({ a: 1, api_key: TOKEN }, { a: 1 })).toEqual({ a: 1 });
    expect(applied([1, TOKEN], [1])).toEqual([1]);
  });

  const secret = { amount: 1, api_key: TOKEN, items: [TOKEN, 'plain'] };
  const shown = { amount: 1, api_key: '[redacted:key-name]', items: ['[redacted:github-token]', 'plain'] };
  it.each<[string, unknown, RegExp]>([
    ['a secret', { ...shown, note: `use ${TOKEN}` }, /at \/note looks like a secret \(github-token\)/],
    ['a secret under a secret name', { ...shown, password: 'hunter2hunter2' }, /at \/password looks like a secret/],
    ['a placeholder that was copied', { ...shown, note: '[redacted:key-name]' }, /placeholder at \/note/],
    ['a placeholder that was renamed', { amount: 1, token2: '[redacted:key-name]', items: shown.items }, /placeholder at \/token2/],
    ['a placeholder of another kind', { ...shown, api_key: '[redacted:jwt]' }, /placeholder at \/api_key/],
    ['text around a placeholder', { ...shown, items: ['see [redacted:github-token]', 'plain'] }, /placeholder at \/items\/0/],
    ['a list that moved under a placeholder', { ...shown, items: ['new', ...shown.items] }, /placeholder at \/items/],
    ['a list cut before a placeholder', { ...shown, items: ['[redacted:github-token]'] }, /placeholder at \/items/],
    ['a placeholder as a name', { ...shown, '[redacted:jwt]': 1 }, /hidden name/],
    ['bytes that never were', { ...shown, note: '[bytes:3]' }, /placeholder at \/note/],
    ['nothing new', { ...shown }, /are those of the call/],
    ['no JSON', { ...shown, at: new Date(0) }, /not JSON/],
    ['nothing at all', undefined, /not JSON/],
    ['a function', { ...shown, f: () => 1 }, /plain data/],
    ['a big integer', { ...shown, amount: 1n }, /BigInt/],
    ['NaN', { ...shown, amount: Number.NaN }, /finite/],
    ['a prototype', JSON.parse('{"__proto__":{"x":1}}'), /__proto__/],
    ['a getter', Object.defineProperty({}, 'x', { get: () => 1, enumerable: true }), /getter/],
    ['too much', { ...shown, note: 'x'.repeat(5_000_000) }, /larger than/],
    ['too deep', JSON.parse(`${'['.repeat(101)}${']'.repeat(101)}`), /deeper/],
  ])('with %s is refused', (_what, edit, message) => {
    expect(shownOf(secret).shown).toEqual(shown);
    let thrown: unknown;
    try {
      readEdit(edit, shown, redactor);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'APPROVAL_EDIT_INVALID', message: expect.stringMatching(message) });
    expect(String(thrown)).not.toContain(TOKEN);
    expect(String(thrown)).not.toContain('hunter2');
  });

  it('keeps an object whose names hide something only as it is', () => {
    const args = { headers: { [TOKEN]: 'a' }, n: 1 };
    const { shown: seen } = shownOf(args);
    const headers = (seen as { headers: Json }).headers;
    expect(applied(args, { headers, n: 2 })).toEqual({ ...args, n: 2 });
    expect(() => applied(args, { headers: { ...(headers as object), b: 'c' }, n: 1 })).toThrow(/hidden name/);
  });
});
