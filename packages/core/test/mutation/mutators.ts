/** What an attacker or a broken disk does to a file: one change, chosen by a seeded generator. */
import type { Random } from './random.ts';

export interface Mutant {
  readonly bytes: Buffer;
  /** For the message of a failed test. */
  readonly what: string;
}

type Mutator = (bytes: Buffer, random: Random) => Mutant;

const MAX_RANGE = 512;

/** Changes for any file. */
const BYTE_MUTATORS: readonly Mutator[] = [
  flipBit,
  flipBit,
  flipBit,
  setByte,
  setByte,
  truncate,
  removeRange,
  repeatRange,
  insertBytes,
  swapRanges,
];
/** Changes for a file of lines, between and inside them. */
const LINE_MUTATORS: readonly Mutator[] = [
  removeLine,
  repeatLine,
  swapLines,
  moveLine,
  joinLines,
  changeNumber,
  changeHexDigit,
  changeWord,
];

export function mutateBytes(bytes: Buffer, random: Random): Mutant {
  return changed(BYTE_MUTATORS, bytes, random);
}

export function mutateText(bytes: Buffer, random: Random): Mutant {
  return changed([...BYTE_MUTATORS, ...LINE_MUTATORS], bytes, random);
}

/** Some changes change nothing (a line swapped with itself): those are no mutants. */
function changed(mutators: readonly Mutator[], bytes: Buffer, random: Random): Mutant {
  for (;;) {
    const mutant = random.pick(mutators)(bytes, random);
    if (!mutant.bytes.equals(bytes)) return mutant;
  }
}

function flipBit(bytes: Buffer, random: Random): Mutant {
  const changed = Buffer.from(bytes);
  const at = random.below(bytes.length);
  const bit = random.below(8);
  changed[at] = (changed[at] ?? 0) ^ (1 << bit);
  return { bytes: changed, what: `bit ${bit} of byte ${at} flipped` };
}

/** Values that end strings, start structures or fill fields. */
const INTERESTING = [0x00, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x30, 0x39, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xff];

function setByte(bytes: Buffer, random: Random): Mutant {
  const changed = Buffer.from(bytes);
  const at = random.below(bytes.length);
  const value = random.pick(INTERESTING);
  changed[at] = value;
  return { bytes: changed, what: `byte ${at} set to ${value}` };
}

function truncate(bytes: Buffer, random: Random): Mutant {
  const length = random.below(bytes.length);
  return { bytes: bytes.subarray(0, length), what: `cut to ${length} bytes` };
}

function removeRange(bytes: Buffer, random: Random): Mutant {
  const { from, to } = range(bytes, random);
  return { bytes: Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]), what: `bytes ${from} to ${to} removed` };
}

function repeatRange(bytes: Buffer, random: Random): Mutant {
  const { from, to } = range(bytes, random);
  return { bytes: Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]), what: `bytes ${from} to ${to} repeated` };
}

function insertBytes(bytes: Buffer, random: Random): Mutant {
  const at = random.below(bytes.length + 1);
  const inserted = Buffer.from(Array.from({ length: 1 + random.below(16) }, () => random.below(256)));
  return {
    bytes: Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]),
    what: `${inserted.toString('hex')} inserted at ${at}`,
  };
}

function swapRanges(bytes: Buffer, random: Random): Mutant {
  const length = 1 + random.below(Math.min(MAX_RANGE, bytes.length / 2));
  const places = bytes.length - 2 * length;
  const first = random.below(places + 1);
  const second = first + length + random.below(places - first + 1);
  const changed = Buffer.from(bytes);
  bytes.copy(changed, first, second, second + length);
  bytes.copy(changed, second, first, first + length);
  return { bytes: changed, what: `${length} bytes at ${first} and ${second} swapped` };
}

function range(bytes: Buffer, random: Random): { readonly from: number; readonly to: number } {
  const from = random.below(bytes.length);
  return { from, to: Math.min(bytes.length, from + 1 + random.below(MAX_RANGE)) };
}

function removeLine(bytes: Buffer, random: Random): Mutant {
  return onLines(bytes, random, 'removed', (lines, at) => lines.splice(at, 1));
}

function repeatLine(bytes: Buffer, random: Random): Mutant {
  return onLines(bytes, random, 'repeated', (lines, at) => lines.splice(at, 0, lines[at] ?? ''));
}

function swapLines(bytes: Buffer, random: Random): Mutant {
  return onLines(bytes, random, 'swapped with another', (lines, at) => {
    const other = random.below(lines.length);
    [lines[at], lines[other]] = [lines[other] ?? '', lines[at] ?? ''];
  });
}

function moveLine(bytes: Buffer, random: Random): Mutant {
  return onLines(bytes, random, 'moved', (lines, at) => {
    const [line = ''] = lines.splice(at, 1);
    lines.splice(random.below(lines.length + 1), 0, line);
  });
}

function joinLines(bytes: Buffer, random: Random): Mutant {
  return onLines(bytes, random, 'joined with the next', (lines, at) => lines.splice(at, 2, `${lines[at] ?? ''}${lines[at + 1] ?? ''}`));
}

function onLines(bytes: Buffer, random: Random, what: string, change: (lines: string[], at: number) => unknown): Mutant {
  const lines = bytes.toString('latin1').split('\n');
  const at = random.below(lines.length);
  change(lines, at);
  return { bytes: Buffer.from(lines.join('\n'), 'latin1'), what: `line ${at + 1} ${what}` };
}

function changeNumber(bytes: Buffer, random: Random): Mutant {
  return onMatch(bytes, random, /(?<=:)[0-9]+/g, (digits) => String(Number(digits) + random.pick([-1, 1, 1000])));
}

function changeHexDigit(bytes: Buffer, random: Random): Mutant {
  return onMatch(bytes, random, /[0-9a-f]{32,}/g, (hex) => {
    const at = random.below(hex.length);
    return `${hex.slice(0, at)}${random.below(16).toString(16)}${hex.slice(at + 1)}`;
  });
}

const WORDS = [
  'allow',
  'deny',
  'require_approval',
  'success',
  'error',
  'approve',
  'decision',
  'outcome',
  'note',
  's1',
  'billing',
  'null',
  '',
];

function changeWord(bytes: Buffer, random: Random): Mutant {
  return onMatch(bytes, random, /(?<=:")[a-z_0-9]{2,20}(?=")/g, () => random.pick(WORDS));
}

function onMatch(bytes: Buffer, random: Random, pattern: RegExp, replace: (found: string) => string): Mutant {
  const text = bytes.toString('latin1');
  const found = [...text.matchAll(pattern)];
  if (found.length === 0) return flipBit(bytes, random);
  const match = random.pick(found);
  const replaced = replace(match[0]);
  const changed = `${text.slice(0, match.index)}${replaced}${text.slice(match.index + match[0].length)}`;
  return { bytes: Buffer.from(changed, 'latin1'), what: `${match[0]} at ${match.index} became ${replaced}` };
}
