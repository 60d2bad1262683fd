/**
 * What clients leave unread. Every answer is given to the socket of its client at once, so a client that asks and does not read fills
 * this process; a hundred of them fill it a hundred times as fast. What a server has no reason to hold back, we have to.
 */
import type { Socket } from 'node:net';

/** What may wait for all clients together. */
export const MAX_UNREAD_BYTES: number = 256 * 1024 * 1024;
/** How long one client may take nothing of what waits for it. */
export const UNREAD_MS = 120_000;
const CHECK_MS = 250;

interface Waiting {
  takenBytes: number;
  sinceMs: number;
}

export interface UnreadLimits {
  readonly maxBytes?: number;
  readonly limitMs?: number;
  readonly now?: () => number;
}

/** Cuts off clients that do not read: the one that took nothing for the longest time first. */
export class Unread {
  readonly #maxBytes: number;
  readonly #limitMs: number;
  readonly #now: () => number;
  readonly #sockets = new Map<Socket, Waiting>();
  readonly #checking: NodeJS.Timeout;

  constructor({ maxBytes = MAX_UNREAD_BYTES, limitMs = UNREAD_MS, now = Date.now }: UnreadLimits = {}) {
    this.#maxBytes = maxBytes;
    this.#limitMs = limitMs;
    this.#now = now;
    this.#checking = setInterval(() => this.check(), CHECK_MS).unref();
  }

  watch(socket: Socket): void {
    this.#sockets.set(socket, { takenBytes: 0, sinceMs: this.#now() });
    socket.once('close', () => this.#sockets.delete(socket));
  }

  check(): void {
    const now = this.#now();
    const stalled: { readonly socket: Socket; readonly sinceMs: number; readonly bytes: number }[] = [];
    for (const [socket, waiting] of this.#sockets) {
      const bytes = socket.writableLength;
      const takenBytes = bytes === 0 ? waiting.takenBytes : socket.bytesWritten - bytes;
      if (bytes === 0 || takenBytes !== waiting.takenBytes) Object.assign(waiting, { takenBytes, sinceMs: now });
      if (bytes > 0) stalled.push({ socket, sinceMs: waiting.sinceMs, bytes });
    }
    let unread = stalled.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { socket, sinceMs, bytes } of stalled.sort((a, b) => a.sinceMs - b.sinceMs || b.bytes - a.bytes)) {
      if (unread <= this.#maxBytes && now - sinceMs < this.#limitMs) return;
      socket.destroy(unreadError());
      unread -= bytes;
    }
  }

  close(): void {
    clearInterval(this.#checking);
  }
}

export const UNREAD_CODE = 'COUNTERSIGN_UNREAD';

/** Why a connection was cut; the listener logs it. */
export function unreadError(): Error {
  return Object.assign(new Error('a client did not read what it was sent, and was cut off'), { code: UNREAD_CODE });
}
