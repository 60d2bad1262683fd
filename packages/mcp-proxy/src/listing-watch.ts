/**
 * Clients keep the list of tools they got. When a policy, a pin, a label or a halt changes what a list would show, they are told:
 * once, until they have listed again. Other processes change these too, so it is looked at, not heard of.
 */
import { MAX_TOOLS } from './tool-directory.ts';

export const LIST_CHECK_MS = 5_000;
const TOLD = Number.POSITIVE_INFINITY;

/** One client, or one request of a client that listens. */
export interface ListingReader {
  /** @returns false when there is no way to say it now: then it is tried again. Must not throw. */
  tellChanged(): boolean;
  /** It is told of every change: nobody knows when its client lists. */
  readonly isAlwaysTold?: boolean;
}

export interface ListingWatchOptions {
  /** Names of those that are hidden now; undefined when nobody can say. Must not reject. */
  readonly hiddenOf: (names: readonly string[]) => Promise<ReadonlySet<string> | undefined>;
  readonly checkMs?: number;
}

export class ListingWatch {
  readonly #options: ListingWatchOptions;
  /** Tools that some list named, and whether they were hidden when last looked at. */
  readonly #tools = new Map<string, boolean>();
  /** The revision that each reader has listed. */
  readonly #readers = new Map<ListingReader, number>();
  #revision = 0;
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;

  constructor(options: ListingWatchOptions) {
    this.#options = options;
  }

  /** Tells from now on. Who has listed nothing yet knows nothing that could change. */
  add(reader: ListingReader): void {
    this.#readers.set(reader, reader.isAlwaysTold === true ? this.#revision : TOLD);
    this.#timer ??= setInterval(() => void this.check(), this.#options.checkMs ?? LIST_CHECK_MS).unref();
  }

  remove(reader: ListingReader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** @param by - who gets a list from its beginning with this. */
  saw(names: Iterable<string>, hidden: ReadonlySet<string>, by?: ListingReader): void {
    let isChanged = false;
    for (const name of names) {
      const before = this.#tools.get(name);
      if (before === undefined && this.#tools.size >= MAX_TOOLS) continue;
      isChanged ||= before !== undefined && before !== hidden.has(name);
      this.#tools.set(name, hidden.has(name));
    }
    if (isChanged) this.#revision += 1;
    if (by !== undefined && this.#readers.has(by)) this.#readers.set(by, this.#revision);
    this.#tell();
  }

  /** Looks at what is known now. Never rejects. */
  async check(): Promise<void> {
    if (this.#isChecking || this.#tools.size === 0) return;
    this.#isChecking = true;
    const names = [...this.#tools.keys()];
    const hidden = await this.#options.hiddenOf(names);
    this.#isChecking = false;
    if (hidden !== undefined) this.saw(names, hidden);
  }

  #tell(): void {
    for (const [reader, known] of this.#readers) {
      if (known >= this.#revision || !reader.tellChanged()) continue;
      this.#readers.set(reader, reader.isAlwaysTold === true ? this.#revision : TOLD);
    }
  }
}
