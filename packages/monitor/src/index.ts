export { type IntentCheck, type IntentOptions, intentCheck } from './intent/intent-check.ts';
export type { HostMonitorOptions, MonitorStats, ResourceMonitor } from './monitor.ts';
export { hostMonitor } from './monitor.ts';
