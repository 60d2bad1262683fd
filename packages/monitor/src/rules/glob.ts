/**
 * Patterns of names as Python's `fnmatch` has them, which the predecessor used: `*` is anything, slashes too, `?` one character,
 * `[abc]`, `[a-z]` and `[!abc]` one of a set. Written by whoever wrote the scope; the names are hostile, so the time grows with
 * pattern times name at worst.
 */

interface Token {
  readonly kind: 'text' | 'one' | 'many' | 'set';
  readonly text: string;
  readonly negated: boolean;
}

export type Glob = (name: string) => boolean;

export function compileGlob(pattern: string): Glob {
  if (!/[*?[]/.test(pattern)) return (name) => name === pattern;
  const tokens = tokensOf(pattern);
  return (name) => matches(tokens, name);
}

function tokensOf(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? '';
    if (character === '*') {
      if (tokens.at(-1)?.kind !== 'many') tokens.push({ kind: 'many', text: '', negated: false });
    } else if (character === '?') tokens.push({ kind: 'one', text: '', negated: false });
    else if (character === '[') {
      const end = endOfSet(pattern, at);
      if (end < 0) tokens.push({ kind: 'text', text: '[', negated: false });
      else {
        const inner = pattern.slice(at + 1, end);
        const negated = inner.startsWith('!');
        tokens.push({ kind: 'set', text: negated ? inner.slice(1) : inner, negated });
        at = end;
      }
    } else tokens.push({ kind: 'text', text: character, negated: false });
  }
  return tokens;
}

/** A `]` that comes first, or right after `!`, is one of the set. */
function endOfSet(pattern: string, start: number): number {
  let at = start + 1;
  if (pattern[at] === '!') at++;
  if (pattern[at] === ']') at++;
  return pattern.indexOf(']', at);
}

function matches(tokens: readonly Token[], name: string): boolean {
  let token = 0;
  let at = 0;
  let star = -1;
  let retry = 0;
  while (at < name.length) {
    const current = tokens[token];
    if (current?.kind === 'many') {
      star = token++;
      retry = at;
    } else if (current !== undefined && isOne(current, name[at] ?? '')) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++retry;
    } else return false;
  }
  while (tokens[token]?.kind === 'many') token++;
  return token === tokens.length;
}

function isOne({ kind, text, negated }: Token, character: string): boolean {
  if (kind === 'one') return true;
  if (kind === 'text') return text === character;
  return inSet(text, character) !== negated;
}

function inSet(set: string, character: string): boolean {
  for (let at = 0; at < set.length; at++) {
    const low = set[at] ?? '';
    if (set[at + 1] === '-' && at + 2 < set.length) {
      if (character >= low && character <= (set[at + 2] ?? '')) return true;
      at += 2;
    } else if (low === character) return true;
  }
  return false;
}
