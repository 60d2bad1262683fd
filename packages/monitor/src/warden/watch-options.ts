/** What a session is watched with, and what there is of it while it is. */
import type { Redactor } from '@countersign/core';
import type { ProcessId } from '../activity.ts';
import type { Alerts } from '../alerts/alerts.ts';
import type { RecordNote } from '../evidence/note-queue.ts';
import type { OllamaJudge } from '../judge/ollama-judge.ts';
import type { TrapReads } from '../kernel/traps.ts';
import type { Containing } from '../sandbox/sandbox.ts';
import type { Scope } from '../scope/scope.ts';
import type { MonitorMode } from '../verdict.ts';
import type { Guards } from './guards.ts';
import type { AgentEnd, LaunchOptions } from './launch.ts';
import type { HaltQuestions, Warden, WardenEvent, WardenLedger } from './ports.ts';

export type WatchTarget = { readonly launch: LaunchOptions } | { readonly pid: number } | { readonly name: string };

export interface WatchOptions {
  readonly target: WatchTarget;
  readonly mode: MonitorMode;
  readonly scope: Scope;
  /** The folder the agent works in. Default: its working directory. */
  readonly workspace?: string;
  readonly home: string;
  /** Countersign's own: whatever of the tree touches them is ended. Folders count with all in them. */
  readonly own: {
    readonly files: readonly string[];
    readonly configs: readonly string[];
    /** Of the tree: may use the ledger. Absent: nothing of the tree may. */
    readonly guards?: Guards;
  };
  /** Files nobody has any business with. Absolute. */
  readonly canaries: readonly string[];
  readonly agent: string;
  /** Its session is also the marker in the environment of what is launched. */
  readonly ledger: WardenLedger;
  readonly note: RecordNote;
  readonly pollMs: number;
  readonly log: { readonly dir: string; readonly maxBytes: number; readonly keep: number; readonly maxAgeMs: number };
  /** What the agent was asked to do. */
  readonly task?: string;
  readonly judge?: OllamaJudge;
  readonly questions: HaltQuestions;
  readonly alerts?: Alerts;
  /** Absolute. Where files go that were written outside of the scope; absent: they stay. */
  readonly quarantine?: string;
  readonly onHaltTimeout: 'stay' | 'kill';
  /** Of what is launched: calls wait for the warden before they happen. Absent: they do not. */
  readonly kernel?: KernelControl;
  /** What shuts in what is launched, besides. */
  readonly contain?: Containing;
  /** Of what is launched: Node programs of it judge themselves too, from inside, and tell. Absent: they do not. */
  readonly probe?: boolean;
  readonly redactor?: Redactor;
  readonly onEvent: (event: WardenEvent) => void;
}

export interface KernelControl {
  readonly trapReads: TrapReads;
  /** Absolute folders of programs and packages, of which reads are not told one by one. */
  readonly hot?: readonly string[];
  /** On a host that cannot: nothing is started (default), or the agent is, and that is told. */
  readonly whenMissing?: 'refuse' | 'without';
}

export interface Watched {
  readonly process: ProcessId;
  readonly warden: Warden;
  /** Of what was launched: how it ended. Resolves also for what was attached to, without a code. */
  readonly ended: Promise<AgentEnd>;
  /** Of its tree, now: those that still run. */
  left(): readonly ProcessId[];
  /** Resolves when nothing of the tree runs any more, or when `signal` is aborted. */
  emptied(signal: AbortSignal): Promise<void>;
  /** The agent itself was stopped, by a terminal for one. */
  isStopped(): boolean;
  /** Sends a signal to what was launched, and to nothing else. @returns false when there is nothing to send it to. */
  signal(name: NodeJS.Signals): boolean;
}

/** Canaries are forbidden like any other path. */
export function withCanaries(scope: Scope, canaries: readonly string[]): Scope {
  const { filesystem } = scope;
  return { ...scope, filesystem: { ...filesystem, forbiddenPaths: [...filesystem.forbiddenPaths, ...canaries] } };
}
