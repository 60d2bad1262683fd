import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { canonicalize, checkReceipt, generateKey, type Json, RECEIPT_CODES } from '../../src/index.ts';
import { formatCheckpoint } from '../../src/ledger/checkpoint.ts';
import { CompactRange } from '../../src/ledger/merkle.ts';
import { formatTlogProof, parseTlogProof } from '../../src/ledger/tlog-proof.ts';
import { LEDGER_VKEY, ORIGIN } from '../fixtures/ledger.ts';
import { testWitness } from '../fixtures/witness.ts';
import { ARGS, type Loose, MadeLog, OPENING, receiptOf } from './made.ts';

const publicKeys = [LEDGER_VKEY];
const codes = (text: string | Uint8Array, options = { publicKeys }): readonly string[] =>
  checkReceipt(text, options).problems.map(({ part, code }) => `${part} ${code}`);
const log = new MadeLog();

describe('checkReceipt', () => {
  it('proves a decision and its outcome', () => {
    const report = checkReceipt(receiptOf(), { publicKeys, origin: ORIGIN });
    expect(report).toMatchObject({
      status: 'valid',
      format: 'countersign-receipt-1',
      origin: ORIGIN,
      size: 7,
      inclusion: 'proven',
      authorship: 'proven',
      view: 'unwitnessed',
      witnesses: [],
      entry: { entry: 2, leaf: log.leaves[1], kind: 'decision', clear_text: 'all', shown: { args: ARGS, reason: 'because' } },
      outcome: { entry: 4, leaf: log.leaves[3], kind: 'outcome', clear_text: 'none', shown: {} },
      problems: [],
      warnings: [],
    });
  });

  it('says that without a key it proves nothing about who wrote it', () => {
    expect(checkReceipt(receiptOf())).toMatchObject({ status: 'unproven', authorship: 'unchecked', inclusion: 'proven', problems: [] });
  });

  it('tells who else saw the log, which is never who wrote it', () => {
    const witness = testWitness('witness.example');
    const note = log.note() + witness.line(log.note(), 1_700_000_000);
    const text = canonicalize({ countersign: 'receipt', v: 1, ...log.part(1, note) });
    const report = checkReceipt(text, { publicKeys: [LEDGER_VKEY, witness.vkey] });
    expect(report).toMatchObject({
      status: 'valid',
      view: 'witnessed',
      witnesses: [{ name: 'witness.example', at: '2023-11-14T22:13:20.000Z' }],
    });
    expect(checkReceipt(text, { publicKeys: [witness.vkey] })).toMatchObject({ status: 'unproven', authorship: 'unchecked' });
    const absent = checkReceipt(receiptOf(), { publicKeys: [LEDGER_VKEY, witness.vkey] });
    expect(absent).toMatchObject({ status: 'valid', view: 'unwitnessed', warnings: [{ code: 'COSIGNATURE_MISSING' }] });
  });

  it('knows every entry of the log at every size', () => {
    for (let size = 1; size <= log.texts.length; size++) {
      for (let index = 0; index < size; index++) {
        const text = canonicalize({ countersign: 'receipt', v: 1, ...log.part(index, log.note(size)) });
        expect(checkReceipt(text, { publicKeys })).toMatchObject({ status: 'valid', size, entry: { entry: index + 1 } });
      }
    }
  });

  it('refuses every truncation and every changed byte', () => {
    const bytes = Buffer.from(receiptOf());
    for (let i = 0; i < bytes.length; i++) {
      expect(checkReceipt(bytes.subarray(0, i), { publicKeys }).status, `cut at ${i}`).toBe('invalid');
      for (const bit of [0x01, 0x20, 0x80]) {
        const flipped = Buffer.from(bytes);
        flipped[i] = (flipped[i] as number) ^ bit;
        expect(checkReceipt(flipped, { publicKeys }).status, `byte ${i} ^ ${bit}`).toBe('invalid');
      }
    }
  }, 60_000);

  it('shows nothing of an invalid receipt', () => {
    const report = checkReceipt(
      receiptOf(log, (receipt) => (receipt['opening'] = { key: 'cd'.repeat(32), sections: { args: ARGS } })),
      { publicKeys },
    );
    expect(report.status).toBe('invalid');
    expect(report).not.toHaveProperty('entry');
    expect(report).not.toHaveProperty('outcome');
    expect(report.authorship).toBe('failed');
  });
});

