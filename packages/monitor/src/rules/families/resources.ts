/** What the whole tree uses: processor, memory, disk. */
import type { ResourceAction } from '../../activity.ts';
import type { RuleFamily } from '../rule.ts';

/** Readings that are kept: five minutes at one a second. */
const MAX_READINGS = 600;
const CPU_WINDOW_MS = 300_000;
const GROWTH_WINDOW_MS = 60_000;
/** Share of the limit that memory may grow within a minute before it is told. */
const GROWTH_SHARE = 0.5;
const MEGABYTE = 1_048_576;

interface Reading {
  readonly at: number;
  readonly action: ResourceAction;
}

export const RESOURCES: RuleFamily = {
  rules: [
    {
      id: 'cpu-use',
      title: 'Much processor time for long',
      explanation: '1600 % of one core, on average over five minutes: what mining looks like.',
      levels: ['FLAG'],
    },
    {
      id: 'memory-use',
      title: 'Much memory',
      explanation: '16 GiB in the whole tree (HALT: the host may go under), or growth by half of that within a minute (FLAG).',
      levels: ['FLAG', 'HALT'],
    },
    {
      id: 'disk-use',
      title: 'Much written',
      explanation: '20 GiB written within a minute.',
      levels: ['HALT'],
    },
  ],
  kinds: ['resource'],
  begin({ scope: { limits } }) {
    const readings: Reading[] = [];
    return {
      judge({ activity: { action }, at }, found) {
        if (action.kind !== 'resource') return;
        readings.push({ at, action });
        while (readings.length > MAX_READINGS || (readings[0] !== undefined && Math.abs(at - readings[0].at) > CPU_WINDOW_MS))
          readings.shift();
        const { cpuPercent, memoryBytes, writeBytesPerMinute } = limits;
        const lasting = readings[0] !== undefined && at - readings[0].at >= CPU_WINDOW_MS * FULL_WINDOW;
        if (cpuPercent !== undefined && lasting && average(readings) >= cpuPercent)
          found({ rule: 'cpu-use', level: 'FLAG', reason: `${Math.round(average(readings))} % of a core over five minutes` });
        const before = readings.find((reading) => at - reading.at <= GROWTH_WINDOW_MS)?.action;
        if (memoryBytes !== undefined && action.rss_bytes !== undefined) {
          if (action.rss_bytes >= memoryBytes)
            found({ rule: 'memory-use', level: 'HALT', reason: `${megabytes(action.rss_bytes)} of memory in use` });
          else if (before?.rss_bytes !== undefined && action.rss_bytes - before.rss_bytes >= memoryBytes * GROWTH_SHARE)
            found({
              rule: 'memory-use',
              level: 'FLAG',
              reason: `memory grew by ${megabytes(action.rss_bytes - before.rss_bytes)} within a minute`,
            });
        }
        const written = action.write_bytes === undefined || before?.write_bytes === undefined ? 0 : action.write_bytes - before.write_bytes;
        if (writeBytesPerMinute !== undefined && written >= writeBytesPerMinute)
          found({ rule: 'disk-use', level: 'HALT', reason: `${megabytes(written)} written within a minute` });
      },
    };
  },
};
/** Readings cover nearly all of the window. */
const FULL_WINDOW = 0.95;

function average(readings: readonly Reading[]): number {
  let sum = 0;
  let count = 0;
  for (const { action } of readings) {
    if (action.cpu_percent === undefined) continue;
    sum += action.cpu_percent;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / MEGABYTE)} MiB`;
}
