/**
 * Signed policy bundles: a policy that somebody signed, in one file. Described for others in `docs/formats/policy-bundle.md`.
 *
 * A bundle is a C2SP signed note (`ledger/note.ts`) over two lines: the name of the format, and one RFC 8785 object.
 *
 *     countersign/policy-bundle/v1
 *     {"id":"billing","issued_at":1767225600000,"members":[{"definition":{...},"kind":"rules"}],"serial":7}
 *
 *     — policy.example/ana x08go/ZJkuBS9UG/...
 *
 * Members are what is enforced, in full: rules, also those a pack stood for when it was signed, and Cedar texts. Nothing in it
 * names a file or a version of something else. The serial rises with every bundle of an id.
 */
import * as z from 'zod';
import type { Effect } from '../call.ts';
import { cedarPolicy } from '../cedar/index.ts';
import { policySchema } from '../config/policy-schema.ts';
import { CountersignError, type ErrorCode } from '../errors.ts';
import type { Signer } from '../interfaces.ts';
import { canonicalize } from '../ledger/canonical.ts';
import {
  mergeNotes,
  type OpenedNote,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
  TYPE_ED25519,
  type VerifierKey,
} from '../ledger/note.ts';
import { strictJson } from '../strict-json.ts';
import { composePolicies } from './compose.ts';
import { foresee } from './foresight.ts';
import { policyHash } from './hash.ts';
import type { Policy } from './policy.ts';
import { EFFECTS, NAME_HINT, NAME_SHAPE, type RuleSet } from './rule-definition.ts';
import { rulePolicy } from './rules.ts';
import { failedVerdict } from './verdict.ts';

export const BUNDLE_MAGIC = 'countersign/policy-bundle/v1';
export const MAX_BUNDLE_KEYS = 16;
const MAX_MEMBERS = 64;
const MAX_JSON_DEPTH = 64;

export type BundleMember =
  | { readonly kind: 'rules'; readonly definition: RuleSet }
  | {
      readonly kind: 'cedar';
      readonly id: string;
      readonly version?: string | undefined;
      readonly default?: Effect | undefined;
      readonly policies: readonly { readonly where: string; readonly text: string }[];
      readonly schema?: string | undefined;
      readonly entities?: readonly unknown[] | undefined;
    };

export interface Bundle {
  readonly id: string;
  readonly version?: string | undefined;
  /** Whole number from 1 on, higher than in every bundle of this id before. */
  readonly serial: number;
  /** UTC milliseconds. */
  readonly issued_at: number;
  /** From then on it is good for nothing, and every call is denied. */
  readonly expires_at?: number | undefined;
  readonly members: readonly BundleMember[];
}

/** Who may sign, and how many of them must have. */
export interface BundleTrust {
  /** Verifier lines. */
  readonly keys: readonly string[];
  readonly threshold?: number;
  /** The only policy that is taken: those who may sign may have signed others, for other guards. */
  readonly id?: string;
}

export interface OpenedBundle {
  readonly bundle: Bundle;
  readonly policy: Policy;
  /** Names of the keys whose signatures were checked. */
  readonly signedBy: readonly string[];
  /** What it was opened with. */
  readonly trust: BundleTrust;
}

const whole = z.int().min(1);
const bundleSchema: z.ZodType<Bundle> = z.strictObject({
  id: z.string().regex(NAME_SHAPE, NAME_HINT),
  version: z.string().min(1).max(256).optional(),
  serial: whole,
  issued_at: whole,
  expires_at: whole.optional(),
  members: z
    .array(
      z.discriminatedUnion('kind', [
        // Checked in full where it is compiled, unknown keys apart: an older engine must not leave out what it does not know.
        z.strictObject({ kind: z.literal('rules'), definition: z.custom<RuleSet>((value) => typeof value === 'object' && value !== null) }),
        z.strictObject({
          kind: z.literal('cedar'),
          id: z.string(),
          version: z.string().optional(),
          default: z.enum(EFFECTS).optional(),
          policies: z.array(z.strictObject({ where: z.string(), text: z.string() })).min(1),
          schema: z.string().optional(),
          entities: z.array(z.unknown()).optional(),
        }),
      ]),
    )
    .min(1)
    .max(MAX_MEMBERS),
});

