/**
 * Whether a process has exactly our rights: only for such a one may we open in its place. Asked once of each thread, and again after
 * whatever changes rights: a program it executes, or a call of the setuid family.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import type { Target } from './targets.ts';

/** More threads than are looked after at once. */
const MAX_KEPT = 4_096;
const COMPARED = ['Uid', 'Gid', 'Groups', 'CapEff'] as const;

/** Why it is left to the kernel. */
export type NotOurs = 'other rights' | 'other namespace';

interface Kept {
  readonly target: Target;
  readonly notOurs: NotOurs | undefined;
}

export class Rights {
  readonly #kept = new Map<number, Kept>();
  readonly #own: string | undefined;
  readonly #ownPlace: string | undefined;

  constructor() {
    this.#own = this.#rightsOf('thread-self');
    this.#ownPlace = this.#placeOf('thread-self');
  }

  /** Undefined: they are the same. */
  notOurs(target: Target): NotOurs | undefined {
    const kept = this.#kept.get(target.tid);
    // Another target under the same number is another thread, or another program.
    if (kept?.target === target) return kept.notOurs;
    const notOurs = this.#look(target.tid);
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    this.#kept.set(target.tid, { target, notOurs });
    return notOurs;
  }

  /** It is about to change its own. */
  changes(tid: number): void {
    this.#kept.delete(tid);
  }

  #look(tid: number): NotOurs | undefined {
    if (this.#own === undefined || this.#rightsOf(String(tid)) !== this.#own) return 'other rights';
    return this.#ownPlace !== undefined && this.#placeOf(String(tid)) === this.#ownPlace ? undefined : 'other namespace';
  }

  #rightsOf(process: string): string | undefined {
    try {
      return rightsIn(readFileSync(`/proc/${process}/status`, 'latin1'));
    } catch {
      return undefined;
    }
  }

  /** What a path means: mounts, root, and who is who. */
  #placeOf(process: string): string | undefined {
    try {
      return ['ns/mnt', 'ns/user', 'root'].map((name) => readlinkSync(`/proc/${process}/${name}`, 'latin1')).join('\n');
    } catch {
      return undefined;
    }
  }
}

/** Of /proc/PID/status: those of the file system, groups in any order, and what it may do beyond. Undefined: not all of it is there. */
export function rightsIn(status: string): string | undefined {
  const found: string[] = [];
  for (const name of COMPARED) {
    const line = new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1];
    if (line === undefined) return undefined;
    const words = line.split(/\s+/).filter((word) => word !== '');
    // Real, effective, saved, and the one that files are asked for.
    if (name === 'Uid' || name === 'Gid') found.push(words[3] ?? '');
    else found.push(words.toSorted().join(' '));
  }
  return found.join('|');
}
