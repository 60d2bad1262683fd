/**
 * Certificates of timestamp authorities: those a caller trusts, and those that stand in a token. `node:crypto` (OpenSSL)
 * checks their signatures, names and times; read here is what it does not tell: which extensions are critical, how many
 * certificates an authority may have below it, and the algorithm of the signature.
 */
import { createHash, type KeyObject, X509Certificate } from 'node:crypto';
import { readRegularText } from '../config/regular-file.ts';
import { CountersignError } from '../errors.ts';
import { DerReader, type DerValue, hex, NotDer, oidHex, TAG } from './der.ts';
import type { Hash } from './token.ts';

export interface TsaCertificate {
  readonly x509: X509Certificate;
  readonly key: KeyObject;
  readonly raw: Uint8Array;
  /** Name and INTEGER, whole, hex. */
  readonly issuer: string;
  readonly serial: string;
  /** OBJECT IDENTIFIER of its signature, hex. */
  readonly algorithm: string;
  readonly extensions: ReadonlyMap<string, { readonly isCritical: boolean; readonly value: Uint8Array }>;
}

/** Where a chain is given up. */
const MAX_CHAIN = 8;
export const MAX_TSA_CERTIFICATES = 64;
const MAX_CERTIFICATE_BYTES = 32_768;
const MAX_FILE_BYTES = 1_048_576;

const TIME_STAMPING = oidHex('1.3.6.1.5.5.7.3.8');
const TIME_STAMPING_ONLY = `300a06082b06010505070308`;
const BASIC_CONSTRAINTS = oidHex('2.5.29.19');
const KEY_USAGE = oidHex('2.5.29.15');
const EXTENDED_KEY_USAGE = oidHex('2.5.29.37');
/** What is checked here or by OpenSSL, or limits nothing that is asked here. Any other critical one is a no. */
const KNOWN_EXTENSIONS: ReadonlySet<string> = new Set([
  BASIC_CONSTRAINTS,
  EXTENDED_KEY_USAGE,
  KEY_USAGE,
  oidHex('2.5.29.32'), // certificate policies
]);

