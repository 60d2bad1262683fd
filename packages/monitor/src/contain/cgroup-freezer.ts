/**
 * Freezes with a control group: nothing in it runs or starts anything from one moment on. What cannot be moved into it is stopped
 * by signals, and then the grade says so.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessId } from '../activity.ts';
import { BaseFreezer, type FreezerParts, stopsOf } from './base-freezer.ts';
import { type ControlGroup, moveInto } from './control-group.ts';
import type { FreezeGrade, StuckProcess } from './freezer.ts';
import type { ProcessStatus } from './process-table.ts';
import { keyOf, Stops } from './stops.ts';

/** Processes that are being started while others are moved are found by a later round. */
const MAX_ROUNDS = 100;
/** The kernel waits for those that are where no signal reaches them. So do we, for so long. */
const MAX_WAIT_MS = 2_000;
const SHORT_WAIT_MS = 20;
const EAGER_LOOKS = 50;
/** Remembered as not to be moved. Beyond, they are tried anew each time. */
const MAX_FIXED = 65_536;

export class CgroupFreezer extends BaseFreezer {
  readonly #group: ControlGroup;
  readonly #stops: Stops;
  readonly #fixed = new Set<string>();
  /** Where they came from, by process. */
  readonly #origins = new Map<string, { readonly process: ProcessId; readonly folder: string }>();
  readonly #originOf: (pid: number) => string | undefined;
  #isHeld = false;
  #isLost = false;

  /** @param originOf - the folder of the group a process is in. */
  constructor(parts: FreezerParts, group: ControlGroup, originOf: (pid: number) => string | undefined) {
    super(parts);
    this.#group = group;
    this.#originOf = originOf;
    this.#stops = new Stops(parts.signals, stopsOf(parts));
  }

  get grade(): FreezeGrade {
    return this.#isLost || this.#fixed.size > 0 ? 'signal' : 'cgroup';
  }

  /** Moves in all there are: what they start from now on is born in it. @returns how many are in it. */
  enrol(): number {
    this.#moveIn();
    return this.#group.pids().length;
  }

