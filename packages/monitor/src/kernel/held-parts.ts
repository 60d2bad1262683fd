/** A call may do several things, each judged by itself (a file opened to read and to write): it goes on when every one of them may. */

/** One held call. Its parts come one after the other, the last one marked. */
export class HeldParts {
  readonly #answer: (held: number, answer: 'continue' | 'refuse') => void;
  /** By number of the call: parts without an answer yet, and whether the last one has come. */
  readonly #open = new Map<number, { waiting: number; isWhole: boolean }>();

  constructor(answer: (held: number, answer: 'continue' | 'refuse') => void) {
    this.#answer = answer;
  }

  /** @returns what answers this part. The first `refuse` answers for all. */
  add(held: number, isLast: boolean): (answer: 'continue' | 'refuse') => void {
    const call = this.#open.get(held) ?? { waiting: 0, isWhole: false };
    this.#open.set(held, call);
    call.waiting++;
    call.isWhole ||= isLast;
    let isAnswered = false;
    return (answer) => {
      if (isAnswered) return;
      isAnswered = true;
      if (this.#open.get(held) !== call) return;
      call.waiting--;
      if (answer === 'continue' && (call.waiting > 0 || !call.isWhole)) return;
      this.#open.delete(held);
      this.#answer(held, answer);
    };
  }
}
