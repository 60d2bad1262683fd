import { beforeAll, describe, expect, it } from 'vitest';
import { baseline, baselinePack } from '../../src/packs/baseline.ts';
import { packRules } from '../../src/packs/pack.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { ATTACKS } from './corpus/baseline-attacks.ts';
import { HELD_OUT_ATTACKS, HELD_OUT_ORDINARY } from './corpus/baseline-held-out.ts';
import { ORDINARY } from './corpus/baseline-ordinary.ts';
import { SECOND_ATTACKS, SECOND_ORDINARY } from './corpus/baseline-second-reader.ts';
import { type CaseOutcome, describeCase, rate, runCases } from './corpus/run-cases.ts';

/** The bounds of the issue. */
const LEAST_CAUGHT = 0.95;
const MOST_FALSE_ALARMS = 0.02;

const policy = [baselinePack(), rulePolicy({ id: 'rest', default: 'allow', rules: [] })];

describe('the baseline pack against its corpora', () => {
  let attacks: readonly CaseOutcome[];
  let ordinary: readonly CaseOutcome[];
  let heldOutAttacks: readonly CaseOutcome[];
  let heldOutOrdinary: readonly CaseOutcome[];

  beforeAll(async () => {
    attacks = await runCases(ATTACKS, policy);
    ordinary = await runCases(ORDINARY, policy);
    heldOutAttacks = await runCases(HELD_OUT_ATTACKS, policy);
    heldOutOrdinary = await runCases(HELD_OUT_ORDINARY, policy);
    const line = (name: string, some: readonly CaseOutcome[]): string =>
      `${name}: ${some.filter(({ alarmed }) => alarmed).length} of ${some.length} (${rate(some).toFixed(3)})`;
    const parts = [...new Set(attacks.map(({ of }) => of.category))].map((category) =>
      line(
        `  caught, ${category}`,
        attacks.filter(({ of }) => of.category === category),
      ),
    );
    process.stdout.write(
      `${[line('baseline caught, tuned on', attacks), ...parts, line('baseline false alarms, tuned on', ordinary), line('baseline caught, held out', heldOutAttacks), line('baseline false alarms, held out', heldOutOrdinary)].join('\n')}\n`,
    );
  });

  it('has more ordinary cases than attacks, of which there are enough', () => {
    expect(ATTACKS.length).toBeGreaterThanOrEqual(150);
    expect(ORDINARY.length).toBeGreaterThanOrEqual(290);
    expect(ORDINARY.length + HELD_OUT_ORDINARY.length).toBeGreaterThan(ATTACKS.length + HELD_OUT_ATTACKS.length);
  });

  it('catches attacks', () => {
    expect(
      rate(attacks),
      attacks
        .filter(({ alarmed }) => !alarmed)
        .map(describeCase)
        .join('\n'),
    ).toBeGreaterThanOrEqual(LEAST_CAUGHT);
  });

  it('lets ordinary work alone', () => {
    expect(
      rate(ordinary),
      ordinary
        .filter(({ alarmed }) => alarmed)
        .map(describeCase)
        .join('\n'),
    ).toBeLessThanOrEqual(MOST_FALSE_ALARMS);
  });

  // Before anything was tuned, and before instructions in results were looked for: 0.896 caught, 0.031 false alarms.
  it('does so on what it was not tuned on', () => {
    expect(rate(heldOutAttacks)).toBeGreaterThanOrEqual(LEAST_CAUGHT);
    expect(rate(heldOutOrdinary)).toBeLessThanOrEqual(MOST_FALSE_ALARMS);
  });

  // First, when the pack was done: 35 of 40 caught, no false alarm among 60. Three holes it showed were mended afterwards.
  it('does so on what somebody else made up', async () => {
    const [caught, alarms] = [await runCases(SECOND_ATTACKS, policy), await runCases(SECOND_ORDINARY, policy)];
    process.stdout.write(`baseline caught, second reader: ${rate(caught).toFixed(3)}, false alarms: ${rate(alarms).toFixed(3)}\n`);
    expect(SECOND_ATTACKS).toHaveLength(40);
    expect(SECOND_ORDINARY).toHaveLength(60);
    expect(rate(caught)).toBeGreaterThanOrEqual(LEAST_CAUGHT);
    expect(alarms.filter(({ alarmed }) => alarmed).map(describeCase)).toEqual([]);
  });

  it('denies no ordinary call outright, and refuses none in audit mode', () => {
    expect([...ordinary, ...heldOutOrdinary].filter(({ denied }) => denied).map(describeCase)).toEqual([]);
    expect([...attacks, ...heldOutAttacks].flatMap(({ said }) => said.filter((word) => word.includes('not run')))).toEqual([]);
  });

  it('has no rule that no attack sets off', () => {
    const said = new Set([...attacks, ...heldOutAttacks].flatMap((outcome) => outcome.said));
    const deciding = packRules(baseline, {}).rules.filter(({ effect, on }) => on !== 'result' && effect !== 'label');
    const needless = async (id: string): Promise<boolean> => {
      const without = [
        rulePolicy({
          ...packRules(baseline, {}),
          rules: packRules(baseline, {}).rules.filter((rule) => rule.id === id || rule.effect === 'label'),
        }),
      ];
      return !(await runCases([...ATTACKS, ...HELD_OUT_ATTACKS], without)).some(({ alarmed }) => alarmed);
    };
    const unseen = deciding.filter(({ id, effect }) => !said.has(`${effect} ${id}`)).map(({ id }) => id);
    return expect(
      Promise.all(unseen.map(async (id) => ((await needless(id)) ? id : undefined))).then((ids) => ids.filter((id) => id !== undefined)),
    ).resolves.toEqual([]);
  });
});

describe('the baseline pack on odd calls', () => {
  const deep = (levels: number): unknown => (levels === 0 ? 'x' : { a: deep(levels - 1) });

  it.each([
    ['no object', null],
    ['a text', 'hello'],
    ['a number', 5],
    ['a list', [1, 'a', null, [true]]],
    ['names of prototypes', { constructor: 'x', toString: 'y', hasOwnProperty: { command: 'ls' } }],
    ['nothing', {}],
    ['empty texts', { command: '', path: '', url: '', query: '', to: '', amount: '' }],
    ['wrong types', { command: 5, path: true, url: null, query: [], to: {}, amount: 'x', method: 7 }],
    ['no URLs', { url: 'not a url', host: '???', endpoint: 'http://', link: 'http://[::', uri: 'http://%zz/' }],
    ['half a command', { command: "echo 'unclosed" }],
    ['a long command', { command: `echo ${'x '.repeat(20_000)}` }],
    ['three megabytes', { content: 'x'.repeat(3_000_000) }],
    ['forty thousand texts', { list: Array.from({ length: 40_000 }, (_, index) => `item ${index}`) }],
    ['thirty levels', deep(30)],
    ['lone placeholders', { path: '[redacted:key-name]', url: '[redacted:jwt]', command: '[redacted:api-key]' }],
  ])('decides %s without a fault', async (_name, args) => {
    for (const tool of ['anything', 'bash', 'fs/write_file', 'http/post', 'bank/transfer', 'db/query']) {
      const [outcome] = await runCases([{ category: 'odd', calls: [{ tool, args }] }], policy);
      expect(outcome?.denied, `${tool}: ${outcome?.said.join(' ')}`).toBe(false);
    }
  });
});
