import type { Json, RedactionFinding } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { customDetectors, type DetectorDefinition } from './custom.ts';
import { isPlaceholder, placeholder } from './detector.ts';
import { COMMAND_PASSWORD, passwordsInCommand } from './detectors/commands.ts';
import { typedPlaceholder } from './host-types.ts';
import { isHarmlessValue, isPlainName, isSecretMember, isSecretName, nameWords } from './key-names.ts';
import { pointerText } from './pointer.ts';
import { addMember, readItems, readValues, withoutProxy } from './read.ts';
import { detectorsFor, KEY_NAME_KIND, REDACTION_KINDS, TEXT_KIND, VALUE_KIND } from './rules.ts';
import { redactText, type TextRules, textRules } from './scan.ts';
import { hideSplit } from './split.ts';

/** Shorter literals would tear holes into ordinary text. */
export const MIN_SECRET_VALUE_CHARS = 6;
export const MAX_SECRET_VALUE_CHARS = 4096;
/** Extra key names, and likewise extra values. */
export const MAX_REDACTION_OPTIONS = 200;
/** Findings of one call; beyond it only kinds not seen before are added. */
export const MAX_FINDINGS = 1000;

/** Values of one view, which is far more than captured arguments have; containers beyond are not looked into. */
export const MAX_SHOWN_NODES = 1_000_000;
/** A list still not settled after this many rounds has all its texts replaced. */
const MAX_SPLIT_ROUNDS = 4;

/** Captured values are less deep; this is for callers who redact something else. */
const MAX_SHOWN_DEPTH = 200;

export interface RedactionOptions {
  /** More member names whose values are secret; matched by words, like the built-in ones: `iban` also means `customerIban`. */
  readonly keys?: readonly string[];
  /** Literal secrets, replaced wherever they occur; at least `MIN_SECRET_VALUE_CHARS` each. */
  readonly values?: readonly string[];
  /** Shapes of secrets of your own; at most `MAX_CUSTOM_DETECTORS`. */
  readonly detectors?: readonly DetectorDefinition[];
}

export interface Redacted {
  /** The value as JSON with secrets replaced; shares nothing with the input. */
  readonly shown: Json;
  /** What was replaced and where; a pointer names members as they are shown. */
  readonly findings: readonly RedactionFinding[];
}

export interface Redactor {
  /**
   * The shown view of a captured value: secrets become `[redacted:kind]`, values that are not JSON a placeholder
   * (`[bytes:12]`, `[date ...]`, `[map:2]`; their content is not shown). Doing it twice equals doing it once.
   *
   * Any value will do: no getter, trap or `toJSON` is run (`[getter]`, `[proxy]`), what contains itself, is too deep or has too
   * many values is cut there (`[cycle]`, `[too deep]`, `[too many]`), and of an instance of a class its own members are shown.
   */
  redact(value: unknown): Redacted;
  /** The same for one text. */
  text(value: string): string;
}

/**
 * Makes a redactor with the built-in rules and those of `options`. Deterministic and without state a caller could see.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function createRedactor(options: RedactionOptions = {}): Redactor {
  const keys = parseKeys(options.keys ?? []);
  const values = parseValues(options.values ?? []);
  const text = textRules(detectorsFor(keys), values, customDetectors(options.detectors ?? []));
  const rules: Rules = { keys, values, text, plainNames: new Set() };
  return {
    redact(value) {
      const view = new View(rules);
      return { shown: view.any(withoutProxy(value)), findings: view.findings };
    },
    text: (value) => redactText(value, rules.text),
  };
}

interface Rules {
  readonly keys: readonly (readonly string[])[];
  readonly values: readonly string[];
  readonly text: TextRules;
  /** Names that are shown as they are and say of no value that it is a secret. The same few come with every call. */
  readonly plainNames: Set<string>;
}

const MAX_PLAIN_NAMES = 1000;
const MAX_PLAIN_NAME_CHARS = 64;

