/** What a session comes to, counted while it goes on: for its summary. */
import { LEVELS, type Level } from '../verdict.ts';
import type { Incident, IncidentStep, WardenSummary } from './ports.ts';

/** Incidents of which the summary tells how they ended, and rules it counts. */
export const MAX_SUMMARY = 1_000;

export class Tally {
  readonly #levels = new Map<Level, number>(LEVELS.map((level) => [level, 0]));
  readonly #rules = new Map<string, number>();
  readonly #incidents = new Map<string, { readonly incident: Incident; end: IncidentStep['event'] | 'open' }>();

  verdict(level: Level): void {
    this.#levels.set(level, this.#count(level) + 1);
  }

  /** FLAG and above. @param incident - that it belongs to */
  rule(rule: string, incident: Incident | undefined): void {
    if (this.#rules.has(rule) || this.#rules.size < MAX_SUMMARY) this.#rules.set(rule, (this.#rules.get(rule) ?? 0) + 1);
    if (incident !== undefined && !this.#incidents.has(incident.id) && this.#incidents.size < MAX_SUMMARY)
      this.#incidents.set(incident.id, { incident, end: 'open' });
  }

  step({ id }: Incident, { event }: IncidentStep): void {
    const known = this.#incidents.get(id);
    // What was put aside says nothing of the processes.
    if (known !== undefined && event !== 'quarantined') known.end = event;
  }

  facts(): Pick<WardenSummary, 'verdicts' | 'rules' | 'incidents'> {
    return {
      verdicts: { SAFE: this.#count('SAFE'), FLAG: this.#count('FLAG'), HALT: this.#count('HALT'), KILL: this.#count('KILL') },
      rules: this.#rules,
      incidents: [...this.#incidents.values()].map(({ incident: { id, verdict }, end }) => ({
        id,
        rule: verdict.rule,
        level: verdict.level,
        end,
      })),
    };
  }

  #count(level: Level): number {
    return this.#levels.get(level) ?? 0;
  }
}
