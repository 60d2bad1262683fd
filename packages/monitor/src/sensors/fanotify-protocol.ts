/** What the thread of the fanotify sensor and the rest of the warden say to each other. Plain data: it is cloned. */
import type { Observation, ProcessId } from '../activity.ts';
import type { RuleEngineOptions } from '../rules/engine.ts';
import type { Scope } from '../scope/scope.ts';
import type { MonitorMode, Verdict } from '../verdict.ts';
import type { Places } from './fanotify-marks.ts';

/** Given to the thread when it starts. */
export interface FanotifyStart {
  /** Of the group. Ours; whoever started the thread closes it. */
  readonly group: number;
  readonly members: readonly ProcessId[];
  readonly places: Places;
  readonly mode: MonitorMode;
  readonly scope: Scope;
  readonly rules: Pick<RuleEngineOptions, 'workspace' | 'home' | 'tmp' | 'own' | 'hosts'>;
}

export interface ToldOpen {
  readonly observation: Observation;
  /** What the thread made of it; with `held` it waits for an answer, without it was refused. Absent: it went on. */
  readonly judged?: Verdict;
  readonly held?: HeldOpen;
}

export interface HeldOpen {
  /** Descriptors are used again, this is not. */
  readonly number: number;
  /** It is answered by, and closed after that. The main thread's from now on, so that it is answered also when the thread is gone. */
  readonly fd: number;
  /** That waits. */
  readonly thread: number;
}

export type FromFanotify =
  | { readonly kind: 'listening' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** In order. `lost`: opens that nobody was asked about since the last message. */
  | { readonly kind: 'told'; readonly told: readonly ToldOpen[]; readonly lost: number }
  /** Guarded files and folders that could not be marked, in all. */
  | { readonly kind: 'unmarked'; readonly count: number };

export type ToFanotify =
  | { readonly kind: 'watch'; readonly pid: number; readonly start: number }
  | { readonly kind: 'forget'; readonly pid: number }
  /** What was held has its answer. */
  | { readonly kind: 'answered'; readonly number: number; readonly with: 'continue' | 'refuse' }
  | { readonly kind: 'stop' };
