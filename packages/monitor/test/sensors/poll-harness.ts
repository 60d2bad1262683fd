/** A poll over a /proc of the test's own, with a clock that the test moves. */
import type { Observation } from '../../src/activity.ts';
import { type ProcPoll, type ProcPollOptions, procPoll } from '../../src/sensors/proc-poll.ts';
import type { PollTiming } from '../../src/sensors/timing.ts';
import { procReader } from '../../src/tree/proc-fs.ts';
import { TrackedTree, type TrackedTreeOptions } from '../../src/tree/tracked-tree.ts';
import { FakeProc } from '../fake-proc.ts';

export const ROOT = { pid: 100, start: 1_000, parent: 50, exe: '/usr/bin/node', argv: ['node', 'agent.js'], cwd: '/job' } as const;

export class PollHarness {
  readonly proc = new FakeProc();
  readonly tree: TrackedTree;
  readonly poll: ProcPoll;
  readonly observations: Observation[] = [];
  readonly deaths: Error[] = [];
  /** Milliseconds until the next look; undefined when none is due. */
  waitingMs: number | undefined;
  /** Times the scan let others run. */
  turns = 0;
  steadyMs = 0;
  #run: (() => void) | undefined;
  #looked: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(options: Partial<TrackedTreeOptions> = {}, pollOptions: Partial<ProcPollOptions> = {}) {
    this.tree = new TrackedTree({ roots: [ROOT], ...options });
    this.proc.put(ROOT);
    this.poll = procPoll({ tree: this.tree, reader: procReader({ root: this.proc.root }), timing: this.#timing(), ...pollOptions });
  }

  async start(): Promise<void> {
    await this.poll.start({ tree: this.tree, emit: (each) => this.observations.push(each), died: (error) => this.deaths.push(error) });
    this.observations.length = 0;
  }

  /** The next look is due, and done. @returns what it found. */
  async look(): Promise<readonly Observation[]> {
    this.observations.length = 0;
    this.steadyMs += this.waitingMs ?? 0;
    this.#looked = Promise.withResolvers();
    const run = this.#run;
    this.#run = undefined;
    this.waitingMs = undefined;
    run?.();
    await this.#looked.promise;
    return [...this.observations];
  }

  async close(): Promise<void> {
    await this.poll.stop();
    this.proc.close();
  }

  #timing(): PollTiming {
    return {
      now: () => 1_700_000_000_000 + this.steadyMs,
      steady: () => this.steadyMs,
      after: (ms, run) => {
        this.waitingMs = ms;
        this.#run = run;
        this.#looked.resolve();
        return () => {
          this.#run = undefined;
        };
      },
      turn: async () => {
        this.turns++;
      },
    };
  }
}

export function kinds(observations: readonly Observation[]): readonly string[] {
  return observations.map(({ action }) => action.kind);
}
