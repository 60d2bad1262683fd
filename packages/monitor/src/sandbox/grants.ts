/**
 * What of a home, and of the system's programs, is given to whoever is contained: the same for every way of containing. A home is not
 * given as a whole, what is forbidden is not given, and no link that an agent may have made is followed.
 */
import { patternsOf, withFolders } from '../rules/families/scope-paths.ts';
import { CACHES, foldersOf } from '../rules/folders.ts';
import type { PathPatterns } from '../rules/path-patterns.ts';
import { isUnder } from '../rules/path-text.ts';
import type { Scope } from '../scope/scope.ts';
import {
  type Look,
  overlaps,
  type Places,
  PROGRAM_FOLDERS,
  placeOf,
  programFolders,
  SHARED_MEMORY,
  USER_PROGRAMS,
  USER_SETTINGS,
} from './places.ts';
import type { Unexpressed } from './unexpressed.ts';

/** `told`: what the scope allows and is not given. */
export function grantsOf(scope: Scope, places: Places, look: Look): { readonly grants: Grants; readonly told: readonly Unexpressed[] } {
  const grants = new Grants(scope, places, look);
  for (const path of PROGRAM_FOLDERS) grants.give('exec', path);
  for (const { file, folder } of programFolders(places, look)) grants.give('exec', folder, file);
  for (const path of places.path) grants.give('exec', path);
  for (const path of USER_PROGRAMS) grants.give('exec', `${places.home}${path}`);
  for (const path of USER_SETTINGS) grants.give('read', `${places.home}${path}`);
  for (const path of places.reads ?? []) grants.give('read', path);
  for (const path of [...places.tmp, SHARED_MEMORY]) grants.give('write', path);
  const caches = CACHES.map((path) => `${places.home}${path}`);
  // Our own state lies beside that of others.
  const holdsOurs = (folder: string): boolean => places.own.some((path) => isUnder(path, folder));
  for (const path of caches.filter((folder) => !holdsOurs(folder))) grants.give('write', path);
  const { allowedPaths, agentFiles } = scope.filesystem;
  const notWorkspace = grants.give(allowedPaths === undefined ? 'write' : 'exec', places.workspace);
  const told: Unexpressed[] = [
    ...(notWorkspace === undefined ? [] : ([{ key: 'workspace', item: places.workspace, why: notWorkspace, is: 'narrower' }] as const)),
    ...(allowedPaths ?? []).flatMap((item) => grants.givePattern('allowed_paths', item)),
    ...agentFiles.flatMap((item) => grants.givePattern('agent_files', item)),
  ];
  return { grants, told };
}

export type Kind = 'read' | 'exec' | 'write';
const KINDS: readonly Kind[] = ['read', 'exec', 'write'];

export class Grants {
  readonly #places: Places;
  readonly #look: Look;
  readonly #forbidden: PathPatterns;
  readonly #paths: Readonly<Record<Kind, Set<string>>> = { read: new Set(), exec: new Set(), write: new Set() };
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
  give(kind: Kind, path: string, named: string = path): string | undefined {
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

  /** Undefined for one with a wildcard inside. */
  wholePath(pattern: string): string | undefined {
    const place = placeOf(pattern, this.#places);
    return 'path' in place ? place.path : undefined;
  }

  /** Where all that it means lies. */
  below(pattern: string): string {
    const place = placeOf(pattern, this.#places);
    return 'path' in place ? place.path : place.below;
  }

  touchPath(path: string): boolean {
    const real = this.#look.real(path) ?? path;
    return KINDS.some((kind) => [...this.#paths[kind]].some((folder) => isUnder(real, folder)));
  }

  /** What is written is read too: the wider grant alone. */
  given(): Record<Kind, readonly string[]> {
    const within = (path: string, kinds: readonly Kind[]): boolean =>
      kinds.some((kind) => [...this.#paths[kind]].some((folder) => isUnder(path, folder)));
    const { read, exec, write } = this.#paths;
    return {
      read: [...read].filter((path) => !within(path, ['exec', 'write'])),
      exec: [...exec].filter((path) => !within(path, ['write'])),
      write: [...write],
    };
  }

  /** As it is named, and where that leads. */
  #placesOf(pattern: string): readonly string[] {
    const path = this.below(pattern);
    return [...new Set([path, this.#look.real(path) ?? path])];
  }
}
