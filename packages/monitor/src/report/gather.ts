/**
 * Makes a report of a period: of activity logs and incidents, of the ledger, and of what other programs left.
 *
 * Everything is streamed; what is held at once is bounded whatever there is. Files may have been changed by whoever was watched:
 * lines are checked, and each file is compared with the hash that the ledger has of it.
 */
import { lstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CountersignError, createRedactor, type Redactor } from '@countersign/core';
import type { RecordFacts } from '@countersign/core/sqlite';
import { cappedAt } from '../enforcement.ts';
import { type CheckedFile, checkActivityLog, hashFile } from '../evidence/check-log.ts';
import { type IncidentDocument, incidentState } from '../evidence/incident.ts';
import { incidentIds, readIncidentFile } from '../evidence/incident-files.ts';
import { INCIDENT_FOLDER, namesIn, segmentName, segmentNumbers } from '../evidence/log-folder.ts';
import { readActivityLog } from '../evidence/read-log.ts';
import { readSessionFile, SESSION_FILE, type SessionDocument } from '../evidence/session-file.ts';
import { Shown } from '../evidence/shown.ts';
import { canaryFiles, readCanaryLog } from './canary.ts';
import { KeptEvents } from './kept-events.ts';
import { LedgerTally } from './ledger-tally.ts';
import { limitsOf, sessionLimits } from './limits.ts';
import { addCounts, LogTally, noCounts, SessionTally } from './log-tally.ts';
import { predecessorFiles, readPredecessor } from './predecessor.ts';
import { type IncidentReport, REPORT_VERSION, type Report, type SessionReport } from './report.ts';
import { amountText } from './words.ts';

const MAX_SESSIONS = 500;
const MAX_INCIDENTS = 200;
const MAX_STEPS = 50;
const MAX_FILES = 2000;
const COVERAGES = ['none', 'L0', 'L1', 'L2', 'L3'];

