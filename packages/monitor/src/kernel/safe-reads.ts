/**
 * Reads that the rules found safe, of a process and the program it runs: the same again is safe again, and need not be judged.
 *
 * That holds since no rule of ours counts reads that are safe, and none makes more of one for what was read before. What a rule knows
 * when it judges one is the path in both its spellings, who reads, and who that belongs to; so files of /proc, which are about other
 * processes, are judged each time. Once anything is not safe, or is written, all of it is forgotten. The first act of each process is
 * judged in any case: with that a process inherits what its parent has read.
 */
import type { Actor } from '../activity.ts';
import type { Scope } from '../scope/scope.ts';
import type { Place } from './paths.ts';

/** Of one process. With more, it begins anew. */
export const MAX_SAFE_READS = 1_024;

/** One `Actor` stands for a process and the program it runs: all its threads share it. */
export class SafeReads {
  /** Under a predecessor's scope reads are counted. */
  readonly #isUsed: boolean;
  #known = new WeakMap<Actor, Set<string>>();

  constructor(scope: Pick<Scope, 'form'>) {
    this.#isUsed = scope.form === 'countersign';
  }

  has(program: Actor, place: Place): boolean {
    return this.#known.get(program)?.has(keyOf(place)) === true;
  }

  add(program: Actor, place: Place): void {
    if (!this.#isUsed || isOfProc(place.path) || isOfProc(place.resolved)) return;
    let known = this.#known.get(program);
    if (known === undefined || known.size >= MAX_SAFE_READS) {
      known = new Set();
      this.#known.set(program, known);
    }
    known.add(keyOf(place));
  }

  forget(): void {
    this.#known = new WeakMap();
  }
}

/** No path has a NUL in it. */
function keyOf({ path, resolved }: Place): string {
  return resolved === path ? path : `${path}\0${resolved}`;
}

function isOfProc(path: string | undefined): boolean {
  return path === undefined || path.startsWith('/proc') || path.includes('/../');
}
