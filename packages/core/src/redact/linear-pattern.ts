import { RE2JS } from 're2js';

/** Longest pattern, in characters. */
export const MAX_PATTERN_CHARS = 500;
/** Instructions it may compile to: a search takes at most so many steps for each character. */
export const MAX_PATTERN_SIZE = 2000;

/** A regular expression in RE2's syntax, which has no backreferences and no lookaround: no text makes a search hang. */
export interface LinearPattern {
  readonly groups: number;
  test(text: string): boolean;
  /** Calls back for each match, from left to right, until told `false`. A group that took no part is left out. */
  matches(text: string, group: number, found: (start: number, end: number) => boolean): void;
}

/** Compiles a pattern, or says in a few words, without quoting it, what is wrong with it. */
export function linearPattern(source: string): LinearPattern | { readonly fault: string } {
  if (source === '' || source.length > MAX_PATTERN_CHARS) return { fault: `must have 1 to ${MAX_PATTERN_CHARS} characters` };
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(source);
  } catch (error) {
    return { fault: `is no regular expression of RE2 (${reason(error)})` };
  }
  if (compiled.programSize() > MAX_PATTERN_SIZE) return { fault: 'is too large once its repetitions are written out; repeat less' };
  return {
    groups: compiled.groupCount(),
    test: (text) => compiled.matcher(text).find(),
    matches(text, group, found) {
      const matcher = compiled.matcher(text);
      while (matcher.find()) {
        const start = matcher.start(group);
        if (start >= 0 && !found(start, matcher.end(group))) return;
      }
    },
  };
}

/** The engine's messages are `error parsing regexp: <what>: <the part of the pattern>`; the part may be long. */
function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : 'unreadable';
  return (/error parsing regexp: ([a-z ,()`\\\-/]{1,80})/i.exec(text)?.[1] ?? 'not understood').trim().replace(/:$/, '');
}
