/**
 * Characters nobody sees, where they can carry a message or change how a text is read. Languages and emoji need some of them:
 * what is looked for is their use where no language needs it. Linear: each pattern is a run of one class of characters.
 */
import { BLANKS, BRAILLE_BLANK, classOf, PRIVATE_USE, UNSEEN } from './characters.ts';

/**
 * `tag`: letters in an alphabet of their own that nothing shows. `zero-width`: inside words, or many in a row. `bidi`: text shown
 * in another order than it is read. `variation`: runs of variation selectors, a byte each. `private-use`: runs of characters
 * without a meaning. `invisible`: blanks that are letters.
 */
export type HiddenKind = 'bidi' | 'invisible' | 'private-use' | 'tag' | 'variation' | 'zero-width';

/** 🏴 and what follows it is the flag of Scotland, and needs tags. */
const FLAG = /\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{1,6}\u{e007f}/gu;
const TAGS = /[\u{e0000}-\u{e007f}]+/gu;
const ZERO_WIDTHS = '\\u200b-\\u200d\\u2060\\ufeff\\u180e';
const ZERO_WIDTH_RUN = new RegExp(`[${ZERO_WIDTHS}\\u200e\\u200f]{3,}`, 'g');
/** Between two characters of one word in letters that know no joiners. */
const IN_WORD = new RegExp(`(?<=[\\u0021-\\u024f\\u0370-\\u052f])[${ZERO_WIDTHS}]+(?=[\\u0021-\\u024f\\u0370-\\u052f])`, 'g');
/** One place to break a long word or path is ordinary. */
const MAX_IN_WORDS = 2;
const OVERRIDES = /[\u202d\u202e]/g;
const EMBEDDINGS = /[\u202a-\u202c\u2066-\u2069]/g;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const VARIATION_RUN = /(?<=[\ufe00-\ufe0f\u{e0100}-\u{e01ef}])[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]+/gu;
const PRIVATE_RUN = /[\ue000-\uf8ff\u{f0000}-\u{ffffd}\u{100000}-\u{10fffd}]{4,}/gu;
const INVISIBLES = '\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u2061-\\u2064\\u206a-\\u206f\\u3164\\uffa0\\ufff9-\\ufffb';
const INVISIBLE_RUN = new RegExp(`[${INVISIBLES}\\u2800]{2,}`, 'g');
const INVISIBLE_IN_WORD = new RegExp(`(?<=[!-~])[${INVISIBLES}]+(?=[!-~])`, 'g');

/** Whether there is anything to look at. */
const ANY = new RegExp(`[${classOf([...BLANKS, ...UNSEEN, ...PRIVATE_USE, BRAILLE_BLANK])}]`, 'u');

/** @returns kinds, sorted, each once. */
export function findHidden(text: string): readonly HiddenKind[] {
  if (!ANY.test(text)) return [];
  const kinds = new Set<HiddenKind>();
  if (has(TAGS, text.replace(FLAG, ''))) kinds.add('tag');
  if (has(ZERO_WIDTH_RUN, text) || count(IN_WORD, text) > MAX_IN_WORDS) kinds.add('zero-width');
  if (has(OVERRIDES, text) || (has(EMBEDDINGS, text) && !RIGHT_TO_LEFT.test(text))) kinds.add('bidi');
  if (has(VARIATION_RUN, text)) kinds.add('variation');
  if (has(PRIVATE_RUN, text)) kinds.add('private-use');
  if (has(INVISIBLE_RUN, text) || has(INVISIBLE_IN_WORD, text)) kinds.add('invisible');
  return [...kinds].toSorted();
}

/** The text without them. What languages and emoji need stays. */
export function withoutHidden(text: string): string {
  if (!ANY.test(text)) return text;
  const bare = withoutTags(text)
    .replace(ZERO_WIDTH_RUN, '')
    .replace(IN_WORD, '')
    .replace(VARIATION_RUN, '')
    .replace(PRIVATE_RUN, '')
    .replace(INVISIBLE_RUN, '')
    .replace(INVISIBLE_IN_WORD, '')
    .replace(OVERRIDES, '');
  return RIGHT_TO_LEFT.test(bare) ? bare : bare.replace(EMBEDDINGS, '');
}

/** What tags spell: each stands for one character of ASCII. Empty when there are none. */
export function tagText(text: string): string {
  if (!has(TAGS, text)) return '';
  const spelled = text.replace(FLAG, '').match(TAGS) ?? [];
  const letter = (tag: string): string => String.fromCharCode((tag.codePointAt(0) ?? 0) - 0xe0000);
  return spelled.map((run) => Array.from(run, letter).join('')).join(' ');
}

function withoutTags(text: string): string {
  const flags = text.match(FLAG);
  if (flags === null) return text.replace(TAGS, '');
  // Between the flags, which stay.
  const parts = text.split(FLAG).map((part) => part.replace(TAGS, ''));
  return parts.map((part, i) => part + (flags[i] ?? '')).join('');
}

function has(pattern: RegExp, text: string): boolean {
  return text.search(pattern) >= 0;
}

function count(pattern: RegExp, text: string): number {
  let found = 0;
  for (const _match of text.matchAll(pattern)) if (++found > MAX_IN_WORDS) break;
  return found;
}
