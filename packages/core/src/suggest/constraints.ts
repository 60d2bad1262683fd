/** From what was seen of a tool's arguments to a condition that held for all of it. */
import { MAX_VALUES, type ObservedArgument, type ObservedTool } from './observed.ts';

/** Before a list of values is taken for all there are, each was seen about so often. */
const CALLS_PER_VALUE = 3;
/** A maximum seen is rounded up by about this much. */
const MARGIN = 1.25;
const SIMPLE_KEY = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** Words of CEL that may not follow a dot. */
const RESERVED: ReadonlySet<string> = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);
const PLAIN_VALUE = /^[\x20-\x7e]{1,120}$/;

/** CEL; undefined when nothing but the name of the tool can be said. */
export function conditionFor({ count, args }: ObservedTool): string | undefined {
  const parts: string[] = [];
  for (const [key, seen] of [...args].toSorted(([left], [right]) => (left < right ? -1 : 1))) {
    if (!SIMPLE_KEY.test(key) || RESERVED.has(key)) continue;
    const constraint = constraintOn(`args.${key}`, seen, count);
    if (constraint === undefined) continue;
    parts.push(seen.count === count ? `has(args.${key}) && ${constraint}` : `(!has(args.${key}) || (${constraint}))`);
  }
  return parts.length === 0 ? undefined : parts.join(' && ');
}

function constraintOn(name: string, seen: ObservedArgument, calls: number): string | undefined {
  const [type, ...others] = seen.types;
  if (seen.hasSecrets || others.length > 0) return undefined;
  if (type === 'number') return numberConstraint(name, seen);
  if (type === 'boolean') return seen.values.size === 1 && calls >= CALLS_PER_VALUE ? `${name} == ${[...seen.values].join('')}` : undefined;
  return type === 'string' ? textConstraint(name, seen) : undefined;
}

function textConstraint(name: string, { values, count, folder, hosts }: ObservedArgument): string | undefined {
  if (hosts !== undefined && hosts.size <= MAX_VALUES) return `url(${name}).host in ${list([...hosts])}`;
  if (folder !== undefined) return folder.length === 0 ? undefined : pathConstraint(name, `/${folder.join('/')}`);
  const isChoice = values.size <= MAX_VALUES && count >= values.size * CALLS_PER_VALUE;
  if (!isChoice || ![...values].every((value) => typeof value === 'string' && PLAIN_VALUE.test(value) && !value.endsWith('...')))
    return undefined;
  return values.size === 1 ? `${name} == ${quoted(String([...values][0]))}` : `${name} in ${list([...values].map(String))}`;
}

function pathConstraint(name: string, folder: string): string | undefined {
  return PLAIN_VALUE.test(folder) ? `path.within(${name}, ${quoted(folder)})` : undefined;
}

function numberConstraint(name: string, { least, most }: ObservedArgument): string | undefined {
  if (!Number.isFinite(least) || !Number.isFinite(most)) return undefined;
  return `${name} <= ${roundedUp(most)}${least >= 0 ? ` && ${name} >= 0` : ''}`;
}

/** With a margin, to one or two digits: 412 gives 520, 3 gives 4. */
export function roundedUp(most: number): string {
  if (most <= 0) return '0';
  const wanted = most * MARGIN;
  const step = 10 ** Math.max(0, Math.floor(Math.log10(wanted)) - 1);
  const rounded = Math.ceil(wanted / step) * step;
  return Number.isSafeInteger(rounded) ? String(rounded) : String(most);
}

function list(values: readonly string[]): string {
  return `[${values.toSorted().map(quoted).join(', ')}]`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
