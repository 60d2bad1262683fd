/**
 * Which files are marked, and under which name they were listed. A mark is on the file itself: it holds under every name it has, through
 * links, other mounts and other roots. What is put in its place later is another file, and marked at the next look.
 *
 * Looking opens nothing but folders, which are not marked themselves: whoever answers would wait for its own answer.
 */
import { type BigIntStats, lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FanotifyCalls } from '../native/fanotify-calls.ts';

/** Files and folders; those beyond are counted. */
export const MAX_MARKS = 4_096;

export class FanotifyMarks {
  readonly #calls: FanotifyCalls;
  readonly #group: number;
  readonly #guarded: readonly string[];
  /** Listed names by file. */
  #names = new Map<string, string>();
  #count = 0;
  /** Of the last look: what is there and not marked. */
  unmarked = 0;

  constructor(calls: FanotifyCalls, group: number, guarded: readonly string[]) {
    this.#calls = calls;
    this.#group = group;
    this.#guarded = guarded;
  }

  /** Marks what is there now. Marking again changes nothing. */
  look(): void {
    this.#names = new Map();
    this.#count = 0;
    this.unmarked = 0;
    // Links are followed where they were listed; those in a folder may lead anywhere, and were put there by anybody.
    for (const path of this.#guarded) this.#mark(path, look(path, statSync));
  }

  /** The name a file is guarded under; undefined for one that only lies in a guarded folder, or came since the last look. */
  nameOf(stats: Pick<BigIntStats, 'dev' | 'ino'>): string | undefined {
    return this.#names.get(keyOf(stats));
  }

  #mark(path: string, stats: BigIntStats | undefined): void {
    if (stats === undefined || stats.isSymbolicLink()) return;
    if (this.#count++ >= MAX_MARKS) return void this.unmarked++;
    if (this.#names.has(keyOf(stats))) return;
    const isFolder = stats.isDirectory();
    const marked = isFolder ? this.#calls.markFolder(this.#group, path) : this.#calls.markFile(this.#group, path);
    if (marked < 0) return void this.unmarked++;
    this.#names.set(keyOf(stats), path);
    if (isFolder) for (const name of namesIn(path)) this.#mark(join(path, name), look(join(path, name), lstatSync));
  }
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
