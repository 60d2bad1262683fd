/** What a shell remembers from one command to the next, as far as the text tells. */
import type { Function as ShellFunction } from 'unbash';
import { type Field, NUMBER, UNKNOWN } from './field.ts';

/** A text, the items of an array, or unset. */
export type Value = Field | readonly Field[];
export type Body = ShellFunction['body'];

/** Variables that every shell has; `~` is how the rest of the analysis writes the home folder. */
const GIVEN: ReadonlyMap<string, Value> = new Map([
  ['HOME', '~'],
  ['PWD', '.'],
  ['IFS', ' \t\n'],
  ['PATH', '/usr/bin'],
  ['#', NUMBER],
  ['?', NUMBER],
  ['$', NUMBER],
  ['!', NUMBER],
  ['UID', NUMBER],
  ['EUID', NUMBER],
  ['PPID', NUMBER],
  ['RANDOM', NUMBER],
  ['SECONDS', NUMBER],
  ['LINENO', NUMBER],
]);

/** Where a command may be: '' is the folder of the tool, undefined is not known. */
export type Places = readonly (string | undefined)[];
const MAX_PLACES = 4;

/** Functions and aliases; shared by all subshells, since forgetting one would hide what it does. */
export class Definitions {
  // Made when the first one is defined: most commands define nothing.
  functions: Map<string, Body[]> | undefined;
  /** Of the functions, those that were called. */
  called: Set<string> | undefined;
  aliases: Map<string, string> | undefined;
  /** Variables that were declared to be integers: what they are given is evaluated. */
  integers: Set<string> | undefined;
  /** The function or alias that runs is not followed into itself. */
  readonly running: string[] = [];

  define(name: string, body: Body): void {
    this.functions ??= new Map();
    this.called ??= new Set();
    const known = this.functions.get(name);
    if (known === undefined) this.functions.set(name, [body]);
    else if (!known.includes(body)) known.push(body);
  }
  isDefined(name: string): boolean {
    return this.functions?.has(name) === true || this.aliases?.has(name) === true;
  }
}

/** Shared by all that set none: never changed, but copied. */
const NO_VARIABLES = new Map<string, Value>();

export class ShellState {
  readonly definitions: Definitions;
  #variables: Map<string, Value>;
  /** Another state looks at the same map: it is copied before it is changed. */
  #shared: boolean;
  /** True when a variable that is not in the map may have been set by something that is not known. */
  #anythingSet = false;
  positional: readonly Field[] | undefined = undefined;
  places: Places = [''];

  constructor(definitions: Definitions = new Definitions(), variables?: Map<string, Value>) {
    this.definitions = definitions;
    this.#variables = variables ?? NO_VARIABLES;
    this.#shared = variables === undefined;
  }

  /** A copy for a subshell or a branch. */
  fork(): ShellState {
    const copy = new ShellState(this.definitions, this.#variables);
    this.#shared = true;
    copy.#shared = true;
    copy.#anythingSet = this.#anythingSet;
    copy.positional = this.positional;
    copy.places = this.places;
    return copy;
  }

  /** After a branch that may have run: what differs is not known. */
  join(other: ShellState): void {
    if (this.#variables !== other.#variables) {
      for (const [name, value] of other.#variables) if (!sameValue(this.get(name), value)) this.set(name, UNKNOWN);
      for (const [name, value] of this.#variables) if (!sameValue(other.get(name), value)) this.set(name, UNKNOWN);
    }
    this.#anythingSet ||= other.#anythingSet;
    if (this.positional !== other.positional && this.positional?.join('\0\0') !== other.positional?.join('\0\0'))
      this.positional = undefined;
    if (this.places !== other.places) this.moveTo([...this.places, ...other.places]);
  }

  get(name: string): Value {
    const value = this.#variables.get(name);
    if (value !== undefined) return value;
    if (this.#anythingSet) return UNKNOWN;
    return GIVEN.get(name) ?? UNKNOWN;
  }
  /** True when the script itself gave the variable a value, known or not. */
  isSet(name: string): boolean {
    return this.#anythingSet || this.#variables.has(name);
  }
  set(name: string, value: Value): void {
    this.#own().set(name, value);
  }
  /** Back to what it was before, `undefined` for not set by the script. */
  restore(name: string, value: Value | undefined): void {
    if (value === undefined) this.#own().delete(name);
    else this.#own().set(name, value);
  }
  own(name: string): Value | undefined {
    return this.#variables.get(name);
  }
  #own(): Map<string, Value> {
    if (this.#shared) {
      this.#variables = new Map(this.#variables);
      this.#shared = false;
    }
    return this.#variables;
  }
  /** Something ran that may have set any variable. */
  forgetVariables(): void {
    this.#variables = new Map();
    this.#shared = false;
    this.#anythingSet = true;
    this.positional = undefined;
  }
  moveTo(places: Places): void {
    if (places.every((place) => place === this.places[0]) && this.places.length === 1) return;
    const unique = [...new Set(places)];
    this.places = unique.length > MAX_PLACES || unique.includes(undefined) ? [undefined] : unique;
  }
}

export function sameValue(one: Value, other: Value): boolean {
  if (typeof one === 'string' || typeof other === 'string') return one === other;
  return one.length === other.length && one.every((item, i) => item === other[i]);
}
