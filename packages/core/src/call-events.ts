/**
 * What a guard tells its own process about its calls, as the caller sees them: for the application's log and for traces.
 *
 * No evidence and no gate: the ledger has what counts, nobody waits for who is told, and nothing they do changes a call.
 * No event holds arguments or results. `Decision.reason` is redacted, like everywhere.
 */
import type { Decision, EntryRef, Json, Mode, OutcomeStatus, ResultAction, ToolRef } from './call.ts';
import type { VerdictBody } from './ledger/entry.ts';
import type { PolicyName } from './policy/policy.ts';

/** Which call. Names come from models and clients: at most 256 characters, without control characters. */
export interface CallFacts {
  /** As in the ledger. A call that is re-entered after an approval keeps it, in any process; an edited call has one of its own. */
  readonly callId: string;
  readonly agent: string;
  readonly session: string;
  readonly principal?: string;
  readonly tool: Pick<ToolRef, 'server' | 'name'>;
  /** The framework's id of the call, redacted; may hold control characters. */
  readonly id?: string;
  /** From 2 on for a retry after an error. */
  readonly attempt?: number;
}

/** What is told of a verdict: neither its reason nor what was done, which are content. */
export interface VerdictNews {
  readonly level: VerdictBody['level'];
  /** What was done of it in this mode. */
  readonly enforced: VerdictBody['enforced'];
  /** At most 256 characters, redacted. */
  readonly rule: string;
  /** Of a HALT or KILL. */
  readonly incident?: string;
}

interface Decided extends CallFacts {
  readonly decision: Decision;
  readonly mode: Mode;
  readonly policy: PolicyName;
  /** How long the call waited for people, milliseconds; absent when it did not. */
  readonly waitedMs?: number;
}

export type CallEvent =
  /** Its decision is durable; the tool is about to run. */
  | (Decided & {
      readonly kind: 'call-allowed';
      readonly entry: EntryRef;
      /** The approval it used. */
      readonly approvalId?: string;
      /** The grant it used. */
      readonly grantId?: string;
      /** The call that a person edited into this one. */
      readonly edited?: { readonly call: string };
    })
  | (Decided & {
      readonly kind: 'call-denied';
      /** Absent when the ledger could not be written. */
      readonly entry?: EntryRef;
      readonly earlier?: OutcomeStatus;
    })
  /** A person has to answer. `waits`: the caller does, and this is not the last that is told of this call. */
  | (CallFacts & {
      readonly kind: 'call-pending';
      readonly approvalId: string;
      readonly expiresAtMs: number;
      readonly waits: boolean;
    })
  /** The host monitor of this guard judged something that the call does: told while it runs, before the verdict is durable. */
  | (CallFacts & VerdictNews & { readonly kind: 'call-judged' })
  /** It ran, or was given back. Told before the outcome is durable. */
  | (CallFacts & {
      readonly kind: 'call-settled';
      readonly status: OutcomeStatus;
      /** Class name of what was thrown. */
      readonly errorType?: string;
      readonly durationMs: number;
      /** What rules on results did; absent when none matched. */
      readonly released?: ResultAction;
    });

/** @param shown - gives a copy of the arguments with secrets replaced; events hold none. */
export type CallListener = (event: CallEvent, shown: ShownArguments) => void | Promise<void>;

/** A copy of the arguments as policy saw them, secrets replaced; undefined for a call whose arguments could not be read. */
export type ShownArguments = () => Json | undefined;
