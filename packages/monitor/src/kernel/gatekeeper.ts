/**
 * The gate, as the supervisor's thread sees it. The warden shuts and opens it. Where a warden freezes the tree for what the thread finds, the
 * thread shuts it too, at once: until the warden hears of it others of the tree would go on.
 */
import { GATE } from './supervisor-protocol.ts';

/** A warden that neither freezes nor answers for so long has decided otherwise, and nothing may wait for ever. */
export const OWN_SHUT_MS = 1_000;

export class Gatekeeper {
  readonly #control: Int32Array;
  readonly #now: () => number;
  /** What was found so far that stops a tree. */
  #stops = 0;
  #untilMs = 0;

  /** @param control - the words that are shared with the warden. */
  constructor(control: Int32Array, now: () => number = () => performance.now()) {
    this.#control = control;
    this.#now = now;
  }

  get isShut(): boolean {
    return this.isShutByWarden || this.msLeft > 0;
  }

  get isShutByWarden(): boolean {
    return Atomics.load(this.#control, GATE) !== 0;
  }

  /** Until the gate that we shut opens by itself. */
  get msLeft(): number {
    return this.#untilMs === 0 ? 0 : Math.max(0, Math.ceil(this.#untilMs - this.#now()));
  }

  /** @param shuts - it is of those a tree is frozen for. */
  found(shuts: boolean): void {
    this.#stops++;
    if (shuts) this.#untilMs = this.#now() + OWN_SHUT_MS;
  }

  /** The warden's word on it. @param stops - as many of what was found it had heard of: it opens for no more than those. */
  changed(stops: number): void {
    if (!this.isShutByWarden && stops >= this.#stops) this.#untilMs = 0;
  }

  /** The warden answered. Without having frozen the tree: it does not, for what was found. */
  answered(): void {
    if (!this.isShutByWarden) this.#untilMs = 0;
  }
}
