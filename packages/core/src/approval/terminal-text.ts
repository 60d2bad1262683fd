/**
 * Text from an agent, a server or a ledger, made safe to show on a terminal.
 *
 * Whoever controls the text may try to move the cursor, colour or erase what stands there, reverse the reading order
 * (U+202E), hide characters (zero width, tags, fillers), bury a line under combining marks, or pass one letter off as another.
 * Each such character (`deceiving.ts`) is written out as `\u{202e}`. A text that spells such an escape itself stays as it is:
 * what is shown is for people, and nothing reads it back.
 */
import { textPieces } from './deceiving.ts';

const CUT = '…';
const SPACE = '\\u{20}';

/** One line, whatever the text holds: newlines are escaped as well. */
export function escapeForTerminal(text: string): string {
  return respelled(text, spelled);
}

/** Spaces at the ends, and all but the first of several: nobody sees how many there are, and a page shows one. */
const UNSEEN_SPACE = /^ +| +$|(?<= ) +/g;

/**
 * A name, in one line, as no other one is shown: a name that spells an escape itself is told from one that holds the character, and
 * spaces that nobody would count are spelled.
 *
 * @param maxChars - of a longer one the start, its length, and `whole`, which says where all of it can be read.
 */
export function nameText(text: string, maxChars: number, whole: string): string {
  const escaped = escapeForTerminal(text.replaceAll('\\u{', '\\u{5c}u{')).replace(UNSEEN_SPACE, (spaces) => SPACE.repeat(spaces.length));
  const shown = clip(escaped, maxChars);
  return shown === escaped ? shown : `${shown} (cut: ${text.length} characters; ${whole})`;
}

/** Several lines: newlines stay, everything else is escaped. Every line but the first is indented, so that none can pass for one of ours. */
export function escapeLines(text: string, indent = '  '): string {
  return text.split('\n').map(escapeForTerminal).join(`\n${indent}`);
}

/**
 * JSON text whose strings hold no unsafe character: the same value, spelled with `\u202e`.
 *
 * @param json - JSON. Outside of strings it must hold no other space than ASCII; what `JSON.stringify` writes does not.
 */
export function escapeJson(json: string): string {
  return respelled(json, (character) => (character === '\n' ? character : jsonSpelled(character)));
}

/** At most `maxChars` code points of an escaped text, the last one `…` when something was left out. */
export function clip(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text;
  const characters = Array.from(text);
  return characters.length <= maxChars ? text : `${characters.slice(0, Math.max(0, maxChars - 1)).join('')}${CUT}`;
}

function respelled(text: string, spell: (character: string) => string): string {
  return textPieces(text)
    .map((piece) => (piece.isOdd ? spell(piece.text) : piece.text))
    .join('');
}

function spelled(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

function jsonSpelled(character: string): string {
  let text = '';
  for (let i = 0; i < character.length; i++) text += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  return text;
}
