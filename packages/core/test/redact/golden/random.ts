/** Seeded randomness for the corpora, so that a run says the same everywhere. */

export const LOWER = 'abcdefghijklmnopqrstuvwxyz';
export const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
export const DIGITS = '0123456789';
export const HEX = '0123456789abcdef';
export const ALNUM = DIGITS + UPPER + LOWER;
export const URL64 = `${UPPER}${LOWER}${DIGITS}-_`;
export const STD64 = `${UPPER}${LOWER}${DIGITS}+/`;

export class Random {
  #state: number;

  constructor(seed: string) {
    this.#state = 0x9e3779b9;
    for (const character of seed) this.#state = Math.imul(this.#state ^ character.charCodeAt(0), 0x01000193) >>> 0;
    for (let i = 0; i < 8; i++) this.#next();
  }

  /** Integer from 0 to below `bound`. */
  below(bound: number): number {
    return Math.floor((this.#next() / 4_294_967_296) * bound);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T; // callers pass lists that are not empty
  }

  text(alphabet: string, length: number): string {
    let text = '';
    for (let i = 0; i < length; i++) text += alphabet.charAt(this.below(alphabet.length));
    return text;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  hex(length: number): string {
    return this.text(HEX, length);
  }

  alnum(length: number): string {
    return this.text(ALNUM, length);
  }

  url64(length: number): string {
    return this.text(URL64, length);
  }

  uuid(): string {
    const hex = this.hex(30);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(12, 15)}-${this.pick(['8', '9', 'a', 'b'])}${hex.slice(15, 18)}-${hex.slice(18, 30)}`;
  }

  word(): string {
    return this.pick(WORDS);
  }

  words(count: number): string {
    return Array.from({ length: count }, () => this.word()).join(' ');
  }

  /** Mulberry32. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

const WORDS =
  `the build was late again because a worker held its lock while nobody looked at the queue we moved every report into one
  folder and asked them to check what changed last night server client request answer value table column index order invoice
  payment customer refund delivery window budget policy rule session agent tool record entry proof tree leaf hash root file
  path line error warning retry timeout limit page user admin release version branch commit review merge deploy cluster node
  region zone bucket object image container volume network port address domain name certificate login account profile`.split(/\s+/);
