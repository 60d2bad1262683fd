/**
 * Freezes behind a gate: what would start, open, connect or delete something waits for a supervisor that does not answer, so nothing of
 * the tree gets any further from one moment on. Then each process is stopped by a signal, which no fork outruns any more.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessId } from '../activity.ts';
import { BaseFreezer, type FreezerParts } from './base-freezer.ts';
import type { FreezeGrade, StuckProcess } from './freezer.ts';
import type { Gate } from './gate.ts';
import type { ProcessStatus } from './process-table.ts';
import { atGate } from './stillness.ts';
import { CALM_ROUNDS_WITH_ORPHANS, Stops } from './stops.ts';

/** A supervisor that does not say for so long that the gate is shut is as good as none. */
const MAX_SHUT_MS = 1_000;

export class GateFreezer extends BaseFreezer {
  readonly #gate: () => Gate | undefined;
  readonly #stops: Stops;
  /** Whether it was when the tree was last stopped. Undefined: it is to be open. */
  #isShut: boolean | undefined;

  /** @param gate - undefined: there is none yet, or none any more. */
  constructor(parts: FreezerParts, gate: () => Gate | undefined) {
    super(parts);
    this.#gate = gate;
    this.#stops = new Stops(parts.signals, {
      look: atGate(parts.table, gate),
      calmRounds: CALM_ROUNDS_WITH_ORPHANS,
      waitsOut: true,
      runningThread: (pid) => parts.table.threads(pid).find(({ state }) => state === 'running')?.thread,
    });
  }

  /** Signals are what is left without a supervisor: nothing more is started then either, but nobody holds it. */
  get grade(): FreezeGrade {
    return this.#gate()?.isTended !== true || this.#isShut === false ? 'signal' : 'gate';
  }

  protected async stop(): Promise<{ processes: number; running: readonly StuckProcess[]; members: readonly ProcessId[] }> {
    const { members } = this.parts;
    let isShut: boolean | undefined;
    void this.#shut().then((is) => {
      isShut = is;
    });
    // What was answered before the gate shut has been done by then, and is found.
    const isSettled = (): boolean => isShut !== undefined;
    const near = await this.#stops.chase(() => members.scan(), isSettled);
    const marked = members.marked(near.members);
    // Known from then on, and what they started is found by descent.
    if (marked.length > 0) members.scan(marked);
    const { members: found, running } = marked.length > 0 ? await this.#stops.chase(() => members.scan(), isSettled) : near;
    this.#isShut = isShut === true;
    return { processes: found.length, running, members: found };
  }

  protected stopAgain(): readonly StuckProcess[] {
    return this.#stops.again(this.parts.members.scan());
  }

  /** First the signals: a call that is answered before its process may go on would be broken off by the stop that waits for it. */
  protected letGo(): void {
    this.#stops.release();
    this.#gate()?.openGate();
    this.#isShut = undefined;
  }

  /** The gate stays shut: whoever is overlooked gets no further. */
  protected endAtOnce(): void {}

  protected scan(): readonly ProcessStatus[] {
    return this.parts.members.scan();
  }

  protected async release(): Promise<void> {}

  async #shut(): Promise<boolean> {
    const late = new AbortController();
    const tooLate = sleep(MAX_SHUT_MS, false, { signal: late.signal }).catch(() => false);
    try {
      return await Promise.race([this.#gate()?.shutGate() ?? false, tooLate]);
    } catch {
      return false;
    } finally {
      late.abort();
    }
  }
}
