/** One JSON Schema of a server: what it refers to, and its patterns. Nothing is fetched. */
import { type LinearPattern, linearPattern } from '@countersign/core';
import { isObject, type JsonObject, member } from '../message.ts';

/** Characters of one schema as JSON. */
export const MAX_SCHEMA_CHARS = 262_144;

/** Why it cannot be told whether a value fits, in a few words of ours. */
export class Unchecked extends Error {}

export interface Pattern {
  test(text: string): boolean;
  /** Steps for each character of a text, at most. */
  readonly cost: number;
}

/** Further ones are not run: compiling takes time, too. */
const MAX_PATTERNS = 200;
/** A pattern with counted repetitions may be this many times as long as it is written. */
const MAX_PATTERN_COST = 2000;

export class SchemaDocument {
  readonly root: JsonObject | boolean;
  /** Up to draft 7 nothing beside a `$ref` counts. */
  readonly refsStandAlone: boolean;
  /** Whether it has to be remembered which members and items were looked at. */
  readonly usesUnevaluated: boolean;
  readonly #anchors = new Map<string, JsonObject>();
  readonly #patterns = new Map<string, Pattern | undefined>();
  readonly #base: string;
  #isCompound = false;

  /** @throws {Unchecked} for what is no schema, or too large. */
  constructor(schema: unknown) {
    if (!isObject(schema) && typeof schema !== 'boolean') throw new Unchecked('the outputSchema is no schema');
    const text = JSON.stringify(schema);
    if (text.length > MAX_SCHEMA_CHARS) throw new Unchecked(`the outputSchema has more than ${MAX_SCHEMA_CHARS} characters`);
    this.root = schema;
    const [draft, id] = isObject(schema) ? [member(schema, '$schema'), member(schema, '$id')] : [];
    this.refsStandAlone = typeof draft === 'string' && /draft-0\d/.test(draft);
    this.usesUnevaluated = text.includes('"unevaluated');
    this.#base = typeof id === 'string' ? id.replace(/#$/, '') : '';
    this.#index(schema, true);
  }

  /** What a reference means. @throws {Unchecked} for what is not in this document. */
  resolve(reference: unknown): unknown {
    if (typeof reference !== 'string' || this.#isCompound) throw new Unchecked('a $ref of the outputSchema cannot be followed');
    const hash = reference.indexOf('#');
    const [document, fragment] = hash === -1 ? [reference, ''] : [reference.slice(0, hash), reference.slice(hash + 1)];
    if (document !== '' && document !== this.#base) throw new Unchecked('the outputSchema refers to another document');
    const found = fragment === '' ? this.root : fragment.startsWith('/') ? this.#pointed(fragment) : this.#anchors.get(fragment);
    if (found === undefined) throw new Unchecked('the outputSchema refers to a part that it does not have');
    return found;
  }

  /** Undefined for one that does not run in linear time: it is not run at all. */
  pattern(source: string): Pattern | undefined {
    if (!this.#patterns.has(source)) this.#patterns.set(source, this.#patterns.size < MAX_PATTERNS ? compiled(source) : undefined);
    return this.#patterns.get(source);
  }

  /** What of the schema was not checked so far, for the log. */
  get notes(): readonly string[] {
    const left = [...this.#patterns.values()].filter((pattern) => pattern === undefined).length;
    return left === 0
      ? []
      : [
          `${left} ${left === 1 ? 'pattern is' : 'patterns are'} not run, since a text could make ${left === 1 ? 'it' : 'them'} take for ever`,
        ];
  }

  #pointed(fragment: string): unknown {
    let at: unknown = this.root;
    for (const part of decoded(fragment).slice(1).split('/')) {
      const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
      if (Array.isArray(at)) at = /^(?:0|[1-9]\d{0,8})$/.test(name) ? (at as readonly unknown[])[Number(name)] : undefined;
      else at = isObject(at) ? member(at, name) : undefined;
    }
    return at;
  }

  /** Anchors, and parts that are documents of their own: what is referred to inside of those is not followed. */
  #index(value: unknown, isRoot = false): void {
    if (Array.isArray(value)) for (const item of value as readonly unknown[]) this.#index(item);
    if (!isObject(value)) return;
    for (const name of ['$anchor', '$dynamicAnchor']) {
      const anchor = member(value, name);
      if (typeof anchor === 'string' && !this.#anchors.has(anchor)) this.#anchors.set(anchor, value);
    }
    if (!isRoot && typeof member(value, '$id') === 'string') this.#isCompound = true;
    for (const part of Object.values(value)) this.#index(part);
  }
}

function decoded(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

function compiled(source: string): Pattern | undefined {
  const pattern: LinearPattern | { readonly fault: string } = linearPattern(source);
  if ('fault' in pattern) return undefined;
  return { test: (text) => pattern.test(text), cost: source.includes('{') ? MAX_PATTERN_COST : source.length };
}
