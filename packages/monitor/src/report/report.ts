/** What a report says, before it has a form. Texts in it came from whoever was watched: escape them for the medium. */
import type { Enforcement } from '../enforcement.ts';
import type { CheckedFile } from '../evidence/check-log.ts';
import type { LevelChange } from '../evidence/session-file.ts';
import type { Level } from '../verdict.ts';

export const REPORT_VERSION = 1;

export type LevelCounts = Readonly<Record<Level, number>>;

export interface SessionReport {
  readonly session: string;
  readonly agent?: string;
  readonly how?: string;
  readonly command?: readonly string[];
  readonly mode?: string;
  /** The lowest that is known: `none`, `L0` ... `L3`; `unknown` where nothing says so. */
  readonly level: string;
  readonly grade?: string;
  /** What could be prevented at that level, and no more. Absent where nothing says so. */
  readonly enforcement?: Enforcement;
  /** Sensors that died: from then on less was seen. */
  readonly fell?: readonly LevelChange[];
  /** Of what was seen of it in the period; absent when nothing was. */
  readonly first_at?: number;
  readonly last_at?: number;
  readonly activities: number;
  readonly verdicts: LevelCounts;
  /** Processes that did something. */
  readonly processes: number;
  /** Some of them, in the order they were seen in. */
  readonly pids: readonly number[];
  readonly sensors: readonly {
    readonly name: string;
    readonly level: string;
    readonly seen: number;
    readonly lost: number;
    readonly alive: boolean;
  }[];
  /** Activities that are in no file. */
  readonly lost: number;
  /** Lines that are none of ours. */
  readonly bad_lines: number;
  /** It ended without saying so, or still runs. */
  readonly open?: true;
}

export interface TopReason {
  readonly level: Level;
  readonly rule: string;
  /** For a rule: of its first verdict. */
  readonly reason: string;
  readonly count: number;
}

export interface TimelineBucket extends LevelCounts {
  readonly at: number;
}

export interface ResourcePoint {
  readonly at: number;
  readonly processes?: number;
  readonly cpu_percent?: number;
  readonly rss_bytes?: number;
  readonly threads?: number;
  readonly fds?: number;
  readonly read_bytes?: number;
  readonly write_bytes?: number;
}

export interface ReportEvent {
  readonly at: number;
  readonly kind: 'verdict' | 'decision' | 'approval' | 'containment' | 'session' | 'canary' | 'predecessor';
  readonly level?: Level;
  /** What happened, in a few words. */
  readonly what: string;
  readonly text?: string;
  readonly call?: string;
  readonly incident?: string;
}

export interface CallReport {
  readonly call: string;
  readonly at: number;
  readonly agent?: string;
  readonly session?: string;
  readonly tool: string;
  readonly effect: string;
  readonly rule?: string;
  readonly reason_code?: string;
  readonly answers: readonly { readonly answer: string; readonly by: string }[];
  readonly status?: string;
  readonly duration_ms?: number;
  /** Seen of it: surely, and possibly. */
  readonly activities: number;
  readonly candidates: number;
  /** Verdicts on it, FLAG and above, as the ledger has them. */
  readonly verdicts: number;
}

export interface IncidentReport {
  readonly id: string;
  readonly at: number;
  readonly session: string;
  readonly level: Level;
  readonly rule: string;
  readonly reason: string;
  readonly state: string;
  readonly steps: readonly {
    readonly at: number;
    readonly event: string;
    readonly by?: string;
    readonly count?: number;
    /** Calls that failed instead of happening. */
    readonly refused?: number;
    readonly left?: number;
  }[];
  readonly processes: number;
}

export interface ExternalReport {
  readonly file: string;
  readonly rows: number;
  /** Rows with `safe: false`. */
  readonly blocked: number;
  readonly bad_lines: number;
  /** Of the newest. */
  readonly samples: readonly { readonly at: number; readonly safe?: boolean; readonly summary: string }[];
}

export interface PredecessorReport {
  readonly actions: number;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly incidents: readonly {
    readonly at: number;
    readonly session: string;
    readonly status: string;
    readonly reason: string;
    readonly target: string;
    readonly killed?: boolean;
  }[];
  readonly kill_reasons: readonly string[];
  readonly samples: readonly {
    readonly at: number;
    readonly verdict: string;
    readonly action: string;
    readonly target: string;
    readonly reason: string;
  }[];
  readonly bad_lines: number;
}

export interface Report {
  readonly v: typeof REPORT_VERSION;
  readonly generated_at: number;
  readonly since: number;
  readonly until: number;
  readonly sources: {
    readonly log_dir?: string;
    readonly ledger?: string;
    readonly workspace?: string;
    readonly predecessor_logs?: string;
  };
  /** From the first to the last that was seen. */
  readonly duration_ms: number;
  readonly counts: {
    readonly sessions: number;
    readonly activities: number;
    readonly verdicts: LevelCounts;
    readonly recorded_verdicts: Omit<LevelCounts, 'SAFE'>;
    readonly processes: number;
    readonly incidents: number;
    readonly calls: number;
    readonly allowed: number;
    readonly denied: number;
    readonly asked: number;
    readonly approvals: number;
    readonly lost: number;
    readonly bad_lines: number;
  };
  readonly sessions: readonly SessionReport[];
  readonly top_rules: readonly TopReason[];
  readonly top_reasons: readonly TopReason[];
  readonly timeline: { readonly bucket_ms: number; readonly buckets: readonly TimelineBucket[] };
  readonly events: readonly ReportEvent[];
  readonly events_omitted: number;
  readonly resources: { readonly bucket_ms: number; readonly points: readonly ResourcePoint[] };
  readonly calls: readonly CallReport[];
  readonly calls_omitted: number;
  readonly incidents: readonly IncidentReport[];
  readonly external: readonly ExternalReport[];
  readonly predecessor?: PredecessorReport;
  /** Everything it was made from. */
  readonly evidence: readonly CheckedFile[];
  /** What it cannot say, in sentences. */
  readonly limits: readonly string[];
}
