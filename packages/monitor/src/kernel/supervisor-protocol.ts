/** What the supervisor's thread and the rest of the warden say to each other. Plain data: it is cloned. */
import type { Actor, Attribution, Observation } from '../activity.ts';
import type { RuleEngineOptions } from '../rules/engine.ts';
import type { Scope } from '../scope/scope.ts';
import type { Markers } from '../tree/markers.ts';
import type { MonitorMode, Verdict } from '../verdict.ts';
import type { TrapReads } from './traps.ts';

/** What the thread supervises, and how. */
export interface SupervisorStart {
  /** Ours, and given up by whoever started the thread. */
  readonly listener: number;
  /** An eventfd: written to whenever there is something to read for the thread. */
  readonly wake: number;
  /** `Int32Array` of `CONTROL_WORDS`. */
  readonly control: SharedArrayBuffer;
  readonly mode: MonitorMode;
  readonly trapReads: TrapReads;
  readonly scope: Scope;
  readonly rules: Pick<RuleEngineOptions, 'workspace' | 'home' | 'tmp' | 'own' | 'hosts'>;
  /** UTC, milliseconds: when the session began. */
  readonly since: number;
  /** The warden freezes the tree for each HALT and KILL: the gate shuts by itself when one is found. */
  readonly shutsGate?: boolean;
  /** Absolute; see `hotReads`. Absent: those that usually are, and `node_modules` of the workspace. */
  readonly hot?: readonly string[];
}

export const CONTROL_WORDS = 4;
/** Not 0: the gate is shut. No call is received from then on, so every one waits, and nothing that is held goes on. */
export const GATE = 0;
/** How many of those told the main thread has looked at; goes round. */
export const SEEN = 1;
/** The thread whose call is looked at; 0: none is. */
export const CALLER = 2;
/** How many calls were looked at; goes round. */
export const CALLS = 3;

/** In the order the kernel told of them. */
export interface Told {
  readonly observation: Observation;
  readonly markers?: Markers;
  /** What the thread made of it. Absent: it is safe. Its reason is not redacted. */
  readonly judged?: Verdict;
  /** It waits for an answer, under this number. */
  readonly held?: number;
  /** It has failed. Neither held nor refused: it went on. */
  readonly isRefused?: true;
  /** Of what is held: the thread that waits. With the last part of a call that does several things. */
  readonly thread?: number;
}

/** Many `Told` in little: see `packed.ts`. */
export interface Packed {
  /** UTC, milliseconds: of the first. */
  readonly since: number;
  /** `COLUMNS` numbers for each, in the order it was told: the place of who read, or `WHOLE`; milliseconds after `since`; where it led. */
  readonly rows: readonly number[];
  readonly readers: readonly PackedReader[];
  /** As named, and where it led if that is another. An array: parts of one long text would keep all of it. */
  readonly paths: readonly string[];
  readonly whole: readonly Told[];
}

export interface PackedReader {
  readonly actor: Actor;
  readonly markers: Markers | undefined;
  readonly attribution: Attribution | undefined;
}

export type FromSupervisor =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** Nothing of the tree is left that could call. */
  | { readonly kind: 'over' }
  /** It has seen how the gate is: what it answered before, it answered before this. `waiting`: threads whose opens wait for somebody else. */
  | { readonly kind: 'gate'; readonly nth: number; readonly waiting: readonly number[] }
  /** Since the last message: `lost`: safe ones that nobody is told of as there was no room; `counted`: safe reads in hot folders. */
  | { readonly kind: 'told'; readonly told: Packed; readonly lost: number; readonly counted: number };

export type ToSupervisor =
  /** The first of all, unless it is to stop. */
  | { readonly kind: 'begin'; readonly start: SupervisorStart }
  | { readonly kind: 'answer'; readonly held: number; readonly with: 'continue' | 'refuse' }
  /** The gate was opened or shut. `stops`: of what it was told, how many had been judged. */
  | { readonly kind: 'gate'; readonly nth: number; readonly stops: number }
  | { readonly kind: 'stop' };
