/**
 * Holds a value against a JSON Schema: 2020-12, and older drafts as far as they mean the same.
 *
 * The server writes both, and either may be made to keep us busy: schemas that refer to themselves, that double with every level, or
 * whose patterns take exponential time. So every step is counted and patterns run in linear time; what cannot be told within the
 * bounds is not told. `format` and what else the standard calls annotations is not looked at.
 */
import { isObject, type JsonObject, member } from '../message.ts';
import { type SchemaDocument, Unchecked } from './document.ts';
import { Seen } from './seen.ts';
import { countWord, listWord, mapWord, namesWord, numberWord } from './words.ts';

/** Parts of a schema held against parts of a value. */
export const MAX_CHECK_STEPS = 300_000;
/** Characters times steps of a pattern for each of them. */
const MAX_PATTERN_STEPS = 20_000_000;
/** Schemas inside of which a schema is looked at. */
const MAX_CHECK_DEPTH = 500;

export type OutputCheck =
  | { readonly kind: 'fits' }
  /** `what` holds names of the schema and of the value only where they look like names. */
  | { readonly kind: 'differs'; readonly what: string }
  | { readonly kind: 'unchecked'; readonly why: string };

/** Never throws. */
export function checkOutput(document: SchemaDocument, value: unknown): OutputCheck {
  const check = new Check(document);
  try {
    if (check.fits(document.root, value, undefined)) return { kind: 'fits' };
    return { kind: 'differs', what: check.difference };
  } catch (error) {
    return { kind: 'unchecked', why: error instanceof Unchecked ? error.message : 'the outputSchema cannot be used' };
  }
}

interface Place {
  readonly inside: Place | undefined;
  readonly name: string | number;
}

class Check {
  readonly #document: SchemaDocument;
  #steps = MAX_CHECK_STEPS;
  #patternSteps = MAX_PATTERN_STEPS;
  #depth = 0;
  /** Parts that may fail without the whole failing. */
  #guesses = 0;
  #difference: string | undefined;

  constructor(document: SchemaDocument) {
    this.#document = document;
  }

  get difference(): string {
    return this.#difference ?? 'structuredContent does not fit';
  }

