/** What verification found, and what it exits with. */
import type { VerifyCode } from './codes.ts';

/** One finding. */
export interface VerifyProblem {
  /** Number of the entry, from 1; 0 = the ledger as a whole. */
  readonly entry: number;
  /** One of `VERIFY_CODES`; a later version may have more. */
  readonly code: string;
  readonly message: string;
}

export interface VerifyCounts {
  readonly decisions: number;
  readonly allowed: number;
  readonly refused: number;
  readonly asked: number;
  readonly approvals: number;
  readonly outcomes: number;
  readonly sessions: number;
  readonly policies: number;
  readonly recoveries: number;
  /** Everything else: keys, notes, and kinds this version does not check. */
  readonly others: number;
}

export interface VerifyReport {
  /**
   * `invalid`: something contradicts. `unproven`: nothing does, but something asked for is not shown, or there is no
   * entry. `valid` without keys says nothing about who wrote it: see `authorship` and `end`.
   */
  readonly status: 'valid' | 'invalid' | 'unproven' | 'unreadable';
  readonly format: string;
  readonly origin?: string;
  readonly entries: number;
  /**
   * Entries that were not read again: the first `size`, proven to be the start of this ledger by the checkpoint given.
   * `counts`, `open_decisions`, `forgotten`, `from` and `to` are then of the others; what these lean on before that start
   * was looked up only where an entry names another (see docs/verify.md).
   */
  readonly since?: { readonly size: number; readonly root: string };
  /** Root recomputed over all entries, 64 hex digits; absent when not all could be read. */
  readonly root?: string;
  /** Hash of the last entry, 64 hex digits, of a ledger chained by hashes: keep it elsewhere and give it as `expectHead`. */
  readonly head?: string;
  /** Whether the entries are those the newest checkpoint covers. */
  readonly integrity: 'intact' | 'broken' | 'unknown';
  /** Whether a key given by the caller signed these entries. */
  readonly authorship: 'proven' | 'unchecked' | 'unsigned' | 'failed';
  /** Whether nothing was cut off, which only a head from elsewhere can show. */
  readonly end: 'proven' | 'unproven' | 'contradicted';
  /**
   * Entries that are signed by a key that was given, when these are not all: the rest is signed by another key that the
   * ledger announces, or not yet.
   */
  readonly signed_to?: number;
  /** Entries at the end that no signature covers, in a ledger that is signed on an interval. */
  readonly unsigned_tail?: number;
  /** Entries that had no signature when another writer went on: the one that covers them now does not show who wrote them. */
  readonly adopted?: number;
  /** Witnesses, of those whose keys were given, that cosigned a head of this log: the newest of each. */
  readonly witnesses?: readonly {
    readonly name: string;
    readonly vkey: string;
    /** Entries the head covers. */
    readonly size: number;
    /** When, as the witness says; ISO 8601 UTC. */
    readonly at: string;
  }[];
  /** Timestamp authorities whose certificates were given, or are vouched for by them: the newest timestamp of each. */
  readonly timestamps?: readonly {
    /** Subject of the certificate that signed it. */
    readonly tsa: string;
    /** Entries that existed then. */
    readonly size: number;
    /** The time it states, and how far that may be off; ISO 8601 UTC. */
    readonly before: string;
  }[];
  /** Checkpoints with timestamps that nobody looked at, since no certificate was given. Absent = none. */
  readonly timestamps_unchecked?: number;
  /** Allowed calls without an outcome: running, or their process died. */
  readonly open_decisions: number;
  readonly counts: VerifyCounts;
  /** Entries at the end of a mirror that no checkpoint covers yet: nothing shows who wrote them. Absent = none. */
  readonly not_covered?: number;
  /** Entries whose clear text was erased, on record. */
  readonly forgotten: number;
  readonly warnings: readonly VerifyProblem[];
  /** What is wrong, changed entries first; at most 100. */
  readonly problems: readonly VerifyProblem[];
  readonly problem_count: number;
  /** Time of the first and the last entry, ISO 8601 UTC. */
  readonly from?: string;
  readonly to?: string;
}

/** 0 what was asked is proven, 1 invalid, 3 readable but not proven, 4 unreadable. */
export function exitCodeOf(report: Pick<VerifyReport, 'status'>): 0 | 1 | 3 | 4 {
  switch (report.status) {
    case 'valid':
      return 0;
    case 'invalid':
      return 1;
    case 'unproven':
      return 3;
    case 'unreadable':
      return 4;
  }
}

export const MAX_PROBLEMS = 100;

/** Collects findings in bounded space. */
export class Findings {
  private readonly changes: VerifyProblem[] = [];
  private readonly rest: VerifyProblem[] = [];
  private readonly said: VerifyProblem[] = [];
  private problemCount = 0;
  private warningCount = 0;

  get count(): number {
    return this.problemCount;
  }

  get hasChanges(): boolean {
    return this.changes.length > 0;
  }

  problem(entry: number, code: VerifyCode, message: string): void {
    this.problemCount++;
    if (this.rest.length < MAX_PROBLEMS) this.rest.push({ entry, code, message });
  }

  /** A problem of the bytes themselves: told before all others, since they may follow from it. */
  change(entry: number, code: VerifyCode, message: string): void {
    this.problemCount++;
    if (this.changes.length < MAX_PROBLEMS) this.changes.push({ entry, code, message });
  }

  /** Problems like one that was just told, too many to list. */
  uncounted(problems: number): void {
    this.problemCount += problems;
  }

  warn(entry: number, code: VerifyCode, message: string): void {
    this.warningCount++;
    if (this.said.length < MAX_PROBLEMS) this.said.push({ entry, code, message });
  }

  problems(): readonly VerifyProblem[] {
    return [...inOrder(this.changes), ...inOrder(this.rest)].slice(0, MAX_PROBLEMS);
  }

  warnings(): readonly VerifyProblem[] {
    const left = this.warningCount - this.said.length;
    const more = { entry: 0, code: 'WARNINGS_OMITTED', message: `${left} more warnings are not listed` };
    return left === 0 ? this.said : [...this.said, more];
  }
}

/** By entry; what concerns the whole ledger comes after what names a place. */
function inOrder(problems: readonly VerifyProblem[]): readonly VerifyProblem[] {
  const place = ({ entry }: VerifyProblem): number => (entry === 0 ? Number.POSITIVE_INFINITY : entry);
  return problems.toSorted((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
}
