/** What a warden is put together from. Each part is made elsewhere, and tried alone. */
import type { ContainmentBody, EntryRef, Halt, MonitorHost } from '@countersign/core';
import type { Activity, Actor, ProcessId } from '../activity.ts';
import type { Freezer } from '../contain/freezer.ts';
import type { Enforcement } from '../enforcement.ts';
import type { IntentCheck } from '../intent/intent-check.ts';
import type { RollbackResult } from '../quarantine/rollback.ts';
import type { CoverageLevel, Sensor, SensorStats } from '../sensor.ts';
import type { ProcessTree, TreeProcess } from '../tree/process-tree.ts';
import type { Level, MonitorMode, Verdict } from '../verdict.ts';
import type { HaltAbout, HaltWords } from './halt-words.ts';

/** Judges by rules. Pure but for the windows it keeps; called once for each activity, in order. */
export interface Rules {
  judge(activity: Activity): Verdict;
  /** Something else made a FLAG of what was SAFE by rules. @returns what that comes to, together with other flags. */
  flagged?(activity: Activity, rule: string): Verdict | undefined;
  /** A person let a HALT go on: what led to it is not held against what follows. */
  accept?(verdict: Pick<Verdict, 'rule' | 'evidence'>): void;
}

/** Looks at what rules could not tell. Slow; may reject. */
export interface Judge {
  judge(input: { readonly activity: Activity; readonly verdict: Verdict; readonly recent: readonly Activity[] }): Promise<Verdict>;
}

/** Takes every activity. A promise says when it is written; rejecting means that it is lost. */
export interface ActivityLog {
  write(activity: Activity, verdict: Verdict): void | Promise<void>;
  /** Of what was written without a promise: how many were lost. */
  lost?(): number;
  /** @param summary - of the session that ends. */
  close(summary: WardenSummary): Promise<void>;
}

/** The ledger of the session. */
export interface WardenLedger extends Pick<MonitorHost, 'session' | 'record' | 'mark' | 'halt' | 'resume' | 'inFlight'> {
  /** Whose call it is; undefined for a call this ledger does not know. */
  sessionOf(call: string): Promise<string | undefined>;
  /** Halts that stand, as its entries tell: those of an operator stop the tree too. */
  halts(): Promise<readonly Halt[]>;
}

/** The answer of people, as the ledger has it. */
export interface AnswerRef {
  readonly id: string;
  readonly decision: EntryRef;
}

/** Why a tree was stopped or ended, and what became of it. */
export interface Incident {
  /** 32 hex digits. */
  readonly id: string;
  readonly at: number;
  readonly session: string;
  readonly mode: MonitorMode;
  /** The first of it. */
  readonly activity: Activity;
  readonly verdict: Verdict;
}

/** What was done about an incident, in order. */
export interface IncidentStep {
  readonly at: number;
  readonly event: ContainmentBody['event'];
  readonly grade?: Freezer['grade'];
  readonly count?: number;
  /** Of `denied`: calls that failed instead of happening. */
  readonly refused?: number;
  readonly left?: readonly ProcessId[];
  readonly duration_ms?: number;
  /** Who answered, or why it came to this. */
  readonly by?: string;
  /** Of `quarantined`: what was moved, what was left, and why. */
  readonly rollback?: RollbackResult;
}

/** Keeps the story of each incident. */
export interface Incidents {
  /**
   * Takes what is there only as long as the processes are: command lines, files, sockets. They are frozen, as far as that could be
   * done. Waited for, within a bound.
   */
  open(incident: Incident, members: readonly TreeProcess[], recent: readonly Activity[]): Promise<void>;
  /** @param steps - all so far. */
  update(incident: Incident, steps: readonly IncidentStep[]): Promise<void>;
}

/** Tells people. Never waited for; what it rejects with is told. */
export interface Alerts {
  /** @param question - what is going to be asked about it. */
  alert(incident: Incident, steps: readonly IncidentStep[], question?: HaltWords): Promise<void>;
}

/** Puts aside what was written outside of the scope. */
export interface Quarantine {
  take(incident: Incident): Promise<RollbackResult>;
}

export type HaltAnswer =
  | { readonly do: 'resume' | 'deny' | 'kill'; readonly by: string; readonly approval?: AnswerRef; readonly isOverride?: true }
  /** Nobody answered in time. */
  | { readonly do: 'timeout' }
  /** Nobody could be asked: the ledger fails, or every channel does. */
  | { readonly do: 'failed'; readonly error: unknown };

/** Asks what becomes of a halted tree. */
export interface HaltQuestions {
  /** What is asked, for everybody who tells of it. */
  words(about: HaltAbout): HaltWords;
  /** Never rejects. @param opened - called once an answer can be given. */
  ask(incident: Incident, words: HaltWords, round: number, signal: AbortSignal, opened: () => void): Promise<HaltAnswer>;
}

