import type { ResourceReadings } from '../src/resources/readings.ts';
import type { TreeReading } from '../src/resources/tree-figures.ts';

/** A process whose figures and clock the test moves by hand. */
export class FakeReadings implements ResourceReadings {
  cpu = 1_000_000;
  rss = 1_000;
  intervalMs = 0;
  /** Timers not stopped yet. */
  running = 0;
  /** What trees use, by the pid of their root; one that is not here is gone. */
  readonly trees = new Map<number, TreeReading>();
  #tick: (() => void) | undefined;
  #next: Promise<number> = Promise.resolve(2_000);

  cpuMicros(): number {
    return this.cpu;
  }

  rssBytes(): number {
    return this.rss;
  }

  sample(): Promise<number> {
    return this.#next;
  }

  tree(pid: number): Promise<TreeReading> {
    const tree = this.trees.get(pid);
    return tree === undefined ? Promise.reject(new Error('No matching pid found')) : Promise.resolve(tree);
  }

  every(intervalMs: number, tick: () => void): () => void {
    this.intervalMs = intervalMs;
    this.#tick = tick;
    this.running++;
    return () => {
      this.running--;
      this.#tick = undefined;
    };
  }

  /** One interval passes; the sample it takes sees `rssBytes` and has come back. */
  async tick(rssBytes = 2_000): Promise<void> {
    this.#next = Promise.resolve(rssBytes);
    this.#tick?.();
    await settled();
  }

  /** One interval passes; the sample it takes comes back when the returned function is called. */
  hold(): (rssBytes: number) => Promise<void> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#next = promise;
    this.#tick?.();
    return (rssBytes) => {
      resolve(rssBytes);
      return settled();
    };
  }
}

/** Every promise callback that is due has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
