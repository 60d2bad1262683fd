/** What others implement and the application injects. Each is two or three methods. */
import type { AuditInclude, AuditRecord } from './audit-log/record.ts';
import type { Assurance, EntryRef, Json, ToolRef } from './call.ts';
import type { CallEvent, CallFacts, ShownArguments, VerdictNews } from './call-events.ts';
import type { GrantTerms } from './grant/terms.ts';
import type { ApproverMethod, ContainmentBody, HaltAnswer, ResourceFigures, VerdictBody } from './ledger/entry.ts';
import type { GrantOffer } from './store-units.ts';

/** What a channel shows a human. All strings may come from an agent: escape them for the medium. */
export interface ApprovalRequest {
  readonly id: string;
  readonly callId: string;
  readonly agent: string;
  readonly session: string;
  readonly principal?: string;
  readonly tool: Pick<ToolRef, 'server' | 'name'>;
  /** The shown view of the arguments: secrets are already replaced. */
  readonly args: Json;
  readonly reason?: string;
  readonly rule?: string;
  readonly expiresAtMs: number;
  /** What an answer must be worth to approve; absent = any. */
  readonly assurance?: Assurance;
  /** The call runs only because a person edited another one: the shown arguments of that one, to compare with `args`. */
  readonly edited?: { readonly from: Json };
}

/** `message` is for the model; redacted, kept in the opening. */
export type ApprovalAnswer =
  | {
      readonly decision: 'approve';
      readonly message?: string;
      /**
       * Lets later calls of this tool run under this rule without asking. For method `key` the offer of
       * `approvals.draftGrant`, with the signature of its statement.
       */
      readonly grant?: GrantTerms | GrantOffer;
    }
  | { readonly decision: 'deny'; readonly message?: string }
  /** Denies the call as it is and proposes other arguments: a new call, decided from the start. */
  | {
      readonly decision: 'edit';
      /**
       * The whole arguments, edited from the shown view. What is left as it was stands for what it stood for, secrets
       * included; what is new may hold neither a secret nor a placeholder of one.
       */
      readonly args: Json;
      readonly message?: string;
      /** For method `key`: the opening key under which the signed statement commits to `args` (`newOpeningKey`). */
      readonly openingKey?: string;
    };

/** Who answers, and how that was made sure. `signature` is required for method `key`. */
export interface Approver {
  readonly id: string;
  readonly method: ApproverMethod;
  /** Base64 Ed25519 signature over `approvalStatement(...)`. */
  readonly signature?: string;
}

/** A channel *asks*; only `approvals.resolve` *answers*. */
export interface Channel {
  readonly name: string;
  /**
   * Shows the request. A channel that can take the answer itself calls `answer` once; one that only notifies just returns.
   * Rejecting means this channel failed; when every channel fails, the call is refused.
   */
  ask(request: ApprovalRequest, answer: (answer: ApprovalAnswer, approver: Approver) => Promise<void>, signal: AbortSignal): Promise<void>;
}

/** Watches the host process behind a guard. A monitor that throws is a deny (`MONITOR_FAILED`). */
export interface HostMonitor {
  /** `L0` ... `L3`, recorded with every session. */
  readonly coverage: string;
  /** Called before a decision is committed. @param call.server - of the tool, where it has one. */
  begin(callId: string, call?: { readonly server?: string; readonly session?: string }): CallWatch;
  /** Told once, by the guard it belongs to, where its verdicts go. */
  open?(host: MonitorHost): void;
  /** Told of a process that runs a server whose calls are guarded. @returns to be called when it ended. */
  adopt?(process: WatchedProcess): () => void;
  close(): Promise<void>;
}

/** A verdict to be recorded. `activity`: the reason and what was seen, for the opening. */
export type VerdictRecord = Omit<VerdictBody, 'agent' | 'activity_commit'> & { readonly activity: Json };

/** What was done, to be recorded. `details`: names, paths and texts, for the opening. */
export type ContainmentRecord = Omit<ContainmentBody, 'agent' | 'details_commit'> & { readonly details?: Json };

/**
 * What a ledger does for a monitor. None of it is on the way of a call. Whatever a watched process chose belongs into `activity`,
 * `details` and `data`: that is redacted, cut where it is too long, and can be forgotten. Everything else stands in the entry for
 * good, and is refused when it looks like a secret.
 *
 * Everything here rejects when it could not be made durable (`LEDGER_*`), and with `OPTIONS_INVALID` for what no entry can hold.
 */
