/** Where lines begin, found in one quick pass: how many there are, and a place near each to start reading from. */
import { LINE_FEED, MAX_SKIPPED_BYTES } from './lines.ts';
import type { OpenFile } from './open-file.ts';

const BLOCK_BYTES = 1_048_576;
const FIRST_STEP = 1024;
/** Places kept; beyond it every second one is dropped, so that a file of line feeds costs no memory. */
const MAX_PLACES = 65_536;

export interface LineIndex {
  /** Lines that end in a line feed. */
  readonly ended: number;
  /** Bytes after the last line feed. */
  readonly tornBytes: number;
  /** The nearest line at or before one whose place is known. */
  before(line: number): { readonly line: number; readonly offset: number };
}

/** Stops where reading would: at a line without end, or where the file was cut meanwhile. */
export function indexLines(file: OpenFile): LineIndex {
  const block = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, Math.max(1, file.sizeBytes)));
  let places: number[] = [0];
  let step = FIRST_STEP;
  let ended = 0;
  let lineStart = 0;
  let position = 0;
  while (position < file.sizeBytes && position - lineStart <= MAX_SKIPPED_BYTES) {
    const length = file.read(block, position);
    if (length === 0) break;
    for (let at = block.indexOf(LINE_FEED); at >= 0 && at < length; at = block.indexOf(LINE_FEED, at + 1)) {
      ended++;
      lineStart = position + at + 1;
      if (ended % step !== 0) continue;
      places.push(lineStart);
      if (places.length < MAX_PLACES) continue;
      places = places.filter((_place, index) => index % 2 === 0);
      step *= 2;
    }
    position += length;
  }
  return {
    ended,
    tornBytes: position - lineStart,
    before: (line) => {
      const index = Math.min(Math.floor(line / step), places.length - 1);
      return { line: index * step, offset: places[index] as number };
    },
  };
}
