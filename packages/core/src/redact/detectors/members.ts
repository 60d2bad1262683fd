/**
 * Secrets that are told by the name in front of them, in text that is no object: JSON in a string (escaped JSON inside JSON
 * too), lines of YAML, INI, TOML and `.env` files, connection strings, command line flags.
 *
 *     {"password":"x"}   {\"password\":\"x\"}   password: x   api_key = "a1b2"   --password x   ["--password","x"]
 *
 * Text with JSON's punctuation is judged as the object it will be; elsewhere names stand in prose and code, where the value
 * must look like one as well.
 */
import { type Detector, isNameCode, isPlaceholder, isReference, placeholderEnd, type Sighting } from '../detector.ts';
import { isHarmlessValue, isSecretMember, nameWords } from '../key-names.ts';
import { type Delimiter, delimiterAt, jsonValueEnd, quotedEnd, startsSchema } from './quoted.ts';

type Names = readonly (readonly string[])[];

const HINTS = [
  'pass',
  'pwd',
  'secret',
  'token',
  'key',
  'cred',
  'authorization',
  'cookie',
  'jwt',
  'otp',
  'cvv',
  'cvc',
  'bearer',
  'mnemonic',
];
const MORE_HINTS = [
  'phrase',
  'sessid',
  'code',
  'seed',
  'pepper',
  'saml',
  'signature',
  'kennwort',
  'woord',
  'salasana',
  'heslo',
  'parola',
  'senha',
  'contrase',
];
/** Longer names, and longer stretches of blanks, mean something else. */
const MAX_NAME_CHARS = 64;
const MAX_BLANKS = 16;

/** @param extra - more names that mean a secret, each as its words. */
export function secretMember(extra: Names = []): Detector {
  const hints = new Set([...HINTS, ...MORE_HINTS, ...extra.map((words) => words.at(-1) ?? '')]);
  return {
    kind: 'key-name',
    triggers: [...hints].flatMap((hint) => [...new Set([hint, hint.charAt(0).toUpperCase() + hint.slice(1), hint.toUpperCase()])]),
    look(text, at, trigger) {
      const end = nameEnd(text, at + trigger.length);
      // Prose ends here: what follows a name is a sign, or the blank behind a flag.
      if (end - at > MAX_NAME_CHARS || !AFTER_NAME.has(text.charCodeAt(end))) return undefined;
      const start = nameStart(text, at);
      if (at - start > MAX_NAME_CHARS) return undefined;
      return memberAt(text, { start, end, text: text.slice(start, end), extra });
    },
  };
}

/** Quotes, the backslash before one, `:`, `=`, blanks and `>`. */
const AFTER_NAME: ReadonlySet<number> = new Set([...'"\'\\:= \t`>'].map((character) => character.charCodeAt(0)));

interface Name {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly extra: Names;
}

function memberAt(text: string, name: Name): Sighting | undefined {
  if (text.charAt(name.end) === '>') return element(text, name);
  const closing = delimiterAt(text, name.end);
  if (closing !== undefined) return quotedMember(text, name, closing);
  if (text.startsWith('--', name.start)) return flag(text, name);
  const sign = afterBlanks(text, name.end);
  const mark = text.charAt(sign);
  return mark === ':' || mark === '=' ? line(text, name, sign) : undefined;
}

/** `<password>x</password>`; `<password>` alone is a word of documentation. */
function element(text: string, name: Name): Sighting | undefined {
  if (text.charAt(name.start - 1) !== '<' || !maySecret(name)) return undefined;
  const start = name.end + 1;
  TAG.lastIndex = start;
  const end = TAG.test(text) ? TAG.lastIndex - 1 : text.length;
  const nothing = { start, end: Math.max(end, start), secret: false };
  return text.startsWith(`</${name.text}>`, end) ? judged(text, name, start, end, isTold) : nothing;
}
const TAG = /</g;

