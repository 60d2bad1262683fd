/**
 * A path as it is spelled: what cannot be one, and every way in which a tool may read it.
 *
 * Who controls the text: the agent. Which code will open the path is not known: it may decode percent signs, fold
 * Unicode, or normalise `..` before it looks. So a path has several *readings*, and a rule has an answer only where all
 * of them agree. A text of which nobody can say what it will name is a fault:
 *
 * - empty, NUL and other controls, invisible characters and those that turn the reading order, lone surrogates;
 * - `~`, `$HOME`, `${X}`, `$(x)`, backticks, `%VAR%`: somebody else's business to expand;
 * - `file:` and every other scheme, `//host`, drive letters (on POSIX);
 * - a backslash (on POSIX), look-alikes of `/`, `\` and `.`; segments of dots and spaces that are neither `.` nor `..`;
 * - a placeholder of the redactor: what stands there was hidden from the rule.
 */
import { ConditionFault } from '../../condition-value.ts';

/** Linux and macOS accept no longer one. */
export const MAX_PATH_CHARS = 4096;
export const MAX_PATH_SEGMENTS = 256;
/** Rounds of percent-decoding that are followed; a path that is encoded more often is a fault. */
const MAX_DECODINGS = 3;

export interface Spelling {
  /** As segments are written, `..` included and `.` left out; of an absolute path the first segment is the one after `/`. */
  readonly segments: readonly string[];
  readonly isAbsolute: boolean;
  /** Another Unicode form of a text: the same name to people, and to some systems. */
  readonly isForm: boolean;
}

/** All readings of a text, itself first. @throws {ConditionFault} */
export function readingsOf(text: string, platform: NodeJS.Platform): readonly Spelling[] {
  const texts = new Set([text]);
  let decoded = text;
  for (let round = 0; ; round++) {
    const next = percentDecoded(decoded);
    if (next === decoded) break;
    if (round >= MAX_DECODINGS) throw fault('is percent-encoded again and again');
    decoded = next;
    texts.add(decoded);
  }
  const read = [...texts].map((one) => spellingOf(one, platform));
  if (isAscii(decoded)) return read;
  const forms = new Set([...texts].flatMap((one) => [one.normalize('NFC'), one.normalize('NFD'), one.normalize('NFKC')]));
  for (const form of forms) if (!texts.has(form)) read.push({ ...spellingOf(form, platform), isForm: true });
  return read;
}

/** One reading. @throws {ConditionFault} */
export function spellingOf(text: string, platform: NodeJS.Platform): Spelling {
  checkText(text);
  return platform === 'win32' ? windowsSpelling(text) : posixSpelling(text);
}

/** Where the segments lead when nobody looks at the disk; `..` at the top stays there, as systems have it. */
export function normalized(segments: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else kept.push(segment);
  }
  return kept;
}

// Controls, format characters (reading order, zero width), line separators, what is drawn as nothing, unassigned surrogates.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/u;
// Folded to `/`, `\` or `.` by NFKC or by Windows' best-fit tables.
const LOOK_ALIKE = /[\u2024\u2025\u2026\u2044\u2215\u2216\u29f5\u29f8\ufe52\ufe68\uff0e\uff0f\uff3c]/;
const EXPANDED = /^~|`|\$[{(]|(?:^|\/)\$[A-Z_]|%(?![0-9A-Fa-f]{2})[A-Za-z_][A-Za-z0-9_]*%/;
const PLACEHOLDER = /\[redacted(?::|\])/i;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]+:/;

function checkText(text: string): void {
  if (text === '') throw fault('is empty');
  if (text.length > MAX_PATH_CHARS) throw fault(`is longer than ${MAX_PATH_CHARS} characters`);
  if (UNSEEN.test(text)) throw fault('holds a character that cannot be seen');
  if (LOOK_ALIKE.test(text)) throw fault('holds a look-alike of a slash or a dot');
  if (PLACEHOLDER.test(text)) throw fault('holds a redacted value: nobody can say where it leads');
  if (EXPANDED.test(text)) throw fault('holds something that a shell or a tool may expand');
  if (SCHEME.test(text)) throw fault('is a URL');
  if (text.includes('..') && /[${]/.test(text)) throw fault('mixes ".." with something that may be expanded');
  if (text.trim() !== text) throw fault('begins or ends with a space');
}

function posixSpelling(text: string): Spelling {
  if (text.includes('\\')) throw fault('holds a backslash');
  if (/^[A-Za-z]:/.test(text)) throw fault('begins with a drive letter');
  if (text.startsWith('//')) throw fault('begins with two slashes');
  return { segments: segmentsOf(text), isAbsolute: text.startsWith('/'), isForm: false };
}

// Device names work in every folder and with every extension.
const DEVICE = /^(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]|conin\$|conout\$)(?:\..*)?$/i;

function windowsSpelling(given: string): Spelling {
  const text = given.replaceAll('\\', '/');
  if (/[\u00a5\u20a9]/.test(text)) throw fault('holds a look-alike of a slash or a dot');
  if (text.startsWith('//')) throw fault('names another host or a device');
  const drive = /^([A-Za-z]):(.?)/.exec(text);
  if (drive !== null && drive[2] !== '/') throw fault('is relative to the folder of a drive');
  if (drive === null && text.startsWith('/')) throw fault('names no drive');
  const segments = segmentsOf(drive === null ? text : text.slice(2));
  for (const segment of segments) {
    if (segment === '..') continue;
    if (segment.includes(':')) throw fault('names a stream of a file');
    if (/[. ]$/.test(segment)) throw fault('has a segment that ends with a dot or a space');
    if (DEVICE.test(segment)) throw fault('names a device');
    if (/~\d/.test(segment)) throw fault('may be a short name of another file');
  }
  if (drive === null) return { segments, isAbsolute: false, isForm: false };
  return { segments: [`${drive[1]?.toUpperCase()}:`, ...segments], isAbsolute: true, isForm: false };
}

function segmentsOf(text: string): readonly string[] {
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.length > MAX_PATH_SEGMENTS) throw fault(`has more than ${MAX_PATH_SEGMENTS} segments`);
  for (const segment of segments) {
    if (segment !== '..' && /^[. ]+$/.test(segment)) throw fault('has a segment of dots or spaces');
    if (segment.endsWith(' ')) throw fault('has a segment that ends with a space');
  }
  return segments;
}

/** Malformed escapes stay as they are: one bad escape must not hide the good ones. */
function percentDecoded(text: string): string {
  if (!text.includes('%')) return text;
  return text.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    const bytes = Buffer.from(escapes.replaceAll('%', ''), 'hex');
    const decoded = bytes.toString('utf8');
    // Overlong forms such as %c0%ae were a dot to old decoders.
    if (decoded.includes('\ufffd')) throw fault('holds percent signs that are no UTF-8');
    return decoded;
  });
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}

export function fault(what: string): ConditionFault {
  return new ConditionFault(`path: a path ${what}`);
}