/** Signatures by algorithm: which hash, of which type of key. Nothing with SHA-1 or MD5. */
const SIGNATURES: ReadonlyMap<string, { readonly hash: Hash; readonly key: 'rsa' | 'ec' }> = new Map([
  [oidHex('1.2.840.113549.1.1.11'), { hash: 'sha256', key: 'rsa' }],
  [oidHex('1.2.840.113549.1.1.12'), { hash: 'sha384', key: 'rsa' }],
  [oidHex('1.2.840.113549.1.1.13'), { hash: 'sha512', key: 'rsa' }],
  [oidHex('1.2.840.10045.4.3.2'), { hash: 'sha256', key: 'ec' }],
  [oidHex('1.2.840.10045.4.3.3'), { hash: 'sha384', key: 'ec' }],
  [oidHex('1.2.840.10045.4.3.4'), { hash: 'sha512', key: 'ec' }],
]);
const RSA_ENCRYPTION = oidHex('1.2.840.113549.1.1.1');
const [MIN_RSA_BITS, MAX_RSA_BITS] = [2048, 8192];
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** What an algorithm of a signature asks of hash and key; undefined when it is none that is accepted. */
export function signatureOf(algorithm: string, digest: Hash | undefined): { readonly hash: Hash; readonly key: 'rsa' | 'ec' } | undefined {
  // CMS may name the key alone, since the digest stands beside it.
  if (algorithm === RSA_ENCRYPTION) return digest === undefined ? undefined : { hash: digest, key: 'rsa' };
  const known = SIGNATURES.get(algorithm);
  return digest === undefined || known?.hash === digest ? known : undefined;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/**
 * Certificates to trust: of the authority itself, or of whoever vouches for it. What stands around the blocks is passed over.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function parseTsaCertificates(pems: readonly string[]): readonly TsaCertificate[] {
  const certificates = pems.flatMap((pem) => {
    const blocks = pem.match(BLOCK) ?? [];
    if (blocks.length === 0) throw badOption('what was given as certificate of a timestamp authority holds no PEM certificate');
    return blocks.map((block) => {
      const certificate = readCertificate(rawOf(block));
      if (certificate === undefined) throw badOption('a certificate of a timestamp authority cannot be read');
      return certificate;
    });
  });
  if (certificates.length > MAX_TSA_CERTIFICATES) throw badOption(`more than ${MAX_TSA_CERTIFICATES} certificates were given`);
  return certificates;
}

/**
 * The same, out of a file that the configuration names.
 *
 * @throws {CountersignError} `CONFIG_NOT_FOUND`, `OPTIONS_INVALID`
 */
export function readTsaCertificates(path: string): readonly TsaCertificate[] {
  const notFound = 'not found; it should hold the certificate of a timestamp authority';
  return parseTsaCertificates([readRegularText(path, { maxBytes: MAX_FILE_BYTES, notFound, invalid: 'OPTIONS_INVALID' })]);
}

function rawOf(block: string): Uint8Array {
  return Buffer.from(block.split('-----')[2] ?? '', 'base64');
}

/** Undefined for what is no certificate, or not DER. */
export function readCertificate(raw: Uint8Array): TsaCertificate | undefined {
  if (raw.length > MAX_CERTIFICATE_BYTES) return undefined;
  try {
    const outer = new DerReader(raw);
    const certificate = outer.open(TAG.sequence);
    outer.end();
    const signed = certificate.open(TAG.sequence);
    const algorithm = certificate.algorithm();
    signed.optional(TAG.context(0));
    const serial = hex(signed.integer());
    signed.read(TAG.sequence);
    const issuer = hex(signed.read(TAG.sequence).whole);
    const rest = [...signed.rest()];
    const x509 = new X509Certificate(raw);
    // OpenSSL looks for PEM first, anywhere: bytes around one would be read as one certificate here, and as another there.
    if (!x509.raw.equals(raw)) throw new NotDer('it is read as another certificate');
    // A key that cannot be read throws.
    return { x509, key: x509.publicKey, raw, issuer, serial, algorithm, extensions: extensionsOf(rest.at(-1)) };
  } catch {
    // Ours (NotDer) or OpenSSL's.
    return undefined;
  }
}

function extensionsOf(last: DerValue | undefined): TsaCertificate['extensions'] {
  const extensions = new Map<string, { isCritical: boolean; value: Uint8Array }>();
  if (last?.tag !== TAG.context(3)) return extensions;
  const reader = new DerReader(last.content).open(TAG.sequence);
  while (!reader.isAtEnd) {
    const extension = reader.open(TAG.sequence);
    const name = extension.oid();
    const isCritical = extension.flag();
    const { content: value } = extension.read(TAG.octetString);
    extension.end();
    if (extensions.has(name)) throw new NotDer('an extension stands there twice');
    extensions.set(name, { isCritical, value });
  }
  return extensions;
}

export function isSame(a: TsaCertificate, b: TsaCertificate): boolean {
  return Buffer.from(a.raw).equals(b.raw);
}

export function isValidAt({ x509 }: TsaCertificate, ms: number): boolean {
  return x509.validFromDate.getTime() <= ms && ms <= x509.validToDate.getTime();
}

/** For timestamps and nothing else, critically (RFC 3161, section 2.3), by a key that may sign, and not certificates. */
export function isForTimestamps({ extensions }: TsaCertificate): boolean {
  const usage = extensions.get(EXTENDED_KEY_USAGE);
  const keyUsage = extensions.get(KEY_USAGE);
  return usage?.isCritical === true && hex(usage.value) === TIME_STAMPING_ONLY && (keyUsage === undefined || isForSigning(keyUsage.value));
}

/** digitalSignature (bit 0), nonRepudiation (bit 1), or both. */
function isForSigning(bits: Uint8Array): boolean {
  try {
    const [, first = 0, ...more] = new DerReader(bits).read(TAG.bitString).content;
    return (first & 0xc0) !== 0 && (first & 0x3f) === 0 && more.every((byte) => byte === 0);
  } catch {
    return false;
  }
}

export function hasKnownExtensions({ extensions }: TsaCertificate): boolean {
  return [...extensions].every(([name, { isCritical }]) => !isCritical || KNOWN_EXTENSIONS.has(name));
}

/** A key that no one breaks, nor makes us compute for long. */
export function isSoundKey({ key }: TsaCertificate, type: 'rsa' | 'ec'): boolean {
  if (key.asymmetricKeyType !== type) return false;
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  return type === 'ec' ? CURVES.has(namedCurve) : modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS;
}

export function digestOf({ raw }: TsaCertificate, hash: Hash | 'sha1'): string {
  return createHash(hash).update(raw).digest('hex');
}

/**
 * Whether a chain of certificates that were good at that time leads from one to a trusted one. Those that link them may be
 * anybody's. Nothing is asked about revocation.
 */
export function isVouchedFor(
  leaf: TsaCertificate,
  trusted: readonly TsaCertificate[],
  links: readonly TsaCertificate[],
  atMs: number,
): boolean {
  const left = new Set(links);
  let reached: readonly TsaCertificate[] = [leaf];
  for (let below = 0; below < MAX_CHAIN && reached.length > 0; below++) {
    const isIssuer = (issuer: TsaCertificate): boolean => reached.some((each) => isIssued(each, issuer, below, atMs));
    if (reached.some((each) => trusted.some((anchor) => isSame(anchor, each))) || trusted.some(isIssuer)) return true;
    const next = [...left].filter(isIssuer);
    for (const each of next) left.delete(each);
    reached = next;
  }
  return false;
}

/** @param below - how many authorities stand between the issuer and the certificate it is all about. */
function isIssued(certificate: TsaCertificate, issuer: TsaCertificate, below: number, atMs: number): boolean {
  const signature = signatureOf(certificate.algorithm, undefined);
  if (signature === undefined || !isSoundKey(issuer, signature.key)) return false;
  if (!issuer.x509.ca || pathLength(issuer) < below || !isValidAt(issuer, atMs) || !hasKnownExtensions(issuer)) return false;
  // An authority that is limited to other uses vouches for no timestamps.
  const usage = issuer.extensions.get(EXTENDED_KEY_USAGE);
  if (usage !== undefined && !hex(usage.value).includes(`0608${TIME_STAMPING}`)) return false;
  return certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.key);
}

function pathLength({ extensions }: TsaCertificate): number {
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  if (constraints === undefined) return 0;
  try {
    const reader = new DerReader(constraints.value).open(TAG.sequence);
    reader.flag();
    return reader.isAtEnd ? Number.POSITIVE_INFINITY : reader.smallInteger();
  } catch {
    return -1;
  }
}

function badOption(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', what);
}
