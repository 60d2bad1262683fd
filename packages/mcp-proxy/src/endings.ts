/** How requests of one client end: with the server's answer, with one of ours in its place, or with none. What was a call gets its outcome. */
import { errorAnswer } from './answer.ts';
import type { InFlight, Request } from './in-flight.ts';
import type { Lane } from './lane.ts';
import type { ListNotices } from './list-notices.ts';
import { LIST_METHOD, RPC_ERRORS } from './message.ts';
import type { Records } from './records.ts';
import { outcomeOf } from './released.ts';
import type { ServerResponse } from './server-message.ts';
import type { Target } from './target.ts';
import { learnList } from './tool-pins.ts';

/** How long a cancelled call may still tell how it ended before it is recorded as cancelled. */
export const CANCEL_GRACE_MS = 5_000;

export interface EndingsOptions {
  readonly target: Target;
  readonly inFlight: InFlight;
  readonly records: Records;
  readonly notices: ListNotices;
  /** Default `CANCEL_GRACE_MS`. */
  readonly cancelGraceMs?: number;
}

export class Endings {
  readonly #options: EndingsOptions;
  readonly #inFlight: InFlight;
  readonly #records: Records;

  constructor(options: EndingsOptions) {
    this.#options = options;
    this.#inFlight = options.inFlight;
    this.#records = options.records;
  }

  /** The server's answer goes, or went, to the client. */
  answered(response: ServerResponse): void {
    const request = response.key === undefined ? undefined : this.#inFlight.take(response.key);
    if (request === undefined || request.state === 'deciding' || request.state === 'releasing') return;
    if (request.state === 'forwarded') {
      if (request.method === LIST_METHOD) learnList(response, this.#options.target);
      if (request.method === 'initialize') this.#options.notices.learn(response.result);
      return;
    }
    if (request.state === 'cancelled') clearTimeout(request.timer);
    this.#records.add(this.#records.settleSoon(request.permit, outcomeOf(response)));
  }

  /** Answers a request the server has in its place. */
  answerFor(key: string | undefined, code: number, message: string, lane: Lane | undefined): void {
    const request = key === undefined ? undefined : this.#inFlight.get(key);
    if (key === undefined || request?.state === 'deciding' || request?.state === 'releasing') return;
    if (request !== undefined && request.state !== 'cancelled')
      (lane ?? request.lane).toClient(errorAnswer(request.idJson, code, message), 'answer');
    // Also when no request is open: a late answer frees the id of a cancelled one.
    this.answered({ id: undefined, key, error: { code, message } });
  }

  /** The client does not wait for it any longer. */
  cancel(key: string): void {
    const request = this.#inFlight.get(key);
    if (request?.state === 'deciding') return request.abort.abort();
    if (request?.state === 'running') {
      const { lane, sizeBytes, permit } = request;
      const timer = setTimeout(() => this.#forget(key), this.#options.cancelGraceMs ?? CANCEL_GRACE_MS);
      timer.unref();
      this.#inFlight.replace(key, { state: 'cancelled', lane, sizeBytes, permit, timer });
    } else if (request?.state === 'forwarded') {
      this.#inFlight.take(key);
      this.#inFlight.retire(key);
      request.lane.dropped();
    }
  }

  /** A cancelled call that told nothing in time. */
  #forget(key: string): void {
    const request = this.#inFlight.take(key);
    if (request?.state !== 'cancelled') return;
    this.#inFlight.retire(key);
    request.lane.dropped();
    this.#records.add(this.#records.settle(request.permit, { status: 'cancelled' }));
  }

  /** No answer comes any more, unless it came and is being released. @param tell - whether the client is told in the server's place. */
  abandon(key: string, reason: string, tell = true, code: number = RPC_ERRORS.UPSTREAM_GONE): void {
    if (this.#inFlight.get(key)?.state === 'releasing') return;
    const request: Request | undefined = this.#inFlight.take(key);
    if (request === undefined || request.state === 'releasing') return;
    if (request.state === 'deciding') request.abort.abort();
    if (request.state === 'cancelled') clearTimeout(request.timer);
    else if (tell) request.lane.toClient(errorAnswer(request.idJson, code, reason), 'answer');
    if (request.state === 'cancelled') this.#records.add(this.#records.settle(request.permit, { status: 'cancelled' }));
    if (request.state === 'running') this.#records.add(this.#records.settle(request.permit, { status: 'error', error: new Error(reason) }));
  }
}
