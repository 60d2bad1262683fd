/**
 * The unix socket by which a process below `countersign run` tells what it saw. The kernel says to whoever listens which process
 * connected, so nobody tells in the name of another, and nobody but the process itself can close it.
 *
 * It is opened before anything of the program runs, and a process that cannot open it refuses everything: what it does would be told
 * to nobody. The handle is a bare one, which reads nothing and closes nothing by itself.
 */
import { originals } from './originals.ts';
import type { Sink } from './report.ts';

/** Who watches may be busy; what is refused is worth waiting for. */
const MAX_URGENT_MS = 1_000;
const MAX_OPEN_MS = 10_000;
const PAUSE_MS = 5;
/** The first line: who connects without it is no probe. */
export const HELLO = '{"probe":1}\n';

interface Pipe {
  readonly fd: number;
  connect(request: object, path: string): number;
  unref(): void;
  close(): void;
}

interface PipeBinding {
  readonly Pipe: new (type: number) => Pipe;
  readonly PipeConnectWrap: new () => { oncomplete?: () => void };
  readonly constants: { readonly SOCKET: number };
}

/** @throws when nobody listens there. */
export function openChannel(path: string): Sink {
  const { Pipe, PipeConnectWrap, constants } = (process as unknown as { binding(name: string): PipeBinding }).binding('pipe_wrap');
  const until = originals.monotonicMs() + MAX_OPEN_MS;
  for (;;) {
    const pipe = new Pipe(constants.SOCKET);
    const request = new PipeConnectWrap();
    request.oncomplete = () => {};
    // What goes wrong is told later, by a callback: here by the first line that is written.
    pipe.connect(request, path);
    pipe.unref();
    try {
      originals.writeSync(pipe.fd, HELLO);
      return new Channel(pipe);
    } catch (error) {
      pipe.close();
      // Too many wait to be let in: EAGAIN when it connects is ENOTCONN when it writes.
      if (!isBusy(error) || originals.monotonicMs() > until || !isThere(path))
        throw new Error(`nobody listens at ${path}`, { cause: error });
      pause();
    }
  }
}

class Channel implements Sink {
  /** Kept, or it would be closed. */
  readonly #pipe: Pipe;
  readonly #inode: number;
  /** What was begun and is not through. */
  #rest: Buffer = Buffer.alloc(0);

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
    this.#inode = originals.fstatSync(pipe.fd).ino;
  }

  takes(): boolean {
    return true;
  }

  write(text: string, isUrgent: boolean): void {
    const until = isUrgent ? originals.monotonicMs() + MAX_URGENT_MS : 0;
    if (!this.#sendRest(until)) throw new Error('nobody reads');
    this.#rest = Buffer.from(text);
    this.#sendRest(until);
  }

  /** @returns whether all of it is through. */
  #sendRest(untilMs: number): boolean {
    while (this.#rest.length > 0) {
      try {
        // The program may have closed what it did not open, and the number be another file's by now.
        if (originals.fstatSync(this.#pipe.fd).ino !== this.#inode) throw new Error('it was closed');
        this.#rest = this.#rest.subarray(originals.writeSync(this.#pipe.fd, this.#rest));
      } catch (error) {
        if (!isBusy(error)) throw error;
        if (originals.monotonicMs() >= untilMs) return false;
        pause();
      }
    }
    return true;
  }
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EAGAIN' || code === 'ENOTCONN';
}

function isThere(path: string): boolean {
  return originals.lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

const NOBODY = new Int32Array(new SharedArrayBuffer(4));

function pause(): void {
  originals.wait(NOBODY, 0, 0, PAUSE_MS);
}
