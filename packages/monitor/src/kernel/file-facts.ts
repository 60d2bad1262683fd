/** Whether a file was there before, for calls that are judged by it. Asked without opening it. */
import { constants } from 'node:os';
import { type KernelCalls, STATX_BYTES } from '../native/kernel-calls.ts';

const { ENOENT, ENOTDIR } = constants.errno;
/** Of `struct statx`. */
const MASK_AT = 0;
const BIRTH_AT = 80;
const CHANGED_AT = 96;
const MASK_BIRTH = 0x800;

export class FileFacts {
  readonly #calls: KernelCalls;
  readonly #stat = Buffer.alloc(STATX_BYTES);

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /** Whether it was there before a time: UTC, milliseconds. Undefined: nobody can tell. A link itself counts, not where it leads. */
  existed(path: string, since: number): boolean | undefined {
    // Its bytes are no text, and what was made of them is another name.
    if (path.includes('\uFFFD')) return undefined;
    const got = this.#calls.statx(path, false, this.#stat);
    if (got === -ENOENT || got === -ENOTDIR) return false;
    if (got < 0) return undefined;
    if ((this.#stat.readUInt32LE(MASK_AT) & MASK_BIRTH) !== 0) return this.#time(BIRTH_AT) < since;
    // A file system that keeps no birth: what was not changed since was there.
    return this.#time(CHANGED_AT) < since ? true : undefined;
  }

  #time(at: number): number {
    return Number(this.#stat.readBigInt64LE(at)) * 1_000 + this.#stat.readUInt32LE(at + 8) / 1_000_000;
  }
}
