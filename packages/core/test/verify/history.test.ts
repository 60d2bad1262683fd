import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalize, type Json } from '../../src/index.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { VERIFY_CODES, type VerifyCode } from '../../src/sqlite/index.ts';
import { openSource } from '../../src/sqlite/source.ts';
import { LEDGER_VKEY } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { entriesOf, type Forgery, forged, type Loose, tampered } from './forge.ts';
import { APPROVERS, writeScenario } from './scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
beforeAll(async () => {
  path = (await writeScenario()).path;
});

type Test = (entry: Loose) => boolean;
const is =
  (kind: string, more: Loose = {}): Test =>
  (entry) =>
    entry['kind'] === kind && Object.entries(more).every(([name, value]) => entry[name] === value);
const decision = (effect: string, more: Loose = {}): Test => is('decision', { effect, ...more });
const allow = decision('allow');
const deny = decision('deny');
const ask = decision('require_approval');
const approval = is('approval');
const outcome = is('outcome');
const approved: Test = (entry) => allow(entry) && 'approval' in entry;
const charged: Test = (entry) => allow(entry) && 'budgets' in entry;

function find(entries: readonly Loose[], test: Test, nth = 0): Loose {
  const found = entries.filter(test)[nth];
  if (found === undefined) throw new Error('the scenario lacks what this test changes');
  return found;
}
const edit =
  (test: Test, change: Loose | ((entry: Loose, entries: Loose[]) => void), nth = 0): Change =>
  (entries) => {
    const entry = find(entries, test, nth);
    if (typeof change === 'function') change(entry, entries);
    else Object.assign(entry, change);
  };
const remove =
  (test: Test, nth = 0): Change =>
  (entries) => {
    const gone = find(entries, test, nth);
    return entries.filter((entry) => entry !== gone);
  };
/** A copy of an entry right behind it, or at the end. */
const repeat =
  (test: Test, change: (copy: Loose, entries: Loose[]) => void = () => undefined, nth = 0): Change =>
  (entries) => {
    const copy = structuredClone(find(entries, test, nth));
    copy['at'] = entries.at(-1)?.['at'] ?? 0;
    copy['writer'] = entries.at(-1)?.['writer'] ?? '';
    change(copy, entries);
    return [...entries, copy];
  };
const member = (value: Json | undefined): Loose => value as Loose;
const refTo = (entries: readonly Loose[], entry: Loose): Loose => ({ of: entries.indexOf(entry), leaf: '0'.repeat(64) });
const approvalOf = (entry: Loose): Loose => member(entry['approval']);
const answersOf = (entry: Loose): Loose[] => approvalOf(entry)['answers'] as Loose[];
const budgetOf = (entry: Loose, index = 0): Loose => (entry['budgets'] as Loose[])[index] as Loose;

type Change = (entries: Loose[]) => Loose[] | undefined | void;

