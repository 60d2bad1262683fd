/**
 * Verdicts and what followed from them: that each containment is about the verdict it names, that what goes on again was frozen
 * before, and that the answer it names is one, about this incident, and answers nothing else.
 */

import type { EntryRef } from '../call.ts';
import { isAfterHalt } from '../halt/after-halt.ts';
import type { VerifyCode } from './codes.ts';
import { type EntryOf, names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { printable } from './shapes.ts';

/** Verdicts, answers and incidents that are remembered, of each the newest. */
export const MAX_REMEMBERED = 100_000;

type Verdict = EntryOf<'verdict'>;
type Containment = EntryOf<'containment'>;

interface Answer {
  readonly placed: Placed;
  readonly isAllowed: boolean;
  /** Of the approval, or of the call where a grant answered in its place. */
  readonly id: string;
  /** From the arguments beside it; undefined where they are not shown. */
  readonly incident: string | undefined;
  /** What it let go on, or ended. */
  readonly used: Set<string>;
}

/** How what waits for an answer was held up: all of it, or as far as that could be done. */
interface IncidentState {
  heldUp: 'frozen' | 'failed' | undefined;
}

export class Incidents {
  private readonly findings: Findings;
  private readonly suspect: (index: number) => void;
  private readonly verdicts: Newest<number, { readonly placed: Placed; readonly entry: Pick<Verdict, 'agent' | 'incident' | 'enforced'> }>;
  /** Questions after a halt, by approval. */
  private readonly asks: Newest<string, { readonly incident: string | undefined }>;
  /** What allowed a question after a halt, and who said no to one. */
  private readonly answers: Newest<number, Answer>;
  private readonly incidents: Newest<string, IncidentState>;
  private unchecked = 0;

  constructor(findings: Findings, suspect: (index: number) => void, limit: number = MAX_REMEMBERED) {
    this.findings = findings;
    this.suspect = suspect;
    this.verdicts = new Newest(limit);
    this.asks = new Newest(limit);
    this.answers = new Newest(limit);
    this.incidents = new Newest(limit);
  }

  verdict(placed: Placed, entry: Verdict): void {
    const { level, enforced, mode, incident, call, candidates } = entry;
    const most = mode === 'audit_only' ? 'FLAG' : mode === 'flag_and_hold' && level === 'KILL' ? 'HALT' : level;
    const wrong =
      level !== 'FLAG' && incident === undefined
        ? `a verdict of ${level} belongs to no incident`
        : call !== undefined && candidates !== undefined
          ? 'it belongs to one call and to several'
          : enforced !== most
            ? `a verdict of ${level} in mode ${mode} is enforced as ${most}, not as ${enforced}`
            : undefined;
    if (wrong !== undefined) this.problem(placed, 'VERDICT_INCONSISTENT', wrong);
    this.recalled(placed, entry);
  }

  /** From before what is read: it was checked when that was. */
  recalled(placed: Placed, { agent, incident, enforced }: Verdict): void {
    this.verdicts.put(placed.index, { placed, entry: { agent, enforced, ...(incident !== undefined && { incident }) } });
  }

  /** @param incident - that it asks about, from the arguments beside it. */
  decision(placed: Placed, { tool, effect, approval, grant, edited, call }: EntryOf<'decision'>, incident: string | undefined): void {
    if (!isAfterHalt(tool)) return;
    // What a person made of the question is allowed on its own; the answer that proposed it says which approval that was.
    const proposed = edited === undefined ? undefined : this.answers.get(edited.answer.of)?.id;
    const id = approval?.id ?? proposed ?? (grant === undefined ? undefined : call);
    if (id === undefined) return;
    if (effect === 'require_approval') this.asks.put(id, { incident });
    if (effect === 'allow') this.answers.put(placed.index, { placed, isAllowed: true, id, incident, used: new Set() });
  }

  /** A person's answer, to whatever question. */
  answer(placed: Placed, { approval, answer }: EntryOf<'approval'>): void {
    const ask = this.asks.get(approval);
    if (ask === undefined || answer === 'approve') return;
    this.answers.put(placed.index, { placed, isAllowed: false, id: approval, incident: ask.incident, used: new Set() });
  }

  /**
   * @param missing.hasUnread - what it names may be among what could not be read.
   * @param missing.gaps - what stands before it may not have been read.
   */
  containment(placed: Placed, entry: Containment, { hasUnread, gaps }: { readonly hasUnread: boolean; readonly gaps: boolean }): void {
    if (entry.verdict !== undefined) this.compareWithVerdict(placed, entry, entry.verdict, hasUnread);
    const { event, approval, incident } = entry;
    const mustAllow = event === 'resumed' || event === 'overridden';
    const isActedOn = mustAllow || event === 'denied' || event === 'killed';
    if (approval !== undefined) this.answered(placed, { ...approval, incident, mustAllow, ...(isActedOn && { use: 'tree' }) }, hasUnread);
    else if (event === 'overridden') this.problem(placed, 'HALT_ANSWER_UNPROVEN', 'an override names the answer it rests on');
    this.step(placed, entry, gaps);
  }

  /** An end of a halt that an approval gave. @param incident - of the halt. */
  resumed(placed: Placed, { approval, scope, session }: EntryOf<'session'>, incident: string | undefined, gaps: boolean): void {
    if (approval === undefined) return;
    this.answered(placed, { ...approval, incident, mustAllow: true, use: scope === 'ledger' ? 'all' : `session ${session}` }, gaps);
  }

  finish(): void {
    if (this.unchecked === 0) return;
    const what = `so many incidents stand between that ${this.unchecked} entries were not compared with what they name`;
    this.findings.warn(0, 'INCIDENTS_UNCHECKED', what);
  }

  private compareWithVerdict(placed: Placed, entry: Containment, ref: EntryRef, gaps: boolean): void {
    const verdict = this.verdicts.get(ref.of);
    if (verdict === undefined) {
      if (this.verdicts.hasDropped) this.unchecked++;
      else if (!gaps) this.problem(placed, 'CONTAINMENT_WITHOUT_VERDICT', `entry ${ref.of + 1}, which it names, is no verdict before it`);
      return;
    }
    if (!names(ref, verdict.placed)) return this.mismatch(placed, ref.of);
    const { agent, incident, enforced } = verdict.entry;
    const field = incident !== entry.incident ? 'incident' : agent !== entry.agent ? 'agent' : undefined;
    if (field !== undefined)
      this.problem(placed, 'CONTAINMENT_MISMATCH', `the entry and its verdict, entry ${verdict.placed.number}, differ in ${field}`);
    // In audit mode nothing is held up, unless a person says so.
    const isHeld = entry.event === 'frozen' || entry.event === 'killed' || entry.event === 'denied';
    if (isHeld && enforced === 'FLAG' && entry.approval === undefined)
      this.problem(placed, 'CONTAINMENT_MISMATCH', `the verdict, entry ${verdict.placed.number}, was not to be enforced`);
  }

  private step(placed: Placed, { incident, event }: Containment, gaps: boolean): void {
    const known = this.incidents.get(incident);
    const state: IncidentState = known ?? { heldUp: undefined };
    if (known === undefined) this.incidents.put(incident, state);
    if (event === 'frozen' || event === 'failed') state.heldUp = event;
    if (event !== 'resumed' && event !== 'denied' && event !== 'killed' && event !== 'overridden') return;
    const { heldUp } = state;
    state.heldUp = undefined;
    // What an override lets go on need not have been held up.
    if (heldUp === 'frozen' || gaps || event === 'overridden') return;
    if (heldUp === 'failed') {
      const failed = `incident ${printable(incident)}: not all of what this answers could be frozen before it`;
      if (event !== 'killed') this.findings.warn(placed.number, 'CONTAINMENT_WITHOUT_FREEZE', failed);
      return;
    }
    if (known === undefined && this.incidents.hasDropped) {
      this.unchecked++;
      return;
    }
    const message = `incident ${printable(incident)}: nothing that this could answer was frozen before it, or it was answered before`;
    // What was ended runs no more, whatever could not be recorded of it. What goes on must have been held up.
    if (event === 'killed') this.findings.warn(placed.number, 'CONTAINMENT_WITHOUT_FREEZE', message);
    else this.problem(placed, 'CONTAINMENT_WITHOUT_FREEZE', message);
  }

  private answered(placed: Placed, named: Named, gaps: boolean): void {
    const { id, decision, incident, mustAllow, use } = named;
    const answer = this.answers.get(decision.of);
    if (answer === undefined) {
      if (this.answers.hasDropped) this.unchecked++;
      else if (!gaps)
        this.problem(placed, 'HALT_ANSWER_UNPROVEN', `entry ${decision.of + 1}, which it names, is no answer to a halt before it`);
      return;
    }
    if (!names(decision, answer.placed)) return this.mismatch(placed, decision.of);
    const about = answer.incident ?? incident;
    if (answer.id !== id || (mustAllow && !answer.isAllowed) || (incident !== undefined && about !== incident))
      this.problem(
        placed,
        'HALT_ANSWER_UNPROVEN',
        `the answer, entry ${answer.placed.number}, is another's, about another incident, or no yes`,
      );
    if (use === undefined) return;
    if (answer.used.has(use)) this.problem(placed, 'HALT_ANSWER_REUSED', `the answer, entry ${answer.placed.number}, was acted on before`);
    answer.used.add(use);
  }

  private mismatch(placed: Placed, of: number): void {
    this.problem(placed, 'REFERENCE_MISMATCH', `the entry it names, entry ${of + 1}, has another hash or place`);
    this.suspect(of);
  }

  private problem(placed: Placed, code: VerifyCode, message: string): void {
    this.findings.problem(placed.number, code, message);
  }
}

interface Named {
  readonly id: string;
  readonly decision: EntryRef;
  readonly incident: string | undefined;
  readonly mustAllow: boolean;
  /** What is done by it, that is done once. */
  readonly use?: string;
}

/** A map that forgets what was put first. */
class Newest<Key, Value> {
  private readonly limit: number;
  private readonly values = new Map<Key, Value>();
  hasDropped = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  get(key: Key): Value | undefined {
    return this.values.get(key);
  }

  put(key: Key, value: Value): void {
    this.values.set(key, value);
    if (this.values.size <= this.limit) return;
    const [first] = this.values.keys();
    if (first !== undefined) this.values.delete(first);
    this.hasDropped = true;
  }
}
