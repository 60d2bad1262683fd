/**
 * Which keys a verifier trusts, and for which sizes of the log: a key that was rotated away or revoked must not count for
 * what was signed with it afterwards.
 *
 * In a file, one key per line with what limits it; empty lines and what follows `#` at the start of a line are passed over:
 *
 *     # until the rotation in May
 *     example.com/billing+6d00182e+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c from=0 until=1200
 *
 * Whoever verifies brings these from elsewhere. Nothing that stands in a ledger ever becomes one.
 */
import { CountersignError } from '../errors.ts';
import { openNote, parseNote, TYPE_COSIGNATURE, TYPE_ED25519, type VerifiedSignature } from './note.ts';
import { parseVerifierKey, type VerifierKey } from './verifier-key.ts';

/** A key and the sizes of checkpoints it counts for: `from` <= size <= `until`, and size < `revokedFrom`. */
export interface TrustedKey {
  /** Verifier line of a log (type 1) or of a witness (type 4). */
  readonly vkey: string;
  readonly from?: number;
  readonly until?: number;
  readonly revokedFrom?: number;
}

/** A trusted key, parsed. */
export interface KeyRule extends TrustedKey {
  readonly key: VerifierKey;
}

export const MAX_TRUSTED_KEYS = 1000;
const WHOLE_NUMBER = /^(?:0|[1-9][0-9]{0,15})$/;
const ATTRIBUTES: ReadonlyMap<string, 'from' | 'until' | 'revokedFrom'> = new Map([
  ['from', 'from'],
  ['until', 'until'],
  ['revoked-from', 'revokedFrom'],
]);

/**
 * Parses the keys a caller trusts, once for everything they are used on.
 *
 * @throws {CountersignError} `KEY_INVALID` for a malformed verifier line, or two keys that lines of a note cannot tell
 *   apart; `OPTIONS_INVALID` for a range that is none, a key given twice with different ranges, or too many keys.
 */
export function keyRules(given: readonly (string | TrustedKey)[]): readonly KeyRule[] {
  if (given.length > MAX_TRUSTED_KEYS) throw badOption(`more than ${MAX_TRUSTED_KEYS} public keys were given`);
  const rules = new Map<string, KeyRule>();
  for (const each of given) {
    const rule = ruleOf(typeof each === 'string' ? { vkey: each } : each);
    const id = identify(rule.key);
    const other = rules.get(id);
    if (other !== undefined && other.vkey !== rule.vkey) {
      throw new CountersignError('KEY_INVALID', `two of the public keys given share the name and key id ${id}: leave one out`);
    }
    if (other !== undefined && !isSameRange(other, rule)) throw badOption(`the key ${id} is given twice, with different ranges`);
    rules.set(id, rule);
  }
  return [...rules.values()];
}

/**
 * Keys as they stand in a file or on a command line.
 *
 * @throws {CountersignError} `KEY_INVALID`, `OPTIONS_INVALID`, naming the line.
 */
export function parseTrustedKeys(text: string): readonly TrustedKey[] {
  const keys: TrustedKey[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (keys.length >= MAX_TRUSTED_KEYS) throw badOption(`more than ${MAX_TRUSTED_KEYS} public keys were given`);
    keys.push(parseLine(line, index + 1));
  }
  return keys;
}

/** What the signature lines of a note say under the keys that are trusted, at one size. */
export interface SignatureVerdict {
  /**
   * `trusted`: a log key signed that counts at this size. `revoked`, `out-of-range`: only log keys that do not. `unknown`:
   * no log key that was given. `wrong`: a line claims to be by a key that was given and does not verify.
   */
  readonly signature: 'unknown' | 'trusted' | 'wrong' | 'revoked' | 'out-of-range';
  readonly cosignatures: readonly Cosignature[];
}

/** A witness saw this head. It vouches for consistency, never for who wrote the log. */
export interface Cosignature {
  readonly vkey: string;
  readonly name: string;
  readonly size: number;
  /** Seconds since 1970, as the witness says. */
  readonly atSec: number;
}

