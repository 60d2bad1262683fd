/**
 * The folders that evidence is written to, by what they are and not by their names: whoever renames one, or lays a link in its place, has
 * what is written afterwards where nobody looks for it.
 */
import { lstatSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { makePrivateFolder } from './log-folder.ts';

interface Identity {
  readonly dev: number;
  readonly ino: number;
}

export class KeptFolders {
  readonly #made: Map<string, Identity> = new Map();

  /** @param paths - outer ones first. @throws {CountersignError} `OPTIONS_INVALID`; system errors */
  constructor(paths: readonly string[]) {
    for (const path of paths) this.#make(path);
  }

  /** One that is not at its place any more, or is another. */
  async missing(): Promise<string | undefined> {
    for (const [path, { dev, ino }] of this.#made) {
      // What cannot be looked at is not known to be there: it counts as missing.
      const found = await lstat(path).catch(() => undefined);
      if (found?.dev !== dev || found.ino !== ino) return path;
    }
    return undefined;
  }

  /** Makes those that are gone. @throws {CountersignError} `OPTIONS_INVALID` for a link, or another's folder, in the place of one; system errors */
  remake(): void {
    for (const path of this.#made.keys()) this.#make(path);
  }

  #make(path: string): void {
    makePrivateFolder(path);
    const { dev, ino } = lstatSync(path);
    this.#made.set(path, { dev, ino });
  }
}
