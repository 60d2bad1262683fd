/**
 * Whether a few small files are other ones by now, and whether they are whole.
 *
 * A file that is written to in place is read half by whoever comes at the wrong moment, and half a policy may well parse.
 * Nothing tells when a writer is done; so files count as changed only once two looks in a row found the same, with a pause
 * between them that is longer than programs take to write a small file. Replacing a file by rename has no such moment.
 */
import { type BigIntStats, statSync } from 'node:fs';

export class ChangedFiles {
  #files: readonly string[];
  /** How they were when they were last taken; undefined: never. */
  #taken: string | undefined;
  #before: string | undefined;

  constructor(files: readonly string[]) {
    this.#files = files;
  }

  /**
   * `same`: as taken. `moving`: not as they were at the look before. `settled`: others than those taken, twice the same.
   */
  look(): 'same' | 'moving' | 'settled' {
    const now = this.#stamp();
    const before = this.#before;
    this.#before = now;
    if (now === this.#taken) return 'same';
    return now === before ? 'settled' : 'moving';
  }

  /** What was read after the last look is what was looked at then: takes it. False: read again. */
  take(): boolean {
    const now = this.#stamp();
    if (now !== this.#before) return false;
    this.#taken = now;
    return true;
  }

  /** The next look finds them changed. */
  forget(): void {
    this.#taken = undefined;
  }

  /** Which files count from now on. True: others than before, so that what was read of them has to be read again. */
  follow(files: readonly string[]): boolean {
    if (JSON.stringify(files) === JSON.stringify(this.#files)) return false;
    this.#files = files;
    this.#taken = undefined;
    this.#before = this.#stamp();
    return true;
  }

  #stamp(): string {
    return JSON.stringify(this.#files.map(stampOf));
  }
}

/** Of the file a link leads to, so that turning a link is a change; its times, so that a change of the same length is. */
function stampOf(file: string): string {
  let stats: BigIntStats | undefined;
  try {
    stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  }
  if (stats === undefined) return 'none';
  const { dev, ino, size, mode, mtimeNs, ctimeNs } = stats;
  return [dev, ino, size, mode, mtimeNs, ctimeNs].join(' ');
}
