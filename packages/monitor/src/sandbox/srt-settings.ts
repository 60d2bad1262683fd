/**
 * A scope as sandbox-runtime can hold to it: a mount namespace in which homes are empty but for what is granted, all the rest is there
 * to read, and only what is granted to write. What is forbidden in a granted folder is hidden file by file, as it is when it starts.
 */

import { canonicalAddress, isLoopback } from '../rules/address.ts';
import { cleanHost, isWithinDomain } from '../rules/destination.ts';
import { patternsOf, withFolders } from '../rules/families/scope-paths.ts';
import { foldersOf, isCertificateBundle } from '../rules/folders.ts';
import { isUnder } from '../rules/path-text.ts';
import type { Scope } from '../scope/scope.ts';
import { type Grants, grantsOf } from './grants.ts';
import { type Look, type Places, systemSecrets, THIS_HOST } from './places.ts';
import { NO_COMMANDS, NO_COUNTS, type Unexpressed } from './unexpressed.ts';

/** Absolute paths without links; each is meant as it is, never as a pattern. What is denied within what is allowed stays denied. */
export interface SrtFiles {
  readonly denyRead: readonly string[];
  readonly allowRead: readonly string[];
  readonly allowWrite: readonly string[];
  readonly denyWrite: readonly string[];
}

export interface SrtTranslation {
  readonly files: SrtFiles;
  readonly unexpressed: readonly Unexpressed[];
}

/** Where people live. */
const HOMES = ['/home', '/root', '/Users', '/var/root'];
/** Files and folders of granted folders that are looked at for what is forbidden. */
export const MAX_WALKED = 100_000;
/** Each is a mount. */
export const MAX_HIDDEN = 400;

export function srtSettings(scope: Scope, places: Places, look: Look = THIS_HOST): SrtTranslation {
  const { grants, told } = grantsOf(scope, places, look);
  const { read, exec, write } = grants.given();
  const homes = [...HOMES, places.home].flatMap((path) => look.real(path) ?? []);
  const inHome = (path: string): boolean => homes.some((home) => isUnder(path, home));
  const { forbiddenPaths, forbiddenWrites } = scope.filesystem;
  // Folders for temporary files are everybody's and change all the time.
  const tmp = new Set(places.tmp.map((path) => look.real(path)));
  const walk = walked(scope, places, look, [...write.filter((path) => !tmp.has(path)), ...[...read, ...exec].filter(inHome)]);
  const own = places.own.flatMap((path) => look.real(path) ?? []);
  const named = (patterns: readonly string[]): readonly string[] =>
    patterns.flatMap((pattern) => grants.wholePath(pattern) ?? []).flatMap((path) => look.real(path) ?? []);
  return {
    files: {
      denyRead: unique(homes, places.isRoot ? systemSecrets(look) : [], named(forbiddenPaths), walk.unreadable, own),
      allowRead: [...read, ...exec, ...write].filter(inHome),
      allowWrite: write,
      denyWrite: unique(named(forbiddenWrites), walk.unwritable, own),
    },
    unexpressed: [...told, ...notHidden(scope, grants, look, walk.isWhole, inHome), ...always(scope)],
  };
}

function unique(...lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())];
}

/**
 * Whether its proxy may connect there: the same lists as the rules go by. This host itself is out of reach: where it is local to the
 * proxy is not what is local to whoever asks.
 */
export function mayConnect({ network }: Scope, host: string, port: number | undefined): boolean {
  const name = cleanHost(host.replace(/^\[|\]$/g, ''));
  const address = canonicalAddress(name);
  if (name === 'localhost' || name.endsWith('.localhost') || (address !== undefined && isLoopback(address))) return false;
  const names = address === undefined ? [name] : [name, address];
  const { allowedDomains, forbiddenDomains, allowedPorts } = network;
  const isOf = (domains: readonly string[]): boolean => names.some((each) => domains.some((domain) => isWithinDomain(each, domain)));
  if (isOf(forbiddenDomains)) return false;
  if (allowedDomains !== undefined && !isOf(allowedDomains)) return false;
  return allowedPorts === undefined || (port !== undefined && allowedPorts.includes(port));
}

interface Walked {
  readonly unreadable: readonly string[];
  readonly unwritable: readonly string[];
  readonly isWhole: boolean;
}

