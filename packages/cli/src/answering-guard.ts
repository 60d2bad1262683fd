/** A guard for commands that answer approvals. It decides no call, asks nobody, and would refuse whatever it was asked. */
import { type Config, denyAll, type Guard, type GuardOptions } from '@countersign/core';
import { guardFromConfig, type SqliteStore } from '@countersign/core/sqlite';

export function answeringGuard(config: Config, store: SqliteStore, more: Pick<GuardOptions, 'onError'> = {}): Guard {
  return guardFromConfig(config, store, { ...more, channels: [], policy: denyAll() });
}
