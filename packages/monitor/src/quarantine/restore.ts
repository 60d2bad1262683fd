/** Putting a file back exactly where and as it was, over nothing. */
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lchown, link, lstat, open, readlink, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';
import { copyTo, hashOf } from './content.ts';
import { CONTENT_NAME, type Manifest, manifestHash, syncFolder } from './manifest.ts';
import { isSame, look, type MoveLimits, targetHash } from './move.ts';
import { codeOf, type Place, placeOf } from './place.ts';
import type { RollbackItem } from './rollback.ts';

/** What the ledger says of a file that was put aside, proven by whoever hands it over. */
export interface RecordedFile {
  readonly incident: string;
  readonly session: string;
  readonly item: RollbackItem;
}

/**
 * The manifest and what lies beside it may be the work of whoever was stopped, so neither is believed: both must be what the ledger has.
 *
 * @param folder - of the item, held open. @throws {CountersignError} `QUARANTINE_REFUSED`; nothing was changed then
 */
export async function putBackFrom(folder: string, manifest: Manifest, limits: MoveLimits): Promise<void> {
  const kept = join(folder, CONTENT_NAME);
  const checked = await requireUnchanged(kept, manifest, limits);
  const place = await placeOf(manifest.path);
  if (place === 'gone') throw refused(manifest, 'the folder it was in is gone: make it again first');
  if (place === 'linked') throw refused(manifest, 'a link is on the way to where it was');
  try {
    await putAt(kept, checked, place, manifest, limits);
    await syncFolder(place.folder);
    await unlink(kept);
  } finally {
    await place.close();
  }
}

/** @param shown - the path of the manifest, as it is shown. @returns what speaks against it being what the ledger says */
export function objectionTo(manifest: Manifest, shown: string, { incident, session, item }: RecordedFile): string | undefined {
  if (incident !== manifest.incident || session !== manifest.session || item.id !== manifest.id)
    return 'its manifest is of another incident than the ledger says';
  if (item.manifest !== undefined && item.manifest !== manifestHash(manifest))
    return 'its manifest is not what the ledger has the hash of: it was edited';
  // Of versions that recorded no hash: what they recorded.
  if (item.path !== shown || item.size !== manifest.size || item.sha256 !== manifest.sha256)
    return 'its path, size or content is not what the ledger says: its manifest was edited';
  if (manifest.sha256 === undefined)
    return 'its content has no hash on record, so nothing tells whether that was changed; look at it, then pass --unrecorded';
  return undefined;
}

export function refused({ id }: Pick<Manifest, 'id'>, why: string, cause?: unknown): CountersignError {
  return new CountersignError('QUARANTINE_REFUSED', `quarantine ${id}: ${why}`, { cause });
}

/** @returns what was looked at. */
async function requireUnchanged(kept: string, manifest: Manifest, { maxHashBytes }: MoveLimits): Promise<BigIntStats> {
  const stats = await look(kept);
  if (stats === undefined) throw refused(manifest, 'its content is not there any more');
  if (manifest.kind === 'link') {
    if (!stats.isSymbolicLink()) throw refused(manifest, 'what lies there is not the link that was put there');
    if (manifest.sha256 !== undefined && targetHash(await readlink(kept)) !== manifest.sha256)
      throw refused(manifest, 'it leads elsewhere than when it was put there');
    return stats;
  }
  if (!stats.isFile() || stats.size !== BigInt(manifest.size)) throw refused(manifest, 'what lies there is not what was put there');
  // 0600 are copies between file systems; they get theirs when they go back. No hash tells of a bit that was set since.
  const mode = Number(stats.mode & 0o7777n);
  if (mode !== manifest.mode && mode !== 0o600) throw refused(manifest, 'its mode is not what it was');
  if (manifest.sha256 === undefined) return stats;
  const file = await open(kept, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  try {
    if ((await hashOf(file, maxHashBytes)) !== manifest.sha256) throw refused(manifest, 'its content is not what was put there');
    return await file.stat({ bigint: true });
  } finally {
    await file.close();
  }
}

async function putAt(kept: string, checked: BigIntStats, place: Place, manifest: Manifest, limits: MoveLimits): Promise<void> {
  try {
    // Never over something else, and with it come mode, owner and times.
    await link(kept, place.path);
    if (isSame(await lstat(place.path, { bigint: true }), checked)) return;
    await unlink(place.path);
    throw refused(manifest, 'something else took its place while it was put back');
  } catch (error) {
    if (CountersignError.is(error)) throw error;
    if (codeOf(error) === 'EEXIST') throw refused(manifest, 'something else is where it was: move that away first');
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'ENOSYS'].includes(codeOf(error)))
      throw refused(manifest, `it cannot be put there (${codeOf(error)})`, error);
  }
  try {
    if (manifest.kind === 'link') await symlink(await readlink(kept), place.path);
    else await copyBack(kept, place, manifest, limits);
  } catch (error) {
    if (CountersignError.is(error)) throw error;
    throw refused(
      manifest,
      codeOf(error) === 'EEXIST' ? 'something else is where it was: move that away first' : `it cannot be put there (${codeOf(error)})`,
      error,
    );
  }
  if (manifest.kind === 'link') await lchown(place.path, manifest.uid, manifest.gid).catch(() => undefined);
}

async function copyBack(kept: string, place: Place, manifest: Manifest, { maxCopyBytes }: MoveLimits): Promise<void> {
  const from = await open(kept, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  let to: FileHandle | undefined;
  try {
    to = await open(place.path, 'wx', 0o600);
    const sha256 = await copyTo(from, to, maxCopyBytes);
    if (sha256 === undefined || (manifest.sha256 !== undefined && sha256 !== manifest.sha256))
      throw new Error('changed while it was copied');
    const seconds = Number(BigInt(manifest.mtime_ns) / 1_000n) / 1e6;
    // Through the open file: its name may lead elsewhere by now. An owner where we may: an ordinary user gives files to nobody.
    await to.chown(manifest.uid, manifest.gid).catch(() => undefined);
    await to.chmod(manifest.mode);
    await to.utimes(seconds, seconds);
    await to.sync();
  } catch (error) {
    if (to !== undefined) await unlink(place.path).catch(() => undefined);
    throw error;
  } finally {
    await to?.close();
    await from.close();
  }
}
