/** Stops a process tree, lets it go on, or ends it. */
import type { ProcessId } from '../activity.ts';
import type { Gate } from './gate.ts';

/** How sure: a scan may lose to processes that start others fast (`signal`); the kernel does not (`cgroup`, `gate`). */
export type FreezeGrade = 'signal' | 'gate' | 'cgroup';

/**
 * Why it is not as it should be. `denied`: another user's. `waiting`: in the kernel, where no signal reaches it yet. `traced`: a
 * debugger holds it and decides. `spared`: ourselves, or what we descend from. `resists`: it goes on although it was told to stop.
 */
export type Resistance = 'denied' | 'waiting' | 'traced' | 'spared' | 'resists';

export interface StuckProcess extends ProcessId {
  readonly why: Resistance;
}

export interface FreezeResult {
  readonly grade: FreezeGrade;
  readonly processes: number;
  /** Could not be stopped. */
  readonly running: readonly StuckProcess[];
  readonly duration_ms: number;
}

export interface KillResult {
  readonly grade: FreezeGrade;
  readonly killed: number;
  /** Still there after the check; zombies are not. Empty: nothing is left. */
  readonly left: readonly StuckProcess[];
  readonly duration_ms: number;
  /** What was to be done while they were frozen did not end in time, or failed; they were ended all the same. */
  readonly evidence_failed?: true;
}

export interface Freezer {
  readonly grade: FreezeGrade;
  freeze(): Promise<FreezeResult>;
  /** Lets go on what `freeze` stopped, and nothing that was stopped before by somebody else. */
  resume(): Promise<void>;
  /** Freezes first, then ends all but what is spared. */
  kill(): Promise<KillResult>;
  /** Ends these alone; the others stay as they are. */
  killOnly(processes: readonly ProcessId[]): Promise<KillResult>;
  /** Gives up what it holds of the system. What is frozen stays so. */
  close(): Promise<void>;
}

export interface FreezerOptions {
  /** `NAME=value` that the processes of this tree have in their environment: finds those that left their parents. */
  readonly marker?: string;
  /** Orphans of the tree that came to us: see `Subreaper`. */
  readonly adopted?: () => readonly ProcessId[];
  /** Called in `kill` with all that are about to be ended, while they are frozen. */
  readonly onFrozen?: (processes: readonly ProcessId[]) => void | Promise<void>;
  /** Called when something that should be frozen was found running, and stopped again: woken by others, or escaped from the freeze. */
  readonly onResist?: (processes: readonly StuckProcess[]) => void;
  /** Of the supervisor the tree is under, as soon as there is one: the tree cannot be moved into a control group then. */
  readonly gate?: () => Gate | undefined;
  /** Who waits for an answer of ours without a gate, thread by thread: no signal stops it there, and it gets no further either. */
  readonly holds?: Gate['holds'];
  /** `signal`: although there is a control group. Default: the strongest there is. */
  readonly grade?: FreezeGrade;
}
