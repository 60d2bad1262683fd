/**
 * What the client was given for answers in events that it may ask for again (`Last-Event-ID`). The server replays what it sent; the
 * client must get what was made of it the first time, and never the raw one.
 */
import { createHash } from 'node:crypto';

/** Answers remembered of one session; the oldest are forgotten, and then replayed to nobody. */
export const MAX_REMEMBERED = 512;
/** Bytes of those that were changed, of one session. */
export const MAX_REMEMBERED_BYTES: number = 4 * 1024 * 1024;

type Given =
  /** Its bytes were not changed. */
  | { readonly kind: 'same' }
  | { readonly kind: 'changed'; readonly bytes: Buffer }
  /** Nothing was given yet; who asks meanwhile is told then. */
  | { readonly kind: 'held'; readonly waiting: ((given: Buffer | 'same') => void)[] };

export class ReleasedAnswers {
  readonly #given = new Map<string, Given>();
  #bytes = 0;

  /** Remembers that this message is being looked at. */
  hold(data: Buffer): void {
    const key = digest(data);
    if (!this.#given.has(key)) this.#put(key, { kind: 'held', waiting: [] });
  }

  give(data: Buffer, given: Buffer | 'same'): void {
    const key = digest(data);
    const before = this.#given.get(key);
    this.#put(key, given === 'same' ? { kind: 'same' } : { kind: 'changed', bytes: Buffer.from(given) });
    if (before?.kind === 'held') for (const told of before.waiting) told(given);
  }

  has(data: Buffer): boolean {
    return this.#given.has(digest(data));
  }

  isHeld(data: Buffer): boolean {
    return this.#given.get(digest(data))?.kind === 'held';
  }

  /** @returns false if the message was never given. Otherwise `told` is called once, now or when it is known. */
  again(data: Buffer, told: (given: Buffer | 'same') => void): boolean {
    const given = this.#given.get(digest(data));
    if (given === undefined) return false;
    if (given.kind === 'held') given.waiting.push(told);
    else told(given.kind === 'same' ? 'same' : given.bytes);
    return true;
  }

  #put(key: string, given: Given): void {
    this.#drop(key);
    this.#given.set(key, given);
    this.#bytes += sizeOf(given);
    for (const [oldest] of this.#given) {
      if (this.#given.size <= MAX_REMEMBERED && this.#bytes <= MAX_REMEMBERED_BYTES) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= sizeOf(this.#given.get(key));
    this.#given.delete(key);
  }
}

function sizeOf(given: Given | undefined): number {
  return given?.kind === 'changed' ? given.bytes.length : 0;
}

function digest(data: Buffer): string {
  return createHash('sha256').update(data).digest('base64');
}
