/** Longest pointer text; what is longer ends in an ellipsis. */
export const MAX_POINTER_CHARS = 256;

// Control, line-breaking and direction-changing characters: whoever chose a key must not steer a terminal or a log with it.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * RFC 6901 pointer for messages and findings, made safe to print: names are attacker-controlled, so control characters are
 * written as `\uXXXX` and the text is shortened to `MAX_POINTER_CHARS`. The root is `''`. Costs the same for any path.
 *
 * @param path - secrets in names are already replaced: here names are cut, and a cut secret is no longer recognised.
 */
export function pointerText(path: readonly (string | number)[]): string {
  let text = '';
  for (const step of path) {
    text += `/${typeof step === 'number' ? step : segment(step)}`;
    if (text.length > MAX_POINTER_CHARS) return `${text.slice(0, MAX_POINTER_CHARS - 1).toWellFormed()}…`;
  }
  return text;
}

function segment(key: string): string {
  const safe = key.slice(0, MAX_POINTER_CHARS).toWellFormed();
  return safe.replaceAll('~', '~0').replaceAll('/', '~1').replace(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
