/**
 * An index of the WAL (`-shm`) that was taken away while it was in use: whoever opens the ledger next makes another, and what they write is
 * in the WAL and not in ours. SQLite closes by ours: the last to close moves into the ledger what its index knows of, removes the WAL,
 * and with it what all others were told is durable.
 */
import { fstatSync, readdirSync, readlinkSync, realpathSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Where Linux shows what this process has open; elsewhere there is no way to such a file, and nothing is done. */
const OPEN_FILES = '/proc/self/fd';
/** Two copies of the header, of 48 bytes each, and what checkpoints keep. Without them SQLite makes the index anew, from the WAL. */
const HEADER = Buffer.alloc(136);

/** To be called before a connection to the ledger `file` is closed. */
export function forgetStaleIndex(file: string): void {
  try {
    const stale = `${join(realpathSync(dirname(file)), basename(file))}-shm (deleted)`;
    for (const name of readdirSync(OPEN_FILES)) {
      const fd = Number(name);
      // Through SQLite's own descriptor: closing another one of the same file would end its locks.
      if (linkOf(fd) === stale && fstatSync(fd).nlink === 0) writeSync(fd, HEADER, 0, HEADER.length, 0);
    }
  } catch {
    // Then it closes as it would without this: the next to open the ledger is told (LEDGER_ROLLED_BACK).
  }
}

/** Undefined: closed meanwhile, as the one by which the names were read. */
function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(join(OPEN_FILES, String(fd)));
  } catch {
    return undefined;
  }
}
