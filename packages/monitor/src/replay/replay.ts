/**
 * A recorded session under another scope: what would have been flagged, halted, killed.
 *
 * The rules judge each recorded activity anew, in order, with memory of their own. Intent check and judge are not asked again. What
 * the log does not have cannot be judged: activities that were lost are counted, words that were redacted match no pattern, and what a
 * session would have done otherwise, had it been stopped, nobody knows: everything after the first KILL is counted apart.
 */
import type { LoggedActivity } from '../evidence/activity-line.ts';
import type { LogLine } from '../evidence/read-log.ts';
import { type RuleEngineOptions, ruleEngine } from '../rules/engine.ts';
import type { Scope } from '../scope/scope.ts';
import { LEVELS, type Level, type Verdict } from '../verdict.ts';

/** Activities whose level changes that are kept as examples, of each kind of change. */
const MAX_EXAMPLES = 5;
/** Kinds of change that are counted apart; there are not more rules than that. */
const MAX_CHANGES = 500;

export interface ReplayOptions extends Pick<RuleEngineOptions, 'workspace' | 'home' | 'tmp' | 'own' | 'platform'> {
  /** Told of each, in order. */
  readonly onActivity?: (logged: LoggedActivity, verdict: Verdict) => void;
}

export interface ReplayChange {
  readonly from: Level;
  readonly to: Level;
  /** Of the scope it was replayed under; of the recorded verdict where that one has nothing against it. */
  readonly rule: string;
  readonly count: number;
  readonly examples: readonly { readonly logged: LoggedActivity; readonly verdict: Verdict }[];
}

export interface Replay {
  readonly activities: number;
  /** As they were judged then, and as they are now. */
  readonly recorded: Readonly<Record<Level, number>>;
  readonly replayed: Readonly<Record<Level, number>>;
  /** FLAG and above under this scope, by rule. */
  readonly rules: ReadonlyMap<string, number>;
  /** Gravest first, then most frequent. */
  readonly changes: readonly ReplayChange[];
  /** The first of each level under this scope. */
  readonly first: Readonly<Partial<Record<Exclude<Level, 'SAFE'>, { readonly logged: LoggedActivity; readonly verdict: Verdict }>>>;
  /** Activities after the first KILL. */
  readonly afterKill: number;
  /** Activities the log had no room or no disk for. */
  readonly lost: number;
  readonly badLines: number;
}

export function replayActivity(lines: Iterable<LogLine>, scope: Scope, options: ReplayOptions): Replay {
  const { onActivity, ...given } = options;
  // Links are not followed: they are those of another host, or of another time.
  const engine = ruleEngine(scope, { ...given, real: (path) => path });
  const recorded = countsOf();
  const replayed = countsOf();
  const rules = new Map<string, number>();
  const changes = new Map<string, { from: Level; to: Level; rule: string; count: number; examples: ReplayChange['examples'][number][] }>();
  const first: { -readonly [Key in keyof Replay['first']]: Replay['first'][Key] } = {};
  let activities = 0;
  let afterKill = 0;
  let lost = 0;
  let badLines = 0;
  for (const logged of lines) {
    if (!('activity' in logged)) {
      if ('lost' in logged) lost += logged.lost;
      else badLines++;
      continue;
    }
    const verdict = engine.judge(logged.activity);
    activities++;
    if (first.KILL !== undefined) afterKill++;
    recorded[logged.verdict.level]++;
    replayed[verdict.level]++;
    onActivity?.(logged, verdict);
    if (verdict.level !== 'SAFE') {
      rules.set(verdict.rule, (rules.get(verdict.rule) ?? 0) + 1);
      first[verdict.level] ??= { logged, verdict };
    }
    if (verdict.level === logged.verdict.level) continue;
    const rule = verdict.level === 'SAFE' ? logged.verdict.rule : verdict.rule;
    const key = JSON.stringify([logged.verdict.level, verdict.level, rule]);
    const change = changes.get(key) ?? { from: logged.verdict.level, to: verdict.level, rule, count: 0, examples: [] };
    change.count++;
    if (change.examples.length < MAX_EXAMPLES) change.examples.push({ logged, verdict });
    if (changes.has(key) || changes.size < MAX_CHANGES) changes.set(key, change);
  }
  return {
    activities,
    recorded,
    replayed,
    rules,
    changes: [...changes.values()].toSorted((a, b) => LEVELS.indexOf(b.to) - LEVELS.indexOf(a.to) || b.count - a.count),
    first,
    afterKill,
    lost,
    badLines,
  };
}

function countsOf(): Record<Level, number> {
  return { SAFE: 0, FLAG: 0, HALT: 0, KILL: 0 };
}
