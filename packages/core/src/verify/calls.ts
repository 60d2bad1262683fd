/** Decisions and what became of them: no call is allowed twice, every outcome belongs to one allow, and no allow has two. */

import { type EntryRef, RESULT_ACTIONS } from '../call.ts';
import type { BudgetCharge, ReleasedResult } from '../ledger/entry.ts';
import { Bytes } from './bytes.ts';
import type { VerifyCode } from './codes.ts';
import type { Told } from './judged.ts';
import { difference, type EntryOf, names, type Placed } from './placed.ts';
import type { Findings } from './report.ts';
import { SeenIds } from './seen.ts';

/** What stands at a position. The zero value is every kind that is no decision. */
const REFUSED = 1;
const ASKED = 2;
const OPEN = 3;
const SETTLED = 4;
/** Could not be read: it is reported where it stands, and nothing that leans on it is reported again. */
const UNREAD = 5;

/** Calls last allowed that are compared for repeats, at least: about 45 MB a million, and twice that at the most. */
const MAX_CALLS_COMPARED = 1_000_000;

/** State of an allowed call. */
const ALLOWED = 1;

interface OpenDecision {
  readonly placed: Placed;
  readonly call: string;
  readonly session: string;
  readonly agent: string;
  readonly writer: string;
  readonly at: number;
  readonly budgets: readonly BudgetCharge[] | undefined;
}

/** What a decision was charged, and when. */
export interface Settled {
  readonly at: number;
  readonly charges: readonly BudgetCharge[];
}

export class Calls {
  private readonly findings: Findings;
  /** Told of references that disagree with the body they name: one of the two was changed. */
  private readonly suspect: (index: number) => void;
  private readonly state = new Bytes();
  /** Only while they are open, so that memory does not grow with the ledger. */
  private readonly open = new Map<number, OpenDecision>();
  /** Ids of allowed calls. */
  private readonly allowed: SeenIds;
  private readonly maxCompared: number;

  constructor(findings: Findings, suspect: (index: number) => void, maxCompared: number = MAX_CALLS_COMPARED) {
    this.findings = findings;
    this.suspect = suspect;
    this.maxCompared = maxCompared;
    this.allowed = new SeenIds(maxCompared);
  }

  get openDecisions(): number {
    return this.open.size;
  }

  unread(index: number): void {
    this.state.set(index, UNREAD);
  }

  decision(placed: Placed, entry: Extract<Told, { readonly kind: 'decision' }>): void {
    const { call, session, agent, writer, at, budgets } = entry;
    if (entry.effect === 'allow') {
      this.allow(placed, call);
      this.open.set(placed.index, { placed, call, session, agent, writer, at, budgets });
    }
    this.state.set(placed.index, entry.effect === 'allow' ? OPEN : entry.effect === 'deny' ? REFUSED : ASKED);
  }

  /** A decision from before what is read. Whether it has an outcome already is not known. */
  recalled(placed: Placed, entry: Extract<Told, { readonly kind: 'decision' }>): void {
    const { effect, call, session, agent, writer, at, budgets } = entry;
    if (effect === 'allow') this.open.set(placed.index, { placed, call, session, agent, writer, at, budgets });
    this.state.set(placed.index, effect === 'allow' ? OPEN : effect === 'deny' ? REFUSED : ASKED);
  }

  /** @returns what the decision it settles was charged; undefined when it settles none, or that could not be read. */
  outcome(placed: Placed, entry: Extract<Told, { readonly kind: 'outcome' }>): Settled | undefined {
    const { of } = entry.decision;
    const state = of < placed.index ? this.state.get(of) : 0;
    if (state === OPEN) return this.settle(placed, entry);
    if (state === UNREAD) return undefined;
    const problem = (code: VerifyCode, message: string): void => this.findings.problem(placed.number, code, message);
    if (state === SETTLED) problem('OUTCOME_TWICE', `the decision of entry ${of + 1} has an outcome already`);
    else if (state === REFUSED || state === ASKED) problem('OUTCOME_AFTER_DENY', `the call ran although entry ${of + 1} did not allow it`);
    else problem('OUTCOME_WITHOUT_DECISION', `entry ${of + 1}, which the outcome names, is no decision before it`);
    return undefined;
  }

  /** What an outcome says became of its result. */
  release(placed: Placed, { action, would }: ReleasedResult, labels: readonly string[] | undefined): void {
    const problem = (message: string): void => this.findings.problem(placed.number, 'RELEASE_MISMATCH', message);
    if (action === 'label' && (labels === undefined || labels.length === 0)) problem('a rule labelled the result, and no label is named');
    if (would !== undefined && RESULT_ACTIONS.indexOf(would) <= RESULT_ACTIONS.indexOf(action))
      problem('what policy would have done to the result is no more than what was done');
    if (action === 'release' && would === undefined) problem('nothing was done to the result, or would have been');
  }

  finish(): void {
    if (this.allowed.dropped === 0) return;
    const message = `a call allowed again after ${this.maxCompared} others were allowed would not have been noticed`;
    this.findings.warn(0, 'REPEATS_UNCHECKED', message);
  }

  recovery(placed: Placed, entry: EntryOf<'recovery'>): void {
    for (const ref of entry.open ?? []) this.recovered(placed, ref, entry.of_writer);
  }

  private settle(placed: Placed, entry: Extract<Told, { readonly kind: 'outcome' }>): Settled {
    const { of } = entry.decision;
    const decision = this.open.get(of) as OpenDecision;
    this.state.set(of, SETTLED);
    this.open.delete(of);
    if (!names(entry.decision, decision.placed)) this.mismatch(placed, of, 'decision');
    const field = difference(['call', 'session', 'agent'], entry, decision);
    if (field !== undefined)
      this.findings.problem(placed.number, 'OUTCOME_MISMATCH', `the outcome and its decision, entry ${of + 1}, differ in ${field}`);
    return { at: decision.at, charges: decision.budgets ?? [] };
  }

  /** Also after its outcome: a retry is another call. */
  private allow(placed: Placed, call: string): void {
    if (this.allowed.get(call) !== undefined)
      return this.findings.problem(placed.number, 'CALL_ALLOWED_TWICE', `call ${call} was allowed before: it could run twice`);
    this.allowed.set(call, ALLOWED, placed.number);
  }

  private recovered(placed: Placed, ref: EntryRef, writer: string | undefined): void {
    const decision = this.open.get(ref.of);
    if (decision === undefined) {
      if (this.state.get(ref.of) === UNREAD) return;
      this.findings.problem(placed.number, 'RECOVERY_MISMATCH', `entry ${ref.of + 1} is no allowed call that was open`);
    } else if (!names(ref, decision.placed)) {
      this.mismatch(placed, ref.of, 'open decision');
    } else if (writer !== undefined && writer !== decision.writer) {
      this.findings.problem(placed.number, 'RECOVERY_MISMATCH', `entry ${ref.of + 1} is by another writer than the one that died`);
    }
  }

  private mismatch(placed: Placed, of: number, what: string): void {
    this.findings.problem(placed.number, 'REFERENCE_MISMATCH', `the ${what} it names, entry ${of + 1}, has another hash`);
    this.suspect(of);
  }
}
