/** Changed notes, checkpoints, keys and proofs: refused with a code, or read as exactly what they say. */
import { describe, expect, it } from 'vitest';
import {
  CountersignError,
  canonicalize,
  generateKey,
  parseNote,
  parseVerifierKey,
  signerFromPem,
  verifyCheckpoint,
} from '../../src/index.ts';
import { parseCanonical } from '../../src/ledger/canonical.ts';
import { formatCheckpoint, parseCheckpoint, signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { formatTlogProof, parseTlogProof } from '../../src/ledger/tlog-proof.ts';
import { formatVerifierKey } from '../../src/ledger/verifier-key.ts';
import { mutantCount } from './ledger.ts';
import { mutateText } from './mutators.ts';
import { Random } from './random.ts';

const ORIGIN = 'example.com/mutants';
const old = generateKey(ORIGIN);
const next = generateKey(ORIGIN);
const root = leafHash('a leaf');
const signers = [old, next].map(({ privatePem }) => signerFromPem(privatePem, ORIGIN));
const note = signCheckpoint({ origin: ORIGIN, size: 1_234_567, root }, ...signers);
const proof = formatTlogProof({ index: 4, hashes: [root, leafHash('b')], checkpoint: note, extra: Buffer.from('more') });

/** Undefined when refused. Anything but a refusal with one of these codes fails the test. */
function readOr<T>(codes: readonly string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (CountersignError.is(error) && codes.includes(error.code)) return undefined;
    throw error;
  }
}

interface Format {
  readonly name: string;
  readonly text: string;
  readonly codes: readonly string[];
  /** Reads a text and writes what it read. */
  readonly again: (text: string) => string;
}

const FORMATS: readonly Format[] = [
  { name: 'verifier line', text: old.vkey, codes: ['KEY_INVALID'], again: (text) => formatVerifierKey(parseVerifierKey(text)) },
  {
    name: 'checkpoint text',
    text: formatCheckpoint({ origin: ORIGIN, size: 77, root }),
    codes: ['CHECKPOINT_INVALID'],
    again: (text) => {
      const parsed = parseCheckpoint(text);
      return [formatCheckpoint(parsed), ...parsed.extensions.map((line) => `${line}\n`)].join('');
    },
  },
  {
    name: 'proof',
    text: proof,
    codes: ['PROOF_INVALID'],
    again: (text) => formatTlogProof(parseTlogProof(text)),
  },
  {
    name: 'canonical text',
    text: canonicalize({ a: [1, 1e21, -0.5, null, true], b: { 'é\n': '\u{1f600}' }, c: note }),
    codes: ['CANONICAL_INVALID'],
    again: (text) => canonicalize(parseCanonical(text)),
  },
];

describe.each(FORMATS)('a changed $name', ({ text, codes, again }) => {
  it('is refused, or read as exactly what it says', () => {
    const bytes = Buffer.from(text);
    let refused = 0;
    const count = mutantCount(0.02);
    for (let seed = 1; seed <= count; seed++) {
      const mutant = mutateText(bytes, new Random(seed));
      const changed = mutant.bytes.toString('utf8');
      const written = readOr(codes, () => again(changed));
      if (written === undefined) refused++;
      else expect(written, `seed ${seed}: ${mutant.what}`).toBe(changed);
    }
    expect(refused).toBeGreaterThan(0);
  });
});

describe('a changed signed note', () => {
  it('is refused, or says the same under a signature that was there', () => {
    const bytes = Buffer.from(note);
    const count = mutantCount(0.05);
    const { text } = parseNote(note);
    let accepted = 0;
    for (let seed = 1; seed <= count; seed++) {
      const mutant = mutateText(bytes, new Random(seed));
      const verified = readOr(['CHECKPOINT_INVALID', 'NOTE_INVALID'], () => verifyCheckpoint(mutant.bytes, [old.vkey]));
      if (verified === undefined) continue;
      accepted++;
      expect(parseNote(mutant.bytes).text, `seed ${seed}: ${mutant.what}`).toBe(text);
      expect(verified.signedBy).toEqual([old.vkey]);
    }
    // Lines by keys that were not given prove nothing and may be anything.
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(count);
  });
});
