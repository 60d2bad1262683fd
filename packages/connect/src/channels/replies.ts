/** Remembers for a while what was answered to a message, so that the same message again does nothing and hears the same. */

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

interface Kept {
  readonly digest: string;
  readonly reply: Promise<Reply>;
  readonly untilMs: number;
}

export class Replies {
  readonly #kept = new Map<string, Kept>();
  readonly #lifeMs: number;
  readonly #most: number;

  /** @param most - older ones are forgotten first: what they did stays done, and is refused where it was written down. */
  constructor(lifeMs: number, most: number) {
    this.#lifeMs = lifeMs;
    this.#most = most;
  }

  /**
   * The reply to a message: as it was given before, as it is being worked out, or worked out now. Undefined when another
   * message had this id. A reply that says that it could not be worked out (5xx) is not remembered.
   *
   * @param digest - of everything the message says.
   */
  async once(id: string, digest: string, nowMs: number, workOut: () => Promise<Reply>): Promise<Reply | undefined> {
    this.#forget(nowMs);
    const known = this.#kept.get(id);
    if (known !== undefined) return known.digest === digest ? known.reply : undefined;
    const reply = workOut();
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < this.#most) break;
      this.#kept.delete(oldest);
    }
    this.#kept.set(id, { digest, reply, untilMs: nowMs + this.#lifeMs });
    try {
      const { status } = await reply;
      if (status >= 500) this.#drop(id, reply);
    } catch (error) {
      this.#drop(id, reply);
      throw error;
    }
    return reply;
  }

  #drop(id: string, reply: Promise<Reply>): void {
    if (this.#kept.get(id)?.reply === reply) this.#kept.delete(id);
  }

  /** Kept in the order they came, so the first ones are the oldest. */
  #forget(nowMs: number): void {
    for (const [id, { untilMs }] of this.#kept) {
      if (untilMs > nowMs) return;
      this.#kept.delete(id);
    }
  }
}
