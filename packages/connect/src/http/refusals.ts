/**
 * Tells that requests are refused, without letting whoever sends them fill a log: the first of a kind at once, further ones
 * together, once a minute.
 */
const TOLD_EVERY_MS = 60_000;

export class Refusals<Kind extends string> {
  readonly #tell: (kind: Kind, count: number) => void;
  /** Of each kind that was told of lately: how many came since. */
  readonly #since = new Map<Kind, number>();
  readonly #timer: NodeJS.Timeout;

  /** @param tell - must not throw. The kinds are ours, and few. */
  constructor(tell: (kind: Kind, count: number) => void) {
    this.#tell = tell;
    this.#timer = setInterval(() => this.tellRest(), TOLD_EVERY_MS).unref();
  }

  add(kind: Kind): void {
    const count = this.#since.get(kind);
    this.#since.set(kind, count === undefined ? 0 : count + 1);
    if (count === undefined) this.#tell(kind, 1);
  }

  /** What came since. A kind of which nothing came is new again. */
  tellRest(): void {
    for (const [kind, count] of this.#since) {
      if (count === 0) this.#since.delete(kind);
      else {
        this.#since.set(kind, 0);
        this.#tell(kind, count);
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.tellRest();
  }
}
