/** Arguments that look like paths, of programs whose arguments mean nothing to us. */
import type { Context } from './context.ts';
import { baseName, type Field, hasGlob, isHidden, NUMBER, SPLIT, UNKNOWN } from './field.ts';

/** Notes every argument that could be a path: `--file=/etc/shadow`, `@~/.ssh/id_rsa`, `../x`, `.env`. */
export function mentionPaths(args: readonly Field[], context: Context): void {
  for (const arg of args) {
    const path = pathIn(arg);
    if (path !== undefined) context.recorder.path('mention', path, context.state.places);
  }
}

function pathIn(arg: Field): Field | undefined {
  if (arg === '' || arg.includes('://')) return undefined;
  let text = arg;
  if (text.startsWith('-')) {
    const equals = text.indexOf('=');
    if (equals < 0) return undefined;
    text = text.slice(equals + 1);
  } else {
    const equals = text.indexOf('=');
    if (equals >= 0 && isWord(text.slice(0, equals))) text = text.slice(equals + 1);
  }
  if (text.startsWith('@')) text = text.slice(1);
  return looksLikePath(text) ? text : undefined;
}

function looksLikePath(text: Field): boolean {
  if (text === '' || text.includes(' ') || text.includes('\n')) return false;
  return text.includes('/') || text.startsWith('.') || text.startsWith('~') || SECRET_ENDINGS.some((ending) => text.endsWith(ending));
}

/** Names of files that matter although they have neither a folder nor a leading dot. */
const SECRET_ENDINGS: readonly string[] = [
  '.pem',
  '.key',
  '.p12',
  '.pfx',
  '.kdbx',
  'id_rsa',
  'id_ed25519',
  'id_ecdsa',
  'credentials.json',
  'authorized_keys',
];

function isWord(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_-]*$/.test(text);
}

/** Endings that no device and no file of the system's own has. */
const INERT_EXTENSIONS: ReadonlySet<string> = new Set(
  'txt md rst html htm css scss json jsonl ndjson xml csv tsv log out err png jpg jpeg gif svg webp pdf zip gz tgz bz2 xz tar zst bak tmp ts tsx js jsx mjs cjs py rb go rs java kt c h cpp hpp map lock snap diff patch sql webm mp4 mp3 wav md5 sha256 yml yaml toml'.split(
    ' ',
  ),
);

/** Could a path that is not fully known be a device, a file of the system, or one that starts by itself? */
export function mayBeVital(path: Field): boolean {
  if (!isHidden(path)) return false;
  const name = baseName(path);
  const dot = name.lastIndexOf('.');
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase();
  if (hasUnknown(extension) || hasGlob(extension)) return true;
  return !INERT_EXTENSIONS.has(extension);
}

function hasUnknown(text: string): boolean {
  return text.includes(UNKNOWN) || text.includes(SPLIT) || text.includes(NUMBER);
}
