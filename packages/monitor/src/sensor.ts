/** What watches. Sensors differ in what they see; they share this interface, and say what they lost. */
import type { ActionKind, Observation } from './activity.ts';
import type { ProcessTree } from './tree/process-tree.ts';
import type { Verdict } from './verdict.ts';

/** What a session can see and prevent; DESIGN's levels. */
export const COVERAGE_LEVELS = ['L0', 'L1', 'L2', 'L3'] as const;
export type CoverageLevel = (typeof COVERAGE_LEVELS)[number];

export interface SensorStats {
  /** Observations given so far. */
  readonly seen: number;
  /** What it knows it missed: queue overflows, readings that failed, processes that vanished while they were read. */
  readonly lost: number;
  /** Of those seen: safe ones of which it tells only how many there were. */
  readonly counted?: number;
  /** Of a sensor that sits in programs: how many told it anything. */
  readonly programs?: number;
}

/** What a sensor that is asked before has already made of an observation. */
export interface Judged {
  /** By the same rules. Its evidence is numbered by the sensor, not by the session. */
  readonly verdict: Verdict;
  /** It waits, and happens or fails by the answer. Not held: it was refused already. */
  readonly isHeld: boolean;
  /** Neither: it went on already. */
  readonly wentOn?: true;
  /** That it was refused is the word of the process itself: whoever decides about it is told so, and it counts as done. */
  readonly isItsWord?: true;
  /** Once; later answers, and those to what was ended meanwhile, do nothing. */
  answer(answer: 'continue' | 'refuse'): void;
}

export interface SensorHost {
  readonly tree: ProcessTree;
  /** Must not throw; returns at once. */
  emit(observation: Observation, judged?: Judged): void;
  /** The sensor sees nothing from here on: the level may fall. Once. */
  died(error: Error): void;
}

export interface Sensor {
  readonly name: string;
  readonly level: CoverageLevel;
  readonly gives: readonly ActionKind[];
  /** Before things happen: what others see of them afterwards is nothing new. */
  readonly isAsked?: true;
  /** Resolves when it sees. @throws {CountersignError} `MONITOR_UNAVAILABLE` where this host does not have what it needs */
  start(host: SensorHost): Promise<void>;
  /** Idempotent; nothing is emitted after it resolved. */
  stop(): Promise<void>;
  stats(): SensorStats;
}

export interface ThroughOptions {
  /** What waits is told, while somebody listens: before the sensor stops and, of what it told meanwhile, after. */
  readonly settle?: () => void;
  /** Sightings that were given up on the way. */
  readonly lost?: () => number;
}

/** The same sensor, but for what becomes of each sighting. @param around - gives what is called instead of the host's `emit` */
export function sensorThrough(
  sensor: Sensor,
  around: (emit: SensorHost['emit'], host: SensorHost) => SensorHost['emit'],
  { settle, lost }: ThroughOptions = {},
): Sensor {
  return {
    name: sensor.name,
    level: sensor.level,
    gives: sensor.gives,
    ...(sensor.isAsked === true && { isAsked: true }),
    start: (host) =>
      sensor.start({
        tree: host.tree,
        died: (error) => host.died(error),
        emit: around((observation, judged) => host.emit(observation, judged), host),
      }),
    stop: async () => {
      settle?.();
      await sensor.stop();
      settle?.();
    },
    stats: () => {
      const stats = sensor.stats();
      return lost === undefined ? stats : { ...stats, lost: stats.lost + lost() };
    },
  };
}