/**
 * Signs a bundle.
 *
 * @throws {CountersignError} `POLICY_BUNDLE_INVALID` for one that could not be opened again.
 */
export function signBundle(bundle: Bundle, signers: readonly Signer[]): string {
  const text = `${BUNDLE_MAGIC}\n${canonicalize(bundle)}\n`;
  policyOf(readText(text), 0);
  return asInvalid(() => signNote(text, signers));
}

/**
 * A bundle with one signature more.
 *
 * @throws {CountersignError} `POLICY_BUNDLE_INVALID` for what is no bundle.
 */
export function countersignBundle(note: string, signer: Signer): string {
  policyOf(readBundle(note), 0);
  return asInvalid(() => mergeNotes(note, signNote(parseNote(note).text, [signer])));
}

/** Whether a file is meant to be one. Says nothing about whether it is good. */
export function looksLikeBundle(text: string): boolean {
  return text.startsWith(`${BUNDLE_MAGIC}\n`);
}

/** What a bundle says, without asking who says it. @throws {CountersignError} `POLICY_BUNDLE_INVALID` */
export function readBundle(note: string): Bundle {
  return readText(asInvalid(() => parseNote(note)).text);
}

/**
 * Opens a bundle of people one trusts.
 *
 * @param nowMs - to tell whether it has expired.
 * @throws {CountersignError} `POLICY_BUNDLE_INVALID` for what is no bundle or does not compile, `POLICY_BUNDLE_UNTRUSTED` for
 *   one that is unsigned, altered, signed by too few of `keys`, or of another id, `POLICY_BUNDLE_EXPIRED`; `KEY_INVALID` for bad keys.
 */
export function openBundle(note: string, trust: BundleTrust, nowMs: number): OpenedBundle {
  const { keys, threshold } = readTrust(trust);
  if (!looksLikeBundle(note)) throw invalid('this is no policy bundle: make one with `countersign policy sign`');
  const opened = openTrusted(note, keys);
  // A key counts once, under however many names.
  const signers = new Set(opened.verified.map(({ name, keyId }) => publicKeyOf(name, keyId, keys)));
  if (signers.size < threshold)
    throw new CountersignError(
      'POLICY_BUNDLE_UNTRUSTED',
      `policy bundle: ${signers.size} of ${threshold} needed signatures are by known keys`,
    );
  const bundle = readText(opened.text);
  if (trust.id !== undefined && bundle.id !== trust.id)
    throw new CountersignError('POLICY_BUNDLE_UNTRUSTED', `policy bundle "${bundle.id}": only "${trust.id}" is taken here`);
  return { bundle, policy: policyOf(bundle, nowMs), signedBy: opened.verified.map(({ name }) => name), trust };
}

function readTrust({ keys, threshold = 1 }: BundleTrust): { readonly keys: readonly VerifierKey[]; readonly threshold: number } {
  const parsed = keys.map((key) => parseVerifierKey(key));
  if (parsed.length === 0 || parsed.length > MAX_BUNDLE_KEYS)
    throw new CountersignError('KEY_INVALID', `a policy bundle needs 1 to ${MAX_BUNDLE_KEYS} keys that may sign it`);
  if (parsed.some(({ type }) => type !== TYPE_ED25519)) throw new CountersignError('KEY_INVALID', 'the key of a witness signs no policy');
  const people = new Set(parsed.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'))).size;
  if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > people)
    throw new CountersignError('KEY_INVALID', `a threshold of ${threshold} can never be reached by ${people} keys`);
  return { keys: parsed, threshold };
}

