/** The processes that are watched: what was launched or attached to, and all that came of it. */
import type { Actor, Attribution, ProcessId } from '../activity.ts';

export interface TreeProcess extends Actor {
  /** The call it was started for, known from its marker or an ancestor's. */
  readonly attribution: Attribution;
}

export interface ProcessTree {
  /** All that run as far as is known, roots first. */
  members(): readonly TreeProcess[];
  get(pid: number): TreeProcess | undefined;
  /** By pid and start time: false for another process of the same pid. */
  has(id: ProcessId): boolean;
}