class View {
  readonly findings: RedactionFinding[] = [];
  readonly #rules: Rules;
  readonly #path: (string | number)[] = [];
  readonly #kinds: string[] = [];
  /** As deep as the path is bounded. */
  readonly #ancestors: object[] = [];
  readonly #noted = (kind: string): void => this.#note(kind);
  #nodes = MAX_SHOWN_NODES;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  any(value: unknown): Json {
    if (typeof value === 'string') return this.#text(value);
    if (typeof value === 'number') return this.#number(value);
    if (typeof value === 'boolean') return value;
    if (typeof value !== 'object' || value === null) return null;
    if (this.#path.length >= MAX_SHOWN_DEPTH) return '[too deep]';
    const text = typedPlaceholder(value);
    if (text !== undefined) return this.#text(text);
    if (this.#ancestors.includes(value)) return '[cycle]';
    this.#ancestors.push(value);
    const shown = this.#container(value);
    this.#ancestors.pop();
    return shown;
  }

  #container(value: object): Json {
    const names = Array.isArray(value) ? undefined : Object.keys(value);
    const size = names?.length ?? (value as readonly unknown[]).length;
    if (size > this.#nodes) return '[too many]';
    this.#nodes -= size;
    return names === undefined ? this.#array(readItems(value as readonly unknown[])) : this.#object(names, readValues(value, names));
  }

  #text(value: string): string {
    return redactText(value, this.#rules.text, this.#noted);
  }

  #number(value: number): Json {
    const { values } = this.#rules;
    if (values.length === 0 || !values.some((secret) => String(value).includes(secret))) return value;
    this.#note(VALUE_KIND);
    return placeholder(VALUE_KIND);
  }

  /** @param isPair - a name and what it stands for. */
  #array(items: readonly unknown[], isPair = false): Json[] {
    if (areNamesAndValues(items)) return this.#namesAndValues(items);
    const whole = this.#unsplit(items);
    const shown: Json[] = [];
    for (let i = 0; i < whole.length; i++) {
      this.#path.push(i);
      shown.push(this.#item(items, shown, whole[i], isPair));
      this.#path.pop();
    }
    const settled = this.#withoutPasswords(this.#settled(items, shown));
    // What is shown in place of something that is no JSON is a name too, for whoever reads the view.
    return areNamesAndValues(settled) ? this.#namesAndValues(settled) : settled;
  }

  #namesAndValues(items: readonly unknown[]): Json[] {
    return items.map((item, i) => this.#at(i, () => this.#array(readItems(item as readonly unknown[]), true)));
  }

