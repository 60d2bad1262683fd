/**
 * A receipt: one entry of a ledger with all that is needed to check it without the ledger, as one canonical JSON object.
 *
 *     {"countersign":"receipt","entry":"{\"agent\":...}","opening":{...},"outcome":{...},"proof":"c2sp.org/tlog-proof@v1\n...","v":1}
 *
 * `entry` is the exact text that is hashed, `proof` a C2SP tlog-proof with the checkpoint in it. For a call that ran,
 * `outcome` holds the same for the entry that says what became of it, proven against the same checkpoint. `opening` is the
 * clear text: all of it with its key, or single fields with their salts. Prose and golden bytes: `docs/formats/receipt.md`.
 */
import { z } from 'zod';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize, MAX_CANONICAL_CHARS, parseCanonical } from '../ledger/canonical.ts';
import { MAX_ENTRY_BYTES, type Opening } from '../ledger/entry.ts';
import { MAX_TLOG_PROOF_CHARS } from '../ledger/tlog-proof.ts';
import { printable } from '../verify/shapes.ts';
import type { ReceiptCode } from './codes.ts';

export const RECEIPT_VERSION = 1;
/** Longest receipt as a file: each character takes at most three bytes. */
export const MAX_RECEIPT_BYTES: number = 3 * MAX_CANONICAL_CHARS;
/** Fields that may be disclosed of one section, shown and withheld together. */
export const MAX_DISCLOSED_FIELDS = 100_000;

/** One field of a section, with what makes its digest computable. */
export interface DisclosedField {
  /** RFC 6901: `/args/path`, `/reason`. */
  readonly pointer: string;
  /** 32 hex digits. */
  readonly salt: string;
  readonly value: Json;
}

/** Some fields of an entry's clear text; of the others only digests, so that the commitment can be computed again. */
export interface Disclosure {
  readonly disclosed: {
    readonly [section: string]: {
      /** In order of their pointers. */
      readonly fields: readonly DisclosedField[];
      /** Digests of the fields that are not shown, in order. */
      readonly withheld: readonly string[];
    };
  };
}

/** An entry with its proof. */
export interface ReceiptPart {
  readonly entry: string;
  readonly proof: string;
  readonly opening?: Opening | Disclosure;
}

export interface Receipt extends ReceiptPart {
  /** Of a decision: what became of the call. */
  readonly outcome?: ReceiptPart;
}

/** True when only chosen fields are shown. */
export function isDisclosure(opening: Opening | Disclosure): opening is Disclosure {
  return 'disclosed' in opening;
}

/** @throws {CountersignError} `RECEIPT_TOO_LARGE` */
export function formatReceipt(receipt: Receipt): string {
  try {
    return canonicalize({ ...receipt, countersign: 'receipt', v: RECEIPT_VERSION });
  } catch (cause) {
    if (!CountersignError.is(cause)) throw cause;
    const message = `the receipt would be longer than ${MAX_CANONICAL_CHARS} characters: leave the clear text out`;
    throw new CountersignError('RECEIPT_TOO_LARGE', message, { cause });
  }
}

const salt = z.string().regex(/^[0-9a-f]{32}$/);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const section = z.strictObject({
  fields: z
    .array(z.strictObject({ pointer: z.string(), salt, value: z.unknown() }))
    .min(1)
    .max(MAX_DISCLOSED_FIELDS),
  withheld: z.array(hash).max(MAX_DISCLOSED_FIELDS),
});
const opening = z.union([
  z.strictObject({ key: hash, sections: z.record(z.string(), z.unknown()) }),
  z.strictObject({ disclosed: z.record(z.string(), section).refine((sections) => Object.keys(sections).length > 0, 'is empty') }),
]);
const part = {
  entry: z.string().max(MAX_ENTRY_BYTES),
  proof: z.string().max(MAX_TLOG_PROOF_CHARS),
  opening: opening.optional(),
};
const shape = z.strictObject({
  countersign: z.literal('receipt'),
  v: z.literal(RECEIPT_VERSION),
  ...part,
  outcome: z.strictObject(part).optional(),
});

export interface Unreadable {
  readonly code: ReceiptCode;
  readonly message: string;
}

/** Reads a receipt; from anyone. Nothing is verified but its form. */
export function parseReceipt(given: string | Uint8Array): Receipt | Unreadable {
  const text = typeof given === 'string' ? given : decodeStrictly(given, MAX_RECEIPT_BYTES);
  if (text === undefined) return malformed('it is not UTF-8, or too long');
  let value: Json;
  try {
    value = parseCanonical(text);
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    return malformed(text.endsWith('\n') ? 'it ends in a newline, a receipt ends with its last brace' : error.message);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return malformed('it is not an object');
  const { countersign, v } = value as { readonly [key: string]: Json };
  if (countersign !== 'receipt') return malformed('it does not say that it is a receipt');
  if (typeof v === 'number' && v !== RECEIPT_VERSION) return { code: 'RECEIPT_VERSION', message: `the receipt has version ${v}` };
  const parsed = shape.safeParse(value);
  if (parsed.success && hasNoHiddenNames(value)) return value as unknown as Receipt;
  const [issue] = parsed.error?.issues ?? [];
  return malformed(issue === undefined ? 'it has a member __proto__' : `${issue.path.map(String).join('.')}: ${issue.message}`);
}

/** The schemas pass over this name, and it must not hide anything from them. Clear text may hold whatever it likes. */
function hasNoHiddenNames(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Object.hasOwn(value, '__proto__')) return false;
  return Object.entries(value).every(([name, member]) => name === 'sections' || name === 'value' || hasNoHiddenNames(member));
}

/** Undefined for what is not UTF-8: where decoding replaces bytes, two files would read as one. */
export function decodeStrictly(bytes: Uint8Array, maxBytes: number): string | undefined {
  if (bytes.length > maxBytes) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function malformed(why: string): Unreadable {
  return { code: 'RECEIPT_MALFORMED', message: `this is no receipt: ${printable(why, 200)}` };
}