describe('who signed', () => {
  it.each([
    ['another key under the same name', [generateKey(ORIGIN).vkey], 'SIGNATURE_UNKNOWN'],
    ['a key that was revoked before', [{ vkey: LEDGER_VKEY, revokedFrom: 7 }], 'KEY_REVOKED'],
    ['a key that counted until before', [{ vkey: LEDGER_VKEY, until: 6 }], 'KEY_OUT_OF_RANGE'],
    ['a key that counts from after', [{ vkey: LEDGER_VKEY, from: 8 }], 'KEY_OUT_OF_RANGE'],
  ])('refuses %s', (_what, keys, code) => {
    expect(checkReceipt(receiptOf(), { publicKeys: keys })).toMatchObject({
      status: 'invalid',
      authorship: 'failed',
      problems: [{ code }],
    });
  });

  it('refuses a receipt that somebody else signed anew', () => {
    const { privatePem } = generateKey(ORIGIN);
    const note = log.note(7, privatePem);
    const text = canonicalize({ countersign: 'receipt', v: 1, ...log.part(1, note), outcome: log.part(3, note) });
    expect(codes(text)).toEqual(['receipt SIGNATURE_UNKNOWN']);
  });

  it('refuses a signature that was moved to another head', () => {
    const [, signature = ''] = log.note(6).split('\n\n');
    const note = `${log.note().split('\n\n')[0]}\n\n${signature}`;
    expect(codes(canonicalize({ countersign: 'receipt', v: 1, ...log.part(1, note) }))).toEqual(['receipt SIGNATURE_INVALID']);
  });

  it('tells an unsigned ledger apart', () => {
    const range = new CompactRange();
    for (const leaf of log.leaves) range.push(leaf);
    const note = formatCheckpoint({ origin: ORIGIN, size: 7, root: range.root() });
    const text = canonicalize({ countersign: 'receipt', v: 1, ...log.part(1, note) });
    expect(checkReceipt(text)).toMatchObject({ status: 'unproven', authorship: 'unsigned' });
    expect(codes(text)).toEqual(['receipt UNSIGNED']);
  });

  it('refuses another log than the one expected', () => {
    expect(checkReceipt(receiptOf(), { publicKeys, origin: 'other.example/log' }).problems[0]?.code).toBe('ORIGIN_MISMATCH');
  });

  it('objects to bad options and to nothing else', () => {
    expect(() => checkReceipt('', { publicKeys: ['no key'] })).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    expect(() => checkReceipt('')).not.toThrow();
  });
});

