/** What lies beside an entry against what the entry commits to. */
import type { EntryRef, Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import { checkOpening } from '../ledger/commitment.ts';
import { Bytes } from './bytes.ts';
import type { Findings } from './report.ts';
import { printable } from './shapes.ts';
import type { SourceRow } from './source.ts';

const COMMIT = '_commit';
const MISSING = 1;

type Sections = { readonly [section: string]: Json };

export class Openings {
  private readonly findings: Findings;
  /** Entries that commit to something nobody shows. */
  private readonly state = new Bytes();
  /** How many of them no `forget` entry names. */
  missing = 0;
  forgotten = 0;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /** @returns the clear values that were shown and match, for whoever compares them further. */
  take(row: SourceRow, body: Sections): Sections {
    const commits = commitsOf(body);
    const names = Object.keys(commits);
    if (row.opening === undefined) {
      if (names.length > 0) this.withhold(row.seq);
      return {};
    }
    const sections = readSections(row.opening.sections);
    const { key } = row.opening;
    const entry = row.seq + 1;
    if (sections === undefined || key === undefined) {
      this.findings.problem(entry, 'OPENING_INVALID', 'what lies beside the entry is not an opening: a key and canonical JSON by section');
      return {};
    }
    const wrong = checkOpening(commits, { key, sections });
    for (const section of wrong) {
      const why = Object.hasOwn(commits, section) ? 'does not match its commitment' : 'is not committed to';
      this.findings.problem(entry, 'OPENING_MISMATCH', `the ${printable(section)} shown beside the entry ${why}`);
    }
    if (names.some((name) => !Object.hasOwn(sections, name))) this.withhold(row.seq);
    return wrong.length === 0 ? sections : {};
  }

  /** A `forget` entry says why an opening is gone. */
  forget(ref: EntryRef): void {
    if (this.state.get(ref.of) !== MISSING) return;
    this.state.set(ref.of, 0);
    this.missing--;
    this.forgotten++;
  }

  finish(size: number): void {
    if (this.missing === 0) return;
    let first = 0;
    while (first < size && this.state.get(first) !== MISSING) first++;
    const what = `${this.missing} entries commit to clear text that is not here and that no forget entry names`;
    this.findings.warn(first + 1, 'OPENING_MISSING', `${what}, the first is entry ${first + 1}: withheld or erased`);
  }

  private withhold(seq: number): void {
    this.state.set(seq, MISSING);
    this.missing++;
  }
}

function commitsOf(body: Sections): { readonly [section: string]: string | undefined } {
  const commits: [string, string][] = [];
  for (const [name, value] of Object.entries(body)) {
    if (name.endsWith(COMMIT) && typeof value === 'string') commits.push([name.slice(0, -COMMIT.length), value]);
  }
  return Object.fromEntries(commits);
}

/** Canonical, so that no duplicate key shows one value to us and another to somebody else. */
function readSections(text: string | undefined): Sections | undefined {
  if (text === undefined) return undefined;
  try {
    const value = parseCanonical(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Sections) : undefined;
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}
