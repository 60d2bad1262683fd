/** One byte per entry, growing as the log is read: what must be remembered of a million entries without a million objects. */
const FIRST_BYTES = 65_536;

export class Bytes {
  #bytes = new Uint8Array(FIRST_BYTES);

  get(index: number): number {
    return this.#bytes[index] ?? 0;
  }

  set(index: number, value: number): void {
    if (index >= this.#bytes.length) {
      const grown = new Uint8Array(Math.max(index + 1, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[index] = value;
  }
}
