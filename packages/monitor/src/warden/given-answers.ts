/** What persons have answered for already, so that one deed is not asked about twice. Bounded, and of a moment. */
import type { Activity, Observation, ProcessId } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import { deedOf } from './case.ts';
import { DeniedExecs } from './denied-execs.ts';
import { MAX_SUMMARY } from './tally.ts';
import { WrappedExecs } from './wrapped-exec.ts';

export class GivenAnswers {
  /** What a person let go on although nobody knew who did it: the sensor that knows may tell of it later. */
  readonly #letGoOn = new Set<string>();
  /** Shells that a person let run, and what they are to become. */
  readonly #wrapped = new WrappedExecs();
  /** Programs that a person said no to, and that may be looked for in the next folder. */
  readonly #denied = new DeniedExecs();

  letGoOn(deeds: readonly string[]): void {
    for (const deed of deeds) if (this.#letGoOn.size < MAX_SUMMARY) this.#letGoOn.add(deed);
  }

  letHappen(activity: Activity, verdict: Verdict, nowMs: number): void {
    this.#wrapped.letGoOn(activity, verdict, nowMs);
  }

  deny(activity: Activity, verdict: Verdict, nowMs: number): void {
    this.#denied.deny(activity, verdict, nowMs);
  }

  /** The same command once more, from the next folder of `PATH`. */
  wasDenied(seen: Observation, verdict: Verdict, nowMs: number): boolean {
    return seen.phase === 'before' && this.#denied.covers(seen, verdict, nowMs);
  }

  /**
   * What is left of a verdict.
   *
   * @param isHeld - it waits; false: it has been refused. Absent: it was told of afterwards.
   * @param parent - of who does it, alive
   */
  applied(
    seen: Observation,
    verdict: Verdict,
    { isHeld, parent, nowMs }: { readonly isHeld: boolean | undefined; readonly parent: ProcessId | undefined; readonly nowMs: number },
  ): Verdict {
    const answered = this.#unlessWrapped(seen, verdict, { isHeld: isHeld === true, parent, nowMs });
    return isHeld === false ? answered : this.#unlessLetGoOn(seen, answered);
  }

  /** What a shell becomes, or starts, that a person let run is that person's word too, once, and where it is exactly what the line said. */
  #unlessWrapped(seen: Observation, verdict: Verdict, at: Parameters<WrappedExecs['covers']>[2]): Verdict {
    if (seen.phase !== 'before' || !this.#wrapped.covers(seen, verdict, at)) return verdict;
    return { ...verdict, level: 'FLAG', reason: `${verdict.reason}; a person let the shell run that this is the line of` };
  }

  /** One deed, seen by two sensors, is asked about once. Done again it is told again by the sensor that names nobody. */
  #unlessLetGoOn({ actor, action }: Observation, verdict: Verdict): Verdict {
    if (actor === undefined || (verdict.level !== 'HALT' && verdict.level !== 'KILL')) return verdict;
    if (!this.#letGoOn.delete(deedOf(action, verdict.rule))) return verdict;
    return { ...verdict, level: 'FLAG', reason: `${verdict.reason}; a person let this go on` };
  }
}
