import { resolve } from 'node:path';
import { openReadOnly } from '../sqlite/read-only.ts';
import { compareTail, coveredPlace, diverged, openMirrorFile, readMirrorCheckpoint } from './mirror-file.ts';
import { MirroredLedger } from './mirrored-ledger.ts';

export interface MirrorStatus {
  /** Entries of the ledger. */
  readonly entries: number;
  /** How many of them the mirror holds, and how many of those its checkpoint covers. */
  readonly mirrored: number;
  readonly covered: number;
  /** A half written line at its end, bytes: of a writer that died, or is writing now. */
  readonly tornBytes: number;
}

/**
 * How far a mirror is, without changing a byte of it. Lines its checkpoint covers are not compared: that is `verifyLedger`.
 *
 * @returns undefined when there is no mirror yet.
 * @throws {CountersignError} `MIRROR_DIVERGED`, `MIRROR_FAILED`, `LEDGER_*`; system errors.
 */
export async function mirrorStatus(ledgerPath: string, mirrorPath: string): Promise<MirrorStatus | undefined> {
  const path = resolve(mirrorPath);
  const covered = await readMirrorCheckpoint(path);
  const handle = await openMirrorFile(path, false);
  if (handle === undefined && covered === undefined) return undefined;
  if (handle === undefined) throw diverged('its checkpoint is there, the file is gone');
  try {
    // Before the ledger is opened: its snapshot then has all of it.
    const { size } = await handle.stat();
    const ledger = openReadOnly(ledgerPath, (database, close) => new MirroredLedger(database, close));
    try {
      const { lines, tornBytes } = await compareTail(handle, await coveredPlace(handle, covered, ledger), ledger, size);
      if (covered !== undefined && covered.size > lines)
        throw diverged(`it has ${lines} whole lines, its checkpoint covers ${covered.size} entries`);
      return { entries: ledger.size, mirrored: lines, covered: covered?.size ?? 0, tornBytes };
    } finally {
      ledger.close();
    }
  } finally {
    await handle.close();
  }
}
