export type { HostMonitorOptions, MonitorStats, ResourceMonitor } from './monitor.ts';
export { hostMonitor } from './monitor.ts';