/** What a warden tells while it watches. Strings from processes are in it: escape them for the medium. */
export type WardenEvent =
  | {
      readonly kind: 'started';
      readonly at: number;
      readonly level: CoverageLevel | 'none';
      readonly mode: MonitorMode;
      readonly grade: Freezer['grade'];
      /** Those that see. */
      readonly sensors: readonly Pick<Sensor, 'name' | 'level' | 'gives'>[];
      /** What can be prevented, where it is known. */
      readonly enforcement?: Enforcement;
    }
  | {
      readonly kind: 'judged';
      readonly at: number;
      readonly activity: Activity;
      readonly verdict: Verdict;
      readonly enforced: Level;
      readonly incident?: string;
      /** It waits for an answer, or failed. Absent: it has happened. */
      readonly call?: 'held' | 'refused';
    }
  | { readonly kind: 'contained'; readonly at: number; readonly incident: Incident; readonly step: IncidentStep }
  /** `held`: calls that wait for the answer. `hasHappened`: some of what it is about was done already. */
  | {
      readonly kind: 'asked';
      readonly at: number;
      readonly incident: Incident;
      readonly held: number;
      readonly hasHappened: boolean;
      readonly words: HaltWords;
    }
  | {
      readonly kind: 'coverage';
      readonly at: number;
      readonly level: CoverageLevel | 'none';
      readonly sensor: string;
      readonly why: string;
    }
  /** It has a lease of the ledger: what it does with Countersign's own files is not judged. The first one of each program. */
  | { readonly kind: 'guard'; readonly at: number; readonly process: Actor }
  /** Something of our own failed. Nothing is let through by it. */
  | { readonly kind: 'trouble'; readonly at: number; readonly during: string; readonly error: unknown };

export interface WardenOptions {
  readonly mode: MonitorMode;
  readonly tree: ProcessTree;
  readonly sensors: readonly Sensor[];
  /** Without this one nothing is watched: the tree could do nothing. */
  readonly needs?: Sensor;
  /** What holds whatever sensors do: while anything is seen the level is no lower. */
  readonly floor?: CoverageLevel;
  readonly rules: Rules;
  readonly intent?: IntentCheck;
  readonly judge?: Judge;
  readonly freezer: Freezer;
  readonly ledger: WardenLedger;
  readonly log: ActivityLog;
  readonly questions: HaltQuestions;
  readonly incidents: Incidents;
  readonly alerts?: Alerts;
  readonly quarantine?: Quarantine;
  readonly onHaltTimeout: 'stay' | 'kill';
  /** What becomes of a tree that is held when the warden ends. `kill`: what it launched; nobody could let it go on, or end it. */
  readonly heldAtEnd: 'stay' | 'kill';
  /** Must not throw; returns at once. */
  readonly onEvent?: (event: WardenEvent) => void;
  /** UTC milliseconds, and a clock that only goes forward. */
  readonly clock?: { nowMs(): number; monotonicMs(): number };
  /** Pauses before something is tried again; tests make it none. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How a watched session went. */
export interface WardenSummary {
  readonly session: string;
  readonly mode: MonitorMode;
  /** The lowest level it was at. */
  readonly level: CoverageLevel | 'none';
  readonly durationMs: number;
  readonly activities: number;
  readonly verdicts: Readonly<Record<Level, number>>;
  /** By rule: FLAG and above. */
  readonly rules: ReadonlyMap<string, number>;
  readonly incidents: readonly {
    readonly id: string;
    readonly rule: string;
    readonly level: Level;
    readonly end: IncidentStep['event'] | 'open';
  }[];
  /** Activities the log did not take, and verdicts the ledger did not. */
  readonly lost: { readonly log: number; readonly ledger: number; readonly judge: number };
  readonly sensors: readonly (Pick<Sensor, 'name' | 'level' | 'gives'> & { readonly isAlive: boolean } & SensorStats)[];
}

export interface Warden {
  readonly level: CoverageLevel | 'none';
  /** Stopped, and waiting for an answer. */
  readonly isHolding: boolean;
  /** A verdict, or an answer to one, ended the tree: why. */
  readonly ended: { readonly by: 'verdict' | 'operator' | 'timeout' | 'signal'; readonly left: number } | undefined;
  /** Stops it, asks nobody, ends it: the operator's own word. Resolves when nothing is left, or what is left is told. */
  kill(): Promise<void>;
  /** We are about to be stopped ourselves: nothing may run meanwhile that nobody watches. */
  suspend(): Promise<void>;
  /** We go on, and so does what `suspend` stopped. What is held stays so: a continue signal may have come from anywhere. */
  proceed(): Promise<void>;
  /** Resolves when what was being done about incidents is done. Not while something waits for an answer. */
  settled(): Promise<void>;
  /** Stops watching, writes out what waits, ends the session. */
  close(): Promise<WardenSummary>;
}
