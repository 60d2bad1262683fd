import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTEXT_CHARS, changesTable } from '../../src/approvals/changes-table.ts';
import { html } from '../../src/approvals/html.ts';

const WHOLE = html`see there`;
const table = (before: Parameters<typeof changesTable>[0], after: Parameters<typeof changesTable>[0]): string =>
  changesTable(before, after, { before: 'asked for', after: 'proposed', whole: WHOLE }).toString();
/** What stands in the two cells of the only row. */
const cells = (markup: string): readonly (string | undefined)[] => {
  const [was, is] = [...markup.matchAll(/<td class="(?:before|after)"><span class="visually-hidden">[^<]*<\/span>(.*?)<\/td>/gs)];
  return [was?.[1], is?.[1]];
};

describe('changesTable', () => {
  it.each([7_999, 8_000, 8_001, 100_000])('shows where two texts differ after %d characters', (length) => {
    const start = 'x'.repeat(length);
    const markup = table({ to: `${start}ann` }, { to: `${start}bob` });
    const [was, is] = cells(markup);
    expect(was).toContain('<mark>ann</mark>');
    expect(is).toContain('<mark>bob</mark>');
    expect(was).toContain(`… ${length - CONTEXT_CHARS} characters, the same in both, are not shown`);
    expect(markup).toContain('Not everything is shown here.');
    expect(markup).toContain('see there');
  });

  it('shows short texts whole, with the place marked', () => {
    const markup = table({ to: 'pay ann now' }, { to: 'pay bob now' });
    expect(cells(markup)[0]).toContain('pay <mark>ann</mark> now');
    expect(markup).not.toContain('Not everything');
  });

  it('says how much of a long difference is cut', () => {
    const markup = table({ to: `${'a'.repeat(20_000)}1` }, { to: `${'b'.repeat(20_000)}2` });
    expect(markup).toContain('12001 more characters that differ are not shown');
    expect(markup).toContain('Not everything is shown here.');
  });

  it.each<[string, unknown, unknown]>([
    ['a list that is longer than what is shown', 1, Array.from({ length: 5_000 }, (_, i) => i)],
    ['a text that was added', undefined, 'y'.repeat(10_000)],
    ['a text in place of a number', 1, 'y'.repeat(10_000)],
  ])('says that %s is cut', (_, before, after) => {
    const markup = table(before === undefined ? {} : { a: before as number }, { a: after as string });
    expect(markup).toContain('Not everything is shown here.');
  });

  it('says that a name is cut, and that there are more differences', () => {
    const name = 'k'.repeat(3_000);
    expect(table({}, { [`${name}_dry_run`]: 1 })).toContain('more characters of the name are not shown');
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));
    expect(table({}, many)).toContain('100 more differences are not listed');
    expect(table({}, many)).toContain('Not everything is shown here.');
  });

  it('tells zero from minus zero', () => {
    const [was, is] = cells(table({ a: 0 }, { a: -0 }));
    expect(was).not.toBe(is);
  });

  it('never shows two texts that differ as the same', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', '\u202e', '\n', '🎉', '<', '\u0301', '\\u{202e}'), maxLength: 60 });
    fc.assert(
      fc.property(text, text, text, text, fc.constantFrom(0, 2_000, 9_000), (start, one, other, end, more) => {
        fc.pre(one !== other);
        const [was, is] = cells(table([start + 'p'.repeat(more) + one + end], [start + 'p'.repeat(more) + other + end]));
        expect(was).toBeDefined();
        expect(was).not.toBe(is);
      }),
    );
  });
});
