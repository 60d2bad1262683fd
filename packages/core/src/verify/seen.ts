/**
 * Ids seen in a ledger, each with a state and the number of its entry, at 21 bytes a place: a call may not be allowed twice,
 * outcomes of the predecessor's ledgers name their decision by its hash, and a million objects would be too many.
 *
 * A generation holds a million ids. When it is full the one before it is let go, so that memory has an end: at least
 * the last million are always known.
 *
 * Only the first 16 bytes are kept: all of an id, half of a hash. Two hashes that share them are 2^64 work to make, and the
 * second is then taken for a repeat of the first: a false alarm for whoever made them.
 */
import { randomBytes } from 'node:crypto';

export const MAX_SEEN = 1_048_576;

const FIRST_SLOTS = 1024;
const WORDS = 4;

export interface Seen {
  readonly state: number;
  readonly number: number;
}

export class SeenIds {
  private readonly max: number;
  private current = new Table();
  private before: Table | undefined;
  /** Ids let go. */
  dropped = 0;

  constructor(max: number = MAX_SEEN) {
    this.max = max;
  }

  /** @param id - 32 or more hex digits. */
  get(id: string): Seen | undefined {
    const words = wordsOf(id);
    return this.current.get(words) ?? this.before?.get(words);
  }

  /** Adds an id, or gives one that is known another state. @param state - 1 to 255. */
  set(id: string, state: number, number: number): void {
    const words = wordsOf(id);
    if (this.current.update(words, state) || this.before?.update(words, state) === true) return;
    if (this.current.size >= this.max) {
      this.dropped += this.before?.size ?? 0;
      this.before = this.current;
      this.current = new Table();
    }
    this.current.add(words, state, number);
  }
}

/** The first words of an id. */
type Words = ArrayLike<number>;

/** Open addressing, at most half full. State 0 is a free slot. */
class Table {
  size = 0;
  /** Bits of the 32 that do not count for the place. */
  private shift = 32 - Math.log2(FIRST_SLOTS);
  private keys = new Uint32Array(FIRST_SLOTS * WORDS);
  private numbers = new Uint32Array(FIRST_SLOTS);
  private states = new Uint8Array(FIRST_SLOTS);

  get(words: Words): Seen | undefined {
    const slot = this.find(words);
    const state = this.states[slot] as number;
    return state === 0 ? undefined : { state, number: this.numbers[slot] as number };
  }

  update(words: Words, state: number): boolean {
    const slot = this.find(words);
    if (this.states[slot] === 0) return false;
    this.states[slot] = state;
    return true;
  }

  /** It must not be in there yet. */
  add(words: Words, state: number, number: number): void {
    if (this.size * 2 >= this.states.length) this.grow();
    this.put(words, state, number);
    this.size++;
  }

  private put(words: Words, state: number, number: number): void {
    const slot = this.find(words);
    for (let word = 0; word < WORDS; word++) this.keys[slot * WORDS + word] = words[word] as number;
    this.numbers[slot] = number;
    this.states[slot] = state;
  }

  /** The slot of a key, or the free one where it would be. */
  private find(words: Words): number {
    const { keys, states, shift } = this;
    const mask = states.length - 1;
    for (let slot = placeOf(words) >>> shift; ; slot = (slot + 1) & mask) {
      if (states[slot] === 0) return slot;
      const key = slot * WORDS;
      if (keys[key] === words[0] && keys[key + 1] === words[1] && keys[key + 2] === words[2] && keys[key + 3] === words[3]) return slot;
    }
  }

  private grow(): void {
    const { keys, numbers, states } = this;
    const slots = states.length * 2;
    this.shift--;
    this.keys = new Uint32Array(slots * WORDS);
    this.numbers = new Uint32Array(slots);
    this.states = new Uint8Array(slots);
    for (let slot = 0; slot < states.length; slot++) {
      const state = states[slot] as number;
      if (state !== 0) this.put(keys.subarray(slot * WORDS, (slot + 1) * WORDS), state, numbers[slot] as number);
    }
  }
}

/** Whoever writes a ledger chooses its ids, and would choose them to meet in one place: the places are drawn by lot. */
const lots = randomInts();

function randomInts(): Int32Array {
  return new Int32Array(Uint8Array.from(randomBytes(WORDS * 4)).buffer).map((lot) => lot | 1);
}

function placeOf(words: Words): number {
  let place = 0;
  for (let word = 0; word < WORDS; word++) place = (place + Math.imul(words[word] as number, lots[word] as number)) | 0;
  return place;
}

const shared = new Uint32Array(WORDS);
const DIGITS_PER_WORD = 8;

/** Into one array that is used again and again: read it before the next call. */
function wordsOf(id: string): Words {
  for (let word = 0; word < WORDS; word++) {
    let value = 0;
    for (let digit = 0; digit < DIGITS_PER_WORD; digit++) {
      const code = id.charCodeAt(word * DIGITS_PER_WORD + digit);
      // `0` to `9` end in 0 to 9, `a` to `f` in 1 to 6.
      value = (value << 4) | (code < 0x40 ? code & 15 : (code & 15) + 9);
    }
    shared[word] = value;
  }
  return shared;
}
