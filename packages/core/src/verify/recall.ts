/** Old entries that new ones name, when only what follows a checkpoint is read: looked up once, and proven. */
import type { Judged } from './judged.ts';
import type { Placed } from './placed.ts';
import type { Findings } from './report.ts';
import type { Start } from './since.ts';

export interface Recalled {
  readonly placed: Placed;
  readonly content: Judged['content'];
}

export class Recall {
  private readonly start: Start;
  private readonly findings: Findings;
  /** At most as many as new entries name. */
  private readonly seen = new Set<number>();

  constructor(start: Start, findings: Findings) {
    this.start = start;
    this.findings = findings;
  }

  /** The entry at that position, the first time it is asked for and if it is an old one. */
  once(index: number): Recalled | undefined {
    if (index >= this.start.size || this.seen.has(index)) return undefined;
    this.seen.add(index);
    return this.find(index);
  }

  /** The same, however often it was asked for. */
  at(index: number): Recalled | undefined {
    return index >= this.start.size ? undefined : this.find(index);
  }

  last(): Recalled | undefined {
    return this.find(this.start.size - 1);
  }

  private find(index: number): Recalled | undefined {
    const row = this.start.lookUp(index);
    const number = index + 1;
    if (row === undefined) {
      const message = 'the body was changed: it is not the entry that the checkpoint given covers';
      this.findings.change(number, 'ENTRY_CHANGED', message);
      return { placed: { index, number, leaf: '' }, content: { is: 'unread' } };
    }
    return { placed: { index, number, leaf: row.stored ?? '' }, content: row.content };
  }
}
