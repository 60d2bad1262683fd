/**
 * Which characters of a text a person would not read as what they are. Three kinds:
 *
 * - what is not seen, or is drawn elsewhere: controls, format characters (bidi overrides, zero width), every space but U+0020, marks
 *   over something that is no letter or more than four on one, and what Unicode would write as other characters (NFC), which
 *   looks the same;
 * - symbols that are drawn like ASCII and belong to no script of today: mathematical letters, Roman numerals, other hyphens
 *   and slashes;
 * - letters that stand where they would be taken for another script's: in a word of two scripts all that are not Latin; words of
 *   nothing but letters that are drawn as Latin ones. In a sentence, beside a word that is plainly of their script, its small words
 *   stay (`раз, а потом`; there it is the Latin `a` that deceives), and so do words whose letters only come near. Plain Russian or
 *   Greek is left as it is.
 *
 * Spelling what this finds, and looking again, finds nothing more.
 *
 * @see Unicode TR39, confusables.txt 15.0, for what looks like ASCII.
 */

/** Characters that read as what they are, or one that does not. */
export interface TextPiece {
  readonly text: string;
  readonly isOdd: boolean;
}

/** Controls, format, lone surrogates, private, unassigned, lines, whatever Unicode calls ignorable, blank braille, joining jamo. */
const UNSEEN =
  '\\p{Cc}\\p{Cf}\\p{Cs}\\p{Co}\\p{Cn}\\p{Zl}\\p{Zp}\\p{Default_Ignorable_Code_Point}\\u2800\\u1100-\\u11ff\\ua960-\\ua97f\\ud7b0-\\ud7ff';
const SPACES = '\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u3000';
const DRAWN_LIKE_ASCII =
  '\\u{1d400}-\\u{1d7ff}\\u2160-\\u217f\\ufe50-\\ufe6b\\u2010-\\u2012\\u2043\\u02d7\\u2212\\u2024\\ua789\\u2236\\u02f8\\u2044\\u2215\\u29f8\\u2571\\u27cb\\u31d3\\u2216\\u29f5\\u29f9\\u27cd\\u31d4\\u2217\\u204e\\u223c\\u2223\\u02c2-\\u02c4\\u212e\\u2373\\u237a\\u22ff\\u01c0\\u01c3\\u0251\\u0261\\u1d04\\u1d0f\\u1d11\\u1d1c\\u1d20-\\u1d22\\ua731';
const ALWAYS_ODD = new RegExp(`[${UNSEEN}${SPACES}${DRAWN_LIKE_ASCII}]`, 'gu');
const MARKED = /(\P{M}?)(\p{M}+)/gu;
const MAY_BE_MARKED = /^[\p{L}\p{N}\p{So}]$/u;
/** A base character carries at most this many marks; more are an attempt to write over other lines. */
const MAX_MARKS = 4;

