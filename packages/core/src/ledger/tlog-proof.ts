/**
 * Proofs in one text (c2sp.org/tlog-proof): that a leaf stands in a log, with the checkpoint that says so.
 *
 *     c2sp.org/tlog-proof@v1
 *     extra ZXh0cmEgaW5mb3JtYXRpb24=                    only when there is extra data: opaque, proven by nothing
 *     index 10                                          0-based position of the leaf
 *     rzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4=      inclusion proof, one hash a line, leaf side first
 *
 *     example.com/log                                   the checkpoint, a signed note, word for word
 *     ...
 */
import { CountersignError } from '../errors.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { isHash, MAX_PROOF_HASHES } from './merkle.ts';
import { MAX_NOTE_BYTES } from './note.ts';

const HEADER = 'c2sp.org/tlog-proof@v1';
const EXTRA_START = 'extra ';
const INDEX_START = 'index ';
const INDEX_PATTERN = /^(?:0|[1-9][0-9]{0,15})$/;

export const MAX_EXTRA_BYTES = 1_048_576;
/** Room for the extra data in base64, the hashes and the note. */
export const MAX_TLOG_PROOF_CHARS = 2_500_000;

export interface TlogProof {
  readonly index: number;
  /** Inclusion proof, 64 lower-case hex digits each. */
  readonly hashes: readonly string[];
  /** The signed note. Not looked into here: `verifyCheckpoint` does. */
  readonly checkpoint: string;
  readonly extra?: Uint8Array;
}

/** @throws {CountersignError} `PROOF_INVALID` when the parser would refuse the text. */
export function formatTlogProof(proof: TlogProof): string {
  if (!proof.hashes.every(isHash)) throw invalid('a hash is not 64 lower-case hex digits');
  const lines = [
    HEADER,
    ...(proof.extra === undefined ? [] : [`${EXTRA_START}${encodeBase64(proof.extra)}`]),
    `${INDEX_START}${proof.index}`,
    ...proof.hashes.map((hash) => Buffer.from(hash, 'hex').toString('base64')),
    '',
    proof.checkpoint,
  ];
  const text = lines.join('\n');
  parseTlogProof(text);
  return text;
}

/**
 * Parses a proof. Nothing is verified: neither the hashes, nor the checkpoint, nor the extra data.
 *
 * @throws {CountersignError} `PROOF_INVALID`
 */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > MAX_TLOG_PROOF_CHARS) throw invalid(`it is longer than ${MAX_TLOG_PROOF_CHARS} characters`);
  // The first empty line ends the proof: the note has one of its own.
  const separator = text.indexOf('\n\n');
  if (separator < 0) throw invalid('there is no empty line before the checkpoint');
  const checkpoint = text.slice(separator + 2);
  if (checkpoint.length > MAX_NOTE_BYTES) throw invalid(`its checkpoint is longer than ${MAX_NOTE_BYTES} bytes`);
  if (!checkpoint.endsWith('\n') || !checkpoint.isWellFormed()) throw invalid('its checkpoint is not text that ends in a newline');
  const lines = text.slice(0, separator).split('\n');
  if (lines.shift() !== HEADER) throw invalid(`it does not start with "${HEADER}"`);
  const extra = lines[0]?.startsWith(EXTRA_START) ? parseExtra(lines.shift() as string) : undefined;
  const index = parseIndex(lines.shift());
  if (lines.length > MAX_PROOF_HASHES) throw invalid(`it has more than ${MAX_PROOF_HASHES} hashes`);
  const hashes = lines.map(parseHash);
  return { index, hashes, checkpoint, ...(extra === undefined ? {} : { extra }) };
}

function parseExtra(line: string): Uint8Array {
  const extra = decodeBase64(line.slice(EXTRA_START.length));
  if (extra === undefined) throw invalid('its extra data is not strict base64');
  if (extra.length > MAX_EXTRA_BYTES) throw invalid(`its extra data is longer than ${MAX_EXTRA_BYTES} bytes`);
  return extra;
}

function parseIndex(line: string | undefined): number {
  if (!line?.startsWith(INDEX_START)) throw invalid('it has no index line');
  const digits = line.slice(INDEX_START.length);
  const index = Number(digits);
  if (!INDEX_PATTERN.test(digits) || !Number.isSafeInteger(index)) throw invalid('its index is not a plain decimal number up to 2^53 - 1');
  return index;
}

function parseHash(line: string): string {
  const hash = decodeBase64(line)?.toString('hex');
  if (!isHash(hash)) throw invalid('a hash is not the strict base64 of 32 bytes');
  return hash;
}

function invalid(what: string): CountersignError {
  return new CountersignError('PROOF_INVALID', `tlog proof: ${what}`);
}
