/** Where the page reads. */
import { statSync } from 'node:fs';
import type { ApprovalCounts, ApprovalState } from '@countersign/core';
import { type ApprovalView, readLedger } from '@countersign/core/sqlite';

/** One look at the ledger. */
export interface ApprovalsReader {
  approvals(filter: ApprovalsFilter): readonly ApprovalView[];
  approvalCounts(): ApprovalCounts;
  approval(id: string): ApprovalView | undefined;
  close(): void;
}

export interface ApprovalsFilter {
  readonly state?: ApprovalState;
  readonly limit: number;
  /** Id of the approval the page before ended with. */
  readonly after?: string;
}

export interface ApprovalsSource {
  read(): ApprovalsReader;
  /** Another text whenever the ledger may have changed. Cheap: open pages ask every second. */
  version(): string;
}

/** The ledger at a path, as SQLite keeps it. Nothing is written. */
export function ledgerSource(path: string): ApprovalsSource {
  return { read: () => readLedger(path), version: () => `${stamp(path)}.${stamp(`${path}-wal`)}` };
}

function stamp(file: string): string {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '0' : `${stats.mtimeNs.toString(36)}-${stats.size.toString(36)}`;
}

/** One look that is closed again, whatever happens. */
export function reading<T>(source: ApprovalsSource, look: (reader: ApprovalsReader) => T): T {
  const reader = source.read();
  try {
    return look(reader);
  } finally {
    reader.close();
  }
}
