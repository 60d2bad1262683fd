/** What a file is, as far as a call that uses it has to be judged by it. Asked without opening it, but for the first line of a script. */
import { constants } from 'node:os';
import { type KernelCalls, STATX_BYTES } from '../native/kernel-calls.ts';
import { isOutOfDescriptors } from './own-descriptors.ts';

const { ENOENT, ENOTDIR } = constants.errno;
/** Of `struct statx`. */
const MASK_AT = 0;
const MODE_AT = 28;
const BIRTH_AT = 80;
const CHANGED_AT = 96;
const MASK_BIRTH = 0x800;
const FORMAT = 0o170000;
const REGULAR = 0o100000;
const AT_FDCWD = -100;
const O_RDONLY_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
/** As much as the kernel looks at. */
const SCRIPT_BYTES = 256;

export interface Interpreter {
  readonly program: string;
  readonly argument?: string;
}

export class FileFacts {
  readonly #calls: KernelCalls;
  readonly #stat = Buffer.alloc(STATX_BYTES);
  readonly #line = Buffer.alloc(SCRIPT_BYTES);

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

  /** Why there is nothing that could be run: positive errno. Undefined: there is something, or nobody can tell. */
  missing(path: string | Buffer): number | undefined {
    const got = this.#calls.statx(path, true, this.#stat);
    return got === -ENOENT || got === -ENOTDIR ? -got : undefined;
  }

  /** What runs a script: `#!` in its first line. @throws where we have no descriptor left to read that */
  interpreter(path: string | Buffer): Interpreter | undefined {
    if (this.#calls.statx(path, true, this.#stat) < 0 || (this.#stat.readUInt16LE(MODE_AT) & FORMAT) !== REGULAR) return undefined;
    const fd = this.#calls.openat(AT_FDCWD, path, O_RDONLY_NONBLOCK_CLOEXEC, 0);
    if (fd < 0 && isOutOfDescriptors(-fd)) throw new Error('the monitor has no descriptor left');
    if (fd < 0) return undefined;
    const got = this.#calls.pread(fd, this.#line, 0);
    this.#calls.close(fd);
    return got < 2 ? undefined : interpreterIn(this.#line.subarray(0, got));
  }

  #time(at: number): number {
    return Number(this.#stat.readBigInt64LE(at)) * 1_000 + this.#stat.readUInt32LE(at + 8) / 1_000_000;
  }
}

/** As `binfmt_script` of the kernel reads it: a program, and all the rest of the line as one argument. */
export function interpreterIn(start: Buffer): Interpreter | undefined {
  if (start[0] !== 0x23 || start[1] !== 0x21) return undefined;
  const end = start.indexOf(0x0a);
  const line = start.toString('utf8', 2, end < 0 ? start.length : end).replace(/\0.*$/s, '');
  const [, program = '', argument = ''] = /^[ \t]*([^ \t]+)[ \t]*(.*?)[ \t]*$/s.exec(line) ?? [];
  if (program === '') return undefined;
  return { program, ...(argument !== '' && { argument }) };
}
