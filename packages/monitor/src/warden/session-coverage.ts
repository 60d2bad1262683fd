/** What can be seen and prevented of a session, from its start to its end: for whoever is told of it, and for its file. */
import { type Enforcement, type EnforcementInput, enforcementOf } from '../enforcement.ts';
import type { LevelChange } from '../evidence/session-file.ts';
import { COVERAGE_LEVELS, type CoverageLevel } from '../sensor.ts';
import type { WardenEvent } from './ports.ts';

/** Each sensor dies once. */
const MAX_CHANGES = 32;

export type CoverageAbout = Pick<EnforcementInput, 'mode' | 'kernel' | 'contain' | 'passedOver' | 'without' | 'probe' | 'more'> & {
  /** Kernel control, where it is used: the name of its sensor. */
  readonly supervisor: string;
};

export interface SessionCoverage {
  /** Puts what can be prevented into the event of the start, and keeps what changes. */
  see(event: WardenEvent): WardenEvent;
  /** Empty before the start. */
  facts(): { readonly enforcement?: Enforcement; readonly fell?: readonly LevelChange[] };
}

export function sessionCoverage({ supervisor, ...about }: CoverageAbout): SessionCoverage {
  let enforcement: Enforcement | undefined;
  const fell: LevelChange[] = [];
  return {
    see(event) {
      if (event.kind === 'coverage' && fell.length < MAX_CHANGES) {
        const { at, level, sensor, why } = event;
        fell.push({ at, level, sensor, why });
      }
      if (event.kind !== 'started') return event;
      const { kernel, ...rest } = about;
      // What has not started holds nothing.
      const isSupervised = event.sensors.some(({ name }) => name === supervisor);
      enforcement = enforcementOf({
        ...rest,
        gives: event.sensors.flatMap(({ gives }) => gives),
        seenLevel: best(event.sensors.filter(({ name }) => name !== supervisor).map(({ level }) => level)),
        freeze: event.grade,
        ...(isSupervised && kernel !== undefined && { kernel }),
      });
      return { ...event, enforcement };
    },
    facts: () => ({ ...(enforcement !== undefined && { enforcement }), ...(fell.length > 0 && { fell }) }),
  };
}

function best(levels: readonly CoverageLevel[]): CoverageLevel | 'none' {
  return COVERAGE_LEVELS.findLast((level) => levels.includes(level)) ?? 'none';
}