/** `"password": value`, and `"--password", "value"`. */
function quotedMember(text: string, name: Name, closing: Delimiter): Sighting | undefined {
  const opening = name.start - closing.text.length;
  if (!text.startsWith(closing.text, opening)) return undefined;
  // `ok ? "pass" : "fail"`
  if (text.charAt(opening - 1) === '?' || text.charAt(opening - 2) === '?') return undefined;
  const sign = afterBlanks(text, name.end + closing.text.length);
  const mark = text.charAt(sign);
  const isFlag = mark === ',' && text.startsWith('--', name.start);
  if (mark !== ':' && !isFlag) return undefined;
  if (!maySecret(name)) return undefined;
  const start = afterBlanks(text, sign + 1);
  const value = delimiterAt(text, start);
  if (value !== undefined) {
    if (value.text !== closing.text) return undefined;
    const from = start + value.text.length;
    return judged(text, name, afterScheme(text, name, from), quotedEnd(text, from, value), isTold);
  }
  return isFlag ? undefined : bareJson(text, name, start, closing);
}

/** `Authorization: Bearer x`: the scheme stays readable here too. */
function afterScheme(text: string, name: Name, from: number): number {
  SCHEME.lastIndex = from;
  return /authorization$/i.test(name.text) && SCHEME.test(text) ? SCHEME.lastIndex : from;
}
const SCHEME = /(?:Bearer|Basic|Token|ApiKey|Digest|Negotiate|DPoP) {1,3}(?=[^ "'\\])/iy;

/** A number, or a container, which goes as a whole: what is in it is named by its name. */
function bareJson(text: string, name: Name, start: number, quote: Delimiter): Sighting | undefined {
  if (placeholderEnd(text, start) > start) return undefined;
  NUMBER.lastIndex = start;
  if (NUMBER.test(text)) return isSecretMember(name.text, 0, name.extra) ? { start, end: NUMBER.lastIndex, secret: true } : undefined;
  if (quote.character !== '"' || startsSchema(text, start, quote)) return undefined;
  const end = jsonValueEnd(text, start, quote);
  return end === undefined ? undefined : { start, end, secret: true };
}
const NUMBER = /-?\d{1,40}(?:\.\d{1,40})?(?=[\s,}\]]|$)/y;

/** `--password x`, `--token=x`. */
function flag(text: string, name: Name): Sighting | undefined {
  const mark = text.charAt(name.end);
  if ((mark !== ' ' && mark !== '=') || !maySecret(name)) return undefined;
  return token(text, name, mark === '=' ? name.end + 1 : afterBlanks(text, name.end), mark === '=' ? isAssigned : isFlagValue);
}

/** `name: value`, `name = value`, `;name=value`. */
function line(text: string, name: Name, sign: number): Sighting | undefined {
  if (!maySecret(name)) return undefined;
  const place = placeOf(text, name);
  if (place === 'elsewhere') return undefined;
  const start = afterBlanks(text, sign + 1);
  const quote = delimiterAt(text, start);
  if (quote !== undefined) {
    const from = start + quote.text.length;
    return judged(text, name, from, quotedEnd(text, from, quote), looksChosen);
  }
  if (text.charAt(start) === '[' && delimiterAt(text, afterBlanks(text, start + 1)) !== undefined) return listed(text, name, start);
  if (text.charAt(sign) === ':' && start === sign + 1) return undefined;
  if (place === 'connection' || place === 'query') {
    return text.charAt(sign) === '=' ? connectionValue(text, name, start, place === 'query' ? QUERY_STOP : CONNECTION_STOP) : undefined;
  }
  const end = tokenEnd(text, start);
  if (isBlockMark(text, start, end)) return block(text, name, end);
  // More words on the line: a sentence, or code.
  if (!endsLine(text, end)) return place === 'pair' ? judged(text, name, start, end, looksChosen) : undefined;
  const spaced = text.charAt(sign) === '=' && start > sign + 1;
  return judged(
    text,
    name,
    start,
    end,
    spaced ? looksChosen : (value) => isAssigned(value) && !same(value, text.slice(name.start, name.end)),
  );
}

