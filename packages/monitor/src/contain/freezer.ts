/** Stops a process tree, lets it go on, or ends it. */
import type { ProcessId } from '../activity.ts';

/** How sure: a scan may lose to processes that start others fast (`signal`); the kernel does not (`cgroup`, `gate`). */
export type FreezeGrade = 'signal' | 'gate' | 'cgroup';

export interface FreezeResult {
  readonly grade: FreezeGrade;
  readonly processes: number;
  /** Could not be stopped. */
  readonly running: readonly ProcessId[];
  readonly duration_ms: number;
}

export interface KillResult {
  readonly grade: FreezeGrade;
  readonly killed: number;
  /** Still there after the check; zombies are not. Empty: nothing is left. */
  readonly left: readonly ProcessId[];
  readonly duration_ms: number;
}

export interface Freezer {
  readonly grade: FreezeGrade;
  freeze(): Promise<FreezeResult>;
  resume(): Promise<void>;
  /** Freezes first, then ends all but what is spared. */
  kill(): Promise<KillResult>;
  /** Ends these alone; the others stay as they are. */
  killOnly(processes: readonly ProcessId[]): Promise<KillResult>;
}
