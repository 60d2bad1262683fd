/** Texts without what nobody sees: terminal control and hidden characters taken out. */
import { withoutAnsi } from './ansi.ts';
import { BLANKS, BRAILLE_BLANK, classOf } from './characters.ts';
import { withoutHidden } from './hidden.ts';

/** Doing it twice equals doing it once; the very same text when there is nothing to take out. */
export function cleanText(text: string): string {
  let clean = text;
  // Taking one thing out may put the parts of another together.
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const next = withoutHidden(withoutAnsi(clean));
    if (next === clean) return clean;
    clean = next;
  }
  return clean.replaceAll(ALL_CONTROL, '');
}

const MAX_ROUNDS = 4;
const ALL_CONTROL = new RegExp(`[^\\P{C}\\t\\n\\r]|[${classOf([...BLANKS, BRAILLE_BLANK])}]`, 'gu');
