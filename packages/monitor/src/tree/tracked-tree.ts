/**
 * The processes of one session. Sensors feed it what they saw; it alone says who belongs, and under which call.
 *
 * A process belongs when it is a root, when its parent belongs, when its environment carries the marker of this run, or when it was
 * left to us as an orphan (we are its subreaper, and did not start it). It stays until it ends, whatever it does to its parents,
 * session or name. Its identity is pid and start time: the same pid with another start time is the end of one process and a
 * stranger, which has to show anew that it belongs.
 */
import type { Actor, Attribution, ProcessId } from '../activity.ts';
import type { Markers } from './markers.ts';
import type { ProcessTree, TreeProcess } from './process-tree.ts';

/**
 * Processes kept at one time. More than that is no tree but an attack on it: those beyond are counted (`overflow()`, change `full`)
 * and not kept, so what they do has no actor, until members end and a sensor sees them again. The rules judge the rate of starts
 * long before.
 */
export const MAX_MEMBERS = 16_384;

/** What a sensor read of a process. Absent facts could not be read; they never undo what is known. */
export interface SeenProcess extends Actor {
  readonly markers?: Markers;
}

export interface ProcessEnd {
  readonly code?: number;
  readonly signal?: string;
}

export type JoinedBy = 'root' | 'parent' | 'marker' | 'adopted';

export type TreeChange =
  | { readonly kind: 'joined'; readonly process: TreeProcess; readonly by: JoinedBy }
  /** It runs another program, or other arguments, than before. */
  | { readonly kind: 'exec'; readonly process: TreeProcess; readonly before: TreeProcess }
  /** `replaced`: found out by another process that has its pid now. */
  | { readonly kind: 'left'; readonly process: TreeProcess; readonly end: ProcessEnd; readonly how: 'exit' | 'replaced' }
  /** It belongs, and there is no room for it. */
  | { readonly kind: 'full'; readonly process: ProcessId };

export interface TrackedTreeOptions {
  readonly roots: readonly SeenProcess[];
  /** The id of this run, as `COUNTERSIGN_RUN` carries it. Absent (`attach`): no process belongs by its environment. */
  readonly marker?: string;
  /** Pid of the subreaper that orphans of the tree are left to. Absent: nobody's children belong because of their parent's death. */
  readonly adopter?: number;
}

export class TrackedTree implements ProcessTree {
  readonly #members = new Map<number, TreeProcess>();
  readonly #listeners = new Set<(change: TreeChange) => void>();
  readonly #marker: string | undefined;
  readonly #adopter: number | undefined;
  readonly #own = new Set<number>();
  readonly #roots = new Set<number>();
  #overflow = 0;

  constructor({ roots, marker, adopter }: TrackedTreeOptions) {
    this.#marker = marker;
    this.#adopter = adopter;
    for (const root of roots) this.addRoot(root);
  }

