import { argumentChanges } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { agentText } from '../../src/approvals/agent-text.ts';
import { argumentTree, MAX_STRING_CHARS, MAX_TREE_CHARS } from '../../src/approvals/argument-tree.ts';
import { html, verbatim } from '../../src/approvals/html.ts';
import { label } from '../../src/approvals/list-view.ts';

const ATTACKS: readonly string[] = [
  '<script>alert(1)</script>',
  '</textarea><script>alert(1)</script>',
  '</title><img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' autofocus onfocus=alert(1) x='",
  '`-alert(1)-`',
  '<!--',
  ']]>',
  '&lt;script&gt;',
  '&#x3c;script&#x3e;',
  '\0<b\0>',
  '\ud800<',
  '\udc00',
  '\u202e<tpircs>',
  '<\u200bscript>',
  'javascript:alert(1)',
  '{{constructor.constructor("alert(1)")()}}',
  '\u001b[2J<',
  '＜script＞',
];
/** Nothing that could begin a tag, end an attribute or begin a character reference of its own. */
const INERT = /^(?:[^<>"'`&]|&(?:amp|lt|gt|quot|#39|#96);)*$/;

describe('html', () => {
  it.each(ATTACKS)('makes text of %j, wherever it stands', (text) => {
    for (const made of [html`${text}`, html`${[text, text]}`, verbatim(text)]) {
      expect(made.toString()).toMatch(INERT);
      expect(made.toString().isWellFormed()).toBe(true);
      expect(made.toString()).not.toContain('\0');
    }
  });

  it.each(ATTACKS)('shows no unsafe character of %j', (text) => {
    expect(html`${text}`.toString()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('keeps what verbatim stands for: a form sends it back', () => {
    const text = '{"a":"<&>\\"\'`"}\n\t';
    const read = verbatim(text)
      .toString()
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&quot;', '"')
      .replaceAll('&#39;', "'")
      .replaceAll('&#96;', '`')
      .replaceAll('&amp;', '&');
    expect(read).toBe(text);
  });

  it('nests what it made, and drops false and undefined', () => {
    expect(html`<ul>${['a', 'b'].map((each) => html`<li>${each}</li>`)}${false}${undefined}${0}</ul>`.toString()).toBe(
      '<ul><li>a</li><li>b</li>0</ul>',
    );
  });
});

describe('agentText', () => {
  it('marks what is spelled out, so that it cannot be imitated by spelling', () => {
    expect(agentText('a\u202eb').toString()).toBe('a<b class="odd">\\u{202e}</b>b');
    expect(agentText('a\\u{202e}b').toString()).toBe('a\\u{202e}b');
    expect(agentText('p\u0430y\u00a0pal').toString()).toBe('p<b class="odd">\\u{430}</b>y<b class="odd">\\u{a0}</b>pal');
    expect(agentText('Привет, а потом').toString()).toBe('Привет, а потом');
    expect(agentText('a\nb\tc').toString()).toBe('a<b class="odd">\\n</b><br>b<b class="odd">\\t</b>c');
  });

  it('leaves four marks on a character, and spells out the rest', () => {
    expect(agentText(`q${'\u0301'.repeat(4)}`).toString()).toBe(`q${'\u0301'.repeat(4)}`);
    expect(
      agentText(`q${'\u0301'.repeat(6)}`)
        .toString()
        .split('class="odd"'),
    ).toHaveLength(3);
  });
});

describe('label', () => {
  it('tells names apart that a page would show alike', () => {
    const names = ['delete all', 'delete  all', 'delete all ', 'delete\u00a0all', 'delete\u202eall', 'delete\\u{202e}all', 'dеlete all'];
    expect(new Set(names.map((name) => html`${label(name)}`.toString())).size).toBe(names.length);
    expect(label('x'.repeat(500))).toContain('(cut: 500 characters; all of it: countersign approvals show)');
  });
});

describe('argumentTree', () => {
  it.each(ATTACKS)('makes no markup of %j as key or value', (text) => {
    const markup = argumentTree({ [text]: text, list: [text] }).markup.toString();
    expect(markup.replaceAll(/<\/?(?:ul|li|span|details|summary|b|br|em)(?: class="[a-z]+"| open)?>/g, '')).toMatch(INERT);
  });

  it('names the secrets that were replaced, and where', () => {
    const { redactions } = argumentTree({ a: 'Bearer [redacted:jwt]', 'b/c': [{ '~': '[redacted:key-name]' }] });
    expect(redactions).toEqual([
      { kind: 'jwt', pointer: '/a' },
      { kind: 'key-name', pointer: '/b~1c/0/~0' },
    ]);
  });

  it('says so when something is not shown: long texts, many members, many levels', () => {
    const deep = JSON.parse(`${'['.repeat(500)}1${']'.repeat(500)}`);
    for (const args of [
      'x'.repeat(1_000_000),
      { a: 'y'.repeat(MAX_STRING_CHARS + 1) },
      Array.from({ length: 100_000 }, (_, i) => i),
      deep,
    ]) {
      const { markup, isCut } = argumentTree(args);
      expect(isCut).toBe(true);
      expect(markup.toString()).toContain('not shown');
      expect(markup.toString().length).toBeLessThan(4 * MAX_TREE_CHARS);
    }
    expect(argumentTree({ a: 'y'.repeat(MAX_STRING_CHARS) }).isCut).toBe(false);
    // Names that differ behind the cut alone would be the same one to whoever approves.
    const start = 'a'.repeat(300);
    const names = argumentTree({ [`${start}_dry_run`]: true, [`${start}_delete_all`]: true });
    expect([names.isCut, names.markup.toString()]).toEqual([
      true,
      expect.stringContaining('111 more characters of the name are not shown'),
    ]);
    expect(argumentTree({ ['k'.repeat(200)]: true }).isCut).toBe(false);
  });

  it('is not blown up by characters that are spelled out', () => {
    expect(argumentTree('\u202e'.repeat(1_000_000)).markup.toString().length).toBeLessThan(500_000);
  });

  it.each([null, true, 0, -0, '', [], {}, { __proto__: null }])('shows %j', (value) => {
    expect(argumentTree(value).markup.toString()).not.toBe('');
  });
});

describe('argumentChanges', () => {
  it('finds what was changed, added and removed', () => {
    expect(argumentChanges({ a: 1, b: { c: [1, 2] }, d: 'x' }, { a: 2, b: { c: [1, 2, 3] }, e: null })).toEqual({
      changes: [
        { pointer: '/a', before: 1, after: 2 },
        { pointer: '/b/c/2', after: 3 },
        { pointer: '/d', before: 'x' },
        { pointer: '/e', after: null },
      ],
      more: 0,
    });
  });

  it.each([
    [{ a: 1 }, { a: 1 }],
    [[], []],
    [null, null],
  ])('finds nothing between %j and %j', (before, after) => {
    expect(argumentChanges(before, after).changes).toEqual([]);
  });

  it.each<[string, Parameters<typeof argumentChanges>[0], Parameters<typeof argumentChanges>[0]]>([
    ['a list and an object', { a: [1] }, { a: { 0: 1 } }],
    ['a text and a number', { a: 1 }, { a: '1' }],
    ['zero and minus zero', { a: 0 }, { a: -0 }],
    ['null and nothing', { a: null }, {}],
    ['prototype names', {}, JSON.parse('{"__proto__":{"a":1}}')],
    ['constructor', { constructor: 1 }, {}],
  ])('does not take %s for one', (_, before, after) => {
    expect(argumentChanges(before, after).changes).toHaveLength(1);
  });

  it('counts what it does not list, and takes any depth', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, i]));
    expect(argumentChanges(many, {})).toMatchObject({ more: 800 });
    const deep = (end: number): Parameters<typeof argumentChanges>[0] => JSON.parse(`${'['.repeat(5000)}${end}${']'.repeat(5000)}`);
    expect(argumentChanges(deep(1), deep(2)).changes).toHaveLength(1);
  });
});
