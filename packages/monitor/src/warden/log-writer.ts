/** Hands each activity to the activity log. What is safe may be lost there, and is counted; what is not is in the ledger as well. */
import type { Activity } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import type { ActivityLog } from './ports.ts';

/** Activities that may wait for the log. */
export const MAX_UNLOGGED = 8_192;

export class LogWriter {
  readonly #log: ActivityLog;
  readonly #onFirst: (error: unknown) => void;
  #waiting = 0;
  #lost = 0;

  /** @param onFirst - told of the first one lost only: a full disk would fill the terminal too. Must not throw */
  constructor(log: ActivityLog, onFirst: (error: unknown) => void) {
    this.#log = log;
    this.#onFirst = onFirst;
  }

  /** Those the log told nobody about included. */
  get lost(): number {
    return this.#lost + (this.#log.lost?.() ?? 0);
  }

  /** Never throws, and waits for nothing. */
  write(activity: Activity, verdict: Verdict): void {
    if (this.#waiting >= MAX_UNLOGGED) return this.#lose(new Error(`${MAX_UNLOGGED} activities wait for the activity log`));
    try {
      const written = this.#log.write(activity, verdict);
      if (written === undefined) return;
      this.#waiting++;
      written.catch((error: unknown) => this.#lose(error)).finally(() => this.#waiting--);
    } catch (error) {
      this.#lose(error);
    }
  }

  #lose(error: unknown): void {
    if (this.#lost++ === 0) this.#onFirst(error);
  }
}