  /** The next item of a list. A flag and its value are looked for in what is shown as well: a second look sees only that. */
  #item(items: readonly unknown[], shown: readonly Json[], item: unknown, isPair: boolean): Json {
    const i = shown.length;
    if (this.#isFlagValue(items[i - 1], items[i])) return this.#hidden();
    if (isPair && i === 1 && this.#isNamedSecret(shown[0], items[1])) return this.#hidden();
    const text = this.any(item);
    return text !== items[i] && this.#isFlagValue(shown[i - 1], text) ? this.#hidden() : text;
  }

  /** Replacing secrets may bring the pieces of another one together, so a list is looked at again until nothing is found. */
  #settled(items: readonly unknown[], first: Json[]): Json[] {
    let shown: readonly Json[] = first;
    if (first.every((item, i) => typeof item !== 'string' || item === items[i])) return first;
    for (let round = 0; round < MAX_SPLIT_ROUNDS; round++) {
      const again = this.#unsplit(shown);
      if (again === shown) return [...shown];
      shown = again.map((item, i) => (typeof item === 'string' ? this.#at(i, () => this.#text(item)) : (shown[i] as Json)));
    }
    return shown.map((item, i) => (typeof item === 'string' ? this.#at(i, () => this.#replaced(TEXT_KIND)) : item));
  }

  /** What is secret behind a certain command only. */
  #withoutPasswords(items: Json[]): Json[] {
    if (items.length < 2 || !items.every((item) => typeof item === 'string')) return items;
    const passwords = passwordsInCommand(items);
    if (passwords.size === 0) return items;
    return items.map((item, i) => {
      const from = passwords.get(i);
      return from === undefined ? item : item.slice(0, from) + this.#at(i, () => this.#replaced(COMMAND_PASSWORD.kind));
    });
  }

  #unsplit<Item>(items: readonly Item[]): readonly (Item | string)[] {
    return hideSplit(items, this.#rules.text, (item, kind) => this.#at(item, () => this.#note(kind))) as readonly (Item | string)[];
  }

  #at<T>(step: string | number, look: () => T): T {
    this.#path.push(step);
    const seen = look();
    this.#path.pop();
    return seen;
  }

  /** `['--password', 'hunter2']`: the arguments of a command line. */
  #isFlagValue(flag: unknown, value: unknown): boolean {
    if (typeof flag !== 'string' || typeof value !== 'string' || !flag.startsWith('--') || value.startsWith('-')) return false;
    return /^--[A-Za-z][\w-]{0,60}$/.test(flag) && isSecretName(flag, this.#rules.keys) && isWorthHiding(value);
  }

  /** `[['X-Api-Key', '...'], ...]`: the entries of a `Headers` object or a map. */
  #isNamedSecret(name: unknown, value: unknown): boolean {
    const named = typeof name === 'string' ? redactText(name, this.#rules.text) : '';
    return isSecretMember(named, asShown(value), this.#rules.keys) && isWorthHiding(value);
  }

  /** @param own - its names, in the order of its items. */
  #object(own: readonly string[], items: readonly unknown[]): Json {
    const names = this.#names(own);
    const isPair = names.some((name) => VALUE_NAMES.has(name)) && this.#namesSecret(items, names);
    const { keys, plainNames } = this.#rules;
    const shown: { [name: string]: Json } = {};
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      const item = items[i];
      this.#path.push(name);
      const secret = (!plainNames.has(name) && isSecretMember(name, asShown(item), keys)) || (isPair && VALUE_NAMES.has(name));
      addMember(shown, name, secret ? this.#secret(item) : this.any(item));
      this.#path.pop();
    }
    return shown;
  }

  /** Names as shown. They may be secrets too; replaced ones are numbered where they would collide. */
  #names(own: readonly string[]): readonly string[] {
    let changed = false;
    const shown = own.map((name) => {
      const text = this.#name(name);
      changed ||= text !== name;
      return text;
    });
    if (!changed) return own;
    const taken = new Set(own.filter((name, i) => name === shown[i]));
    const next = new Map<string, number>();
    return shown.map((name, i) => {
      if (name === own[i]) return name;
      let unique = name;
      for (let number = next.get(name) ?? 1; taken.has(unique); number++) {
        unique = `${name}#${number + 1}`;
        next.set(name, number + 1);
      }
      taken.add(unique);
      return unique;
    });
  }

  #name(name: string): string {
    const { plainNames, keys } = this.#rules;
    if (plainNames.has(name)) return name;
    const text = this.#text(name);
    if (text === name && keys.length === 0 && name.length <= MAX_PLAIN_NAME_CHARS && isPlainName(name)) {
      // Whoever sends many names makes us forget them, and pays for each.
      if (plainNames.size >= MAX_PLAIN_NAMES) plainNames.clear();
      plainNames.add(name);
    }
    return text;
  }

  /** `{ name: 'X-Api-Key', value: '...' }`: header and environment lists name the secret in a member of its own. */
  #namesSecret(items: readonly unknown[], names: readonly string[]): boolean {
    return items.some((item, i) => {
      if (!NAME_NAMES.has(names[i] ?? '')) return false;
      const named = asShown(item);
      return typeof named === 'string' && isSecretName(redactText(named, this.#rules.text), this.#rules.keys);
    });
  }

  /** The value of a member named as a secret. A word in place of a cut is judged too, as a second look would. */
  #secret(item: unknown): Json {
    if (isWorthHiding(item)) return this.#hidden();
    const shown = this.any(item);
    return isWorthHiding(shown) ? this.#hidden() : shown;
  }

