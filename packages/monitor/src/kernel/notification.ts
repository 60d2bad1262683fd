/**
 * A trapped call as the kernel tells it, and the answers it takes.
 *
 * @see seccomp_unotify(2): `struct seccomp_notif` (80 bytes), `seccomp_notif_resp` (24), `seccomp_notif_addfd` (24)
 */
import { archTable, type CallName } from './syscalls.ts';

export interface Trapped {
  /** Of this one call, as the kernel numbers it. */
  readonly id: bigint;
  /** The thread that makes it, as we see its number. */
  readonly tid: number;
  readonly call: CallName;
  /** Six registers. Numbers of 32 bits are in the lower half: `int`. */
  readonly args: readonly bigint[];
}

export const NOTIFICATION_BYTES = 80;
export const RESPONSE_BYTES = 24;
export const ADDFD_BYTES = 24;
const CONTINUE = 1;
/** Injects and answers in one step. */
const ADDFD_SEND = 2;

const TID_AT = 8;
const NUMBER_AT = 16;
const ARGS_AT = 32;

/** Names by number, of one architecture. */
export function callNames(arch: string): ReadonlyMap<number, CallName> {
  const { numbers } = archTable(arch) ?? { numbers: new Map<string, number>() };
  return new Map([...numbers].map(([name, number]) => [number, name as CallName])); // the table has no other keys
}

/** Undefined for a call that no filter of ours traps. */
export function parseNotification(bytes: Buffer, names: ReadonlyMap<number, CallName>): Trapped | undefined {
  return new Notification(bytes).parse(names);
}

/** One buffer for all that come. Its views cost a tenth of what reading 64 bits out of a buffer does. */
export class Notification {
  readonly bytes: Buffer;
  readonly #words: BigUint64Array;
  readonly #ints: Int32Array;

  constructor(bytes: Buffer = Buffer.alloc(NOTIFICATION_BYTES)) {
    this.bytes = bytes;
    this.#words = new BigUint64Array(bytes.buffer, bytes.byteOffset, NOTIFICATION_BYTES / 8);
    this.#ints = new Int32Array(bytes.buffer, bytes.byteOffset, NOTIFICATION_BYTES / 4);
  }

  /** As the kernel wants it before it fills it. */
  clear(): void {
    this.#ints.fill(0);
  }

  get id(): bigint {
    return this.#words[0] ?? 0n;
  }

  /** Undefined for a call that no filter of ours traps. */
  parse(names: ReadonlyMap<number, CallName>): Trapped | undefined {
    const call = names.get(this.#ints[NUMBER_AT / 4] ?? -1);
    if (call === undefined) return undefined;
    const at = ARGS_AT / 8;
    const args = [this.#word(at), this.#word(at + 1), this.#word(at + 2), this.#word(at + 3), this.#word(at + 4), this.#word(at + 5)];
    return { id: this.id, tid: this.#ints[TID_AT / 4] ?? 0, call, args };
  }

  #word(index: number): bigint {
    return this.#words[index] ?? 0n;
  }
}

/** One buffer for all answers. */
export class Response {
  readonly bytes: Buffer = Buffer.alloc(RESPONSE_BYTES);
  readonly #words = new BigUint64Array(this.bytes.buffer, this.bytes.byteOffset, RESPONSE_BYTES / 8);
  readonly #ints = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, RESPONSE_BYTES / 4);

  goesOn(id: bigint): Buffer {
    return this.#answer(id, 0, CONTINUE);
  }

  /** @param errno - positive */
  fails(id: bigint, errno: number): Buffer {
    return this.#answer(id, -errno, 0);
  }

  #answer(id: bigint, error: number, flags: number): Buffer {
    this.#words[0] = id;
    this.#words[1] = 0n;
    this.#ints[4] = error;
    this.#ints[5] = flags;
    return this.bytes;
  }
}

/** @param errno - positive */
export function fails(into: Buffer, id: bigint, errno: number): Buffer {
  return response(into, id, -errno, 0);
}

/** It is done by us, and gave this. */
export function returns(into: Buffer, id: bigint, value: number): Buffer {
  response(into, id, 0, 0).writeBigInt64LE(BigInt(value), 8);
  return into;
}

/** The caller gets a copy of our descriptor, as what its call returns. @param flags - `O_CLOEXEC` or 0 */
export function injects(into: Buffer, id: bigint, fd: number, flags: number): Buffer {
  into.writeBigUInt64LE(id, 0);
  into.writeUInt32LE(ADDFD_SEND, 8);
  into.writeUInt32LE(fd, 12);
  into.writeUInt32LE(0, 16);
  into.writeUInt32LE(flags, 20);
  return into;
}

/** `int` in a register. */
export function intOf(arg: bigint | undefined): number {
  return Number(BigInt.asIntN(32, arg ?? 0n));
}

function response(into: Buffer, id: bigint, error: number, flags: number): Buffer {
  into.writeBigUInt64LE(id, 0);
  into.writeBigInt64LE(0n, 8);
  into.writeInt32LE(error, 16);
  into.writeUInt32LE(flags, 20);
  return into;
}
