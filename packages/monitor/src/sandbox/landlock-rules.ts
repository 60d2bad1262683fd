/**
 * A scope as Landlock can hold to it. Landlock gives, and takes nothing back of what it gave: what a scope forbids is kept by not
 * granting it. So whatever of it lies below a granted folder is told as not expressed; see `docs/guides/kernel-control.md`.
 */
import type { LandlockRules } from '../kernel/landlock.ts';
import { patternsOf, withFolders } from '../rules/families/scope-paths.ts';
import { CACHES, foldersOf } from '../rules/folders.ts';
import type { PathPatterns } from '../rules/path-patterns.ts';
import { isUnder } from '../rules/path-text.ts';
import type { Scope } from '../scope/scope.ts';
import {
  DEVICES,
  KERNEL_FOLDERS,
  type Look,
  overlaps,
  type Places,
  PROGRAM_FOLDERS,
  placeOf,
  programFolders,
  SERVICE_FOLDERS,
  SHARED_MEMORY,
  systemSettings,
  THIS_HOST,
  USER_PROGRAMS,
  USER_SETTINGS,
} from './places.ts';
import { NO_COMMANDS, NO_COUNTS, type Unexpressed } from './unexpressed.ts';

export interface LandlockTranslation {
  readonly rules: LandlockRules;
  readonly unexpressed: readonly Unexpressed[];
}

/** @param abi - of the kernel it is for, at least 1 */
export function landlockRules(scope: Scope, places: Places, abi: number, look: Look = THIS_HOST): LandlockTranslation {
  const grants = new Grants(scope, places, look);
  for (const path of [...KERNEL_FOLDERS, ...SERVICE_FOLDERS, ...systemSettings(look)]) grants.give('read', path);
  for (const path of PROGRAM_FOLDERS) grants.give('exec', path);
  for (const { file, folder } of programFolders(places, look)) grants.give('exec', folder, file);
  for (const path of places.path) grants.give('exec', path);
  for (const path of USER_PROGRAMS) grants.give('exec', `${places.home}${path}`);
  for (const path of USER_SETTINGS) grants.give('read', `${places.home}${path}`);
  for (const path of [...places.tmp, SHARED_MEMORY]) grants.give('write', path);
  for (const path of CACHES) grants.give('write', `${places.home}${path}`);
  for (const path of DEVICES) grants.give('devices', path);
  const { allowedPaths, agentFiles } = scope.filesystem;
  grants.give(allowedPaths === undefined ? 'write' : 'exec', places.workspace);
  const told: Unexpressed[] = [
    ...(allowedPaths ?? []).flatMap((item) => grants.givePattern('allowed_paths', item)),
    ...agentFiles.flatMap((item) => grants.givePattern('agent_files', item)),
  ];
  const { allowedPorts } = scope.network;
  const hasPorts = allowedPorts !== undefined && abi >= ABI_OF_PORTS;
  return {
    rules: { ...grants.given(), ...(hasPorts && { connectPorts: allowedPorts }) },
    unexpressed: [
      ...told,
      ...notTaken(scope, grants, places),
      ...notOfFiles(scope, abi),
      ...gapsOf(abi),
      ...(places.isRoot ? [AS_ROOT] : []),
    ],
  };
}

const ABI_OF_PORTS = 4;
type Kind = 'read' | 'exec' | 'write' | 'devices';
const KINDS: readonly Kind[] = ['read', 'exec', 'write', 'devices'];

class Grants {
  readonly #places: Places;
  readonly #look: Look;
  readonly #forbidden: PathPatterns;
  readonly #paths: Readonly<Record<Kind, Set<string>>> = { read: new Set(), exec: new Set(), write: new Set(), devices: new Set() };
  readonly #home: string;
  /** What an agent may have filled with links before this session, as it is named and where that leads. */
  readonly #loose: readonly { readonly path: string; readonly real: string }[];