  /** Roots first, then in the order they joined. */
  members(): readonly TreeProcess[] {
    const all = [...this.#members.values()];
    const roots = all.filter(({ pid }) => this.#roots.has(pid));
    return roots.length === all.length ? all : [...roots, ...all.filter(({ pid }) => !this.#roots.has(pid))];
  }

  get size(): number {
    return this.#members.size;
  }

  /** Whether environments matter for who belongs. */
  get readsMarkers(): boolean {
    return this.#marker !== undefined;
  }

  get(pid: number): TreeProcess | undefined {
    return this.#members.get(pid);
  }

  has({ pid, start }: ProcessId): boolean {
    return this.#members.get(pid)?.start === start;
  }

  /** Processes that belong and were not kept, since the beginning. Not 0: `members()` may not be all. */
  overflow(): number {
    return this.#overflow;
  }

  /** A listener must not throw. @returns ends it. */
  onChange(listener: (change: TreeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Launched or attached to. */
  addRoot(process: SeenProcess): TreeProcess | undefined {
    this.#leaveIfReplaced(process);
    const known = this.#members.get(process.pid);
    if (known === undefined && this.#members.size < MAX_MEMBERS) this.#roots.add(process.pid);
    return known ?? this.#join(process, undefined, 'root');
  }

  /**
   * A helper that the warden itself started: it does not belong, though its parent is the adopter. Call right after starting it.
   *
   * @returns to be called when it ended: its pid may then be another's.
   */
  disown(pid: number): () => void {
    this.#own.add(pid);
    return () => this.#own.delete(pid);
  }

  /**
   * A fork was seen. The child is what its parent was at that time, until it is seen to run something else.
   *
   * @returns the child when it joined now or before; undefined when the parent does not belong.
   */
  forked(parentPid: number, child: ProcessId): TreeProcess | undefined {
    this.#leaveIfReplaced(child);
    const known = this.#members.get(child.pid);
    if (known !== undefined) return known;
    const parent = this.#members.get(parentPid);
    return parent === undefined ? undefined : this.#join({ ...child, parent: parentPid }, parent, 'parent');
  }

  /**
   * A process was looked at: it joins if it belongs, and what is new of it is kept. The parent's facts must have been seen before.
   *
   * @returns undefined for a stranger.
   */
  seen(process: SeenProcess): TreeProcess | undefined {
    this.#leaveIfReplaced(process);
    const known = this.#members.get(process.pid);
    if (known !== undefined) return this.#update(known, process);
    const by = this.#belongsBy(process);
    return by === undefined ? undefined : this.#join(process, by === 'parent' ? this.#parentOf(process) : undefined, by);
  }

  /** Would `seen` let it in, or has it already? */
  belongs(process: SeenProcess): boolean {
    return this.has(process) || this.#belongsBy(process) !== undefined;
  }

  /** It ended. Without a start time: whatever has that pid. @returns what it was, undefined for a stranger. */
  exited(id: { readonly pid: number; readonly start?: number }, end: ProcessEnd = {}): TreeProcess | undefined {
    const known = this.#members.get(id.pid);
    if (known === undefined || (id.start !== undefined && id.start !== known.start)) return undefined;
    this.#leave(known, end, 'exit');
    return known;
  }

  #belongsBy(process: SeenProcess): JoinedBy | undefined {
    if (this.#own.has(process.pid)) return undefined;
    if (this.#parentOf(process) !== undefined) return 'parent';
    if (this.#marker !== undefined && process.markers?.run === this.#marker) return 'marker';
    return this.#adopter !== undefined && process.parent === this.#adopter ? 'adopted' : undefined;
  }

  /** A parent that is younger than its child is another process with the pid of one that is gone. */
  #parentOf(process: SeenProcess): TreeProcess | undefined {
    const parent = process.parent === undefined ? undefined : this.#members.get(process.parent);
    return parent !== undefined && parent.start <= process.start ? parent : undefined;
  }

  #join(process: SeenProcess, parent: TreeProcess | undefined, by: JoinedBy): TreeProcess | undefined {
    if (this.#members.size >= MAX_MEMBERS) {
      this.#overflow++;
      this.#tell({ kind: 'full', process: { pid: process.pid, start: process.start } });
      return undefined;
    }
    const { markers, ...facts } = process;
    const joined: TreeProcess = { ...imageOf(parent), ...facts, attribution: attributed(markers, parent?.attribution) };
    this.#members.set(process.pid, joined);
    this.#tell({ kind: 'joined', process: joined, by });
    if (parent !== undefined && isOtherImage(parent, joined))
      this.#tell({ kind: 'exec', process: joined, before: { ...joined, ...imageOf(parent) } });
    return joined;
  }

  #update(known: TreeProcess, { markers, ...facts }: SeenProcess): TreeProcess {
    const now: TreeProcess = { ...known, ...facts, attribution: attributed(markers, known.attribution) };
    this.#members.set(known.pid, now);
    if (isOtherImage(known, now)) this.#tell({ kind: 'exec', process: now, before: known });
    return now;
  }

  #leaveIfReplaced({ pid, start }: ProcessId): void {
    const known = this.#members.get(pid);
    if (known === undefined || known.start === start) return;
    this.#leave(known, {}, 'replaced');
  }

  #leave(process: TreeProcess, end: ProcessEnd, how: 'exit' | 'replaced'): void {
    this.#members.delete(process.pid);
    this.#roots.delete(process.pid);
    this.#tell({ kind: 'left', process, end, how });
  }

  #tell(change: TreeChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** What a fork hands on. */
function imageOf(parent: TreeProcess | undefined): Pick<Actor, 'exe' | 'argv' | 'cwd'> {
  if (parent === undefined) return {};
  const { exe, argv, cwd } = parent;
  return { ...(exe !== undefined && { exe }), ...(argv !== undefined && { argv }), ...(cwd !== undefined && { cwd }) };
}

/** What was not known before is no change. A process may rewrite its arguments: that counts as one. */
export function isOtherImage(before: Actor, now: Actor): boolean {
  if (before.exe !== undefined && now.exe !== undefined && before.exe !== now.exe) return true;
  if (before.argv === undefined || now.argv === undefined) return false;
  return before.argv.length !== now.argv.length || before.argv.some((argument, at) => argument !== now.argv?.[at]);
}

/** Its own marker is the call; without one it goes on under the call it had, or its parent has. */
function attributed(markers: Markers | undefined, before: Attribution | undefined): Attribution {
  if (markers?.call !== undefined) return { method: 'marker', call: markers.call };
  if (before?.call === undefined) return NO_CALL;
  return markers === undefined && before.method === 'marker' ? before : { method: 'tree', call: before.call };
}

const NO_CALL: Attribution = { method: 'none' };
