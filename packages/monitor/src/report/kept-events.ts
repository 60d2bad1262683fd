/** What happened, in order, within bounds: the worst are kept longer. */
import type { ReportEvent } from './report.ts';

const MAX_GRAVE = 300;
const MAX_OTHER = 300;

export class KeptEvents {
  readonly #grave: ReportEvent[] = [];
  readonly #other: ReportEvent[] = [];
  #seen = 0;

  add(event: ReportEvent): void {
    this.#seen++;
    const isGrave = event.level === 'HALT' || event.level === 'KILL' || event.kind === 'containment' || event.kind === 'approval';
    const list = isGrave ? this.#grave : this.#other;
    list.push(event);
    // The newest stay. Cut now and then, not each time.
    const most = isGrave ? MAX_GRAVE : MAX_OTHER;
    if (list.length >= 2 * most) list.splice(0, list.length - most);
  }

  list(): { readonly events: readonly ReportEvent[]; readonly omitted: number } {
    const events = [...newest(this.#grave, MAX_GRAVE), ...newest(this.#other, MAX_OTHER)].toSorted((a, b) => a.at - b.at);
    return { events, omitted: this.#seen - events.length };
  }
}

/** Several sources are added one after the other: the newest by time, not by their place. */
function newest(events: readonly ReportEvent[], most: number): readonly ReportEvent[] {
  return events.toSorted((a, b) => a.at - b.at).slice(-most);
}