/** Looks through folders for what rules would forbid by a pattern or an ending. */
function walked({ filesystem, form }: Scope, places: Places, look: Look, granted: readonly string[]): Walked {
  const { forbiddenPaths, forbiddenWrites, forbiddenExtensions } = filesystem;
  const unreadable: string[] = [];
  const unwritable: string[] = [];
  if (forbiddenExtensions.length === 0 && ![...forbiddenPaths, ...forbiddenWrites].some(hasWildcard))
    return { unreadable, unwritable, isWhole: true };
  const folders = foldersOf({ ...places, folds: false, real: (path) => look.real(path) ?? path });
  const [forbidden, writes] = [patternsOf(withFolders(forbiddenPaths), folders), patternsOf(withFolders(forbiddenWrites), folders)];
  const isExempt = (path: string): boolean => form === 'countersign' && (folders.isPackage(path) || isCertificateBundle(path));
  const hasEnding = (path: string): boolean => forbiddenExtensions.some((ending) => path.endsWith(ending)) && !isExempt(path);
  const queue = [...granted];
  for (let at = 0, seen = 0; at < queue.length; at++) {
    const folder = queue[at] ?? '';
    for (const { name, isFolder } of look.entries(folder)) {
      seen++;
      const path = `${folder}/${name}`;
      if (forbidden(path) !== undefined || (!isFolder && hasEnding(path))) unreadable.push(path);
      else if (writes(path) !== undefined) unwritable.push(path);
      else if (isFolder) queue.push(path);
    }
    if (seen > MAX_WALKED || unreadable.length + unwritable.length > MAX_HIDDEN)
      return { unreadable: unreadable.slice(0, MAX_HIDDEN), unwritable: unwritable.slice(0, MAX_HIDDEN), isWhole: false };
  }
  return { unreadable, unwritable, isWhole: true };
}

function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern.replace(/\/\*{1,2}$/, ''));
}

/** A mount stands on what is there; what comes later has none. */
function notHidden(
  scope: Scope,
  grants: Grants,
  look: Look,
  isWhole: boolean,
  isHidden: (path: string) => boolean,
): readonly Unexpressed[] {
  const { forbiddenPaths, forbiddenWrites, forbiddenExtensions } = scope.filesystem;
  const later = isWhole
    ? 'only what is there when it starts is looked for, in folders that are granted, and not in those for temporary files'
    : `the folders that are granted hold more than is looked through: ${MAX_WALKED} names, ${MAX_HIDDEN} that are forbidden`;
  const isKept = (pattern: string): boolean => {
    const path = grants.wholePath(pattern);
    if (path !== undefined) return look.real(path) !== undefined || !grants.touch(pattern, ['write']);
    return !grants.touch(pattern) && isHidden(grants.below(pattern));
  };
  const ofEach = (key: Unexpressed['key'], items: readonly string[]): readonly Unexpressed[] =>
    items.map((item) => ({ key, item, why: later, is: 'wider' }));
  return [
    ...ofEach(
      'forbidden_paths',
      forbiddenPaths.filter((pattern) => !isKept(pattern)),
    ),
    ...ofEach(
      'forbidden_writes',
      forbiddenWrites.filter((pattern) => grants.touch(pattern, ['write']) && !isKept(pattern)),
    ),
    ...ofEach('forbidden_extensions', forbiddenExtensions),
  ];
}

function always({ filesystem, process }: Scope): readonly Unexpressed[] {
  const all = (key: Unexpressed['key'], items: readonly string[] | undefined, why: string): readonly Unexpressed[] =>
    (items ?? []).map((item) => ({ key, item, why, is: 'wider' }));
  return [
    ...(filesystem.allowedPaths === undefined
      ? []
      : ([{ key: 'allowed_paths', why: 'outside of homes everything is there to read', is: 'wider' }] as const)),
    ...all('allowed_commands', process.allowedCommands, NO_COMMANDS),
    ...all('forbidden_commands', process.forbiddenCommands, NO_COMMANDS),
    { key: 'behavior', why: NO_COUNTS, is: 'wider' },
    {
      key: 'allowed_domains',
      why: 'only programs that use the proxy of their environment connect; nothing over UDP, and not to this host',
      is: 'narrower',
    },
    { key: 'sockets', why: 'no sockets with a path can be made', is: 'narrower' },
    { key: 'terminal', why: 'it runs in a session of its own: a shell has no job control', is: 'narrower' },
    {
      key: 'forbidden_writes',
      why: 'git hooks and settings, shell and editor settings of the folder it starts in cannot be written',
      is: 'narrower',
    },
  ];
}
