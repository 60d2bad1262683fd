import { PassThrough, type Readable } from 'node:stream';
import { lineOf, parse } from './outgoing.ts';

/** What a server over HTTP says, as a server over stdio would: one line a message, as fast as somebody reads them. */
export class MessageOutput {
  readonly #out = new PassThrough();
  readonly #log: (text: string) => void;

  /** @param log - takes one line for people. */
  constructor(log: (text: string) => void) {
    this.#log = log;
    // Every open stream may wait for room.
    this.#out.setMaxListeners(0);
  }

  get stream(): Readable {
    return this.#out;
  }

  /** On to the client, as one line. What is no JSON is no message. Resolves when there is room for more. */
  async hand(data: Buffer, message: unknown = parse(data)): Promise<void> {
    if (message === undefined) return this.#log('dropped a message of the server that is not JSON');
    await this.write(lineOf(Buffer.from(data)));
  }

  /** A line of ours. Resolves when there is room for more. */
  async write(line: Buffer): Promise<void> {
    if (this.#out.writableEnded || this.#out.write(line)) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.#out.off('drain', go).off('close', go);
        resolve();
      };
      this.#out.on('drain', go).on('close', go);
    });
  }

  end(): void {
    this.#out.end();
  }
}
