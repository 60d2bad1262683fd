/**
 * Two verifiers of different make must agree: on a real export, on what somebody without the key makes of it, and on
 * what the holder of the key makes of it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openRecords } from '../../src/container/open-records.ts';
import { exportHeader, recordLine } from '../../src/export/ndjson.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { acceptedInPython, python, verifyInPython } from '../python.ts';
import { forged, type Loose } from '../verify/forge.ts';
import { writeScenario } from '../verify/scenario.ts';
import { exported, file } from './made.ts';

/** Numbers at every turn of ECMAScript's way of writing them, and texts at every turn of JSON's. */
const ODD_ARGUMENTS = {
  numbers: [0, -0, 1, -1.5, 0.1, 1e-6, 1e-7, 1.5e-7, 123456789012345680000, 1e21, 1.5e300, 5e-324, 2 ** 53, 1 / 3, -1e-10, 4294967296.5],
  texts: ['\u0000\u001f\u007f', '"\\/', '\b\f\n\r\t', '\u2028\u2029', 'caf\u00e9', '\u{1f600}', '\ufeff', '\ufffd'],
  '10': 1,
  '9': 2,
  '\u{1f600}': 1,
  '\uffff': 2,
  'a/b~c': { '': [] },
  __proto: null,
  deep: [[[[{}]]], true, false, null],
};

function exportOf(path: string): readonly string[] {
  const reader = openRecords(path);
  try {
    return [exportHeader(reader, true), ...[...reader.records()].map((record) => recordLine(record, leafHash(record.text), true))];
  } finally {
    reader.close();
  }
}

let path: string;
let lines: readonly string[];
beforeAll(async () => {
  ({ path } = await writeScenario());
  const store = openLedger(path);
  const guard = guardOn(store, { agent: 'billing', session: 'odd' });
  await guard.run({ tool: { name: 'read' }, args: ODD_ARGUMENTS }, () => ODD_ARGUMENTS);
  await guard.close();
  await store.close();
  lines = exportOf(path);
});

/** What stands around the first character that differs: whole exports would fill the screen. */
function differenceOf(text: string, mutant: string): string {
  let place = 0;
  while (text[place] === mutant[place]) place++;
  return `${text.slice(Math.max(0, place - 40), place + 20)} -> ${mutant.slice(Math.max(0, place - 40), place + 20)}`;
}

/** Valid only if both say so; the exit codes tell. */
async function both(name: string): Promise<{ readonly ours: string; readonly theirs: number | null; readonly text: string }> {
  const { code, text } = verifyInPython(name, LEDGER_VKEY);
  return { ours: (await verifyLedger(name, { publicKeys: [LEDGER_VKEY] })).status, theirs: code, text };
}

