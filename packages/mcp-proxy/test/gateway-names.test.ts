import { describe, expect, it } from 'vitest';
import { openCursor, type Place, sealCursor } from '../src/gateway/cursor.ts';
import { edited, elements, insertion, members, spanAt, wholeOf } from '../src/gateway/json-spans.ts';
import { innerName, innerTask, innerUri, MAX_NAME_CHARS, outerName, outerTask, outerUri } from '../src/gateway/names.ts';
import { ShortNames } from '../src/gateway/short-names.ts';

const SERVERS = ['a', 'ab', 'a_b', 'a.b', 'a-b', 'files', 'x'.repeat(40), 'constructor'];
const TOOLS = [
  'b',
  '_b',
  '__b',
  'b__c',
  'a__b',
  '_',
  'réad',
  'read file',
  'a/b',
  'x'.repeat(22),
  'x'.repeat(23),
  'x'.repeat(256),
  'x'.repeat(255) + 'y',
  '🙂',
  'b_h0123456789abcdef',
  '__proto__',
  'files__read',
];

describe('names of several servers', () => {
  it('no two of them meet, and all keep to the characters and length that models take', () => {
    const seen = new Map<string, string>();
    for (const server of SERVERS) {
      for (const tool of TOOLS) {
        const outer = outerName(server, tool);
        expect(outer).toMatch(/^[A-Za-z0-9_.-]{1,64}$/);
        expect(outer.length).toBeLessThanOrEqual(MAX_NAME_CHARS);
        expect(seen.get(outer) ?? `${server} ${tool}`).toBe(`${server} ${tool}`);
        seen.set(outer, `${server} ${tool}`);
        expect(innerName(outer)?.server).toBe(server);
      }
    }
    expect(seen.size).toBe(SERVERS.length * TOOLS.length);
  });

  it('a name that needs no short form gives back exactly what it was made of', () => {
    for (const server of SERVERS)
      for (const tool of ['b', '_b', '__b', 'b__c', 'a__b', '_', '__proto__'])
        expect(innerName(outerName(server, tool))).toEqual({ server, name: tool, isShort: false });
  });

  it.each(['', 'read', '__', '__read', 'a__', 'files__réad', 'files__a b', `files__${'x'.repeat(60)}`, 'files__a/b', 'files__\0'])(
    '%j is the name of nothing',
    (outer) => {
      expect(innerName(outer)).toBeUndefined();
    },
  );

  it('short forms are the same in every process, and found again only when they were learned', () => {
    const long = 'x'.repeat(100);
    expect(outerName('files', long)).toBe(`files__${'x'.repeat(39)}_h${outerName('files', long).slice(-16)}`);
    const names = new ShortNames();
    const outer = names.outer('tools/list', 'files', long) ?? '';
    const form = innerName(outer)?.name ?? '';
    expect(names.find('tools/list', 'files', form)).toBe(long);
    expect(names.find('prompts/list', 'files', form)).toBeUndefined();
    expect(names.find('tools/list', 'memory', form)).toBeUndefined();
    expect(new ShortNames().find('tools/list', 'files', form)).toBeUndefined();
  });

  it('a tool that is called like a short form gets one of its own', () => {
    const names = new ShortNames();
    const real = names.outer('tools/list', 'files', 'x'.repeat(100)) ?? '';
    const squatter = real.slice('files__'.length);
    const squatted = names.outer('tools/list', 'files', squatter) ?? '';
    expect(squatted).not.toBe(real);
    expect(names.find('tools/list', 'files', innerName(real)?.name ?? '')).toBe('x'.repeat(100));
    expect(names.find('tools/list', 'files', innerName(squatted)?.name ?? '')).toBe(squatter);
  });

  it('URIs and tasks give back what they were made of, whatever that holds', () => {
    for (const text of ['file:///a', 'a:b:c', '', 'countersign:memory:x', '__', 'x y?#%2f/../', 'tasks__1']) {
      expect(innerUri(outerUri('files', text))).toEqual({ server: 'files', uri: text });
      expect(innerTask(outerTask('files', text))).toEqual({ server: 'files', taskId: text });
    }
    expect(innerUri('file:///a')).toBeUndefined();
    expect(innerUri('countersign:files')).toBeUndefined();
    expect(innerTask('t-1')).toBeUndefined();
  });
});

