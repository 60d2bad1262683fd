/** The files of a rotated audit log, and shifting their names while several processes write. */
import { closeSync, linkSync, openSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs';

export const MAX_KEEP = 100;
/** A lock that old belongs to a process that died while it shifted names. */
const STALE_LOCK_MS = 10_000;

/** `audit.jsonl.1` is the newest of the older ones. */
export function segmentPath(path: string, number: number): string {
  return `${path}.${number}`;
}

export function lockPath(path: string): string {
  return `${path}.lock`;
}

/** Files of a log that exist, the newest first. */
export function existingFiles(path: string): readonly string[] {
  const all = [path, ...Array.from({ length: MAX_KEEP }, (_, index) => segmentPath(path, index + 1))];
  return all.filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
}

/**
 * Makes room at the path: `.4` becomes `.5` ... and the file itself `.1`; the oldest is removed.
 *
 * A name is taken with `link`, which never replaces a file: a process that was asleep in the middle of this can at worst
 * leave a gap, not lose a file.
 *
 * @param full - the file that is to make room; when another stands at the path, somebody else was quicker.
 * @returns false when names are being shifted by another process: go on with the file there is.
 */
export function rotate(path: string, keep: number, full: { readonly dev: number; readonly ino: number }): boolean {
  return withLock(path, () => {
    const now = statSync(path, { throwIfNoEntry: false });
    if (now === undefined || now.ino !== full.ino || now.dev !== full.dev) return;
    if (keep === 0) return unlinkSync(path);
    rmSync(segmentPath(path, keep), { force: true });
    for (let number = keep - 1; number >= 1; number--) move(segmentPath(path, number), segmentPath(path, number + 1));
    move(path, segmentPath(path, 1));
  });
}

/** Runs `action` unless another process of this log is shifting names now. */
export function withLock(path: string, action: () => void): boolean {
  const lock = lockPath(path);
  if (!take(lock)) return false;
  try {
    action();
    return true;
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const held = statSync(lock, { throwIfNoEntry: false });
  if (held === undefined || Date.now() - held.mtimeMs < STALE_LOCK_MS) return false;
  // Renamed first: of two that find it stale only one gets it.
  const mine = `${lock}.${process.pid}`;
  try {
    renameSync(lock, mine);
  } catch {
    return false;
  }
  rmSync(mine, { force: true });
  return take(lock);
}

function move(from: string, to: string): void {
  const source = statSync(from, { throwIfNoEntry: false });
  if (source === undefined) return;
  const there = statSync(to, { throwIfNoEntry: false });
  // Two names of one file: somebody died between the two steps below.
  if (there === undefined || there.ino !== source.ino || there.dev !== source.dev) linkSync(from, to);
  unlinkSync(from);
}