  protected async stop(): Promise<{ processes: number; running: readonly StuckProcess[]; members: readonly ProcessId[] }> {
    this.#isHeld = true;
    // Frozen first: whoever is moved in from here on stops on arrival.
    this.#setFrozen(true);
    // Mostly still within a few milliseconds: who is seen from then on is all there will be.
    const wasStill = this.#isLost || (await this.#frozen(SHORT_WAIT_MS));
    let members = this.#withMarked(this.#moveIn().members);
    let outside: readonly StuckProcess[] = [];
    if (this.#outside(members).length > 0) {
      outside = (await this.#stops.chase(() => this.#outside(this.scan()))).running;
      members = this.scan();
    }
    const isStill = this.#isLost || (await this.#frozen(MAX_WAIT_MS));
    if (!wasStill) members = this.scan();
    const running = isStill ? outside : [...outside, ...this.#moving(members)];
    return { processes: members.length, running, members };
  }

  /** And those that only their environment gives away, moved in. */
  #withMarked(members: readonly ProcessStatus[]): readonly ProcessStatus[] {
    const marked = this.parts.members.marked(members);
    if (marked.length === 0) return members;
    return this.#moveIn([...members, ...marked]).members;
  }

  protected stopAgain(): readonly StuckProcess[] {
    const wasStill = this.#isLost || this.#group.isFrozen();
    const moving = wasStill ? [] : this.#moving(this.scan());
    this.#setFrozen(true);
    const { moved } = this.#moveIn();
    const escaped = moved.map(({ pid, start }): StuckProcess => ({ pid, start, why: 'resists' }));
    return [...moving, ...escaped, ...this.#stops.again(this.#outside(this.scan()))];
  }

  protected letGo(): void {
    this.#isHeld = false;
    this.#setFrozen(false);
    this.#stops.release();
  }

  protected endAtOnce(): void {
    if (!this.#isLost && this.#freeSpared()) this.#group.kill();
  }

  protected scan(): readonly ProcessStatus[] {
    return this.parts.members.scan(this.#inside());
  }

  /** What runs goes back to where it came from, or one group up. What is frozen, and the group with it, stays. */
  protected async release(): Promise<void> {
    if (!this.#isHeld) {
      for (const process of this.#inside()) moveInto(this.#origins.get(keyOf(process))?.folder ?? this.#above(), process.pid);
    }
    // A group takes a moment to see that the last of it has ended.
    for (let look = 0; look < EAGER_LOOKS && !this.#group.remove() && this.#group.pids().length === 0; look++) await sleep(1);
  }

  #inside(): readonly ProcessStatus[] {
    return this.#group.pids().flatMap((pid) => this.parts.table.read(pid) ?? []);
  }

  #outside(members: readonly ProcessStatus[]): readonly ProcessStatus[] {
    if (this.#isLost) return members;
    const inside = new Set(this.#group.pids());
    return members.filter(({ pid }) => !inside.has(pid));
  }

  /** @returns whom it moved, and all there are. */
  #moveIn(first: readonly ProcessStatus[] = this.scan()): {
    readonly moved: readonly ProcessStatus[];
    readonly members: readonly ProcessStatus[];
  } {
    const moved: ProcessStatus[] = [];
    let members = first;
    const there = new Set(first.map(keyOf));
    for (const key of this.#fixed) if (!there.has(key)) this.#fixed.delete(key);
    for (let round = 0; round < MAX_ROUNDS && !this.#isLost; round++) {
      const outside = this.#outside(members).filter((process) => !this.#fixed.has(keyOf(process)) && !this.parts.signals.isSpared(process));
      if (outside.length === 0) break;
      for (const process of outside) if (this.#move(process)) moved.push(process);
      members = this.scan();
    }
    return { moved, members };
  }

  #move(process: ProcessStatus): boolean {
    const { table } = this.parts;
    if (table.read(process.pid)?.start !== process.start) return false;
    const folder = this.#originOf(process.pid);
    const outcome = this.#group.move(process.pid);
    if (outcome === 'gone') return false;
    if (outcome !== 'moved') {
      if (this.#fixed.size < MAX_FIXED) this.#fixed.add(keyOf(process));
      return false;
    }
    const now = table.read(process.pid);
    if (now !== undefined && now.start !== process.start) {
      // Another process got the pid in between: a stranger goes back to where it was.
      moveInto(this.#originOfStranger(now) ?? this.#above(), now.pid);
      return false;
    }
    if (folder !== undefined && folder !== this.#above() && this.#origins.size < MAX_FIXED)
      this.#origins.set(keyOf(process), { process, folder });
    return true;
  }

  /** Those of its parent are the best guess there is. */
  #originOfStranger({ parent }: ProcessStatus): string | undefined {
    return this.#originOf(parent);
  }

  #above(): string {
    return join(this.#group.folder, '..');
  }

  /** A group that cannot be written any more is of no use: signals do what it did. */
  #setFrozen(isFrozen: boolean): void {
    if (this.#isLost) return;
    try {
      if (isFrozen && !this.#freeSpared()) throw new Error('a process that must not be stopped is in the group');
      this.#group.freeze(isFrozen);
    } catch {
      this.#isLost = true;
    }
  }

  /** Somebody may have put us, or what we descend from, into it: we would stop ourselves. @returns false when it stayed. */
  #freeSpared(): boolean {
    const { table, signals } = this.parts;
    return this.#group
      .pids()
      .filter((pid) => signals.maySpare(pid))
      .flatMap((pid) => table.read(pid) ?? [])
      .filter((process) => signals.isSpared(process))
      .every(({ pid }) => moveInto(this.#above(), pid) === 'moved');
  }

  async #frozen(most: number): Promise<boolean> {
    const until = performance.now() + most;
    for (let look = 0; !this.#group.isFrozen(); look++) {
      if (performance.now() >= until) return false;
      await (look < EAGER_LOOKS ? new Promise((resolve) => setImmediate(resolve)) : sleep(1));
    }
    return true;
  }

  /** One of its threads does, and the kernel keeps all others still. */
  #waitsForUs({ pid, start }: ProcessStatus): boolean {
    const { options, table } = this.parts;
    const { holds } = options;
    return holds !== undefined && table.threads(pid).some(({ thread }) => holds(thread, start));
  }

  /** The kernel does not say who keeps a group from being still: those where no signal reaches, or else any. */
  #moving(members: readonly ProcessStatus[]): readonly StuckProcess[] {
    const inside = new Set(this.#group.pids());
    const all = members.filter(({ pid }) => inside.has(pid));
    const there = all.filter((process) => !this.#waitsForUs(process));
    // It is those that wait for our own answer.
    if (there.length < all.length && !there.some(({ state }) => state === 'waiting')) return [];
    const waiting = there.filter(({ state }) => state === 'waiting');
    return waiting.length > 0
      ? waiting.map(({ pid, start }) => ({ pid, start, why: 'waiting' }))
      : there.map(({ pid, start }) => ({ pid, start, why: 'resists' }));
  }
}
