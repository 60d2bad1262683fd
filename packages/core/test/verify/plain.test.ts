/** The short way must never accept what the long way does not, nor understand it differently. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../src/index.ts';
import { parseCanonical } from '../../src/ledger/canonical.ts';
import { leafDigest } from '../../src/ledger/merkle.ts';
import { commitsOf } from '../../src/verify/openings.ts';
import { type Plain, readBody } from '../../src/verify/plain.ts';
import { readShape } from '../../src/verify/shapes.ts';
import { entriesOf, type Loose } from './forge.ts';
import { writeScenario } from './scenario.ts';

const readPlain = (text: string): Plain | undefined => {
  const { leaf, plain } = readBody(text);
  expect(leaf).toBe(leafDigest(text));
  return plain;
};

let texts: readonly string[];
beforeAll(async () => {
  texts = entriesOf((await writeScenario()).path).map((entry) => JSON.stringify(entry));
});

/** What the short way says about a text it accepts, checked against the long way. @returns whether it accepted. */
function compared(text: string): boolean {
  const plain = readPlain(text);
  if (plain === undefined) return false;
  const value = parseCanonical(text) as { readonly [key: string]: Json };
  expect(readShape(value)).toMatchObject({ kind: 'known', unknownFields: undefined });
  const { given, ...entry } = plain.entry;
  const { seen, ...rest } = 'seen' in entry ? entry : { ...entry, seen: undefined };
  expect(value).toMatchObject(JSON.parse(JSON.stringify(rest)) as object);
  expect([given, seen]).toEqual([value['labels'], value['session_labels']].map((labels) => labels && JSON.stringify(labels)));
  expect(value['labelled']).toBeUndefined();
  expect(value['kind'] === 'decision' ? value['approval'] : undefined).toBeUndefined();
  expect(value['budgets']).toEqual(plain.entry.kind === 'decision' ? plain.entry.budgets : undefined);
  expect(Object.fromEntries(plain.commits)).toEqual(Object.fromEntries(commitsOf(value)));
  return true;
}

const text = (more: { readonly [key: string]: unknown }, base: number): string => {
  const entry: { readonly [key: string]: unknown } = { ...(JSON.parse(texts[base] as string) as object), ...more };
  return JSON.stringify(Object.fromEntries(Object.entries(entry).toSorted(([a], [b]) => (a < b ? -1 : 1))));
};
const at = (test: RegExp): number => texts.findIndex((each) => test.test(each));
const decision = (): number => at(/"budgets".*"effect":"allow".*"would":"allow"/);
const outcome = (): number => at(/"kind":"outcome"/);

