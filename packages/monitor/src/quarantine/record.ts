/** What the ledger is told of a quarantine: counts in the entry, paths in its opening. */
import type { EntryRef, Json, MonitorHost } from '@countersign/core';
import type { Manifest } from './manifest.ts';
import type { RollbackResult } from './rollback.ts';

/**
 * Rejects when it could not be made durable: the file has been put back all the same.
 *
 * @param unrecorded - nothing in the ledger said that it was put aside, and somebody wanted it back all the same.
 */
export function recordRestored(host: Pick<MonitorHost, 'record'>, manifest: Manifest, unrecorded = false): Promise<EntryRef> {
  const { session, incident, id, path, sha256 } = manifest;
  return host.record({
    kind: 'containment',
    session,
    incident,
    event: 'restored',
    count: 1,
    details: { files: [{ id, path, ...(sha256 !== undefined && { sha256 }) }], ...(unrecorded && { unrecorded }) },
  });
}

/** For a containment entry that somebody else writes. */
export function rollbackDetails({ items, deletions, connections }: RollbackResult): Json {
  return { files: items.map((item) => ({ ...item })), deletions, connections };
}
