import type { Permit } from '@countersign/core';
import type { Lane } from './lane.ts';
import type { ListingReader } from './listing-watch.ts';

/** Calls decided or running at once; further ones are refused. */
export const MAX_IN_FLIGHT = 1024;
/** Bytes of the messages of those calls together. */
export const MAX_IN_FLIGHT_BYTES: number = 256 * 1024 * 1024;
/** Requests of any kind without an answer. */
export const MAX_REQUESTS = 4096;
/** Ids of cancelled calls whose late answer must not be taken for another call's. */
export const MAX_RETIRED_IDS = 1024;

/** A request of the client that has no answer yet. */
export type Request = {
  /** Where it came from, and where its answer goes. */
  readonly lane: Lane;
} & (
  | /** A call on its way through the guard; the server has not seen it. */
  { readonly state: 'deciding'; readonly idJson: string; readonly sizeBytes: number; readonly abort: AbortController }
  /** A call the server has. `round`: it may be kept open when the server asks something (`ApprovalDesk.roundOf`). */
  | {
      readonly state: 'running';
      readonly idJson: string;
      readonly sizeBytes: number;
      readonly permit: Permit;
      readonly task: boolean;
      readonly round?: string;
    }
  /** A running call the client no longer waits for. */
  | { readonly state: 'cancelled'; readonly sizeBytes: number; readonly permit: Permit; readonly timer: NodeJS.Timeout }
  /** Its answer came and is being released: no other one counts. */
  | { readonly state: 'releasing'; readonly sizeBytes: number }
  /** Any other request. `taskId`: of the task it is about; `isPage`: of a list, and not its first; `listens`: for changes of lists. */
  | {
      readonly state: 'forwarded';
      readonly idJson: string;
      readonly method: string;
      readonly taskId?: string;
      readonly isPage?: boolean;
      readonly listens?: ListingReader;
    }
);

/** Requests by id key, bounded. A key is in use from the request until its answer. */
export class InFlight {
  readonly #requests = new Map<string, Request>();
  readonly #retired = new Set<string>();
  readonly #onListened: (reader: ListingReader) => void;
  readonly #idle: (() => void)[] = [];
  #calls = 0;
  #bytes = 0;

  /** @param onListened - told of one that listens no more. */
  constructor(onListened: (reader: ListingReader) => void = () => {}) {
    this.#onListened = onListened;
  }

  /** Resolves when no request waits for an answer. */
  async idle(): Promise<void> {
    if (this.#requests.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  add(key: string, request: Request): 'added' | 'in-use' | 'full' {
    if (this.#requests.has(key) || this.#retired.has(key)) return 'in-use';
    const sizeBytes = bytesOf(request);
    const fullOfCalls = isCall(request) && (this.#calls >= MAX_IN_FLIGHT || this.#bytes + sizeBytes > MAX_IN_FLIGHT_BYTES);
    if (this.#requests.size >= MAX_REQUESTS || fullOfCalls) return 'full';
    this.#put(key, request);
    return 'added';
  }

  get(key: string): Request | undefined {
    return this.#requests.get(key);
  }

  /** Moves a request to its next state. */
  replace(key: string, request: Request): void {
    this.#drop(key);
    this.#put(key, request);
  }

  /** Takes a request out, for good: of two answers only the first finds it. */
  take(key: string): Request | undefined {
    const request = this.#drop(key);
    if (request?.state === 'forwarded' && request.listens !== undefined) this.#onListened(request.listens);
    if (request === undefined) this.#retired.delete(key);
    else if (this.#requests.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return request;
  }

  /** Keeps the id of a taken request from being used until its late answer came or many others were retired. */
  retire(key: string): void {
    const oldest = this.#retired.values().next();
    if (this.#retired.size >= MAX_RETIRED_IDS && oldest.done !== true) this.#retired.delete(oldest.value);
    this.#retired.add(key);
  }

  keys(): readonly string[] {
    return [...this.#requests.keys()];
  }

  #put(key: string, request: Request): void {
    this.#requests.set(key, request);
    if (isCall(request)) this.#calls += 1;
    this.#bytes += bytesOf(request);
  }

  #drop(key: string): Request | undefined {
    const request = this.#requests.get(key);
    if (request === undefined) return undefined;
    this.#requests.delete(key);
    if (isCall(request)) this.#calls -= 1;
    this.#bytes -= bytesOf(request);
    return request;
  }
}

function isCall(request: Request): boolean {
  return request.state !== 'forwarded';
}

function bytesOf(request: Request): number {
  return request.state === 'forwarded' ? 0 : request.sizeBytes;
}
