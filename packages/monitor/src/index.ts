export { type Alert, type AlertCause, actionText, alertOf } from './alerts/alert.ts';
export { type AlertChannel, type Alerts, type AlertsOptions, alerts } from './alerts/alerts.ts';
export { type AlertMessage, commandAlert, terminalAlert, webhookAlert } from './alerts/channels.ts';
export type { Capability, CapabilityName, HostCapabilities } from './capabilities.ts';
export { capabilityLines, hostCapabilities, triedCapabilities } from './capabilities.ts';
export { cappedAt, type Enforcement, type Hold, kindsText, PREVENTABLE, type Preventable } from './enforcement.ts';
export type { LoggedActivity, LostLines } from './evidence/activity-line.ts';
export type { ActivityLog, ActivityLogOptions, ActivityLogStats } from './evidence/activity-log.ts';
export { activityLog } from './evidence/activity-log.ts';
export { type Evidence, type EvidenceOptions, openEvidence } from './evidence/evidence.ts';
export type { IncidentDocument } from './evidence/incident.ts';
export { incidentState } from './evidence/incident.ts';
export { incidentIds, readIncident, readIncidentFile } from './evidence/incident-files.ts';
export type { RecordNote } from './evidence/note-queue.ts';
export type { BadLine, LogLine, ReadLogOptions } from './evidence/read-log.ts';
export { readActivityLog } from './evidence/read-log.ts';
export type { SensorFacts, SessionFacts } from './evidence/session-file.ts';
export { type IntentCheck, type IntentOptions, intentCheck } from './intent/intent-check.ts';
export { DEFAULT_JUDGE_URL, type JudgeStats, type OllamaJudge, type OllamaJudgeOptions, ollamaJudge } from './judge/ollama-judge.ts';
export type { JudgeInput } from './judge/question.ts';
export type { HostMonitorOptions, MonitorStats, ResourceMonitor } from './monitor.ts';
export { hostMonitor } from './monitor.ts';
export type { HostProbeOptions, ProbeStats } from './probe/host-probe.ts';
export { installProbe, type Probe, type ProbeOptions } from './probe/install.ts';
export type { Manifest } from './quarantine/manifest.ts';
export { QUARANTINE_FOLDER, type Quarantine, type QuarantineOptions, quarantine, type TakeAbout } from './quarantine/quarantine.ts';
export { recordRestored } from './quarantine/record.ts';
export type { RecordedFile } from './quarantine/restore.ts';
export { type RollbackItem, type RollbackResult, recordedFiles } from './quarantine/rollback.ts';
export { type SessionQuarantine, sessionQuarantine } from './quarantine/session-quarantine.ts';
export { readReplayable } from './replay/read-replayable.ts';
export { type Replay, type ReplayChange, type ReplayOptions, replayActivity } from './replay/replay.ts';
export type { ReportOptions } from './report/gather.ts';
export type { Report } from './report/report.ts';
export { makeReport, REPORT_FORMATS, type ReportFormat, reportText } from './report/write-report.ts';
export { type RuleEngine, type RuleEngineOptions, ruleEngine } from './rules/engine.ts';
export { RULES } from './rules/index.ts';
export type { RuleInfo } from './rules/rule.ts';
export {
  type Contained,
  type Containing,
  openSandbox,
  type Prepared,
  type Sandbox,
  type SandboxCommand,
  type Surroundings,
} from './sandbox/sandbox.ts';
export { type SandboxStart, startOf } from './sandbox/start.ts';
export type { Unexpressed } from './sandbox/unexpressed.ts';
export { defaultScope, type LoadScopeOptions, loadScope, type ScopeSource } from './scope/load.ts';
export type { Limits, Scope } from './scope/scope.ts';
export { type HaltArguments, type HaltQuestionsOptions, haltPolicy, haltQuestions } from './warden/halt-questions.ts';
export { type AgentEnd, type FoundProgram, findProgram, type LaunchOptions } from './warden/launch.ts';
export type { Incident, IncidentStep, Warden, WardenEvent, WardenOptions, WardenSummary } from './warden/ports.ts';
export { type ServerIncidents, type ServerIncidentsOptions, serverIncidents } from './warden/server-incidents.ts';
export { type SharedTerminal, sharedTerminal } from './warden/shared-terminal.ts';
export { notesOf as sandboxNotes } from './warden/shut-in.ts';
export { runWarden } from './warden/warden.ts';
export { watchProcesses } from './warden/watch.ts';
export type { Watched, WatchOptions, WatchTarget } from './warden/watch-options.ts';
export { type ServerProcess, type ServerWatch, type ServerWatchOptions, watchServers } from './warden/watch-servers.ts';
