/** What runs a program that is none of the kernel's own: the first line of a script, as the kernel reads it. */
import type { FileCalls } from '../native/file-calls.ts';
import { statusOf } from './file-status.ts';
import { O_NONBLOCK } from './open-flags.ts';
import { isOutOfDescriptors, type OwnDescriptors } from './own-descriptors.ts';

const O_RDONLY = 0;
/** As much as the kernel looks at. */
const LINE_BYTES = 256;

export interface Interpreter {
  /** Bytes of its path, which may be no text. */
  readonly program: Buffer;
  readonly argument?: string;
}

export class Scripts {
  readonly #files: FileCalls;
  readonly #own: OwnDescriptors;
  readonly #line = Buffer.alloc(LINE_BYTES);

  constructor(files: FileCalls, own: OwnDescriptors) {
    this.#files = files;
    this.#own = own;
  }

  /**
   * @param fd - ours, of the file itself
   * @returns undefined: it is no script; a number: nobody can tell, and why (positive errno). The kernel reads it where we may not, and waits
   * for a lease on it where we do not.
   * @throws where we have no descriptor left to read it
   */
  interpreter(fd: number): Interpreter | number | undefined {
    // All else is never run.
    if (statusOf(this.#files, fd)?.type !== 'file') return undefined;
    const open = this.#own.reopen(fd, O_RDONLY | O_NONBLOCK);
    if (open < 0 && isOutOfDescriptors(-open)) throw new Error('the monitor has no descriptor left');
    if (open < 0) return -open;
    const got = this.#files.read(open, this.#line);
    this.#files.close(open);
    return got < 0 ? -got : interpreterIn(this.#line.subarray(0, got));
  }
}

/** As `binfmt_script` of the kernel reads it: a program, and all the rest of the line as one argument. */
export function interpreterIn(start: Buffer): Interpreter | undefined {
  if (start.toString('latin1', 0, 2) !== '#!') return undefined;
  const end = start.indexOf('\n');
  const line = start.toString('latin1', 2, end < 0 ? start.length : end).replace(/\0.*$/s, '');
  const [, program = '', argument = ''] = /^[ \t]*([^ \t]+)[ \t]*(.*?)[ \t]*$/s.exec(line) ?? [];
  if (program === '') return undefined;
  return { program: Buffer.from(program, 'latin1'), ...(argument !== '' && { argument: Buffer.from(argument, 'latin1').toString() }) };
}
