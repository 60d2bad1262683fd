/** The processes of the servers that a proxy starts, watched where the configuration says so. */
import { homedir } from 'node:os';
import { type Config, CountersignError, createRedactor } from '@countersign/core';
import {
  hostMonitor,
  type RecordNote,
  type ResourceMonitor,
  type ServerProcess,
  type ServerWatch,
  serverIncidents,
  watchServers,
} from '@countersign/monitor';
import { safe } from '../output.ts';
import { scopeOf } from './configured-scope.ts';
import { alertsOf } from './judge-and-alerts.ts';
import { ownFiles } from './own-files.ts';

export interface WatchedServers {
  /** There before the guard is: servers start before the first call. Idle until then, but for what it watches. */
  readonly monitor: ResourceMonitor;
  /** What the calls of this server cost, and do, is what this process, and what it starts, costs and does. */
  watch(process: ServerProcess): void;
  /** Nothing is watched any more. Before the guard is closed. */
  close(): Promise<void>;
  /** Waits for what is to be recorded, written and told. After the guard, and before the ledger is closed. */
  settle(): Promise<void>;
}

export interface ServerWatching {
  /** Takes one line for people. */
  readonly note: (text: string) => void;
  /** One is there, and is to be put on record. */
  readonly onVerdict: () => void;
  /** Puts the hashes of incidents on record. */
  readonly record: RecordNote;
}

/** @throws {CountersignError} `SCOPE_INVALID`, `CONFIG_INVALID`, `OPTIONS_INVALID` for a log folder that is not ours alone */
export function watchedServers(config: Config, env: NodeJS.ProcessEnv, { note, onVerdict, record }: ServerWatching): WatchedServers {
  const told = (error: unknown, what: string): void => note(`countersign: ${safe(what)}: ${errorText(error)}`);
  if (!config.monitor.servers) {
    const monitor = hostMonitor();
    return watched(monitor, undefined, () => monitor.close());
  }
  const scope = scopeOf(config, env);
  for (const warning of scope.warnings) note(`countersign: ${safe(warning)}`);
  const monitor = hostMonitor({ mode: scope.mode ?? config.monitor.mode, onError: told });
  const redactor = createRedactor(config.redaction);
  const telling = alertsOf(config, env, note);
  const { dir, maxAgeMs } = config.monitor.log;
  const incidents = serverIncidents({
    dir,
    maxAgeMs,
    agent: config.agent,
    redactor,
    note: record,
    ...(telling !== undefined && { alerts: telling.alerts }),
    onTrouble: (error) => told(error, 'an incident of a server'),
  });
  const watch = watchServers({
    monitor,
    incidents,
    scope,
    home: homedir(),
    own: ownFiles(config, dir, env),
    canaries: config.monitor.canaries,
    pollMs: config.monitor.pollMs,
    redactor,
    onVerdict,
    onTrouble: (server, error) => told(error, `the processes of server ${server} are NOT WATCHED from here on`),
  });
  return watched(monitor, watch, async () => {
    await monitor.close();
    await incidents.close();
    await telling?.close();
  });
}

function watched(monitor: ResourceMonitor, processes: ServerWatch | undefined, settle: () => Promise<void>): WatchedServers {
  return {
    monitor,
    watch(process) {
      void process.ended.then(monitor.adopt(process));
      processes?.watch(process);
    },
    close: async () => processes?.close(),
    settle,
  };
}

function errorText(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${safe(error instanceof Error ? error.message : 'unknown error')}${code}`;
}