/** What the holder of the key could try: the bytes are in order, and what they claim is not. */
const FORGERIES: readonly [VerifyCode, string, Change, Forgery?][] = [
  // Shape
  ['ENTRY_SHAPE', 'a decision without a tool', edit(allow, (entry) => void delete entry['tool'])],
  [
    'ENTRY_SHAPE',
    'a leaf that is no hash',
    edit(outcome, (entry) => void (member(entry['decision'])['leaf'] = 'x')),
    { keepReferences: true },
  ],
  ['ENTRY_SHAPE', 'a time with a fraction', edit(is('note'), { at: 1.5 })],
  ['ENTRY_SHAPE', 'a kind that is no text', edit(is('note'), { kind: 7 })],
  ['ENTRY_SHAPE', 'an effect nobody knows', edit(deny, { effect: 'perhaps' })],
  ['ENTRY_SHAPE', 'a stamp without a writer', edit(is('note'), (entry) => void delete entry['writer'])],
  ['ENTRY_SHAPE', 'a field of a prototype', edit(is('session'), { event: 'constructor' })],
  ['ENTRY_VERSION', 'another version', edit(is('note'), { v: 2 })],
  // Time
  ['TIME_BACKWARDS', 'an entry older than the one before', edit(outcome, { at: 1_700_000_000_000 }, 1)],
  // Calls
  ['OUTCOME_TWICE', 'a second outcome', repeat(outcome)],
  [
    'OUTCOME_AFTER_DENY',
    'an outcome of a refusal',
    edit(outcome, (entry, all) => void (entry['decision'] = refTo(all, find(all, deny, 1))), 12),
  ],
  ['OUTCOME_AFTER_DENY', 'an outcome of an ask', edit(outcome, (entry, all) => void (entry['decision'] = refTo(all, find(all, ask))), 12)],
  ['CALL_ALLOWED_TWICE', 'a call allowed again after its outcome', repeat(allow, (copy) => void (copy['id'] = 'f'.repeat(32)))],
  [
    'CALL_ALLOWED_TWICE',
    'a call allowed again while it runs',
    (entries) => {
      const at = entries.findIndex(allow);
      return entries.toSpliced(at + 1, 0, { ...(entries[at] as Loose), id: 'f'.repeat(32) });
    },
  ],
  [
    'CALL_ALLOWED_TWICE',
    'a call allowed under the id of another one',
    edit(allow, (entry, all) => void (entry['call'] = find(all, allow)['call'] ?? null), 1),
  ],
  ['OUTCOME_AFTER_DENY', 'a refusal made of an allow', edit(allow, { effect: 'deny' })],
  [
    'OUTCOME_WITHOUT_DECISION',
    'an outcome of nothing',
    edit(outcome, (entry, all) => void (entry['decision'] = refTo(all, find(all, is('policy'))))),
  ],
  [
    'OUTCOME_WITHOUT_DECISION',
    'an outcome before its decision',
    (entries) => {
      const first = find(entries, outcome);
      return [...entries.slice(0, 2), first, ...entries.slice(2).filter((entry) => entry !== first)];
    },
    { keepReferences: true },
  ],
  [
    'OUTCOME_WITHOUT_DECISION',
    'an outcome of a later entry',
    edit(outcome, (entry) => void (entry['decision'] = { of: 1e15, leaf: '0'.repeat(64) })),
    { keepReferences: true },
  ],
  ['OUTCOME_MISMATCH', 'an outcome of another call', edit(outcome, { call: '0'.repeat(32) })],
  ['OUTCOME_MISMATCH', 'an outcome in another session', edit(outcome, { session: 's9' })],
  [
    'REFERENCE_MISMATCH',
    'an outcome that names another hash',
    edit(outcome, (entry) => void (member(entry['decision'])['leaf'] = '0'.repeat(64))),
    { keepReferences: true },
  ],
  ['REFERENCE_MISMATCH', 'a decision changed under its outcome', edit(allow, { rule: 'other' }), { keepReferences: true }],
  [
    'RECOVERY_MISMATCH',
    'a recovery of a settled call',
    edit(is('recovery'), (entry, all) => void (entry['open'] = [refTo(all, find(all, allow))])),
  ],
  ['RECOVERY_MISMATCH', 'a recovery of another writer', edit(is('recovery'), { of_writer: '0'.repeat(32) })],
  [
    'REFERENCE_MISMATCH',
    'a recovery that names another hash',
    edit(is('recovery'), (entry) => void ((entry['open'] as Loose[])[0] = { ...(entry['open'] as Loose[])[0], leaf: '0'.repeat(64) })),
    { keepReferences: true },
  ],
  // What stands before a decision
  ['SESSION_NOT_STARTED', 'a decision before its session', remove(is('session', { event: 'start' }))],
  [
    'ALLOW_WHILE_HALTED',
    'an allow in a halted session',
    edit(decision('deny', { reason_code: 'SESSION_HALTED' }), { effect: 'allow', would: 'allow' }),
  ],
  ['POLICY_UNRECORDED', 'a decision before its policy', remove(is('policy'))],
  ['POLICY_UNRECORDED', 'a decision under another policy', edit(deny, (entry) => void (member(entry['policy'])['hash'] = '0'.repeat(64)))],
  ['POLICY_HASH_MISMATCH', 'another document', edit(is('policy'), { document: '{}' })],
  ['ALLOW_WITHOUT_APPROVAL', 'an allow that policy would have asked about', edit(allow, { would: 'require_approval' })],
  ['ALLOW_WITHOUT_APPROVAL', 'an allow that policy would have denied', edit(allow, { would: 'deny' })],
  ['ALLOW_WITHOUT_APPROVAL', 'an approved allow that policy would have denied', edit(approved, { would: 'deny' })],
  ['ALLOW_WITHOUT_APPROVAL', 'audit turned into enforce', edit(is('decision', { mode: 'audit', would: 'deny' }), { mode: 'enforce' })],
  ['KEY_ENTRY_INVALID', 'a key entry without a key', edit(is('key'), { vkey: 'x' })],
  ['KEY_ENTRY_INVALID', 'a key announced too late', edit(is('key'), { from: 5 })],
  ['KEY_ENTRY_INVALID', 'a first key again, at the end', repeat(is('key', { event: 'first' }))],
  [
    'KEY_ENTRY_INVALID',
    'a first key behind what it should stand before',
    ([first, second, ...rest]) => [{ ...(second as Loose), at: first?.['at'] ?? 0 }, first as Loose, ...rest],
  ],
  // Budgets
  [
    'BUDGET_MISMATCH',
    'more left than there is',
    edit(charged, (entry) => void (budgetOf(entry)['left'] = (budgetOf(entry)['left'] as number) + 1), 3),
  ],
  ['BUDGET_MISMATCH', 'a smaller cost', edit(charged, (entry) => void (budgetOf(entry)['cost'] = 0))],
  ['BUDGET_MISMATCH', 'a charge left out', edit(charged, (entry) => void delete entry['budgets'])],
  ['BUDGET_MISMATCH', 'a call charged for nothing', edit(charged, (entry) => void (budgetOf(entry)['key'] = 'another agent'), 2)],
  ['BUDGET_OTHER_KEY', 'a call charged to another agent', edit(charged, (entry) => void (budgetOf(entry)['key'] = 'another agent'), 2)],
  ['BUDGET_OTHER_KEY', 'a budget per agent made one per tool', edit(charged, (entry) => void (budgetOf(entry)['per'] = 'tool'))],
  ['BUDGET_OTHER_KEY', 'one per principal, by nobody', edit(charged, (entry) => void (budgetOf(entry)['per'] = 'principal'))],
  ['BUDGET_OTHER_KEY', 'one per key, with the key in clear', edit(charged, (entry) => void (budgetOf(entry)['per'] = 'key'))],
  [
    'BUDGET_OVERSPENT',
    'audit turned into enforce over the limit',
    edit(is('decision', { mode: 'audit', would: 'deny' }), { mode: 'enforce' }),
  ],
  // Approvals
  ['ASK_INCOMPLETE', 'an ask without a binding', edit(ask, (entry) => void delete entry['binds'])],
  ['ASK_INCOMPLETE', 'an ask without an end', edit(ask, (entry) => void delete approvalOf(entry)['expires_at'])],
  ['ASK_INCOMPLETE', 'an ask that expires at once', edit(ask, (entry) => void (approvalOf(entry)['expires_at'] = entry['at'] as number))],
  [
    'APPROVAL_ID_REUSED',
    'two asks with one id',
    edit(ask, (entry, all) => void (approvalOf(entry)['id'] = approvalOf(find(all, ask))['id'] as string), 1),
  ],
  ['APPROVAL_WITHOUT_ASK', 'an answer without an ask', remove(ask, 2)],
  ['ALLOW_WITHOUT_ASK', 'an allow without an ask', remove(ask)],
  ['APPROVAL_MISMATCH', 'an answer for another call', edit(approval, { call: '0'.repeat(32) })],
  ['APPROVAL_MISMATCH', 'an answer that binds something else', edit(approval, { binds: '0'.repeat(64) })],
  [
    'APPROVAL_MISMATCH',
    'an answer that may come later',
    edit(approval, (entry) => void (entry['expires_at'] = (entry['expires_at'] as number) + 1)),
  ],
  ['APPROVAL_MISMATCH', 'an allow for another tool', edit(approved, (entry) => void (member(entry['tool'])['name'] = 'refund'))],
  ['APPROVAL_MISMATCH', 'an allow for another principal', edit(approved, { principal: 'mallory' })],
  ['BINDING_MISMATCH', 'an allow that is bound to something else', edit(approved, { binds: '0'.repeat(64) })],
  ['BINDING_MISMATCH', 'an allow that is bound to nothing', edit(approved, (entry) => void delete entry['binds'])],
  [
    'APPROVAL_POLICY_CHANGED',
    'an ask under another policy',
    edit(ask, (entry, all) => void (entry['policy'] = find(all, is('policy'))['policy'] as Loose), 4),
  ],
  [
    'APPROVAL_POLICY_CHANGED',
    'an allow under another policy',
    edit(approved, (entry) => void (member(entry['policy'])['hash'] = '0'.repeat(64))),
  ],
  ['APPROVAL_LATE', 'an answer after the end', edit(approval, (entry) => void (entry['at'] = (entry['expires_at'] as number) + 5))],
  [
    'APPROVAL_EXPIRED',
    'an allow after the end',
    edit(approved, (entry, all) => void (entry['at'] = (approvalOf(find(all, ask))['expires_at'] as number) + 5)),
  ],
  ['APPROVAL_LATE', 'an answer at the very end', edit(approval, (entry) => void (entry['at'] = entry['expires_at'] as number))],
  [
    'APPROVAL_EXPIRED',
    'an allow at the very end',
    edit(approved, (entry, all) => void (entry['at'] = approvalOf(find(all, ask))['expires_at'] as number)),
  ],
  ['APPROVAL_WAS_DENIED', 'a denial before an allow', edit(approval, { answer: 'deny' })],
  ['APPROVAL_REUSED', 'an approval used twice', repeat(approved)],
  [
    'APPROVAL_UNPROVEN',
    'an allow that names no answer',
    edit(approved, (entry, all) => void (approvalOf(entry)['answers'] = [refTo(all, find(all, ask))])),
  ],
  [
    'APPROVAL_UNPROVEN',
    'an allow that names the answer to another ask',
    edit(approved, (entry, all) => void (approvalOf(entry)['answers'] = [refTo(all, find(all, approval, 1))])),
  ],
  ['QUORUM_NOT_MET', 'an allow that names no answers', edit(approved, (entry) => void (approvalOf(entry)['answers'] = []))],
  ['QUORUM_NOT_MET', 'one answer of two', edit(approved, (entry) => void answersOf(entry).pop(), 2)],
  ['QUORUM_NOT_MET', 'one answer named twice', edit(approved, (entry) => void (answersOf(entry)[1] = answersOf(entry)[0] as Loose), 2)],
  ['QUORUM_NOT_MET', 'a flawed answer', edit(approval, { call: '0'.repeat(32) })],
  ['QUORUM_NOT_MET', 'a raised quorum', edit(ask, (entry) => void (approvalOf(entry)['quorum'] = 2))],
  [
    'REFERENCE_MISMATCH',
    'an allow that names another hash',
    edit(approved, (entry) => void ((answersOf(entry)[0] as Loose)['leaf'] = '0'.repeat(64))),
    { keepReferences: true },
  ],
  [
    'REFERENCE_MISMATCH',
    'an answer that names another ask',
    edit(approval, (entry, all) => void (entry['ask'] = refTo(all, find(all, ask, 1)))),
  ],
  ['REFERENCE_MISMATCH', 'an ask changed under its answer', edit(ask, { rule: 'other' }), { keepReferences: true }],
  [
    'ANSWER_AFTER_USE',
    'an answer to a used approval',
    repeat(approval, (copy) => void (copy['approver'] = { id: 'bob', method: 'host', assurance: 'medium' })),
  ],
  [
    'ANSWER_AFTER_DENIAL',
    'an approval after a denial',
    (entries) => {
      const denied = find(entries, is('approval', { answer: 'deny' }));
      const copy = { ...denied, answer: 'approve', approver: { id: 'bob', method: 'host', assurance: 'medium' } };
      return entries.toSpliced(entries.indexOf(denied) + 1, 0, copy);
    },
  ],
  ['APPROVER_NOT_LISTED', 'an answer by somebody else', edit(approval, (entry) => void (member(entry['approver'])['id'] = 'mallory'), 3)],
  ['APPROVER_TWICE', 'two answers by one', edit(approval, (entry) => void (member(entry['approver'])['id'] = 'alice'), 4)],
  [
    'APPROVER_TWICE',
    'two answers by one, written differently',
    edit(approval, (entry) => void (member(entry['approver'])['id'] = 'Alice '), 4),
  ],
  ['APPROVAL_SIGNATURE', 'a signature over something else', edit(approval, { signature: Buffer.alloc(64, 1).toString('base64') }, 1)],
  ['APPROVAL_SIGNATURE', 'a signature that is none', edit(approval, { signature: 'x' }, 1)],
  ['APPROVAL_SIGNATURE', 'no signature', edit(approval, (entry) => void delete entry['signature'], 1)],
  ['APPROVAL_SIGNATURE', 'a signature of the other answer', edit(approval, { answer: 'deny' }, 1)],
  // Openings
  ['OPENING_MISMATCH', 'another commitment', edit(allow, { args_commit: '0'.repeat(64) })],
  ['OPENING_MISMATCH', 'no commitment', edit(allow, (entry) => void delete entry['args_commit'])],
  [
    'FORGET_MISMATCH',
    'a forget entry about what follows',
    edit(is('note'), (entry) => {
      delete entry['topic'];
      delete entry['data'];
      Object.assign(entry, { kind: 'forget', entries: [{ of: 1000, leaf: '0'.repeat(64) }] });
    }),
  ],
];

