import { describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { addCosignature } from '../../src/ledger/cosignature.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { parseNote } from '../../src/ledger/note.ts';
import { parseVerifierKey } from '../../src/ledger/verifier-key.ts';
import { LEDGER_PEM, LEDGER_VKEY, ORIGIN } from '../fixtures/ledger.ts';
import { testWitness } from '../fixtures/witness.ts';

const witness = testWitness('w.example');
const other = testWitness('other.example');
const key = parseVerifierKey(witness.vkey);
const signed = (size: number): string => signCheckpoint({ origin: ORIGIN, size, root: 'ab'.repeat(32) }, signerFromPem(LEDGER_PEM, ORIGIN));
const note = signed(5);
const AT = 1_767_225_600;
const line = witness.line(note, AT);

describe('the answer of a witness', () => {
  it('adds its own line, once', () => {
    expect(addCosignature(note, line, key)).toEqual({ note: note + line, atSec: AT });
    expect(addCosignature(note, other.line(note, 1) + line, key)).toEqual({ note: note + line, atSec: AT });
    const namesake = testWitness('w.example').line(note, 1);
    expect(addCosignature(note, namesake + line, key)).toEqual({ note: note + line, atSec: AT });
    expect(addCosignature(note + line, witness.line(note, AT + 1), key)).toEqual({ note: note + line, atSec: AT + 1 });
    expect(addCosignature(note + other.line(note, 1), line, key).note).toBe(note + other.line(note, 1) + line);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['an empty line before it', `\n${line}`],
    ['an empty line behind it', `${line}\n`],
    ['text before it', `more\n\n${line}`],
    ['a whole note of the same checkpoint', note + line],
    ['a line for another checkpoint', witness.line(signed(6), AT)],
    ['a good line and a bad one', line + witness.line(signed(6), AT)],
    ['lines of others', other.line(note, AT)],
    ['its name over the key of another', testWitness('w.example').line(note, AT)],
    ['a line without its end', line.trimEnd()],
    ['a line with another dash', line.replace('\u2014', '-')],
  ])('%s is refused', (_name, answer) => {
    expect(() => addCosignature(note, answer, key)).toThrow(expect.objectContaining({ code: 'NOTE_INVALID' }));
  });

  it('with a line that is text to the signature behind it is refused', () => {
    // The last signature verifies, over a text that holds the first one: which must not be taken for it.
    const bad = witness.line(signed(6), AT);
    const { text } = parseNote(note);
    const covering = witness.line(`${text}\n${bad}\n${line}`, AT);
    expect(() => addCosignature(note, `${bad}\n${covering}`, key)).toThrow(/more than signature lines/);
  });

  it('is not taken for a key that signs logs, nor for what is no note', () => {
    expect(() => addCosignature(note, line, parseVerifierKey(LEDGER_VKEY))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
    expect(() => addCosignature('x\n', line, key)).toThrow(expect.objectContaining({ code: 'NOTE_INVALID' }));
  });
});
