/** What a process tree may do, worked out: plain data that rules are made from. */
import type { ScopeForm } from '@countersign/core';
import type { MonitorMode } from '../verdict.ts';

export interface Scope {
  /** `nested` and `flat`: the predecessor's forms, judged by its own figures. */
  readonly form: ScopeForm;
  readonly agent?: string;
  readonly mode?: MonitorMode;
  readonly filesystem: {
    /** Absent: read anywhere, write in the workspace. */
    readonly allowedPaths?: readonly string[];
    readonly forbiddenPaths: readonly string[];
    readonly forbiddenWrites: readonly string[];
    readonly forbiddenExtensions: readonly string[];
    readonly agentFiles: readonly string[];
  };
  readonly network: {
    /** Absent: any. */
    readonly allowedDomains?: readonly string[];
    readonly forbiddenDomains: readonly string[];
    /** Absent: any. */
    readonly allowedPorts?: readonly number[];
  };
  readonly process: {
    /** Absent: any. */
    readonly allowedCommands?: readonly string[];
    readonly forbiddenCommands: readonly string[];
  };
  readonly limits: Limits;
  /** What the file says and nobody heeds. */
  readonly warnings: readonly string[];
}

/** Counts and times after which a rule speaks. Absent: it never does. */
export interface Limits {
  readonly flagThreshold: number;
  readonly flagWindowMs: number;
  /** What `flagThreshold` comes to. `none`: it is only counted, as the predecessor did unless told otherwise. */
  readonly flagEnds: 'KILL' | 'HALT' | 'none';
  readonly haltThreshold?: number;
  readonly actionsPerMinute?: number;
  /** Deletions in ten seconds. */
  readonly deletions: number;
  /** Folders they were in, in a minute. */
  readonly deletionFolders?: number;
  readonly connectionsPerMinute: number;
  /** Processes started in ten seconds. */
  readonly spawns?: number;
  readonly processes?: number;
  readonly memoryBytes?: number;
  readonly cpuPercent?: number;
  readonly writeBytesPerMinute?: number;
  readonly chainWindowMs: number;
}

/** The predecessor's literal figures. */
export const LITERAL_LIMITS: Limits = {
  flagThreshold: 5,
  flagWindowMs: 300_000,
  flagEnds: 'none',
  actionsPerMinute: 60,
  deletions: 3,
  connectionsPerMinute: 50,
  chainWindowMs: 60_000,
};

/** Ours: ordinary builds stay below them. `test/rules/ordinary.test.ts` has what they were measured with. */
export const CALIBRATED_LIMITS: Limits = {
  flagThreshold: 50,
  flagWindowMs: 300_000,
  flagEnds: 'HALT',
  deletions: 20,
  deletionFolders: 10,
  connectionsPerMinute: 50,
  spawns: 3000,
  processes: 2000,
  memoryBytes: 16_384 * 1_048_576,
  cpuPercent: 1600,
  writeBytesPerMinute: 20_480 * 1_048_576,
  chainWindowMs: 60_000,
};
