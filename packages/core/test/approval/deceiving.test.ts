import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textPieces } from '../../src/approval/deceiving.ts';
import { escapeForTerminal, escapeJson } from '../../src/approval/terminal-text.ts';

/** What is spelled, in order. */
const odd = (text: string): string =>
  textPieces(text)
    .flatMap((piece) => (piece.isOdd ? [piece.text] : []))
    .join('');

describe('what is not seen for what it is', () => {
  it.each(['\u00a0', '\u1680', '\u2000', '\u2003', '\u2009', '\u200a', '\u202f', '\u205f', '\u3000', '\u1100'])(
    'the space or filler %j',
    (space) => {
      expect(odd(`a${space}b`)).toBe(space);
      expect(odd(`日${space}本`)).toBe(space);
    },
  );

  it.each<[string, string, string]>([
    ['a mathematical letter', '𝐫m', '𝐫'],
    ['a Roman numeral', 'ⅿkdir', 'ⅿ'],
    ['a hyphen that is none', '‐‑force', '‐‑'],
    ['a minus sign', '−5', '−'],
    ['slashes', 'a∕b⁄c', '∕⁄'],
    ['a dot leader', 'evil․com', '․'],
    ['the Kelvin sign', '\u212a', '\u212a'],
    ['the Greek question mark', 'a\u037e', '\u037e'],
    ['an IPA letter', 'ɡit', 'ɡ'],
  ])('%s', (_, text, expected) => {
    expect(odd(text)).toBe(expected);
  });

  it.each<[string, string, string]>([
    ['a mark that makes another character of the one before it', 'cafe\u0301', '\u0301'],
    ['marks in another order than they are kept in', 'q\u0307\u0323', '\u0307\u0323'],
    ['a mark over a quote', '"\u0301', '\u0301'],
    ['a mark over nothing', '\u0301a', '\u0301'],
    ['a mark over a space', 'a \u0338b', '\u0338'],
    ['the fifth mark of a stack', `q${'\u0301'.repeat(6)}`, '\u0301\u0301'],
    ['a mark over what is spelled', '𝐚\u0301', '𝐚\u0301'],
  ])('%s', (_, text, expected) => {
    expect(odd(text)).toBe(expected);
  });
});

describe('letters that are taken for others', () => {
  it.each<[string, string, string]>([
    ['Cyrillic in a Latin word', 'pаypal.com', 'а'],
    ['Greek in a Latin word', 'gοοgle', 'οο'],
    ['Latin in a Cyrillic word: what is not Latin', 'пaспорт', 'пспорт'],
    ['Cyrillic and Greek in a word', 'приνет', 'приνет'],
    ['Armenian', 'gօօgle', 'օօ'],
    ['Cherokee', 'Ꭱead', 'Ꭱ'],
    ['Lisu', 'ꓚAT', 'ꓚ'],
    ['Canadian syllabics', 'ᕼello', 'ᕼ'],
    ['a name of nothing but look-alikes', 'асе', 'асе'],
    ['a part of a name', 'get_асе', 'асе'],
    ['a part of a path', '/etc/раѕѕ', 'раѕѕ'],
    ['a host', 'https://аррӏе.com', 'аррӏе'],
    ['the ending of a host', 'сбербанк.со', 'со'],
    ['a switch', '--а', 'а'],
    ['a command with Latin beside it', 'ѕср file host', 'ѕср'],
    ['a command beside a sentence', 'echo привет; ѕср x', 'ѕср'],
    ['a command within a sentence', 'скопируй ѕср на сервер', 'ѕср'],
    ['a letter in a number', '1О0', 'О'],
    ['a letter in a number within a sentence', 'сумма 1О0 рублей', 'О'],
    ['a small word that stands alone', 'а', 'а'],
    ['a small word beside Latin', 'file а потом', 'а'],
    ['a Latin letter in place of a small word', 'раз, a потом', 'a'],
    ['a digit of another script among ours', '1٣2', '٣'],
    ['a digit of another script in a Latin word', 'v৪', '৪'],
    ['letters behind an escape of JSON', '"x\\nаdmin"', 'а'],
  ])('%s: %s', (_, text, expected) => {
    expect(odd(text)).toBe(expected);
  });

  it.each([
    'Привет, как дела? Раз, а потом и у него, о том и о сём.',
    '"— А, это ты, — сказал он."',
    'Это его книга, а она себе. Скопируй scp по HTTP на сервер',
    'Ми і ви, а також у нас',
    'Аз съм, а ти си, това е дом',
    'Για να δούμε, ναι, αν οι άλλοι δεν το κάνουν. Ο άνθρωπος και η ζωή',
    '"первая строка\\nвторая строка"',
    'удалить_файл',
    '/дом/файл.txt',
    'USB-кабель, 5 кг',
    'Հայերեն լեզու',
    'naïve café, Tiếng Việt, Kadıköy, µs',
    '日本語のtext、全角（ｆｕｌｌ）',
    '한국어',
    'العربية ١٢٣',
    'नमस्ते दुनिया',
    'ภาษาไทย',
    'שלום',
    '🎉 👍🏽 — “quoted” … 100 €',
  ])('leaves as it is: %s', (text) => {
    expect(odd(text)).toBe('');
  });
});

