/** What a rule is: pure, given one activity at a time, with memory of its own that is bounded. */
import type { ActionKind } from '../activity.ts';
import type { Scope } from '../scope/scope.ts';
import type { Level } from '../verdict.ts';
import type { Folders } from './folders.ts';
import type { Seen } from './seen.ts';

export interface RuleInfo {
  readonly id: string;
  readonly title: string;
  readonly explanation: string;
  /** What it may come to, in rising order. */
  readonly levels: readonly Exclude<Level, 'SAFE'>[];
}

export interface Finding {
  readonly rule: string;
  readonly level: Exclude<Level, 'SAFE'>;
  /** One line; texts of the watched process in it went through `quoted`. */
  readonly reason: string;
  /** `seq` of earlier activities it rests on. */
  readonly evidence?: readonly number[];
  readonly ambiguous?: true;
}

/** Files and processes that are Countersign's own. */
export interface Own {
  readonly files: readonly string[];
  /** Used by guards too: HALT for whoever uses them, until it is known who that is. */
  readonly shared: readonly string[];
  /** Of those: opened to read, or to read and write, and nothing else. */
  readonly databases: readonly string[];
  readonly configs: readonly string[];
  readonly pids: readonly number[];
}

/** An address and its names, as the host itself has them: not by the word of anybody who is watched. */
export interface HostsLine {
  readonly address: string;
  readonly names: readonly string[];
}

export interface Setting {
  readonly scope: Scope;
  readonly hosts: readonly HostsLine[];
  /** The scope is one of the predecessor's: its figures, its reach. */
  readonly literal: boolean;
  readonly folders: Folders;
  readonly own: Own;
  /** Whether a pid belongs to the watched tree; undefined when nobody can tell. */
  readonly isMember: (pid: number) => boolean | undefined;
}

export interface Judging {
  judge(seen: Seen, found: (finding: Finding) => void): void;
  /** A person let this go on: what these activities began is no longer held against what follows. */
  accept?(rule: string, evidence: readonly number[]): void;
}

export interface RuleFamily {
  readonly rules: readonly RuleInfo[];
  readonly kinds: readonly ActionKind[];
  begin(setting: Setting): Judging;
}
