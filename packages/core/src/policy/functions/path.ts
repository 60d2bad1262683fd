/**
 * `path.*`: what a path names.
 *
 * | function                              | gives                                                                  |
 * |---------------------------------------|------------------------------------------------------------------------|
 * | `path.within(p, '/data')`             | whether it is that folder or below it, as spelled and once links are followed |
 * | `path.matches(p, ['**\/.ssh/**', '*.pem'])` | whether one of the patterns matches it, likewise                  |
 * | `path.name(p)`                        | its last segment as spelled, `report.pdf`                              |
 * | `path.extension(p)`                   | `.pdf`, in lower case; '' when there is none                           |
 *
 * A relative path, or a relative root such as `.`, is relative to the root that the configuration declares for the tool's
 * server. Which code will open the path is not known, so a path has several readings (see `path/spelling.ts`), and an
 * answer is given only where all of them agree: a link that leads out of `/data` is a fault, not false, because
 * a deny rule has to hold as well as an allow rule. What the disk said is recorded.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { ConditionFault } from '../condition-value.ts';
import { CHARS_PER_STEP, currentEvaluation, spend } from '../evaluation.ts';
import { isOn, type LiteralCheck, literalText, literalTexts } from './literals.ts';
import { realDisk } from './path/disk.ts';
import { type PathPattern, pathPattern, pathPatternFault } from './path/glob.ts';
import { isWithin, lastName, matchesAny, type PathWorld } from './path/places.ts';
import { spellingOf } from './path/spelling.ts';

export const PATH_WORDS: readonly string[] = ['path'];

/** Most patterns of one call of `path.matches`. */
const MAX_PATTERNS = 256;
/** Looking at a segment on disk, in steps. */
const STEPS_PER_SEGMENT = 10;

/** The type of `path`: a namespace, of which there is one value. */
class PathFunctions {}

export function registerPath(environment: Environment): void {
  environment.registerType('PathFunctions', PathFunctions);
  environment.registerConstant('path', 'PathFunctions', new PathFunctions());
  environment.registerFunction('PathFunctions.within(string, string): bool', (_path: PathFunctions, text: string, root: string) => {
    spendOn(text);
    spendOn(root);
    return isWithin(text, root, worldOfCall());
  });
  environment.registerFunction(
    'PathFunctions.matches(string, list<string>): bool',
    (_path: PathFunctions, text: string, patterns: readonly string[]) => matches(text, patterns),
  );
  environment.registerFunction('PathFunctions.matches(string, string): bool', (_path: PathFunctions, text: string, pattern: string) =>
    matches(text, [pattern]),
  );
  environment.registerFunction('PathFunctions.name(string): string', (_path: PathFunctions, text: string) => {
    spend(1 + text.length / CHARS_PER_STEP);
    return lastName(text, process.platform);
  });
  environment.registerFunction('PathFunctions.extension(string): string', (_path: PathFunctions, text: string) => {
    spend(1 + text.length / CHARS_PER_STEP);
    const name = lastName(text, process.platform);
    const dot = name.lastIndexOf('.');
    return dot <= 0 ? '' : name.slice(dot).toLowerCase();
  });
}

export const checkPathLiterals: LiteralCheck = (call) => {
  if (!isOn(call, 'path')) return undefined;
  const [, second] = call.args;
  if (call.name === 'within') {
    const root = literalText(second);
    return root === undefined ? undefined : rootFault(root);
  }
  if (call.name !== 'matches') return undefined;
  for (const source of literalTexts(second)) {
    const fault = pathPatternFault(source);
    if (fault !== undefined) return `the pattern ${JSON.stringify(source)} of path.matches() ${fault}`;
  }
  return undefined;
};

function rootFault(root: string): string | undefined {
  try {
    spellingOf(root, process.platform);
    return undefined;
  } catch {
    return `the folder ${JSON.stringify(root)} of path.within() must be written out, such as '/srv/data', or '.' for the declared root`;
  }
}

function matches(text: string, sources: readonly string[]): boolean {
  spendOn(text);
  if (sources.length > MAX_PATTERNS) throw new ConditionFault(`path.matches() takes at most ${MAX_PATTERNS} patterns`);
  const patterns = sources.map(patternOf);
  for (const { cost } of patterns) spend(cost);
  return matchesAny(text, patterns, worldOfCall());
}

/** Patterns are written in rules, so there are few; those that an agent brings are not kept beyond this. */
const MAX_KNOWN = 1000;
const known = new Map<string, PathPattern>();

function patternOf(source: string): PathPattern {
  const found = typeof source === 'string' ? (known.get(source) ?? pathPattern(source)) : undefined;
  if (found === undefined) throw new ConditionFault('path.matches() needs patterns such as "**/*.pem"');
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(source, found);
  return found;
}

function spendOn(text: string): void {
  let segments = 1;
  for (let at = text.indexOf('/'); at >= 0; at = text.indexOf('/', at + 1)) segments++;
  spend(segments * STEPS_PER_SEGMENT + text.length / CHARS_PER_STEP);
}

function worldOfCall(): PathWorld {
  const { input, lookups } = currentEvaluation();
  return {
    platform: process.platform,
    disk: realDisk,
    base: () => {
      const root = lookups.lookUp('root', input.tool.server ?? '', () => input.root ?? null);
      return typeof root === 'string' ? root : undefined;
    },
    lookUp: (path, read) => lookups.lookUp('path', path, read),
  };
}
