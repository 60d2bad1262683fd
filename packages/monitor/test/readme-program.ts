import { hostMonitor } from '@countersign/monitor';

const monitor = hostMonitor();
const watch = monitor.begin('call-1');
JSON.parse(`[${'1,'.repeat(200_000)}1]`);
console.log(watch.end()); // { cpu_ms: 9, rss_bytes: 70123520, samples: 1, scope: 'process' }
await monitor.close();
