/**
 * An incident as a file: what was done, what led to it, what the processes were, what was done about it. Format:
 * `docs/formats/incident.md`.
 *
 *     {"v":1,"id":"...","at":1767225607000,"session":"...","agent":"...","mode":"enforce_kill","activity":{...},"verdict":{...},
 *      "timeline":[...],"omitted":0,"evidence":{...},"steps":[...]}
 */
import { isRollback } from '../quarantine/rollback.ts';
import { MONITOR_MODES } from '../verdict.ts';
import type { Incident, IncidentStep } from '../warden/ports.ts';
import { isLoggedActivity, type LoggedActivity } from './activity-line.ts';
import { isCount, isNumber, isProcessId, isText, isTextList, shape } from './activity-shapes.ts';
import type { CapturedEvidence } from './capture.ts';

export const INCIDENT_VERSION = 1;
export const MAX_INCIDENT_BYTES = 33_554_432;
/** 128 random bits, hex: a file name without any text of others. */
export const INCIDENT_ID: RegExp = /^[0-9a-f]{32}$/;

const EVENTS: readonly IncidentStep['event'][] = [
  'frozen',
  'resumed',
  'denied',
  'killed',
  'overridden',
  'quarantined',
  'restored',
  'failed',
];

export interface IncidentDocument extends Incident {
  readonly v: typeof INCIDENT_VERSION;
  readonly agent: string;
  readonly timeline: readonly LoggedActivity[];
  /** Seen in this session, and not in the timeline. */
  readonly omitted: number;
  /** Absent: it could not be taken. */
  readonly evidence?: CapturedEvidence;
  readonly steps: readonly IncidentStep[];
}

/** Deeper than any of ours; writing it out again must not run out of stack. */
const MAX_DEPTH = 32;

/** @returns undefined for what no version of ours wrote. */
export function parseIncident(text: string): IncidentDocument | undefined {
  let document: unknown;
  if (!isShallow(text)) return undefined;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  // Checked by the shapes, member by member.
  return isIncident(document) && isLoggedActivity(document) ? (document as IncidentDocument) : undefined;
}

/** What became of it: the last answer or end there was; `frozen` while nobody answered, `open` when not even that is known. */
export function incidentState(steps: readonly IncidentStep[]): IncidentStep['event'] | 'open' {
  return steps.findLast(({ event }) => event !== 'quarantined' && event !== 'restored')?.event ?? 'open';
}

/** Strings are stepped over; of what is no JSON any answer will do. */
function isShallow(text: string): boolean {
  let depth = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') depth++;
    else if (token === ']' || token === '}') depth--;
    if (depth > MAX_DEPTH) return false;
  }
  return true;
}

const isStep = shape(
  { at: isCount, event: (value) => EVENTS.some((event) => event === value) },
  {
    grade: (value) => value === 'signal' || value === 'gate' || value === 'cgroup',
    count: isCount,
    refused: isCount,
    left: (value) => Array.isArray(value) && value.every(isProcessId),
    duration_ms: isNumber,
    by: isText,
    rollback: isRollback,
  },
);
const isSocket = shape({ protocol: isText, local: isText }, { remote: isText, listening: (value) => value === true });
const isDescriptor = shape({ fd: isCount, target: isText }, { access: isText, position: isNumber, socket: isSocket });
const isCaptured = shape(
  { pid: isCount, start: isNumber },
  {
    parent: isCount,
    user: isCount,
    exe: isText,
    exe_sha256: isText,
    argv: isTextList,
    cwd: isText,
    fds: (value) => Array.isArray(value) && value.every(isDescriptor),
    fds_omitted: isCount,
    deleted_maps: isTextList,
    unread: isTextList,
  },
);
const isIncident = shape(
  {
    v: (value) => value === INCIDENT_VERSION,
    id: (value) => typeof value === 'string' && INCIDENT_ID.test(value),
    at: isCount,
    session: isText,
    agent: isText,
    mode: (value) => MONITOR_MODES.some((mode) => mode === value),
    timeline: (value) => Array.isArray(value) && value.every(isLoggedActivity),
    omitted: isCount,
    steps: (value) => Array.isArray(value) && value.every(isStep),
  },
  { evidence: shape({ at: isCount, processes: (value) => Array.isArray(value) && value.every(isCaptured), omitted: isCount }) },
);
