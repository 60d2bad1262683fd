/**
 * Who belongs to a tree right now: what the tree knows, and all that came of it since it last looked. A scan may lose to processes
 * that start others and end: those are found through their own children, as orphans that came to us, or by their environment.
 */
import type { ProcessId } from '../activity.ts';
import type { ProcessTree } from '../tree/process-tree.ts';
import type { FreezerOptions } from './freezer.ts';
import type { ProcessStatus, ProcessTable } from './process-table.ts';

/** A scan gives up beyond: what is left of a larger tree is found by the next. */
export const MAX_SCANNED = 65_536;

export class Membership {
  readonly #tree: ProcessTree;
  readonly #table: ProcessTable;
  readonly #options: Pick<FreezerOptions, 'marker' | 'adopted'>;
  /** Found by earlier scans: they belong also after their parents ended. Start times by pid. */
  readonly #known = new Map<number, number>();

  constructor(tree: ProcessTree, table: ProcessTable, options: Pick<FreezerOptions, 'marker' | 'adopted'>) {
    this.#tree = tree;
    this.#table = table;
    this.#options = options;
  }

  /**
   * Those that run or could: no zombies. In the order of descent.
   *
   * @param also - processes that belong for another reason, just read.
   */
  scan(also: readonly ProcessStatus[] = []): readonly ProcessStatus[] {
    const known = [...this.#known].map(([pid, start]) => ({ pid, start }));
    return this.#descend(also, [...this.#tree.members(), ...(this.#options.adopted?.() ?? []), ...known]);
  }

  /** As `scan`, and those with the marker in their environment. Reads that of every process there is: slower. */
  scanAll(also: readonly ProcessStatus[] = []): readonly ProcessStatus[] {
    const found = this.scan(also);
    const marked = this.marked(found);
    return marked.length === 0 ? found : this.scan([...also, ...marked]);
  }

  /** Those that only the marker in their environment gives away. */
  marked(found: readonly ProcessId[]): readonly ProcessStatus[] {
    const { marker } = this.#options;
    if (marker === undefined) return [];
    const pids = new Set(found.map(({ pid }) => pid));
    return this.#table
      .pids()
      .filter((pid) => !pids.has(pid) && this.#table.hasMarker(pid, marker))
      .flatMap((pid) => this.#table.read(pid) ?? [])
      .filter(({ state }) => state !== 'gone');
  }

  #descend(read: readonly ProcessStatus[], from: readonly ProcessId[]): readonly ProcessStatus[] {
    const found = new Map<number, ProcessStatus>();
    const visit = (process: ProcessStatus): void => {
      if (found.size < MAX_SCANNED && !found.has(process.pid)) found.set(process.pid, process);
    };
    const fresh = new Map(read.map((process) => [process.pid, process]));
    for (const { pid, start } of from) {
      const now = found.has(pid) ? undefined : (fresh.get(pid) ?? this.#table.read(pid));
      if (now?.start === start) visit(now);
    }
    for (const process of read) visit(process);
    // A map that grows while it is walked through: children of children come in turn.
    for (const parent of found.values()) {
      for (const pid of this.#table.children(parent.pid, parent.threads)) {
        if (found.has(pid)) continue;
        const child = this.#table.read(pid);
        // The parent's pid may be another's since the list was made.
        if (child !== undefined && child.parent === parent.pid && child.start >= parent.start) visit(child);
      }
    }
    const living = [...found.values()].filter(({ state }) => state !== 'gone');
    this.#known.clear();
    for (const { pid, start } of living) this.#known.set(pid, start);
    return living;
  }
}
