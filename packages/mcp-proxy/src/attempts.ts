/** Ids whose attempts are counted; the oldest are forgotten, and then an id that comes again is one that was used. */
export const MAX_COUNTED_IDS = 1024;

/**
 * How often a request was tried under one id. A transport may refuse a message before any server has seen it (for want of a token);
 * a client sends it again as it was, and that is a call of its own.
 */
export class Attempts {
  readonly #counts = new Map<string, number>();

  /** Absent: the first. */
  of(key: string): { readonly attempt?: number } {
    const attempt = this.#counts.get(key);
    return attempt === undefined ? {} : { attempt };
  }

  raise(key: string): void {
    const attempt = (this.#counts.get(key) ?? 1) + 1;
    this.#counts.delete(key);
    const oldest = this.#counts.keys().next();
    if (this.#counts.size >= MAX_COUNTED_IDS && oldest.done !== true) this.#counts.delete(oldest.value);
    this.#counts.set(key, attempt);
  }
}
