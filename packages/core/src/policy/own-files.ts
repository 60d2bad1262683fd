/**
 * The built-in rule that cannot be removed: tool arguments may not name Countersign's own ledger, keys or config.
 *
 * Who controls the input: the agent, which would like to edit the evidence against it. Two checks, both on every string
 * and every key of the arguments:
 * - *mention*: the text holds a protected path, its path from the working directory or its last two segments, in
 *   whatever case, encoding or quoting (`own-file-text.ts`); this catches shell commands and prose alike;
 * - *resolution*: the text, read as a path, leads to a protected file: dots, `~`, `file://`, `/proc/self/root`, symbolic
 *   and hard links (`own-file-links.ts`).
 *
 * Not seen: a command that computes the name (`cat .counter*`), and a tool that works on a folder above. Those are what
 * file permissions and `countersign run` are for.
 */
import { basename, dirname, relative, resolve, sep } from 'node:path';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { policyHash } from './hash.ts';
import { linkChecker, realPath } from './own-file-links.ts';
import { foldText, pathReadings, spellings } from './own-file-text.ts';
import type { Policy, PolicyVerdict } from './policy.ts';

/** Deepest arguments that are walked; deeper ones are denied. */
export const MAX_OWN_FILES_DEPTH = 256;
/** Most values that are walked; more are denied. */
export const MAX_OWN_FILES_VALUES = 1_000_000;
/** Folder that is protected as a whole when a protected path lies in it. */
const OWN_FOLDER = '.countersign';
/** What SQLite keeps beside a database. */
const SIDE_FILES = ['', '-wal', '-shm', '-journal'];

const ABSTAIN = { effect: 'abstain' } as const;
const DENY: PolicyVerdict = {
  effect: 'deny',
  always: true,
  rule: 'own-files',
  reasonCode: 'POLICY_DENY_OWN_FILES',
  // Names no path: a refusal must not teach where the evidence lies.
  reason: 'the arguments name a file of Countersign itself',
};

/**
 * Denies, in every mode, calls whose arguments name one of these files.
 *
 * Meant to be composed with other policies: it abstains on everything else, and its default is `allow` so that it
 * tightens no other default.
 *
 * @param paths - absolute, or relative to the working directory of this process.
 * @throws {CountersignError} `OPTIONS_INVALID` for a path that is empty or the root.
 */
export function ownFilesPolicy(paths: readonly string[]): Policy {
  const files = protect(paths);
  const fragments = shortest(files.map(({ fragment }) => fragment));
  const document = canonicalize({ kind: 'built-in', id: 'own-files' });
  return {
    id: 'own-files',
    hash: policyHash(document),
    document,
    default: 'allow',
    evaluate: (input) => (files.length > 0 && namesOwnFile(input.args, files, fragments) ? DENY : ABSTAIN),
    foresee: () => ABSTAIN,
  };
}

interface OwnFile {
  /** Absolute and normalised, as given. */
  readonly path: string;
  /** The same, folded for comparison. */
  readonly folded: string;
  readonly isFolder: boolean;
  /** Folded texts whose mention names this file, see `mentions`. */
  readonly names: readonly string[];
  /** The folded name of file or folder: a text without it cannot mention it. */
  readonly fragment: string;
}

function protect(paths: readonly string[]): readonly OwnFile[] {
  const files = new Map<string, OwnFile>();
  for (const given of paths) {
    const path = given === '' ? sep : resolve(given);
    if (dirname(path) === path)
      throw new CountersignError('OPTIONS_INVALID', 'protected paths: a path may not be empty or the root folder');
    // Under its real name too: the path itself may lead through a link.
    for (const own of new Set([path, realPath(path) ?? path])) {
      for (const name of SIDE_FILES) files.set(own + name, ownFile(own + name, false));
      for (let folder = dirname(own); dirname(folder) !== folder; folder = dirname(folder)) {
        if (basename(folder).toLowerCase() === OWN_FOLDER) files.set(folder, ownFile(folder, true));
      }
    }
  }
  return [...files.values()];
}