  constructor({ filesystem }: Scope, places: Places, look: Look) {
    this.#places = places;
    this.#look = look;
    this.#home = look.real(places.home) ?? places.home;
    const written = [...(filesystem.allowedPaths ?? []), ...filesystem.agentFiles].flatMap((pattern) => {
      const place = placeOf(pattern, places);
      return 'path' in place ? [place.path] : [];
    });
    this.#loose = [places.workspace, ...places.tmp, ...written].flatMap((path) => {
      const real = look.real(path);
      return real === undefined ? [] : [{ path, real }];
    });
    const folders = foldersOf({ ...places, folds: false, real: (path) => look.real(path) ?? path });
    this.#forbidden = patternsOf(withFolders(filesystem.forbiddenPaths), folders);
  }

  /**
   * Where there is nothing, or nothing that may be given, nothing is.
   *
   * @param named - the path that led to it
   * @returns why not, for people
   */
  give(kind: Kind, path: string, named = path): string | undefined {
    const real = this.#look.real(path);
    if (real === undefined) return 'it is not there, and only what is there when the agent starts can be granted: make it first';
    if (real === '/' || isUnder(this.#home, real)) return 'a home is never granted as a whole: name the folders in it';
    if ((this.#forbidden(real) ?? this.#forbidden(path)) !== undefined) return 'it is a forbidden path, or lies below one';
    // A link in a folder that agents write to says what an agent wants.
    const around = this.#loose.filter((folder) => folder.path !== named && isUnder(named, folder.path));
    if (around.length > 0 && !around.some((folder) => isUnder(real, folder.real)))
      return 'it is a link that leads out of a folder the agent writes to';
    this.#paths[kind].add(real);
    return undefined;
  }

  givePattern(key: 'allowed_paths' | 'agent_files', item: string): readonly Unexpressed[] {
    const place = placeOf(item, this.#places);
    const why = 'below' in place ? 'a wildcard inside of a path cannot be granted: name the folder' : this.give('write', place.path);
    return why === undefined ? [] : [{ key, item, why, is: 'narrower' }];
  }

  /** Something that is granted lies below it, or above it. */
  touch(pattern: string, kinds: readonly Kind[] = KINDS): boolean {
    const places = this.#placesOf(pattern);
    return kinds.some((kind) => [...this.#paths[kind]].some((path) => places.some((place) => overlaps(path, place))));
  }

  touchPath(path: string): boolean {
    const real = this.#look.real(path) ?? path;
    return KINDS.some((kind) => [...this.#paths[kind]].some((folder) => isUnder(real, folder)));
  }

  /** What is written is read too: the wider grant alone. */
  given(): Record<Kind, readonly string[]> {
    const within = (path: string, kinds: readonly Kind[]): boolean =>
      kinds.some((kind) => [...this.#paths[kind]].some((folder) => isUnder(path, folder)));
    const { read, exec, write, devices } = this.#paths;
    return {
      read: [...read].filter((path) => !within(path, ['exec', 'write'])),
      exec: [...exec].filter((path) => !within(path, ['write'])),
      write: [...write],
      devices: [...devices],
    };
  }

  /** As it is named, and where that leads. */
  #placesOf(pattern: string): readonly string[] {
    const place = placeOf(pattern, this.#places);
    const path = 'path' in place ? place.path : place.below;
    return [...new Set([path, this.#look.real(path) ?? path])];
  }
}

function notTaken({ filesystem }: Scope, grants: Grants, { own }: Places): readonly Unexpressed[] {
  const why = 'it lies in a folder that is granted, of which nothing can be taken back';
  const ofEach = (key: Unexpressed['key'], items: readonly string[], kinds?: readonly Kind[]): readonly Unexpressed[] =>
    items.filter((item) => grants.touch(item, kinds)).map((item) => ({ key, item, why, is: 'wider' }));
  return [
    ...ofEach('forbidden_paths', filesystem.forbiddenPaths),
    ...ofEach('forbidden_writes', filesystem.forbiddenWrites, ['write']),
    ...own.filter((path) => grants.touchPath(path)).map((item): Unexpressed => ({ key: 'own_files', item, why, is: 'wider' })),
    ...filesystem.forbiddenExtensions.map(
      (item): Unexpressed => ({ key: 'forbidden_extensions', item, why: 'names are not looked at, only where a file lies', is: 'wider' }),
    ),
  ];
}

function notOfFiles({ network, process }: Scope, abi: number): readonly Unexpressed[] {
  const noHosts = 'hosts are not told apart, only ports';
  const all = (key: Unexpressed['key'], items: readonly string[] | undefined, why: string): readonly Unexpressed[] =>
    (items ?? []).map((item) => ({ key, item, why, is: 'wider' }));
  return [
    ...all('allowed_domains', network.allowedDomains, noHosts),
    ...all('forbidden_domains', network.forbiddenDomains, noHosts),
    ...(network.allowedPorts === undefined ? [] : portGaps(abi)),
    ...all('allowed_commands', process.allowedCommands, NO_COMMANDS),
    ...all('forbidden_commands', process.forbiddenCommands, NO_COMMANDS),
    { key: 'behavior', why: NO_COUNTS, is: 'wider' },
    { key: 'sockets', why: 'sockets with a path are reached, such as those of docker, an ssh agent and D-Bus', is: 'wider' },
  ];
}

function portGaps(abi: number): readonly Unexpressed[] {
  if (abi < ABI_OF_PORTS)
    return [{ key: 'allowed_ports', why: `this kernel's landlock (ABI ${abi}) knows no ports: 6.7 is needed`, is: 'wider' }];
  return [
    { key: 'allowed_ports', why: 'UDP is not looked at', is: 'wider' },
    { key: 'allowed_ports', why: 'ports of this host itself count too, which the scope leaves alone', is: 'narrower' },
  ];
}

const AS_ROOT: Unexpressed = {
  key: 'kernel',
  why: 'as root it reads the environment of other processes, and root is not held by this for long: run it as an ordinary user',
  is: 'wider',
};

/** What older kernels leave alone. */
function gapsOf(abi: number): readonly Unexpressed[] {
  const gaps: readonly (readonly [number, Unexpressed['is'], string])[] = [
    [2, 'narrower', 'nothing is moved or linked from one folder to another'],
    [3, 'wider', 'files that may not be written can be emptied (truncate)'],
    [5, 'wider', 'devices that are granted take any ioctl'],
    [6, 'wider', 'signals and abstract sockets of processes outside are reached'],
  ];
  return gaps
    .filter(([since]) => abi < since)
    .map(([since, is, what]) => ({ key: 'kernel', why: `${what}: this kernel's landlock has ABI ${abi}, and that needs ${since}`, is }));
}