describe('a forged receipt', () => {
  const forged: readonly (readonly [string, (receipt: Loose) => void, string])[] = [
    ["another decision's outcome", (r) => (r['outcome'] = log.part(4)), 'outcome REFERENCE_MISMATCH'],
    ['entries of another call', (r) => Object.assign(r, log.part(2), { outcome: log.part(3) }), 'outcome REFERENCE_MISMATCH'],
    ['a decision as outcome', (r) => (r['outcome'] = log.part(2)), 'outcome OUTCOME_WITHOUT_DECISION'],
    ['an outcome of an outcome', (r) => Object.assign(r, log.part(3), { opening: undefined }), 'outcome OUTCOME_WITHOUT_DECISION'],
    [
      'decision and outcome swapped',
      (r) => Object.assign(r, log.part(3), { opening: undefined, outcome: log.part(1) }),
      'outcome OUTCOME_WITHOUT_DECISION',
    ],
    ['a proof of another size for the outcome', (r) => (r['outcome'] = log.part(3, log.note(5))), 'outcome CHECKPOINT_DIFFERS'],
    ['the proof of another entry', (r) => (r['proof'] = log.proof(2)), 'entry INCLUSION_FAILED'],
    ['the proof of an older tree', (r) => (r['proof'] = log.proof(1, log.note(5))), 'outcome CHECKPOINT_DIFFERS'],
    ['a hash more', (r) => (r['proof'] = withHashes((hashes) => [...hashes, hashes[0] as string])), 'entry INCLUSION_FAILED'],
    ['a hash less', (r) => (r['proof'] = withHashes((hashes) => hashes.slice(1))), 'entry INCLUSION_FAILED'],
    [
      'extra data',
      (r) => (r['proof'] = `c2sp.org/tlog-proof@v1\nextra AAAA\n${log.proof(1).split('\n').slice(1).join('\n')}`),
      'entry PROOF_MALFORMED',
    ],
    ['no proof', (r) => (r['proof'] = ''), 'entry PROOF_MALFORMED'],
    ['an inner node as entry', (r) => (r['entry'] = `\u0001${log.leaves[0]}${log.leaves[1]}`), 'entry INCLUSION_FAILED'],
    ['an opening of another entry', (r) => (r['opening'] = { key: '12'.repeat(32), sections: { args: ARGS } }), 'entry OPENING_MISMATCH'],
    ['changed clear text', (r) => (r['opening'] = { ...OPENING, sections: { args: { ...ARGS, amount: 121 } } }), 'entry OPENING_MISMATCH'],
    ['clear text nobody committed to', (r) => (r['opening'] = { ...OPENING, sections: { message: 'hi' } }), 'entry OPENING_MISMATCH'],
    [
      'a section of a prototype name',
      (r) => (r['opening'] = { ...OPENING, sections: JSON.parse('{"__proto__":{"a":1}}') as Json }),
      'entry OPENING_MISMATCH',
    ],
    ['clear text on the outcome', (r) => (r['outcome'] = { ...log.part(3), opening: OPENING }), 'outcome OPENING_MISMATCH'],
  ];
  it.each(forged)('with %s is refused', (_what, change, code) => {
    expect(codes(receiptOf(log, change))).toContain(code);
  });

  function withHashes(change: (hashes: readonly string[]) => readonly string[]): string {
    const proof = parseTlogProof(log.proof(1));
    return formatTlogProof({ ...proof, hashes: change(proof.hashes) });
  }

  it('by the key holder himself is refused for what it claims', () => {
    const denied = { countersign: 'receipt', v: 1, ...log.part(5), outcome: log.part(6) };
    expect(codes(canonicalize(denied))).toEqual(['outcome OUTCOME_AFTER_DENY']);
    const of = (change: (bodies: Loose[]) => void): readonly string[] => codes(receiptOf(new MadeLog(change), (r) => delete r['opening']));
    const set = (index: number, fields: Loose) => (bodies: Loose[]) => Object.assign(bodies[index] as Loose, fields);
    expect(of(set(3, { agent: 'other' }))).toEqual(['outcome OUTCOME_MISMATCH']);
    expect(of(set(3, { call: '0'.repeat(32) }))).toEqual(['outcome OUTCOME_MISMATCH']);
    expect(of(set(3, { session: 's2' }))).toEqual(['outcome OUTCOME_MISMATCH']);
    expect(of(set(3, { decision: { of: 1, leaf: '0'.repeat(64) } }))).toEqual(['outcome REFERENCE_MISMATCH']);
    expect(of(set(3, { at: 5 }))).toEqual(['outcome TIME_BACKWARDS']);
    expect(of(set(1, { effect: 'require_approval' }))).toEqual(['outcome OUTCOME_AFTER_DENY']);
    expect(of(set(1, { effect: 'maybe' }))).toContain('entry ENTRY_SHAPE');
    expect(of(set(1, { v: 2 }))).toContain('entry ENTRY_VERSION');
    const early = (bodies: Loose[]): void => void bodies.splice(1, 3, bodies[3] as Loose, bodies[1] as Loose, bodies[2] as Loose);
    const swapped = new MadeLog(early);
    expect(codes(canonicalize({ countersign: 'receipt', v: 1, ...swapped.part(2), outcome: swapped.part(1) }))).toContain(
      'outcome REFERENCE_MISMATCH',
    );
  });

  it('tells what this version does not check, and checks the rest', () => {
    const warned = (change: (bodies: Loose[]) => void): Json =>
      checkReceipt(
        receiptOf(new MadeLog(change), (r) => delete r['outcome']),
        { publicKeys },
      ).warnings.map(({ code }) => code);
    expect(warned((bodies) => Object.assign(bodies[1] as Loose, { later: 1 }))).toEqual(['UNKNOWN_FIELD']);
    const unknown = receiptOf(new MadeLog((bodies) => (bodies[1] = { kind: 'dream' })), (r) => (delete r['outcome'], delete r['opening']));
    expect(checkReceipt(unknown, { publicKeys })).toMatchObject({ status: 'valid', warnings: [{ code: 'UNKNOWN_KIND' }] });
  });
});