/** Those that hold none of the others: a text without any of these holds none at all. */
function shortest(fragments: readonly string[]): readonly string[] {
  const all = [...new Set(fragments)];
  return all.filter((fragment) => !all.some((other) => other !== fragment && fragment.includes(other)));
}

function ownFile(path: string, isFolder: boolean): OwnFile {
  const fromHere = relative(process.cwd(), path);
  const names = [path];
  if (fromHere !== '' && !fromHere.startsWith('..')) names.push(fromHere);
  if (isFolder) names.push(basename(path));
  else if (dirname(dirname(path)) !== dirname(path)) names.push(`${basename(dirname(path))}/${basename(path)}`);
  const folded = [...new Set(names.map(foldText))];
  return { path, folded: foldText(path), isFolder, names: folded, fragment: foldText(basename(path)) };
}

function namesOwnFile(args: unknown, files: readonly OwnFile[], fragments: readonly string[]): boolean {
  const links = linkChecker(files);
  const linkCandidates: string[] = [];
  let left = MAX_OWN_FILES_VALUES;
  const walk = (value: unknown, depth: number): boolean => {
    if (--left < 0 || depth > MAX_OWN_FILES_DEPTH) throw new Error('arguments are too large to check');
    if (typeof value === 'string') return names(value);
    if (typeof value !== 'object' || value === null) return false;
    if (Array.isArray(value)) return value.some((item) => walk(item, depth + 1));
    if (Object.getPrototypeOf(value) === Object.prototype)
      return Object.entries(value).some(([key, item]) => names(key) || walk(item, depth + 1));
    if (value instanceof Map) return [...value].some(([key, item]) => walk(key, depth + 1) || walk(item, depth + 1));
    if (value instanceof Set) return [...value].some((item) => walk(item, depth + 1));
    if (value instanceof URL) return names(value.href);
    // Some tools take a path as bytes.
    if (value instanceof ArrayBuffer) return names(Buffer.from(value).toString('utf8'));
    if (ArrayBuffer.isView(value)) return names(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8'));
    return Object.entries(value).some(([key, item]) => names(key) || walk(item, depth + 1));
  };
  const names = (text: string): boolean => {
    if (textNames(text, files, fragments)) return true;
    if (links.mayBePath(text)) linkCandidates.push(text);
    return false;
  };
  return walk(args, 0) || links.anyLeadsHere(linkCandidates);
}

function textNames(text: string, files: readonly OwnFile[], fragments: readonly string[]): boolean {
  for (const spelling of spellings(text)) {
    const folded = foldText(spelling);
    if (!fragments.some((fragment) => folded.includes(fragment))) continue;
    for (const file of files) {
      if (!folded.includes(file.fragment)) continue;
      if (file.names.some((name) => mentions(folded, name))) return true;
      if (pathReadings(spelling).some((path) => isOrIsIn(foldText(path), file))) return true;
    }
  }
  return false;
}

function isOrIsIn(folded: string, file: OwnFile): boolean {
  return folded === file.folded || (file.isFolder && folded.startsWith(`${file.folded}/`));
}

/** Characters that make a neighbouring name another one: `ledger.db.md`, `my.countersign`. */
const NAME_CHARACTER = /[\p{L}\p{N}_.-]/u;

/**
 * Whether a text holds a name as whole segments. A name without a `/` (a file in the working directory) is not
 * mentioned by a path into another folder.
 */
function mentions(text: string, name: string): boolean {
  const isSingle = !name.includes('/');
  // `-xf.countersign/ledger.db`: an option may be written against a rooted or dotted name of several segments.
  const mayBeGlued = !isSingle && /^[./]/.test(name);
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const before = text.charAt(at - 1);
    const after = text.slice(at + name.length, at + name.length + 2);
    const isElsewhere = isSingle && name !== OWN_FOLDER && before === '/' && !text.slice(0, at).endsWith('./');
    const isOther = isElsewhere || (!mayBeGlued && NAME_CHARACTER.test(before));
    // A full stop that ends a sentence does not make another name.
    const goesOn = /^(?:[\p{L}\p{N}_-]|\.[\p{L}\p{N}_.-])/u.test(after);
    if (!isOther && !goesOn) return true;
  }
  return false;
}
