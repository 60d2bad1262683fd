/** Checkpoints in a file elsewhere: another disk, a folder of another user, a mounted share. */
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CountersignError } from '../errors.ts';
import type { Anchor } from '../interfaces.ts';
import { parseCheckpoint } from '../ledger/checkpoint.ts';
import { isSignedNote, MAX_NOTE_BYTES, parseNote } from '../ledger/note.ts';

/**
 * Keeps the newest checkpoint in a file, replaced in one step and durable.
 *
 * The file remembers: it is never turned back. When it holds a larger head of this log, or another one of the same size,
 * the ledger was rolled back or forked, and publishing fails.
 *
 * @param path - its folder must exist.
 */
export function fileAnchor(path: string): Anchor {
  const file = resolve(path);
  return {
    name: `file ${file}`,
    async publish(note) {
      const known = readKnown(file);
      if (known === note) return;
      if (known !== undefined) checkForward(known, note, file);
      replace(file, note);
    },
  };
}

function checkForward(known: string, note: string, file: string): void {
  const [before, now] = [headOf(known), headOf(note)];
  if (before === undefined) throw failed(`${file} holds something that is no checkpoint; move it away`);
  if (now === undefined) throw failed('what should be copied is no checkpoint');
  if (before.origin !== now.origin) throw failed(`${file} holds a checkpoint of another log, ${before.origin}; name another file`);
  if (before.size > now.size)
    throw failed(
      `${file} holds a checkpoint of ${before.size} entries, the ledger has ${now.size}: it was rolled back; verify it --against that file`,
    );
  if (before.size === now.size && before.root !== now.root)
    throw failed(`${file} holds another checkpoint of ${now.size} entries: the log was forked; verify it --against that file`);
}

function headOf(note: string): ReturnType<typeof parseCheckpoint> | undefined {
  try {
    return parseCheckpoint(isSignedNote(note) ? parseNote(note).text : note);
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}

function readKnown(file: string): string | undefined {
  let handle: number;
  try {
    // O_NONBLOCK: a pipe laid there must not make this hang.
    handle = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    if (!fstatSync(handle).isFile()) throw failed(`${file} is not a regular file`);
    const buffer = Buffer.alloc(MAX_NOTE_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(handle, buffer, length, buffer.length - length, null);
    }
    if (length > MAX_NOTE_BYTES) throw failed(`${file} is larger than any checkpoint`);
    return buffer.toString('utf8', 0, length);
  } finally {
    closeSync(handle);
  }
}

function replace(file: string, note: string): void {
  const beside = `${file}.${process.pid}.new`;
  // Left by a process that died here: in a container each has the same number.
  rmSync(beside, { force: true });
  // O_EXCL: what somebody laid there is not written through.
  const handle = openSync(beside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644);
  try {
    writeSync(handle, note);
    fsyncSync(handle);
  } catch (error) {
    unlinkSync(beside);
    throw error;
  } finally {
    closeSync(handle);
  }
  renameSync(beside, file);
  if (process.platform === 'win32') return;
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function failed(what: string): CountersignError {
  return new CountersignError('LEDGER_NOT_ANCHORED', what);
}
