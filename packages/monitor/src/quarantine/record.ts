/** What the ledger is told of a quarantine: counts in the entry, paths in its opening. */
import type { EntryRef, Json, MonitorHost } from '@countersign/core';
import type { Manifest } from './manifest.ts';
import type { RollbackResult } from './rollback.ts';

export interface RecordAbout {
  readonly session: string;
  readonly incident: string;
  /** The verdict it follows. */
  readonly verdict?: EntryRef;
}

/** Rejects when it could not be made durable. */
export function recordQuarantined(host: Pick<MonitorHost, 'record'>, about: RecordAbout, result: RollbackResult): Promise<EntryRef> {
  return host.record({
    kind: 'containment',
    ...about,
    event: 'quarantined',
    count: result.quarantined,
    left: result.left,
    duration_ms: Math.round(result.duration_ms),
    details: rollbackDetails(result),
  });
}

/** Rejects when it could not be made durable: the file has been put back all the same. */
export function recordRestored(host: Pick<MonitorHost, 'record'>, manifest: Manifest): Promise<EntryRef> {
  const { session, incident, id, path, sha256 } = manifest;
  return host.record({
    kind: 'containment',
    session,
    incident,
    event: 'restored',
    count: 1,
    details: { files: [{ id, path, ...(sha256 !== undefined && { sha256 }) }] },
  });
}

/** For a containment entry that somebody else writes. */
export function rollbackDetails({ items, omitted, deletions, connections }: RollbackResult): Json {
  return { files: items.map((item) => ({ ...item })), omitted, deletions, connections };
}
