/** Work in order of arrival, some of it at once, and never more waiting than a bound. */

export interface WorkQueueOptions {
  /** How much may wait or be under way. */
  readonly limit: number;
  /** How much is under way at once. */
  readonly width: number;
}

export class WorkQueue<Item> {
  readonly #work: (item: Item) => Promise<void>;
  readonly #options: WorkQueueOptions;
  readonly #waiting: Item[] = [];
  readonly #idle: (() => void)[] = [];
  #head = 0;
  #running = 0;

  /** @param work - handles its own errors. */
  constructor(options: WorkQueueOptions, work: (item: Item) => Promise<void>) {
    this.#options = options;
    this.#work = work;
  }

  get size(): number {
    return this.#waiting.length - this.#head + this.#running;
  }

  /** @returns false when there is no room: nothing was taken. */
  push(item: Item): boolean {
    if (this.size >= this.#options.limit) return false;
    this.#waiting.push(item);
    this.#next();
    return true;
  }

  /** Resolves when nothing waits or is under way. */
  idle(): Promise<void> {
    return this.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** What waits is dropped. @returns how much. */
  clear(): number {
    const dropped = this.#waiting.length - this.#head;
    this.#waiting.length = 0;
    this.#head = 0;
    return dropped;
  }

  #next(): void {
    while (this.#running < this.#options.width && this.#head < this.#waiting.length) {
      const item = this.#waiting[this.#head++] as Item; // in bounds
      this.#running++;
      void this.#work(item).finally(() => {
        this.#running--;
        this.#next();
        if (this.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
      });
    }
    // Taken from the front by a moving head: shifting an array of thousands costs each time.
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
