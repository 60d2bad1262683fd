/**
 * The requests we send to a client ourselves.
 *
 *     countersign:<32 hex digits, random>:<32 hex digits, a MAC of them>
 *
 * An id can be neither guessed nor made up: what is answered under one was sent by us. And it is known for ours for ever,
 * whether or not its answer is still waited for, so that no answer of ours ever reaches the server.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX = 'countersign:';
const SHAPE = /^countersign:([0-9a-f]{32}):([0-9a-f]{32})$/;
/** One for the process: the answer to a request in one session may be sent in another, where it counts for nothing. */
const KEY = randomBytes(32);

/** What came back. `isSound`: no two readers could read it differently. */
export interface ClientResponse {
  readonly id: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
  readonly isSound: boolean;
}

export interface OwnRequest {
  readonly id: string;
  /** Nobody waits for the answer any more. */
  close(): void;
}

/** Those of one client. */
export class OwnRequests {
  readonly #open = new Map<string, (response: ClientResponse) => void>();

  /** Requests that wait for their answer. */
  get size(): number {
    return this.#open.size;
  }

  /** @param take - given the first answer, and no other. */
  open(take: (response: ClientResponse) => void): OwnRequest {
    const random = randomBytes(16).toString('hex');
    const id = `${PREFIX}${random}:${macOf(random)}`;
    this.#open.set(id, take);
    return { id, close: () => void this.#open.delete(id) };
  }

  /** @returns whether the response is to a request of ours, which is all there is to it: late ones and second ones count for nothing. */
  take(response: ClientResponse): boolean {
    const { id } = response;
    if (typeof id !== 'string' || !isOwnId(id)) return false;
    const take = this.#open.get(id);
    this.#open.delete(id);
    take?.(response);
    return true;
  }
}

function isOwnId(id: string): boolean {
  const [, random = '', mac = ''] = SHAPE.exec(id) ?? [];
  return mac !== '' && timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(random)));
}

function macOf(random: string): string {
  return createHmac('sha256', KEY).update(`countersign/own-request/v1\n${random}`).digest('hex').slice(0, 32);
}
