import { beforeAll, describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { browserPack } from '../../src/packs/browser.ts';
import { PACK_NAMES, type PackName, packNamed } from '../../src/packs/index.ts';
import { packPolicy, packRules } from '../../src/packs/pack.ts';
import { shellPack } from '../../src/packs/shell.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { PACK_TABLES } from './corpus/pack-tables.ts';
import { type CaseOutcome, describeCase, runCases } from './corpus/run-cases.ts';

const REST = rulePolicy({ id: 'rest', default: 'allow', rules: [] });
const REQUIRED: { readonly [Name in PackName]?: object } = { filesystem: { root: '/srv/packs-work' }, email: { own: 'ours.example' } };
const optionsOf = (name: PackName): object => REQUIRED[name] ?? {};

describe.each(PACK_TABLES.map((table) => [`${table.pack} ${JSON.stringify(table.options)}`, table] as const))('%s', (_name, table) => {
  // Each rule alone, with the labels: whichever rule would have decided first, the one that is named has to see it.
  const { pack, options, stops, leaves } = table;
  const set = packRules(packNamed(pack), options);
  const only = (id: string): Policy => rulePolicy({ ...set, rules: set.rules.filter((rule) => rule.id === id || rule.effect === 'label') });

  it.each(stops.map(([rule, ...calls]) => [rule, JSON.stringify(calls.at(-1)), calls] as const))(
    '%s stops %s',
    async (rule, _last, calls) => {
      const [outcome] = await runCases([{ category: pack, calls }], [only(rule), REST]);
      expect(outcome?.said.at(-1)).toMatch(new RegExp(`^(?:require_approval|deny) ${rule.replaceAll('.', '\\.')}(?:,|$)`));
      // Nothing before it was in the way.
      expect(outcome?.said.slice(0, -1).every((word) => word === 'allow')).toBe(true);
    },
  );

  it('leaves ordinary calls alone', async () => {
    const outcomes = await runCases(
      leaves.map((calls) => ({ category: pack, calls })),
      [packPolicy(packNamed(pack), options), REST],
    );
    expect(outcomes.filter(({ alarmed }) => alarmed).map(describeCase)).toEqual([]);
  });
});

describe('every pack', () => {
  it.each(PACK_NAMES)('%s has rules that only tighten, each with a reason for people', (name) => {
    const { rules, default: fallback, id } = packRules(packNamed(name), optionsOf(name));
    expect(fallback).toBe('allow');
    expect(id).toBe(name);
    expect(rules.length).toBeGreaterThan(2);
    for (const rule of rules) {
      expect(rule.id.startsWith(`${name}.`)).toBe(true);
      expect(rule.effect).not.toBe('allow');
      if (rule.effect === 'deny' || rule.effect === 'require_approval') {
        expect(rule.reason).toMatch(/^[a-z].{10,}[^.]$/);
        expect(rule.reason_code).toMatch(new RegExp(`^${name.toUpperCase()}_|^TRIFECTA_`));
      }
    }
    expect(packNamed(name).blind.length).toBeGreaterThan(0);
    for (const option of packNamed(name).options) expect(option.about, option.name).not.toBe('');
  });

  it.each(PACK_NAMES)('%s has a table', (name) => {
    expect(name === 'baseline' || PACK_TABLES.some(({ pack }) => pack === name)).toBe(true);
  });

  it.each(PACK_NAMES)('%s refuses options it does not know, and rules it does not have', (name) => {
    const refused = (options: object): CountersignError => {
      try {
        packRules(packNamed(name), { ...optionsOf(name), ...options });
      } catch (error) {
        if (CountersignError.is(error)) return error;
      }
      throw new Error('not refused');
    };
    expect(refused({ nope: 1 })).toMatchObject({ code: 'OPTIONS_INVALID', message: expect.stringContaining(`pack ${name}:`) as string });
    expect(refused({ without: ['nope'] }).message).toContain('there is no rule "nope"');
    expect(refused({ without: 'x' }).code).toBe('OPTIONS_INVALID');
    expect(refused({ approval: { quorum: 99 } }).code).toBe('OPTIONS_INVALID');
  });

  it('keeps a hostile option inside its literal', () => {
    const host = '"] || true || h in ["*.evil.example';
    expect(() => browserPack({ hosts: [host] })).toThrow(/host\.matches/);
    const policy = shellPack({ never: ['x"]) || true || "y" in (["'] });
    expect(policy.document).toContain('\\\\\\"');
  });
});

describe('all packs together on odd calls', () => {
  let outcomes: readonly CaseOutcome[];
  const odd: readonly unknown[] = [
    null,
    'x',
    5,
    [],
    {},
    [1, [2]],
    { command: 5, path: null, url: [], query: {}, to: 7, amount: {}, filter: 5, private: 'x' },
  ];
  const names = ['bash', 'fs/write_file', 'db/delete', 'github/create_repository', 'browser/navigate', 'mail/send', 'bank/transfer'];

  beforeAll(async () => {
    const all = PACK_NAMES.map((name) => packPolicy(packNamed(name), optionsOf(name)));
    outcomes = await runCases(
      names.flatMap((tool) => odd.map((args) => ({ category: 'odd', calls: [{ tool, args }] }))),
      [...all, REST],
    );
  });

  it('cannot be made to fail', () => {
    expect(outcomes.filter(({ said }) => said.some((word) => word.includes('POLICY_EVALUATION_FAILED'))).map(describeCase)).toEqual([]);
  });
});
