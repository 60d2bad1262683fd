/**
 * Labels of sessions: that decisions were made on those that entries before them give, and that the index in the entries
 * (`label-index.ts`) leads to all of them. Older versions recorded neither, and nothing is asked of what they wrote.
 *
 * Per session that has labels, one record.
 */
import type { EntryRef } from '../call.ts';
import type { Labelled } from '../ledger/entry.ts';
import { findLabels, type LabelledEntry, labelledEntry, labelsGiven, sessionKey, union } from '../ledger/label-index.ts';
import type { Told } from './judged.ts';
import type { Placed } from './placed.ts';
import type { Recalled } from './recall.ts';
import type { Findings } from './report.ts';
import { printable } from './shapes.ts';

const NONE = '[]';

interface Known {
  /** Canonical JSON of the list: comparing texts needs no parsing. */
  readonly labels: string;
  /** False where it may have had more before the first entry that was read. */
  readonly isWhole: boolean;
}

type Recall = (of: number) => Recalled | undefined;

export class Labels {
  private readonly findings: Findings;
  private readonly recall: Recall | undefined;
  private readonly sessions = new Map<string, Known>();
  /** Entries of the index that can still be reached: of each session the newest. */
  private readonly index = new Map<number, LabelledEntry>();
  private readonly places = new Map<string, number>();
  /** Positions that were recalled: at most as many as entries name. */
  private readonly tried = new Set<number>();
  /** Writers that record what decisions saw. */
  private readonly recording = new Set<string>();
  /** The newest entry of the index. */
  private last: Placed | undefined;
  /** Where the index begins is known: everything was read, or an entry named it. */
  private isFound: boolean;
  /** Every entry that gave a label is in the index. */
  private isIndexed = true;

  /** @param recall - where only what follows a checkpoint is read: an entry from before. */
  constructor(findings: Findings, recall: Recall | undefined) {
    this.findings = findings;
    this.recall = recall;
    this.isFound = recall === undefined;
  }

  /** What a waymark must name; undefined: nothing can be compared. */
  get newest(): { readonly placed: Placed | undefined; readonly isIndexed: boolean } | undefined {
    return this.isFound ? { placed: this.last, isIndexed: this.isIndexed } : undefined;
  }

  /** A waymark, before it is compared. */
  named(newest: readonly EntryRef[] | undefined, writer: string): void {
    if (newest === undefined) return;
    this.recording.add(writer);
    if (this.isFound) return;
    const [ref] = newest;
    const recalled = ref === undefined ? undefined : this.recall?.(ref.of);
    if (ref !== undefined && recalled === undefined) return;
    this.last = recalled?.placed;
    this.isFound = true;
    if (recalled !== undefined) this.note(recalled);
  }

  /** @param gaps - labels may have been given by what could not be read. */
  take(placed: Placed, entry: Told, gaps: boolean): void {
    if (entry.kind !== 'decision' && entry.kind !== 'outcome' && entry.kind !== 'session') return;
    if (entry.kind === 'decision') this.decided(placed, entry, gaps);
    const given = givenBy(entry);
    const labelled = 'labelled' in entry ? entry.labelled : undefined;
    if (labelled !== undefined) this.recording.add(entry.writer);
    if (given !== NONE) this.give(placed, entry.session, given, labelled, gaps);
    else if (labelled !== undefined) this.lie(placed, 'it gives its session no label');
  }

  private decided(placed: Placed, entry: Extract<Told, { readonly kind: 'decision' }>, gaps: boolean): void {
    const { session, writer } = entry;
    const recorded = 'tool' in entry ? textOf(entry.session_labels) : entry.seen;
    if (recorded !== undefined) this.recording.add(writer);
    // Absent says that there were none, by those who would have said so.
    const seen = recorded ?? (this.recording.has(writer) ? NONE : undefined);
    if (seen === undefined) return;
    const known = this.of(session);
    const fits = known.isWhole && !gaps ? seen === known.labels : includes(seen, known.labels);
    if (!fits)
      this.findings.problem(
        placed.number,
        'LABELS_MISMATCH',
        `the decision was made on ${told(seen)}; entries before it give session ${printable(session)} ${told(known.labels)}`,
      );
    else if (!known.isWhole) this.sessions.set(session, { labels: seen, isWhole: true });
  }