export interface ReportOptions {
  /** UTC milliseconds. What was at `untilMs` is not in it. */
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly nowMs: number;
  /** Folder of the activity logs; none: the ledger alone. */
  readonly logDir?: string;
  /** Its records in order; none: nothing is compared with it. */
  readonly ledger?: { readonly path: string; readonly records: Iterable<RecordFacts> };
  /** Where an agent works: its `security/canary-*.jsonl` are read. */
  readonly workspace?: string;
  /** Folder in which the predecessor left its logs. Those in `logDir` are found without. */
  readonly predecessorLogs?: string;
  /** Default: the built-in rules. */
  readonly redactor?: Redactor;
  /** Told of what was read of the logs, in bytes. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * @throws {CountersignError} `ACTIVITY_LOG_FAILED` when the log folder is there and cannot be read; `LEDGER_*` as the records do.
 */
export function gatherReport(options: ReportOptions): Report {
  const { sinceMs, untilMs, nowMs, ledger, workspace, redactor = createRedactor() } = options;
  const period = { sinceMs, untilMs };
  const shown = new Shown(redactor);
  const limits: string[] = [];
  const events = new KeptEvents();
  const recorded = new LedgerTally(period, events);
  if (ledger === undefined) limits.push('no ledger was read: calls and answers are not in it, and no file was compared with its hash');
  else for (const facts of ledger.records) recorded.see(facts);
  if (recorded.counts.unreadable > 0)
    limits.push(`${amountText(recorded.counts.unreadable, 'record')} of the ledger cannot be read: run countersign verify`);

  const logDir = options.logDir === undefined ? undefined : resolve(options.logDir);
  const isThere = logDir !== undefined && isFolder(logDir);
  if (logDir !== undefined && !isThere) limits.push(`there is no log folder ${logDir}: nothing was logged there`);
  const tally = new LogTally(period);
  const seen = isThere ? readSessions(logDir, options, tally, events, limits) : [];
  const sessions = [...seen.map((session) => lowered(session, recorded)), ...onlyRecorded(seen, recorded)];
  const incidents = isThere ? readIncidents(logDir, period) : [];
  const bySession = sessions.map(({ report, facts, folder }) => {
    // Only of a session that lies in the period as a whole can the two be compared.
    const isWhole = facts !== undefined && facts.startedAtMs >= sinceMs && facts.endedAtMs !== undefined && facts.endedAtMs < untilMs;
    const verdicts = ledger === undefined ? undefined : (recorded.verdicts.get(report.session) ?? noCounts());
    const sentences = sessionLimits(report, facts, verdicts, isWhole);
    return { session: report.session, sentences: folder === undefined ? [...sentences, NO_LOG] : sentences };
  });
  limits.push(...limitsOf(bySession));
  if (sessions.length === 0) limits.push('no process was watched in this period, as far as these files tell');
  if (tally.reasonsOmitted > 0) limits.push(`${amountText(tally.reasonsOmitted, 'verdict')} had reasons that were too many to tell apart`);

  const canaries = workspace === undefined ? [] : canaryFiles(resolve(workspace)).filter(isFile);
  const external = canaries.map((file) => readCanaryLog(file, period, shown, events));
  const left = [...(isThere ? [logDir] : []), ...(options.predecessorLogs === undefined ? [] : [resolve(options.predecessorLogs)])].map(
    predecessorFiles,
  );
  const old = { actions: left.flatMap(({ actions }) => actions), incidents: left.flatMap((files) => files.incidents) };
  const predecessor = old.actions.length + old.incidents.length === 0 ? undefined : readPredecessor(old, period, shown, events);

  const evidence = [
    ...(isThere ? checkedFiles(logDir, recorded, sessions, incidents) : []),
    ...[...canaries, ...old.actions, ...old.incidents].map(hashed),
  ];
  const changed = evidence.filter(({ status }) => status === 'changed' || status === 'missing').length;
  if (changed > 0)
    limits.push(`${amountText(changed, 'file is', 'files are')} not what the ledger has the hash of, or gone: see the evidence`);
  limits.push('nothing in the ledger was verified for this report: that is countersign verify');

  const verdicts = noCounts();
  for (const { report } of sessions) addCounts(verdicts, report.verdicts);
  const onRecord = noCounts();
  for (const counts of recorded.verdicts.values()) addCounts(onRecord, counts);
  const { events: kept, omitted } = events.list();
  const { calls, allowed, denied, asked, approvals } = recorded.counts;
  const times = sessions.flatMap(({ report }) => [report.first_at, report.last_at].filter((at) => at !== undefined));
  const sum = (of: (session: SessionReport) => number): number => sessions.reduce((total, { report }) => total + of(report), 0);
  const report: Report = {
    v: REPORT_VERSION,
    generated_at: nowMs,
    since: sinceMs,
    until: untilMs,
    sources: {
      ...(logDir !== undefined && { log_dir: logDir }),
      ...(ledger !== undefined && { ledger: ledger.path }),
      ...(workspace !== undefined && { workspace: resolve(workspace) }),
      ...(options.predecessorLogs !== undefined && { predecessor_logs: resolve(options.predecessorLogs) }),
    },
    duration_ms: times.length === 0 ? 0 : Math.max(...times) - Math.min(...times),
    counts: {
      sessions: sessions.length,
      activities: sum(({ activities }) => activities),
      verdicts,
      recorded_verdicts: { FLAG: onRecord.FLAG, HALT: onRecord.HALT, KILL: onRecord.KILL },
      processes: sum(({ processes }) => processes),
      incidents: incidents.length,
      calls,
      allowed,
      denied,
      asked,
      approvals,
      lost: sum(({ lost }) => lost),
      bad_lines: sum((session) => session.bad_lines),
    },
    sessions: sessions.map(({ report: session }) => session),
    top_rules: tally.topRules(),
    top_reasons: tally.topReasons(),
    timeline: tally.timeline(),
    events: kept,
    events_omitted: omitted,
    resources: tally.resources(),
    calls: recorded.calls(tally.calls),
    calls_omitted: recorded.callsOmitted,
    incidents,
    external,
    ...(predecessor !== undefined && { predecessor }),
    evidence: evidence.slice(0, MAX_FILES),
    limits: evidence.length > MAX_FILES ? [...limits, `${amountText(evidence.length - MAX_FILES, 'file')} more not listed`] : limits,
  };
  return report;
}

const NO_LOG = 'it has no log in this folder: of what it did only the verdicts in the ledger are told';

interface SeenSession {
  readonly report: SessionReport;
  readonly facts: SessionDocument | undefined;
  /** Its folder's name; absent for a session that only the ledger knows. */
  readonly folder: string | undefined;
}

function readSessions(dir: string, options: ReportOptions, tally: LogTally, events: KeptEvents, limits: string[]): readonly SeenSession[] {
  const folders = sessionFolders(dir).filter((name) => wasWritten(join(dir, name), options.sinceMs));
  const total = folders.reduce((sum, name) => sum + bytesIn(join(dir, name)), 0);
  let before = 0;
  const found: SeenSession[] = [];
  for (const name of folders) {
    const path = join(dir, name);
    const facts = readSessionFile(join(path, SESSION_FILE));
    const of = new SessionTally();
    for (const segment of segmentNumbers(path).map((number) => join(path, segmentName(number)))) {
      try {
        readLog(segment, of, options, tally, events, (done) => options.onProgress?.(before + done, total));
      } catch (error) {
        // The folder is of the user who was watched: what was put into it may not keep the rest from being told.
        limits.push(
          `session ${name}: a file of its log cannot be read to its end: ${error instanceof Error ? error.message : 'unknown error'}`,
        );
      }
      before += lstatSync(segment, { throwIfNoEntry: false })?.size ?? 0;
    }
    const isIn = facts !== undefined && facts.startedAtMs < options.untilMs && (facts.endedAtMs ?? options.untilMs) >= options.sinceMs;
    if ((of.activities > 0 || isIn) && found.length < MAX_SESSIONS)
      found.push({ report: sessionReport(name, facts, of), facts, folder: name });
  }
  return found;
}

function readLog(
  path: string,
  of: SessionTally,
  { ledger, sinceMs, untilMs }: ReportOptions,
  tally: LogTally,
  events: KeptEvents,
  onProgress: (done: number) => void,
): void {
  for (const line of readActivityLog(path, { onProgress })) {
    tally.see(line, of);
    // With a ledger the verdicts on record are told; without one those that the files claim.
    if (ledger !== undefined || !('verdict' in line) || line.verdict.level === 'SAFE') continue;
    const { activity, verdict } = line;
    if (activity.at < sinceMs || activity.at >= untilMs) continue;
    events.add({ at: activity.at, kind: 'verdict', level: verdict.level, what: verdict.rule, text: verdict.reason });
  }
}

function sessionReport(folder: string, facts: SessionDocument | undefined, of: SessionTally): SessionReport {
  const sensors = (facts?.sensors ?? []).map(({ name, level, seen, lost, isAlive }) => ({ name, level, seen, lost, alive: isAlive }));
  return {
    session: facts?.session ?? folder,
    ...(facts !== undefined && { agent: facts.agent, mode: facts.mode }),
    ...(facts?.how !== undefined && { how: facts.how }),
    ...(facts?.command !== undefined && { command: facts.command }),
    level: facts?.level ?? 'unknown',
    ...(facts?.grade !== undefined && { grade: facts.grade }),
    ...(facts?.enforcement !== undefined && { enforcement: cappedAt(facts.enforcement, facts.level) }),
    ...(facts?.fell !== undefined && { fell: facts.fell }),
    ...(of.firstAt !== undefined && { first_at: of.firstAt }),
    ...(of.lastAt !== undefined && { last_at: of.lastAt }),
    activities: of.activities,
    verdicts: of.verdicts,
    processes: of.processes,
    pids: of.pids,
    sensors,
    lost: Math.max(of.lost, facts?.lost?.log ?? 0),
    bad_lines: of.badLines,
    ...(facts?.endedAtMs === undefined && { open: true as const }),
  };
}

/** The file is of the user who was watched: where it says more than the ledger, the ledger counts. */
function lowered(session: SeenSession, recorded: LedgerTally): SeenSession {
  const { report } = session;
  const level = recorded.coverage.get(report.session);
  const isLower = level !== undefined && (report.level === 'unknown' || COVERAGES.indexOf(level) < COVERAGES.indexOf(report.level));
  if (!isLower) return session;
  const { enforcement } = report;
  return { ...session, report: { ...report, level, ...(enforcement !== undefined && { enforcement: cappedAt(enforcement, level) }) } };
}

/** Sessions with verdicts on record and without a log here. */
function onlyRecorded(seen: readonly SeenSession[], recorded: LedgerTally): readonly SeenSession[] {
  const known = new Set(seen.map(({ report }) => report.session));
  return [...recorded.verdicts.keys()]
    .filter((session) => !known.has(session))
    .slice(0, MAX_SESSIONS)
    .map((session) => ({ report: recordedSession(session, recorded), facts: undefined, folder: undefined }));
}

function recordedSession(session: string, { coverage, verdicts, sessions }: LedgerTally): SessionReport {
  const { open: _, ...bare } = sessionReport(session, undefined, new SessionTally());
  const known = sessions.get(session);
  return {
    ...bare,
    ...(known?.agent !== undefined && { agent: known.agent }),
    level: coverage.get(session) ?? 'unknown',
    verdicts: verdicts.get(session) ?? noCounts(),
    ...(known?.hasEnded !== true && { open: true as const }),
  };
}

function readIncidents(
  dir: string,
  { sinceMs, untilMs }: { readonly sinceMs: number; readonly untilMs: number },
): readonly IncidentReport[] {
  return incidentIds(dir)
    .filter(({ writtenMs }) => writtenMs >= sinceMs)
    .flatMap(({ path }) => readIncidentFile(path) ?? [])
    .filter(({ at }) => at >= sinceMs && at < untilMs)
    .slice(0, MAX_INCIDENTS)
    .map(incidentReport)
    .toSorted((a, b) => a.at - b.at);
}

function incidentReport({ id, at, session, verdict, steps, evidence }: IncidentDocument): IncidentReport {
  return {
    id,
    at,
    session,
    level: verdict.level,
    rule: verdict.rule,
    reason: verdict.reason,
    state: incidentState(steps),
    steps: steps.slice(-MAX_STEPS).map((step) => ({
      at: step.at,
      event: step.event,
      ...(step.by !== undefined && { by: step.by }),
      ...(step.count !== undefined && { count: step.count }),
      ...(step.refused !== undefined && { refused: step.refused }),
      ...(step.left !== undefined && { left: step.left.length }),
    })),
    processes: (evidence?.processes.length ?? 0) + (evidence?.omitted ?? 0),
  };
}

/** Files of the sessions and incidents that are told of. */
function checkedFiles(
  dir: string,
  { files }: LedgerTally,
  sessions: readonly SeenSession[],
  incidents: readonly IncidentReport[],
): readonly CheckedFile[] {
  const folders = new Set(sessions.flatMap(({ folder }) => folder ?? []));
  const ids = new Set(incidents.map(({ id }) => join(INCIDENT_FOLDER, `${id}.json`)));
  const isMeant = (path: string): boolean => ids.has(path) || folders.has(path.slice(0, path.indexOf('/')));
  return checkActivityLog(dir, files, isMeant).map((file) => ({ ...file, path: join(dir, file.path) }));
}

function hashed(path: string): CheckedFile {
  const read = hashFile(path);
  return read === undefined ? { path, status: 'unreadable' } : { path, status: 'not-recorded', ...read };
}

function sessionFolders(dir: string): readonly string[] {
  try {
    return namesIn(dir).filter((name) => name !== INCIDENT_FOLDER && isFolder(join(dir, name)));
  } catch (cause) {
    const why = String((cause as NodeJS.ErrnoException).code);
    throw new CountersignError('ACTIVITY_LOG_FAILED', `the log folder ${dir} cannot be read: ${why}`, { cause });
  }
}

/** A session of long ago need not be read line by line. */
function wasWritten(folder: string, sinceMs: number): boolean {
  return namesIn(folder).some((name) => (lstatSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0) >= sinceMs);
}

function bytesIn(folder: string): number {
  return namesIn(folder).reduce((sum, name) => sum + (lstatSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
