/** What a replay counts. */
import { type Effect, REASON_CODES } from '../call.ts';
import type { Ruling } from '../judge.ts';
import type { DecisionBody, EntryStamp } from '../ledger/entry.ts';
import type { PolicyInput } from '../policy/policy.ts';

/** One decision of the past, and what the other policy says of it. */
export interface ReplayedDecision {
  /** 0-based position of its entry. */
  readonly index: number;
  readonly entry: EntryStamp & DecisionBody;
  /** The policy's word then: `would` of the entry. */
  readonly from: Effect;
  /** The other policy's word. */
  readonly to: Effect;
  readonly ruling: Ruling;
  readonly input: PolicyInput;
}

export interface ReplayReport {
  /** Entries read. */
  readonly entries: number;
  /** Entries that are no entries: `verify` says more. */
  readonly unreadable: number;
  /** Calls that are meant; the sum of the four below. */
  readonly calls: number;
  /** Of these: decided by a policy, then and now. */
  readonly compared: number;
  /** Of the compared: some path was taken to be no link, since nobody recorded where it led. */
  readonly assumed: number;
  /** Of the compared: another effect. */
  readonly changes: readonly { readonly from: Effect; readonly to: Effect; readonly count: number }[];
  /** Of the compared: the same effect by another rule, or for another reason. */
  readonly otherRule: number;
  /** Refused without any policy's word, by reason code: budgets, halted sessions, arguments that could not be read. */
  readonly byEngine: ReadonlyMap<string, number>;
  /** Not enough is known to say what the other policy would have said, by what is missing. */
  readonly notReplayable: ReadonlyMap<string, number>;
  /** Policies the decisions were made under, the most used first. */
  readonly policies: readonly { readonly id: string; readonly version?: string; readonly hash: string; readonly calls: number }[];
}

/** What policies recorded; the rest of the built-in codes is the engine's. */
const POLICY_WORDS: ReadonlySet<string> = new Set(['APPROVAL_GRANTED', 'GRANT_USED']);
const ENGINE_CODES: ReadonlySet<string> = new Set(
  REASON_CODES.filter((code) => (!code.startsWith('POLICY_') || code === 'POLICY_DENY_OWN_FILES') && !POLICY_WORDS.has(code)),
);

/** Whether `would` of a decision is what a policy said. */
export function isEngineCode(reasonCode: string): boolean {
  return ENGINE_CODES.has(reasonCode);
}

const MAX_POLICIES = 1000;

export class ReplayCounts {
  entries = 0;
  unreadable = 0;
  compared = 0;
  otherRule = 0;
  assumed = 0;
  readonly #changes = new Map<string, { readonly from: Effect; readonly to: Effect; count: number }>();
  readonly #byEngine = new Map<string, number>();
  readonly #notReplayable = new Map<string, number>();
  readonly #policies = new Map<string, { readonly id: string; readonly version?: string; readonly hash: string; calls: number }>();

  addPolicy({ policy }: DecisionBody): void {
    const known = this.#policies.get(policy.hash);
    if (known !== undefined) known.calls++;
    else if (this.#policies.size < MAX_POLICIES) this.#policies.set(policy.hash, { ...policy, calls: 1 });
  }

  addCompared({ from, to, ruling, entry }: ReplayedDecision): void {
    this.compared++;
    if (from === to) {
      if (ruling.decision.rule !== entry.rule) this.otherRule++;
      return;
    }
    const key = `${from} ${to}`;
    const known = this.#changes.get(key);
    if (known === undefined) this.#changes.set(key, { from, to, count: 1 });
    else known.count++;
  }

  addByEngine(reasonCode: string): void {
    this.#byEngine.set(reasonCode, (this.#byEngine.get(reasonCode) ?? 0) + 1);
  }

  addNotReplayable(why: string): void {
    this.#notReplayable.set(why, (this.#notReplayable.get(why) ?? 0) + 1);
  }

  report(): ReplayReport {
    const others = [...this.#byEngine.values(), ...this.#notReplayable.values()].reduce((sum, count) => sum + count, 0);
    return {
      entries: this.entries,
      unreadable: this.unreadable,
      calls: this.compared + others,
      compared: this.compared,
      assumed: this.assumed,
      changes: [...this.#changes.values()].toSorted((left, right) => right.count - left.count),
      otherRule: this.otherRule,
      byEngine: this.#byEngine,
      notReplayable: this.#notReplayable,
      policies: [...this.#policies.values()].toSorted((left, right) => right.calls - left.calls),
    };
  }
}
