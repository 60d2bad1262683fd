/** Turning what zod says into sentences, and all problems of a file into one error. */
import type * as z from 'zod';
import { CountersignError, type ErrorCode } from '../errors.ts';
import { redactText } from '../redact/scan.ts';
import type { Path, Problem, YamlText } from './document.ts';
import { didYouMean } from './nearest.ts';
import { configSchema } from './schema.ts';

/** Problems listed in one message; the rest are counted. */
const MAX_LISTED = 50;

/**
 * The problems behind one issue of a schema: an issue of unknown keys names several.
 *
 * @param root - the schema; absent = that of a configuration.
 */
export function schemaProblems(issue: z.core.$ZodIssue, yaml: YamlText, root: unknown = configSchema): readonly Problem[] {
  const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(path, root);
    return issue.keys.map((key) => ({
      path: [...path, key],
      message: `unknown key ${shownKey(key)}${didYouMean(key, known)}`,
      ...yaml.keyPlace([...path, key]),
    }));
  }
  if (issue.code === 'invalid_union') {
    const meant = meantBranch(issue.errors, valueAt(yaml.value, path));
    if (meant !== undefined)
      return meant.flatMap((inner) => schemaProblems({ ...inner, path: [...issue.path, ...inner.path] }, yaml, root));
  }
  return [{ path, message: sentence(issue, valueAt(yaml.value, path)), ...yaml.place(path) }];
}

/** Of several allowed shapes the one that was meant: it came furthest. Undefined when none got further than its type. */
function meantBranch(branches: readonly (readonly z.core.$ZodIssue[])[], value: unknown): readonly z.core.$ZodIssue[] | undefined {
  const isObject = typeof value === 'object';
  const isOther = ({ code, path }: z.core.$ZodIssue): boolean =>
    path.length === 0 && (code === 'invalid_type' || (isObject && code === 'invalid_value'));
  const tried = branches.filter((issues) => !issues.some(isOther));
  const begun = tried.filter((issues) => !issues.some(({ path }) => path.length === 1 && valueAt(value, path.map(String)) === undefined));
  if (begun.length > 0) return begun.toSorted((left, right) => depthOf(right) - depthOf(left))[0];
  // None of the shapes has its key: what stands there instead is all that can be said.
  const unknown = tried.flat().find(({ code }) => code === 'unrecognized_keys');
  return unknown === undefined ? tried[0] : [unknown];
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(...issues.map(({ code, path }) => (code === 'unrecognized_keys' ? path.length + 1 : path.length)));
}

/** @param name - the file as the user wrote it, or `configuration`. */
export function configError(name: string, problems: readonly Problem[]): CountersignError {
  return problemsError('CONFIG_INVALID', name, problems);
}

/** One error that lists the problems in the order of the file. */
export function problemsError(code: ErrorCode, name: string, problems: readonly Problem[]): CountersignError {
  const sorted = [...problems].sort((left, right) => left.line - right.line || left.column - right.column);
  const listed = sorted.slice(0, MAX_LISTED).map(({ path, message, line, column }) => `  ${line}:${column} ${formatPath(path)}${message}`);
  if (sorted.length > MAX_LISTED) listed.push(`  ... and ${sorted.length - MAX_LISTED} more`);
  const first = sorted[0];
  const count = sorted.length === 1 ? '1 problem' : `${sorted.length} problems`;
  return new CountersignError(code, `${name}: ${count}\n${listed.join('\n')}`, {
    details: { problems: sorted.length, line: first?.line ?? 1, column: first?.column ?? 1 },
  });
}

/** A key as a message has it. A secret that was written where its name belongs (`token: { xoxb-... }`) is a key too. */
export function shownKey(key: string, maxChars?: number): string {
  return JSON.stringify(redactText(key).slice(0, maxChars));
}

function formatPath(path: Path): string {
  if (path.length === 0) return '';
  const steps = path.map((step, index) => {
    if (typeof step === 'number') return `[${step}]`;
    const key = redactText(step);
    if (!/^[\w-]+$/.test(key)) return `[${JSON.stringify(key)}]`;
    return index === 0 ? key : `.${key}`;
  });
  return `${steps.join('')}: `;
}

function sentence(issue: z.core.$ZodIssue, value: unknown): string {
  if (value === undefined && (issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union'))
    return 'required, but missing';
  if (issue.code === 'invalid_type') {
    return `expected ${issue.expected === 'record' ? 'object' : issue.expected}, got ${kindOf(value)}${quoteHint(issue.expected, value)}`;
  }
  if (issue.code === 'invalid_value') {
    const options = issue.values.map(String);
    const suggestion = typeof value === 'string' ? didYouMean(value, options) : '';
    return `must be ${options.length === 1 ? options[0] : `one of ${options.join(', ')}`}${suggestion}`;
  }
  const isNumber = 'origin' in issue && (issue.origin === 'number' || issue.origin === 'int');
  if (issue.code === 'too_big') return `too ${isNumber ? 'large' : 'long'}: at most ${issue.maximum}`;
  if (issue.code === 'too_small') return isNumber ? `too small: at least ${issue.minimum}` : 'may not be empty';
  return issue.message.slice(0, 1).toLowerCase() + issue.message.slice(1);
}

function quoteHint(expected: string, value: unknown): string {
  return expected === 'string' && (typeof value === 'number' || typeof value === 'boolean') ? ': put it in quotes' : '';
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'list';
  return typeof value;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = Reflect.get(at, step);
  }
  return at;
}

/** The keys the schema knows at a path. */
function knownKeys(path: Path, root: unknown): readonly string[] {
  let schema: unknown = root;
  for (const step of path) {
    schema = branch(unwrap(schema), step);
    if (hasShape(schema) && typeof step === 'string') schema = new Map(Object.entries(schema.shape)).get(step);
    else if (hasMember(schema, 'element')) schema = schema.element;
    else if (hasMember(schema, 'valueType')) schema = schema.valueType;
    else return [];
  }
  return branches(unwrap(schema)).flatMap((shape) => (hasShape(shape) ? Object.keys(shape.shape) : []));
}

/** Of a union the shape that knows this key. */
function branch(schema: unknown, step: string | number): unknown {
  return branches(schema).find((shape) => hasShape(shape) && Object.hasOwn(shape.shape, step)) ?? schema;
}

function branches(schema: unknown): readonly unknown[] {
  return hasMember(schema, 'options') && Array.isArray(schema.options)
    ? schema.options.flatMap((option) => branches(unwrap(option)))
    : [schema];
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (hasMember(inner, 'unwrap') && typeof inner.unwrap === 'function' && !hasMember(inner, 'element')) inner = inner.unwrap();
  return inner;
}

function hasShape(schema: unknown): schema is { readonly shape: Readonly<Record<string, unknown>> } {
  return hasMember(schema, 'shape') && typeof schema.shape === 'object' && schema.shape !== null;
}

function hasMember<Key extends string>(value: unknown, key: Key): value is Readonly<Record<Key, unknown>> {
  return typeof value === 'object' && value !== null && key in value;
}
