/** One file of the activity log, while it is written. */
import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoggedActivity } from './activity-line.ts';
import { FILE_MODE, MAX_SEGMENTS, segmentName } from './log-folder.ts';

export interface Line {
  readonly bytes: Buffer;
  /** Of an activity; absent for a line that says what was lost. */
  readonly of?: Pick<LoggedActivity['activity'], 'seq' | 'at'>;
}

/** What the ledger is told of a segment that is closed. Numbers and hashes: nothing of what was seen. */
export interface SegmentFacts {
  readonly segment: number;
  /** Of the bytes that were written, hex. */
  readonly sha256: string;
  readonly bytes: number;
  readonly lines: number;
  /** Absent when it holds no activity. */
  readonly first?: { readonly seq: number; readonly at: number };
  readonly last?: { readonly seq: number; readonly at: number };
}

/** Handed in by tests: disks are full when they like. */
export type WriteBytes = (file: FileHandle, bytes: Buffer) => Promise<number>;
export const writeBytes: WriteBytes = async (file, bytes) => (await file.write(bytes)).bytesWritten;

/**
 * Makes the next file of a session.
 *
 * @param number - a file of that number is never touched: the next one that is free is taken.
 */
export async function openSegment(folder: string, number: number, write: WriteBytes): Promise<Segment> {
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
  for (let next = number; next <= MAX_SEGMENTS; next++) {
    const path = join(folder, segmentName(next));
    try {
      const file = await open(path, flags, FILE_MODE);
      return new Segment(next, path, file, await file.stat(), write);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`the session has ${MAX_SEGMENTS} segments: no further one has a name`);
}

export class Segment {
  readonly number: number;
  readonly path: string;
  size = 0;
  /** Holds something that could not be taken back: nothing more may be appended. */
  isBroken = false;
  readonly #file: FileHandle;
  readonly #made: Stats;
  readonly #write: WriteBytes;
  readonly #hash = createHash('sha256');
  #lines = 0;
  #first: SegmentFacts['first'];
  #last: SegmentFacts['last'];

  constructor(number: number, path: string, file: FileHandle, made: Stats, write: WriteBytes) {
    this.number = number;
    this.path = path;
    this.#file = file;
    this.#made = made;
    this.#write = write;
  }

  /** All of them, or none: what a full disk took of them is taken back. */
  async append(lines: readonly Line[]): Promise<void> {
    const bytes = Buffer.concat(lines.map((line) => line.bytes));
    try {
      for (let done = 0; done < bytes.length; ) {
        const written = await this.#write(this.#file, bytes.subarray(done));
        if (written === 0) throw new Error('nothing more could be written: is the disk full?');
        done += written;
      }
    } catch (error) {
      this.isBroken = true;
      await this.#file.truncate(this.size);
      this.isBroken = false;
      throw error;
    }
    this.#hash.update(bytes);
    this.size += bytes.length;
    this.#lines += lines.length;
    for (const { of } of lines) {
      if (of === undefined) continue;
      this.#first ??= { seq: of.seq, at: of.at };
      this.#last = { seq: of.seq, at: of.at };
    }
  }

  /** Whether the file that is written is the one that stands at its path. */
  async isInPlace(): Promise<boolean> {
    try {
      const { dev, ino } = await lstat(this.path);
      return dev === this.#made.dev && ino === this.#made.ino;
    } catch {
      return false;
    }
  }

  /** Durable when it resolves, so that no note tells of bytes that a power loss took. */
  async close(): Promise<SegmentFacts> {
    try {
      await this.#file.datasync();
    } finally {
      await this.#file.close();
    }
    return {
      segment: this.number,
      sha256: this.#hash.digest('hex'),
      bytes: this.size,
      lines: this.#lines,
      ...(this.#first !== undefined && { first: this.#first }),
      ...(this.#last !== undefined && { last: this.#last }),
    };
  }
}
