/**
 * Moving one file from where a watched tree put it into a folder of ours.
 *
 * Whoever wrote it may still have friends who run, so nothing is believed twice: links are never followed, the thing that was checked
 * is recognised by device and inode after it was moved, and what turns out to be another goes back. Between file systems the copy is
 * safe on disk before the original goes.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, link, lstat, open, readlink, rename, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { copyTo, hashOf } from './content.ts';
import { CONTENT_NAME, type Manifest, syncFolder } from './manifest.ts';
import { codeOf, type Place } from './place.ts';
import type { LeftReason } from './rollback.ts';

const MAX_HASH_ROUNDS = 2;

export interface MoveLimits {
  readonly maxCopyBytes: number;
  readonly maxHashBytes: number;
}

export class Left extends Error {
  override readonly name = 'Left';
  readonly reason: LeftReason;

  constructor(reason: LeftReason, options?: ErrorOptions) {
    super(reason, options);
    this.reason = reason;
  }
}

/** What is at a place. A file is held open, unless this user may not read it. */
export interface Found {
  readonly kind: 'file' | 'link';
  readonly stats: BigIntStats;
  readonly file?: FileHandle;
}

/** What was found out of it by moving it. */
export type Moved = Pick<Manifest, 'sha256' | 'size' | 'mtime_ns'>;

/** @throws {Left} */
export async function find(place: Place): Promise<Found> {
  const stats = await look(place.path);
  if (stats === undefined) throw new Left('gone');
  if (stats.isSymbolicLink()) return { kind: 'link', stats };
  if (!stats.isFile()) throw new Left('not-a-file');
  const file = await opened(place.path);
  if (file === undefined || isSame(await file.stat({ bigint: true }), stats))
    return { kind: 'file', stats, ...(file !== undefined && { file }) };
  await file.close();
  throw new Left('changed');
}

/** Neither follows a link nor waits for a pipe that was laid there meanwhile. Undefined: it may not be read. @throws {Left} */
async function opened(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EACCES' || code === 'EPERM') return undefined;
    throw new Left(code === 'ENOENT' || code === 'ELOOP' ? 'changed' : 'failed', { cause: error });
  }
}

/** @param folder - ours, empty but for the manifest. @throws {Left}, or an error of the system */
export async function moveInto(folder: string, place: Place, found: Found, limits: MoveLimits): Promise<Moved> {
  const kept = join(folder, CONTENT_NAME);
  try {
    await rename(place.path, kept);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new Left('gone');
    if (codeOf(error) !== 'EXDEV') throw error;
    return await copyInto(folder, kept, place, found, limits);
  }
  const moved = await lstat(kept, { bigint: true });
  if (!isSame(moved, found.stats)) {
    await putBack(kept, place.path);
    throw new Left('changed');
  }
  await syncFolder(folder);
  await syncFolder(place.folder);
  if (found.kind === 'link') return { sha256: targetHash(await readlink(kept)), ...movedAs(found.stats) };
  return found.file === undefined ? movedAs(found.stats) : await hashed(found.file, limits);
}

/** Somebody may hold it open, and still write: the hash is of what it was at both ends of reading it, or there is none. */
async function hashed(file: FileHandle, { maxHashBytes }: MoveLimits): Promise<Moved> {
  for (let round = 0; ; round++) {
    const before = await file.stat({ bigint: true });
    const sha256 = await hashOf(file, maxHashBytes);
    const after = await file.stat({ bigint: true });
    if (sha256 === undefined) return movedAs(after);
    if (isUnchanged(after, before)) return { sha256, ...movedAs(after) };
    if (round >= MAX_HASH_ROUNDS) return movedAs(after);
  }
}

/** Of where a link leads. */
export function targetHash(target: string): string {
  return createHash('sha256').update(target).digest('hex');
}

function movedAs({ size, mtimeNs }: BigIntStats): Moved {
  return { size: Number(size), mtime_ns: String(mtimeNs) };
}

async function copyInto(folder: string, kept: string, place: Place, found: Found, limits: MoveLimits): Promise<Moved> {
  try {
    const moved = await copied(kept, place, found, limits);
    await syncFolder(folder);
    await removeExactly(place, found.stats);
    return moved;
  } catch (error) {
    // What it is a copy of is still in its place.
    await unlink(kept).catch(() => undefined);
    throw error;
  }
}

async function copied(kept: string, place: Place, { kind, stats, file }: Found, { maxCopyBytes }: MoveLimits): Promise<Moved> {
  if (kind === 'link') {
    const target = await readlink(place.path);
    await symlink(target, kept);
    return { sha256: targetHash(target), ...movedAs(stats) };
  }
  if (file === undefined) throw new Left('failed');
  if (stats.size > BigInt(maxCopyBytes)) throw new Left('too-large');
  const to = await open(kept, 'wx', 0o600);
  let sha256: string | undefined;
  try {
    sha256 = await copyTo(file, to, maxCopyBytes);
    await to.sync();
  } finally {
    await to.close();
  }
  if (sha256 === undefined) throw new Left('too-large');
  if (!isUnchanged(await file.stat({ bigint: true }), stats)) throw new Left('changed');
  return { sha256, ...movedAs(stats) };
}

/** First under another name, so that what is removed is what was looked at. When it throws, that is back in its place. @throws {Left} */
async function removeExactly(place: Place, stats: BigIntStats): Promise<void> {
  const aside = place.beside(`.countersign-${randomBytes(16).toString('hex')}`);
  await rename(place.path, aside).catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? new Left('gone') : error;
  });
  try {
    const moved = await look(aside);
    if (moved === undefined || !isSame(moved, stats)) throw new Left('changed');
    await unlink(aside);
  } catch (error) {
    await putBack(aside, place.path);
    throw error;
  }
  await syncFolder(place.folder);
}

/** Overwrites nothing: where something else lies by now, it stays where it is. */
async function putBack(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
    await unlink(from);
  } catch {
    // A folder cannot be linked. What cannot be put back is told.
    if ((await look(to)) === undefined) await rename(from, to);
  }
}

/** Undefined: nothing is there. */
export async function look(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

export function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.mode === b.mode;
}

function isUnchanged(a: BigIntStats, b: BigIntStats): boolean {
  return isSame(a, b) && a.size === b.size && a.mtimeNs === b.mtimeNs;
}
