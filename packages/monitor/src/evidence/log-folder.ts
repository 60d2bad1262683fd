/**
 * Where a session's files lie:
 *
 *     <log dir>/<session>/activity-000001.jsonl ...     its activity, in segments that are never renamed
 *     <log dir>/incidents/<id>.json
 *
 * Folders are 0700 and files 0600. What they are called holds no text of anybody but us.
 */
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';

export const FOLDER_MODE = 0o700;
export const FILE_MODE = 0o600;
export const INCIDENT_FOLDER = 'incidents';
/** Six digits, so that names sort as numbers do. */
export const MAX_SEGMENTS = 999_999;
const SEGMENT_NAME = /^activity-([0-9]{6})\.jsonl$/;
/** Ours are 32 hexadecimal digits; what a host calls its sessions may be anything. */
const PLAIN_SESSION = /^[a-z0-9][a-z0-9-]{0,63}$/;
const OTHERS_MAY_WRITE = 0o022;

/** A session's folder, by its name where that is harmless, else by its hash. */
export function sessionFolder(dir: string, session: string): string {
  const isPlain = PLAIN_SESSION.test(session) && session !== INCIDENT_FOLDER;
  return join(dir, isPlain ? session : `s-${createHash('sha256').update(session).digest('hex').slice(0, 32)}`);
}

export function segmentName(number: number): string {
  return `activity-${String(number).padStart(6, '0')}.jsonl`;
}

/** Numbers of the segments in a folder, in order. A folder that is not there has none. */
export function segmentNumbers(folder: string): readonly number[] {
  return namesIn(folder)
    .flatMap((name) => {
      const number = Number(SEGMENT_NAME.exec(name)?.[1]);
      return number > 0 ? [number] : [];
    })
    .toSorted((a, b) => a - b);
}

export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Makes a folder that only its owner may use.
 *
 * @param what - is kept there, for messages.
 * @throws {CountersignError} `OPTIONS_INVALID` when others could put something else there.
 */
export function makePrivateFolder(path: string, what = 'log'): void {
  mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
  const stats = lstatSync(path);
  if (!stats.isDirectory()) throw new CountersignError('OPTIONS_INVALID', `${path} is not a folder: choose another place for the ${what}`);
  if (process.platform === 'win32') return;
  if (stats.uid !== process.geteuid?.())
    throw new CountersignError('OPTIONS_INVALID', `the ${what} folder ${path} belongs to another user: choose another place`);
  if ((stats.mode & OTHERS_MAY_WRITE) !== 0)
    throw new CountersignError('OPTIONS_INVALID', `other users may write to the ${what} folder ${path}; run: chmod 700 ${path}`);
}