describe('a text that is no receipt', () => {
  const good = receiptOf();
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  it.each([
    ['nothing', ''],
    ['no JSON', 'receipt'],
    ['a list', '[]'],
    ['null', 'null'],
    ['an empty object', '{}'],
    ['a space', good.replace('{', '{ ')],
    ['a newline at the end', `${good}\n`],
    ['a byte order mark', `\ufeff${good}`],
    ['members in another order', `{"v":1,${good.slice(1, -7)}}`],
    ['a member twice', good.replace('"v":1}', '"v":1,"v":1}')],
    ['a member more', canonicalize({ ...(JSON.parse(good) as Loose), more: 1 })],
    ['a member more in the outcome', receiptOf(log, (r) => Object.assign(r['outcome'] as Loose, { more: 1 }))],
    ['a member more in the opening', receiptOf(log, (r) => (r['opening'] = { ...OPENING, more: 1 }))],
    ['both kinds of opening', receiptOf(log, (r) => (r['opening'] = { ...OPENING, disclosed: {} }))],
    ['a hidden member', receiptOf(log, (r) => Object.defineProperty(r['outcome'], '__proto__', { value: { a: 1 }, enumerable: true }))],
    ['no entry', receiptOf(log, (r) => delete r['entry'])],
    ['an entry that is an object', receiptOf(log, (r) => (r['entry'] = { a: 1 }))],
    ['an outcome in the outcome', receiptOf(log, (r) => Object.assign(r['outcome'] as Loose, { outcome: log.part(3) }))],
    ['another word', receiptOf(log, (r) => (r['countersign'] = 'export'))],
    ['a key that is no key', receiptOf(log, (r) => (r['opening'] = { ...OPENING, key: 'AB'.repeat(32) }))],
    ['a lone surrogate', good.replace('because', 'be\\ud800cause')],
    ['a raw lone surrogate', good.replace('because', 'be\ud800cause')],
    ['JSON without end', nested(200_000)],
    ['deep clear text', good.replace('"because"', nested(5000))],
    ['a huge number', good.replace('120', '1e999')],
    ['too long', `"${'x'.repeat(17_000_000)}"`],
  ])('is refused: %s', (_what, text) => {
    expect(codes(text)).toEqual(['receipt RECEIPT_MALFORMED']);
  });

  it('is refused in another version, saying so', () => {
    expect(codes(receiptOf(log, (r) => (r['v'] = 2)))).toEqual(['receipt RECEIPT_VERSION']);
  });

  it('is refused as bytes that are not UTF-8, also where decoding would hide it', () => {
    const odd = new MadeLog((bodies) => Object.assign(bodies[1] as Loose, { rule: '\ufffd' }));
    const bytes = Buffer.from(receiptOf(odd));
    expect(checkReceipt(bytes, { publicKeys }).status).toBe('valid');
    const at = bytes.indexOf('\ufffd');
    const broken = Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]);
    expect(codes(broken)).toEqual(['receipt RECEIPT_MALFORMED']);
  });
});

it('every code is described in docs/formats/receipt.md', () => {
  const page = readFileSync(new URL('../../../../docs/formats/receipt.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
  expect(rows).toEqual(Object.keys(RECEIPT_CODES));
});
