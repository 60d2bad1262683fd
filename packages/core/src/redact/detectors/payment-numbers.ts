/** Numbers of cards and accounts: ordinary digits, so both a word beside them and a right checksum are asked for. */
import type { Detector, Sighting } from '../detector.ts';

/**
 * A card number beside a word for it: 13 to 19 digits, in groups or not, of a known issuer, with the check digit of Luhn. A
 * wrong check digit clears it: most numbers of that length are orders, times and ids.
 */
export const CARD_NUMBER: Detector = {
  kind: 'card-number',
  triggers: [
    'card',
    'Card',
    'CARD',
    'visa',
    'Visa',
    'VISA',
    'amex',
    'Amex',
    'AMEX',
    'ccnum',
    'cc_num',
    'ccNum',
    'cc-num',
    'kreditkarte',
    'Kreditkarte',
  ],
  look(text, at, trigger) {
    const from = at + trigger.length;
    CARD.lastIndex = from;
    const match = CARD.exec(text);
    if (match === null) return undefined;
    const end = CARD.lastIndex;
    const number = match[1] ?? '';
    return { start: end - number.length, end, secret: isCardNumber(number.replaceAll(/[ -]/g, '')) };
  },
};
// Forty characters without a digit, then the digits. No two parts can match the same character.
const CARD = /[^\d\r\n]{0,40}(\d(?:[ -]?\d){12,18})(?!\d)/y;
const ISSUERS = /^(?:4|5[0-8]|6|2[2-7]|3[0-9]|9)/;

function isCardNumber(digits: string): boolean {
  if (!ISSUERS.test(digits) || /^(\d)\1+$/.test(digits)) return false;
  let sum = 0;
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits.charCodeAt(i) - 48;
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  return sum % 10 === 0;
}

/** An account number behind the word IBAN (ISO 13616), in groups or not, with a right remainder modulo 97. */
export const IBAN: Detector = {
  kind: 'iban',
  triggers: ['IBAN', 'iban', 'Iban'],
  look(text, at): Sighting | undefined {
    START.lastIndex = at + 4;
    const match = START.exec(text);
    if (match === null) return undefined;
    const start = START.lastIndex - 4;
    let compact = '';
    let end: number | undefined;
    // The longest that checks: the first groups of a number may check by chance.
    for (const group of groups(text, start)) {
      compact += group.text;
      if (isIban(compact)) end = group.end;
    }
    return end === undefined ? { start, end: START.lastIndex, secret: false } : { start, end, secret: true };
  },
};
const START = /[^A-Za-z0-9\r\n]{0,12}(?:(?:no|number|nr|is|of)[^A-Za-z0-9\r\n]{1,6})?[A-Z]{2}\d{2}/y;
const GROUP = /[ ]?([A-Z0-9]{1,34})/y;
const MAX_IBAN_CHARS = 34;
const MIN_IBAN_CHARS = 15;

function* groups(text: string, start: number): Generator<{ readonly text: string; readonly end: number }> {
  for (let at = start, taken = 0; taken < MAX_IBAN_CHARS; ) {
    GROUP.lastIndex = at;
    const match = GROUP.exec(text);
    if (match === null) return;
    at = GROUP.lastIndex;
    taken += match[1]?.length ?? 0;
    yield { text: match[1] ?? '', end: at };
  }
}

function isIban(compact: string): boolean {
  if (compact.length < MIN_IBAN_CHARS || compact.length > MAX_IBAN_CHARS) return false;
  let rest = 0;
  for (const character of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (value > 9 ? rest * 100 + value : rest * 10 + value) % 97;
  }
  return rest === 1;
}
