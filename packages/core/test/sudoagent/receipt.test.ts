import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonicalize, checkSudoReceipt, generateKey, isSudoReceipt } from '../../src/index.ts';
import { makeSudoReceipt } from '../../src/sqlite/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { hasVectors, vectorPath, vectorText } from '../vectors.ts';
import { approved, canonical, chained, decision, type Fields, lines, outcome, scenario, writeLines, writeSqlite } from './writer.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const PEM = publicKey.export({ format: 'pem', type: 'spki' }).toString();
const OTHER_PEM = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString();

const entries = chained(scenario(), privateKey);
const requestOf = (index: number): string => entries[index]?.['request_id'] as string;
const hashOf = (index: number): string => ((entries[index] as Fields)['decision'] as Fields)['decision_hash'] as string;
const path = writeLines(lines(entries));
const codes = (receipt: string, keys: readonly string[] = []): readonly string[] =>
  checkSudoReceipt(receipt, { publicKeys: keys }).problems.map(({ part, code }) => `${part} ${code}`);

describe('a receipt of a ledger of SudoAgent', () => {
  it.each([
    ['lines', () => path],
    ['rows', () => writeSqlite(entries)],
  ])('holds decision and outcome as they stand in %s', (_what, ledger) => {
    const made = makeSudoReceipt(ledger(), { requestId: requestOf(3) });
    expect(made).toMatchObject({ entry: 4, outcome: 5, effect: 'allow', isSigned: true, decisionHash: hashOf(3) });
    expect(made.text).toBe(
      canonicalize({
        countersign: 'sudoagent-receipt',
        v: 1,
        entry: canonical(entries[3] as Fields),
        outcome: canonical(entries[4] as Fields),
      }),
    );
    expect(makeSudoReceipt(ledger(), { decisionHash: hashOf(3) }).text).toBe(made.text);
    expect(isSudoReceipt(made.text)).toBe(true);
    expect(isSudoReceipt(Buffer.from(made.text))).toBe(true);
  });

  it('proves who signed it, and says that it does not prove its place', () => {
    const { text } = makeSudoReceipt(path, { requestId: requestOf(0) });
    expect(checkSudoReceipt(text, { publicKeys: [PEM] })).toMatchObject({
      status: 'valid',
      format: 'sudoagent-receipt-1',
      hashes: 'proven',
      authorship: 'proven',
      place: 'unproven',
      entry: { request_id: requestOf(0), decision_hash: hashOf(0), action: 'tools.read', effect: 'allow' },
      outcome: { decision_hash: hashOf(0), status: 'success' },
      problems: [],
    });
    expect(checkSudoReceipt(Buffer.from(`${text}\n`), { publicKeys: [OTHER_PEM, PEM] })).toMatchObject({ status: 'valid' });
    expect(checkSudoReceipt(text)).toMatchObject({ status: 'unproven', authorship: 'unchecked', hashes: 'proven', place: 'unproven' });
  });

  it('of a denied or a running call has no outcome', () => {
    const denied = makeSudoReceipt(path, { requestId: requestOf(2) });
    expect(denied).not.toHaveProperty('outcome');
    expect(denied.effect).toBe('deny');
    const report = checkSudoReceipt(denied.text, { publicKeys: [PEM] });
    expect(report).toMatchObject({ status: 'valid', entry: { effect: 'deny' } });
    expect(report).not.toHaveProperty('outcome');
    expect(makeSudoReceipt(path, { requestId: requestOf(11) })).not.toHaveProperty('outcome');
  });

  it('of an unsigned ledger proves no author', () => {
    const unsigned = chained(scenario());
    const { text } = makeSudoReceipt(writeLines(lines(unsigned)), { requestId: unsigned[0]?.['request_id'] as string });
    expect(checkSudoReceipt(text)).toMatchObject({ status: 'unproven', authorship: 'unsigned' });
    expect(codes(text, [PEM])).toEqual(['entry ENTRY_UNSIGNED', 'outcome ENTRY_UNSIGNED']);
    expect(checkSudoReceipt(text, { publicKeys: [PEM] })).toMatchObject({ status: 'invalid', authorship: 'failed', hashes: 'proven' });
  });

  it('is refused for what the ledger does not have, has twice, or cannot show', async () => {
    const refused = (ledger: string, requestId: string): unknown => {
      try {
        return makeSudoReceipt(ledger, { requestId });
      } catch (error) {
        return [(error as { code: string }).code, (error as Error).message.replace(/^.*: entries/, 'entries')];
      }
    };
    expect(refused(path, 'none')).toMatchObject(['ENTRY_NOT_FOUND', expect.anything()]);
    expect(refused(path, 'agent:test')).toMatchObject(['ENTRY_NOT_FOUND', expect.anything()]);
    expect(refused(path, '__proto__')).toMatchObject(['ENTRY_NOT_FOUND', expect.anything()]);
    const one = decision();
    const two = { ...decision(), request_id: one['request_id'] as string };
    expect(refused(writeLines(lines(chained([one, decision(), two]))), one['request_id'] as string)).toEqual([
      'ENTRY_AMBIGUOUS',
      'entries 1, 3',
    ]);
    const many = chained([one, ...Array.from({ length: 30 }, () => outcome(one))]);
    expect(refused(writeLines(lines(many)), one['request_id'] as string)).toEqual([
      'ENTRY_AMBIGUOUS',
      'entries 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and more',
    ]);
    const denied = decision({ effect: 'deny' });
    expect(refused(writeLines(lines(chained([denied, outcome(denied)]))), denied['request_id'] as string)).toMatchObject([
      'LEDGER_CORRUPT',
      expect.stringContaining('entry 2 '),
    ]);
    const changed = lines(chained([one])).replace('tools.refund', 'tools.other');
    expect(refused(writeLines(changed), one['request_id'] as string)).toMatchObject([
      'LEDGER_CORRUPT',
      expect.stringContaining('entry 1 '),
    ]);
    expect(refused(writeLines(lines(chained([one])).replace('{', '{ ')), one['request_id'] as string)).toMatchObject([
      'LEDGER_CORRUPT',
      {},
    ]);
    const ours = join(tempDirectory(), 'ledger.db');
    const store = openLedger(ours);
    expect(refused(ours, 'x')).toMatchObject(['LEDGER_UNREADABLE', expect.anything()]);
    await store.close();
  });

  it('takes keys without limits only, and says what is wrong with one', () => {
    const { text } = makeSudoReceipt(path, { requestId: requestOf(0) });
    const { vkey } = generateKey('k');
    expect(() => checkSudoReceipt(text, { publicKeys: [{ vkey, from: 3 }] })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(() => checkSudoReceipt(text, { publicKeys: ['key'] })).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    expect(codes(text, [vkey])).toEqual(['entry ENTRY_SIGNATURE_INVALID', 'outcome ENTRY_SIGNATURE_INVALID']);
  });
});

describe('a receipt somebody changed', () => {
  const receipt = (entry: Fields | string | undefined, of?: Fields | string): string => {
    const text = (part: Fields | string | undefined): string => (typeof part === 'string' ? part : canonical(part as Fields));
    return canonicalize({ countersign: 'sudoagent-receipt', v: 1, entry: text(entry), outcome: of === undefined ? undefined : text(of) });
  };
  const [entry, settled] = entries as unknown as [Fields, Fields];
  const other = entries[4] as Fields;

  it.each<[string, string, readonly string[]]>([
    ['another outcome', receipt(entry, other), ['outcome OUTCOME_WITHOUT_DECISION']],
    ['two decisions', receipt(entry, entries[3]), ['outcome OUTCOME_WITHOUT_DECISION']],
    ['an outcome alone', receipt(settled), ['entry OUTCOME_WITHOUT_DECISION']],
    ['a changed entry', receipt({ ...entry, action: 'x' }, settled), ['entry ENTRY_HASH_MISMATCH', 'entry DECISION_HASH_MISMATCH']],
    ['a changed outcome', receipt(entry, { ...settled, action: 'x' }), ['outcome ENTRY_HASH_MISMATCH', 'outcome OUTCOME_MISMATCH']],
    ['an entry that is no JSON', receipt('{'), ['entry ENTRY_NOT_CANONICAL']],
    ['an entry of another version', receipt({ ...entry, schema_version: '9' }), ['entry ENTRY_HASH_MISMATCH', 'entry ENTRY_VERSION']],
    ['an approval of another call', receipt(chained([approved({}, { state: 'denied' })])[0]), ['entry APPROVAL_WAS_DENIED']],
    ['another kind of receipt', '{"countersign":"receipt","entry":"","proof":"","v":1}', ['receipt RECEIPT_MALFORMED']],
    ['a member more', receipt(entry).replace('"v":1', '"v":1,"w":1'), ['receipt RECEIPT_MALFORMED']],
    ['a member less', '{"countersign":"sudoagent-receipt","v":1}', ['receipt RECEIPT_MALFORMED']],
    ['a space', receipt(entry).replace('"v":1', '"v": 1'), ['receipt RECEIPT_MALFORMED']],
    ['another version', receipt(entry).replace('"v":1', '"v":2'), ['receipt RECEIPT_VERSION']],
    ['nothing', '', ['receipt RECEIPT_MALFORMED']],
    ['two line feeds', `${receipt(entry)}\n\n`, ['receipt RECEIPT_MALFORMED']],
  ])('%s', (_what, text, problems) => {
    expect(codes(text)).toEqual(problems);
    const report = checkSudoReceipt(text, { publicKeys: [PEM] });
    expect(report).toMatchObject({ status: 'invalid', authorship: 'failed', place: 'unproven' });
    expect(report).not.toHaveProperty('entry');
  });

  it('is invalid at every cut and at every flipped bit of a byte', () => {
    const bytes = Buffer.from(receipt(entry, settled));
    expect(checkSudoReceipt(bytes, { publicKeys: [PEM] }).status).toBe('valid');
    for (let at = 0; at < bytes.length; at++) {
      const mutant = Buffer.from(bytes);
      mutant[at] = (bytes[at] as number) ^ (1 << (at % 8));
      expect([at, checkSudoReceipt(mutant, { publicKeys: [PEM] }).status]).toEqual([at, 'invalid']);
      expect([at, checkSudoReceipt(bytes.subarray(0, at)).status]).toEqual([at, 'invalid']);
    }
  });
});

describe.skipIf(!hasVectors('sudoagent-v2'))('receipts of what the predecessor wrote', () => {
  it('check with its key, for every call', () => {
    const key = vectorText('sudoagent-v2/key.pub.pem');
    const ids = new Set(
      vectorText('sudoagent-v2/small-signed.jsonl')
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { request_id: string }).request_id),
    );
    expect(ids.size).toBe(17);
    for (const requestId of ids) {
      const jsonl = makeSudoReceipt(vectorPath('sudoagent-v2/small-signed.jsonl'), { requestId });
      expect(checkSudoReceipt(jsonl.text, { publicKeys: [key] })).toMatchObject({ status: 'valid', problems: [] });
    }
  });
});
