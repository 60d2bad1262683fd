/** Ways to make two readers see two messages. Each knows the structure of JSON-RPC, and none knows how the proxy reads it. */
import type { Random } from './random.ts';

type Mutation = (text: string, random: Random, other: () => Buffer) => string;

const NAMES = ['jsonrpc', 'id', 'method', 'params', 'name', 'arguments'] as const;
const SPACES = [
  ' ',
  '\t',
  '\r',
  '\n',
  '\r\n',
  '\u0000',
  '\u000b',
  '\u000c',
  '\u0085',
  '\u00a0',
  '\u2028',
  '\u2029',
  '\ufeff',
  '\u200b',
  '\u001e',
];
const NUMBERS = [
  '1e400',
  '-0',
  '0.1000000000000000055511151231257827',
  '9007199254740993',
  '1E+2',
  '01',
  '+1',
  '.5',
  '1.',
  '0x1',
  'NaN',
  'Infinity',
  '1_0',
];
const VALUES = ['null', 'true', '"denied"', '"tools/call"', '{}', '[]', '{"name":"denied"}', '"\\ud800"', "'denied'", 'undefined'];
const PIECES = [
  '"method":"tools/call",',
  '"Method":"tools/call",',
  '"m\\u0065thod":"tools\\/call",',
  '"params":{"name":"denied"},',
  '"param\u017f":{"name":"denied"},',
  '"name":"denied",',
  '"Name":"denied",',
  '"__proto__":{"method":"tools/call","params":{"name":"denied"}},',
  '/*',
  '*/',
  '//',
  '#',
  ',',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
];

const MUTATIONS: readonly Mutation[] = [
  (text, random) => insert(text, random, random.of(PIECES)),
  (text, random) => insert(text, random, random.of(SPACES)),
  // Between two tokens, where most readers take no notice.
  (text, random) => replaceAt(text, random, /[,:{}[\]]/g, (mark) => mark + random.of(SPACES)),
  (text, random) => cut(text, random, 1 + random.below(4)),
  (text, random) => cut(text, random, 1 + random.below(40)),
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => text.slice(random.below(text.length + 1)),
  // A member twice: with another value, before or behind, its name spelt otherwise.
  (text, random) =>
    replaceAt(
      text,
      random,
      /"(?:jsonrpc|id|method|params|name|arguments)"\s*:/g,
      (key) => `${respelt(key, random)}${random.of(VALUES)},${key}`,
    ),
  (text, random) => text.replace(/\}\s*$/, () => `,"${random.of(NAMES)}":${random.of(VALUES)}}`),
  (text, random) => text.replace(/\}\}\s*$/, () => `,"${random.of(NAMES)}":${random.of(VALUES)}}}`),
  (text, random) => replaceAt(text, random, /"(?:jsonrpc|id|method|params|name|arguments)"/g, (key) => respelt(key, random)),
  (text, random) => replaceAt(text, random, /[a-z/]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`),
  (text, random) =>
    replaceAt(text, random, /[a-z]/g, (letter) =>
      random.of([letter.toUpperCase(), fullWidth(letter), `${letter}\u0301`, `${letter}\u200d`]),
    ),
  (text, random) => replaceAt(text, random, /-?\d+/g, () => random.of(NUMBERS)),
  (text, random) => replaceAt(text, random, /"(?:[^"\\]|\\.)*"/g, () => random.of(VALUES)),
  (text) => text.replaceAll('"', "'"),
  (text, random, other) => `[${random.of([text, `${text},${other().toString()}`, `${other().toString()},${text}`])}]`,
  (text) => `[[${text}]]`,
  (text, random, other) => text + random.of(['', ' ', '\r', '\u2028', ',', '\n', '\u001e', '\u0000']) + other().toString(),
  (text, random, other) => other().toString() + random.of(['', '\r', '\u0085']) + text,
  // One message inside of another one, at any place.
  (text, random, other) => insert(text, random, random.of(['\r', '\n', '']) + other().toString() + random.of(['\r', '\n', ''])),
  (text, random) => `${'['.repeat(random.below(300))}${text}`,
  (text, random) => text.replace(/\}\s*$/, () => `,"deep":${'['.repeat(150 + random.below(200))}${']'.repeat(150 + random.below(200))}}`),
  (text) => `\ufeff${text}`,
  (text) => `data: ${text}\n`,
  (text) => `Content-Length: ${text.length}\r\n\r\n${text}`,
];

/** One to four mutations, and at times bytes that are no text. @param other - another message of the same kind. */
export function mutated(message: Buffer, other: () => Buffer, random: Random): Buffer {
  let text = message.toString('utf8');
  for (let left = 1 + random.below(4); left > 0; left--) text = random.of(MUTATIONS)(text, random, other);
  const bytes = Buffer.from(text);
  if (random.below(12) === 0 && bytes.length > 0)
    bytes[random.below(bytes.length)] = random.of([0x00, 0x0a, 0x0d, 0x80, 0xc0, 0xed, 0xff, 0x22]);
  return bytes;
}

function insert(text: string, random: Random, piece: string): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + piece + text.slice(at);
}

function cut(text: string, random: Random, length: number): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + text.slice(at + length);
}

/** One of the places where the pattern matches. */
function replaceAt(text: string, random: Random, pattern: RegExp, make: (found: string) => string): string {
  const places = [...text.matchAll(pattern)];
  if (places.length === 0) return text;
  const place = random.of(places);
  return text.slice(0, place.index) + make(place[0]) + text.slice(place.index + place[0].length);
}

function respelt(key: string, random: Random): string {
  return random.of([
    key,
    key.toUpperCase(),
    key.charAt(0) + key.charAt(1).toUpperCase() + key.slice(2),
    key.replace('s', '\u017f'),
    key.replace('a', '\u00e0'),
    key.replace('m', '\uff4d'),
    key.replace(/"$/, '\u200b"'),
    key.replace(/"$/, ' "'),
    key.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
    key.replace('i', '\u0131'),
  ]);
}

function fullWidth(letter: string): string {
  return String.fromCharCode(letter.charCodeAt(0) + 0xfee0);
}
