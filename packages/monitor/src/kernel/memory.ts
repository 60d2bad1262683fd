/**
 * Memory of a process that waits: what its pointers lead to. Read anew each time; a descriptor of /proc/PID/mem that is kept shows the
 * memory from before an exec. Other threads may change it while we look, and after.
 */
import { constants } from 'node:os';
import type { KernelCalls } from '../native/kernel-calls.ts';

const { EFAULT, E2BIG, ENAMETOOLONG } = constants.errno;

/** As long as a path can be for the kernel, with its end. */
export const MAX_PATH_BYTES = 4_096;
/** One argument or variable, with its end: the kernel takes none that is longer. */
export const MAX_ARG_BYTES = 131_072;
/** Arguments, or variables, with their pointers: the kernel takes no more of both together, whatever the limits of the process. */
export const MAX_ARGS_BYTES: number = 6 * 1024 * 1024;
const PAGE_BYTES = 4_096;
const FIRST_BYTES = 256;
const POINTER_BYTES = 8;
/** The last address of a user process has fewer bits, on every architecture we know. */
const FIRST_FOREIGN = 1n << 63n;

/** What could not be read, by the number the kernel gives for it. */
export type Unread = 'EFAULT' | 'ENAMETOOLONG' | 'E2BIG';

export const UNREAD_ERRNO: Readonly<Record<Unread, number>> = { EFAULT, ENAMETOOLONG, E2BIG };

export class TargetMemory {
  readonly #calls: KernelCalls;
  readonly #buffer = Buffer.alloc(MAX_ARG_BYTES);
  /** What of the process lies in the buffer, while a list of texts is read. */
  #from = 0n;
  #filled = 0;

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /** Exactly so many bytes; undefined when they cannot be read. Valid until the next reading. */
  bytes(tid: number, address: bigint, length: number): Buffer | undefined {
    if (!isUsable(address) || length < 0 || length > this.#buffer.length) return undefined;
    if (length === 0) return this.#buffer.subarray(0, 0);
    return this.#calls.readMemory(tid, address, this.#buffer, length) === length ? this.#buffer.subarray(0, length) : undefined;
  }

  /** A path up to its end: a copy, without it. */
  path(tid: number, address: bigint): Buffer | Unread {
    if (!isUsable(address)) return 'EFAULT';
    // The first piece ends where its page does: what comes after may not be there, and then belongs to no name.
    for (let [filled, at] = [0, address]; filled < MAX_PATH_BYTES; ) {
      const most = filled === 0 ? FIRST_BYTES : MAX_PATH_BYTES - filled;
      const length = Math.min(most, leftOfPage(at));
      const piece = filled === 0 ? this.#buffer : this.#buffer.subarray(filled);
      if (this.#calls.readMemory(tid, at, piece, length) !== length) return 'EFAULT';
      const end = this.#end(filled, filled + length);
      if (end >= 0) return this.#copy(end);
      filled += length;
      at += BigInt(length);
    }
    return 'ENAMETOOLONG';
  }

  /** Of a text in the buffer; -1: it goes on. Names are short: looked for here, as asking for it costs more. */
  #end(from: number, to: number): number {
    for (let at = from; at < to; at++) if (this.#buffer[at] === 0) return at;
    return -1;
  }

  #copy(length: number): Buffer {
    const copy = Buffer.allocUnsafe(length);
    this.#buffer.copy(copy, 0, 0, length);
    return copy;
  }

  /** All texts of a list of pointers with a null at its end: arguments, or an environment. */
  texts(tid: number, address: bigint): readonly Buffer[] | Unread {
    if (address === 0n) return [];
    if (!isUsable(address)) return 'EFAULT';
    this.#filled = 0;
    const texts: Buffer[] = [];
    let bytes = 0;
    for (let at = address; ; ) {
      const pointers = this.#pointers(tid, at);
      if (pointers === undefined) return 'EFAULT';
      for (const pointer of pointers) {
        if (pointer === 0n) return texts;
        const text = this.#text(tid, pointer);
        if (typeof text === 'string') return text;
        bytes += text.length + 1 + POINTER_BYTES;
        if (bytes > MAX_ARGS_BYTES) return 'E2BIG';
        texts.push(text);
      }
      at += BigInt(pointers.length * POINTER_BYTES);
    }
  }

  /** Those up to the end of the page. */
  #pointers(tid: number, address: bigint): readonly bigint[] | undefined {
    // One that lies across the end of a page is read on its own.
    const length = Math.max(POINTER_BYTES, leftOfPage(address) & ~(POINTER_BYTES - 1));
    const bytes = Buffer.allocUnsafe(length);
    if (this.#calls.readMemory(tid, address, bytes, length) !== length) return undefined;
    return Array.from({ length: length / POINTER_BYTES }, (_, index) => bytes.readBigUInt64LE(index * POINTER_BYTES));
  }

  /** Texts of a list lie one after the other, as a rule: many of them come with one reading. */
  #text(tid: number, address: bigint): Buffer | Unread {
    const inside = address - this.#from;
    if (inside >= 0n && inside < BigInt(this.#filled)) {
      const from = Number(inside);
      const end = this.#buffer.subarray(from, this.#filled).indexOf(0);
      if (end >= 0) return Buffer.from(this.#buffer.subarray(from, from + end));
    }
    if (!isUsable(address)) return 'EFAULT';
    // Whole pages after the first: a reading ends before the one that cannot be read.
    const got = this.#calls.readMemory(tid, address, this.#buffer, MAX_ARG_BYTES);
    this.#from = address;
    this.#filled = Math.max(0, got);
    const end = this.#buffer.subarray(0, this.#filled).indexOf(0);
    if (end >= 0) return Buffer.from(this.#buffer.subarray(0, end));
    return this.#filled === MAX_ARG_BYTES ? 'E2BIG' : 'EFAULT';
  }
}

function isUsable(address: bigint): boolean {
  return address > 0n && address < FIRST_FOREIGN;
}

function leftOfPage(address: bigint): number {
  return PAGE_BYTES - Number(address & BigInt(PAGE_BYTES - 1));
}
