/**
 * Every past decision under another policy: what would change.
 *
 * A ledger is walked once, in order, in flat memory. Everything a decision rested on comes from the ledger: nothing is
 * read from the disk of today. What does not lie there (raw arguments, openings that were erased) is counted by its
 * reason and never guessed.
 *
 * What the numbers mean. The two policies' words are compared, whatever the mode made of them. The past is taken as it was:
 * calls that ran did run, and what was refused left nothing behind. With `labels: 'policy'` a call that ran labels its
 * session as the *other* policy would have, with `recorded` as it did then; labels of results are those of the record
 * either way. A call that was asked about counts once, where it was first decided.
 *
 * Nothing is verified but this: where the answer would change, the opening is compared with what its entry commits to.
 * `checks: 'all'` compares every one, which costs more than all the rest.
 */
import { type Ruling, rulingOf } from '../judge.ts';
import type { DecisionBody, EntryStamp } from '../ledger/entry.ts';
import { evaluatePolicy } from '../policy/compose.ts';
import type { Policy, PolicyInput, PolicyVerdict } from '../policy/policy.ts';
import { isAltered, replayInput } from '../policy/replay-input.ts';
import type { LedgerSource, SourceRow } from '../verify/source.ts';
import { readEntry, readOpening } from './entries.ts';
import { isEngineCode, ReplayCounts, type ReplayedDecision, type ReplayReport } from './report.ts';
import { ReplaySessions } from './sessions.ts';

export interface ReplayOptions {
  readonly policy: Policy;
  /** Whose labels sessions carry; default `policy`. */
  readonly labels?: 'policy' | 'recorded';
  /** Which openings are compared with their entries; default `changes`: those that matter. */
  readonly checks?: 'changes' | 'all';
  /**
   * A path that the other policy looks up, and nobody looked up then, is taken to be no link and to lead through none.
   * Answers that rest on it are counted (`assumed`). Without it such a decision cannot be replayed.
   */
  readonly assumeNoLinks?: boolean;
  /** Which decisions are counted and told of; all when absent. The others are walked through all the same. */
  readonly isMeant?: (entry: EntryStamp & DecisionBody) => boolean;
  /** Told of every decision that was compared, in order. */
  readonly onDecision?: (decision: ReplayedDecision) => void;
  /** Told of every decision that was not, and why. */
  readonly onSkipped?: (index: number, entry: EntryStamp & DecisionBody, why: string) => void;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Open asks that are remembered; the oldest go first. */
const MAX_OPEN_ASKS = 100_000;

/** @throws {CountersignError} what reading the source throws. The source is not closed. */
export async function replayLedger(source: Pick<LedgerSource, 'chunks' | 'size'>, options: ReplayOptions): Promise<ReplayReport> {
  const replay = new Replay(options);
  for (const chunk of source.chunks()) {
    for (const row of chunk) {
      const waits = replay.take(row);
      // A policy of rules answers at once, and an await per decision would cost more than the decision.
      if (waits !== undefined) await waits;
    }
    options.onProgress?.(replay.counts.entries, source.size);
  }
  return replay.counts.report();
}

type Body = EntryStamp & DecisionBody;

class Replay {
  readonly counts = new ReplayCounts();
  readonly #sessions = new ReplaySessions();
  /** Calls with an ask that was not settled yet. */
  readonly #asked = new Set<string>();
  readonly #options: ReplayOptions;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  take(row: SourceRow): Promise<void> | undefined {
    this.counts.entries++;
    const { body } = row;
    // Most entries are outcomes that label nothing, and quotes inside of texts are escaped.
    if (body?.includes('"kind":"outcome"') === true && !body.includes('"labels":')) return undefined;
    const entry = readEntry(body);
    if (entry === undefined) this.counts.unreadable++;
    else if (entry === 'other') return undefined;
    else if (entry.kind === 'session') this.#sessions.changed(entry, entry.at);
    else if (entry.kind === 'outcome') this.#sessions.labelled(entry.session, entry.labels ?? [], entry.at);
    else return this.#decided(entry, row);
    return undefined;
  }

  #decided(entry: Body, row: SourceRow): Promise<void> | undefined {
    const isFirst = this.#isFirst(entry);
    const isCounted = isFirst && (this.#options.isMeant?.(entry) ?? true);
    if (isCounted) this.counts.addPolicy(entry);
    const skip = (why: string, count: () => void): undefined => {
      if (isCounted) {
        count();
        this.#options.onSkipped?.(row.seq, entry, why);
      }
      this.#ran(entry, entry.labels ?? []);
    };
    if (isEngineCode(entry.reason_code)) return skip(entry.reason_code, () => this.counts.addByEngine(entry.reason_code));
    // Nothing is learnt from it: it is not counted, and it ran without a label of this policy's making or not at all.
    if (!isCounted && entry.effect !== 'allow') return undefined;
    const opening = readOpening(row);
    const session = this.#sessions.at(entry.session, entry.at);
    let isAssumed = false;
    const assume = (kind: string, subject: string): string | undefined => {
      if (kind !== 'path') return undefined;
      isAssumed = true;
      return subject;
    };
    const check = this.#options.checks === 'all' ? 'now' : 'later';
    const replayed = replayInput(entry, opening, session, check, this.#options.assumeNoLinks === true ? assume : undefined);
    if ('obstacle' in replayed) return skip(replayed.obstacle, () => this.counts.addNotReplayable(replayed.obstacle));
    const finish = (verdict: PolicyVerdict): undefined => {
      const [missing] = replayed.missing();
      if (missing !== undefined) {
        const why = `${missing.split(/[ :]/, 1)[0] ?? missing} not recorded`;
        return skip(why, () => this.counts.addNotReplayable(why));
      }
      const ruling = rulingOf(verdict, this.#options.policy, entry.mode, NOTHING_TO_HIDE);
      if (ruling.decision.would !== entry.would && opening !== undefined && isAltered(entry, opening))
        return skip('altered', () => this.counts.addNotReplayable('altered'));
      if (isAssumed && isCounted) this.counts.assumed++;
      this.#compare(entry, row.seq, ruling, replayed.input, isCounted);
      return undefined;
    };
    const verdict = evaluatePolicy(this.#options.policy, replayed.input);
    return verdict instanceof Promise ? verdict.then(finish) : finish(verdict);
  }

  #compare(entry: Body, index: number, ruling: Ruling, input: PolicyInput, isCounted: boolean): void {
    if (isCounted) {
      const decision: ReplayedDecision = { index, entry, from: entry.would, to: ruling.decision.would, ruling, input };
      this.counts.addCompared(decision);
      this.#options.onDecision?.(decision);
    }
    this.#ran(entry, this.#options.labels === 'recorded' ? (entry.labels ?? []) : ruling.labels);
  }

  #ran(entry: Body, labels: readonly string[]): void {
    if (entry.effect === 'allow') this.#sessions.allowed(entry, labels, entry.at);
  }

  /** A call that was asked about has more than one decision. */
  #isFirst({ call, effect }: Body): boolean {
    const wasAsked = this.#asked.delete(call);
    if (effect === 'require_approval') {
      this.#asked.add(call);
      if (this.#asked.size > MAX_OPEN_ASKS) this.#asked.delete(this.#asked.values().next().value ?? '');
    }
    return !wasAsked;
  }
}

/** What a policy says here was made of what was shown already. */
const NOTHING_TO_HIDE = { text: (value: string): string => value };