describe.skipIf(python === undefined)('the verifier in Python', () => {
  it('accepts a real export', async () => {
    expect(await both(exported(lines))).toMatchObject({
      ours: 'valid',
      theirs: 0,
      text: expect.stringContaining(`VALID: ${lines.length - 1} entries`),
    });
  });

  it('accepts an export without clear text', async () => {
    const bare = lines.map((line) => line.replace(/,"opening":\{"key":"[0-9a-f]{64}","sections":.*\}\}$/, '}'));
    expect(bare).not.toEqual(lines);
    expect(await both(exported(bare))).toMatchObject({ ours: 'valid', theirs: 0 });
  });

  it('says of an export without entries that nothing is proven', async () => {
    const header = exportHeader({ origin: 'test.example/ledger', size: undefined }, true);
    expect(await both(exported([header]))).toMatchObject({ ours: 'unproven', theirs: 3 });
  });

  const at = (index: number): string => lines[index] ?? '';
  const find = (text: string): number => lines.findIndex((line) => line.includes(text));
  const swap = (index: number, from: string | RegExp, to: string): readonly string[] => {
    const changed = at(index).replace(from, to);
    expect(changed).not.toBe(at(index));
    return lines.with(index, changed);
  };
  const opened = (): number => find('"sections":{"args":{"path"');

  it.each<[string, () => readonly string[]]>([
    ['a body changed', () => swap(4, '"agent":"billing"', '"agent":"b1lling"')],
    [
      'a body and its hash changed',
      () => {
        const body = /"entry":(\{.*?\})(?:,"opening"|\}$)/.exec(at(find('"kind":"session"')))?.[1] ?? '';
        const other = body.replace('"session":"s1"', '"session":"s9"');
        return swap(find('"kind":"session"'), body, other).map((line) => line.replace(leafHash(body), leafHash(other)));
      },
    ],
    ['a hash changed', () => swap(4, /"leaf":"......../, '"leaf":"00000000')],
    ['an entry taken out', () => lines.toSpliced(5, 1)],
    ['the first entry taken out', () => lines.toSpliced(1, 1)],
    ['the last entry taken out', () => lines.slice(0, -1)],
    ['an entry twice', () => lines.toSpliced(5, 0, at(5))],
    ['two entries in other places', () => lines.toSpliced(5, 2, at(6), at(5))],
    ['an entry added', () => [...lines, at(5).replace('"index":4', `"index":${lines.length - 1}`)]],
    ['clear text changed', () => swap(opened(), '"path":"/srv', '"path":"/etc')],
    ['clear text added', () => swap(opened(), '"sections":{', '"sections":{"aaa":1,')],
    ['the key of clear text changed', () => swap(opened(), /"opening":\{"key":"..../, '"opening":{"key":"0000')],
    ['the key of clear text cut', () => swap(opened(), /"opening":\{"key":"..../, '"opening":{"key":"')],
    ['an odd number written otherwise', () => swap(find('"sections":{"args":{"10"'), '1e-7', '0.0000001')],
    ['an odd number changed in its last digit', () => swap(find('"sections":{"args":{"10"'), '0.3333333333333333', '0.33333333333333337')],
    ['a name twice in clear text', () => swap(opened(), '"sections":{"args"', '"sections":{"args":1,"args"')],
    ['a space in clear text', () => swap(opened(), '"sections":{', '"sections":{ ')],
    ['a space in an entry', () => swap(5, '"entry":{', '"entry":{ ')],
    ['a space in a line', () => swap(5, '{"index":4,', '{"index":4, ')],
    ['a member more in a line', () => swap(5, /\}$/, ',"more":1}')],
    ['a member twice in a line', () => swap(5, '{"index":4,', '{"index":4,"index":4,')],
    ['a member more in the header', () => swap(0, /\}$/, ',"more":1}')],
    ['a size changed', () => swap(0, /"size":\d+/, '"size":7')],
    ['an origin changed', () => swap(0, '"origin":"test', '"origin":"t3st')],
    ['a version changed', () => swap(0, '"version":1', '"version":2')],
    ['a version that is true', () => swap(0, '"version":1', '"version":true')],
    ['no checkpoint', () => swap(0, /"checkpoint":".*"\}$/, '"checkpoint":null}')],
    ['a root changed', () => swap(0, /(\\n\d+\\n)..../, '$1AAAA')],
    ['a signature changed', () => swap(0, /....==\\n"\}$|....=?\\n"\}$/, 'AAAA\\n"}')],
    ['a checkpoint without signature', () => swap(0, /\\n\\n.*"\}$/, '\\n"}')],
    ['no header', () => lines.slice(1)],
    ['two headers', () => [at(0), ...lines]],
    ['line ends converted', () => lines.map((line) => `${line}\r`)],
    ['an empty line', () => lines.toSpliced(5, 0, '')],
    ['an empty line at the end', () => [...lines, '']],
    ['a byte order mark', () => lines.with(0, `\ufeff${at(0)}`)],
    ['a line that is no JSON', () => lines.with(5, 'hello')],
    ['nothing but a header', () => [at(0)]],
  ])('and ours refuse %s', async (_name, changed) => {
    const { ours, theirs, text } = await both(exported(changed()));
    expect({ theirs, text }).toMatchObject({ theirs: 1 });
    expect(ours).not.toBe('valid');
  });

  it('and ours refuse every truncation at a line', async () => {
    for (let length = 0; length < lines.length; length += 6)
      expect(await both(exported(lines.slice(0, length)))).toMatchObject({ theirs: 1, ours: expect.stringMatching(/invalid|unreadable/) });
  });

  it('and ours refuse bytes that are no UTF-8', async () => {
    const bytes = readFileSync(exported(lines));
    const changed = Buffer.from(bytes);
    changed[bytes.indexOf('"kind":"session"') - 5] = 0xff;
    expect(await both(file(changed))).toMatchObject({ ours: 'invalid', theirs: 1 });
  });

  const is = (entry: Loose, kind: string): boolean => entry['kind'] === kind;
  it.each<[string, (entries: Loose[]) => Loose[] | void]>([
    ['an outcome twice', (entries) => [...entries, { ...entries.find((entry) => is(entry, 'outcome')) }]],
    [
      'an outcome after a deny',
      (entries) => {
        const denied = entries.findIndex((entry) => is(entry, 'decision') && entry['effect'] === 'deny');
        const { call = '', session = '' } = entries[denied] ?? {};
        const outcome = entries.find((entry) => is(entry, 'outcome'));
        return [...entries, { ...outcome, call, session, decision: { of: denied, leaf: '' } }];
      },
    ],
    [
      'an outcome of another call',
      (entries) => {
        const outcome = entries.find((entry) => is(entry, 'outcome'));
        if (outcome !== undefined) outcome['call'] = '0'.repeat(32);
      },
    ],
    [
      'an outcome of no decision',
      (entries) => {
        const outcome = entries.find((entry) => is(entry, 'outcome'));
        if (outcome !== undefined) outcome['decision'] = { of: 0, leaf: '' };
      },
    ],
    [
      'an outcome that comes first',
      (entries) => {
        const index = entries.findIndex((entry) => is(entry, 'outcome'));
        const outcome = entries[index] as Loose & { decision: { of: number } };
        entries.splice(outcome.decision.of, index - outcome.decision.of + 1, outcome, ...entries.slice(outcome.decision.of, index));
        return entries;
      },
    ],
    [
      'a call allowed twice',
      (entries) => [...entries, { ...entries.find((entry) => is(entry, 'decision') && entry['effect'] === 'allow') }],
    ],
    [
      'an entry of another version',
      (entries) => {
        const note = entries.find((entry) => is(entry, 'note'));
        if (note !== undefined) note['v'] = 2;
      },
    ],
    [
      'an id that is none',
      (entries) => {
        const note = entries.find((entry) => is(entry, 'note'));
        if (note !== undefined) note['id'] = 'x';
      },
    ],
    [
      'a time that is none',
      (entries) => {
        const note = entries.find((entry) => is(entry, 'note'));
        if (note !== undefined) note['at'] = 1.5;
      },
    ],
  ])('and ours refuse, though signed with the key, %s', async (_name, change) => {
    const { ours, theirs, text } = await both(exported(exportOf(forged(path, change))));
    expect({ ours, theirs, text }).toMatchObject({ ours: 'invalid', theirs: 1 });
  });

  it.each([
    ['1.0', '{"at":1.0'],
    ['-0', '-0'],
    ['1E3', '1E3'],
    ['1e400', '1e400'],
    ['12345678901234567890', '12345678901234567890'],
    ['0.1000', '0.1000'],
    ['NaN', 'NaN'],
    ['"\\u0041"', '"\\u0041"'],
    ['"\\/"', '"\\/"'],
    ['"\\ud800"', '"\\ud800"'],
    ['{"b":1,"a":2}', '{"b":1,"a":2}'],
    ['{"a":1,"a":2}', '{"a":1,"a":2}'],
    ['deep', `${'['.repeat(200)}${']'.repeat(200)}`],
    ['very deep', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('and ours refuse, though signed with the key, a body with %s', async (_name, value) => {
    let index = 0;
    const text = (): string => {
      const note = JSON.stringify(entries[index]);
      return note.replace(/"data":.*?,"id"/, `"data":${value},"id"`);
    };
    let entries: Loose[] = [];
    forged(path, (all) => {
      entries = all;
      index = all.findIndex((entry) => is(entry, 'note'));
    });
    const changed = forged(path, () => undefined, { keepReferences: true, texts: new Map([[index, text()]]) });
    const { ours, theirs, text: said } = await both(exported(exportOf(changed)));
    expect({ ours, theirs, said }).toMatchObject({ ours: 'invalid', theirs: 1 });
  });

  it('refuses an export with any character changed or gone', () => {
    const text = `${lines.join('\n')}\n`;
    const mutants = Array.from({ length: 500 }, (_, i) => {
      const place = Math.floor((i * text.length) / 500);
      const other = i % 4 === 3 ? '' : String.fromCharCode(text.charCodeAt(place) ^ (1 << (i % 3)));
      return text.slice(0, place) + other + text.slice(place + 1);
    }).filter((mutant) => mutant.startsWith('{"countersign":"export"'));
    const accepted = acceptedInPython([text, ...mutants], LEDGER_VKEY);
    expect(accepted[0]).toBe(true);
    // An empty object has the same commitment under every key: that of an opening with nothing else is bound to nothing.
    const shown = (export_: string): string => export_.replaceAll(/"key":"[0-9a-f]{64}","sections":\{"args":\{\}\}/g, '');
    const passed = mutants.filter((mutant, i) => accepted[i + 1] && shown(mutant) !== shown(text));
    expect(passed.map((mutant) => differenceOf(text, mutant))).toEqual([]);
  });

  it('has its own words for wrong usage and for what cannot be read', () => {
    const made = exported(lines);
    expect(verifyInPython(made, 'hello').code).toBe(2);
    expect(verifyInPython(made, LEDGER_VKEY.replace(/\+[0-9a-f]{8}\+/, '+00000000+')).code).toBe(2);
    expect(verifyInPython(join(tempDirectory(), 'none'), LEDGER_VKEY).code).toBe(4);
    expect(verifyInPython(tempDirectory(), LEDGER_VKEY).code).toBe(4);
    expect(verifyInPython(file(''), LEDGER_VKEY).code).toBe(1);
  });

  it('refuses another key', () => {
    const other = 'example.com/billing+6d00182e+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c';
    expect(verifyInPython(exported(lines), other)).toMatchObject({ code: 1, text: expect.stringContaining('not signed by this key') });
  });
});
