/**
 * JSON that everybody reads alike: a name given twice would mean the first to one reader and the last to another, `__proto__`
 * is dropped by some, and a number that no double holds is another one once it was read. What somebody signed or typed must
 * be what runs.
 */
import { isLossyNumber } from './ledger/decimal.ts';

const MAX_DEPTH = 64;

/**
 * The value of UTF-8 JSON; undefined when it is none, or when others could read it as something else.
 *
 * @param maxDepth - deepest nesting that is taken; default 64 levels.
 */
export function strictJson(bytes: Uint8Array, maxDepth: number = MAX_DEPTH): { readonly value: unknown } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return isUnambiguous(text, maxDepth) ? { value } : undefined;
  } catch {
    return undefined;
  }
}

/** Strings, numbers, and what opens, closes or separates: of valid JSON nothing else can be ambiguous. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[{}[\],:]/g;

/** @param text - JSON that parses. */
function isUnambiguous(text: string, maxDepth: number): boolean {
  // The names of each open object; undefined for a list.
  const open: (Set<string> | undefined)[] = [];
  let before = '';
  for (const [token] of text.matchAll(TOKEN)) {
    const names = open.at(-1);
    const isName = token.startsWith('"') && names !== undefined && (before === '{' || before === ',');
    if (isName && !takesName(token, names)) return false;
    if (/^[-\d]/.test(token) && isLossyNumber(token)) return false;
    if (token === '{' || token === '[') {
      if (open.push(token === '{' ? new Set() : undefined) > maxDepth) return false;
    }
    if (token === '}' || token === ']') open.pop();
    before = token;
  }
  return true;
}

/** A string right after `{` or `,` of an object is a name; it may be spelled in more than one way. */
function takesName(token: string, names: Set<string>): boolean {
  const name: unknown = JSON.parse(token);
  if (typeof name !== 'string' || name === '__proto__' || names.has(name)) return false;
  names.add(name);
  return true;
}
