import type { ApprovalTerms, Effect, Json, Mode, ReasonCode, RedactionFinding, ResultVerdict, ToolRef } from '../call.ts';
import type { Lookups } from './lookups.ts';

/** What the store knows about a session. */
export interface SessionFacts {
  readonly id: string;
  readonly labels: readonly string[];
  readonly halted: boolean;
  readonly startedAtMs: number;
  /** Rises with every change of labels or halted; 0 = no entry yet. */
  readonly version: number;
}

/** Everything a policy may look at. */
export interface PolicyInput {
  readonly tool: ToolRef;
  /** The shown view: secrets already replaced by `[redacted:kind]`. */
  readonly args: Json;
  readonly findings: readonly RedactionFinding[];
  readonly agent: string;
  readonly principal?: string;
  readonly session: SessionFacts;
  readonly mode: Mode;
  /** The call's declared cost, in units of 1/1,000,000. */
  readonly cost?: number;
  /** Time recorded for this decision, UTC milliseconds. */
  readonly atMs: number;
  /** Answers from outside the call, such as the disk; the same for every rule, and recorded. Absent: read and forgotten. */
  readonly lookups?: Lookups;
  /**
   * Earlier calls of the session that were allowed, for a subject in the policy's `counts`.
   *
   * @throws for a subject that nobody counted.
   */
  countCalls?(subject: string): number;
  /** The folder that the configuration declares for the tool's server: what its relative paths are relative to. */
  readonly root?: string;
  /** A raw argument by JSON pointer, in process only; a rule must declare the pointer. `undefined` when absent. */
  raw(pointer: string): unknown;
}

interface Ruled {
  readonly rule?: string;
  readonly reasonCode?: ReasonCode;
  /** For people; kept in the opening, not in the entry body. */
  readonly reason?: string;
  /** Facts to attach to the session when the call goes through: of a deny, in audit mode only. */
  readonly labels?: readonly string[];
}

export type PolicyVerdict =
  | {
      readonly effect: 'abstain';
      /** Why a rule that might have applied did not: it could not be evaluated. */
      readonly reason?: string;
      /** Facts to attach to the session, should the call go through. */
      readonly labels?: readonly string[];
    }
  | ({ readonly effect: 'allow' } & Ruled)
  | ({
      readonly effect: 'deny' /** Enforced in audit mode too (Countersign's own files, broken policy). */;
      readonly always?: boolean;
    } & Ruled)
  | ({
      readonly effect: 'require_approval';
      readonly terms?: Partial<ApprovalTerms>;
      /** How many rules ask, when it is more than the one that is named: a grant for one of them does not speak for the others. */
      readonly asks?: number;
    } & Ruled);

/** What is known before a call: everything but its arguments, and what the engine finds out about those. */
export type ForeseenInput = Pick<PolicyInput, 'tool' | 'agent' | 'principal' | 'session' | 'mode' | 'atMs'>;

/** Of every call: `deny`, it is denied; `abstain`, it is denied, or nothing is said of it and the default applies. */
export type Foreseen = Extract<PolicyVerdict, { readonly effect: 'deny' | 'abstain' }>;

/** What is known of a result when rules look at it. Everything but `size` and `isError` is worked out when it is read. */
export interface ResultFacts {
  /** The shown view: secrets already replaced. Of an error its text. @throws when it could not be read, or is too large. */
  readonly value: Json;
  /** Every text in it, one per line; of a text itself. Secrets already replaced. @throws like `value`. */
  readonly text: string;
  /** Characters: of a text itself, of anything else its JSON; Infinity when it could not be told. */
  readonly size: number;
  /** The tool threw, or says that it failed. */
  readonly isError: boolean;
  /** Kinds of secrets in it, sorted. @throws like `value`. */
  readonly secrets: readonly string[];
  /** Kinds of text that speaks to the model instead of to its user, sorted. @throws like `value`. */
  readonly instructions: readonly string[];
  /** Kinds of terminal control in it, sorted. @throws like `value`. */
  readonly ansi: readonly string[];
  /** Kinds of characters nobody sees, sorted. @throws like `value`. */
  readonly hidden: readonly string[];
}

/** What a rule on results may look at: the call as it was decided, and what came back. */
export interface ResultInput extends PolicyInput {
  readonly result: ResultFacts;
}

/** Which policy it was, without what it says. */
export interface PolicyName {
  readonly id: string;
  readonly version?: string;
  /** 64 hex digits, as in every decision. */
  readonly hash: string;
}

/** Decides calls. A policy that throws is a deny (`POLICY_EVALUATION_FAILED`). */
export interface Policy {
  readonly id: string;
  readonly version?: string;
  /** SHA-256 hex of `document`, with its domain prefix (see `policyHash`). */
  readonly hash: string;
  /** The canonical document the hash covers; recorded once as a `policy` entry. */
  readonly document: string;
  /** What to do when every rule abstains; `deny` when absent. */
  readonly default?: Effect;
  /**
   * What `countCalls` of the input is asked for (`countSubject`): counted before the policy is asked, and compared again in
   * the transaction where it was asked for.
   */
  readonly counts?: readonly string[];
  evaluate(input: PolicyInput): PolicyVerdict | Promise<PolicyVerdict>;
  /**
   * What `evaluate` is certain to say of every call of this tool, whatever its arguments, as long as the session stays as it
   * is. Undefined, or absent: nothing is certain. For deciding what to offer an agent; it lets nothing run and stops nothing.
   */
  foresee?(input: ForeseenInput): Foreseen | undefined;
  /** Says what may be seen of a result. Absent: everything. A policy that throws here withholds. */
  evaluateResult?(input: ResultInput): ResultVerdict | Promise<ResultVerdict>;
  /** False when `evaluateResult` releases every result of this tool, whatever it is. Absent: it may act on any. */
  mayActOnResult?(tool: ToolRef): boolean;
}
