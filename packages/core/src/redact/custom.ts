import { CountersignError } from '../errors.ts';
import { placeholder } from './detector.ts';
import { type LinearPattern, linearPattern } from './linear-pattern.ts';
import { REDACTION_KINDS } from './rules.ts';

export const MAX_CUSTOM_DETECTORS = 50;
export const MAX_KEYWORDS = 20;
const MAX_KEYWORD_CHARS = 100;
/** Of one detector in one text; what follows the last is replaced whole, for a search for each would not be linear any more. */
const MAX_MATCHES = 1000;

/** One `redaction.detectors` item. */
export interface DetectorDefinition {
  /** Goes into `[redacted:kind]`: lower-case letters, digits and hyphens, at most 40. */
  readonly kind: string;
  /** A regular expression in RE2's syntax, searched for anywhere; at most 500 characters. */
  readonly pattern: string;
  /** The group of the pattern that is the secret; the whole match (0) when absent. */
  readonly group?: number | undefined;
  /** One of these must stand in a text, exactly so, or the pattern is not tried: a literal search is a hundred times faster. */
  readonly keywords?: readonly string[] | undefined;
}

/** What is wrong with a definition, and where. */
export interface DetectorFault {
  readonly path: readonly string[];
  readonly message: string;
}

export interface CustomDetector {
  readonly kind: string;
  /** Tells every place of a secret, from left to right. */
  find(text: string, found: (start: number, end: number) => void): void;
}

/**
 * Detectors of the user's own.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`, naming the first fault by its place.
 */
export function customDetectors(definitions: readonly DetectorDefinition[]): readonly CustomDetector[] {
  const [fault] = detectorFaults(definitions);
  if (fault !== undefined)
    throw new CountersignError('OPTIONS_INVALID', `redaction.detectors${fault.path.map((step) => `.${step}`).join('')}: ${fault.message}`);
  return definitions.map((definition) => {
    const pattern = linearPattern(definition.pattern);
    if ('fault' in pattern) throw new CountersignError('OPTIONS_INVALID', `redaction.detectors: the pattern ${pattern.fault}`);
    return detector(definition, pattern);
  });
}

/** Everything that is wrong with a list of definitions; each path starts with the position in the list. */
export function detectorFaults(definitions: readonly DetectorDefinition[]): readonly DetectorFault[] {
  if (!Array.isArray(definitions) || definitions.length > MAX_CUSTOM_DETECTORS)
    return [{ path: [], message: `expected a list of at most ${MAX_CUSTOM_DETECTORS}` }];
  const all: readonly DetectorDefinition[] = definitions;
  const kinds = [...REDACTION_KINDS, ...all.map((definition) => definition.kind).filter(isKind)];
  return all.flatMap((definition, i) => faultsOf(definition, kinds).map((fault) => ({ ...fault, path: [String(i), ...fault.path] })));
}

function faultsOf(
  { kind, pattern: source, group = 0, keywords = [] }: DetectorDefinition,
  kinds: readonly string[],
): readonly DetectorFault[] {
  const faults: DetectorFault[] = [];
  if (!isKind(kind)) faults.push({ path: ['kind'], message: 'use lower-case letters, digits and hyphens, at most 40' });
  if (!Array.isArray(keywords) || keywords.length > MAX_KEYWORDS || !keywords.every(isKeyword))
    faults.push({ path: ['keywords'], message: `expected at most ${MAX_KEYWORDS} texts of 1 to ${MAX_KEYWORD_CHARS} characters` });
  const pattern = typeof source === 'string' ? linearPattern(source) : { fault: 'must be a text' };
  if ('fault' in pattern) return [...faults, { path: ['pattern'], message: `the pattern ${pattern.fault}` }];
  if (!Number.isInteger(group) || group < 0 || group > pattern.groups)
    return [...faults, { path: ['group'], message: `the pattern has the groups 0 to ${pattern.groups}` }];
  if (pattern.test('')) faults.push({ path: ['pattern'], message: 'the pattern matches the empty text; say what a secret has at least' });
  // Else every replacement would be found again, and redacting twice would not be redacting once.
  else if (kinds.some((each) => pattern.test(placeholder(each)) || pattern.test(` ${placeholder(each)} `)))
    faults.push({
      path: ['pattern'],
      message: `the pattern matches inside a placeholder such as ${placeholder(kinds.at(-1) ?? 'jwt')}; make it more exact`,
    });
  return faults;
}

function isKind(kind: unknown): kind is string {
  return typeof kind === 'string' && /^[a-z0-9-]{1,40}$/.test(kind);
}

function isKeyword(keyword: unknown): boolean {
  return typeof keyword === 'string' && keyword !== '' && keyword.length <= MAX_KEYWORD_CHARS;
}

function detector({ kind, group = 0, keywords = [] }: DetectorDefinition, pattern: LinearPattern): CustomDetector {
  return {
    kind,
    find(text, found) {
      if (keywords.length > 0 && !keywords.some((keyword) => text.includes(keyword))) return;
      let count = 0;
      pattern.matches(text, group, (start, end) => {
        count += 1;
        if (count > MAX_MATCHES) found(start, text.length);
        else if (end > start) found(start, end);
        return count <= MAX_MATCHES;
      });
    },
  };
}
