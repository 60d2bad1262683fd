/** The sensors of a session: who of them is alive, and what level that comes to. */
import { COVERAGE_LEVELS, type CoverageLevel, type Judged, type Sensor, type SensorHost } from '../sensor.ts';
import type { WardenOptions, WardenSummary } from './ports.ts';

export interface RunningSensorsOptions extends Pick<WardenOptions, 'sensors' | 'needs' | 'tree' | 'floor'> {
  readonly emit: (observation: Parameters<SensorHost['emit']>[0], judged?: Judged) => void;
  /** One is gone. @param was - the level until then */
  readonly onDied: (sensor: Sensor, error: Error, was: CoverageLevel | 'none') => void;
  readonly onTrouble: (during: string, error: unknown) => void;
}

export class RunningSensors {
  readonly #options: RunningSensorsOptions;
  readonly #alive = new Set<Sensor>();
  #level: CoverageLevel | 'none' = 'none';
  #lowest: CoverageLevel | 'none' = 'none';
  #isStopping = false;

  constructor(options: RunningSensorsOptions) {
    this.#options = options;
  }

  /** As on record. */
  get level(): CoverageLevel | 'none' {
    return this.#level;
  }

  get lowest(): CoverageLevel | 'none' {
    return this.#lowest;
  }

  get alive(): readonly Sensor[] {
    return [...this.#alive];
  }

  /** Of those that are alive now. */
  levelNow(): CoverageLevel | 'none' {
    const { floor = 'none' } = this.#options;
    const level = levelOf(this.#alive);
    return level === 'none' || rank(level) > rank(floor) ? level : floor;
  }

  /** One that does not start is told, and the others see what they see. Throws when none of them sees what runs, or the one that is needed is not there. */
  async start(): Promise<void> {
    const { sensors, needs, tree, emit, onTrouble } = this.#options;
    const failures: unknown[] = [];
    for (const sensor of sensors) {
      // Before it starts: it may see something, or die, at once.
      this.#alive.add(sensor);
      try {
        await sensor.start({ tree, emit, died: (error) => this.#died(sensor, error) });
      } catch (error) {
        this.#alive.delete(sensor);
        failures.push(error);
        if (sensor === needs) {
          await this.stop();
          throw error;
        }
        onTrouble(`sensor ${sensor.name}`, error);
      }
    }
    this.#level = this.#lowest = this.levelNow();
    if (this.#level !== 'none') return;
    await this.stop();
    throw failures[0] ?? new Error('no sensor was given');
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(
      this.#options.sensors.map(async (sensor) => {
        try {
          await sensor.stop();
        } catch (error) {
          this.#options.onTrouble(`sensor ${sensor.name}`, error);
        }
      }),
    );
  }

  facts(): WardenSummary['sensors'] {
    return this.#options.sensors.map((sensor) => ({
      name: sensor.name,
      level: sensor.level,
      gives: sensor.gives,
      isAlive: this.#alive.has(sensor),
      ...sensor.stats(),
    }));
  }

  #died(sensor: Sensor, error: Error): void {
    if (!this.#alive.delete(sensor) || this.#isStopping) return;
    const was = this.#level;
    this.#level = this.levelNow();
    if (rank(this.#level) < rank(this.#lowest)) this.#lowest = this.#level;
    this.#options.onDied(sensor, error, was);
  }
}

/** What the best of them sees; nothing, where none of them sees what runs: figures, or a few files, are no watch. */
function levelOf(sensors: ReadonlySet<Sensor>): CoverageLevel | 'none' {
  let best: CoverageLevel | 'none' = 'none';
  if (![...sensors].some(({ gives }) => gives.includes('exec'))) return best;
  for (const { level } of sensors) if (rank(level) > rank(best)) best = level;
  return best;
}

function rank(level: CoverageLevel | 'none'): number {
  return level === 'none' ? -1 : COVERAGE_LEVELS.indexOf(level);
}
