/**
 * Sees exec, open, unlink, rename and connect of everything that was launched before they happen, and holds those that a person has to
 * decide about. The strongest there is without root; `docs/guides/kernel-control.md` has its limits.
 */
import type { ActionKind } from '../activity.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';
import { HeldParts } from './held-parts.ts';
import { type Supervisor, type SupervisorOptions, supervise } from './supervisor.ts';
import type { Told } from './supervisor-protocol.ts';

export interface SeccompOptions extends Omit<SupervisorOptions, 'onTold' | 'onEnd'> {
  readonly tree: TrackedTree;
  /** Takes secrets out of reasons: those of the supervisor's thread come as they are. */
  readonly redact: (text: string) => string;
}

export function seccompSensor(options: SeccompOptions): SeccompSensor {
  return new SeccompSensor(options);
}

const GIVES: readonly ActionKind[] = ['exec', 'read', 'write', 'delete', 'rename', 'connect', 'memory'];

export class SeccompSensor implements Sensor {
  readonly name = 'seccomp';
  readonly level: CoverageLevel;
  readonly isAsked = true;
  readonly gives: readonly ActionKind[];
  readonly #options: SeccompOptions;
  readonly #parts = new HeldParts((held, answer) => this.#supervisor?.answer(held, answer));
  #supervisor: Supervisor | undefined;
  #seen = 0;
  #lost = 0;
  #counted = 0;

  constructor(options: SeccompOptions) {
    this.#options = options;
    this.gives = options.trapReads === 'off' ? GIVES.filter((kind) => kind !== 'read') : GIVES;
    // In audit mode it sees before it happens, and prevents nothing.
    this.level = options.mode === 'audit_only' ? 'L1' : options.trapReads === 'broker' ? 'L3' : 'L2';
  }

  async start(host: SensorHost): Promise<void> {
    const { tree: _, redact: __, ...options } = this.#options;
    this.#supervisor = await supervise({
      ...options,
      onTold: (told, lost, counted) => {
        this.#lost += lost;
        this.#counted += counted;
        this.#seen += counted;
        for (const each of told) this.#take(each, host);
      },
      onEnd: (error) => host.died(error),
    });
  }

  async stop(): Promise<void> {
    const supervisor = this.#supervisor;
    this.#supervisor = undefined;
    await supervisor?.stop();
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: this.#lost, counted: this.#counted };
  }

  /** For a freezer: shuts and opens the gate. */
  get supervisor(): Supervisor | undefined {
    return this.#supervisor;
  }

  #take({ observation, markers, judged, held, isRefused, thread }: Told, host: SensorHost): void {
    this.#seen++;
    const { actor } = observation;
    // Whoever is trapped belongs: the filter is inherited, and nobody else has it.
    if (actor !== undefined) {
      const process = { ...actor, ...(markers !== undefined && { markers }) };
      if (this.#options.tree.seen(process) === undefined) this.#options.tree.addRoot(process);
    }
    if (judged === undefined) return host.emit(observation);
    host.emit(observation, {
      verdict: { ...judged, reason: this.#options.redact(judged.reason) },
      isHeld: held !== undefined,
      ...(held === undefined && isRefused === undefined && { wentOn: true as const }),
      answer: held === undefined ? () => {} : this.#parts.add(held, thread !== undefined),
    });
  }
}
