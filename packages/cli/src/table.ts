/** Tables that fit the terminal. */
import { columnsOf } from '@countersign/core';

export interface Column {
  readonly title: string;
  /** The column gives way when the table is too wide; at most to its `minWidth`. */
  readonly minWidth?: number;
}

const GAP = '  ';

/**
 * Lines of a table, titles first. Cells are cut with `…` until the table fits.
 *
 * @param cells - escaped; one row per line, as many cells as columns.
 * @param maxWidth - absent = as wide as it needs to be.
 */
export function tableLines(columns: readonly Column[], cells: readonly (readonly string[])[], maxWidth?: number): readonly string[] {
  const rows = [columns.map(({ title }) => title), ...cells];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => columnsOf(row[index] ?? ''))));
  if (maxWidth !== undefined) shrink(widths, columns, maxWidth);
  return rows.map((row) =>
    row
      .map((cell, index) => pad(fit(cell, widths[index] ?? 0), widths[index] ?? 0))
      .join(GAP)
      .trimEnd(),
  );
}

/** Takes columns away from the widest that may give way. */
function shrink(widths: number[], columns: readonly Column[], maxWidth: number): void {
  let over = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (widths.length - 1) - maxWidth;
  while (over > 0) {
    let widest: number | undefined;
    for (const [index, { minWidth }] of columns.entries()) {
      if (minWidth === undefined || (widths[index] ?? 0) <= minWidth) continue;
      if (widest === undefined || (widths[index] ?? 0) > (widths[widest] ?? 0)) widest = index;
    }
    if (widest === undefined) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over--;
  }
}

/** At most so many columns, the last one `…` when something was left out. */
export function fit(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    const next = columnsOf(character);
    if (used + next > columns - 1) break;
    kept += character;
    used += next;
  }
  return `${kept}…`;
}

/** Lines of at most so many columns, broken at spaces, or within what is longer. At least one. */
export function wrap(text: string, columns: number): readonly string[] {
  const most = Math.max(columns, 2);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (columnsOf(joined) <= most) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    line = word;
    while (columnsOf(line) > most) {
      const start = startOf(line, most);
      lines.push(start);
      line = line.slice(start.length);
    }
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}

function startOf(text: string, columns: number): string {
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += columnsOf(character);
    if (used > columns) break;
    kept += character;
  }
  return kept;
}

function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)));
}
