/** Receipts made by us and checked by a program of different make: examples/verify-in-python. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalize, checkReceipt } from '../../src/index.ts';
import { discloseFields } from '../../src/receipt/disclose.ts';
import { makeReceipt } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, tempDirectory } from '../fixtures/ledger.ts';
import { acceptedInPython, python, verifyInPython } from '../python.ts';
import { entriesOf, forged, type Loose } from '../verify/forge.ts';
import { writeScenario } from '../verify/scenario.ts';

const MUTANTS = 600;

let path: string;
let entries: Loose[];
beforeAll(async () => {
  ({ path } = await writeScenario());
  entries = entriesOf(path);
});

const ours = (text: string): string => checkReceipt(text, { publicKeys: [LEDGER_VKEY] }).status;
const allowed = (): number => entries.findIndex((entry) => entry['kind'] === 'decision' && entry['effect'] === 'allow');

/** Of fixed places, so that a failure comes again. */
function mutants(text: string): readonly string[] {
  const made: string[] = [];
  for (let i = 0; i < MUTANTS; i++) {
    const at = Math.floor((i * text.length) / MUTANTS);
    const other = String.fromCharCode(text.charCodeAt(at) ^ (1 << (i % 3)));
    made.push(i % 4 === 3 ? text.slice(0, at) + text.slice(at + 1) : text.slice(0, at) + other + text.slice(at + 1));
  }
  return [...made, `${text}\n`, ` ${text}`, text.slice(0, -1), `${text}${text}`, ''].filter((mutant) => mutant !== text);
}

describe.skipIf(python === undefined)('the verifier in Python and ours', () => {
  it('accept the receipt of every entry', () => {
    const texts = entries.map((_entry, index) => makeReceipt(path, { index }).text);
    expect(texts.map(ours)).toEqual(texts.map(() => 'valid'));
    expect(acceptedInPython(texts, LEDGER_VKEY)).toEqual(texts.map(() => true));
  });

  it('accept a receipt as a file, and fields that are disclosed alone', () => {
    const file = join(tempDirectory(), 'receipt.json');
    writeFileSync(file, makeReceipt(path, { index: allowed() }).text);
    expect(verifyInPython(file, LEDGER_VKEY)).toMatchObject({ code: 0, text: expect.stringContaining(`VALID: entry ${allowed() + 1} of`) });
    writeFileSync(file, discloseFields(path, { index: allowed() }, ['/args/path']).text);
    expect(verifyInPython(file, LEDGER_VKEY).code).toBe(0);
    expect(ours(readFileSync(file, 'utf8'))).toBe('valid');
  });

  it('refuse it with any character changed or gone', { timeout: 120_000 }, () => {
    const texts = [makeReceipt(path, { index: allowed() }).text, discloseFields(path, { index: allowed() }, ['/args/path']).text].flatMap(
      mutants,
    );
    expect(texts.length).toBeGreaterThan(MUTANTS);
    const accepted = acceptedInPython(texts, LEDGER_VKEY);
    expect(texts.filter((_text, i) => accepted[i])).toEqual([]);
    expect(texts.filter((text) => ours(text) === 'valid')).toEqual([]);
  });

  type Loosened = { entry: string; proof: string; opening?: Loose; outcome?: Loosened; v?: unknown; more?: unknown };
  it.each<[string, (receipt: Loosened, other: Loosened) => void]>([
    ['the entry of another', (receipt, other) => void (receipt.entry = other.entry)],
    ['the proof of another', (receipt, other) => void (receipt.proof = other.proof)],
    ['the outcome of another', (receipt, other) => void (receipt.outcome = other.outcome as Loosened)],
    ['its own entry as its outcome', (receipt) => void (receipt.outcome = { entry: receipt.entry, proof: receipt.proof })],
    ['a member more', (receipt) => void (receipt.more = 1)],
    ['a version that is true', (receipt) => void (receipt.v = true)],
    [
      'clear text for a section it does not commit to',
      (receipt) => void (receipt.opening = { key: '0'.repeat(64), sections: { message: 'x' } }),
    ],
    ['extra data in its proof', (receipt) => void (receipt.proof = receipt.proof.replace('\nindex', '\nextra aGVsbG8=\nindex'))],
    ['a hash more in its proof', (receipt) => void (receipt.proof = receipt.proof.replace('\n\n', `\n${'A'.repeat(43)}=\n\n`))],
    ['a line more in its checkpoint', (receipt) => void (receipt.proof = receipt.proof.replace('\n\n\u2014', '\nmore\n\n\u2014'))],
    ['no signature', (receipt) => void (receipt.proof = receipt.proof.replace(/\n\u2014.*\n$/, ''))],
  ])('refuse a receipt with %s', (_name, change) => {
    const others = entries.flatMap((entry, index) =>
      entry['kind'] === 'decision' && entry['effect'] === 'allow' && index !== allowed() ? [index] : [],
    );
    const read = (index: number): Loosened => JSON.parse(makeReceipt(path, { index }).text) as Loosened;
    const receipt = read(allowed());
    change(receipt, read(others[0] ?? 0));
    const text = canonicalize(receipt);
    expect(text).not.toBe(makeReceipt(path, { index: allowed() }).text);
    expect(ours(text)).not.toBe('valid');
    expect(acceptedInPython([text], LEDGER_VKEY)).toEqual([false]);
  });

  it('refuse, though signed with the key, an outcome of a call that was refused', () => {
    const index = allowed();
    const changed = forged(path, (all) => {
      const decision = all[index] as Loose;
      decision['effect'] = 'deny';
    });
    // Ours makes none of it, so it is put together here.
    const decision = JSON.parse(makeReceipt(changed, { index }).text) as Loosened;
    const outcome = entriesOf(changed).findIndex(
      (entry) => entry['kind'] === 'outcome' && (entry['decision'] as { of: number }).of === index,
    );
    const { entry, proof } = JSON.parse(makeReceipt(changed, { index: outcome }).text) as Loosened;
    delete decision.outcome;
    const text = canonicalize({ ...decision, outcome: { entry, proof } });
    expect(ours(text)).toBe('invalid');
    expect(acceptedInPython([text], LEDGER_VKEY)).toEqual([false]);
  });
});
