/**
 * A TimeStampToken (RFC 3161, section 2.4.2): CMS SignedData (RFC 5652) around a TSTInfo, with one signature.
 *
 *     ContentInfo    signedData
 *       SignedData   version 3, digest algorithms, content, certificates (several may stand there, unsigned), signer infos: one
 *         TSTInfo    policy, imprint, serial, time, accuracy, nonce
 *         SignerInfo version 1, whose certificate, signed attributes, signature
 *
 * Only read here, into what `judge.ts` decides on. Strict DER; what a token could say in two ways is read in one.
 */
import { DerReader, type DerValue, hex, NotDer, oidHex, TAG } from './der.ts';

/** With the certificates of its authority a token takes 2 to 8 KiB. */
export const MAX_TOKEN_BYTES = 32_768;
const MAX_CERTIFICATES = 16;

export const SHA256: string = oidHex('2.16.840.1.101.3.4.2.1');
const SIGNED_DATA = oidHex('1.2.840.113549.1.7.2');
const TST_INFO = oidHex('1.2.840.113549.1.9.16.1.4');
const CONTENT_TYPE = oidHex('1.2.840.113549.1.9.3');
const MESSAGE_DIGEST = oidHex('1.2.840.113549.1.9.4');
const SIGNING_CERTIFICATE = oidHex('1.2.840.113549.1.9.16.2.12');
const SIGNING_CERTIFICATE_V2 = oidHex('1.2.840.113549.1.9.16.2.47');
/** Hashes by the names of `node:crypto`. SHA-1 only ever names a certificate (RFC 2634). */
const HASHES: ReadonlyMap<string, Hash> = new Map([
  [SHA256, 'sha256'],
  [oidHex('2.16.840.1.101.3.4.2.2'), 'sha384'],
  [oidHex('2.16.840.1.101.3.4.2.3'), 'sha512'],
]);

export type Hash = 'sha256' | 'sha384' | 'sha512';

export interface TimestampToken {
  /** The TSTInfo, which the message digest is of. */
  readonly content: Uint8Array;
  readonly info: TimestampInfo;
  /** As they stand there: none of them is signed. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: TokenSigner;
}

export interface TimestampInfo {
  /** OBJECT IDENTIFIER, hex. */
  readonly policy: string;
  /** Undefined unless it is a SHA-256. */
  readonly sha256: string | undefined;
  /** UTC milliseconds. */
  readonly atMs: number;
  /** How far the time may be off, rounded up. */
  readonly accuracyMs: number;
  /** INTEGER, whole, hex. */
  readonly nonce: string | undefined;
}

export interface TokenSigner {
  /** Name and INTEGER, whole, hex. */
  readonly issuer: string;
  readonly serial: string;
  /** Undefined when it is none of those known here. */
  readonly hash: Hash | undefined;
  /** OBJECT IDENTIFIER, hex. */
  readonly algorithm: string;
  readonly signature: Uint8Array;
  /** What the signature is over: the signed attributes as a SET. */
  readonly signed: Uint8Array;
  readonly messageDigest: string;
  /** Which certificate it is: each must fit. */
  readonly certificateHashes: readonly { readonly hash: Hash | 'sha1' | undefined; readonly digest: string }[];
}

/** @throws {NotDer} */
export function readToken(bytes: Uint8Array): TimestampToken {
  if (bytes.length > MAX_TOKEN_BYTES) throw new NotDer(`it is longer than ${MAX_TOKEN_BYTES} bytes`);
  const outer = new DerReader(bytes);
  const contentInfo = outer.open(TAG.sequence);
  outer.end();
  if (contentInfo.oid() !== SIGNED_DATA) throw new NotDer('it is not signed data');
  const explicit = contentInfo.open(TAG.context(0));
  contentInfo.end();
  const signedData = explicit.open(TAG.sequence);
  explicit.end();
  if (signedData.smallInteger() !== 3) throw new NotDer('it is signed data of another version than 3');
  const digests = algorithmsOf(signedData.open(TAG.set));
  const content = contentOf(signedData.open(TAG.sequence));
  const certificates = certificatesOf(signedData.optional(TAG.context(0)));
  signedData.optional(TAG.context(1));
  const signers = signedData.open(TAG.set);
  signedData.end();
  const { digestAlgorithm, signer } = signerOf(signers.open(TAG.sequence));
  if (!signers.isAtEnd) throw new NotDer('it has more than one signature');
  if (!digests.includes(digestAlgorithm)) throw new NotDer('it does not name the digest it uses');
  return { content, info: infoOf(content), certificates, signer };
}

function algorithmsOf(reader: DerReader): readonly string[] {
  const algorithms: string[] = [];
  while (!reader.isAtEnd) algorithms.push(reader.algorithm());
  return algorithms;
}

function contentOf(reader: DerReader): Uint8Array {
  if (reader.oid() !== TST_INFO) throw new NotDer('what is signed is no timestamp');
  const explicit = reader.open(TAG.context(0));
  reader.end();
  const { content } = explicit.read(TAG.octetString);
  explicit.end();
  return content;
}

function certificatesOf(set: DerValue | undefined): readonly Uint8Array[] {
  const all = set === undefined ? [] : [...new DerReader(set.content).rest()];
  if (all.length > MAX_CERTIFICATES) throw new NotDer(`it holds more than ${MAX_CERTIFICATES} certificates`);
  // Others are attribute certificates and the like.
  return all.flatMap(({ tag, whole }) => (tag === TAG.sequence ? [whole] : []));
}

