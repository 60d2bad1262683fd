/**
 * Orphans of the tree come to us instead of to init, so that a double fork leads nowhere, and we learn how they ended. For `run`, where the
 * watching process is ours; see `subreaper` for what it asks of that process.
 */
import type { ActionKind, ProcessId } from '../activity.ts';
import { type Subreaper, subreaper } from '../native/subreaper.ts';
import type { CoverageLevel, Sensor, SensorHost, SensorStats } from '../sensor.ts';
import type { TrackedTree } from '../tree/tracked-tree.ts';

export interface OrphanSensor extends Sensor {
  /** Orphans that run now: for a freezer, which may not wait for the next look of a poll. */
  adopted(): readonly ProcessId[];
}

/** @param options.tree - with this process as its `adopter`. What we start ourselves is kept out of it. */
export function orphanSensor({ tree }: { readonly tree: TrackedTree }): OrphanSensor {
  return new Orphans(tree);
}

class Orphans implements OrphanSensor {
  readonly name = 'orphans';
  readonly level: CoverageLevel = 'L0';
  readonly gives: readonly ActionKind[] = ['exit'];
  readonly #tree: TrackedTree;
  #reaper: Subreaper | undefined;
  #seen = 0;

  constructor(tree: TrackedTree) {
    this.#tree = tree;
  }

  async start(host: SensorHost): Promise<void> {
    this.#reaper = subreaper({
      onStart: (pid) => this.#tree.disown(pid),
      onExit: (id, exit) => {
        const { kind: _, ...end } = exit;
        const process = this.#tree.exited(id, end);
        // Another sensor knew.
        if (process === undefined) return;
        const { attribution, ...actor } = process;
        this.#seen++;
        host.emit({ at: Date.now(), sensor: this.name, phase: 'after', actor, action: exit, attribution });
      },
    });
  }

  async stop(): Promise<void> {
    this.#reaper?.close();
    this.#reaper = undefined;
  }

  stats(): SensorStats {
    return { seen: this.#seen, lost: 0 };
  }

  adopted(): readonly ProcessId[] {
    return this.#reaper?.orphans() ?? [];
  }
}
