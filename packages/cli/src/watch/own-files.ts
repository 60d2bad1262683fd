/** What is Countersign's own of one configuration: whoever is watched or shut in has no business with it. */
import type { Config } from '@countersign/core';

/** The ledger and what SQLite puts beside it. */
export function ledgerFiles({ ledger }: Config): readonly string[] {
  return ['', '-wal', '-shm', '-journal'].map((side) => ledger.path + side);
}

/** Keys and copies of the ledger. */
export function otherOwnFiles({ ledger }: Config): readonly string[] {
  return [ledger.key, ledger.mirror, ledger.auditLog?.path].filter((each) => each !== undefined);
}
