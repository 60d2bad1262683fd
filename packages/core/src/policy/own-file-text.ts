/** Spellings of one path: what a text may mean once a shell, a URL parser or a file system has read it. */
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Rounds of percent-decoding. */
const MAX_DECODINGS = 3;
/** Longer texts are searched for mentions but not read as a path: no system accepts them. */
export const MAX_PATH_CHARS = 4096;
/** Characters that only encoded or quoted spellings hold. */
const DISGUISE = /[%\\'"`\0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]|\/[./]/;
const IGNORED = /[\0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]/g;

/** One comparable form: compatibility characters folded, lower case, `/` as separator, no empty or `.` segments. */
export function foldText(text: string): string {
  const plain = isAscii(text) ? text : text.normalize('NFKC').normalize('NFC');
  const slashed = plain.toLowerCase().replaceAll('\\', '/');
  return slashed.includes('//') || slashed.includes('/./') ? slashed.replaceAll(/\/(?:\.?\/)+/g, '/') : slashed;
}

/** The text itself and, when it is disguised, what it decodes to. */
export function spellings(text: string): readonly string[] {
  if (!DISGUISE.test(text)) return [text];
  const found = new Set([text]);
  let decoded = text;
  for (let round = 0; ; round++) {
    const visible = decoded.replaceAll(IGNORED, '');
    found.add(visible);
    // A shell drops quotes and backslashes inside a word.
    found.add(visible.replaceAll(/[\\'"`]/g, ''));
    const next = round < MAX_DECODINGS ? percentDecoded(decoded) : decoded;
    if (next === decoded) return [...found];
    decoded = next;
    found.add(decoded);
  }
}

/** Absolute paths the text may stand for, without asking the file system. */
export function pathReadings(spelling: string): readonly string[] {
  if (spelling.length > MAX_PATH_CHARS) return [];
  const path = spelling.trim().replaceAll('\\', '/');
  const readings = [path, fromFileUrl(path)].flatMap((reading) => (reading === undefined ? [] : [reading]));
  return readings.map((reading) => resolve(withoutProc(withHome(reading))));
}

/** Percent-decoding that leaves malformed escapes alone: one bad escape must not hide the good ones. */
function percentDecoded(text: string): string {
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) => Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'));
}

function fromFileUrl(text: string): string | undefined {
  if (!/^file:/i.test(text)) return undefined;
  try {
    const url = new URL(text);
    url.host = '';
    return fileURLToPath(url);
  } catch {
    return text.replace(/^file:\/*/i, '/');
  }
}

function withHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? homedir() + path.slice(1) : path;
}

/** `/proc/self/root/x` is `/x`, and `/proc/self/cwd/x` is `x` here. */
function withoutProc(path: string): string {
  let rest = path;
  for (let round = 0; round < 8; round++) {
    const match = /^\/+proc\/+(?:self|thread-self|\d+)(?:\/+task\/+\d+)?\/+(root|cwd)(?=\/|$)/.exec(rest);
    if (match === null) break;
    rest = (match[1] === 'root' ? '/' : process.cwd()) + rest.slice(match[0].length);
  }
  return rest;
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}