function signerOf(reader: DerReader): { readonly digestAlgorithm: string; readonly signer: TokenSigner } {
  // Version 3 names the certificate by a key identifier; timestamps do not.
  if (reader.smallInteger() !== 1) throw new NotDer('its signer info is of another version than 1');
  const id = reader.open(TAG.sequence);
  const issuer = hex(id.read(TAG.sequence).whole);
  const serial = hex(id.integer());
  id.end();
  const digestAlgorithm = reader.algorithm();
  const attributes = reader.read(TAG.context(0));
  const algorithm = reader.algorithm();
  const signature = reader.read(TAG.octetString).content;
  reader.optional(TAG.context(1));
  reader.end();
  const signed = Uint8Array.from(attributes.whole);
  signed[0] = TAG.set;
  const told = attributesOf(new DerReader(attributes.content));
  return { digestAlgorithm, signer: { issuer, serial, hash: HASHES.get(digestAlgorithm), algorithm, signature, signed, ...told } };
}

function attributesOf(reader: DerReader): Pick<TokenSigner, 'messageDigest' | 'certificateHashes'> {
  const attributes = new Map<string, Uint8Array>();
  while (!reader.isAtEnd) {
    const attribute = reader.open(TAG.sequence);
    const type = attribute.oid();
    const { content } = attribute.read(TAG.set);
    attribute.end();
    if (attributes.has(type)) throw new NotDer('a signed attribute stands there twice');
    attributes.set(type, content);
  }
  const only = <T>(type: string, read: (value: DerReader) => T): T | undefined => {
    const content = attributes.get(type);
    if (content === undefined) return undefined;
    const values = new DerReader(content);
    const value = read(values);
    values.end();
    return value;
  };
  if (only(CONTENT_TYPE, (value) => value.oid()) !== TST_INFO) throw new NotDer('its signature is not said to be over a timestamp');
  const messageDigest = only(MESSAGE_DIGEST, (value) => hex(value.read(TAG.octetString).content));
  const hashes = [
    only(SIGNING_CERTIFICATE, (value) => certificateHash(value, 1)),
    only(SIGNING_CERTIFICATE_V2, (value) => certificateHash(value, 2)),
  ];
  if (messageDigest === undefined) throw new NotDer('its signature is over no message digest');
  const certificateHashes = hashes.flatMap((each) => each ?? []);
  if (certificateHashes.length === 0) throw new NotDer('its signature does not say by which certificate it is');
  return { messageDigest, certificateHashes };
}

/** SigningCertificate (RFC 2634) and SigningCertificateV2 (RFC 5035): the first one named is the signer's. */
function certificateHash(value: DerReader, version: 1 | 2): TokenSigner['certificateHashes'][number] {
  const id = value.open(TAG.sequence).open(TAG.sequence).open(TAG.sequence);
  if (version === 1) return { hash: 'sha1', digest: hex(id.read(TAG.octetString).content) };
  const first = id.next();
  if (first.tag === TAG.octetString) return { hash: 'sha256', digest: hex(first.content) };
  return { hash: HASHES.get(new DerReader(first.whole).algorithm()), digest: hex(id.read(TAG.octetString).content) };
}

function infoOf(content: Uint8Array): TimestampInfo {
  const outer = new DerReader(content);
  const info = outer.open(TAG.sequence);
  outer.end();
  if (info.smallInteger() !== 1) throw new NotDer('the timestamp is of another version than 1');
  const policy = info.oid();
  const imprint = info.open(TAG.sequence);
  const isSha256 = imprint.algorithm() === SHA256;
  const digest = hex(imprint.read(TAG.octetString).content);
  imprint.end();
  info.integer();
  const atMs = timeOf(info.read(TAG.generalizedTime).content);
  const accuracy = info.optional(TAG.sequence);
  info.flag();
  const nonce = info.optional(TAG.integer)?.whole;
  info.optional(TAG.context(0));
  const extensions = info.optional(TAG.context(1));
  info.end();
  if (extensions !== undefined && hasCritical(extensions.content)) throw new NotDer('the timestamp has a critical extension');
  return { policy, sha256: isSha256 ? digest : undefined, atMs, accuracyMs: accuracyOf(accuracy), nonce: nonce && hex(nonce) };
}

const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z$/;

function timeOf(content: Uint8Array): number {
  const [, year, month, day, hour, minute, second, fraction = ''] = TIME.exec(Buffer.from(content).toString('latin1')) ?? [];
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(text);
  // A day that there is not would be read as another one.
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== text) throw new NotDer('the time is none');
  // In digits: as a fraction, 0.057 times 1000 is more than 57.
  return ms + Number(fraction.slice(0, 3).padEnd(3, '0')) + (Number(fraction.slice(3)) > 0 ? 1 : 0);
}

/** Seconds, milliseconds [0], microseconds [1], each optional. */
function accuracyOf(given: DerValue | undefined): number {
  if (given === undefined) return 0;
  const reader = new DerReader(given.content);
  const whole = reader.optional(TAG.integer)?.whole;
  const seconds = whole === undefined ? 0 : new DerReader(whole).smallInteger();
  const part = (tag: number): number => {
    const value = reader.optional(tag)?.content;
    if (value === undefined) return 0;
    const number = value.reduce((sum, byte) => sum * 256 + byte, 0);
    if (value.length === 0 || value.length > 2 || number < 1 || number > 999) throw new NotDer('its accuracy is none');
    return number;
  };
  const [millis, micros] = [part(0x80), part(0x81)];
  reader.end();
  return seconds * 1000 + millis + Math.ceil(micros / 1000);
}

function hasCritical(content: Uint8Array): boolean {
  const reader = new DerReader(content);
  let isCritical = false;
  while (!reader.isAtEnd) {
    const extension = reader.open(TAG.sequence);
    extension.oid();
    if (extension.flag()) isCritical = true;
    extension.read(TAG.octetString);
    extension.end();
  }
  return isCritical;
}
