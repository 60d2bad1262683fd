/** What would have been stopped has a story too. One for each rule, others of it join it: nothing stops a flood here. */
import type { Activity } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import { newIncidentId } from './containment.ts';
import type { Incident, WardenOptions } from './ports.ts';
import { MAX_SUMMARY } from './tally.ts';

export interface ObservedIncidentsOptions extends Pick<WardenOptions, 'ledger' | 'mode' | 'incidents' | 'tree'> {
  readonly nowMs: () => number;
  readonly onTrouble: (error: unknown) => void;
}

export class ObservedIncidents {
  readonly #options: ObservedIncidentsOptions;
  readonly #byRule = new Map<string, Incident>();

  constructor(options: ObservedIncidentsOptions) {
    this.#options = options;
  }

  /** @param recent - before it */
  of(activity: Activity, verdict: Verdict, recent: readonly Activity[]): Incident {
    const { ledger, mode, incidents, tree, nowMs, onTrouble } = this.#options;
    const known = this.#byRule.get(verdict.rule);
    if (known !== undefined) return known;
    const incident: Incident = { id: newIncidentId(), at: nowMs(), session: ledger.session, mode, activity, verdict };
    if (this.#byRule.size >= MAX_SUMMARY) return incident;
    this.#byRule.set(verdict.rule, incident);
    incidents
      .open(incident, tree.members(), [...recent, activity])
      .then(() => incidents.update(incident, []))
      .catch(onTrouble);
    return incident;
  }
}
