/** What a witness answers: cosignature lines for a checkpoint (c2sp.org/tlog-cosignature), checked before they are kept. */
import { CountersignError } from '../errors.ts';
import { mergeNotes, type NoteSignature, openNote, parseNote, TYPE_COSIGNATURE, type VerifierKey } from './note.ts';

export interface CosignedNote {
  /** The note with the witness's line, once. */
  readonly note: string;
  /** When it signed, as it says; seconds since 1970. */
  readonly atSec: number;
}

/**
 * Takes the witness's own line out of an answer, verifies it over exactly this note's text, and adds it.
 *
 * @param note - a signed note.
 * @param answer - signature lines, each with its newline. Lines of other keys are passed over.
 * @param witness - its key, of type 4.
 * @throws {CountersignError} `NOTE_INVALID` when the answer is no list of signature lines, none is by this witness, or one
 *   that claims to be does not verify; `KEY_INVALID` for a key of another type.
 */
export function addCosignature(note: string, answer: string, witness: VerifierKey): CosignedNote {
  if (witness.type !== TYPE_COSIGNATURE) throw new CountersignError('KEY_INVALID', 'verifier key is not the key of a witness (type 4)');
  const { text } = parseNote(note);
  const answered = `${text}\n${answer}`;
  // Every line that claims this key must verify, and one must be there.
  const opened = openNote(answered, [witness]);
  // An empty line in the answer would have made some of it text.
  if (opened.text !== text) throw new CountersignError('NOTE_INVALID', 'signed note: what was answered is more than signature lines');
  const signature = opened.verified[0] as NoteSignature;
  const at = parseNote(answered).signatures.findIndex(({ name, keyId }) => name === witness.name && keyId === witness.keyId);
  return { note: mergeNotes(note, `${text}\n${answer.split('\n')[at]}\n`), atSec: signature.cosignedAtSec as number };
}