  private give(placed: Placed, session: string, given: string, labelled: Labelled | undefined, gaps: boolean): void {
    const { labels: has, isWhole } = this.of(session);
    const all = has === given ? has : join(has, given);
    if (all !== has) this.sessions.set(session, { labels: all, isWhole });
    if (labelled === undefined) {
      // Of a session that may have had it before, nobody can tell.
      if (all !== has && isWhole) this.isIndexed = false;
      return;
    }
    if (gaps || !isWhole) {
      if (!includes(textOf(labelled.all) ?? NONE, all)) this.lie(placed, `it names ${told(labelled.all)}, its session has ${told(all)}`);
      else if (!gaps) this.sessions.set(session, { labels: textOf(labelled.all) ?? NONE, isWhole: true });
    } else if (textOf(labelled.all) !== all) this.lie(placed, `it names ${told(labelled.all)}, its session has ${told(all)}`);
    const expected = this.isFound && !gaps ? this.find(session) : undefined;
    if (expected !== undefined && !this.isIndexed) this.lie(placed, 'labels were given before it by entries that are not in the index');
    else if (expected !== undefined && JSON.stringify(expected.others) !== JSON.stringify(labelled.others))
      this.lie(placed, 'it does not lead to the newest entries that gave other sessions labels');
    this.place(placed.index, session, { key: sessionKey(session), all: JSON.parse(all), others: expected?.others ?? labelled.others });
    this.last = placed;
    this.isFound = true;
  }

  private of(session: string): Known {
    const known = this.sessions.get(session);
    if (known !== undefined) return known;
    if (this.recall === undefined) return { labels: NONE, isWhole: true };
    const found = this.isFound && this.isIndexed ? this.find(session) : undefined;
    if (found === undefined) return { labels: NONE, isWhole: false };
    const whole = { labels: JSON.stringify(found.all), isWhole: true };
    this.sessions.set(session, whole);
    return whole;
  }

  private find(session: string): ReturnType<typeof findLabels> {
    return findLabels(session, this.last?.index, (of) => this.index.get(of) ?? this.recalled(of));
  }

  private recalled(of: number): LabelledEntry | undefined {
    if (this.tried.has(of)) return undefined;
    this.tried.add(of);
    const recalled = this.recall?.(of);
    return recalled === undefined ? undefined : this.note(recalled);
  }

  private note({ placed, content }: Recalled): LabelledEntry | undefined {
    const entry = content.is === 'told' && 'id' in content.entry ? content.entry : undefined;
    const found = entry === undefined || labelsGiven(entry).length === 0 ? undefined : labelledEntry(entry);
    if (found !== undefined) this.index.set(placed.index, found);
    return found;
  }

  private place(of: number, session: string, entry: LabelledEntry): void {
    const before = this.places.get(session);
    if (before !== undefined) this.index.delete(before);
    this.places.set(session, of);
    this.index.set(of, entry);
  }

  private lie(placed: Placed, what: string): void {
    this.findings.problem(placed.number, 'LABEL_INDEX_MISMATCH', `what the entry says of the labels of sessions does not follow: ${what}`);
  }
}

function givenBy(entry: Extract<Told, { readonly kind: 'decision' | 'outcome' | 'session' }>): string {
  if ('id' in entry) return textOf(labelsGiven(entry)) ?? NONE;
  return (entry.kind === 'decision' && entry.effect !== 'allow' ? undefined : entry.given) ?? NONE;
}

function textOf(labels: readonly string[] | undefined): string | undefined {
  return labels === undefined ? undefined : JSON.stringify(labels);
}

function includes(some: string, others: string): boolean {
  if (some === others || others === NONE) return true;
  const labels = new Set<string>(JSON.parse(some));
  return (JSON.parse(others) as readonly string[]).every((label) => labels.has(label));
}

function join(some: string, more: string): string {
  return JSON.stringify(union(JSON.parse(some), JSON.parse(more)));
}

function told(labels: string | readonly string[]): string {
  const list: readonly string[] = typeof labels === 'string' ? JSON.parse(labels) : labels;
  return list.length === 0 ? 'no label' : printable(list.join(', '));
}
