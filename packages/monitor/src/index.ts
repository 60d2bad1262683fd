export type { LoggedActivity, LostLines } from './evidence/activity-line.ts';
export type { ActivityLog, ActivityLogOptions, ActivityLogStats, RecordNote } from './evidence/activity-log.ts';
export { activityLog } from './evidence/activity-log.ts';
export type { BadLine, LogLine, ReadLogOptions } from './evidence/read-log.ts';
export { readActivityLog } from './evidence/read-log.ts';
export { type IntentCheck, type IntentOptions, intentCheck } from './intent/intent-check.ts';
export type { HostMonitorOptions, MonitorStats, ResourceMonitor } from './monitor.ts';
export { hostMonitor } from './monitor.ts';
