/**
 * Terminal control in a text: what it makes a terminal do, as kinds. `colour`, `redraw` and `link` are what logs are full of;
 * the others hide text from whoever reads the terminal, or act on it.
 *
 * Linear: one pass over the escape sequences, each of bounded length.
 */

/** `conceal`: text nobody sees. `cursor`: writes over other lines. `clipboard`, `title`: set from outside. `control`: the rest. */
export type AnsiKind = 'clipboard' | 'colour' | 'conceal' | 'control' | 'cursor' | 'link' | 'redraw' | 'title';

/** Longest sequence that is taken for one, without its text. */
const MAX_STRING_CHARS = 4096;

// ESC or its 8-bit form, then: CSI, a string (OSC, DCS, APC, PM, SOS) up to its terminator, or a short escape.
const SEQUENCE = new RegExp(
  [
    '(?:\\u001b\\[|\\u009b)[0-?]{0,64}[ -/]{0,8}[@-~]',
    `(?:\\u001b[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u001b\\u009c]{0,${MAX_STRING_CHARS}}(?:\\u0007|\\u001b\\\\|\\u009c)?`,
    '\\u001b[ -/]{0,4}[0-~]',
    '\\u001b',
    '[\\u0080-\\u0084\\u0086-\\u009f]',
  ].join('|'),
  'g',
);
/** Whether there is anything to look at. */
const ESCAPE = /[\u001b\u0080-\u0084\u0086-\u009f\b]/;
/** Backspaces over what was written: `safe\b\b\b\bevil`. Manual pages use one at a time, for bold. */
const OVERSTRIKES = /\b[^\b\n]{0,4}\u0008{2,}/;

/** @returns kinds, sorted, each once. */
export function findAnsi(text: string): readonly AnsiKind[] {
  if (!ESCAPE.test(text)) return [];
  const kinds = new Set<AnsiKind>();
  for (const [sequence] of text.matchAll(SEQUENCE)) kinds.add(kindOf(sequence));
  if (OVERSTRIKES.test(text)) kinds.add('cursor');
  return [...kinds].toSorted();
}

/** The text without them. */
export function withoutAnsi(text: string): string {
  return ESCAPE.test(text) ? text.replace(SEQUENCE, '').replaceAll('\b', '') : text;
}

function kindOf(sequence: string): AnsiKind {
  const body = sequence.startsWith('\u001b') ? sequence.slice(2) : sequence.slice(1);
  const introducer = sequence.startsWith('\u001b') ? sequence.charAt(1) : sequence.charAt(0);
  if (introducer === '[' || introducer === '\u009b') return csiKind(body);
  if (introducer === ']' || introducer === '\u009d') return oscKind(body);
  // ESC ( B and the like: which character set, as `tput sgr0` writes it; ESC 7 and 8 keep and restore the cursor.
  return /^\u001b[()][0-9A-Z]$/.test(sequence) ? 'colour' : 'control';
}

function csiKind(body: string): AnsiKind {
  const final = body.at(-1);
  if (final === 'm') return isConcealed(body.slice(0, -1)) ? 'conceal' : 'colour';
  // Erasing in the line, and hiding the cursor, is how progress is drawn.
  if (final === 'K' || ((final === 'h' || final === 'l') && /^\?(?:25|7|2004|2026)[hl]$/.test(body))) return 'redraw';
  if (final === 'G' && /^[01]?G$/.test(body)) return 'redraw';
  return /[ABCDEFGHJfsuSTLMPX@d`]/.test(final ?? '') ? 'cursor' : 'control';
}

/** SGR 8, or a text in the colour of its ground. */
function isConcealed(parameters: string): boolean {
  if (/^[?>=<]/.test(parameters)) return false;
  const codes = parameters.split(/[;:]/).map(Number);
  const seen = { text: undefined as number | undefined, ground: undefined as number | undefined };
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const length = codes[i + 1] === 5 ? 2 : 4;
      const colour = codes.slice(i + 1, i + 1 + length).reduce((sum, part) => sum * 256 + part + 1, 1000);
      seen[code === 38 ? 'text' : 'ground'] = colour;
      i += length;
    } else if (code === 8) return true;
    else if (isIn(code, 30) || isIn(code, 90)) seen.text = code;
    else if (isIn(code, 40) || isIn(code, 100)) seen.ground = code - 10;
  }
  return seen.text !== undefined && seen.text === seen.ground;
}

function isIn(code: number, first: number): boolean {
  return code >= first && code <= first + 7;
}

function oscKind(body: string): AnsiKind {
  const [number] = body.split(';', 1);
  if (number === '8') return 'link';
  if (number === '52') return 'clipboard';
  return number === '0' || number === '1' || number === '2' ? 'title' : 'control';
}
