/**
 * What rules leave open is put to a judge. Nothing waits for it: a HALT of its comes after the fact, and whatever goes wrong leaves the flag
 * a flag.
 */
import type { Activity } from '../activity.ts';
import { LEVELS, type Verdict } from '../verdict.ts';
import type { Judge } from './ports.ts';
import { WorkQueue } from './work-queue.ts';

/** Ambiguous flags that may wait for the judge. */
export const MAX_UNJUDGED = 32;

export interface SecondOpinionOptions {
  /** Absent: nobody is asked. */
  readonly judge: Judge | undefined;
  /** It found it worse than the rules did. */
  readonly onRaised: (activity: Activity, verdict: Verdict) => void;
  /** It did not answer: told once, and again when it failed anew after it had answered. */
  readonly onFailing: (error: unknown) => void;
}

interface Question {
  readonly activity: Activity;
  readonly verdict: Verdict;
  readonly recent: readonly Activity[];
}

export class SecondOpinion {
  readonly #options: SecondOpinionOptions;
  readonly #queue: WorkQueue<Question>;
  #isFailing = false;
  #isStopped = false;
  #lost = 0;

  constructor(options: SecondOpinionOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ limit: MAX_UNJUDGED, width: 1 }, (question) => this.#ask(question));
  }

  /** Flags that it did not look at, or said nothing of. */
  get lost(): number {
    return this.#lost;
  }

  /** @param recent - what came before; copied when it is asked. */
  consider(activity: Activity, verdict: Verdict, recent: readonly Activity[]): void {
    if (this.#options.judge === undefined || verdict.ambiguous !== true || verdict.level !== 'FLAG') return;
    if (!this.#queue.push({ activity, verdict, recent: [...recent] })) this.#lost++;
  }

  /** Asks no more, and raises nothing. */
  stop(): void {
    this.#isStopped = true;
  }

  /** What waits is given up. */
  close(): void {
    this.#lost += this.#queue.clear();
  }

  async #ask(question: Question): Promise<void> {
    const { judge, onRaised } = this.#options;
    if (judge === undefined || this.#isStopped) return void this.#lost++;
    let verdict: Verdict;
    try {
      verdict = await judge.judge(question);
    } catch (error) {
      return this.#failed(error);
    }
    // A judge that cannot answer gives the verdict of the rules back, and says why in its reason.
    if (verdict.evaluator !== 'judge') return this.#failed(new Error(verdict.reason));
    this.#isFailing = false;
    const isHigher = LEVELS.indexOf(verdict.level) > LEVELS.indexOf(question.verdict.level);
    if (isHigher && !this.#isStopped) onRaised(question.activity, verdict);
  }

  #failed(error: unknown): void {
    this.#lost++;
    if (!this.#isFailing && !this.#isStopped) this.#options.onFailing(error);
    this.#isFailing = true;
  }
}