  #hidden(): string {
    return this.#replaced(KEY_NAME_KIND);
  }

  #replaced(kind: string): string {
    this.#note(kind);
    return placeholder(kind);
  }

  #note(kind: string): void {
    const isKnown = this.#kinds.includes(kind);
    if (isKnown && this.findings.length >= MAX_FINDINGS) return;
    if (!isKnown) this.#kinds.push(kind);
    const pointer = pointerText(this.#path);
    const last = this.findings.at(-1);
    if (last?.kind !== kind || last.pointer !== pointer) this.findings.push({ kind, pointer });
  }
}

/** Members that hold a name, and what it stands for: in headers, environments, tags and parameters of clouds. */
const NAME_NAMES: ReadonlySet<string> = new Set(['name', 'key', 'Name', 'Key', 'ParameterKey', 'OptionName']);
const VALUE_NAMES: ReadonlySet<string> = new Set(['value', 'Value', 'ParameterValue', 'OptionValue']);

function areNamesAndValues(items: readonly unknown[]): boolean {
  return items.length > 0 && items.every((item) => Array.isArray(item) && item.length === 2 && typeof readItems(item)[0] === 'string');
}

/** A date or a URL is judged as the text it is shown as: on a second pass it is that text. */
function asShown(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (typedPlaceholder(value) ?? value) : value;
}

/**
 * Booleans, nulls, empty containers and empty words stay under any name: they tell policy something and thieves nothing.
 *
 * @param seen - containers that were looked into.
 */
function isWorthHiding(value: unknown, seen: Set<object> = new Set(), depth = 0): boolean {
  if (typeof value === 'string') return !isHarmlessValue(value) && !isPlaceholder(value);
  if (typeof value === 'number') return true;
  if (typeof value !== 'object' || value === null || seen.has(value)) return false;
  // What is too deep or too long to look into is hidden rather than shown.
  if (typedPlaceholder(value) !== undefined || depth > MAX_SHOWN_DEPTH) return true;
  seen.add(value);
  if (!Array.isArray(value)) return readValues(value, Object.keys(value)).some((item) => isWorthHiding(item, seen, depth + 1));
  return value.length > MAX_SHOWN_NODES || readItems(value).some((item) => isWorthHiding(item, seen, depth + 1));
}

function parseKeys(keys: readonly string[]): readonly (readonly string[])[] {
  checkCount('keys', keys);
  return keys.map((key, i) => {
    const words = typeof key === 'string' ? nameWords(key) : [];
    if (words.length === 0) throw invalid(`redaction.keys[${i}]: expected a name with at least one letter or digit`);
    return words;
  });
}

function parseValues(values: readonly string[]): readonly string[] {
  checkCount('values', values);
  for (const [i, value] of values.entries()) {
    // The message names the position, never the value: it is a secret.
    if (typeof value !== 'string' || value.length < MIN_SECRET_VALUE_CHARS || value.length > MAX_SECRET_VALUE_CHARS) {
      throw invalid(`redaction.values[${i}]: expected a string of ${MIN_SECRET_VALUE_CHARS} to ${MAX_SECRET_VALUE_CHARS} characters`);
    }
    if (!value.isWellFormed()) throw invalid(`redaction.values[${i}]: holds a lone surrogate`);
    if (REDACTION_KINDS.some((kind) => placeholder(kind).includes(value))) {
      throw invalid(`redaction.values[${i}]: occurs in a placeholder such as ${placeholder(VALUE_KIND)}; choose the secret itself`);
    }
  }
  return [...new Set(values)];
}

function checkCount(name: string, list: readonly string[]): void {
  if (!Array.isArray(list) || list.length > MAX_REDACTION_OPTIONS) {
    throw invalid(`redaction.${name}: expected a list of at most ${MAX_REDACTION_OPTIONS}`);
  }
}

function invalid(message: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', message);
}
