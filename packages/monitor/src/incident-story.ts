/** What was done about an incident of a host, step by step, for whoever keeps the story of it. */
import type { Freezer } from './contain/freezer.ts';
import type { Incident, IncidentStep } from './warden/ports.ts';

/**
 * Told of what was stopped, or would have been, and of each thing done about it. Returns at once.
 *
 * @param steps - all so far; none where the mode stops nothing.
 */
export type FollowIncident = (incident: Incident, steps: readonly IncidentStep[]) => void;

export interface Contained {
  /** Absent: there is nothing to contain. */
  readonly event: 'frozen' | 'killed' | 'failed' | 'resumed' | undefined;
  readonly grade?: Freezer['grade'];
  readonly count?: number;
  readonly left?: number;
  readonly duration_ms?: number;
}

/** @returns what is to be told of each step; without one, that there will be none. */
export function story(incident: Incident, follow: FollowIncident | undefined): (contained?: Contained) => void {
  const steps: IncidentStep[] = [];
  return (contained) => {
    if (contained !== undefined) steps.push(stepOf(contained, Date.now()));
    try {
      follow?.(incident, [...steps]);
    } catch {
      // Whoever is told must not be able to let something go on.
    }
  };
}

function stepOf({ event, grade, count, duration_ms }: Contained, at: number): IncidentStep {
  return {
    at,
    event: event ?? 'failed',
    ...(grade !== undefined && { grade }),
    ...(count !== undefined && { count }),
    ...(duration_ms !== undefined && { duration_ms }),
  };
}
