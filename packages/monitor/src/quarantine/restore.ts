/** Putting a file back exactly where and as it was, over nothing. */
import { constants } from 'node:fs';
import { type FileHandle, lchown, link, open, readlink, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';
import { copyTo, hashOf } from './content.ts';
import { CONTENT_NAME, type Manifest, syncFolder } from './manifest.ts';
import { look, type MoveLimits } from './move.ts';
import { codeOf, type Place, placeOf } from './place.ts';

/** @param folder - of the item. @throws {CountersignError} `QUARANTINE_REFUSED`; nothing was changed then */
export async function putBackFrom(folder: string, manifest: Manifest, limits: MoveLimits): Promise<void> {
  const kept = join(folder, CONTENT_NAME);
  await requireUnchanged(kept, manifest, limits);
  const place = await placeOf(manifest.path);
  if (place === 'gone') throw refused(manifest, 'the folder it was in is gone: make it again first');
  if (place === 'linked') throw refused(manifest, 'a link is on the way to where it was');
  try {
    await putAt(kept, place, manifest, limits);
    await syncFolder(place.folder);
    await unlink(kept);
  } finally {
    await place.close();
  }
}

export function refused({ id }: Pick<Manifest, 'id'>, why: string, cause?: unknown): CountersignError {
  return new CountersignError('QUARANTINE_REFUSED', `quarantine ${id}: ${why}`, { cause });
}

async function requireUnchanged(kept: string, manifest: Manifest, { maxHashBytes }: MoveLimits): Promise<void> {
  const stats = await look(kept);
  if (stats === undefined) throw refused(manifest, 'its content is not there any more');
  if (manifest.kind === 'link') {
    if (!stats.isSymbolicLink()) throw refused(manifest, 'what lies there is not the link that was put there');
    return;
  }
  if (!stats.isFile() || stats.size !== BigInt(manifest.size)) throw refused(manifest, 'what lies there is not what was put there');
  if (manifest.sha256 === undefined) return;
  const file = await open(kept, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    if ((await hashOf(file, maxHashBytes)) !== manifest.sha256) throw refused(manifest, 'its content is not what was put there');
  } finally {
    await file.close();
  }
}

async function putAt(kept: string, place: Place, manifest: Manifest, limits: MoveLimits): Promise<void> {
  try {
    // Never over something else, and with it come mode, owner and times.
    await link(kept, place.path);
    return;
  } catch (error) {
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
