/** What both freezers share: one thing at a time, evidence before the end, and a look now and then at what should be still. */
import type { ProcessId } from '../activity.ts';
import { endAll, stillThere } from './ending.ts';
import type { FreezeGrade, FreezeResult, Freezer, FreezerOptions, KillResult, StuckProcess } from './freezer.ts';
import type { Membership } from './membership.ts';
import type { ProcessTable } from './process-table.ts';
import type { Signaller } from './signals.ts';
import { atGate, withTracers } from './stillness.ts';
import { CALM_ROUNDS_WITH_ORPHANS, keyOf, type StopsOptions } from './stops.ts';

/** Between two looks at a frozen tree. */
const HOLD_MS = 250;
/** Taking evidence may not keep a tree from being ended. */
export const MAX_EVIDENCE_MS = 5_000;

export interface FreezerParts {
  readonly members: Membership;
  readonly table: ProcessTable;
  readonly signals: Signaller;
  readonly options: FreezerOptions;
}

/** How stops by signal alone go. */
export function stopsOf({ table, options }: FreezerParts): StopsOptions {
  const { holds } = options;
  const look = holds === undefined ? withTracers(table) : atGate(table, () => ({ holds }));
  return { look, ...(options.adopted !== undefined && { calmRounds: CALM_ROUNDS_WITH_ORPHANS }) };
}

export abstract class BaseFreezer implements Freezer {
  readonly parts: FreezerParts;
  #queue: Promise<unknown> = Promise.resolve();
  #holding: NodeJS.Timeout | undefined;

  constructor(parts: FreezerParts) {
    this.parts = parts;
  }

  abstract get grade(): FreezeGrade;
  /** Stops all there are. Called again it finds those that are new. */
  protected abstract stop(): Promise<Omit<FreezeResult, 'grade' | 'duration_ms'> & { readonly members: readonly ProcessId[] }>;
  /** One look: whoever runs is stopped again. */
  protected abstract stopAgain(): readonly StuckProcess[];
  protected abstract letGo(): void;
  /** Everything of the tree at once, where the kernel can. */
  protected abstract endAtOnce(): void;
  /** Members now, also those only the container knows. */
  protected abstract scan(): ReturnType<Membership['scan']>;
  protected abstract release(): Promise<void>;

  freeze(): Promise<FreezeResult> {
    return this.#next(async () => {
      const { members: _, ...result } = await this.#frozen();
      return result;
    });
  }

  resume(): Promise<void> {
    return this.#next(async () => {
      this.#rest();
      this.letGo();
    });
  }

  kill(): Promise<KillResult> {
    return this.#next(async () => {
      const since = performance.now();
      const { members } = await this.#frozen();
      const isTaken = await this.#takeEvidence(members);
      this.#rest();
      this.endAtOnce();
      const { killed, left } = await endAll(() => this.scan(), this.parts.signals);
      const ended = Math.max(killed, members.length - left.length);
      return { grade: this.grade, killed: ended, left, duration_ms: performance.now() - since, ...(!isTaken && { evidence_failed: true }) };
    });
  }

  /** Strangers are not ended, whoever asks: only members. */
  killOnly(processes: readonly ProcessId[]): Promise<KillResult> {
    return this.#next(async () => {
      const since = performance.now();
      const wanted = new Set(processes.map(keyOf));
      const those = this.scan().filter((process) => wanted.has(keyOf(process)));
      const ended = await endAll(() => stillThere(those, this.parts.table), this.parts.signals);
      return { grade: this.grade, ...ended, duration_ms: performance.now() - since };
    });
  }

  close(): Promise<void> {
    return this.#next(async () => {
      this.#rest();
      await this.release();
    });
  }

  async #frozen(): Promise<FreezeResult & { readonly members: readonly ProcessId[] }> {
    const since = performance.now();
    const stopped = await this.stop();
    const duration_ms = performance.now() - since;
    this.#holding ??= setInterval(() => this.#look(), HOLD_MS).unref();
    return { ...stopped, grade: this.grade, duration_ms };
  }

  #look(): void {
    const running = this.stopAgain();
    if (running.length > 0) this.parts.options.onResist?.(running);
  }

  #rest(): void {
    clearInterval(this.#holding);
    this.#holding = undefined;
  }

  async #takeEvidence(members: readonly ProcessId[]): Promise<boolean> {
    const { onFrozen } = this.parts.options;
    if (onFrozen === undefined) return true;
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), MAX_EVIDENCE_MS);
    try {
      return await Promise.race([late, Promise.resolve(onFrozen(members)).then(() => true)]);
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  /** What was asked before is done first, and its failure is its own. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    // Whoever asked gets the failure from `done`; the next one must be tried all the same.
    this.#queue = done.catch(() => {});
    return done;
  }
}
