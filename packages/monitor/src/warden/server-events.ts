/**
 * Forks, execs and ends of all servers, as they happen: from the kernel, once for all of them. What is not there, or ends, leaves the poll,
 * which looks at each server by itself.
 */
import type { Observation } from '../activity.ts';
import { native } from '../native/native.ts';
import type { Sensor } from '../sensor.ts';
import { connectorSensor } from '../sensors/connector.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';
import { Grove } from './grove.ts';

/** How late they are heard at the most: a call that ran for a part of that time only may not be the one. */
const EVENT_LAG_MS = 100;

/** The processes of one server. */
export interface EventTree {
  readonly tree: TrackedTree;
  /** @param since - it was done at that time of `performance.now()` or later. */
  observe(observation: Observation, since: number): void;
}

export class ServerEvents {
  readonly #grove = new Grove();
  readonly #trees = new Map<TrackedTree, EventTree>();
  readonly #changed: () => void;
  readonly #make: (grove: Grove) => Sensor | undefined;
  #sensor: Sensor | undefined;
  #isHeard = false;

  constructor(make: (grove: Grove) => Sensor | undefined, changed: () => void) {
    this.#make = make;
    this.#changed = changed;
  }

  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** Begins with the first server. */
  add(tree: EventTree): void {
    this.#trees.set(tree.tree, tree);
    this.#grove.add(tree.tree);
    if (this.#trees.size > 1 || this.#sensor !== undefined) return;
    this.#sensor = this.#make(this.#grove);
    const emit = (observation: Observation): void => {
      const owner = this.#grove.last === undefined ? undefined : this.#trees.get(this.#grove.last);
      owner?.observe(observation, performance.now() - EVENT_LAG_MS);
    };
    const hear = (isHeard: boolean): void => {
      this.#isHeard = isHeard;
      this.#changed();
    };
    this.#sensor?.start({ tree: tree.tree, emit, died: () => hear(false) }).then(
      () => hear(true),
      // The poll goes on, and the level says so.
      () => {},
    );
  }

  remove(tree: EventTree): void {
    this.#trees.delete(tree.tree);
    this.#grove.remove(tree.tree);
  }

  async stop(): Promise<void> {
    await this.#sensor?.stop();
  }
}

export function kernelEvents(tree: Grove): Sensor | undefined {
  return native() === undefined ? undefined : connectorSensor({ tree });
}
