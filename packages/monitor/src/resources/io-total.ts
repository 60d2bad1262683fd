/**
 * Bytes that a tree read from and wrote to storage, from the counters of its processes.
 *
 * A parent that waits for its child takes over the child's counter, so the child's must not be added on top of it. What ends with
 * nobody of the tree waiting for it keeps what was last read of it. What a process did between its last reading and its end, and all
 * that lived between two readings under a parent that does not wait, is not in it: the total is a lower bound.
 */
import type { ProcessId } from '../activity.ts';
import type { ProcessIo } from '../tree/proc-fs.ts';

interface Counter extends ProcessId {
  readonly parent: number | undefined;
  /** What it had used before it was watched. */
  readonly before: ProcessIo;
  readonly last: ProcessIo;
}

export interface IoReading extends ProcessId {
  readonly parent: number | undefined;
  readonly io: ProcessIo;
}

export class IoTotal {
  readonly #counters = new Map<number, Counter>();
  #kept = NOTHING;
  #total = NOTHING;
  #isFirst = true;

  /** @param readings - of all that could be read. @returns since the first of them; it never falls. */
  add(readings: readonly IoReading[]): ProcessIo {
    const now = new Map(readings.map((reading) => [reading.pid, reading]));
    for (const counter of this.#counters.values()) {
      if (now.get(counter.pid)?.start !== counter.start) this.#end(counter, now);
    }
    for (const { pid, start, parent, io } of readings) {
      const before = this.#counters.get(pid)?.before ?? (this.#isFirst ? io : NOTHING);
      this.#counters.set(pid, { pid, start, parent, before, last: io });
    }
    this.#isFirst = false;
    let sum = this.#kept;
    for (const { last, before } of this.#counters.values()) sum = plus(sum, minus(last, before));
    this.#total = largest(this.#total, sum);
    return this.#total;
  }

  #end({ pid, parent, before, last }: Counter, now: ReadonlyMap<number, IoReading>): void {
    this.#counters.delete(pid);
    const heir = parent === undefined ? undefined : this.#counters.get(parent);
    if (heir === undefined || !now.has(heir.pid)) this.#kept = plus(this.#kept, minus(last, before));
    else this.#counters.set(heir.pid, { ...heir, before: plus(heir.before, before) });
  }
}

const NOTHING: ProcessIo = { readBytes: 0, writeBytes: 0 };

function plus(a: ProcessIo, b: ProcessIo): ProcessIo {
  return { readBytes: a.readBytes + b.readBytes, writeBytes: a.writeBytes + b.writeBytes };
}

function minus(a: ProcessIo, b: ProcessIo): ProcessIo {
  return { readBytes: Math.max(0, a.readBytes - b.readBytes), writeBytes: Math.max(0, a.writeBytes - b.writeBytes) };
}

function largest(a: ProcessIo, b: ProcessIo): ProcessIo {
  return { readBytes: Math.max(a.readBytes, b.readBytes), writeBytes: Math.max(a.writeBytes, b.writeBytes) };
}