describe('cursors', () => {
  const key = Buffer.alloc(32, 1);
  const places: readonly Place[] = [
    { server: 'files', skip: 3 },
    { server: 'memory', cursor: 'page-2', skip: 0 },
  ];
  const sealed = sealCursor(key, 'tools/list', places);

  it('come back as they went', () => {
    expect(openCursor(key, 'tools/list', sealed)).toEqual(places);
  });

  it('are refused cut, changed, in another spelling, of another method or another gateway', () => {
    for (let at = 0; at < sealed.length; at++) {
      expect(openCursor(key, 'tools/list', sealed.slice(0, at))).toBeUndefined();
      const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1);
      expect(openCursor(key, 'tools/list', changed)).toBeUndefined();
    }
    for (const other of [`${sealed}=`, `${sealed} `, ` ${sealed}`, sealed + sealed, '', 'null', 'x'.repeat(2_000_000)])
      expect(openCursor(key, 'tools/list', other)).toBeUndefined();
    expect(openCursor(key, 'prompts/list', sealed)).toBeUndefined();
    expect(openCursor(Buffer.alloc(32, 2), 'tools/list', sealed)).toBeUndefined();
  });
});

describe('places in a JSON text', () => {
  const text = ' { "a" : [ 1 , {"b":"}\\"]"} , [] ,"x" ], "n\\u0061me":-1.50e3,"o":{ } , "last":null } ';

  it('are where the values stand', () => {
    const cut = ({ start, end }: { readonly start: number; readonly end: number }): string => text.slice(start, end);
    expect([...members(text, wholeOf(text))].map(([key, span]) => [key, cut(span)])).toEqual([
      ['a', '[ 1 , {"b":"}\\"]"} , [] ,"x" ]'],
      ['name', '-1.50e3'],
      ['o', '{ }'],
      ['last', 'null'],
    ]);
    const array = spanAt(text, ['a']);
    expect(array === undefined ? [] : elements(text, array).map(cut)).toEqual(['1', '{"b":"}\\"]"}', '[]', '"x"']);
    expect(spanAt(text, ['a', 'b'])).toBeUndefined();
    expect(spanAt(text, ['o', 'x'])).toBeUndefined();
  });

  it('take other values, and keep every other byte', () => {
    const [name, o] = [spanAt(text, ['name']), spanAt(text, ['o'])];
    if (name === undefined || o === undefined) throw new Error('not found');
    const changed = edited(text, [insertion(text, o, 'k', '1'), { ...name, text: '"z"' }]);
    expect(changed).toBe(text.replace('-1.50e3', '"z"').replace('{ }', '{"k":1 }'));
    expect(JSON.parse(edited(text, [insertion(text, wholeOf(text), 'k', '[2]')]))).toMatchObject({ k: [2], last: null });
  });

  it('agree with JSON.parse on every value of many texts', () => {
    const values = [
      {},
      [],
      [[[]]],
      { a: { b: [1, 'x\\"', { c: null }] } },
      ['\\', '\\\\"', '{[', '}]'],
      { '"': 1, '\\': 2, ' ': [true, false] },
      -0.5,
      'x',
      null,
    ];
    for (const value of values)
      for (const space of [0, 1, 3]) {
        const json = JSON.stringify(value, undefined, space);
        const walk = (span: { readonly start: number; readonly end: number }, expected: unknown): void => {
          expect(JSON.parse(json.slice(span.start, span.end))).toEqual(expected);
          if (Array.isArray(expected)) for (const [at, item] of elements(json, span).entries()) walk(item, expected[at]);
          else if (typeof expected === 'object' && expected !== null) {
            const found = members(json, span);
            expect([...found.keys()]).toEqual(Object.keys(expected));
            for (const [key, item] of found) walk(item, new Map(Object.entries(expected)).get(key));
          }
        };
        walk(wholeOf(json), value);
      }
  });
});
