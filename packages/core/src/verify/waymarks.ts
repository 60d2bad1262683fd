/** Waymarks: that they name the newest entries before them. Whoever opens a ledger there must find every halt, pin and label. */
import type { EntryRef } from '../call.ts';
import type { Newest } from '../ledger/entry.ts';
import { names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';

/** What stands before the waymark, as it was read. */
export interface Before {
  readonly halt: Placed | undefined;
  readonly pin: Placed | undefined;
  /** Undefined: nobody can tell. */
  readonly labelled: { readonly placed: Placed | undefined; readonly isIndexed: boolean } | undefined;
}

export class Waymarks {
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;

  constructor(findings: Findings, suspect: (index: number) => void) {
    this.findings = findings;
    this.suspect = suspect;
  }

  /** @param gaps - what it names may be among what could not be read. */
  take(placed: Placed, newest: Newest, before: Before, gaps: boolean): void {
    this.compare(placed, 'halt, or end of one,', newest.halt, before.halt, gaps);
    this.compare(placed, 'pin entry', newest.pin, before.pin, gaps);
    if (newest.labelled === undefined || before.labelled === undefined) return;
    this.compare(placed, 'entry that gave a label', newest.labelled[0], before.labelled.placed, gaps);
    if (before.labelled.isIndexed || gaps) return;
    const message = 'the entry leads to an index of labels, and some before it are not in there';
    this.findings.problem(placed.number, 'WAYMARK_MISMATCH', message);
  }

  private compare(placed: Placed, what: string, ref: EntryRef | undefined, newest: Placed | undefined, gaps: boolean): void {
    if (ref?.of === newest?.index) {
      if (ref === undefined || newest === undefined || names(ref, newest)) return;
      this.findings.problem(placed.number, 'REFERENCE_MISMATCH', `the entry it names, entry ${ref.of + 1}, has another hash or place`);
      this.suspect(ref.of);
      return;
    }
    if (gaps) return;
    const expected = newest === undefined ? 'there is none before it' : `it is entry ${newest.number}`;
    this.findings.problem(placed.number, 'WAYMARK_MISMATCH', `the entry does not name the newest ${what} before it: ${expected}`);
  }
}
