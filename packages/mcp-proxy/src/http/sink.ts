import type { IncomingMessage, ServerResponse } from 'node:http';
import { unreadError } from './unread.ts';

/** How long a client may leave what it was sent unread. */
export const WRITE_STALL_MS = 60_000;

/** Writes to the client no faster than it reads: the server is not read meanwhile. */
export class DrainedSink {
  readonly #source: IncomingMessage;
  readonly #response: ServerResponse;
  #stalled: NodeJS.Timeout | undefined;

  constructor(source: IncomingMessage, response: ServerResponse) {
    this.#source = source;
    this.#response = response;
    response.on('drain', () => this.#drained());
    response.on('close', () => this.#drained());
  }

  write(bytes: Buffer): void {
    const response = this.#response;
    if (response.destroyed || response.writableEnded || response.write(bytes)) return;
    this.#source.pause();
    this.#stalled ??= setTimeout(() => response.destroy(unreadError()), WRITE_STALL_MS).unref();
  }

  #drained(): void {
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
    this.#source.resume();
  }
}
