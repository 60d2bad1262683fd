/** Counts what activity logs of sessions say, line by line, within bounds. */
import type { ResourceAction } from '../activity.ts';
import type { LogLine } from '../evidence/read-log.ts';
import { LEVELS, type Level } from '../verdict.ts';
import { Buckets } from './buckets.ts';
import type { LevelCounts, ResourcePoint, TimelineBucket, TopReason } from './report.ts';

/** Of one session; more are counted no further. */
const MAX_PROCESSES = 100_000;
const MAX_PIDS_NAMED = 50;
const MAX_REASONS = 5000;
const MAX_TOP = 20;
const MAX_CALLS = 20_000;

type Counts = Record<Level, number>;
export const noCounts = (): Counts => ({ SAFE: 0, FLAG: 0, HALT: 0, KILL: 0 });

/** What the lines of one session say. */
export class SessionTally {
  readonly verdicts: Counts = noCounts();
  activities = 0;
  lost = 0;
  badLines = 0;
  firstAt: number | undefined;
  lastAt: number | undefined;
  readonly #processes = new Set<string>();
  readonly #pids: number[] = [];

  get processes(): number {
    return this.#processes.size;
  }

  get pids(): readonly number[] {
    return this.#pids;
  }

  sawProcess(pid: number, start: number): void {
    const key = `${pid}:${start}`;
    if (this.#processes.size >= MAX_PROCESSES || this.#processes.has(key)) return;
    this.#processes.add(key);
    if (this.#pids.length < MAX_PIDS_NAMED) this.#pids.push(pid);
  }
}

interface Reasons {
  readonly level: Level;
  readonly rule: string;
  readonly reason: string;
  count: number;
}

/** What the lines of all sessions say together. */
export class LogTally {
  readonly #period: { readonly sinceMs: number; readonly untilMs: number };
  readonly #timeline = new Buckets<Counts>(noCounts, addCounts);
  readonly #resources = new Buckets<Partial<Record<Figure, number>>>(() => ({}), largest);
  readonly #rules = new Map<string, Reasons>();
  readonly #reasons = new Map<string, Reasons>();
  /** By call: surely, possibly. */
  readonly calls: Map<string, { sure: number; possible: number }> = new Map();
  /** Verdicts whose reasons were too many to tell apart. */
  reasonsOmitted = 0;

  constructor(period: { readonly sinceMs: number; readonly untilMs: number }) {
    this.#period = period;
  }

  see(line: LogLine, session: SessionTally): void {
    if ('bad' in line) {
      session.badLines++;
      return;
    }
    if ('lost' in line) {
      session.lost += line.lost;
      return;
    }
    const { activity, verdict } = line;
    const { at, actor, action, attribution } = activity;
    if (at < this.#period.sinceMs || at >= this.#period.untilMs) return;
    session.activities++;
    session.verdicts[verdict.level]++;
    session.firstAt = Math.min(session.firstAt ?? at, at);
    session.lastAt = Math.max(session.lastAt ?? at, at);
    if (actor !== undefined) session.sawProcess(actor.pid, actor.start);
    this.#timeline.at(at)[verdict.level]++;
    if (action.kind === 'resource') largest(this.#resources.at(at), figuresOf(action));
    if (attribution.call !== undefined) this.#call(attribution.call, 'sure');
    else for (const call of attribution.candidates ?? []) this.#call(call, 'possible');
    if (verdict.level === 'SAFE') return;
    this.#count(this.#rules, `${verdict.level} ${verdict.rule}`, verdict);
    if (!this.#count(this.#reasons, JSON.stringify([verdict.level, verdict.rule, verdict.reason]), verdict)) this.reasonsOmitted++;
  }

  timeline(): { readonly bucket_ms: number; readonly buckets: readonly TimelineBucket[] } {
    return { bucket_ms: this.#timeline.widthMs, buckets: this.#timeline.list().map(([at, counts]) => ({ at, ...counts })) };
  }

  resources(): { readonly bucket_ms: number; readonly points: readonly ResourcePoint[] } {
    return { bucket_ms: this.#resources.widthMs, points: this.#resources.list().map(([at, figures]) => ({ at, ...figures })) };
  }

  topRules(): readonly TopReason[] {
    return top(this.#rules);
  }

  topReasons(): readonly TopReason[] {
    return top(this.#reasons);
  }

  #call(call: string, how: 'sure' | 'possible'): void {
    const known = this.calls.get(call);
    if (known !== undefined) known[how]++;
    else if (this.calls.size < MAX_CALLS) this.calls.set(call, { sure: 0, possible: 0, [how]: 1 });
  }

  #count(counted: Map<string, Reasons>, key: string, { level, rule, reason }: TopReason | Omit<Reasons, 'count'>): boolean {
    const known = counted.get(key);
    if (known !== undefined) {
      known.count++;
      return true;
    }
    if (counted.size >= MAX_REASONS) return false;
    counted.set(key, { level, rule, reason, count: 1 });
    return true;
  }
}

const FIGURES = ['processes', 'cpu_percent', 'rss_bytes', 'threads', 'fds', 'read_bytes', 'write_bytes'] as const;
type Figure = (typeof FIGURES)[number];

function figuresOf(action: ResourceAction): Partial<Record<Figure, number>> {
  const figures: Partial<Record<Figure, number>> = {};
  for (const name of FIGURES) {
    const value = action[name];
    if (value !== undefined) figures[name] = value;
  }
  return figures;
}

/** A peak is what matters: it is not averaged away. */
function largest(into: Partial<Record<Figure, number>>, from: Partial<Record<Figure, number>>): void {
  for (const name of FIGURES) {
    const value = from[name];
    if (value !== undefined) into[name] = Math.max(into[name] ?? value, value);
  }
}

export function addCounts(into: Counts, from: LevelCounts): void {
  for (const level of LEVELS) into[level] += from[level];
}

/** The worst first, then the most frequent. */
function top(counted: ReadonlyMap<string, Reasons>): readonly TopReason[] {
  return [...counted.values()]
    .toSorted((a, b) => LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level) || b.count - a.count || (a.rule < b.rule ? -1 : 1))
    .slice(0, MAX_TOP);
}
