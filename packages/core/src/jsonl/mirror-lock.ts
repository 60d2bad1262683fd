/**
 * Who may write to a mirror: one process at a time. The lock is an exclusive SQLite transaction on an empty file beside
 * it, so it ends with its process, however that ends, and nobody ever has to guess whether an owner is still alive.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';
import { CountersignError } from '../errors.ts';
import { isBusy } from '../sqlite/database.ts';

const FILE_MODE = 0o600;

/** @returns undefined when somebody else has it. */
export function takeMirrorLock(path: string): { release(): void } | undefined {
  makeFile(path);
  let database: Database | undefined;
  try {
    const opened = new Sqlite(path, { timeout: 0, fileMustExist: true });
    database = opened;
    database.exec('BEGIN EXCLUSIVE');
    return { release: () => void opened.close() };
  } catch (error) {
    database?.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

/** SQLite would make it readable for others, and wait for a pipe. */
function makeFile(path: string): void {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | (constants.O_NONBLOCK ?? 0), FILE_MODE);
  try {
    if (!fstatSync(descriptor).isFile()) throw new CountersignError('MIRROR_FAILED', `${path} is not a regular file`);
  } finally {
    closeSync(descriptor);
  }
}
