/** JSON that everybody reads alike: a name given twice would mean the first to one reader and the last to another. */

const MAX_DEPTH = 64;

/** The value of UTF-8 JSON; undefined when it is none, names a member twice, or is nested deeper than 64 levels. */
export function strictJson(bytes: Uint8Array): { readonly value: unknown } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return isUnambiguous(text) ? { value } : undefined;
  } catch {
    return undefined;
  }
}

/** Strings, and what opens, closes or separates: of valid JSON nothing else matters for its names. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** @param text - JSON that parses. */
function isUnambiguous(text: string): boolean {
  // The names of each open object; undefined for a list.
  const open: (Set<string> | undefined)[] = [];
  let before = '';
  for (const [token] of text.matchAll(TOKEN)) {
    const names = open.at(-1);
    // A string right after `{` or `,` of an object is a name; it may be spelled in more than one way.
    if (token.startsWith('"') && names !== undefined && (before === '{' || before === ',')) {
      const name: unknown = JSON.parse(token);
      if (typeof name !== 'string' || names.has(name)) return false;
      names.add(name);
    }
    if (token === '{' || token === '[') {
      if (open.push(token === '{' ? new Set() : undefined) > MAX_DEPTH) return false;
    }
    if (token === '}' || token === ']') open.pop();
    before = token;
  }
  return true;
}
