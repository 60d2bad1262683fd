/**
 * Puts a new key file in the place of an old one. At every instant the path leads to the old key or to the new one; the
 * old one stays beside it under another name.
 */
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { parseVerifierKey } from '@countersign/core';
import { FileExistsError } from './failure.ts';

export interface KeyFiles {
  /** The configured path. */
  readonly key: string;
  /** Moved to `key`. */
  readonly newKey: string;
  readonly oldVkey: string;
  readonly newVkey: string;
}

/**
 * @returns where the old key is kept; undefined when `key` is a symbolic link: whoever laid it decides where keys lie, so
 *   nothing was moved.
 * @throws {FileExistsError} when something else stands where the old key would be kept.
 */
export function swapKeyFiles({ key, newKey, oldVkey, newVkey }: KeyFiles): { readonly retired?: string } {
  if (lstatSync(key).isSymbolicLink()) return {};
  const retired = `${key}.retired-${parseVerifierKey(oldVkey).keyId}`;
  keepAs(key, retired);
  moveOver(newKey, key);
  replaceText(`${retired}.pub`, `${oldVkey}\n`);
  replaceText(`${key}.pub`, `${newVkey}\n`);
  syncFolder(dirname(key));
  return { retired };
}

/** A second name for the same file: nothing is copied, and nothing is ever missing. */
function keepAs(key: string, retired: string): void {
  try {
    linkSync(key, retired);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
    // Left by an earlier run that was interrupted.
    const [one, two] = [statSync(key, { bigint: true }), lstatSync(retired, { bigint: true })];
    if (one.ino !== two.ino || one.dev !== two.dev) throw new FileExistsError(retired, 'move it away, then run the command again');
  }
}

function moveOver(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isSystemError(error, 'EXDEV')) throw error;
    // Another file system: copied beside it first, so that the last step is one rename again.
    const beside = `${to}.${process.pid}.new`;
    copyFileSync(from, beside);
    syncFile(beside);
    renameSync(beside, to);
    unlinkSync(from);
  }
}

function replaceText(path: string, text: string): void {
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, text, { mode: 0o644, flag: 'wx' });
  renameSync(beside, path);
}

function syncFolder(path: string): void {
  if (process.platform !== 'win32') syncFile(path);
}

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
