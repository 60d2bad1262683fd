/**
 * What a tool is declared to be, as one digest:
 *
 *     SHA-256("countersign/tool/v1\n" ‖ JCS(declaration without `icons`)), hex
 *
 *     {"annotations":{"readOnlyHint":true},"description":"Reads a file.","inputSchema":{"type":"object"},"name":"read_file"}
 *     213855afd9cc6d44e9180fd391181314b83651c329279ffe8e4c7bf697683b5c
 *
 * RFC 8785, so neither spelling nor the order of members matters. Everything a server writes counts, members of versions to
 * come and `_meta` included: a model, a client or a user interface may act on any of it. Only `icons` do not: they reach
 * neither the model nor the call, and addresses that are signed for an hour would make every listing a change.
 */
import { createHash } from 'node:crypto';
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { isName, isRecordable } from '../names.ts';
import type { Redactor } from '../redact/redact.ts';
import type { PinOffer } from '../store-units.ts';
import { flagsOf } from './flags.ts';

/** Longest declaration that can be pinned, as characters of its canonical JSON. */
export const MAX_DECLARATION_CHARS = 131_072;

/** A declaration that can be pinned. */
export interface ToolDeclaration {
  readonly name: string;
  readonly digest: string;
  /** What was hashed. */
  readonly text: string;
}

/** A declaration that can not, and so cannot be told from another one. */
export interface UnpinnableTool {
  /** Undefined: there is no name to call it by. */
  readonly name: string | undefined;
  readonly problem: string;
}

/** As RFC 8785 JSON without `icons`, and its digest. @throws {CountersignError} `CANONICAL_INVALID` */
export function digestOf(declaration: object): { readonly digest: string; readonly text: string } {
  const { icons: _shownToPeople, ...counts } = declaration as { readonly icons?: unknown };
  const text = canonicalize(counts);
  return { digest: createHash('sha256').update(`countersign/tool/v1\n${text}`).digest('hex'), text };
}

/**
 * What a declaration is pinned as, and a decision about its tool names as `schema`: 64 hex digits.
 *
 * @throws {CountersignError} `CANONICAL_INVALID`
 */
export function toolDigest(declaration: object): string {
  return digestOf(declaration).digest;
}

/** @param declared - an item of `tools` in the answer to `tools/list`, as parsed; the server writes all of it. */
export function readDeclaration(declared: unknown, redactor: Pick<Redactor, 'text'>): ToolDeclaration | UnpinnableTool {
  if (typeof declared !== 'object' || declared === null || Array.isArray(declared)) return { name: undefined, problem: 'it is no object' };
  const name: unknown = Object.hasOwn(declared, 'name') ? Reflect.get(declared, 'name') : undefined;
  if (!isName(name)) return { name: typeof name === 'string' ? name : undefined, problem: 'its name is none that can be called' };
  if (!isRecordable(name, redactor)) return { name, problem: 'its name looks like a secret' };
  try {
    const { digest, text } = digestOf(declared);
    if (text.length <= MAX_DECLARATION_CHARS) return { name, digest, text };
    return { name, problem: `it has ${text.length} characters, ${MAX_DECLARATION_CHARS} are the most` };
  } catch (error) {
    return { name, problem: CountersignError.is(error) ? error.message : 'it has no canonical form' };
  }
}

/** What is recorded of a declaration: strings that look like secrets replaced, and what a person should look at. */
export function offerOf({ name, digest, text }: ToolDeclaration, redactor: Pick<Redactor, 'text'>): PinOffer {
  // From the text that was hashed: a getter or a proxy cannot show another one.
  const hashed = JSON.parse(text) as Json;
  const declaration = withoutSecrets(hashed, redactor);
  return { name, digest, declaration, isRedacted: canonicalize(declaration) !== text, flags: flagsOf(name, hashed) };
}

/**
 * Strings only. A schema names what a tool takes (`password`, `api_key`), and to replace what stands under such a name would
 * hide the very place where a changed description does most harm.
 */
function withoutSecrets(value: Json, redactor: Pick<Redactor, 'text'>): Json {
  if (typeof value === 'string') return redactor.text(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Json) => withoutSecrets(item, redactor));
  const shown = new Map<string, Json>();
  for (const [name, member] of Object.entries(value as { readonly [key: string]: Json })) {
    let clean = redactor.text(name);
    // Two names that look like secrets are still two members.
    while (shown.has(clean)) clean += '+';
    shown.set(clean, withoutSecrets(member, redactor));
  }
  return Object.fromEntries(shown);
}
