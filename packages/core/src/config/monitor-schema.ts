/** The `monitor:` block: how `countersign run` and `attach` watch, and whether `proxy` does. What the processes may do is in `scope:`. */
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
import type { ScopeDocument } from './scope-schema.ts';
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
/** Whether calls of the processes wait for us before they happen. `auto`: where the host can, and it is told where it cannot. */
const KERNEL_CONTROLS = ['auto', 'off', 'required'] as const;
/** Of opens for reading. `off`: they pass unseen. `deny-list`: judged first. `broker`: opened for the process, which cannot swap the path. */
const TRAP_READS = ['off', 'deny-list', 'broker'] as const;
/** What the processes are shut in by, besides. `srt`: sandbox-runtime. `auto`: the strongest there is. */
const CONTAINS = ['off', 'landlock', 'srt', 'auto'] as const;
const CONTAIN_UNAVAILABLES = ['refuse', 'warn'] as const;

/** Between two looks at /proc. A look costs about 0.1 ms of CPU time for each process. */
const DEFAULT_POLL_MS = 250;
export const MIN_POLL_MS = 20;
export const MAX_POLL_MS = 60_000;
const DEFAULT_HALT_TIMEOUT_MS = 15 * 60_000;
const MAX_CANARIES = 1000;
const MAX_HOT_FOLDERS = 100;

export interface MonitorDocument {
  readonly poll?: string | undefined;
  readonly halt_timeout?: string | undefined;
  readonly on_halt_timeout?: (typeof HALT_TIMEOUTS)[number] | undefined;
  readonly canaries?: readonly string[] | undefined;
  readonly quarantine?: boolean | undefined;
  readonly kernel?: (typeof KERNEL_CONTROLS)[number] | undefined;
  readonly trap_reads?: (typeof TRAP_READS)[number] | undefined;
  readonly hot?: readonly string[] | undefined;
  readonly contain?: (typeof CONTAINS)[number] | undefined;
  readonly contain_unavailable?: (typeof CONTAIN_UNAVAILABLES)[number] | undefined;
  readonly probe?: boolean | undefined;
  readonly servers?: boolean | undefined;
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
  readonly kernel: (typeof KERNEL_CONTROLS)[number];
  readonly trapReads: (typeof TRAP_READS)[number];
  /** Absolute folders of programs and packages, of which reads are not told one by one. */
  readonly hot: readonly string[];
  readonly contain: (typeof CONTAINS)[number];
  /** When what `contain` asks for is not there. `warn`: the agent is started without it. */
  readonly containUnavailable: (typeof CONTAIN_UNAVAILABLES)[number];
  /** Node programs among what is launched carry the probe: they ask the rules from inside, too. */
  readonly probe: boolean;
  /** Of `countersign proxy`: the processes of the servers that it starts are watched. */
  readonly servers: boolean;
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
    kernel: z
      .enum(KERNEL_CONTROLS)
      .optional()
      .describe(
        'of `countersign run`, on Linux: files, programs and connections wait for us before they happen. auto: where this host can, and it is told where not; required: nothing is started without; auto when absent',
      ),
    trap_reads: z
      .enum(TRAP_READS)
      .optional()
      .describe(
        'of opens for reading: off: they pass unseen; deny-list: judged before they happen; broker: opened for the process, which cannot swap the path meanwhile. deny-list when absent',
      ),
    hot: z
      .array(z.string().min(1).max(4096))
      .max(MAX_HOT_FOLDERS)
      .optional()
      .describe('folders of programs and packages, relative to the folder of this file, of which reads are not told one by one'),
    contain: z
      .enum(CONTAINS)
      .optional()
      .describe(
        'what the processes are shut in by, besides. landlock: the kernel lets them at nothing but what the scope allows; srt: sandbox-runtime; auto: the strongest there is. off when absent',
      ),
    contain_unavailable: z
      .enum(CONTAIN_UNAVAILABLES)
      .optional()
      .describe('when this host does not have what `contain` asks for: refuse to start, or warn and start without. refuse when absent'),
    probe: z
      .boolean()
      .optional()
      .describe(
        'of `countersign run`, on Linux with koffi: Node programs among the processes ask the rules from inside too, before they act; no boundary. false when absent',
      ),
    servers: z
      .boolean()
      .optional()
      .describe(
        'of `countersign proxy`, on Linux: what the processes of the servers it starts do is judged by `scope`, and recorded with the call that it belongs to. false when absent',
      ),
    log: activityLogSchema.optional(),
    judge: judgeSchema.optional(),
    alerts: alertsSchema.optional(),
  })
  .describe('how `countersign run` and `attach` watch, and whether `proxy` does');

/** @param place - makes a path of the file absolute. */
export function workOutMonitor(
  document: { readonly monitor?: MonitorDocument | undefined; readonly scope?: ScopeDocument | undefined },
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
    kernel = 'auto',
    trap_reads: trapReads = 'deny-list',
    hot = [],
    contain = 'off',
    contain_unavailable: containUnavailable = 'refuse',
    probe = false,
    servers = false,
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
    kernel,
    trapReads,
    hot: hot.map(place),
    contain,
    containUnavailable,
    probe,
    servers,
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
  { poll, halt_timeout: haltTimeout, hot = [], log = {}, judge = {} }: MonitorDocument,
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
  for (const [index, folder] of hot.entries())
    if (HOLDS_TOO_MUCH.test(folder))
      problems.push(look(['monitor', 'hot', index], 'holds more than programs and packages: name folders such as node_modules'));
  return problems;
}

/** The root or a home: a folder nobody is told of reads in must not be one that secrets lie in. */
const HOLDS_TOO_MUCH = /^(?:\/[/.]*|~\/*|\/(?:home|root|Users|etc|proc)\/*)$/;
