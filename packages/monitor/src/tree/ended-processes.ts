/** What processes of a tree were that ended: sensors are told of some of their deeds later. */
import type { ProcessTree, TreeProcess } from './process-tree.ts';
import type { TrackedTree } from './tracked-tree.ts';

export const MAX_ENDED = 1_024;

export class EndedProcesses {
  readonly #byPid = new Map<number, TreeProcess>();
  readonly #stop: () => void;

  constructor(tree: ProcessTree & Pick<TrackedTree, 'onChange'>) {
    this.#stop = tree.onChange((change) => {
      if (change.kind === 'left') this.#remember(change.process);
    });
  }

  /** The latest that had this pid. It may be a member again: whoever said that it ended may have been unable to look. */
  get(pid: number): TreeProcess | undefined {
    return this.#byPid.get(pid);
  }

  close(): void {
    this.#stop();
  }

  #remember(process: TreeProcess): void {
    this.#byPid.delete(process.pid);
    this.#byPid.set(process.pid, process);
    if (this.#byPid.size > MAX_ENDED) for (const oldest of this.#byPid.keys()) return void this.#byPid.delete(oldest);
  }
}
