/**
 * Opens that take as long as somebody else likes: a pipe with a name waits for its other end, a leased file for whoever has the lease.
 * We never wait in the kernel for them: they are tried without waiting, and again every now and then, while all else goes on.
 */
import { constants } from 'node:os';
import type { FileCalls } from '../native/file-calls.ts';
import type { BrokerAnswers } from './broker-answers.ts';
import { O_ACCMODE, O_APPEND, O_CLOEXEC, O_DIRECT, O_NOATIME, O_NONBLOCK, O_WRONLY } from './open-flags.ts';
import type { OwnDescriptors } from './own-descriptors.ts';

const { EAGAIN, ENFILE, ENXIO } = constants.errno;
const F_SETFL = 4;
const SPLICE_F_NONBLOCK = 2;
/** What can be changed of an open file. */
const CHANGEABLE: number = O_APPEND | O_DIRECT | O_NOATIME | O_NONBLOCK;
/** More wait in no ordinary tree: each of them is a thread that does nothing else. What comes then fails. */
export const MAX_WAITING = 256;
/** Between two tries. */
export const WAITING_MS = 20;

interface Wait {
  readonly id: bigint;
  readonly tid: number;
  /** As they were asked for. */
  readonly flags: number;
  /** Once more: a descriptor, or the negated errno; undefined while it has to wait. */
  readonly again: () => number | undefined;
  readonly drop: () => void;
}

export class WaitingOpens {
  readonly #files: FileCalls;
  readonly #own: OwnDescriptors;
  readonly #answers: BrokerAnswers;
  readonly #scratch = Buffer.alloc(8);
  readonly #byte = Buffer.alloc(1);
  #pipe: { readonly from: number; readonly to: number } | undefined;
  #waits: Wait[] = [];

  constructor(files: FileCalls, own: OwnDescriptors, answers: BrokerAnswers) {
    this.#files = files;
    this.#own = own;
    this.#answers = answers;
  }

  get size(): number {
    return this.#waits.length;
  }

  get threads(): readonly number[] {
    return this.#waits.map(({ tid }) => tid);
  }

  /** Opens what may keep us waiting. @param pin - ours, closed here. @param flags - as asked for; `with` as they are to be used */
  open({ id, tid }: Pick<Wait, 'id' | 'tid'>, pin: number, isFifo: boolean, flags: number, withFlags: number): void {
    const again = isFifo && (flags & O_ACCMODE) === 0 ? this.#reader(pin, withFlags) : this.#later(pin, isFifo, flags, withFlags);
    const drop = (): void => {
      again.drop();
      this.#files.close(pin);
    };
    const wait: Wait = { id, tid, flags, again: again.again, drop };
    if (this.#tried(wait)) return;
    if (this.#waits.length < MAX_WAITING) {
      this.#waits.push(wait);
      return;
    }
    drop();
    this.#answers.fail(id, ENFILE);
  }

  /** Tries all of them once more. */
  tick(): void {
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) {
      if (!this.#answers.isWaiting(wait.id)) wait.drop();
      else if (!this.#tried(wait)) this.#waits.push(wait);
    }
  }

  close(): void {
    for (const { drop } of this.#waits.splice(0)) drop();
    if (this.#pipe === undefined) return;
    this.#files.close(this.#pipe.from);
    this.#files.close(this.#pipe.to);
    this.#pipe = undefined;
  }

  #tried({ id, flags, again, drop }: Wait): boolean {
    const got = again();
    if (got === undefined) return false;
    // What was opened is handed over; the rest of what the wait needed is closed.
    if (got < 0) this.#answers.fail(id, -got);
    else this.#answers.give(id, settled(this.#files, got, flags), flags);
    drop();
    return true;
  }

  /** For reading a pipe: open at once, which lets writers in, and handed over when one has come. */
  #reader(pin: number, flags: number): Pick<Wait, 'again' | 'drop'> {
    let fd = this.#own.reopen(pin, flags);
    const opened = fd;
    return {
      again: () => {
        if (opened < 0) return opened;
        if (!this.#hasWriter(opened)) return undefined;
        fd = -1;
        return opened;
      },
      drop: () => {
        if (fd >= 0) this.#files.close(fd);
      },
    };
  }

  #later(pin: number, isFifo: boolean, flags: number, withFlags: number): Pick<Wait, 'again' | 'drop'> {
    const errno = isFifo && (flags & O_ACCMODE) === O_WRONLY ? ENXIO : EAGAIN;
    return {
      again: () => {
        const fd = this.#own.reopen(pin, withFlags);
        return fd === -errno ? undefined : fd;
      },
      drop: () => {},
    };
  }

  /** Copies a byte of what is in it, and takes none: with nothing in it, only one that has a writer says "try again". */
  #hasWriter(fd: number): boolean {
    const pipe = this.#scratchPipe();
    if (pipe === undefined) return true;
    const got = this.#files.tee(fd, pipe.to, 1, SPLICE_F_NONBLOCK);
    if (got > 0) this.#files.read(pipe.from, this.#byte);
    return got !== 0;
  }

  #scratchPipe(): { readonly from: number; readonly to: number } | undefined {
    if (this.#pipe === undefined && this.#files.pipe(this.#scratch, O_CLOEXEC | O_NONBLOCK) >= 0)
      this.#pipe = { from: this.#scratch.readInt32LE(0), to: this.#scratch.readInt32LE(4) };
    return this.#pipe;
  }
}

/** We open without waiting; whoever gets it waits or not, as asked for. */
export function settled(files: FileCalls, fd: number, flags: number): number {
  if ((flags & O_NONBLOCK) === 0) files.fcntl(fd, F_SETFL, flags & CHANGEABLE);
  return fd;
}
