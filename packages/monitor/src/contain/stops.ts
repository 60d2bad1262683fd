/** Stops by signal: who was stopped by us, and only by us, so that exactly those go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessId } from '../activity.ts';
import type { Resistance, StuckProcess } from './freezer.ts';
import type { ProcessStatus } from './process-table.ts';
import type { Signaller, SignalOutcome } from './signals.ts';

/**
 * Scans in a row that find nobody new and nobody running. A scan looks whether a process is stopped before it looks for its children,
 * so one is enough, but where orphans come to us: one may have been on its way.
 */
const CALM_ROUNDS = 1;
const CALM_ROUNDS_WITH_ORPHANS = 2;
/** A chase ends here, won or not. */
const MAX_ROUNDS = 400;
const MAX_CHASE_MS = 2_000;
/** Who was told to stop may have to wait for a processor before it does. Then it is told again, and at last given up. */
const TELL_AGAIN_MS = 50;
const GIVE_UP_MS = 500;
/** While nobody new is found, those on the way are given room. */
const PAUSE_MS = 1;
/** Rounds after which others of this process get their turn. */
const ROUNDS_PER_TURN = 20;

interface Told {
  readonly process: ProcessId;
  outcome: SignalOutcome;
  /** Seen stopped since. */
  hasStopped: boolean;
  /** When it was first told and not seen stopped since, and when it was told last. */
  sinceMs: number;
  lastMs: number;
}

export interface Chased {
  readonly members: readonly ProcessStatus[];
  readonly running: readonly StuckProcess[];
}

export class Stops {
  readonly #signals: Signaller;
  readonly #calmRounds: number;
  readonly #told = new Map<string, Told>();

  /** @param adopts - orphans come to us. */
  constructor(signals: Signaller, adopts = false) {
    this.#signals = signals;
    this.#calmRounds = adopts ? CALM_ROUNDS_WITH_ORPHANS : CALM_ROUNDS;
  }

  /** Stops all that the scan finds, until it finds nobody new. */
  async chase(scan: () => readonly ProcessStatus[]): Promise<Chased> {
    const until = performance.now() + MAX_CHASE_MS;
    for (let round = 1, calm = 0; ; round++) {
      const members = scan();
      const found = this.#stop(members);
      calm = found === 'calm' ? calm + 1 : 0;
      if (calm >= this.#calmRounds || round >= MAX_ROUNDS || performance.now() >= until) {
        return { members, running: members.flatMap((process) => this.#stuck(process) ?? []) };
      }
      if (found === 'stopping') await sleep(PAUSE_MS);
      else if (round % ROUNDS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * One look at those that should be stopped: whoever runs is stopped again.
   *
   * @returns those that ran.
   */
  again(members: readonly ProcessStatus[]): readonly StuckProcess[] {
    const running = members.flatMap((process) => this.#stuck(process) ?? []).filter(({ why }) => why === 'resists');
    this.#stop(members);
    return running;
  }

  /** Lets go on whom we stopped. */
  release(): void {
    for (const { process, outcome } of this.#told.values()) if (outcome === 'sent') this.#signals.send(process, 'SIGCONT');
    this.#told.clear();
  }

  /** @returns `fresh`: somebody had to be told. `stopping`: nobody, but somebody who was told is on the way. */
  #stop(members: readonly ProcessStatus[]): 'fresh' | 'stopping' | 'calm' {
    const now = performance.now();
    let isFresh = false;
    let isStopping = false;
    for (const process of members) {
      const told = this.#told.get(keyOf(process));
      if (isHeld(process)) {
        // Whoever was stopped before we told it anything was stopped by somebody else.
        if (told !== undefined) told.hasStopped = true;
      } else if (told === undefined) {
        const outcome = this.#signals.send(process, 'SIGSTOP');
        this.#told.set(keyOf(process), { process, outcome, hasStopped: false, sinceMs: now, lastMs: now });
        isFresh = true;
      } else if (told.outcome === 'sent' && process.state !== 'waiting') {
        isStopping = this.#tellAgain(told, now) || isStopping;
      }
    }
    if (isFresh) return 'fresh';
    return isStopping ? 'stopping' : 'calm';
  }

  /** It was woken, it has to wait, or a debugger keeps the signal from it. @returns false for one that is not waited for any longer. */
  #tellAgain(told: Told, now: number): boolean {
    if (told.hasStopped) told.sinceMs = now;
    if (told.hasStopped || now - told.lastMs >= TELL_AGAIN_MS) {
      told.outcome = this.#signals.send(told.process, 'SIGSTOP');
      told.lastMs = now;
      told.hasStopped = false;
    }
    return now - told.sinceMs < GIVE_UP_MS;
  }

  #stuck(process: ProcessStatus): StuckProcess | undefined {
    if (isHeld(process)) return undefined;
    const { pid, start, state } = process;
    return { pid, start, why: resistanceOf(state, this.#told.get(keyOf(process))?.outcome) };
  }
}

/** A process in a tracing stop does not run; what holds it may be stopped too. */
function isHeld({ state }: ProcessStatus): boolean {
  return state === 'stopped' || state === 'traced';
}

export function resistanceOf(state: ProcessStatus['state'], outcome: SignalOutcome | undefined): Resistance {
  if (outcome === 'denied' || outcome === 'spared') return outcome;
  if (state === 'waiting') return 'waiting';
  return state === 'traced' ? 'traced' : 'resists';
}

export function keyOf({ pid, start }: ProcessId): string {
  return `${pid}:${start}`;
}
