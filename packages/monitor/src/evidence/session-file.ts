/** What a session was, beside its log: what watched it, what that could see, what was lost. `<session>/session.json`. */
import { openFile } from '@countersign/core';
import { type Enforcement, HOLDS, PREVENTABLE } from '../enforcement.ts';
import { MONITOR_MODES, type MonitorMode } from '../verdict.ts';
import { isCount, isNumber, isText, isTextList, shape } from './activity-shapes.ts';

export const SESSION_FILE = 'session.json';
export const SESSION_FILE_VERSION = 1;
const MAX_SESSION_BYTES = 1_048_576;

export interface SensorFacts {
  readonly name: string;
  readonly level: string;
  /** Kinds of actions it can see. */
  readonly gives?: readonly string[];
  /** It saw nothing more from some time on. */
  readonly isAlive: boolean;
  readonly seen: number;
  readonly lost: number;
}

/** From then on less could be seen, and prevented. */
export interface LevelChange {
  readonly at: number;
  /** From then on. */
  readonly level: string;
  readonly sensor: string;
  readonly why: string;
}

/** Processes that were taken for guards by their lease: what they did with Countersign's own files is in no log. */
export interface GuardsSeen {
  readonly count: number;
  /** At most 100. */
  readonly first: readonly { readonly pid: number; readonly start: number; readonly exe?: string }[];
}

/** As told by whoever watches. */
export interface SessionFacts {
  readonly startedAtMs: number;
  /** Absent while it is watched; a crash leaves it so. */
  readonly endedAtMs?: number;
  readonly mode: MonitorMode;
  /** The lowest it was at: `none`, `L0` ... `L3`. */
  readonly level: string;
  readonly grade?: string;
  /** `run`, or `attach`. */
  readonly how?: string;
  /** What was launched; redacted when it is written. */
  readonly command?: readonly string[];
  readonly pids?: readonly number[];
  readonly sensors: readonly SensorFacts[];
  /** As decided when it started. */
  readonly enforcement?: Enforcement;
  /** Sensors that died, in order. */
  readonly fell?: readonly LevelChange[];
  /** Absent: none. */
  readonly guards?: GuardsSeen;
  /** Activities that no log took, verdicts that no ledger took, questions that no judge answered. */
  readonly lost?: { readonly log?: number; readonly ledger?: number; readonly judge?: number };
}

export interface SessionDocument extends SessionFacts {
  readonly v: typeof SESSION_FILE_VERSION;
  readonly session: string;
  readonly agent: string;
}

const isSensor = shape(
  { name: isText, level: isText, isAlive: (value) => typeof value === 'boolean', seen: isCount, lost: isCount },
  { gives: isTextList },
);
const isHold = (value: unknown): boolean => HOLDS.some((hold) => hold === value);
const isEnforcement = shape(
  {
    level: isText,
    freeze: isText,
    actions: shape({}, Object.fromEntries(PREVENTABLE.map((kind) => [kind, isHold]))),
    notes: isTextList,
  },
  { contain: (value) => value === 'landlock' || value === 'srt', passedOver: isText, without: isText, probe: isText },
);
const isChange = shape({ at: isCount, level: isText, sensor: isText, why: isText }, {});
const isGuard = shape({ pid: isCount, start: isNumber }, { exe: isText });
const isSession = shape(
  {
    v: (value) => value === SESSION_FILE_VERSION,
    session: isText,
    agent: isText,
    startedAtMs: isCount,
    mode: (value) => MONITOR_MODES.some((mode) => mode === value),
    level: isText,
    sensors: (value) => Array.isArray(value) && value.every(isSensor),
  },
  {
    endedAtMs: isCount,
    grade: isText,
    how: isText,
    command: isTextList,
    pids: (value) => Array.isArray(value) && value.every(isCount),
    enforcement: isEnforcement,
    guards: shape({ count: isCount, first: (value) => Array.isArray(value) && value.every(isGuard) }),
    fell: (value) => Array.isArray(value) && value.every(isChange),
    lost: shape({}, { log: isNumber, ledger: isNumber, judge: isNumber }),
  },
);

/** Undefined when there is none, or it holds something else. */
export function readSessionFile(path: string): SessionDocument | undefined {
  try {
    const file = openFile(path);
    try {
      if (file.sizeBytes > MAX_SESSION_BYTES) return undefined;
      const bytes = Buffer.alloc(file.sizeBytes);
      const document: unknown = JSON.parse(bytes.toString('utf8', 0, file.read(bytes, 0)));
      // Checked by the shape, member by member.
      return isSession(document) ? (document as SessionDocument) : undefined;
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}
