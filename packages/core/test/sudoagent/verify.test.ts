import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, type VerifyOptions, type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { hasVectors, vectorPath, vectorText } from '../vectors.ts';
import { approved, bound, chained, decision, type Fields, lines, outcome, scenario, writeLines, writeSqlite } from './writer.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString();
const OTHER_PEM = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString();

async function verified(entries: readonly Fields[], options: VerifyOptions = {}): Promise<VerifyReport> {
  return await verifyLedger(writeLines(lines(entries)), options);
}

const found = ({ problems }: VerifyReport): readonly (readonly [number, string])[] => problems.map(({ entry, code }) => [entry, code]);

describe('an intact ledger', () => {
  const entries = chained(scenario());
  const head = entries.at(-1)?.['entry_hash'] as string;

  it.each([
    ['lines', () => writeLines(lines(entries))],
    ['rows', () => writeSqlite(entries)],
  ])('of %s is valid, and the report says what was not proven', async (_what, path) => {
    const report = await verifyLedger(path());
    expect(report).toMatchObject({
      status: 'valid',
      format: 'sudoagent-v2',
      entries: 14,
      head,
      integrity: 'intact',
      authorship: 'unsigned',
      end: 'unproven',
      open_decisions: 1,
      counts: { decisions: 8, allowed: 6, refused: 2, approvals: 2, outcomes: 5, others: 1 },
      problems: [],
      problem_count: 0,
    });
    expect(report.warnings.map(({ entry, code }) => [entry, code])).toEqual([[13, 'UNKNOWN_KIND']]);
    expect(exitCodeOf(report)).toBe(0);
  });

  it('proves its end only against what is known from elsewhere', async () => {
    expect(await verified(entries, { expectHead: head })).toMatchObject({ status: 'valid', end: 'proven' });
    expect(await verified(entries, { expectHead: head, expectSize: 14 })).toMatchObject({ status: 'valid', end: 'proven' });
    expect(await verified(entries, { expectSize: 14 })).toMatchObject({ status: 'valid', end: 'proven', warnings: [{}] });
    const early = await verified(entries, { expectSize: 3, expectHead: entries[2]?.['entry_hash'] as string });
    expect(early).toMatchObject({ status: 'valid', end: 'proven', warnings: [{}, { code: 'END_BEYOND_HEAD' }] });
    expect(await verified(entries, { expectSize: 15 })).toMatchObject({
      status: 'invalid',
      end: 'contradicted',
      problems: [{ code: 'EXPECT_TRUNCATED' }],
    });
    const forked = await verified(entries, { expectSize: 3, expectHead: head });
    expect(forked).toMatchObject({ status: 'invalid', end: 'contradicted', problems: [{ code: 'EXPECT_FORKED' }] });
    expect(await verified(entries, { expectSize: 0, expectHead: head })).toMatchObject({ problems: [{ code: 'EXPECT_FORKED' }] });
  });

  it('is unproven under strict, and what SudoAgent never writes is then a problem', async () => {
    expect(found(await verified(entries, { strict: true }))).toEqual([[13, 'UNKNOWN_KIND']]);
    const plain = chained(scenario().filter(({ event }) => event !== 'checkpoint'));
    expect(await verified(plain, { strict: true })).toMatchObject({ status: 'unproven', problems: [] });
    const odd = chained([{ ...decision(), extra: 1 as unknown as string }]);
    expect(await verified(odd)).toMatchObject({ status: 'valid', warnings: [{ entry: 1, code: 'UNKNOWN_FIELD' }] });
    expect(found(await verified(odd, { strict: true }))).toEqual([[1, 'UNKNOWN_FIELD']]);
  });

  it('that is empty proves nothing, and one that is missing cannot be read', async () => {
    const empty = await verifyLedger(writeLines(''));
    expect(empty).toMatchObject({ status: 'unproven', entries: 0, integrity: 'unknown', end: 'unproven', problems: [] });
    expect(exitCodeOf(empty)).toBe(3);
    expect(await verifyLedger(writeSqlite([]))).toMatchObject({ status: 'unproven', format: 'sudoagent-v2', entries: 0 });
    const missing = await verifyLedger(join(tempDirectory(), 'none.jsonl'), { publicKeys: [PEM] });
    expect(missing).toMatchObject({ status: 'unreadable', problems: [{ code: 'LEDGER_NOT_FOUND' }] });
    expect(exitCodeOf(missing)).toBe(4);
  });

  it.each<[string, VerifyOptions, string]>([
    ['a checkpoint to compare with', { against: 'log\n1\nAAAA\n' }, 'OPTIONS_INVALID'],
    ['a head in base64', { expectHead: Buffer.alloc(32).toString('base64') }, 'OPTIONS_INVALID'],
    ['half an entry', { expectSize: 1.5 }, 'OPTIONS_INVALID'],
    ['a PEM of nothing', { publicKeys: ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'] }, 'KEY_INVALID'],
    [
      'a key that signs otherwise',
      { publicKeys: [generateKeyPairSync('x25519').publicKey.export({ format: 'pem', type: 'spki' }).toString()] },
      'KEY_INVALID',
    ],
    ['a PEM without end', { publicKeys: [`${PEM}${' '.repeat(5000)}`] }, 'KEY_INVALID'],
    ['a word', { publicKeys: ['key'] }, 'KEY_INVALID'],
  ])('refuses %s', async (_what, options, code) => {
    await expect(verified(entries, options)).rejects.toMatchObject({ code });
  });
});

describe('signatures', () => {
  const entries = chained(scenario(), privateKey);

  it('are told when no key is given, and prove who wrote it when one is', async () => {
    expect(await verified(entries)).toMatchObject({ status: 'valid', authorship: 'unchecked' });
    expect(await verified(entries, { publicKeys: [PEM] })).toMatchObject({ status: 'valid', authorship: 'proven', end: 'unproven' });
    expect(await verified(entries, { publicKeys: [OTHER_PEM, PEM] })).toMatchObject({ status: 'valid', authorship: 'proven' });
  });

  it('by another key are no proof', async () => {
    const report = await verified(entries, { publicKeys: [OTHER_PEM] });
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'failed', problem_count: 14 });
    expect(found(report)[0]).toEqual([1, 'ENTRY_SIGNATURE_INVALID']);
  });

  it('must be there when a key is given', async () => {
    const unsigned = await verified(chained(scenario()), { publicKeys: [PEM] });
    expect(unsigned).toMatchObject({ status: 'invalid', authorship: 'unsigned', problem_count: 14 });
    expect(found(unsigned)[0]).toEqual([1, 'ENTRY_UNSIGNED']);
  });

  it.each(entries.map((_entry, index) => index))('missing, bad or of another entry at entry %i', async (index) => {
    const entry = entries[index] as Fields;
    const other = entries[(index + 1) % entries.length] as Fields;
    const { entry_signature: signature, ...stripped } = entry;
    const cases: readonly [Fields, string][] = [
      [stripped, 'ENTRY_UNSIGNED'],
      [{ ...entry, entry_signature: other['entry_signature'] as string }, 'ENTRY_SIGNATURE_INVALID'],
      [{ ...entry, entry_signature: '' }, 'ENTRY_SIGNATURE_INVALID'],
      [{ ...entry, entry_signature: `${signature as string} ` }, 'ENTRY_SIGNATURE_INVALID'],
    ];
    for (const [changed, code] of cases) {
      const report = await verified(entries.with(index, changed), { publicKeys: [PEM] });
      expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'failed' });
      expect(found(report)).toEqual([[index + 1, code]]);
    }
    const partly = await verified(entries.with(index, stripped));
    expect(partly).toMatchObject({ status: 'valid', authorship: 'unchecked' });
    expect(partly.warnings.map(({ entry: at, code }) => [at, code])).toContainEqual([index + 1, 'ENTRY_UNSIGNED']);
  });
});

