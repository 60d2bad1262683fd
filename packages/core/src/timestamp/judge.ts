/** Whether a token is a timestamp over a text by an authority that is trusted: everything that `openssl ts -verify` asks, offline. */
import { hash, verify } from 'node:crypto';
import {
  digestOf,
  hasKnownExtensions,
  isForTimestamps,
  isSoundKey,
  isValidAt,
  isVouchedFor,
  readCertificate,
  signatureOf,
  type TsaCertificate,
} from './certificate.ts';
import { NotDer } from './der.ts';
import { readToken, type TimestampToken, type TokenSigner } from './token.ts';

export type TokenVerdict =
  /** Sound, by an authority that is trusted. */
  | { readonly is: 'proven'; readonly tsa: string; readonly beforeMs: number; readonly token: TimestampToken }
  /** Perhaps sound, by an authority that is not. */
  | { readonly is: 'unknown'; readonly why: string }
  /** No timestamp over this text, whoever is trusted. */
  | { readonly is: 'wrong'; readonly why: string };

const MAX_DISTINGUISHED_CHARS = 200;

/**
 * @param bytes - a TimeStampToken, from anybody.
 * @param text - what it should be over.
 */
export function judgeToken(bytes: Uint8Array, text: string, trusted: readonly TsaCertificate[]): TokenVerdict {
  let token: TimestampToken;
  try {
    token = readToken(bytes);
  } catch (error) {
    if (error instanceof NotDer) return wrong(`is malformed: ${error.message}`);
    throw error;
  }
  const { info, signer, content } = token;
  if (info.sha256 !== hash('sha256', Buffer.from(text, 'utf8'))) return wrong('is over something else');
  const links = token.certificates.flatMap((raw) => readCertificate(raw) ?? []);
  const certificate = [...links, ...trusted].find((each) => isNamedBy(signer, each));
  if (certificate === undefined) return unknown('is by a certificate that neither stands in it nor was given');
  const signature = signatureOf(signer.algorithm, signer.hash);
  if (signature === undefined || signer.hash === undefined) return unknown('is signed by an algorithm that is not accepted');
  if (!isSoundKey(certificate, signature.key)) return unknown('is signed by a key that is not accepted');
  if (hash(signer.hash, content) !== signer.messageDigest) return wrong('was changed after it was signed');
  if (!isSigned(signer, signature.hash, certificate)) return wrong('has a signature that does not verify');
  if (!isForTimestamps(certificate)) return wrong('is by a certificate that is not for timestamps alone');
  if (!hasKnownExtensions(certificate)) return unknown('is by a certificate with limits that are not understood');
  if (!isValidAt(certificate, info.atMs)) return wrong('is by a certificate that was not valid at that time');
  if (!isVouchedFor(certificate, trusted, links, info.atMs)) return unknown('is by an authority that no certificate given vouches for');
  return { is: 'proven', tsa: subjectOf(certificate), beforeMs: info.atMs + info.accuracyMs, token };
}

/** By name and number, and by every hash in the signed attributes: a certificate beside it cannot be swapped. */
function isNamedBy({ issuer, serial, certificateHashes }: TokenSigner, certificate: TsaCertificate): boolean {
  if (certificate.issuer !== issuer || certificate.serial !== serial) return false;
  return certificateHashes.every((named) => named.hash !== undefined && digestOf(certificate, named.hash) === named.digest);
}

function isSigned({ signed, signature }: TokenSigner, algorithm: string, { key }: TsaCertificate): boolean {
  try {
    return verify(algorithm, signed, key, signature);
  } catch {
    // A signature that is not even the form of one.
    return false;
  }
}

/** On one line. */
function subjectOf({ x509 }: TsaCertificate): string {
  const subject = x509.subject.split('\n').join(', ').toWellFormed();
  return subject.length > MAX_DISTINGUISHED_CHARS ? `${subject.slice(0, MAX_DISTINGUISHED_CHARS).toWellFormed()}...` : subject;
}

function wrong(why: string): TokenVerdict {
  return { is: 'wrong', why };
}

function unknown(why: string): TokenVerdict {
  return { is: 'unknown', why };
}
