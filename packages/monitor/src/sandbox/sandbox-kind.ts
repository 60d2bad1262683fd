/** What every way of shutting a program in has to do. */
import type { LandlockRules } from '../kernel/landlock.ts';
import type { Scope } from '../scope/scope.ts';
import type { Unexpressed } from './unexpressed.ts';

export interface SandboxCommand {
  /** Absolute. */
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Where a command belongs. Absolute. */
export interface Surroundings {
  readonly workspace: string;
  readonly home: string;
  /** Countersign's own files, which it has no business with. */
  readonly own: readonly string[];
  /** What it has to read besides. */
  readonly reads?: readonly string[];
}

export interface Prepared extends SandboxCommand {
  /** For the launch shim, which puts it on. */
  readonly landlock?: LandlockRules;
  /** What of the scope this does not hold it to. */
  readonly unexpressed: readonly Unexpressed[];
}

export interface Sandbox {
  readonly name: SandboxName;
  /** @throws {CountersignError} `MONITOR_UNAVAILABLE` */
  prepare(command: SandboxCommand, surroundings: Surroundings): Promise<Prepared>;
  /** What was prepared must have ended. */
  close(): Promise<void>;
}

export type SandboxName = 'landlock' | 'srt';

/** One way of shutting in. */
export interface SandboxKind {
  readonly name: SandboxName;
  /** Opens it for one scope, having tried it. @returns why not, for people */
  open(scope: Scope): Promise<Sandbox | { readonly missing: string }>;
}
