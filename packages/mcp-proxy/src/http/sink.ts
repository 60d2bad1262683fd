import type { IncomingMessage } from 'node:http';
import type { ClientSide } from './client-side.ts';
import { unreadError } from './unread.ts';

/** How long a client may leave what it was sent unread. */
export const WRITE_STALL_MS = 60_000;

/** Writes to the client no faster than it reads: the server is not read meanwhile. */
export class DrainedSink {
  readonly #source: IncomingMessage;
  readonly #client: ClientSide;
  #stalled: NodeJS.Timeout | undefined;

  constructor(source: IncomingMessage, client: ClientSide) {
    this.#source = source;
    this.#client = client;
    client.response.on('drain', () => this.#drained());
    client.response.on('close', () => this.#drained());
  }

  write(bytes: Buffer): void {
    const client = this.#client;
    if (client.isOver || client.write(bytes)) return;
    this.#source.pause();
    this.#stalled ??= setTimeout(() => client.response.destroy(unreadError()), WRITE_STALL_MS).unref();
  }

  #drained(): void {
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
    this.#source.resume();
  }
}
