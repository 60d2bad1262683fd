/**
 * Sees exec, open, unlink, rename and connect of everything that was launched before they happen, and holds those that a person has to
 * decide about. The strongest there is without root; `docs/guides/kernel-control.md` has its limits.
 */
import type { ActionKind, ProcessId } from '../activity.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import { EndedProcesses } from '../tree/ended-processes.ts';
import type { ProcReader } from '../tree/proc-fs.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import { isRunning } from '../tree/stat.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';
import { HeldParts } from './held-parts.ts';
import { type Supervisor, type SupervisorOptions, supervise } from './supervisor.ts';
import type { Told } from './supervisor-protocol.ts';

export interface SeccompOptions extends Omit<SupervisorOptions, 'onTold' | 'onEnd'> {
  readonly tree: TrackedTree;
  /** Takes secrets out of reasons: those of the supervisor's thread come as they are. */
  readonly redact: (text: string) => string;
  readonly stat: ProcReader['stat'];
  /** Tests tell themselves what was trapped. */
  readonly start?: typeof supervise;
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
  #ended: EndedProcesses | undefined;
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
    const { tree, redact: _, stat: __, start = supervise, ...options } = this.#options;
    this.#ended = new EndedProcesses(tree);
    this.#supervisor = await start({
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
    this.#ended?.close();
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
    const ended = actor === undefined || held !== undefined ? undefined : this.#endedSince(actor);
    // Whoever is trapped belongs: the filter is inherited, and nobody else has it.
    if (actor !== undefined && ended === undefined) {
      const process = { ...actor, ...(markers !== undefined && { markers }) };
      if (this.#options.tree.seen(process) === undefined) this.#options.tree.addRoot(process);
    }
    const told = ended === undefined ? observation : { attribution: ended.attribution, ...observation };
    if (judged === undefined) return host.emit(told);
    host.emit(told, {
      verdict: { ...judged, reason: this.#options.redact(judged.reason) },
      isHeld: held !== undefined,
      ...(held === undefined && isRefused === undefined && { wentOn: true as const }),
      answer: held === undefined ? () => {} : this.#parts.add(held, thread !== undefined),
    });
  }

  /** What went on is told in batches: its end may be known before. It is no member again, or its pid would make one of a stranger's child. */
  #endedSince({ pid, start }: ProcessId): TreeProcess | undefined {
    const { tree, stat } = this.#options;
    const ended = tree.has({ pid, start }) ? undefined : this.#ended?.get(pid);
    if (ended?.start !== start) return undefined;
    const now = stat(pid);
    return now?.start === start && isRunning(now) ? undefined : ended;
  }
}
