/**
 * Texts as words to compare with: lower case, compatibility forms as their letters, without marks, without what nobody sees,
 * everything that is no letter or digit as one space. `I\u200bgnöre   PREVIOUS` is `ignore previous`.
 */
import { BLANKS, classOf, SOFT_HYPHEN, UNSEEN } from './characters.ts';

/** Soft hyphens too, which hyphenate words of scraped pages. */
const NOT_SEEN = new RegExp(`[${classOf([...BLANKS, ...UNSEEN, SOFT_HYPHEN])}]`, 'gu');
const MARKS = /\p{M}+/gu;
const BETWEEN = /[^\p{L}\p{N}]+/gu;
const NOT_ASCII = /[^\u0000-\u007f]/;

export function foldWords(text: string): string {
  const plain = NOT_ASCII.test(text) ? text.replace(NOT_SEEN, '').normalize('NFKD').replace(MARKS, '') : text;
  return plain.toLowerCase().replace(BETWEEN, ' ');
}

/** Letters of other scripts that look like Latin ones, after folding. */
const LOOKALIKES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    а: 'a',
    в: 'b',
    е: 'e',
    к: 'k',
    м: 'm',
    н: 'h',
    о: 'o',
    р: 'p',
    с: 'c',
    т: 't',
    у: 'y',
    х: 'x',
    ѕ: 's',
    і: 'i',
    ј: 'j',
    ԁ: 'd',
    ԛ: 'q',
    ԝ: 'w',
    һ: 'h',
    ո: 'n',
    ս: 'u',
    α: 'a',
    ε: 'e',
    ι: 'i',
    κ: 'k',
    ν: 'v',
    ο: 'o',
    ρ: 'p',
    τ: 't',
    υ: 'u',
    χ: 'x',
    ɡ: 'g',
    ı: 'i',
    ɑ: 'a',
    ꜱ: 's',
    ɪ: 'i',
    ɴ: 'n',
    ᴏ: 'o',
    ʀ: 'r',
    ᴇ: 'e',
    ᴜ: 'u',
    ᴄ: 'c',
    ᴛ: 't',
    ᴘ: 'p',
    ᴠ: 'v',
    ɢ: 'g',
  }),
);
const FOREIGN = new RegExp(`[${[...LOOKALIKES.keys()].join('')}]`, 'gu');

/** Digits and signs in place of letters, inside words only. */
const LEET: ReadonlyMap<string, string> = new Map(
  Object.entries({ 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', '@': 'a', $: 's', '!': 'i', '|': 'l' }),
);
const LEET_LETTER = /(?<=[a-z])[013457@$!|](?=[a-z])|(?<![a-z0-9])[13457@$](?=[a-z])|(?<=[a-z][013457@$!|])[013457@$!|](?=[a-z])/gi;
/** Letters one by one: `i g n o r e`, `i.g.n.o.r.e`, `i-g-n-o-r-e`. */
const SPELLED = /(?<![\p{L}\p{N}])\p{L}(?:[ .\-_*]\p{L}){3,}(?![\p{L}\p{N}])/gu;
const SPELLING = /[ .\-_*]/g;

/** Other readings of a text as words, for those who write so that only a model reads it. Those that differ from the first. */
export function otherReadings(text: string, words: string): readonly string[] {
  const readings = new Set<string>();
  if (FOREIGN.test(words)) readings.add(words.replace(FOREIGN, (letter) => LOOKALIKES.get(letter) ?? letter));
  FOREIGN.lastIndex = 0;
  const letters = text.replace(LEET_LETTER, (sign) => LEET.get(sign) ?? sign);
  if (letters !== text) readings.add(foldWords(letters));
  const joined = text.replace(SPELLED, (run) => run.replace(SPELLING, ''));
  if (joined !== text) readings.add(foldWords(joined));
  readings.delete(words);
  return [...readings];
}

/** Signs that one letter is taken for. */
const LOOKS: ReadonlyMap<string, string> = new Map(Object.entries({ 0: 'o', 1: 'l', i: 'l' }));

/** What two names have in common that could be taken for each other: case, accents, scripts, separators and look-alike digits aside. */
export function foldName(name: string): string {
  const letters = foldWords(name)
    .replaceAll(' ', '')
    .replace(FOREIGN, (letter) => LOOKALIKES.get(letter) ?? letter);
  return letters.replaceAll(/[01i]/g, (sign) => LOOKS.get(sign) ?? sign);
}
