/** Stops by signal: who was stopped by us, and only by us, so that exactly those go on. */
import type { ProcessId } from '../activity.ts';
import type { Resistance, StuckProcess } from './freezer.ts';
import type { ProcessStatus } from './process-table.ts';
import type { Signaller, SignalOutcome } from './signals.ts';

/** Scans in a row that find nobody new and nobody running: then it is still. */
const CALM_ROUNDS = 2;
/** A chase ends here, won or not. */
const MAX_ROUNDS = 400;
const MAX_CHASE_MS = 2_000;
/** Rounds in which somebody who was told to stop may still be on the way. */
const PATIENCE = 20;
/** Rounds after which others of this process get their turn. */
const ROUNDS_PER_TURN = 20;

interface Told {
  readonly process: ProcessId;
  outcome: SignalOutcome;
  /** Seen stopped since. */
  hasStopped: boolean;
  rounds: number;
}

export interface Chased {
  readonly members: readonly ProcessStatus[];
  readonly running: readonly StuckProcess[];
}

export class Stops {
  readonly #signals: Signaller;
  readonly #told = new Map<string, Told>();

  constructor(signals: Signaller) {
    this.#signals = signals;
  }

  /** Stops all that the scan finds, until it finds nobody new. */
  async chase(scan: () => readonly ProcessStatus[]): Promise<Chased> {
    const until = performance.now() + MAX_CHASE_MS;
    let members = scan();
    for (let round = 1, calm = 0; calm < CALM_ROUNDS && round < MAX_ROUNDS && performance.now() < until; round++) {
      calm = this.#stop(members) ? calm + 1 : 0;
      if (round % ROUNDS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
      members = scan();
    }
    return { members, running: members.flatMap((process) => this.#stuck(process) ?? []) };
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

  /** @returns true when nobody had to be told. */
  #stop(members: readonly ProcessStatus[]): boolean {
    let isCalm = true;
    for (const process of members) {
      const told = this.#told.get(keyOf(process));
      if (isHeld(process)) {
        // Whoever was stopped before we told it anything was stopped by somebody else.
        if (told !== undefined) told.hasStopped = true;
        continue;
      }
      if (told === undefined) {
        const outcome = this.#signals.send(process, 'SIGSTOP');
        this.#told.set(keyOf(process), { process, outcome, hasStopped: false, rounds: 0 });
        isCalm = false;
      } else if (told.outcome === 'sent' && process.state !== 'waiting') {
        isCalm = this.#tellAgain(told) && isCalm;
      }
    }
    return isCalm;
  }

  /** @returns true for one that is not waited for any longer. */
  #tellAgain(told: Told): boolean {
    told.rounds++;
    if (told.hasStopped || told.rounds > PATIENCE) {
      // It was woken, or a debugger kept the signal from it.
      told.outcome = this.#signals.send(told.process, 'SIGSTOP');
      told.hasStopped = false;
    }
    return told.rounds > 2 * PATIENCE;
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