/** Escapes of JSON and of ours end a word: their letters are not of the text. */
const WORD = /\\(?:u\{[0-9a-f]+\}|u[0-9a-f]{4}|["\\/bfnrt])|[\p{L}\p{M}\p{Nd}]+/gu;
const LATIN = /\p{Script=Latin}/u;
/** Scripts whose letters are taken for each other's. The last are of no living use, and full of look-alikes. */
const SCRIPTS: readonly RegExp[] = [
  LATIN,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Georgian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Lisu}/u,
  /[\p{Script=Tifinagh}\p{Script=Canadian_Aboriginal}]/u,
  /[\p{Script=Carian}\p{Script=Deseret}\p{Script=Elbasan}\p{Script=Lycian}\p{Script=Lydian}\p{Script=Miao}\p{Script=Old_Italic}\p{Script=Osage}\p{Script=Runic}\p{Script=Warang_Citi}]/u,
];
/** Letters that are drawn as one of ASCII is (Greek mu: as the micro sign), and with those the ones that come near. */
const SAME =
  'аеорсухѕіјӏһԁԛԝүѵАВЕЅІЈКМНОРСТУХҮԌԚԜӀѴονϲϳμΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹͿϺօսՕՍᎪᏴꮯᏟᎠᎬᏀᏳᎻꭵᎥᎫᏦᏞᎷᏢꮁᎡᏒꮪᏕᏚᎢꮩᏙꮃᎳᏔᎩᎽꮓᏃⲥⲤⲎⲔⲒⲘⲚⲟⲞⲣⲢⲦⲬⲨ\\p{Script=Lisu}\\p{Script=Carian}\\p{Script=Deseret}\\p{Script=Elbasan}\\p{Script=Lycian}\\p{Script=Lydian}\\p{Script=Miao}\\p{Script=Old_Italic}\\p{Script=Osage}\\p{Script=Runic}\\p{Script=Warang_Citi}';
const NEAR = 'бгЬЗӠꙇѡҽꙄαιρσϱυχγϒϜͺքցհոռգզՏաჿყᎾᏮᏎᏏᏧᏂⲅϨⳌⳒⳊ';
/** Words of such letters alone, with digits or without. */
const SAME_WORD = new RegExp(`^[\\p{M}\\p{Nd}${SAME}]+$`, 'u');
const NEAR_WORD = new RegExp(`^[\\p{M}\\p{Nd}${SAME}${NEAR}]+$`, 'u');
/** Small words of Russian, Ukrainian, Bulgarian and Greek that no sentence does without, and what could stand in their place. */
const SMALL_WORD = /^(?:[аоусеіАОУСЕІοΟΑΗ]|[еЕ]е)$/u;
const SMALL_TWIN = /^(?:[aoyceiAOYCEIH]|[eE]e)$/;
const ASCII = /^[\x20-\x7e]*$/;
const LETTER = /\p{L}/u;
const LETTERS = /^\p{L}+$/u;
const NEVER = /(?!)/;
const ASCII_DIGIT_OR_LATIN = /[0-9\p{Script=Latin}]/u;
const FOREIGN_DIGIT = /[^\P{Nd}0-9]/gu;
/** What may stand between two words of a sentence. */
const GAP = /^[,.!?…:»”)]{0,2} [«“„(]?$/;
const SENTENCE_BEFORE = /(?:^|[ \n«“„("]|\\(?:[nrt]|u\{a\}))$/;
const SENTENCE_AFTER = /^[,.!?…:;»”)"]{0,3}(?:$|[ \n]|\\(?:[nrt]|u\{a\}))/;

/** In order; odd ones have one code point each. */
export function textPieces(text: string): readonly TextPiece[] {
  if (ASCII.test(text)) return [{ text, isOdd: false }];
  const odd = new Set<number>();
  for (const { index } of text.matchAll(ALWAYS_ODD)) odd.add(index);
  findMarks(text, odd);
  findDigits(text, odd);
  // What is odd so far ends words, as its spelling will.
  findWords(
    piecesAt(text, odd)
      .map((piece) => (piece.isOdd && piece.text !== '\n' ? '\0'.repeat(piece.text.length) : piece.text))
      .join(''),
    odd,
  );
  // Once more: marks on letters that are odd by now would stand on what spells those.
  findMarks(text, odd);
  return piecesAt(text, odd);
}

function piecesAt(text: string, odd: ReadonlySet<number>): readonly TextPiece[] {
  const pieces: TextPiece[] = [];
  let plainFrom = 0;
  for (const at of [...odd].toSorted((one, other) => one - other)) {
    if (at > plainFrom) pieces.push({ text: text.slice(plainFrom, at), isOdd: false });
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    pieces.push({ text: character, isOdd: true });
    plainFrom = at + character.length;
  }
  return plainFrom < text.length ? [...pieces, { text: text.slice(plainFrom), isOdd: false }] : pieces;
}

function findMarks(text: string, odd: Set<number>): void {
  const isComposed = text.normalize('NFC') === text;
  if (!isComposed) eachCharacter(text, 0, (each, at) => each.normalize('NFC') !== each && odd.add(at));
  for (const { 0: all, 1: base = '', 2: marks = '', index } of text.matchAll(MARKED)) {
    const mayStay = MAY_BE_MARKED.test(base) && !odd.has(index) && (isComposed || all.normalize('NFC') === all);
    let count = 0;
    eachCharacter(marks, index + base.length, (_, at) => (!mayStay || ++count > MAX_MARKS) && odd.add(at));
  }
}

/** Digits of another script among ours, or in a Latin word. */
function findDigits(text: string, odd: Set<number>): void {
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (!ASCII_DIGIT_OR_LATIN.test(word)) continue;
    for (const { index: at } of word.matchAll(FOREIGN_DIGIT)) odd.add(index + at);
  }
}

interface Word {
  readonly text: string;
  readonly at: number;
  readonly end: number;
  /** Indexes into `SCRIPTS`, each once; 0 is Latin. */
  readonly scripts: readonly number[];
}

/** @param text - in which what is odd already is written over. */
function findWords(text: string, odd: Set<number>): void {
  const words = [...text.matchAll(WORD)].flatMap(({ 0: word, index }) => (word.startsWith('\\') ? [] : [wordOf(word, index)]));
  const sentences = sentenceWords(text, words);
  for (const [index, word] of words.entries()) {
    const beside = [words[index - 1], words[index + 1]].flatMap((each) =>
      each !== undefined && areLinked(text, each, word) ? [each] : [],
    );
    if (!isDeceiving(text, word, beside, sentences)) continue;
    const isKept = word.scripts.length > 1 ? LATIN : NEVER;
    eachCharacter(word.text, word.at, (each, at) => LETTER.test(each) && !isKept.test(each) && odd.add(at));
  }
}

function wordOf(text: string, at: number): Word {
  const end = at + text.length;
  if (ASCII.test(text)) return { text, at, end, scripts: LATIN.test(text) ? [0] : [] };
  return { text, at, end, scripts: SCRIPTS.flatMap((script, index) => (script.test(text) ? [index] : [])) };
}

function isDeceiving(text: string, word: Word, beside: readonly Word[], sentences: ReadonlySet<Word>): boolean {
  const { scripts } = word;
  if (scripts.length !== 1) return scripts.length > 1;
  const isBesideLatin = beside.some((each) => each.scripts.includes(0));
  if (scripts[0] !== 0) return NEAR_WORD.test(word.text) && (isBesideLatin || !sentences.has(word));
  const isBesideOther = beside.some((each) => sentences.has(each) && !NEAR_WORD.test(each.text));
  return SMALL_TWIN.test(word.text) && isBesideOther && !isBesideLatin && isBounded(text, word);
}

/** Words that stand with others of their script of which one at least is plainly that, and are no part of a path, a name or a number. */
function sentenceWords(text: string, words: readonly Word[]): ReadonlySet<Word> {
  const found = new Set<Word>();
  let open: Word[] = [];
  const close = (): void => {
    if (open.some((word) => !NEAR_WORD.test(word.text))) for (const word of open) found.add(word);
    open = [];
  };
  for (const word of words) {
    const before = open.at(-1);
    if (before !== undefined && (before.scripts[0] !== word.scripts[0] || !areLinked(text, before, word))) close();
    if (mayBeInSentence(text, word)) open.push(word);
    else close();
  }
  close();
  return found;
}

function mayBeInSentence(text: string, word: Word): boolean {
  if (word.scripts.length !== 1 || word.scripts[0] === 0 || !LETTERS.test(word.text) || !isBounded(text, word)) return false;
  return !SAME_WORD.test(word.text) || SMALL_WORD.test(word.text);
}

function isBounded(text: string, { at, end }: Word): boolean {
  return SENTENCE_BEFORE.test(text.slice(Math.max(0, at - 5), at)) && SENTENCE_AFTER.test(text.slice(end, end + 9));
}

function areLinked(text: string, one: Word, other: Word): boolean {
  return GAP.test(one.at < other.at ? text.slice(one.end, other.at) : text.slice(other.end, one.at));
}

function eachCharacter(text: string, from: number, visit: (character: string, at: number) => unknown): void {
  let at = from;
  for (const character of text) {
    visit(character, at);
    at += character.length;
  }
}
