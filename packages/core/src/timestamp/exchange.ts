/** One question to a timestamp authority (RFC 3161, section 2.4) and what may be made of its answer. Opens no socket. */
import { hash, randomBytes } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import { isSignedNote, parseNote } from '../ledger/note.ts';
import { isKeyName } from '../ledger/verifier-key.ts';
import { readTsaCertificates } from './certificate.ts';
import { DerReader, der, hex, NotDer, oidOf, TAG } from './der.ts';
import { judgeToken } from './judge.ts';
import { withTimestamp } from './line.ts';
import { SHA256 } from './token.ts';

export interface TimestampAuthority {
  /** Of the line that is kept: host and path of its URL. */
  readonly name: string;
  /** File of PEM certificates: its own, or of who vouches for it. Nothing is kept that does not verify under one. */
  readonly certificates: string;
  /** Dotted object identifier. The token must be under this policy. */
  readonly policy?: string;
}

export interface TimestampQuestion {
  /** DER of the TimeStampReq: SHA-256 of the checkpoint's text, a nonce, and that the certificate shall stand in the token. */
  readonly request: Uint8Array;
  /** Reads a TimeStampResp, from anybody. What refuses it repeats nothing of it. */
  readonly take: (answer: Uint8Array) => TimestampAnswer;
}

export type TimestampAnswer =
  | { readonly note: string; readonly tsa: string /** As the token states it, UTC milliseconds. */; readonly atMs: number }
  | { readonly refused: string };

const NONCE_BYTES = 16;
const YES = Buffer.of(0xff);

/**
 * Asks over one checkpoint after the other.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for certificates, a policy or a name that are none; `CONFIG_NOT_FOUND`.
 */
export function timestampQuestions({ name, certificates, policy }: TimestampAuthority): (note: string) => TimestampQuestion {
  const trusted = readTsaCertificates(certificates);
  const policyOid = policy === undefined ? undefined : oidOf(policy);
  if (policy !== undefined && policyOid === undefined)
    throw new CountersignError('OPTIONS_INVALID', 'the policy of a timestamp authority must be an object identifier: 1.2.3');
  if (!isKeyName(name)) throw new CountersignError('OPTIONS_INVALID', 'a timestamp authority needs a name without spaces and "+"');
  return (note) => {
    // The line is kept beside signatures.
    if (!isSignedNote(note)) throw new CountersignError('NOTE_INVALID', 'only signed checkpoints are timestamped');
    const { text } = parseNote(note);
    const nonce = positive(randomBytes(NONCE_BYTES));
    const take = (answer: Uint8Array): TimestampAnswer => {
      const response = readResponse(answer);
      if ('refused' in response) return response;
      const verdict = judgeToken(response.token, text, trusted);
      if (verdict.is !== 'proven') return { refused: `gave a token that ${verdict.why}` };
      const { info } = verdict.token;
      if (info.nonce !== hex(nonce)) return { refused: 'gave a token with another nonce: it is of another question' };
      if (policyOid !== undefined && info.policy !== hex(policyOid))
        return { refused: 'gave a token under another policy than was asked for' };
      return { note: withTimestamp(note, name, response.token), tsa: verdict.tsa, atMs: info.atMs };
    };
    return { request: requestOver(text, nonce, policyOid), take };
  };
}

function requestOver(text: string, nonce: Uint8Array, policy: Uint8Array | undefined): Uint8Array {
  const algorithm = der(TAG.sequence, der(TAG.oid, Buffer.from(SHA256, 'hex')), der(TAG.null));
  const digest = Buffer.from(hash('sha256', Buffer.from(text, 'utf8')), 'hex');
  return der(
    TAG.sequence,
    der(TAG.integer, Buffer.of(1)),
    der(TAG.sequence, algorithm, der(TAG.octetString, digest)),
    ...(policy === undefined ? [] : [der(TAG.oid, policy)]),
    nonce,
    der(TAG.boolean, YES),
  );
}

/** An INTEGER of one length: neither negative nor with a zero in front. */
function positive(bytes: Buffer): Uint8Array {
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return der(TAG.integer, bytes);
}

/** Granted, and granted with modifications: what was modified is looked at. */
const GRANTED: ReadonlySet<number> = new Set([0, 1]);
/** PKIFailureInfo by bit (RFC 3161, section 2.4.2). */
const FAILURES: ReadonlyMap<number, string> = new Map([
  [0, 'it does not take SHA-256'],
  [2, 'it does not answer such requests'],
  [5, 'it could not read the request'],
  [14, 'its clock is not available'],
  [15, 'it does not know the policy that is configured'],
  [16, 'it does not know an extension'],
  [17, 'it could not understand or give what was asked for'],
  [25, 'it failed'],
]);

function readResponse(answer: Uint8Array): { readonly token: Uint8Array } | { readonly refused: string } {
  try {
    const outer = new DerReader(answer);
    const response = outer.open(TAG.sequence);
    outer.end();
    const info = response.open(TAG.sequence);
    const status = info.smallInteger();
    info.optional(TAG.sequence);
    const failure = info.optional(TAG.bitString)?.content;
    info.end();
    if (!GRANTED.has(status)) return { refused: `refused (status ${status})${failureOf(failure)}` };
    const token = response.read(TAG.sequence).whole;
    response.end();
    return { token };
  } catch (error) {
    if (error instanceof NotDer) return { refused: `gave an answer that is malformed: ${error.message}` };
    throw error;
  }
}

function failureOf(bits: Uint8Array | undefined): string {
  if (bits === undefined) return '';
  const isSet = (bit: number): boolean => (((bits[1 + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
  const words = [...FAILURES].flatMap(([bit, what]) => (isSet(bit) ? [what] : []));
  return words.length === 0 ? '' : `: ${words.join(', ')}`;
}
