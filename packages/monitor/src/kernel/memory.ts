/**
 * Memory of a process that waits: what its pointers lead to. Read anew each time; a descriptor of /proc/PID/mem that is kept shows the
 * memory from before an exec. Other threads may change it while we look, and after.
 */
import type { KernelCalls } from '../native/kernel-calls.ts';

/** As long as a path can be for the kernel, with its end. */
export const MAX_PATH_BYTES = 4_096;
/** Arguments that are read; what a program gets beyond is not judged, and said to be cut off. */
export const MAX_ARGS = 4_096;
export const MAX_ARG_BYTES = 131_072;
const PAGE_BYTES = 4_096;
const FIRST_BYTES = 256;
const POINTER_BYTES = 8;

export class TargetMemory {
  readonly #calls: KernelCalls;
  readonly #buffer = Buffer.alloc(MAX_ARG_BYTES);

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /** Exactly so many bytes; undefined when they cannot be read. Valid until the next reading. */
  bytes(tid: number, address: bigint, length: number): Buffer | undefined {
    if (address === 0n || length > this.#buffer.length) return undefined;
    return this.#calls.readMemory(tid, address, this.#buffer, length) === length ? this.#buffer.subarray(0, length) : undefined;
  }

  /** Up to its end; undefined when it cannot be read or has none within `max`. A copy. */
  text(tid: number, address: bigint, max: number = MAX_PATH_BYTES): Buffer | undefined {
    if (address === 0n) return undefined;
    // Never across a page that may not be there: what can be read of a range ends before it, and that is no failure.
    for (let length = Math.min(FIRST_BYTES, max); ; length = max) {
      const got = this.#calls.readMemory(tid, address, this.#buffer, length);
      if (got <= 0) return this.#page(tid, address, max);
      const end = this.#buffer.subarray(0, got).indexOf(0);
      if (end >= 0) return Buffer.from(this.#buffer.subarray(0, end));
      if (got < length || length >= max) return undefined;
    }
  }

  /** A list of pointers to texts, with a null at its end. `isWhole`: all of it was read. */
  texts(tid: number, address: bigint): { readonly texts: readonly Buffer[]; readonly isWhole: boolean } | undefined {
    if (address === 0n) return { texts: [], isWhole: true };
    const texts: Buffer[] = [];
    let bytes = 0;
    for (let index = 0; index < MAX_ARGS; index++) {
      const pointer = this.bytes(tid, address + BigInt(index * POINTER_BYTES), POINTER_BYTES)?.readBigUInt64LE(0);
      if (pointer === undefined) return undefined;
      if (pointer === 0n) return { texts, isWhole: true };
      const text = this.text(tid, pointer, MAX_ARG_BYTES);
      if (text === undefined) return undefined;
      bytes += text.length;
      if (bytes > MAX_ARG_BYTES) break;
      texts.push(text);
    }
    return { texts, isWhole: false };
  }

  /** What is left of the page the text begins in. */
  #page(tid: number, address: bigint, max: number): Buffer | undefined {
    const left = PAGE_BYTES - Number(address % BigInt(PAGE_BYTES));
    const got = this.#calls.readMemory(tid, address, this.#buffer, Math.min(left, max));
    const end = got <= 0 ? -1 : this.#buffer.subarray(0, got).indexOf(0);
    return end < 0 ? undefined : Buffer.from(this.#buffer.subarray(0, end));
  }
}
