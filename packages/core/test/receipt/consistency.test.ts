import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalize, checkConsistency, generateKey } from '../../src/index.ts';
import { makeConsistency } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, ORIGIN } from '../fixtures/ledger.ts';
import { edited, forged, type Loose, noteOf, tampered } from '../verify/forge.ts';
import { writeScenario } from '../verify/scenario.ts';
import { MadeLog } from './made.ts';

const publicKeys = [LEDGER_VKEY];
const refused = (code: string): unknown => expect.objectContaining({ code });
let path: string;
let first: string;
beforeAll(async () => {
  ({ path } = await writeScenario());
  first = headAt(20);
});

/** The checkpoint there was at a size. */
function headAt(size: number): string {
  return JSON.parse(
    makeConsistency(
      forged(path, (all) => all.slice(0, size), { keepReferences: true }),
      noteOf(EMPTY),
    ).text,
  ).to as string;
}
const EMPTY = { size: 0, root: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' };

describe('a log that grew', () => {
  it('is proven from every earlier size', () => {
    for (const size of [1, 2, 3, 7, 8, 20, 21]) {
      const from = headAt(size);
      const made = makeConsistency(path, from);
      expect(made).toMatchObject({ origin: ORIGIN, from: size });
      expect(checkConsistency(made.text, { publicKeys, from })).toEqual({
        status: 'valid',
        origin: ORIGIN,
        from: size,
        to: made.to,
        authorship: 'proven',
        problems: [],
      });
    }
  });

  it('is called not proven without a key', () => {
    expect(checkConsistency(makeConsistency(path, first).text)).toMatchObject({ status: 'unproven', authorship: 'unchecked' });
  });

  it('is proven without tiles, and with wrong ones', () => {
    const { text } = makeConsistency(path, first);
    expect(makeConsistency(edited(path, 'DELETE FROM tiles'), first).text).toBe(text);
  });
});

describe('a log that did not only grow', () => {
  it('gives no proof', () => {
    const other = forged(path, (all) => all.toSpliced(4, 1), { keepReferences: true });
    expect(() => makeConsistency(other, first)).toThrow(refused('PROOF_INVALID'));
    const cut = forged(path, (all) => all.slice(0, 10), { keepReferences: true });
    expect(() => makeConsistency(cut, first)).toThrow(refused('PROOF_INVALID'));
    expect(() => makeConsistency(path, noteOf(EMPTY, { origin: 'other.example/log' }))).toThrow(refused('CHECKPOINT_INVALID'));
    expect(() => makeConsistency(path, 'no note')).toThrow(refused('CHECKPOINT_INVALID'));
    const changed = tampered(path, (database) =>
      database.exec(`UPDATE entries SET body = replace(body, 'read', 'reaD'); DELETE FROM tiles`),
    );
    expect(() => makeConsistency(changed, first)).toThrow(refused('PROOF_INVALID'));
  });

  it('is not passed off as one that did', () => {
    const text = makeConsistency(path, first).text;
    const codes = (change: (proof: Loose) => void, options: Parameters<typeof checkConsistency>[1] = { publicKeys }): readonly string[] => {
      const proof = JSON.parse(text) as Loose;
      change(proof);
      return checkConsistency(canonicalize(proof), options).problems.map(({ code }) => code);
    };
    const log = new MadeLog();
    const hashes = (proof: Loose): string[] => proof['proof'] as string[];
    expect(codes((p) => (p['from'] = log.note(3)))).toEqual(['PROOF_INVALID']);
    expect(codes((p) => (p['to'] = log.note(7)))).toEqual(['PROOF_INVALID']);
    expect(codes((p) => Object.assign(p, { from: p['to'], to: p['from'] }))).toEqual(['PROOF_INVALID']);
    expect(codes((p) => hashes(p).pop())).toEqual(['PROOF_INVALID']);
    expect(codes((p) => hashes(p).push('0'.repeat(64)))).toEqual(['PROOF_INVALID']);
    expect(codes((p) => hashes(p).reverse())).toEqual(['PROOF_INVALID']);
    expect(codes((p) => (p['more'] = 1))).toEqual(['PROOF_MALFORMED']);
    expect(codes((p) => (p['proof'] = ['x']))).toEqual(['PROOF_MALFORMED']);
    expect(codes((p) => (p['from'] = 'x'))).toEqual(['PROOF_MALFORMED']);
    expect(codes(() => {}, { publicKeys: [generateKey(ORIGIN).vkey] })).toEqual(['SIGNATURE_UNKNOWN', 'SIGNATURE_UNKNOWN']);
    expect(codes(() => {}, { publicKeys, from: headAt(19) })).toEqual(['CHECKPOINT_DIFFERS']);
    expect(codes(() => {}, { publicKeys, to: headAt(21) })).toEqual(['CHECKPOINT_DIFFERS']);
    expect(checkConsistency(`${text}\n`).problems[0]?.code).toBe('PROOF_MALFORMED');
    expect(checkConsistency('').problems[0]?.code).toBe('PROOF_MALFORMED');
    expect(checkConsistency('['.repeat(100_000)).problems[0]?.code).toBe('PROOF_MALFORMED');
  });

  it('every truncation and every changed byte is refused', () => {
    const bytes = Buffer.from(makeConsistency(path, first).text);
    for (let i = 0; i < bytes.length; i++) {
      expect(checkConsistency(bytes.toString('utf8', 0, i), { publicKeys }).status).toBe('invalid');
      const flipped = Buffer.from(bytes);
      flipped[i] = (flipped[i] as number) ^ 1;
      expect(checkConsistency(flipped, { publicKeys }).status, `byte ${i}`).toBe('invalid');
    }
  });
});
