/** The processes of the servers that a proxy starts, watched where the configuration says so. */
import { homedir } from 'node:os';
import { type Config, CountersignError, createRedactor } from '@countersign/core';
import { hostMonitor, type ResourceMonitor, type ServerProcess, type ServerWatch, watchServers } from '@countersign/monitor';
import { safe } from '../output.ts';
import { scopeOf } from './configured-scope.ts';
import { ownFiles } from './own-files.ts';

export interface WatchedServers {
  /** There before the guard is: servers start before the first call. Idle until then, but for what it watches. */
  readonly monitor: ResourceMonitor;
  /** What the calls of this server cost, and do, is what this process, and what it starts, costs and does. */
  watch(process: ServerProcess): void;
  /** Before the monitor is closed. */
  close(): Promise<void>;
}

/**
 * @param note - takes one line for people. @param onVerdict - one is there, and is to be put on record.
 * @throws {CountersignError} `SCOPE_INVALID`
 */
export function watchedServers(
  config: Config,
  env: NodeJS.ProcessEnv,
  { note, onVerdict }: { readonly note: (text: string) => void; readonly onVerdict: () => void },
): WatchedServers {
  const told = (error: unknown, what: string): void => note(`countersign: ${safe(what)}: ${errorText(error)}`);
  if (!config.monitor.servers) return watched(hostMonitor(), undefined);
  const scope = scopeOf(config, env);
  for (const warning of scope.warnings) note(`countersign: ${safe(warning)}`);
  const monitor = hostMonitor({ mode: scope.mode ?? config.monitor.mode, onError: told });
  const watch = watchServers({
    monitor,
    scope,
    home: homedir(),
    own: ownFiles(config, config.monitor.log.dir, env),
    canaries: config.monitor.canaries,
    pollMs: config.monitor.pollMs,
    redactor: createRedactor(config.redaction),
    onVerdict,
    onTrouble: (server, error) => told(error, `the processes of server ${server} are NOT WATCHED from here on`),
  });
  return watched(monitor, watch);
}

function watched(monitor: ResourceMonitor, processes: ServerWatch | undefined): WatchedServers {
  return {
    monitor,
    watch(process) {
      void process.ended.then(monitor.adopt(process));
      processes?.watch(process);
    },
    close: async () => processes?.close(),
  };
}

function errorText(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${safe(error instanceof Error ? error.message : 'unknown error')}${code}`;
}
