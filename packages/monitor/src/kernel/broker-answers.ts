/** The answers of the broker to a call that waits: a descriptor, a result, or a failure. */
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import type { KernelCalls } from '../native/kernel-calls.ts';
import { ADDFD_BYTES, fails, injects, RESPONSE_BYTES, returns } from './notification.ts';
import { O_CLOEXEC } from './open-flags.ts';

const { ENOENT, EINPROGRESS } = constants.errno;
const ID_BYTES = 8;

export class BrokerAnswers {
  readonly #listener: number;
  readonly #calls: KernelCalls;
  readonly #files: FileCalls;
  readonly #response = Buffer.alloc(RESPONSE_BYTES);
  readonly #request = Buffer.alloc(ADDFD_BYTES);
  readonly #id = Buffer.alloc(ID_BYTES);

  constructor(listener: number, calls: KernelCalls, files: FileCalls) {
    this.#listener = listener;
    this.#calls = calls;
    this.#files = files;
  }

  /** Hands over a descriptor of ours, which is closed here, as what the call returns. @param flags - as they were asked for */
  give(id: bigint, fd: number, flags: number): void {
    const given = this.#calls.addDescriptor(this.#listener, injects(this.#request, id, fd, flags & O_CLOEXEC));
    this.#files.close(fd);
    // It has no room for one more (EMFILE), say. Whoever was ended meanwhile wants no answer.
    if (given < 0 && given !== -ENOENT && given !== -EINPROGRESS) this.fail(id, -given);
  }

  /** @param errno - positive */
  fail(id: bigint, errno: number): void {
    this.#calls.send(this.#listener, fails(this.#response, id, errno));
  }

  /** It was done: 0, or the negated errno. */
  done(id: bigint, result: number): void {
    if (result < 0) this.fail(id, -result);
    else this.#calls.send(this.#listener, returns(this.#response, id, 0));
  }

  isWaiting(id: bigint): boolean {
    this.#id.writeBigUInt64LE(id, 0);
    return this.#calls.isWaiting(this.#listener, this.#id) >= 0;
  }
}
