/** Secrets with a structure that can be checked: keys in files, and JSON web tokens. */
import { type Detector, outside, runEnd, type Sighting } from '../detector.ts';

/**
 * A PEM private key, from its first to its last line; when the last line is missing (cut by someone), to the end of the text or
 * to the next `-----`. `pem.replace('-----BEGIN PRIVATE KEY-----', '')` has no key material behind it and survives.
 */
export const PRIVATE_KEY: Detector = {
  kind: 'private-key',
  triggers: ['-----BEGIN '],
  look(text, at) {
    BEGIN.lastIndex = at;
    if (!BEGIN.test(text)) return undefined;
    const body = BEGIN.lastIndex;
    // Every BEGIN line starts with the dashes looked for here, so this reads no character twice.
    const dashes = text.indexOf('-----', body);
    const bodyEnd = dashes === -1 ? text.length : dashes;
    if (!KEY_MATERIAL.test(text.slice(body, Math.min(bodyEnd, body + 1000)))) return { start: at, end: bodyEnd, secret: false };
    END.lastIndex = bodyEnd;
    return { start: at, end: END.test(text) ? END.lastIndex : bodyEnd, secret: true };
  },
};
const BEGIN = /-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----/y;
const END = /-----END [A-Z0-9 ]{1,60}-----/y;
const KEY_MATERIAL = /[A-Za-z0-9+/=]{32}/;

/**
 * A key of PuTTY: the private lines. Algorithm, comment and public lines above them stay.
 */
export const PUTTY_KEY: Detector = {
  kind: 'putty-key',
  triggers: ['Private-Lines: '],
  look(text, at) {
    PRIVATE_LINES.lastIndex = at;
    if (!PRIVATE_LINES.test(text)) return undefined;
    const start = PRIVATE_LINES.lastIndex;
    const end = runEnd(PUTTY_STOP, text, start);
    return { start, end, secret: KEY_MATERIAL.test(text.slice(start, Math.min(end, start + 1000))) };
  },
};
const PRIVATE_LINES = /Private-Lines: \d{1,4}(?:\\[rn]|[\r\n]){1,2}/y;
/** Base64 in lines that may be escaped; the MAC below has a colon. */
const PUTTY_STOP = /[^A-Za-z0-9+/=\r\n\\ ]/g;

/** A key of age: bech32 in capitals. Its checksum is not asked for, since nothing else looks like this. */
export const AGE_KEY: Detector = {
  kind: 'age-key',
  triggers: ['AGE-SECRET-KEY-'],
  look(text, at) {
    AGE.lastIndex = at;
    return AGE.test(text) ? { start: at, end: runEnd(AGE_STOP, text, AGE.lastIndex), secret: true } : undefined;
  },
};
const AGE = /AGE-SECRET-KEY-(?:PQ-)?1[02-9AC-HJ-NP-Z]{58}/y;
const AGE_STOP = outside('A-Z0-9');

/** A token of a Kubernetes service account: a JSON web token whose payload says so. */
export const KUBERNETES_TOKEN: Detector = {
  kind: 'kubernetes-token',
  triggers: ['eyJ'],
  look(text, at) {
    const sighting = lookForToken(text, at);
    if (sighting?.secret !== true) return sighting;
    const payload = text.indexOf('.', at) + 1;
    const claims = Buffer.from(text.slice(payload, Math.min(sighting.end, payload + MAX_HEADER_CHARS)), 'base64url').toString('latin1');
    return { ...sighting, secret: claims.includes('kubernetes') && claims.includes('serviceaccount') };
  },
};

/** A signed or encrypted JSON web token (RFC 7515, RFC 7516): its header decodes to an object with `alg`. */
export const JWT: Detector = { kind: 'jwt', triggers: ['eyJ'], look: lookForToken };

function lookForToken(text: string, at: number): Sighting | undefined {
  const headerEnd = runEnd(PART_STOP, text, at);
  // Going on behind the header, not behind the rest: the next part may be the header of a real token.
  const nothing = { start: at, end: headerEnd, secret: false };
  if (text.charAt(headerEnd) !== '.') return nothing;
  const payloadEnd = runEnd(PART_STOP, text, headerEnd + 1);
  if (text.charAt(payloadEnd) !== '.') return nothing;
  if (!isTokenHeader(text.slice(at, headerEnd))) return nothing;
  const signatureEnd = runEnd(PART_STOP, text, payloadEnd + 1);
  // Without the middle part it is encrypted with a key both sides have, or the signature of something sent apart.
  if (payloadEnd === headerEnd + 1 && signatureEnd - payloadEnd <= MIN_LONE_PART_CHARS) return nothing;
  if (payloadEnd === headerEnd + 2) return nothing;
  return { start: at, end: encryptedEnd(text, signatureEnd), secret: true };
}
const PART_STOP = outside('A-Za-z0-9_-');
const MIN_LONE_PART_CHARS = 15;
const MIN_HEADER_CHARS = 16;
const MAX_HEADER_CHARS = 4096;

/** An encrypted token has two parts more. */
function encryptedEnd(text: string, third: number): number {
  if (text.charAt(third) !== '.') return third;
  const fourth = runEnd(PART_STOP, text, third + 1);
  if (fourth === third + 1 || text.charAt(fourth) !== '.') return third;
  const fifth = runEnd(PART_STOP, text, fourth + 1);
  return fifth === fourth + 1 ? third : fifth;
}

function isTokenHeader(part: string): boolean {
  if (part.length < MIN_HEADER_CHARS || part.length > MAX_HEADER_CHARS) return false;
  // Not parsed: a million exceptions for a text made to cause them take seconds, and this is as sure.
  const header = Buffer.from(part, 'base64url').toString('latin1').trim();
  return header.startsWith('{"') && header.endsWith('}') && header.includes('"alg"');
}