describe('what a chain made anew cannot hide', () => {
  const allowed = decision({ kwargs: { amount: 'ten' } });
  const denied = decision({ effect: 'deny' });
  const block = (entry: Fields, changes: Fields): Fields => ({ ...entry, decision: { ...(entry['decision'] as Fields), ...changes } });
  const asked = approved();
  const binding = (asked['approval'] as Fields)['binding'] as Fields;
  const approval = (changes: Fields, metadata: Fields = {}): Fields => ({
    ...asked,
    approval: { ...(asked['approval'] as Fields), ...changes },
    metadata: { ...(asked['metadata'] as Fields), ...metadata },
  });
  const later = approved();

  it.each<[string, readonly Fields[], readonly [number, string][]]>([
    ['an outcome after a deny', [allowed, denied, outcome(denied)], [[3, 'OUTCOME_AFTER_DENY']]],
    ['a second outcome', [allowed, outcome(allowed), outcome(allowed)], [[3, 'OUTCOME_TWICE']]],
    ['an outcome before its decision', [outcome(allowed), allowed], [[1, 'OUTCOME_WITHOUT_DECISION']]],
    ['an outcome of nothing', [allowed, outcome(decision())], [[2, 'OUTCOME_WITHOUT_DECISION']]],
    ['an outcome of another request', [allowed, { ...outcome(allowed), request_id: 'other' }], [[2, 'OUTCOME_MISMATCH']]],
    ['an outcome of another tool', [allowed, { ...outcome(allowed), action: 'tools.wipe' }], [[2, 'OUTCOME_MISMATCH']]],
    ['an outcome of another agent', [allowed, { ...outcome(allowed), agent_id: 'x' }], [[2, 'OUTCOME_MISMATCH']]],
    [
      'an outcome with other parameters',
      [allowed, { ...outcome(allowed), parameters: { args: [], kwargs: {} } }],
      [[2, 'OUTCOME_MISMATCH']],
    ],
    ['a decision that stands twice', [allowed, outcome(allowed), allowed], [[3, 'DECISION_REPEATED']]],
    ['changed parameters', [{ ...allowed, parameters: { args: [], kwargs: { amount: 'all' } } }], [[1, 'DECISION_HASH_MISMATCH']]],
    ['a changed time', [{ ...allowed, created_at: '2026-11-22T12:00:00.000000Z' }], [[1, 'DECISION_HASH_MISMATCH']]],
    ['another agent', [{ ...allowed, agent_id: 'agent:other' }], [[1, 'DECISION_HASH_MISMATCH']]],
    ['another policy', [block(allowed, { policy_hash: 'x' })], [[1, 'DECISION_HASH_MISMATCH']]],
    ['another version', [allowed, { ...denied, schema_version: '2.1' }], [[2, 'ENTRY_VERSION']]],
    ['another ledger version', [allowed, { ...denied, ledger_version: '1.0' }], [[2, 'ENTRY_VERSION']]],
    ['no version', [(({ schema_version: _gone, ...rest }) => rest)(allowed)], [[1, 'ENTRY_VERSION']]],
    ['an unknown event', [{ ...allowed, event: 'note' }], [[1, 'ENTRY_SHAPE']]],
    ['an effect of its own', [block(allowed, { effect: 'require_approval' })], [[1, 'ENTRY_SHAPE']]],
    ['a decision hash that is none', [block(allowed, { decision_hash: 'A'.repeat(64) })], [[1, 'ENTRY_SHAPE']]],
    ['no parameters', [(({ parameters: _gone, ...rest }) => rest)(allowed)], [[1, 'ENTRY_SHAPE']]],
    ['a day no calendar has', [{ ...allowed, created_at: '2026-02-30T12:00:00.000000Z' }], [[1, 'ENTRY_SHAPE']]],
    ['a time without microseconds', [{ ...allowed, created_at: '2026-02-20T12:00:00Z' }], [[1, 'ENTRY_SHAPE']]],
    ['a status of its own', [allowed, { ...outcome(allowed), outcome: { status: 'maybe' } }], [[2, 'ENTRY_SHAPE']]],
    ['an allow that was to be asked for', [{ ...asked, approval: null }], [[1, 'ALLOW_WITHOUT_APPROVAL']]],
    ['an approval that was denied', [approval({ state: 'denied' })], [[1, 'APPROVAL_WAS_DENIED']]],
    ['an approval denied in its copy', [approval({}, { approved: false })], [[1, 'APPROVAL_WAS_DENIED']]],
    ['an approval that expired', [approval({ state: 'expired' })], [[1, 'APPROVAL_EXPIRED']]],
    ['an approval nobody gave', [approval({ state: 'pending' })], [[1, 'APPROVAL_UNPROVEN']]],
    ['an approval without id', [approval({ approval_id: null })], [[1, 'APPROVAL_UNPROVEN']]],
    ['an answer too late', [approval({ resolved_at: '2026-11-22T12:05:00.000001+00:00' })], [[1, 'APPROVAL_LATE']]],
    ['an answer too late in another zone', [approval({ resolved_at: '2026-11-22T13:05:00.5+01:00' })], [[1, 'APPROVAL_LATE']]],
    [
      'an approval older than the call',
      [approval({ expires_at: '2026-11-22T11:59:59+00:00', resolved_at: null })],
      [[1, 'APPROVAL_EXPIRED']],
    ],
    [
      'an approval of another call',
      [approval({ binding: { ...binding, request_id: 'old' } }, { approval_binding: { ...binding, request_id: 'old' } })],
      [[1, 'BINDING_MISMATCH']],
    ],
    [
      'an approval of another decision',
      [approval({ binding: { ...binding, decision_hash: 'y' } }, { approval_binding: { ...binding, decision_hash: 'y' } })],
      [[1, 'BINDING_MISMATCH']],
    ],
    [
      'an approval under another policy',
      [approval({ binding: { ...binding, policy_hash: 'x' } }, { approval_binding: { ...binding, policy_hash: 'x' } })],
      [[1, 'BINDING_MISMATCH']],
    ],
    ['an approval that binds nothing', [approval({ binding: null }, { approval_binding: null })], [[1, 'BINDING_MISMATCH']]],
    [
      'an approval and a copy that differ',
      [approval({}, { approval_binding: { ...binding, policy_hash: 'x' } })],
      [[1, 'BINDING_MISMATCH']],
    ],
    ['two approvers', [approval({}, { approver_id: 'mallory' })], [[1, 'APPROVAL_MISMATCH']]],
    [
      'an approval used twice',
      [
        asked,
        { ...later, approval: { ...(later['approval'] as Fields), approval_id: (asked['approval'] as Fields)['approval_id'] as string } },
      ],
      [[2, 'APPROVAL_REUSED']],
    ],
  ])('%s', async (_what, entries, problems) => {
    const made = chained(entries);
    expect(found(await verified(made))).toEqual(problems);
    const rows = await verifyLedger(writeSqlite(made));
    expect(found(rows)).toEqual(problems);
    expect(rows).toMatchObject({ status: problems.length > 0 ? 'invalid' : 'valid', integrity: 'intact' });
  });

  it.each(['yesterday', '2026-13-01T00:00:00+00:00'])(
    'an approval whose time (%s) cannot be read: lateness is unchecked, and told',
    async (time) => {
      const report = await verified(chained([approval({ resolved_at: time })]));
      expect(report.warnings.map(({ entry, code }) => [entry, code])).toContainEqual([1, 'APPROVAL_TIMES_UNCHECKED']);
    },
  );

  it('an outcome that does not repeat the parameters is taken by hash and request', async () => {
    const { parameters: _gone, ...short } = outcome(allowed);
    expect(found(await verified(chained([allowed, short])))).toEqual([]);
    expect(found(await verified(chained([allowed, { ...short, request_id: 'x' }])))).toEqual([[2, 'OUTCOME_MISMATCH']]);
  });

  it('a change bound anew is another decision: only a key or a head tells', async () => {
    const changed = bound({ ...allowed, parameters: { args: [], kwargs: {} } });
    expect(await verified(chained([changed, outcome(changed)]))).toMatchObject({
      status: 'valid',
      authorship: 'unsigned',
      end: 'unproven',
    });
  });
});

