/**
 * Freezes with signals: any user can, everywhere. It scans and stops until nothing new is found, and loses to processes that start
 * others faster than it scans.
 */
import type { ProcessId } from '../activity.ts';
import { BaseFreezer, type FreezerParts, stopsOf } from './base-freezer.ts';
import type { StuckProcess } from './freezer.ts';
import type { ProcessStatus } from './process-table.ts';
import { Stops } from './stops.ts';

export class SignalFreezer extends BaseFreezer {
  readonly grade = 'signal';
  readonly #stops: Stops;

  constructor(parts: FreezerParts) {
    super(parts);
    this.#stops = new Stops(parts.signals, stopsOf(parts));
  }

  protected async stop(): Promise<{ processes: number; running: readonly StuckProcess[]; members: readonly ProcessId[] }> {
    const { members } = this.parts;
    const near = await this.#stops.chase(() => members.scan());
    // Those that only their environment gives away.
    const marked = members.marked(near.members);
    // Known from then on, and what they started is found by descent.
    if (marked.length > 0) members.scan(marked);
    const { members: found, running } = marked.length > 0 ? await this.#stops.chase(() => members.scan()) : near;
    return { processes: found.length, running, members: found };
  }

  protected stopAgain(): readonly StuckProcess[] {
    return this.#stops.again(this.parts.members.scan());
  }

  protected letGo(): void {
    this.#stops.release();
  }

  protected endAtOnce(): void {}

  protected scan(): readonly ProcessStatus[] {
    return this.parts.members.scan();
  }

  protected async release(): Promise<void> {}
}
