/**
 * Which files are marked, and under which name they were listed. A mark is on the file itself: it holds under every name it has, through
 * links, other mounts and other roots. What is put in its place later is another file, and marked at the next look.
 *
 * Looking opens nothing but folders, which are not marked themselves: whoever answers would wait for its own answer.
 */
import { type BigIntStats, lstatSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FanotifyCalls } from '../native/fanotify-calls.ts';

export interface Places {
  /** Absolute paths of files, and of folders that count with all in them. */
  readonly guarded: readonly string[];
  /**
   * Files of ours with locks on them. Each question comes with a descriptor of the file, and whoever closes any descriptor of a file
   * gives up all the locks its process has there: these are never marked, nor are the folders they lie in as a whole.
   */
  readonly spared: readonly string[];
}

/** Files and folders; those beyond are counted. */
export const MAX_MARKS = 4_096;

export class FanotifyMarks {
  readonly #calls: FanotifyCalls;
  readonly #group: number;
  readonly #places: Places;
  readonly #locked: ReadonlySet<string>;
  #spared = new Set<string>();
  /** Listed names by file. */
  #names = new Map<string, string>();
  #count = 0;
  /** Of the last look: what is there and not marked. */
  unmarked = 0;

  constructor(calls: FanotifyCalls, group: number, places: Places) {
    this.#calls = calls;
    this.#group = group;
    this.#places = places;
    this.#locked = new Set(places.spared.map((path) => dirname(path)));
  }

  /** Marks what is there now. Marking again changes nothing. */
  look(): void {
    this.#names = new Map();
    this.#count = 0;
    this.unmarked = 0;
    this.#spared = new Set(this.#places.spared.flatMap((path) => keyOfPath(path) ?? []));
    // Links are followed where they were listed; those in a folder may lead anywhere, and were put there by anybody.
    for (const path of this.#places.guarded) this.#mark(path, look(path, statSync));
  }

  /** The name a file is guarded under; undefined for one that only lies in a guarded folder, or came since the last look. */
  nameOf(stats: Pick<BigIntStats, 'dev' | 'ino'>): string | undefined {
    return this.#names.get(keyOf(stats));
  }

  #put(path: string, isFolder: boolean): number {
    return isFolder ? this.#calls.markFolder(this.#group, path) : this.#calls.markFile(this.#group, path);
  }

  #holdsLocked(folder: BigIntStats): boolean {
    return [...this.#locked].some((each) => keyOfPath(each) === keyOf(folder));
  }

  #mark(path: string, stats: BigIntStats | undefined): void {
    if (stats === undefined || stats.isSymbolicLink() || this.#spared.has(keyOf(stats))) return;
    if (this.#count++ >= MAX_MARKS) return void this.unmarked++;
    if (this.#names.has(keyOf(stats))) return;
    const isFolder = stats.isDirectory();
    // Files that a database makes and takes away again would come under a mark before anybody could spare them.
    const isWhole = !isFolder || !this.#holdsLocked(stats);
    const marked = isWhole ? this.#put(path, isFolder) : 0;
    if (marked < 0) return void this.unmarked++;
    this.#names.set(keyOf(stats), path);
    if (isFolder) for (const name of namesIn(path)) this.#mark(join(path, name), look(join(path, name), lstatSync));
  }
}

function keyOfPath(path: string): string | undefined {
  const stats = look(path, statSync);
  return stats === undefined ? undefined : keyOf(stats);
}

function look(path: string, how: typeof statSync): BigIntStats | undefined {
  try {
    return how(path, { bigint: true });
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function keyOf({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`;
}