it('takes a line of its own for a sentence', () => {
  expect(odd('строка\nа потом\nо том')).toBe('\n\n');
});

it('loses nothing, and finds nothing more in what it spelled', () => {
  const letters = [...'aopcxPH1 .,-_/\\"n«аосрпжПН\u0301\u0306иοναλοՕꓐ𝐚\u00a0\u200b٣日が\u1161\u1100é;\n\ud800\udc00'];
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: fc.constantFrom(...letters) }), fc.string({ unit: 'binary' })), (text) => {
      expect(
        textPieces(text)
          .map((piece) => piece.text)
          .join(''),
      ).toBe(text);
      const escaped = escapeForTerminal(text);
      expect(escapeForTerminal(escaped)).toBe(escaped);
      expect(JSON.parse(escapeJson(JSON.stringify(text)))).toBe(text);
    }),
    { numRuns: 2_000 },
  );
});

it('never shows two texts alike of which one is the other in other letters', () => {
  const twins: readonly (readonly [string, string])[] = [...'аaеeоoрpсcхxуyіiѕsАAВBЕEКKМMНHОOРPСCТTХX'].reduce<[string, string][]>(
    (pairs, letter, index, all) => (index % 2 === 0 ? [...pairs, [letter, all[index + 1] ?? '']] : pairs),
    [],
  );
  const word = fc.array(fc.constantFrom(...twins, ...[...'пжлтblgd .,/-'].map((same) => [same, same] as const)), { maxLength: 12 });
  fc.assert(
    fc.property(word, fc.infiniteStream(fc.boolean()), fc.infiniteStream(fc.boolean()), (letters, one, other) => {
      const write = (sides: Iterator<boolean>): string => letters.map((pair) => pair[sides.next().value === true ? 1 : 0]).join('');
      const [first, second] = [write(one), write(other)];
      fc.pre(first !== second);
      // As an eye sees it: twins are one and the same.
      const seen = (text: string): string => {
        const latin = new Map(twins);
        return [...escapeForTerminal(text)].map((letter) => latin.get(letter) ?? letter).join('');
      };
      expect(seen(first)).not.toBe(seen(second));
    }),
    { numRuns: 5_000 },
  );
});

it('takes time in proportion to the text', () => {
  const time = (length: number): number => {
    const text = 'а пaс '.repeat(length);
    const start = process.cpuUsage().user;
    textPieces(text);
    return process.cpuUsage().user - start;
  };
  time(1_000);
  expect(time(80_000)).toBeLessThan(40 * time(8_000));
});
