/** Brings a tree up to date from /proc: who came, who runs another program now, who ended. */

import { exitOf } from '../native/exit-status.ts';
import type { ProcReader } from './proc-fs.ts';
import { isRunning, type ProcessStat } from './stat.ts';
import { RECHECKED_STRANGERS, Strangers } from './strangers.ts';
import { isOtherImage, type ProcessEnd, type SeenProcess, type TrackedTree } from './tracked-tree.ts';

export interface Scan {
  /** Members that may have done something since the last scan. One whose threads never ran is not among them. */
  readonly active: readonly number[];
  /** Members that were there and could not be read: they ended while we looked. */
  readonly vanished: number;
}

interface LastLook {
  readonly start: number;
  readonly ranMark: string | undefined;
  readonly threads: number;
}

export class TreeScanner {
  readonly #tree: TrackedTree;
  readonly #reader: ProcReader;
  readonly #strangers = new Strangers();
  readonly #looks = new Map<number, LastLook>();
  /** Start times of members that ended. Until its parent asks for it, one stays listed. */
  readonly #ended = new Map<number, number>();

  constructor(tree: TrackedTree, reader: ProcReader) {
    this.#tree = tree;
    this.#reader = reader;
    tree.onChange((change) => {
      // Whoever was thought a stranger below it may belong now.
      if (change.kind === 'joined' && (change.by === 'root' || this.#strangers.has(change.process.pid))) this.#strangers.clear();
      if (change.kind !== 'left') return;
      this.#looks.delete(change.process.pid);
      this.#ended.set(change.process.pid, change.process.start);
    });
  }

  /** One look at everything. Yields after each process, so that a caller can let others run; between two steps the tree may change. */
  *scan(): Generator<void, Scan> {
    const listed = new Set(this.#reader.pids());
    this.#strangers.keepOnly(listed);
    for (const pid of this.#ended.keys()) if (!listed.has(pid)) this.#ended.delete(pid);
    yield* this.#lookForNewcomers(listed);
    const active: number[] = [];
    let vanished = 0;
    for (const { pid } of this.#tree.members()) {
      const found = this.#lookAtMember(pid, listed.has(pid));
      if (found === 'active') active.push(pid);
      if (found === 'vanished') vanished++;
      yield;
    }
    return { active, vanished };
  }

  /** All of it at once: for whoever must not be interrupted. */
  scanNow(): Scan {
    const scan = this.scan();
    for (;;) {
      const step = scan.next();
      if (step.done === true) return step.value;
    }
  }

  *#lookForNewcomers(listed: ReadonlySet<number>): Generator<void, void> {
    let newcomers: Newcomer[] = [];
    for (const pid of listed) {
      if (this.#strangers.has(pid) || this.#tree.get(pid) !== undefined) continue;
      const stat = this.#reader.stat(pid);
      if (stat !== undefined && stat.start !== this.#ended.get(pid))
        newcomers.push({ stat, markers: this.#tree.readsMarkers ? this.#reader.markers(pid) : undefined });
      yield;
    }
    newcomers.sort((a, b) => a.stat.start - b.stat.start || a.stat.pid - b.stat.pid);
    for (let before = -1; newcomers.length !== before; ) {
      before = newcomers.length;
      // Not always parents first: pids wrap, and start times are coarse.
      newcomers = newcomers.filter((newcomer) => !this.#admit(newcomer));
      yield;
    }
    for (const { stat } of newcomers) {
      // With a parent that is not there it is about to get another one: look again.
      if (stat.parent === 0 || listed.has(stat.parent)) this.#strangers.add(stat);
    }
    for (const pid of this.#strangers.next(RECHECKED_STRANGERS)) {
      if (this.#reader.stat(pid)?.start !== this.#strangers.startOf(pid)) this.#strangers.delete(pid);
    }
  }

  #admit({ stat, markers }: Newcomer): boolean {
    const bare: SeenProcess = { ...idOf(stat), ...(markers !== undefined && { markers }) };
    if (!this.#tree.belongs(bare)) return false;
    if (isRunning(stat)) {
      this.#tree.seen(this.#whole(stat, true));
    } else if (this.#tree.seen(bare) !== undefined) {
      // It lived and died between two scans. Its program and its files cannot be told any more.
      this.#tree.exited(stat, this.#endOf(stat));
    }
    return true;
  }

  #lookAtMember(pid: number, listed: boolean): 'active' | 'idle' | 'ended' | 'vanished' {
    const last = this.#looks.get(pid);
    // Before anything else is read: what it does from here on shows next time.
    const ranMark = listed && last !== undefined ? this.#reader.ranMark(pid, last.threads) : undefined;
    if (ranMark !== undefined && ranMark === last?.ranMark) return 'idle';
    const stat = this.#reader.stat(pid);
    if (stat === undefined) {
      this.#tree.exited({ pid });
      return listed ? 'vanished' : 'ended';
    }
    if (!isRunning(stat)) {
      this.#tree.exited(stat, this.#endOf(stat));
      return 'ended';
    }
    const isNew = last?.start !== stat.start;
    if (this.#tree.seen(this.#whole(stat, isNew)) === undefined) return 'ended';
    this.#looks.set(pid, { start: stat.start, ranMark, threads: stat.threads });
    return 'active';
  }

  #whole(stat: ProcessStat, isNew: boolean): SeenProcess {
    const { pid } = stat;
    const known = this.#tree.get(pid);
    let exe = this.#reader.exe(pid);
    let argv = this.#reader.argv(pid);
    const after = this.#reader.exe(pid);
    if (after !== exe) {
      // It began another program between the two.
      exe = after;
      argv = this.#reader.argv(pid);
    }
    const cwd = this.#reader.cwd(pid);
    const image = {
      ...idOf(stat),
      ...(exe !== undefined && { exe }),
      // None: between two programs.
      ...(argv !== undefined && argv.length > 0 && { argv }),
      ...(cwd !== undefined && { cwd }),
    };
    const markers = isNew || known === undefined || isOtherImage(known, image) ? this.#reader.markers(pid) : undefined;
    return { ...image, ...(markers !== undefined && { markers }) };
  }

  /** To those who may not know how a process ended, the kernel says 0. */
  #endOf({ pid, exitStatus }: ProcessStat): ProcessEnd {
    const us = process.geteuid?.();
    if (exitStatus === 0 && us !== 0 && this.#reader.owner(pid) !== us) return {};
    const { kind: _, ...end } = exitOf(exitStatus);
    return end;
  }
}

interface Newcomer {
  readonly stat: ProcessStat;
  readonly markers: SeenProcess['markers'];
}

function idOf({ pid, start, parent }: ProcessStat): Pick<SeenProcess, 'pid' | 'start' | 'parent'> {
  return { pid, start, parent };
}