describe('the short way of reading an entry', () => {
  it('takes ordinary decisions and outcomes, and no other kind', () => {
    for (const each of texts) {
      const { kind, approval, labelled } = JSON.parse(each) as { readonly [field: string]: unknown };
      const isPlain = kind === 'outcome' || (kind === 'decision' && approval === undefined);
      expect(compared(each), each).toBe(isPlain && labelled === undefined);
    }
  });

  it('takes every optional field', () => {
    const charge = { cost: 0, id: 'a', key: '\u{1f600}', left: -5, limit: 7, per: 'principal', window_ms: 60_000 };
    const { window_ms: _window, ...forLife } = charge;
    const all = {
      args_commit: 'a'.repeat(64),
      reason_commit: 'b'.repeat(64),
      facts_commit: 'd'.repeat(64),
      attempt: 2,
      labels: ['x', 'y\u00e9'],
      principal: '\u{1f600}',
      redacted: ['iban'],
      rule: 'r',
      session_labels: ['a', 'y\u00e9'],
      tool: { name: 'n', schema: 's', server: 't' },
      policy: { hash: 'c'.repeat(64), id: 'p', version: '' },
      budgets: [charge, forLife, charge],
    };
    expect(compared(text(all, decision()))).toBe(true);
    expect(compared(text({ error_commit: 'd'.repeat(64), error_type: '', labels: ['x'] }, outcome()))).toBe(true);
    for (const cpu of [0, 7, 12.5, 0.001]) {
      const resources = { cpu_ms: cpu, rss_bytes: 1, samples: 1, scope: 'tree' };
      expect(compared(text({ resources }, outcome()))).toBe(true);
    }
  });

  it.each<[string, (base: string) => string]>([
    ['a space', (base) => base.replace(':', ': ')],
    ['a trailing newline', (base) => `${base}\n`],
    ['an escape', (base) => base.replace('"writer":"', '"writer":"\\u0061')],
    ['an unneeded escape in a name', (base) => base.replace('"session":"', '"session":"\\u0061')],
    ['a control character', (base) => base.replace('"session":"', '"session":"\u0001')],
    ['an empty name', (base) => base.replace(/"session":"[^"]*"/, '"session":""')],
    ['a leading zero', (base) => base.replace('"at":', '"at":0')],
    ['a fraction', (base) => base.replace(/"at":(\d+)/, '"at":$1.0')],
    ['an exponent', (base) => base.replace(/"at":(\d+)/, '"at":1e3')],
    ['a negative time', (base) => base.replace('"at":', '"at":-')],
    ['a time beyond 2^53', (base) => base.replace(/"at":(\d+)/, '"at":9007199254740993')],
    ['a key twice', (base) => base.replace(/("session":"[^"]*",)/, '$1$1')],
    ['a field nobody knows', (base) => base.replace('"kind"', '"kin":1,"kind"')],
    ['an upper-case id', (base) => base.replace(/"id":"([0-9a-f]{32})"/, (_all, id: string) => `"id":"${'A'.repeat(id.length)}"`)],
    ['another version', (base) => base.replace('"v":1', '"v":2')],
    ['another kind', (base) => base.replace(/"kind":"[a-z]+"/, '"kind":"note"')],
    ['text behind it', (base) => `${base}{}`],
    ['a long body', (base) => base.replace('"session":"', `"session":"${'x'.repeat(9000)}`)],
  ])('leaves %s to the long way', (_name, change) => {
    for (const base of [decision(), outcome()]) {
      const changed = change(texts[base] as string);
      expect(changed).not.toBe(texts[base]);
      expect(readPlain(changed)).toBeUndefined();
    }
  });

  it.each(['1.50', '01', '1.0', '0.10', '1e3', '12345678901234567890123', '0.1000000000000000055', '-1'])(
    'leaves a figure written as %s to the long way',
    (figure) => {
      const base = text({ resources: { cpu_ms: 42.25, samples: 1, scope: 'process' } }, outcome());
      expect(readPlain(base)).toBeDefined();
      expect(readPlain(base.replace('42.25', figure))).toBeUndefined();
    },
  );

  it('agrees with the long way on every text that differs in one character', () => {
    let accepted = 0;
    for (const base of [decision(), outcome()]) {
      const whole = texts[base] as string;
      for (let i = 0; i < whole.length; i++)
        for (const char of ['', '0', '1', '-', '.', 'a', 'Z', '"', '\\', ',', ']', '}', '\u00e9'])
          if (compared(whole.slice(0, i) + char + whole.slice(i + 1))) accepted++;
    }
    expect(accepted).toBeGreaterThan(1000);
  });

  it('agrees with the long way on names of any script, and on many of them in turn', () => {
    const names = ['a', 'b\u00e9', '\u4e2d\u6587', '\u{1f600}', 'a'.repeat(100), 'ab', 'a'];
    for (let i = 0; i < names.length * names.length; i++) {
      const [one, other] = [names[i % names.length] as string, names[Math.floor(i / names.length)] as string];
      const charge = { cost: 1, id: one, key: other, left: 0, limit: 1, per: 'session' };
      const budgets = [charge, { ...charge, id: other, key: one, per: 'agent' }];
      expect(compared(text({ agent: one, session: other, budgets }, decision()))).toBe(true);
      expect(compared(text({ agent: other, session: one }, outcome()))).toBe(true);
    }
  });

  it('leaves a charge under another name to the long way, also behind right ones', () => {
    const call = { agent: 'a', principal: 'p', session: 's', tool: { name: 't', server: 'v' } };
    const own = { agent: 'a', principal: 'p', session: 's', tool: 'v/t', key: 'c'.repeat(64) };
    const charge = (per: string, key: string) => ({ cost: 1, id: 'x', key, left: 0, limit: 1, per });
    for (const [per, key] of Object.entries(own)) {
      expect(compared(text({ ...call, budgets: [charge(per, key)] }, decision()))).toBe(true);
      for (const other of [`${key}x`, key.slice(1) || 'b', per === 'tool' ? 't' : 'v/t']) {
        const budgets = [charge('agent', 'a'), charge(per, other)];
        expect(readPlain(text({ ...call, budgets }, decision())), `${per} ${other}`).toBeUndefined();
      }
    }
    const { principal: _nobody, ...alone } = call;
    const ofNobody = JSON.parse(text({ ...alone, budgets: [charge('principal', 'p')] }, decision())) as Loose;
    delete ofNobody['principal'];
    expect(readPlain(JSON.stringify(ofNobody))).toBeUndefined();
    const noServer = { ...call, tool: { name: 't' } };
    expect(compared(text({ ...noServer, budgets: [charge('tool', 't')] }, decision()))).toBe(true);
    expect(readPlain(text({ ...noServer, budgets: [charge('tool', 'v/t')] }, decision()))).toBeUndefined();
  });

  it('does not take what it read before for what was cut off', () => {
    const charge = { cost: 1, id: 'x', key: 'a\u00e9', left: 0, limit: 1, per: 'agent' };
    for (const [base, more] of [
      [decision(), { budgets: [charge] }],
      [outcome(), {}],
    ] as const) {
      const whole = text({ session: 'caf\u00e9', agent: 'a\u00e9', ...more }, base);
      for (let i = 0; i < whole.length; i++) {
        expect(compared(whole)).toBe(true);
        expect(readPlain(whole.slice(0, i))).toBeUndefined();
        expect(readPlain(`${whole.slice(0, i)}\0`)).toBeUndefined();
        expect(readPlain(`${whole.slice(0, i)}\0${whole.slice(i + 1)}`)).toBeUndefined();
      }
    }
  });

  it.each(['', '"', '""', '\0', '\u0001', '\\'])('refuses %j as a name, however often it comes', (name) => {
    for (const base of [decision(), outcome()])
      for (const field of ['agent', 'session', 'writer', 'call', 'id']) {
        const changed = (texts[base] as string).replace(new RegExp(`"${field}":"[^"]*"`), `"${field}":"${name}"`);
        for (let i = 0; i < 3; i++) expect(readPlain(changed)).toBeUndefined();
      }
  });

  it('agrees with the long way on figures of every form', () => {
    let accepted = 0;
    const base = text({ resources: { cpu_ms: 42.25, samples: 1, scope: 'process' } }, outcome());
    for (const whole of [
      '',
      '0',
      '00',
      '7',
      '10',
      '120',
      '123456789012',
      '1234567890123456',
      '9007199254740993',
      '99999999999999999999999',
    ])
      for (const part of ['', '.', '.0', '.5', '.05', '.50', '.000001', '.0000001', '.123456789', '.1234567890123456789', '.5.5'])
        if (compared(base.replace('42.25', `${whole}${part}`))) accepted++;
    expect(accepted).toBeGreaterThan(20);
  });

  it('reads long lists of names and gives up on them quickly', () => {
    const names = Array.from({ length: 1500 }, () => 'a');
    const long = text({ labels: names }, decision());
    expect(compared(long)).toBe(true);
    expect(readPlain(`${long.slice(0, -2)}x"}`)).toBeUndefined();
  });
});
