/** What lies beside an entry against what the entry commits to. */
import type { EntryRef, Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { parseCanonical } from '../ledger/canonical.ts';
import { checkOpening } from '../ledger/commitment.ts';
import { Bytes } from './bytes.ts';
import { type Found, NOTHING_FOUND } from './judged.ts';
import type { Commits } from './plain.ts';
import { type Findings, MAX_PROBLEMS } from './report.ts';
import { printable } from './shapes.ts';
import type { SourceRow } from './source.ts';

const COMMIT = '_commit';
/** As a body that commits to anything reads. In a string the quotes would be escaped. */
export const COMMITMENT: string = `${COMMIT}":"`;
const MISSING = 1;

type Sections = { readonly [section: string]: Json };

export interface JudgedOpening {
  readonly found: readonly Found[];
  /** Problems beyond those listed. */
  readonly more: number;
  /** The entry commits to something that is not shown. */
  readonly withheld: boolean;
  /** The clear values that were shown, when all of them match. */
  readonly sections: Sections;
}

const NO_SECTIONS: Sections = {};
const NOTHING_SHOWN: JudgedOpening = { found: NOTHING_FOUND, more: 0, withheld: true, sections: NO_SECTIONS };
const NOTHING_TO_SHOW: JudgedOpening = { ...NOTHING_SHOWN, withheld: false };

export function judgeOpening({ opening }: Pick<SourceRow, 'opening'>, commits: Commits): JudgedOpening {
  if (opening === undefined) return commits.length > 0 ? NOTHING_SHOWN : NOTHING_TO_SHOW;
  const sections = readSections(opening.sections);
  const { key } = opening;
  if (sections === undefined || key === undefined) {
    const message = 'what lies beside the entry is not an opening: a key and canonical JSON by section';
    return { ...NOTHING_TO_SHOW, found: [{ sort: 'problem', code: 'OPENING_INVALID', message }] };
  }
  const committed = Object.fromEntries(commits);
  const wrong = checkOpening(committed, { key, sections });
  const found = wrong.slice(0, MAX_PROBLEMS).map((section): Found => {
    const why = Object.hasOwn(committed, section) ? 'does not match its commitment' : 'is not committed to';
    return { sort: 'problem', code: 'OPENING_MISMATCH', message: `the ${printable(section)} shown beside the entry ${why}` };
  });
  return {
    found,
    more: wrong.length - found.length,
    withheld: commits.some(([name]) => !Object.hasOwn(sections, name)),
    sections: wrong.length === 0 ? sections : NO_SECTIONS,
  };
}

export function commitsOf(body: Sections): Commits {
  const commits: [string, string][] = [];
  for (const [name, value] of Object.entries(body)) {
    if (name.endsWith(COMMIT) && typeof value === 'string') commits.push([name.slice(0, -COMMIT.length), value]);
  }
  return commits;
}

/** Which entries commit to something that nobody shows, and why. */
export class Openings {
  private readonly findings: Findings;
  private readonly state = new Bytes();
  /** How many of them no `forget` entry names. */
  missing = 0;
  forgotten = 0;
  /** Those a `forget` entry names whose clear text is there. */
  private shown = 0;
  private firstShown = Infinity;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  withhold(seq: number): void {
    this.state.set(seq, MISSING);
    this.missing++;
  }

  /**
   * A `forget` entry says why an opening is gone. To be called once for each.
   *
   * @param commits - that entry is read here, and commits to something.
   */
  forget({ of }: EntryRef, commits: boolean): void {
    if (this.state.get(of) === MISSING) {
      this.state.set(of, 0);
      this.missing--;
      this.forgotten++;
    } else if (commits) {
      this.shown++;
      this.firstShown = Math.min(this.firstShown, of);
    }
  }

  finish(size: number): void {
    if (this.shown > 0) {
      const what = `the clear text of ${this.shown} entries is here though a forget entry says that it was erased`;
      const why = 'another was meant, or it was put back';
      this.findings.warn(this.firstShown + 1, 'FORGET_UNDONE', `${what}, the first is entry ${this.firstShown + 1}: ${why}`);
    }
    if (this.missing === 0) return;
    let first = 0;
    while (first < size && this.state.get(first) !== MISSING) first++;
    const what = `${this.missing} entries commit to clear text that is not here and that no forget entry names`;
    this.findings.warn(first + 1, 'OPENING_MISSING', `${what}, the first is entry ${first + 1}: withheld or erased`);
  }
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