/** @throws {CountersignError} `NOTE_INVALID` when it is no note. */
export function judgeSignatures(note: string, size: number, rules: readonly KeyRule[]): SignatureVerdict {
  const byId = new Map(rules.map((rule) => [identify(rule.key), rule]));
  const named = parseNote(note).signatures.filter((line) => byId.has(identify(line)));
  if (named.length === 0) return { signature: 'unknown', cosignatures: [] };
  let verified: readonly VerifiedSignature[];
  try {
    ({ verified } = openNote(
      note,
      rules.map(({ key }) => key),
    ));
  } catch (error) {
    if (CountersignError.is(error)) return { signature: 'wrong', cosignatures: [] };
    throw error;
  }
  const cosignatures: Cosignature[] = [];
  const claims: ('trusted' | 'revoked' | 'out-of-range')[] = [];
  for (const line of verified) {
    const rule = byId.get(identify(line));
    if (rule === undefined) continue;
    const standing = standingAt(rule, size);
    if (line.type === TYPE_ED25519) claims.push(standing);
    else if (line.type === TYPE_COSIGNATURE && line.cosignedAtSec !== undefined && standing === 'trusted')
      cosignatures.push({ vkey: rule.vkey, name: rule.key.name, size, atSec: line.cosignedAtSec });
  }
  const signature = (['trusted', 'revoked', 'out-of-range'] as const).find((claim) => claims.includes(claim));
  return { signature: signature ?? 'unknown', cosignatures };
}

/** True for keys that may prove who wrote a log. */
export function isLogKey({ key }: KeyRule): boolean {
  return key.type === TYPE_ED25519;
}

function standingAt({ from = 0, until = Number.POSITIVE_INFINITY, revokedFrom = Number.POSITIVE_INFINITY }: KeyRule, size: number) {
  if (size >= revokedFrom) return 'revoked' as const;
  return from <= size && size <= until ? ('trusted' as const) : ('out-of-range' as const);
}

function ruleOf(given: TrustedKey): KeyRule {
  const { vkey, from, until, revokedFrom } = given;
  if (typeof vkey !== 'string') throw new CountersignError('KEY_INVALID', 'a public key was given that is no verifier line');
  const key = parseVerifierKey(vkey);
  for (const name of Object.keys(given)) {
    if (!['vkey', 'from', 'until', 'revokedFrom'].includes(name))
      throw badOption(`a public key has an unknown limit ${JSON.stringify(name)}`);
  }
  for (const size of [from, until, revokedFrom]) {
    if (size !== undefined && (!Number.isSafeInteger(size) || size < 0))
      throw badOption(`the limits of ${identify(key)} must be sizes of the log: whole numbers, 0 or more`);
  }
  if (from !== undefined && until !== undefined && from > until)
    throw badOption(`${identify(key)} counts from ${from} until ${until}: never`);
  return { ...given, key };
}

function parseLine(line: string, number: number): TrustedKey {
  const [vkey = '', ...attributes] = line.split(/[ \t]+/);
  try {
    parseVerifierKey(vkey);
  } catch (cause) {
    if (!CountersignError.is(cause)) throw cause;
    throw new CountersignError('KEY_INVALID', `line ${number}: ${cause.message}`, { cause });
  }
  const limits: { from?: number; until?: number; revokedFrom?: number } = {};
  for (const attribute of attributes) {
    const equals = attribute.indexOf('=');
    const name = ATTRIBUTES.get(attribute.slice(0, Math.max(equals, 0)));
    if (name === undefined) throw badOption(`line ${number}: after a key stand from=N, until=N or revoked-from=N`);
    if (limits[name] !== undefined) throw badOption(`line ${number}: ${attribute.slice(0, equals)} is given twice`);
    const value = attribute.slice(equals + 1);
    if (!WHOLE_NUMBER.test(value) || !Number.isSafeInteger(Number(value)))
      throw badOption(`line ${number}: ${attribute.slice(0, equals)} must be a size of the log: a whole number`);
    limits[name] = Number(value);
  }
  return { vkey, ...limits };
}

function isSameRange(a: TrustedKey, b: TrustedKey): boolean {
  return a.from === b.from && a.until === b.until && a.revokedFrom === b.revokedFrom;
}

/** A name holds no plus, so the two parts cannot run into each other. */
function identify(key: { readonly name: string; readonly keyId: string }): string {
  return `${key.name}+${key.keyId}`;
}

function badOption(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', what);
}