export interface MonitorHost {
  readonly agent: string;
  /** Of calls that name none: the guard's, or the monitor's own (`run`, `attach`). */
  readonly session: string;
  /** Absolute paths that the guard itself reads and writes: ledger, key, mirror, audit logs. Empty where nobody knows. */
  readonly files: readonly string[];
  /** Puts a verdict, or what followed from it, on record. */
  record(record: VerdictRecord | ContainmentRecord): Promise<EntryRef>;
  /** For whoever follows the calls of this guard: at once, about a call that runs now; nothing for any other. Records nothing, never throws. */
  tell(call: string, verdict: VerdictNews): void;
  /** Puts a note on record: hashes of closed segments of the activity log, for one. `data` is not redacted: no clear text in it. */
  note(topic: string, data: Json): Promise<EntryRef>;
  /** Puts the start of a session, a change of what can be seen of it, or its end on record. */
  mark(event: 'start' | 'coverage' | 'end', of?: { readonly session?: string; readonly coverage?: string }): Promise<void>;
  /**
   * Refuses further calls (`SESSION_HALTED`) of this session, or, without one, of every session that this ledger knows or will
   * know, until it is resumed. Durable when it resolves. Halting what is halted records that it was halted once more.
   */
  halt(session: string | undefined, reasonCode: string, why?: { readonly incident?: string }): Promise<void>;
  /**
   * Lifts a halt; that of one session and that of all are lifted each by itself.
   *
   * @param by - the answer that allows it: it lifts no operator's halt, and none that came after it was asked for; such a one stands.
   */
  resume(session: string | undefined, by?: HaltAnswer): Promise<void>;
  /** Whether calls of this session are refused now, by either halt. */
  isHalted(session: string): Promise<boolean>;
  /** Calls that run now, by the server they went to; without one all. Empty where no guard runs calls. */
  inFlight(server?: string): readonly string[];
}

export interface WatchedProcess {
  readonly pid: number;
  /** Name of the server in our configuration, as calls name it. */
  readonly server: string;
}

export interface CallWatch {
  /** Ends the watch and gives what was used meanwhile. Never throws for a call that already ran. */
  end(): ResourceFigures | undefined;
}

/**
 * Follows calls in a trace. Told, never asked: what it throws goes to `onError`, and no call waits for it, so everything here
 * returns at once.
 */
export interface CallTracer {
  /** A call comes in, on the stack of its caller; nothing is decided yet. Undefined: this one is not followed. */
  begin(call: CallFacts, shown: ShownArguments): CallTrace | undefined;
}

export interface CallTrace {
  /** What became of it. A denial, an outcome, and a `call-pending` for which nobody waits are the last. */
  tell(event: CallEvent): void;
  /** Calls `run` at once, with what the tool starts being part of this trace. A tool that yields comes here for each step. */
  within(run: () => void): void;
}

/** Signs checkpoints. Key material stays inside. */
export interface Signer {
  /** C2SP verifier line: `name+keyid+base64(type || public key)`. */
  readonly vkey: string;
  sign(message: Uint8Array): Uint8Array;
}

/** Signs checkpoints somewhere else: a KMS, an HSM, another process. Used on an interval, never while a call waits. */
export interface RemoteSigner {
  /** C2SP verifier line: `name+keyid+base64(type || public key)`. Each signature is checked under it. */
  readonly vkey: string;
  sign(message: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

export interface AnchorContext {
  /** Aborted when it takes too long. */
  readonly signal: AbortSignal;
  /** Proof that the first `from` entries of the log are those its first `to` entries start with; hex hashes. */
  consistencyProof(from: number, to: number): Promise<readonly string[]>;
}

/** Copies checkpoints out of the writer's reach. */
export interface Anchor {
  /** For messages; no secret in it. */
  readonly name: string;
  /**
   * Makes a copy of a checkpoint and resolves once it is safe there.
   *
   * @returns the note with signatures added, where the anchor adds any (a witness).
   */
  publish(note: string, context: AnchorContext): Promise<string | void>;
}

/** Wall clock, UTC milliseconds. */
export interface Clock {
  nowMs(): number;
}

/**
 * Takes the records of the operational audit log: one per decision, outcome, answer and session change, after the ledger
 * has it. Not evidence. A guard closes its sinks; one that is used again afterwards opens again.
 */
export interface AuditSink {
  /** Clear text it wants, as the policy saw it; default none. */
  readonly include?: readonly AuditInclude[];
  /** Refuse calls whose decision it could not take (`AUDIT_LOG_FAILED`); default false: its loss is counted and told. */
  readonly required?: boolean;
  /** Files it writes: tool arguments may not name them. */
  readonly files?: readonly string[];
  /** Throwing or rejecting means that the record is lost. */
  write(record: AuditRecord): void | Promise<void>;
  close(): void | Promise<void>;
}
