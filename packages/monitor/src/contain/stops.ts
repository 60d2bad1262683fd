/** Stops by signal: who was stopped by us, and only by us, so that exactly those go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessId } from '../activity.ts';
import type { Resistance, StuckProcess } from './freezer.ts';
import type { ProcessStatus } from './process-table.ts';
import type { Signaller, SignalOutcome } from './signals.ts';
import type { Look } from './stillness.ts';

/**
 * Scans in a row that find nobody new and nobody running. A scan looks whether a process is stopped before it looks for its children,
 * so one is enough, but where orphans come to us: one may have been on its way. Nor where the threads of a process are looked at: that
 * comes after its children were looked for.
 */
const CALM_ROUNDS = 1;
export const CALM_ROUNDS_WITH_ORPHANS = 2;
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

export interface StopsOptions {
  readonly look: Look;
  /** Default: 1. */
  readonly calmRounds?: number;
  /** Who is where no signal reaches it is given time to come out of there. */
  readonly waitsOut?: boolean;
  /** Of a process: a thread that runs. A stop that waits with one that is held in a call is heard by none. Absent: none is held. */
  readonly runningThread?: (pid: number) => number | undefined;
}

/** As `Look` sees it. */
type Looked = Omit<ProcessStatus, 'state'> & { readonly state: ReturnType<Look> };

export class Stops {
  readonly #signals: Signaller;
  readonly #options: StopsOptions;
  readonly #told = new Map<string, Told>();

  constructor(signals: Signaller, options: StopsOptions) {
    this.#signals = signals;
    this.#options = options;
  }

  /**
   * Stops all that the scan finds, until it finds nobody new.
   *
   * @param isReady - what a scan finds may be the last word. Until then it goes on for its time.
   */
  async chase(scan: () => readonly ProcessStatus[], isReady: () => boolean = () => true): Promise<Chased> {
    const until = performance.now() + MAX_CHASE_MS;
    const { calmRounds = CALM_ROUNDS } = this.#options;
    for (let look = 1, round = 0, calm = 0; ; look++) {
      const counts = isReady();
      if (counts) round++;
      const members = scan();
      const looked = this.#looked(members);
      const found = this.#stop(looked);
      calm = found === 'calm' && counts ? calm + 1 : 0;
      if (calm >= calmRounds || round >= MAX_ROUNDS || performance.now() >= until) {
        return { members, running: looked.flatMap((process) => this.#stuck(process) ?? []) };
      }
      if (found === 'stopping' || (found === 'calm' && !counts)) await sleep(PAUSE_MS);
      // What makes it ready is heard of in a turn of its own.
      else if (look % ROUNDS_PER_TURN === 0 || !counts) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /**
   * One look at those that should be stopped: whoever runs is stopped again.
   *
   * @returns those that ran.
   */
  again(members: readonly ProcessStatus[]): readonly StuckProcess[] {
    const looked = this.#looked(members);
    const running = looked.flatMap((process) => this.#stuck(process) ?? []).filter(({ why }) => why === 'resists');
    this.#stop(looked);
    return running;
  }

  /** Lets go on whom we stopped. */
  release(): void {
    for (const { process, outcome } of this.#told.values()) if (outcome === 'sent') this.#signals.send(process, 'SIGCONT');
    this.#told.clear();
  }

  /** @returns `fresh`: somebody had to be told. `stopping`: nobody, but somebody who was told is on the way. */
  #stop(members: readonly Looked[]): 'fresh' | 'stopping' | 'calm' {
    const now = performance.now();
    let isFresh = false;
    let isStopping = false;
    for (const process of members) {
      const told = this.#told.get(keyOf(process));
      if (process.state === 'stopped') {
        // Whoever was stopped before we told it anything was stopped by somebody else.
        if (told !== undefined) told.hasStopped = true;
      } else if (told === undefined) {
        const outcome = this.#signals.send(process, 'SIGSTOP');
        this.#told.set(keyOf(process), { process, outcome, hasStopped: false, sinceMs: now, lastMs: now });
        if (process.threads > 1) this.#tellThread(process);
        isFresh = true;
      } else if (process.state === 'held') {
        told.hasStopped = true;
      } else if (told.outcome === 'sent' && (process.state !== 'waiting' || this.#options.waitsOut === true)) {
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
      this.#tellThread(told.process);
      told.lastMs = now;
      told.hasStopped = false;
    }
    return now - told.sinceMs < GIVE_UP_MS;
  }

  #tellThread(process: ProcessId): void {
    const thread = this.#options.runningThread?.(process.pid);
    if (thread !== undefined) this.#signals.sendThrough(thread, process, 'SIGSTOP');
  }

  #stuck(process: Looked): StuckProcess | undefined {
    const { pid, start, state } = process;
    const outcome = this.#told.get(keyOf(process))?.outcome;
    if (state === 'stopped' || (state === 'held' && outcome === 'sent')) return undefined;
    return { pid, start, why: resistanceOf(state, outcome) };
  }

  #looked(members: readonly ProcessStatus[]): readonly Looked[] {
    return members.map((process) => ({ ...process, state: this.#options.look(process) }));
  }
}

export function resistanceOf(state: Looked['state'], outcome: SignalOutcome | undefined): Resistance {
  if (outcome === 'denied' || outcome === 'spared') return outcome;
  if (state === 'waiting') return 'waiting';
  return state === 'traced' ? 'traced' : 'resists';
}

export function keyOf({ pid, start }: ProcessId): string {
  return `${pid}:${start}`;
}
