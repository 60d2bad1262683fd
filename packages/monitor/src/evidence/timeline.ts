/** What led to an incident: the last that was seen, and all that was worse than SAFE. Kept in memory, within bounds. */
import type { Activity } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import type { LoggedActivity } from './activity-line.ts';

/** Of whatever level. */
export const TIMELINE_LAST = 200;
/** FLAG and above, before those. */
export const TIMELINE_FLAGGED = 800;

export class Timeline {
  #last: LoggedActivity[] = [];
  #flagged: LoggedActivity[] = [];
  #seen = 0;

  see(activity: Activity, verdict: Verdict): void {
    this.#seen++;
    this.#last.push({ activity, verdict });
    // Cut now and then, not each time: shifting costs what is left.
    if (this.#last.length >= 2 * TIMELINE_LAST) this.#leave();
  }

  /** In order of what was seen. `omitted`: how many were seen before or between those. */
  entries(): { readonly entries: readonly LoggedActivity[]; readonly omitted: number } {
    this.#leave();
    const entries = [...this.#flagged, ...this.#last];
    return { entries, omitted: this.#seen - entries.length };
  }

  #leave(): void {
    const old = this.#last.slice(0, -TIMELINE_LAST);
    this.#last = this.#last.slice(-TIMELINE_LAST);
    const flagged = old.filter(({ verdict }) => verdict.level !== 'SAFE');
    this.#flagged = [...this.#flagged, ...flagged].slice(-TIMELINE_FLAGGED);
  }
}