describe.skipIf(!hasVectors('sudoagent-v2'))('ledgers the predecessor wrote', () => {
  const pem = (): string => vectorText('sudoagent-v2/key.pub.pem');

  it.each([
    ['small-unsigned.jsonl', 'unsigned', '188'],
    ['small-signed.jsonl', 'unchecked', ''],
    ['small-signed.sqlite', 'unchecked', ''],
  ])('%s', async (name, authorship) => {
    const path = vectorPath(`sudoagent-v2/${name}`);
    const report = await verifyLedger(path);
    expect(report).toMatchObject({
      status: 'valid',
      entries: 28,
      integrity: 'intact',
      authorship,
      end: 'unproven',
      open_decisions: 0,
      counts: { decisions: 17, allowed: 11, refused: 6, approvals: 4, outcomes: 11, others: 0 },
      warnings: [],
      problems: [],
    });
    if (authorship === 'unchecked')
      expect(await verifyLedger(path, { publicKeys: [pem()] })).toMatchObject({ status: 'valid', authorship: 'proven' });
    else expect(await verifyLedger(path, { publicKeys: [pem()] })).toMatchObject({ status: 'invalid', problem_count: 28 });
    expect(await verifyLedger(path, { expectSize: 28, expectHead: report.head as string })).toMatchObject({
      status: 'valid',
      end: 'proven',
    });
  });
});
