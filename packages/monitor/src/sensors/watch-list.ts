/**
 * What inotify watches, by what it is for. One watch is on one file or folder as it is now: what is put in its place is another, so the
 * folder of each listed file is watched for its name. Bounded, and what is not watched is counted.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import {
  IN_ACCESS,
  IN_ATTRIB,
  IN_CLOSE_NOWRITE,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_DONT_FOLLOW,
  IN_MASK_ADD,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_ONLYDIR,
  IN_OPEN,
} from '../native/inotify-event.ts';
import type { Native } from '../native/native.ts';

/** The kernel allows 8192 per user where nobody raised that. */
export const MAX_WATCHES = 8_192;
/** Of files made since the start, so that their end counts for nothing; of later ones it is not known whether they were there. */
export const MAX_MADE = 100_000;
const FOLDERS_PER_TURN = 100;

const USE = IN_OPEN | IN_ACCESS | IN_MODIFY | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE;
const NAMES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
const FILE = USE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
const PARENT = NAMES | IN_ONLYDIR | IN_MASK_ADD;
const LISTED_FOLDER = USE | NAMES | IN_ONLYDIR | IN_MASK_ADD;
const TREE_FOLDER = NAMES | IN_ONLYDIR | IN_DONT_FOLLOW | IN_MASK_ADD;

export interface Watched {
  path: string;
  /** Itself a listed file. */
  isFile: boolean;
  /** Everything in it is listed. */
  isListed: boolean;
  /** Deletions in it count. */
  isTree: boolean;
  /** It was made after the start, and so was everything in it. */
  isNew: boolean;
  /** Names in it that are listed files. */
  readonly names: Set<string>;
}

export class WatchList {
  readonly #calls: Native;
  readonly #fd: number;
  readonly #skipped: ReadonlySet<string>;
  readonly #most: number;
  readonly #byWatch = new Map<number, Watched>();
  readonly #made = new Set<string>();
  #hasForgotten = false;
  /** Folders and files that should be watched and are not. */
  unwatched = 0;

  constructor(calls: Native, fd: number, skipped: ReadonlySet<string>, most: number) {
    this.#most = most;
    this.#calls = calls;
    this.#fd = fd;
    this.#skipped = skipped;
  }

  get(watch: number): Watched | undefined {
    return this.#byWatch.get(watch);
  }

  get size(): number {
    return this.#byWatch.size;
  }

  /** @returns false where its folder is not there yet. */
  addFile(path: string): boolean {
    const folder = this.#add(dirname(path), PARENT);
    if (folder === undefined) return false;
    folder.names.add(basename(path));
    this.watchAnew(path);
    return true;
  }

  /** A listed file that may be another one now. @returns true when it is there. */
  watchAnew(path: string): boolean {
    const file = this.#add(path, FILE);
    if (file === undefined) return false;
    file.isFile = true;
    return true;
  }

  /** A listed folder, those in it, and its name in the one above. @returns false where it is not there. */
  addListed(path: string): boolean {
    this.#add(dirname(path), PARENT)?.names.add(basename(path));
    return this.addBelow(path, false);
  }

  /** A folder in a listed one, and those in it. */
  addBelow(path: string, isNew: boolean): boolean {
    const folder = this.#add(path, LISTED_FOLDER);
    if (folder === undefined) return false;
    folder.isListed = true;
    folder.isNew ||= isNew;
    for (const inside of foldersIn(path)) this.addBelow(join(path, inside), isNew);
    return true;
  }

  /** A folder whose deletions count, and those in it. Lets others run in between. */
  async addTree(path: string, isNew = false): Promise<void> {
    const folders = [path];
    for (let at = 0; at < folders.length; at++) {
      const here = folders[at] ?? '';
      const folder = this.#add(here, TREE_FOLDER);
      if (folder === undefined) {
        if (isFolder(here)) this.unwatched++;
        continue;
      }
      folder.isTree = true;
      folder.isNew ||= isNew;
      for (const inside of foldersIn(here)) if (!this.#skipped.has(inside)) folders.push(join(here, inside));
      if (at % FOLDERS_PER_TURN === FOLDERS_PER_TURN - 1) await turn();
    }
  }

  isSkipped(name: string): boolean {
    return this.#skipped.has(name);
  }

  /** The kernel took the watch away. */
  forget(watch: number): void {
    this.#byWatch.delete(watch);
  }

  /** A folder was moved: what is watched in it has other names now, or is none of ours any more. */
  moved(from: string, to: string | undefined): void {
    for (const [watch, watched] of this.#byWatch) {
      if (watched.path !== from && !watched.path.startsWith(`${from}/`)) continue;
      if (to !== undefined) watched.path = to + watched.path.slice(from.length);
      // What is listed stays so wherever it is, under the name it had.
      else if (!watched.isListed && !watched.isFile) this.#calls.inotifyRemove(this.#fd, watch);
    }
  }

  made(path: string): void {
    if (this.#made.size < MAX_MADE) this.#made.add(path);
    else this.#hasForgotten = true;
  }

  /** It is gone. @returns whether it was there before the start; undefined where that is not known. */
  unmade(path: string, folder: Watched): boolean | undefined {
    if (this.#made.delete(path) || folder.isNew) return false;
    return this.#hasForgotten ? undefined : true;
  }

  #add(path: string, mask: number): Watched | undefined {
    if (path.includes('\0') || this.#byWatch.size >= this.#most) return undefined;
    const watch = this.#calls.inotifyAdd(this.#fd, path, mask);
    if (watch < 0) return undefined;
    const known = this.#byWatch.get(watch);
    if (known !== undefined) return known;
    const watched: Watched = { path, isFile: false, isListed: false, isTree: false, isNew: false, names: new Set() };
    this.#byWatch.set(watch, watched);
    return watched;
  }
}

/** Links are not followed: what they lead to is elsewhere. */
function foldersIn(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
