/**
 * Many trees as one sensor sees them: what happened is told to the tree whose process it is. The kernel tells its events to everybody who
 * asks, of the whole host: one listener for all servers, not one for each.
 */
import type { ProcessId } from '../activity.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import type { ProcessEnd, SeenProcess, TrackedTree, TreeChange } from '../tree/tracked-tree.ts';

export class Grove implements Pick<TrackedTree, 'members' | 'get' | 'onChange' | 'forked' | 'seen' | 'exited'> {
  readonly #trees = new Map<TrackedTree, () => void>();
  readonly #listeners = new Set<(change: TreeChange) => void>();
  #last: TrackedTree | undefined;

  /** The tree that the last event was told to. */
  get last(): TrackedTree | undefined {
    return this.#last;
  }

  add(tree: TrackedTree): void {
    this.#trees.set(
      tree,
      tree.onChange((change) => this.#tell(change)),
    );
    for (const process of tree.members()) this.#tell({ kind: 'joined', process, by: 'root' });
  }

  /** Nobody asks about its processes any more. */
  remove(tree: TrackedTree): void {
    this.#trees.get(tree)?.();
    if (!this.#trees.delete(tree)) return;
    for (const process of tree.members()) this.#tell({ kind: 'left', process, end: {}, how: 'replaced' });
  }

  members(): readonly TreeProcess[] {
    return [...this.#trees.keys()].flatMap((tree) => tree.members());
  }

  get(pid: number): TreeProcess | undefined {
    return this.#of(pid)?.get(pid);
  }

  onChange(listener: (change: TreeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  forked(parentPid: number, child: ProcessId): TreeProcess | undefined {
    const tree = this.#of(parentPid);
    // A pid that another tree still has is that of a process whose end nobody told.
    for (const other of this.#trees.keys()) if (other !== tree && other.get(child.pid) !== undefined) other.exited({ pid: child.pid });
    return this.#in(tree)?.forked(parentPid, child);
  }

  seen(process: SeenProcess): TreeProcess | undefined {
    return this.#in(this.#of(process.pid) ?? (process.parent === undefined ? undefined : this.#of(process.parent)))?.seen(process);
  }

  exited(id: { readonly pid: number; readonly start?: number }, end?: ProcessEnd): TreeProcess | undefined {
    return this.#in(this.#of(id.pid))?.exited(id, end);
  }

  #of(pid: number): TrackedTree | undefined {
    for (const tree of this.#trees.keys()) if (tree.get(pid) !== undefined) return tree;
    return undefined;
  }

  #in(tree: TrackedTree | undefined): TrackedTree | undefined {
    this.#last = tree;
    return tree;
  }

  #tell(change: TreeChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
