/** The `monitor:` block: how `countersign run` and `attach` watch. What the processes may do is in `scope:`. */
import * as z from 'zod';
import type { Mode } from '../call.ts';
import type { VerdictBody } from '../ledger/entry.ts';
import {
  type ActivityLogConfig,
  type ActivityLogDocument,
  activityLogProblems,
  activityLogSchema,
  workOutActivityLog,
} from './activity-log-schema.ts';
import type { Look, Problem } from './document.ts';
import { DURATION_HINT, parseDuration } from './duration.ts';
import type { ConfigDocument } from './schema.ts';
import {
  type AlertsConfig,
  type AlertsDocument,
  alertsSchema,
  type JudgeConfig,
  type JudgeDocument,
  judgeProblems,
  judgeSchema,
  workOutAlerts,
  workOutJudge,
} from './telling-schema.ts';

export const HALT_TIMEOUTS = ['stay', 'kill'] as const;

/** Between two looks at /proc. A look costs about 0.1 ms of CPU time for each process. */
const DEFAULT_POLL_MS = 250;
export const MIN_POLL_MS = 20;
export const MAX_POLL_MS = 60_000;
const DEFAULT_HALT_TIMEOUT_MS = 15 * 60_000;
const MAX_CANARIES = 1000;

export interface MonitorDocument {
  readonly poll?: string | undefined;
  readonly halt_timeout?: string | undefined;
  readonly on_halt_timeout?: (typeof HALT_TIMEOUTS)[number] | undefined;
  readonly canaries?: readonly string[] | undefined;
  readonly quarantine?: boolean | undefined;
  readonly log?: ActivityLogDocument | undefined;
  readonly judge?: JudgeDocument | undefined;
  readonly alerts?: AlertsDocument | undefined;
}

export interface MonitorConfig {
  /** What is done of verdicts: `scope.behavior.mode`, else after the `mode` of the file. */
  readonly mode: VerdictBody['mode'];
  readonly pollMs: number;
  /** How long a halt waits for an answer, and for how long an answer to it is good. */
  readonly haltTimeoutMs: number;
  /** `stay`: it stays frozen, and is asked about anew. */
  readonly onHaltTimeout: (typeof HALT_TIMEOUTS)[number];
  /** Absolute. Files nobody has any business with: whatever touches one is stopped. */
  readonly canaries: readonly string[];
  /** Files that were written outside of the scope are put aside after a kill. */
  readonly quarantine: boolean;
  readonly log: ActivityLogConfig;
  /** Absent: nobody but the rules judges. */
  readonly judge?: JudgeConfig;
  readonly alerts: AlertsConfig;
}

export const monitorSchema: z.ZodType<MonitorDocument> = z
  .strictObject({
    poll: z.string().optional().describe('between two looks at the processes: a duration from 20ms to 1m; 250ms when absent'),
    halt_timeout: z
      .string()
      .optional()
      .describe('how long a halt waits for an answer: a duration of at most approvals.max_ttl; 15m when absent'),
    on_halt_timeout: z
      .enum(HALT_TIMEOUTS)
      .optional()
      .describe('stay: it stays frozen and is asked about anew; kill: nothing of it is left. stay when absent'),
    canaries: z
      .array(z.string().min(1).max(4096))
      .max(MAX_CANARIES)
      .optional()
      .describe('files nobody has any business with, relative to the folder of this file: whatever touches one is stopped'),
    quarantine: z
      .boolean()
      .optional()
      .describe('files that were written outside of the scope are put aside after a kill; true when absent'),
    log: activityLogSchema.optional(),
    judge: judgeSchema.optional(),
    alerts: alertsSchema.optional(),
  })
  .describe('how `countersign run` and `attach` watch');

/** @param place - makes a path of the file absolute. */
export function workOutMonitor(
  document: Pick<ConfigDocument, 'monitor' | 'scope'>,
  mode: Mode,
  maxTtlMs: number,
  place: (name: string) => string,
): MonitorConfig {
  const {
    poll,
    halt_timeout: haltTimeout,
    on_halt_timeout: onHaltTimeout = 'stay',
    canaries = [],
    quarantine = true,
    log = {},
    judge,
    alerts = {},
  } = document.monitor ?? {};
  return {
    mode: document.scope?.behavior?.mode ?? followed(mode),
    pollMs: duration(poll) ?? DEFAULT_POLL_MS,
    haltTimeoutMs: duration(haltTimeout) ?? Math.min(DEFAULT_HALT_TIMEOUT_MS, maxTtlMs),
    onHaltTimeout,
    canaries: canaries.map(place),
    quarantine,
    log: workOutActivityLog(log, place),
    ...(judge !== undefined && { judge: workOutJudge(judge) }),
    alerts: workOutAlerts(alerts, place),
  };
}

function followed(mode: Mode): MonitorConfig['mode'] {
  switch (mode) {
    case 'audit':
      return 'audit_only';
    case 'confirm':
      return 'flag_and_hold';
    case 'enforce':
      return 'enforce_kill';
  }
}

function duration(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}

/** @param maxTtl - as written. */
export function monitorProblems(
  { poll, halt_timeout: haltTimeout, log = {}, judge = {} }: MonitorDocument,
  maxTtl: string,
  look: Look,
): readonly Problem[] {
  const problems: Problem[] = [...activityLogProblems(log, look), ...judgeProblems(judge, look)];
  if (poll !== undefined) {
    const pollMs = parseDuration(poll);
    if (pollMs === undefined) problems.push(look(['monitor', 'poll'], DURATION_HINT));
    else if (pollMs < MIN_POLL_MS || pollMs > MAX_POLL_MS) problems.push(look(['monitor', 'poll'], 'must be from 20ms to 1m'));
  }
  if (haltTimeout !== undefined) {
    const timeoutMs = parseDuration(haltTimeout);
    if (timeoutMs === undefined) problems.push(look(['monitor', 'halt_timeout'], DURATION_HINT));
    else if (timeoutMs > (parseDuration(maxTtl) ?? Number.POSITIVE_INFINITY))
      problems.push(
        look(['monitor', 'halt_timeout'], `longer than ${maxTtl}, the most an approval may wait; raise approvals.max_ttl if that is meant`),
      );
  }
  return problems;
}
