import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalize, checkReceipt } from '../../src/index.ts';
import { commitDigests, memberDigest, memberSalt } from '../../src/ledger/commitment.ts';
import { discloseFields } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { edited, entriesOf } from '../verify/forge.ts';
import { ARGS, KEY, type Loose, MadeLog, receiptOf } from './made.ts';

const publicKeys = [LEDGER_VKEY];
const args = { amount: 120, 'a/b': 'slash', 'a~b': 'tilde', '': 'empty', list: [1, 2], nested: { deep: true } };

describe('discloseFields', () => {
  let path: string;
  let call: string;
  beforeAll(async () => {
    path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'pay' }, args }, () => ({ paid: 'SECRET-RESULT', to: 'x' }));
    await guard.authorize({ tool: { name: 'no-way' }, args: { a: 1 } });
    await guard.close();
    await store.close();
    call = entriesOf(path).find(({ effect }) => effect === 'allow')?.['call'] as string;
  });

  it('shows what was asked for, and of the rest only its number', () => {
    const { text } = discloseFields(path, { call }, ['/args/amount', '/args/a~1b', '/args/a~0b', '/args/', '/args/nested']);
    const report = checkReceipt(text, { publicKeys });
    expect(report).toMatchObject({ status: 'valid', entry: { clear_text: 'part', withheld_fields: 1, withheld_sections: [], shown: {} } });
    expect(new Map(report.entry?.disclosed.map(({ pointer, value }) => [pointer, value]))).toEqual(
      new Map<string, unknown>([
        ['/args/', 'empty'],
        ['/args/a~0b', 'tilde'],
        ['/args/a~1b', 'slash'],
        ['/args/amount', 120],
        ['/args/nested', { deep: true }],
      ]),
    );
    for (const hidden of ['list', 'SECRET-RESULT']) expect(text).not.toContain(hidden);
    expect(report.outcome?.clear_text).toBe('withheld');
  });

  it('finds fields of the outcome, and values that are no object', () => {
    const denied = entriesOf(path).findIndex(({ effect }) => effect === 'deny');
    const reason = checkReceipt(discloseFields(path, { index: denied }, ['/reason']).text, { publicKeys });
    expect(reason.entry).toMatchObject({ disclosed: [{ pointer: '/reason', value: 'not this one' }], withheld_sections: ['args'] });
    const both = discloseFields(path, { call }, ['/args/amount', '/result/excerpt']);
    expect(checkReceipt(both.text, { publicKeys })).toMatchObject({
      status: 'valid',
      outcome: { disclosed: [{ pointer: '/result/excerpt' }] },
    });
  });

  it('reveals neither the key nor other salts', () => {
    const { text } = discloseFields(path, { call }, ['/args/amount']);
    expect(text).not.toContain('"key"');
    expect(text.match(/"salt"/g)).toHaveLength(1);
  });

  it.each([
    ['/args/none'],
    ['/args'],
    ['/args/list/0'],
    ['/args/nested/deep'],
    ['/reason'],
    ['/reason/0'],
    [''],
    ['args/amount'],
    ['/__proto__'],
    ['/args/constructor'],
  ])('refuses %s, which is no field', (pointer) => {
    expect(() => discloseFields(path, { call }, ['/args/amount', pointer])).toThrow(expect.objectContaining({ code: 'OPENING_NOT_FOUND' }));
  });

  it('refuses what is not there any more, and nothing at all', () => {
    const erased = edited(path, 'DELETE FROM openings');
    expect(() => discloseFields(erased, { call }, ['/args/amount'])).toThrow(expect.objectContaining({ code: 'OPENING_NOT_FOUND' }));
    expect(() => discloseFields(path, { call }, [])).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('a forged disclosure', () => {
  const field = (pointer: string, value: unknown, salted = pointer) => ({ pointer, value, salt: memberSalt(KEY, salted) }) as Loose;
  const digest = (name: keyof typeof ARGS): string => memberDigest(KEY, `/args/${name}`, ARGS[name]);
  const others = [digest('iban'), digest('note')].toSorted();
  const log = new MadeLog();
  const checked = (disclosed: Loose) =>
    checkReceipt(
      receiptOf(log, (r) => (r['opening'] = { disclosed })),
      { publicKeys },
    );
  const args = (fields: readonly Loose[], withheld: readonly string[]): Loose => ({
    args: { fields: [...fields], withheld: [...withheld] },
  });

  it('starts from one that is right', () => {
    expect(checked(args([field('/args/amount', 120)], others))).toMatchObject({
      status: 'valid',
      entry: { withheld_fields: 2, withheld_sections: ['reason'] },
    });
    expect(
      checked({ ...args([field('/args/amount', 120)], others), reason: { fields: [field('/reason', 'because')], withheld: [] } }),
    ).toMatchObject({
      status: 'valid',
      entry: { withheld_sections: [] },
    });
  });

  it.each<readonly [string, Loose, string]>([
    ['another value', args([field('/args/amount', 121)], others), 'OPENING_MISMATCH'],
    ['a value under another pointer', args([field('/args/iban', 120)], others), 'OPENING_MISMATCH'],
    ['that pointer with the right salt', args([field('/args/iban', 120, '/args/amount')], others), 'OPENING_MISMATCH'],
    ['a pointer of another section', args([field('/reason', 'because')], others), 'OPENING_INVALID'],
    ['a section of another name', { reason: { fields: [field('/args/amount', 120)], withheld: others } }, 'OPENING_INVALID'],
    ['a section nobody committed to', { message: { fields: [field('/message', 'x')], withheld: [] } }, 'OPENING_MISMATCH'],
    ['a prefix that only looks like the section', args([field('/argsamount', 120)], others), 'OPENING_INVALID'],
    ['a step too deep', args([field('/args/amount/x', 120)], others), 'OPENING_INVALID'],
    ['an escape there is not', args([field('/args/amount~2', 120)], others), 'OPENING_INVALID'],
    ['an empty pointer', args([field('', 120)], others), 'OPENING_INVALID'],
    ['the whole and a part', args([field('/args', 1), field('/args/amount', 120)], others), 'OPENING_INVALID'],
    ['the whole with something withheld', args([field('/args', 1)], others), 'OPENING_INVALID'],
    ['an object as one value', args([field('/args', ARGS)], []), 'OPENING_INVALID'],
    ['a member of what is no object', { reason: { fields: [field('/reason/0', 'because')], withheld: [] } }, 'OPENING_MISMATCH'],
    ['a pointer twice', args([field('/args/amount', 120), field('/args/amount', 120)], others), 'OPENING_INVALID'],
    ['pointers out of order', args([field('/args/iban', 'DE89'), field('/args/amount', 120)], [digest('note')]), 'OPENING_INVALID'],
    ['a digest too few', args([field('/args/amount', 120)], others.slice(1)), 'OPENING_MISMATCH'],
    ['a digest more', args([field('/args/amount', 120)], [...others, 'f'.repeat(64)]), 'OPENING_MISMATCH'],
    ['a digest twice', args([field('/args/amount', 120)], [others[0] as string, ...others]), 'OPENING_INVALID'],
    ['digests out of order', args([field('/args/amount', 120)], others.toReversed()), 'OPENING_INVALID'],
    [
      'the shown field among the withheld',
      args([field('/args/amount', 120)], [...others, digest('amount')].toSorted()),
      'OPENING_MISMATCH',
    ],
    ['another salt', args([{ ...field('/args/amount', 120), salt: '0'.repeat(32) }], others), 'OPENING_MISMATCH'],
    ['a salt that is none', args([{ ...field('/args/amount', 120), salt: 'x' }], others), 'RECEIPT_MALFORMED'],
    ['no field', args([], [digest('amount'), ...others].toSorted()), 'RECEIPT_MALFORMED'],
    ['no section', {}, 'RECEIPT_MALFORMED'],
    ['a member more', { args: { fields: [field('/args/amount', 120)], withheld: others, key: KEY } }, 'RECEIPT_MALFORMED'],
    ['a hidden section', JSON.parse('{"__proto__":{"fields":[],"withheld":[]}}') as Loose, 'RECEIPT_MALFORMED'],
  ])('with %s is refused', (_what, disclosed, code) => {
    const report = checked(disclosed);
    expect(report.problems.map((problem) => problem.code)).toEqual([code]);
    expect(report).not.toHaveProperty('entry');
  });

  it('cannot pass one section for another that was committed to alike', () => {
    // Two sections that hold the same bytes under the same key still differ by their pointers.
    const commit = commitDigests([memberDigest(KEY, '/reason', 'because')]);
    const same = new MadeLog((bodies) => Object.assign(bodies[1] as Loose, { args_commit: commit }));
    const text = canonicalize({
      countersign: 'receipt',
      v: 1,
      ...same.part(1),
      opening: { disclosed: { args: { fields: [field('/reason', 'because')], withheld: [] } } },
    });
    expect(checkReceipt(text, { publicKeys }).problems[0]?.code).toBe('OPENING_INVALID');
  });
});
