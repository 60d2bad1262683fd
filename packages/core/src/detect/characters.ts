/** Classes of characters that cannot be written out: combining ones join whatever stands before them, also in a source file. */

type Range = readonly [first: number, last?: number];

/** A class for a pattern with flag `u`, without its brackets. */
export function classOf(ranges: readonly Range[]): string {
  const hex = (code: number): string => `\\u{${code.toString(16)}}`;
  return ranges.map(([first, last]) => (last === undefined ? hex(first) : `${hex(first)}-${hex(last)}`)).join('');
}

/** Blanks that are letters or marks, and selectors of how a letter looks. */
export const BLANKS: readonly Range[] = [
  [0x34f],
  [0x115f, 0x1160],
  [0x17b4, 0x17b5],
  [0x180b, 0x180f],
  [0x3164],
  [0xfe00, 0xfe0f],
  [0xffa0],
  [0xe0100, 0xe01ef],
];
/** Zero-width ones, marks of direction, operators without a sign, tags. */
export const UNSEEN: readonly Range[] = [
  [0x200b, 0x200f],
  [0x202a, 0x202e],
  [0x2060, 0x206f],
  [0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe007f],
];
/** Nobody gave them a meaning. */
export const PRIVATE_USE: readonly Range[] = [
  [0xe000, 0xf8ff],
  [0xf0000, 0xffffd],
  [0x100000, 0x10fffd],
];
export const BRAILLE_BLANK: Range = [0x2800];
/** Between syllables of a word, where a line may break. */
export const SOFT_HYPHEN: Range = [0xad];