  fits(schema: unknown, value: unknown, at: Place | undefined, seen?: Seen): boolean {
    this.#count(1);
    if (schema === true) return true;
    if (schema === false) return this.#differs(at, 'is not allowed');
    if (!isObject(schema)) throw new Unchecked('a part of the outputSchema is no schema');
    if (this.#depth >= MAX_CHECK_DEPTH) throw new Unchecked('the outputSchema refers to itself without end');
    this.#depth += 1;
    const own = this.#document.usesUnevaluated ? new Seen() : undefined;
    const isFit = this.#object(schema, value, at, own);
    this.#depth -= 1;
    if (isFit && own !== undefined) seen?.add(own);
    return isFit;
  }

  #object(schema: JsonObject, value: unknown, at: Place | undefined, seen: Seen | undefined): boolean {
    for (const word of REFERENCES) {
      const reference = member(schema, word);
      if (reference === undefined) continue;
      if (!this.fits(this.#document.resolve(reference), value, at, seen)) return false;
      if (this.#document.refsStandAlone) return true;
    }
    if (!this.#isOfType(schema, value, at) || !this.#isOneOf(schema, value, at)) return false;
    if (typeof value === 'number' && !this.#number(schema, value, at)) return false;
    if (typeof value === 'string' && !this.#text(schema, value, at)) return false;
    if (!this.#combined(schema, value, at, seen)) return false;
    if (Array.isArray(value)) return this.#list(schema, value, at, seen);
    return !isObject(value) || this.#members(schema, value, at, seen);
  }

  #isOfType(schema: JsonObject, value: unknown, at: Place | undefined): boolean {
    const type = member(schema, 'type');
    if (type === undefined) return true;
    const types = Array.isArray(type) ? (type as readonly unknown[]) : [type];
    if (types.some((name) => isOfType(value, name))) return true;
    return this.#differs(at, `must be ${types.filter((name) => TYPES.has(name)).join(' or ') || 'of another type'}`);
  }

  #isOneOf(schema: JsonObject, value: unknown, at: Place | undefined): boolean {
    const values = Object.hasOwn(schema, 'const') ? [schema['const']] : undefined;
    const known = listWord(schema, 'enum');
    if (values === undefined && known === undefined) return true;
    const key = this.#keyOf(value);
    const isIn = (list: readonly unknown[] | undefined): boolean => list === undefined || list.some((item) => this.#keyOf(item) === key);
    return (isIn(values) && isIn(known)) || this.#differs(at, 'must be one of the values that are declared');
  }

  #number(schema: JsonObject, value: number, at: Place | undefined): boolean {
    const [least, most] = [numberWord(schema, 'minimum'), numberWord(schema, 'maximum')];
    const [above, below] = [bound(schema, 'exclusiveMinimum', least), bound(schema, 'exclusiveMaximum', most)];
    const isWithin =
      !(value < (least ?? value) || value > (most ?? value)) &&
      !(above !== undefined && value <= above) &&
      !(below !== undefined && value >= below);
    if (!isWithin) return this.#differs(at, 'is not in the range that is declared');
    const step = numberWord(schema, 'multipleOf');
    if (step === undefined || step <= 0) return true;
    const count = value / step;
    return Math.abs(count - Math.round(count)) <= 1e-9 * Math.max(1, Math.abs(count)) || this.#differs(at, `must be a multiple of ${step}`);
  }

  #text(schema: JsonObject, value: string, at: Place | undefined): boolean {
    const [least, most] = [countWord(schema, 'minLength'), countWord(schema, 'maxLength')];
    if (least !== undefined || most !== undefined) {
      this.#count(value.length >> 4);
      const length = characters(value);
      if (length < (least ?? 0)) return this.#differs(at, `must have at least ${least} characters`);
      if (length > (most ?? length)) return this.#differs(at, `must have at most ${most} characters`);
    }
    const source = member(schema, 'pattern');
    if (source === undefined) return true;
    return this.#matches(source, value) !== false || this.#differs(at, 'does not match the pattern that is declared');
  }

  /** Undefined when it cannot be told. */
  #matches(source: unknown, text: string): boolean | undefined {
    if (typeof source !== 'string') throw new Unchecked('a pattern of the outputSchema is no text');
    const pattern = this.#document.pattern(source);
    if (pattern === undefined) return undefined;
    this.#patternSteps -= pattern.cost * (text.length + 1);
    if (this.#patternSteps < 0) throw tooLong();
    return pattern.test(text);
  }

  #combined(schema: JsonObject, value: unknown, at: Place | undefined, seen: Seen | undefined): boolean {
    for (const part of listWord(schema, 'allOf') ?? []) if (!this.fits(part, value, at, seen)) return false;
    const any = listWord(schema, 'anyOf');
    if (any !== undefined && this.#fitting(any, value, at, seen) === 0)
      return this.#differs(at, 'fits none of the forms that are declared');
    const one = listWord(schema, 'oneOf');
    if (one !== undefined && this.#fitting(one, value, at, seen) !== 1)
      return this.#differs(at, 'must fit exactly one of the forms that are declared');
    if (Object.hasOwn(schema, 'not') && this.#guess(schema['not'], value, at)) return this.#differs(at, 'has a form that is ruled out');
    if (!Object.hasOwn(schema, 'if')) return true;
    const branch = this.#guess(schema['if'], value, at, seen) ? 'then' : 'else';
    return !Object.hasOwn(schema, branch) || this.fits(schema[branch], value, at, seen);
  }

  #fitting(parts: readonly unknown[], value: unknown, at: Place | undefined, seen: Seen | undefined): number {
    return parts.filter((part) => this.#guess(part, value, at, seen)).length;
  }

  #guess(schema: unknown, value: unknown, at: Place | undefined, seen?: Seen): boolean {
    this.#guesses += 1;
    const isFit = this.fits(schema, value, at, seen);
    this.#guesses -= 1;
    return isFit;
  }

  #list(schema: JsonObject, value: readonly unknown[], at: Place | undefined, seen: Seen | undefined): boolean {
    this.#count(value.length >> 4);
    const [least, most] = [countWord(schema, 'minItems'), countWord(schema, 'maxItems')];
    if (value.length < (least ?? 0)) return this.#differs(at, `must have at least ${least} items`);
    if (value.length > (most ?? value.length)) return this.#differs(at, `must have at most ${most} items`);
    if (member(schema, 'uniqueItems') === true && new Set(value.map((item) => this.#keyOf(item))).size < value.length)
      return this.#differs(at, 'must have no item twice');
    const items = member(schema, 'items');
    // Up to 2019-09 a list of schemas stands under `items`, and the rest under `additionalItems`.
    const isOld = Array.isArray(items);
    const first = isOld ? (items as readonly unknown[]) : (listWord(schema, 'prefixItems') ?? []);
    const rest = isOld ? member(schema, 'additionalItems') : items;
    for (const [i, item] of value.entries()) {
      const part = i < first.length ? first[i] : rest;
      if (part === undefined) break;
      if (!this.fits(part, item, { inside: at, name: i })) return false;
      seen?.items.add(i);
    }
    return this.#contains(schema, value, at, seen) && this.#unevaluatedItems(schema, value, at, seen);
  }

  #contains(schema: JsonObject, value: readonly unknown[], at: Place | undefined, seen: Seen | undefined): boolean {
    if (!Object.hasOwn(schema, 'contains')) return true;
    let count = 0;
    for (const [i, item] of value.entries()) {
      if (!this.#guess(schema['contains'], item, { inside: at, name: i })) continue;
      count += 1;
      seen?.items.add(i);
    }
    const [least, most] = [countWord(schema, 'minContains') ?? 1, countWord(schema, 'maxContains') ?? count];
    return (count >= least && count <= most) || this.#differs(at, 'has too few or too many items of the form that is declared');
  }

  #unevaluatedItems(schema: JsonObject, value: readonly unknown[], at: Place | undefined, seen: Seen | undefined): boolean {
    const rest = member(schema, 'unevaluatedItems');
    if (rest === undefined || seen === undefined) return true;
    for (const [i, item] of value.entries()) {
      if (seen.items.has(i)) continue;
      if (!this.fits(rest, item, { inside: at, name: i })) return false;
      seen.items.add(i);
    }
    return true;
  }

  #members(schema: JsonObject, value: JsonObject, at: Place | undefined, seen: Seen | undefined): boolean {
    const names = Object.keys(value);
    this.#count(names.length);
    const [least, most] = [countWord(schema, 'minProperties'), countWord(schema, 'maxProperties')];
    if (names.length < (least ?? 0)) return this.#differs(at, `must have at least ${least} members`);
    if (names.length > (most ?? names.length)) return this.#differs(at, `must have at most ${most} members`);
    if (!this.#hasAll(namesWord(schema, 'required') ?? [], value, at)) return false;
    if (!this.#dependents(schema, value, at, seen)) return false;
    const namesFit = member(schema, 'propertyNames');
    if (namesFit !== undefined && !names.every((name) => this.fits(namesFit, name, { inside: at, name }))) return false;
    return this.#declared(schema, value, at, seen) && this.#unevaluatedMembers(schema, value, at, seen);
  }

  #hasAll(names: readonly string[], value: JsonObject, at: Place | undefined): boolean {
    this.#count(names.length);
    const missing = names.find((name) => !Object.hasOwn(value, name));
    return missing === undefined || this.#differs({ inside: at, name: missing }, 'is missing');
  }

  #dependents(schema: JsonObject, value: JsonObject, at: Place | undefined, seen: Seen | undefined): boolean {
    for (const word of ['dependentRequired', 'dependentSchemas', 'dependencies']) {
      for (const [name, needs] of Object.entries(mapWord(schema, word) ?? {})) {
        this.#count(1);
        if (!Object.hasOwn(value, name)) continue;
        const isFit = Array.isArray(needs)
          ? this.#hasAll(namesWord({ needs }, 'needs') ?? [], value, at)
          : this.fits(needs, value, at, seen);
        if (!isFit) return false;
      }
    }
    return true;
  }

  #declared(schema: JsonObject, value: JsonObject, at: Place | undefined, seen: Seen | undefined): boolean {
    const properties = mapWord(schema, 'properties') ?? {};
    const patterns = Object.entries(mapWord(schema, 'patternProperties') ?? {});
    const rest = member(schema, 'additionalProperties');
    for (const [name, part] of Object.entries(value)) {
      const place = { inside: at, name };
      const matched = patterns.map(([source, under]) => [this.#matches(source, name), under] as const);
      const declared = [
        ...(Object.hasOwn(properties, name) ? [properties[name]] : []),
        ...matched.flatMap(([isMatch, under]) => (isMatch === true ? [under] : [])),
      ];
      // Of a name that one of its patterns may mean, it cannot be told whether it is additional.
      if (declared.length === 0 && rest !== undefined && !matched.some(([isMatch]) => isMatch === undefined)) declared.push(rest);
      for (const under of declared) if (!this.fits(under, part, place)) return false;
      if (declared.length > 0 || matched.some(([isMatch]) => isMatch === undefined)) seen?.names.add(name);
    }
    return true;
  }

  #unevaluatedMembers(schema: JsonObject, value: JsonObject, at: Place | undefined, seen: Seen | undefined): boolean {
    const rest = member(schema, 'unevaluatedProperties');
    if (rest === undefined || seen === undefined) return true;
    for (const [name, part] of Object.entries(value)) {
      if (seen.names.has(name)) continue;
      if (!this.fits(rest, part, { inside: at, name })) return false;
      seen.names.add(name);
    }
    return true;
  }

  /** The same text for what is equal in JSON, whatever the order of members. */
  #keyOf(value: unknown): string {
    this.#count(1);
    if (typeof value === 'string') this.#count(value.length >> 4);
    if (Array.isArray(value)) return `[${value.map((item) => this.#keyOf(item)).join(',')}]`;
    if (!isObject(value)) return JSON.stringify(value);
    const members = Object.keys(value).toSorted();
    return `{${members.map((name) => `${JSON.stringify(name)}:${this.#keyOf(value[name])}`).join(',')}}`;
  }

  #differs(at: Place | undefined, how: string): false {
    if (this.#guesses === 0) this.#difference ??= `${placeText(at)} ${how}`;
    return false;
  }

  #count(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) throw tooLong();
  }
}

const REFERENCES = ['$ref', '$dynamicRef', '$recursiveRef'] as const;
const TYPES: ReadonlySet<unknown> = new Set(['null', 'boolean', 'number', 'integer', 'string', 'array', 'object']);

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isObject(value);
  return typeof value === type && TYPES.has(type);
}

/** In draft 4 the word is a boolean, and says that the other one is exclusive. */
function bound(schema: JsonObject, word: string, other: number | undefined): number | undefined {
  const exclusive = member(schema, word);
  return typeof exclusive === 'boolean' ? (exclusive ? other : undefined) : numberWord(schema, word);
}

/** Code points. */
function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    if (text.charCodeAt(i) >> 10 === 0x36 && text.charCodeAt(i + 1) >> 10 === 0x37) count -= 1;
  }
  return count;
}

const MAX_PLACE_PARTS = 8;
const PLAIN_NAME = /^[A-Za-z0-9_$-]{1,40}$/;

/** Names are the server's, and the model reads this: what does not look like one is not repeated. */
function placeText(at: Place | undefined): string {
  const parts: string[] = [];
  for (let place = at; place !== undefined; place = place.inside) {
    if (parts.length === MAX_PLACE_PARTS) {
      parts.push('...');
      break;
    }
    parts.push(typeof place.name === 'number' ? `[${place.name}]` : PLAIN_NAME.test(place.name) ? `.${place.name}` : '.*');
  }
  return `structuredContent${parts.toReversed().join('')}`;
}

function tooLong(): Unchecked {
  return new Unchecked(`the check would take more than ${MAX_CHECK_STEPS} steps`);
}
