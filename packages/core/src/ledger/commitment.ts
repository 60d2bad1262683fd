/**
 * Salted commitments: how an entry binds arguments, reasons and results without holding them.
 *
 * Beside an entry lies its *opening*: a random key of 32 bytes and the clear values by section (`args`, `reason`,
 * `result` ...). The entry holds one commitment per section. With the opening anyone can recompute it; once the key is
 * erased, not even a guess at a short value can be tested.
 *
 *     pointer   RFC 6901 pointer into the sections: /args/path, /reason
 *     salt      first 16 bytes of HMAC-SHA-256(key, pointer), hex
 *     digest    SHA-256("countersign/argument/v1\n" + JCS([salt, pointer, value])), hex
 *     commit    SHA-256("countersign/arguments/v1\n" + JCS(digests, sorted)), hex
 *
 * A section that is an object has one digest per top-level member, so that one of them can be disclosed without the
 * others; any other value has the one digest of the section's own pointer. Texts are UTF-8. An example:
 *
 *     key           000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
 *     section       args = {"limit":3,"path":"/srv/q1.csv"}
 *     /args/limit   salt 87941b0ec00183decfaec1ffcd5e752a   digest 0d8c2f11...a410
 *     /args/path    salt 8cf5e3312f0884902425248d7487539d   digest deee5d13...e2e6
 *     commit        14e9028d2050075a3d892512bfd9d9ff8a6df4234213563677d67966c1dcac28
 *
 * An empty object has no digests, so its commitment is the same under every key: that a call had no arguments shows.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize, sortTexts } from './canonical.ts';
import type { Opening } from './entry.ts';
import { withHmacKey } from './hmac.ts';

const KEY_BYTES = 32;
const SALT_BYTES = 16;
const KEY_PATTERN = /^[0-9a-f]{64}$/;
// One call to the generator serves 256 keys: it costs far more than the bytes it gives.
const POOL_BYTES = 256 * KEY_BYTES;

let pool = Buffer.alloc(0);
let poolOffset = 0;

/** A fresh opening key: 32 random bytes, lower-case hex. */
export function newOpeningKey(): string {
  if (poolOffset >= pool.length) {
    pool = randomBytes(POOL_BYTES);
    poolOffset = 0;
  }
  const key = pool.toString('hex', poolOffset, poolOffset + KEY_BYTES);
  // What was handed out must not be found here after `forget`.
  pool.fill(0, poolOffset, poolOffset + KEY_BYTES);
  poolOffset += KEY_BYTES;
  return key;
}

/**
 * The commitment of one section, lower-case hex.
 *
 * @param key - the opening's key.
 * @param section - name of the section, `args` for example.
 * @throws {CountersignError} `ENTRY_INVALID` for a key that is not 32 bytes of hex, `CANONICAL_INVALID` for the value.
 */
export function commitSection(key: string, section: string, value: Json): string {
  checkKey(key);
  const pointer = sectionPointer(section);
  const members = objectMembers(value);
  // INVARIANT: canonicalize leaves undefined members out, so they have no digest either.
  if (members === undefined) return commitDigests([fieldDigest(saltsOf(key, [pointer])[0] as string, pointer, value)]);
  const names = Object.keys(members).filter((name) => members[name] !== undefined);
  const places = names.map((name) => `${pointer}/${escapePointer(name)}`);
  const salts = saltsOf(key, places);
  const digests = places.map((place, i) => fieldDigest(salts[i] as string, place, members[names[i] as string] as Json));
  // As `commitDigests`. In digests made here there is nothing to escape.
  if (digests.length === 0) return commitDigests(digests);
  sortTexts(digests);
  return listCommitment(`["${digests.join('","')}"]`);
}

/**
 * The digest of one committed value.
 *
 * @param pointer - `memberPointer(section, name)`, or `sectionPointer(section)` for a section that is not an object.
 * @throws {CountersignError} `ENTRY_INVALID`, `CANONICAL_INVALID`
 */
export function memberDigest(key: string, pointer: string, value: Json): string {
  checkKey(key);
  return fieldDigest(saltsOf(key, [pointer])[0] as string, pointer, value);
}

/** The salt of one committed value, 32 hex digits: with it and the value the digest can be computed without the key. */
export function memberSalt(key: string, pointer: string): string {
  checkKey(key);
  return saltsOf(key, [pointer])[0] as string;
}

/**
 * The digest of a value under a salt that is known.
 *
 * @throws {CountersignError} `CANONICAL_INVALID`
 */
export function fieldDigest(salt: string, pointer: string, value: Json): string {
  return hash('sha256', `countersign/argument/v1\n${canonicalize([salt, pointer, value])}`, 'hex');
}

/** The commitment that a set of digests gives, whatever their order. */
export function commitDigests(digests: readonly string[]): string {
  return listCommitment(canonicalize(digests.length < 2 ? digests : digests.toSorted()));
}

/** @param list - canonical text. */
function listCommitment(list: string): string {
  return hash('sha256', `countersign/arguments/v1\n${list}`, 'hex');
}

/** RFC 6901 pointer of a section: `/reason`. */
export function sectionPointer(section: string): string {
  return `/${escapePointer(section)}`;
}

/** RFC 6901 pointer of a section's member: `/args/path`. */
export function memberPointer(section: string, name: string): string {
  return `${sectionPointer(section)}/${escapePointer(name)}`;
}

/**
 * Compares an opening with the commitments of its entry.
 *
 * @param commits - commitment by section name; a section the entry does not commit to is absent.
 * @returns the sections of the opening that do not match, in its order: altered, under another key, or never committed
 *   to. Empty when all of them match. A committed section that the opening lacks is withheld, which is no mismatch.
 */
export function checkOpening(commits: { readonly [section: string]: string | undefined }, opening: Opening): readonly string[] {
  // Whoever hands over the opening controls its names, its key and its values.
  return Object.keys(opening.sections).filter((section) => !matches(commits, opening, section));
}

function matches(commits: { readonly [section: string]: string | undefined }, opening: Opening, section: string): boolean {
  if (!Object.hasOwn(commits, section)) return false;
  try {
    return commitSection(opening.key, section, opening.sections[section] as Json) === commits[section];
  } catch (error) {
    // A bad key or a value without a canonical form cannot have been committed to.
    if (CountersignError.is(error)) return false;
    throw error;
  }
}

function saltsOf(key: string, pointers: readonly string[]): readonly string[] {
  return withHmacKey(key, (hmac) => pointers.map((pointer) => hmac(pointer).slice(0, 2 * SALT_BYTES)));
}

function objectMembers(value: Json): { readonly [key: string]: Json | undefined } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return value as { readonly [key: string]: Json };
}

function checkKey(key: string): void {
  if (typeof key !== 'string' || !KEY_PATTERN.test(key)) {
    throw new CountersignError('ENTRY_INVALID', 'opening key: must be 32 bytes as 64 lower-case hex digits');
  }
}

function escapePointer(token: string): string {
  return token.includes('~') || token.includes('/') ? token.replaceAll('~', '~0').replaceAll('/', '~1') : token;
}