/** `passwords: ['a', 'b']` goes as a whole, to the end of its line at most: what is in it is named by its name. */
function listed(text: string, name: Name, start: number): Sighting | undefined {
  LIST_END.lastIndex = start;
  const found = LIST_END.exec(text);
  const end = found === null ? text.length : found[0].endsWith(']') ? LIST_END.lastIndex : found.index;
  return judged(text, name, start, end, (value) => value.split(BETWEEN_ITEMS).some((item) => item !== '' && looksChosen(item)));
}
const LIST_END = /["'`][ \t]{0,8}\]|[\r\n]/g;
const BETWEEN_ITEMS = /[[\]\s,'"`]+/;

function isBlockMark(text: string, start: number, end: number): boolean {
  return end - start <= 3 && /^[|>][+-]?[1-9]?$/.test(text.slice(start, end)) && endsLine(text, end);
}

/** The lines of YAML's `password: |`, as far as they are indented like the first. */
function block(text: string, name: Name, mark: number): Sighting | undefined {
  BLOCK.lastIndex = mark;
  const match = BLOCK.exec(text);
  if (match === null) return undefined;
  const start = BLOCK.lastIndex;
  const indent = match[1] ?? '';
  let end = start;
  for (;;) {
    const line = text.indexOf('\n', end);
    end = line === -1 ? text.length : line;
    if (line === -1 || !text.startsWith(indent, line + 1)) break;
    end = line + 1 + indent.length;
  }
  return judged(text, name, start, text.charAt(end - 1) === '\r' ? end - 1 : end, isAssigned);
}
const BLOCK = /[ \t]{0,16}\r?\n([ ]{1,40})/y;

/** A name ends a stretch of `a=b;`, which ends at `;` or a quote; ODBC puts values with such characters in braces. */
function connectionValue(text: string, name: Name, start: number, ending: RegExp): Sighting | undefined {
  const inBraces = text.charAt(start) === '{';
  const stop = inBraces ? BRACE : ending;
  stop.lastIndex = placeholderEnd(text, start);
  const end = stop.test(text) ? stop.lastIndex - 1 : text.length;
  // `{password}` is a template.
  return inBraces
    ? judged(text, name, start + 1, end, (value) => !/^[A-Za-z_.]{1,60}$/.test(value))
    : judged(text, name, start, end, (value) => isAssigned(value) && !isCode(value, name.text));
}

/** `;t.secret=s;`, `;token=e;`: minified code has the punctuation of a connection string. */
function isCode(value: string, name: string): boolean {
  return name.includes('.') || value.length < 3 || (value.length < 200 && /^[A-Za-z_$][\w$]*[.[(!]/.test(value));
}
const CONNECTION_STOP = /[\s;"'`<>\\&]/g;
const QUERY_STOP = /[\s&#"'<>;,`()\]}\\|]/g;
const BRACE = /[}\r\n]/g;

type Place = 'line' | 'connection' | 'query' | 'pair' | 'elsewhere';

function placeOf(text: string, name: Name): Place {
  let at = name.start - 1;
  while (at >= 0 && name.start - at <= MAX_BLANKS && (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09)) at -= 1;
  const before = text.charAt(at);
  if (at < 0 || before === '\n' || before === '\r' || isEscapedBreak(text, at)) return 'line';
  if (before === '-' && isLineStart(text, at)) return 'line';
  if (/(?:^|\n)\s{0,8}(?:export|set|setenv|ENV|ARG)$/.test(text.slice(Math.max(0, at - 20), at + 1))) return 'line';
  if (/[?&#]/.test(before)) return 'query';
  if (before === ';' || (at === name.start - 1 && /["'`]/.test(before))) return 'connection';
  if (before === '{' || before === ',') return 'pair';
  // `host=h user=u password=p`: the word before is such a pair too.
  return at < name.start - 1 && /(?:^|\s)\w{1,40}=[^\s,;()=]{1,80}$/.test(text.slice(Math.max(0, at - 80), at + 1))
    ? 'connection'
    : 'elsewhere';
}

function isLineStart(text: string, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && at - before <= MAX_BLANKS && (text.charCodeAt(before) === 0x20 || text.charCodeAt(before) === 0x09)) before -= 1;
  return before < 0 || text.charAt(before) === '\n' || isEscapedBreak(text, before);
}

/** True when a literal `\n`, `\r` or `\t` ends at `at`. */
function isEscapedBreak(text: string, at: number): boolean {
  return at >= 1 && text.charAt(at - 1) === '\\' && /[nrt]/.test(text.charAt(at));
}

function token(text: string, name: Name, start: number, accepts: (value: string) => boolean): Sighting | undefined {
  const quote = delimiterAt(text, start);
  if (quote === undefined) return judged(text, name, start, tokenEnd(text, start), accepts);
  const from = start + quote.text.length;
  return judged(text, name, from, quotedEnd(text, from, quote), isTold);
}

export function judged(text: string, name: Name, start: number, end: number, accepts: (value: string) => boolean): Sighting | undefined {
  if (end <= start) return undefined;
  const secret = end - start > MAX_JUDGED_CHARS || isWorth(text.slice(start, end), name, accepts);
  return { start, end, secret };
}
const MAX_JUDGED_CHARS = 4096;

function isWorth(value: string, name: Name, accepts: (value: string) => boolean): boolean {
  return (
    isSecretMember(name.text, /^\d{1,6}$/.test(value) ? 0 : value, name.extra) &&
    !isPlaceholder(value) &&
    !isHarmlessValue(value) &&
    !TYPE_WORDS.has(value.toLowerCase()) &&
    accepts(value)
  );
}

/** In place of a value: in schemas, documentation and types. */
const TYPE_WORDS: ReadonlySet<string> = new Set(
  `string number integer boolean object array any unknown never void undefined bool int str bytes text required optional hidden
   password token secret disabled enabled yes no on off nil default redacted masked read write`.split(/\s+/),
);

/** Not `<password>`, `sk-...`, or the version of a package that is called `cookie`. */
export function isTold(value: string): boolean {
  return (
    value.length > 100 ||
    !/^<[^<>]*>$|\.\.\.$|^[~^]?\d{1,4}\.\d{1,5}\.\d{1,6}$|^\$?\{\{?[^{}]+\}\}?$|^\$[A-Z_][A-Z0-9_]*$|^\*+$/.test(value)
  );
}

function isAssigned(value: string): boolean {
  return (
    !isReference(value) &&
    !/^[-<(&|>=]|^!{1,2}[a-z]{1,40}[A-Z][A-Za-z]{0,60}$|^\/\^|[({,;]$|^[A-Za-z_$][\w$]*[.[(]|^[A-Z][A-Za-z]*$|=>/.test(value)
  );
}

function isFlagValue(value: string): boolean {
  return isAssigned(value) && !FLAG_PROSE.has(value.toLowerCase().replace(/[.,:;)]+$/, ''));
}
const FLAG_PROSE: ReadonlySet<string> = new Set(
  `flag flags option options argument arguments parameter parameters value values is are was and or to for with without in on of as
   if from must may can will should has when not the a an instead file stdin env switch setting takes sets`.split(/\s+/),
);

/** Where code stands as often as data: not a word, a label or an expression, but something a person or a generator chose. */
export function looksChosen(value: string): boolean {
  if (value.length < 4 || /\s/.test(value) || !isAssigned(value) || /[()[\]{}$]/.test(value)) return false;
  return /\d/.test(value) ? /[A-Za-z!@#%^&*~]/.test(value) || value.length >= 6 : /[!@%^&*~+]/.test(value);
}

function same(value: string, name: string): boolean {
  return nameWords(value).at(-1) === nameWords(name).at(-1);
}

/** Before the value is known; of `pass` and `pwd` it also depends on the value. */
function maySecret(name: Name): boolean {
  return isSecretMember(name.text, 'x', name.extra);
}

export function tokenEnd(text: string, from: number): number {
  TOKEN_STOP.lastIndex = from;
  return TOKEN_STOP.test(text) ? TOKEN_STOP.lastIndex - 1 : text.length;
}
const TOKEN_STOP = /[\s"'`\\]/g;

function endsLine(text: string, at: number): boolean {
  LINE_END.lastIndex = at;
  return LINE_END.test(text);
}
const LINE_END = /[ \t]{0,16}(?:$|[\r\n"'`]|\\|#)/y;

function nameStart(text: string, at: number): number {
  const least = Math.max(0, at - MAX_NAME_CHARS - 1);
  let start = at;
  while (start > least && isMemberCode(text.charCodeAt(start - 1))) start -= 1;
  // A literal `\n` in escaped text: its letter is no part of the name.
  return start > 0 && text.charAt(start - 1) === '\\' && /[nrt]/.test(text.charAt(start)) ? start + 1 : start;
}

function nameEnd(text: string, from: number): number {
  let end = from;
  while (end - from <= MAX_NAME_CHARS && isMemberCode(text.charCodeAt(end))) end += 1;
  return end;
}

function isMemberCode(code: number): boolean {
  return isNameCode(code) || code === 0x2e || (code >= 0xc0 && code < 0x20_00);
}

function afterBlanks(text: string, from: number): number {
  let at = from;
  while (at - from < MAX_BLANKS && (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09)) at += 1;
  return at;
}