describe('with the key in hand, a forger cannot pass', () => {
  it.each(FORGERIES)('%s: %s', async (code, _name, change, forgery = {}) => {
    const report = await verifyLedger(
      forged(path, (entries) => change(entries) ?? entries, forgery),
      OPTIONS,
    );
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'proven' });
    expect(report.problems.map((problem) => problem.code)).toContain(code);
    expect(report.problems.every(({ entry }) => entry > 0)).toBe(true);
  });

  it('the forge itself leaves an honest ledger valid', async () => {
    expect(
      await verifyLedger(
        forged(path, () => undefined),
        OPTIONS,
      ),
    ).toMatchObject({ status: 'valid', warnings: [], problem_count: 0 });
  });
});

describe('bodies that are not what we write', () => {
  const text = (body: string): string => forged(path, () => undefined, { texts: new Map([[58, body]]) });

  it.each<[VerifyCode, string, string]>([
    ['ENTRY_NOT_CANONICAL', 'no JSON', 'hello'],
    ['ENTRY_NOT_CANONICAL', 'an empty text', ''],
    ['ENTRY_NOT_CANONICAL', 'spaces', '{"kind": "note"}'],
    ['ENTRY_NOT_CANONICAL', 'unsorted keys', '{"b":1,"a":2}'],
    ['ENTRY_NOT_CANONICAL', 'duplicate keys', '{"a":1,"a":2}'],
    ['ENTRY_NOT_CANONICAL', 'another form of a number', '{"a":1.0}'],
    ['ENTRY_NOT_CANONICAL', 'a lone surrogate', '{"a":"\\ud800"}'],
    ['ENTRY_NOT_CANONICAL', 'something very deep', `${'['.repeat(400_000)}${']'.repeat(400_000)}`],
    ['ENTRY_NOT_CANONICAL', 'a cut text', '{"a":1'],
    ['ENTRY_SHAPE', 'an array', '[]'],
    ['ENTRY_SHAPE', 'null', 'null'],
    ['ENTRY_SHAPE', 'a number', '7'],
    ['ENTRY_SHAPE', 'nothing in it', '{}'],
    ['ENTRY_SHAPE', 'a prototype', '{"__proto__":{"kind":"note"}}'],
  ])('%s: %s', async (code, _name, body) => {
    expect(await verifyLedger(text(body), OPTIONS)).toMatchObject({
      status: 'invalid',
      integrity: 'intact',
      problems: [{ entry: 59, code }],
      problem_count: 1,
    });
  });

  it('messages name no control characters', async () => {
    const evil = 'kind\u001b[2J\u202e\u0000';
    const changed = forged(path, edit(is('note'), { [evil]: 1, kind: 'note' }));
    const [warning] = (await verifyLedger(changed, OPTIONS)).warnings;
    expect(warning).toMatchObject({ code: 'UNKNOWN_FIELD' });
    expect(warning?.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe('what a later version may write', () => {
  it.each<[VerifyCode, string, Change]>([
    ['UNKNOWN_KIND', 'a kind beyond the list', edit(is('note'), { kind: 'dream' })],
    ['UNKNOWN_FIELD', 'a field', edit(is('note'), { mood: 'fine' })],
    ['UNKNOWN_FIELD', 'a field inside', edit(allow, (entry) => void (member(entry['tool'])['colour'] = 'red'))],
  ])('%s is told, and a problem when strict: %s', async (code, _name, change) => {
    const changed = forged(path, (entries) => change(entries) ?? entries);
    expect(await verifyLedger(changed, OPTIONS)).toMatchObject({ status: 'valid', warnings: [{ code }] });
    expect(await verifyLedger(changed, { ...OPTIONS, strict: true })).toMatchObject({ status: 'invalid', problems: [{ code }] });
  });
});

it('a writer whose COMMIT failed and was durable recovers its own decisions', async () => {
  const own = forged(path, (entries) => {
    const recovery = find(entries, is('recovery'));
    recovery['writer'] = recovery['of_writer'] ?? '';
    // Whatever it wrote before and after is by the same writer then.
    for (const entry of entries) entry['writer'] = recovery['writer'];
  });
  expect(await verifyLedger(own, OPTIONS)).toMatchObject({ status: 'valid', warnings: [], problem_count: 0 });
});

describe('two writers', () => {
  it('may disagree about the time, which is told', async () => {
    const changed = forged(path, edit(is('session', { session: 's3', event: 'start' }), { at: 1_700_000_000_000, writer: 'f'.repeat(32) }));
    expect(await verifyLedger(changed, OPTIONS)).toMatchObject({ status: 'valid', warnings: [{ code: 'TIME_BACKWARDS' }] });
  });
});

describe('openings', () => {
  it.each<[VerifyCode, string, string]>([
    ['OPENING_MISMATCH', 'a changed value', `UPDATE openings SET sections = replace(sections, 'q2.csv', 'q3.csv')`],
    ['OPENING_MISMATCH', 'a changed key', `UPDATE openings SET key = replace(key, substr(key, 1, 1), 'f')`],
    ['OPENING_MISMATCH', 'a section more', `UPDATE openings SET sections = '{"extra":1}' WHERE seq = (SELECT min(seq) FROM openings)`],
    [
      'OPENING_MISMATCH',
      'a section named like a prototype',
      `UPDATE openings SET sections = '{"__proto__":1}' WHERE seq = (SELECT min(seq) FROM openings)`,
    ],
    ['OPENING_INVALID', 'no key', `UPDATE openings SET key = ''`],
    ['OPENING_INVALID', 'no JSON', `UPDATE openings SET sections = 'x'`],
    ['OPENING_INVALID', 'duplicate names', `UPDATE openings SET sections = '{"args":1,"args":2}'`],
    ['OPENING_INVALID', 'no sections', `UPDATE openings SET sections = '[]'`],
    [
      'OPENING_MISMATCH',
      'an opening of an entry that commits to nothing',
      `INSERT INTO openings SELECT 0, key, sections FROM openings LIMIT 1`,
    ],
    ['OPENING_WITHOUT_ENTRY', 'an opening of no entry', `INSERT INTO openings SELECT 5000, key, sections FROM openings LIMIT 1`],
    ['OPENING_WITHOUT_ENTRY', 'an opening before the first entry', `INSERT INTO openings SELECT -1, key, sections FROM openings LIMIT 1`],
  ])('%s: %s', async (code, _name, sql) => {
    const report = await verifyLedger(
      tampered(path, (database) => database.exec(sql)),
      OPTIONS,
    );
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'proven' });
    expect(report.problems.map((problem) => problem.code)).toContain(code);
  });

  it('of no entries are named in order, before the first and beyond the last, twenty at most', async () => {
    const strays = async (positions: readonly number[]): Promise<readonly string[]> => {
      const stray = tampered(path, (database) => {
        for (const at of positions) database.exec(`INSERT INTO openings SELECT ${at}, key, sections FROM openings WHERE seq > 0 LIMIT 1`);
      });
      const source = openSource(path);
      const since = source.newestCheckpoint()?.note ?? '';
      source.close();
      const [all, ends] = await Promise.all(
        [OPTIONS, { ...OPTIONS, since }].map(async (options) => {
          const { problems } = await verifyLedger(stray, options);
          return problems
            .filter(({ code }) => code === 'OPENING_WITHOUT_ENTRY')
            .map(({ message }) => /position (-?\d+)/.exec(message)?.[1] ?? '');
        }),
      );
      expect(ends).toEqual(all);
      return all ?? [];
    };
    expect(await strays([9000, -1, 5000, -7])).toEqual(['-7', '-1', '5000', '9000']);
    const before = Array.from({ length: 15 }, (_, i) => i - 15);
    const beyond = Array.from({ length: 15 }, (_, i) => 5000 + i);
    expect(await strays([...beyond, ...before])).toEqual([...before, ...beyond.slice(0, 5)].map(String));
    expect(await strays(Array.from({ length: 30 }, (_, i) => i - 30))).toHaveLength(20);
  });

  it('that are missing are counted, and change nothing else', async () => {
    const bare = tampered(path, (database) => database.exec('DELETE FROM openings'));
    const report = await verifyLedger(bare, OPTIONS);
    expect(report).toMatchObject({ status: 'valid', integrity: 'intact', forgotten: 0, warnings: [{ code: 'OPENING_MISSING' }] });
    expect(report.warnings[0]?.message).toMatch(/^39 entries/);
    const one = tampered(path, (database) =>
      database.exec(`UPDATE openings SET sections = '{}' WHERE seq = (SELECT min(seq) FROM openings)`),
    );
    expect((await verifyLedger(one, OPTIONS)).warnings[0]?.message).toMatch(/^1 entries/);
    const head = { expectHead: (await verifyLedger(path, OPTIONS)).root ?? '' };
    expect(await verifyLedger(path, { ...OPTIONS, ...head, strict: true })).toMatchObject({ status: 'valid' });
    for (const changed of [bare, one])
      expect(await verifyLedger(changed, { ...OPTIONS, ...head, strict: true })).toMatchObject({ status: 'unproven', problems: [] });
  });

  it('that were erased on record are counted as forgotten', async () => {
    const erased = forged(
      path,
      edit(is('note'), (entry, all) => {
        delete entry['topic'];
        delete entry['data'];
        Object.assign(entry, { kind: 'forget', entries: [refTo(all, find(all, allow))] });
      }),
    );
    expect(await verifyLedger(erased, OPTIONS)).toMatchObject({ status: 'valid', forgotten: 0 });
    const gone = tampered(erased, (database) => database.exec('DELETE FROM openings WHERE seq = (SELECT min(seq) FROM openings)'));
    const report = await verifyLedger(gone, OPTIONS);
    expect(report).toMatchObject({ status: 'valid', forgotten: 1, warnings: [] });
    expect(await verifyLedger(gone, { ...OPTIONS, expectHead: report.root ?? '', strict: true })).toMatchObject({ status: 'valid' });
  });

  it('are not excused by a forget entry that names another hash than theirs', async () => {
    for (const isRight of [true, false]) {
      const erased = forged(
        path,
        edit(is('note'), (entry, all) => {
          delete entry['topic'];
          delete entry['data'];
          const named = find(all, allow);
          const leaf = isRight ? leafHash(canonicalize(named)) : '0'.repeat(64);
          Object.assign(entry, { kind: 'forget', entries: [{ ...refTo(all, named), leaf }] });
        }),
        { keepReferences: true },
      );
      const gone = tampered(erased, (database) => database.exec('DELETE FROM openings WHERE seq = (SELECT min(seq) FROM openings)'));
      const report = await verifyLedger(gone, OPTIONS);
      expect(report).toMatchObject({ status: isRight ? 'valid' : 'invalid', forgotten: isRight ? 1 : 0 });
      expect(report.problems.map(({ code }) => code)).toEqual(isRight ? [] : ['REFERENCE_MISMATCH']);
    }
  });

  it('that are there though a forget entry says that they were erased are told, by how many and the first', async () => {
    const named = (all: Loose[]): Loose[] => all.filter((entry) => 'args_commit' in entry).slice(0, 2);
    const about = (of: (all: Loose[]) => Loose[]): string =>
      forged(
        path,
        edit(is('note'), (entry, all) => {
          delete entry['topic'];
          delete entry['data'];
          Object.assign(entry, { kind: 'forget', entries: of(all).map((each) => refTo(all, each)) });
        }),
      );
    const undone = about((all) => named(all).flatMap((each) => [each, each]));
    const first = 1 + entriesOf(undone).findIndex((entry) => 'args_commit' in entry);
    for (const threads of [1, 2])
      expect(await verifyLedger(undone, { ...OPTIONS, threads })).toMatchObject({
        status: 'valid',
        forgotten: 0,
        warnings: [{ entry: first, code: 'FORGET_UNDONE', message: expect.stringMatching(/^the clear text of 2 entries/) }],
      });
    // Nothing ever lay beside those, or it is gone.
    const harmless = about((all) => all.filter(({ kind }) => kind === 'policy' || kind === 'key'));
    expect(await verifyLedger(harmless, OPTIONS)).toMatchObject({ status: 'valid', warnings: [] });
    const done = tampered(undone, (database) => database.exec(`DELETE FROM openings WHERE seq = ${first - 1}`));
    expect(await verifyLedger(done, OPTIONS)).toMatchObject({ status: 'valid', forgotten: 1, warnings: [{ code: 'FORGET_UNDONE' }] });
  });

  it('that show different arguments in ask and allow are told', async () => {
    const { commitSection } = await import('../../src/ledger/commitment.ts');
    const key = 'a'.repeat(64);
    const args = { to: 'somebody else' };
    const other = forged(path, edit(approved, { args_commit: commitSection(key, 'args', args) }));
    const shown = tampered(other, (database) => {
      const seqs = database.prepare<[], [number, string]>('SELECT seq, body FROM entries').raw().all();
      const seq = seqs.find(([, body]) => approved(JSON.parse(body) as Loose))?.[0];
      const reason = JSON.parse(String(database.prepare('SELECT sections FROM openings WHERE seq = ?').pluck().get(seq))) as Loose;
      expect(reason).toHaveProperty('args');
      database.prepare('UPDATE openings SET key = ?, sections = ? WHERE seq = ?').run(key, JSON.stringify({ args }), seq);
    });
    const report = await verifyLedger(shown, OPTIONS);
    expect(report.warnings.map(({ code }) => code)).toContain('SHOWN_DIFFERS');
    expect(report.status).toBe('valid');
  });
});

it('findings are bounded: warnings too', async () => {
  const many = forged(path, (entries) => {
    const note = find(entries, is('note'));
    return [...entries, ...Array.from({ length: 150 }, (_, i) => ({ ...note, kind: `kind${i}` }))];
  });
  const report = await verifyLedger(many, OPTIONS);
  expect(report.warnings).toHaveLength(101);
  expect(report.warnings.at(-1)).toMatchObject({ code: 'WARNINGS_OMITTED', message: '50 more warnings are not listed' });
});

it('every code is tried by a test of the folders for verification', () => {
  const folders = ['.', '../jsonl/', '../sqlite/', '../sudoagent/'].map((name) => new URL(name, import.meta.url));
  const tests = folders.flatMap((folder) => readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8')));
  // A database that breaks half-way cannot be made to order.
  const untried = Object.keys(VERIFY_CODES).filter(
    (code) => code !== 'DATABASE_DAMAGED' && !tests.some((text) => text.includes(`'${code}'`)),
  );
  expect(untried).toEqual([]);
});
