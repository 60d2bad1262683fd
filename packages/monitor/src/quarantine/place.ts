/**
 * A name in a folder that stays the one that was looked at, whatever is done to the path meanwhile: on Linux the folder is held open
 * and reached through its descriptor. Elsewhere the path is used, and checked once more by whoever moves something.
 */
import { constants, realpathSync } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, normalize } from 'node:path';

const MAX_PATH_CHARS = 4_096;

export interface Place {
  /** To be used in system calls. */
  readonly path: string;
  /** The folder it is in, likewise. */
  readonly folder: string;
  /** Another name in the same folder. */
  beside(name: string): string;
  close(): Promise<void>;
}

/** @returns `linked` when a link is on the way to it, or it is no plain absolute path; `gone` when its folder is. */
export async function placeOf(path: string): Promise<Place | 'linked' | 'gone'> {
  if (!isAbsolute(path) || path.length > MAX_PATH_CHARS || path.includes('\0') || normalize(path) !== path || path.endsWith('/'))
    return 'linked';
  const folder = dirname(path);
  let held: FileHandle;
  try {
    if (realpathSync.native(folder) !== folder) return 'linked';
    held = await open(folder, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    const code = codeOf(error);
    return code === 'ELOOP' || code === 'ENOTDIR' ? 'linked' : 'gone';
  }
  const reach = await reachOf(held, folder);
  if (reach === undefined) {
    await held.close();
    return 'linked';
  }
  return {
    path: `${reach}/${basename(path)}`,
    folder: reach,
    beside: (name) => `${reach}/${name}`,
    close: () => held.close(),
  };
}

/** Undefined when what was opened is not the folder of that path any more. */
async function reachOf({ fd }: FileHandle, folder: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return folder === '/' ? '' : folder;
  const reach = `/proc/self/fd/${fd}`;
  try {
    return (await readlink(reach)) === folder ? reach : undefined;
  } catch {
    return folder === '/' ? '' : folder;
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error';
}
