/** How text comes to stand on a terminal: the columns it takes, and its rows. */

/** Characters that take two columns: East Asian Wide and Fullwidth, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u;
const MARK = /\p{M}/u;
/** Narrower terminals are left to break lines themselves. */
const MIN_COLUMNS = 20;
/** What a row begins with that goes on with the line above. None of our own lines begins so. */
const GOES_ON = '      | ';

export function columnsOf(text: string): number {
  let sum = 0;
  for (const character of text) sum += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return sum;
}

/**
 * Lines broken before the terminal breaks them. It would go on at the left edge, and whoever counts columns could put a line there
 * that passes for one of ours.
 *
 * @param text - escaped; lines end in `\n`.
 * @param columns - of the terminal; undefined when nobody knows.
 */
export function terminalRows(text: string, columns: number | undefined): string {
  if (columns === undefined || columns < MIN_COLUMNS) return text;
  return text
    .split('\n')
    .map((line) => rowsOf(line, columns))
    .join('\n');
}

function rowsOf(line: string, columns: number): string {
  // No code unit takes more than two columns: most lines need no counting.
  if (line.length * 2 <= columns) return line;
  let rows = '';
  let used = 0;
  for (const character of line) {
    const next = columnsOf(character);
    if (used + next > columns) {
      rows += `\n${GOES_ON}`;
      used = GOES_ON.length;
    }
    rows += character;
    used += next;
  }
  return rows;
}
