/** Text in lines no longer than a terminal is wide. */

/** @returns at least one line; a word that is longer than a line stands alone and is not cut. */
export function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** The same, each line with spaces before it, and two more from the second on. */
export function indented(text: string, spaces: number, columns: number): readonly string[] {
  return wrap(text, Math.max(MIN_CHARS, columns - spaces - 2)).map((line, index) => ' '.repeat(index === 0 ? spaces : spaces + 2) + line);
}
const MIN_CHARS = 20;
