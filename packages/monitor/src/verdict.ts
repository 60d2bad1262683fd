/** What is made of an activity. */

/** In rising order. `HALT`: frozen, a person decides. `KILL`: nothing of the tree is left. */
export const LEVELS = ['SAFE', 'FLAG', 'HALT', 'KILL'] as const;
export type Level = (typeof LEVELS)[number];

/** `audit_only` freezes and kills nothing, `flag_and_hold` kills nothing on its own, `enforce_kill` does all. */
export const MONITOR_MODES = ['audit_only', 'flag_and_hold', 'enforce_kill'] as const;
export type MonitorMode = (typeof MONITOR_MODES)[number];

export interface Verdict {
  readonly level: Level;
  /** Stable id of the rule: `secret-read`, `mass-deletion` ... */
  readonly rule: string;
  /** For people. Redacted, one line. */
  readonly reason: string;
  readonly evaluator: 'rules' | 'intent' | 'judge';
  /** 0 to 1; rules are sure. */
  readonly confidence: number;
  /** `seq` of the activities it rests on, the judged one last; at most `MAX_EVIDENCE`. */
  readonly evidence: readonly number[];
  /** No rule could tell: an optional judge may look. Only with `FLAG`. */
  readonly ambiguous?: true;
}

export const MAX_EVIDENCE = 100;

/** The highest wins; of equals the first. */
export function worse(a: Verdict, b: Verdict): Verdict {
  return LEVELS.indexOf(b.level) > LEVELS.indexOf(a.level) ? b : a;
}

/** What a mode does of a verdict. The verdict itself is recorded as it is. */
export function enforced(level: Level, mode: MonitorMode): Level {
  if (mode === 'audit_only') return level === 'SAFE' ? 'SAFE' : 'FLAG';
  return mode === 'flag_and_hold' && level === 'KILL' ? 'HALT' : level;
}