function openTrusted(note: string, keys: readonly VerifierKey[]): OpenedNote {
  try {
    return openNote(note, keys);
  } catch (cause) {
    const why = CountersignError.is(cause) ? cause.message.replace(/^signed note: /, '') : 'it cannot be read';
    throw new CountersignError('POLICY_BUNDLE_UNTRUSTED', `policy bundle: ${why}`, { cause });
  }
}

function publicKeyOf(name: string, keyId: string, keys: readonly VerifierKey[]): string {
  const key = keys.find((known) => known.name === name && known.keyId === keyId);
  return Buffer.from(key?.publicKey ?? []).toString('hex');
}

function readText(text: string): Bundle {
  const [magic, json, end, ...more] = text.split('\n');
  if (magic !== BUNDLE_MAGIC || json === undefined || end !== '' || more.length > 0) throw invalid('it is not two lines');
  const read = strictJson(Buffer.from(json, 'utf8'), MAX_JSON_DEPTH);
  if (read === undefined) throw invalid('it is no JSON that everybody reads alike');
  if (asInvalid(() => canonicalize(read.value)) !== json) throw invalid('its JSON is not canonical (RFC 8785)');
  const parsed = bundleSchema.safeParse(read.value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'out of shape'}`);
}

function policyOf(bundle: Bundle, nowMs: number): Policy {
  const { id, version, expires_at: expiresAtMs = Number.POSITIVE_INFINITY } = bundle;
  if (nowMs >= expiresAtMs)
    throw new CountersignError(
      'POLICY_BUNDLE_EXPIRED',
      `policy bundle "${id}": it expired at ${new Date(expiresAtMs).toISOString()}; sign a new one`,
    );
  const inner = asInvalid(() => composePolicies(bundle.members.map(memberPolicy)));
  const document = canonicalize({ kind: 'bundle', bundle });
  const expired = failedVerdict({ id }, 'is a bundle that has expired');
  return {
    // What the members ask for (counts, result rules) they ask for in a bundle too.
    ...inner,
    id,
    ...(version === undefined ? {} : { version }),
    hash: policyHash(document),
    document,
    evaluate: (input) => (input.atMs >= expiresAtMs ? expired : inner.evaluate(input)),
    foresee: (input) => (input.atMs >= expiresAtMs ? expired : foresee(inner, input)),
  };
}

function memberPolicy(member: BundleMember): Policy {
  if (member.kind === 'rules') {
    requireKnown(member.definition);
    return rulePolicy(member.definition);
  }
  const { id, version, default: fallback, policies, schema, entities } = member;
  return cedarPolicy({
    id,
    policies,
    ...(version !== undefined && { version }),
    ...(fallback !== undefined && { default: fallback }),
    ...(schema !== undefined && { schema }),
    ...(entities !== undefined && { entities }),
  });
}

const SET_KEYS: ReadonlySet<string> = new Set(['id', 'version', 'default', 'rules']);

/** What this version does not know it would leave out, and that may be what denies. */
function requireKnown(definition: RuleSet): void {
  const unknown = Object.keys(definition).find((key) => !SET_KEYS.has(key));
  const [issue] = unknown === undefined ? (policySchema.safeParse(definition).error?.issues ?? []) : [];
  if (unknown !== undefined || issue !== undefined)
    throw invalid(`its rules hold what this version does not know: ${unknown ?? `${issue?.path.join('.')}: ${issue?.message}`}`);
}

function asInvalid<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!CountersignError.is(cause)) throw cause;
    const kept: readonly ErrorCode[] = ['POLICY_BUNDLE_INVALID', 'POLICY_BUNDLE_EXPIRED'];
    if (kept.includes(cause.code)) throw cause;
    throw new CountersignError('POLICY_BUNDLE_INVALID', `policy bundle: ${cause.message}`, { cause });
  }
}

function invalid(what: string): CountersignError {
  return new CountersignError('POLICY_BUNDLE_INVALID', `policy bundle: ${what}`);
}
