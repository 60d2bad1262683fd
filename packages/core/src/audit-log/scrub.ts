/**
 * Taking the clear text of calls out of an audit log, for `forget`.
 *
 * Lines are overwritten where they stand, by the same record without its clear text, filled up with spaces to the same
 * length, then fsynced. That way no process that is appending loses a line (a rewritten copy under the same name would
 * miss what was appended meanwhile), and the old bytes themselves are gone, not only unlinked.
 */
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { CountersignError } from '../errors.ts';
import { MAX_LINE_BYTES } from './file-sink.ts';
import { AUDIT_INCLUDES } from './record.ts';
import { existingFiles, withLock } from './segments.ts';

const CHUNK_BYTES = 1_048_576;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const LOCK_TRIES = 100;
const LOCK_PAUSE_MS = 20;

export interface Scrubbed {
  /** Files that were looked through. */
  readonly files: number;
  /** Lines that held clear text of the calls. */
  readonly lines: number;
}

/**
 * Removes arguments and reasons of the given calls from every file of a log. A log that is not there has nothing to remove.
 *
 * @param which.calls - call ids.
 * @throws {CountersignError} `AUDIT_LOG_FAILED` when a file cannot be read or written, or stays locked: run it again.
 */
export function scrubAuditLog(path: string, which: { readonly calls: ReadonlySet<string> }): Scrubbed {
  const log = resolve(path);
  if (which.calls.size === 0) return { files: 0, lines: 0 };
  let descriptors: readonly number[] = [];
  try {
    // Opened under the lock, so that none is missed while names shift; what is open stays open under any name.
    if (!locked(log, () => (descriptors = openAll(log)))) throw new Error('its names are being shifted by another process');
    let lines = 0;
    for (const descriptor of descriptors) lines += scrubFile(descriptor, which.calls);
    return { files: descriptors.length, lines };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CountersignError('AUDIT_LOG_FAILED', `the audit log ${log} could not be scrubbed: ${why}; run it again`, { cause });
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

function locked(log: string, action: () => void): boolean {
  const files = existingFiles(log);
  if (files.length === 0) return true;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < LOCK_TRIES; tries++) {
    if (withLock(log, action)) return true;
    Atomics.wait(pause, 0, 0, LOCK_PAUSE_MS);
  }
  return false;
}

function openAll(log: string): readonly number[] {
  const descriptors: number[] = [];
  const seen = new Set<string>();
  for (const file of existingFiles(log)) {
    // Not for appending: Linux would put every write at the end.
    const descriptor = openSync(file, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
    const { dev, ino } = fstatSync(descriptor);
    if (seen.has(`${dev}:${ino}`)) closeSync(descriptor);
    else descriptors.push(descriptor);
    seen.add(`${dev}:${ino}`);
  }
  return descriptors;
}

/** @returns lines that were changed. */
function scrubFile(descriptor: number, calls: ReadonlySet<string>): number {
  let changed = 0;
  for (const { at, line } of linesOf(descriptor)) {
    const replacement = withoutClearText(line, calls);
    if (replacement === undefined) continue;
    const filled = Buffer.alloc(line.length, SPACE);
    replacement.copy(filled);
    for (let done = 0; done < filled.length; ) done += writeSync(descriptor, filled, done, filled.length - done, at + done);
    changed++;
  }
  if (changed > 0) fsyncSync(descriptor);
  return changed;
}

/** Lines without their ends, and where they stand. One longer than any of ours comes in parts. */
function* linesOf(descriptor: number): Generator<{ readonly at: number; readonly line: Buffer }> {
  const chunk = Buffer.alloc(CHUNK_BYTES + MAX_LINE_BYTES);
  let held = 0;
  let at = 0;
  for (;;) {
    const read = readSync(descriptor, chunk, held, CHUNK_BYTES, at + held);
    const filled = held + read;
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE, start); end >= 0 && end < filled; end = chunk.indexOf(NEWLINE, start)) {
      yield { at: at + start, line: Buffer.from(chunk.subarray(start, end)) };
      start = end + 1;
    }
    const isLong = filled - start > MAX_LINE_BYTES;
    if (filled > start && (read === 0 || isLong)) {
      yield { at: at + start, line: Buffer.from(chunk.subarray(start, filled)) };
      start = filled;
    }
    if (read === 0) return;
    chunk.copyWithin(0, start, filled);
    at += start;
    held = filled - start;
  }
}

/** Undefined when the line stays as it is. A line that is no record but names a call is blanked. */
function withoutClearText(line: Buffer, calls: ReadonlySet<string>): Buffer | undefined {
  const text = line.toString('utf8');
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return [...calls].some((call) => text.includes(call)) ? Buffer.alloc(0) : undefined;
  }
  if (typeof record !== 'object' || record === null || !('call' in record) || typeof record.call !== 'string') return undefined;
  if (!calls.has(record.call) || !AUDIT_INCLUDES.some((name) => name in record)) return undefined;
  const kept = Object.entries(record).filter(([name]) => !AUDIT_INCLUDES.some((clear) => clear === name));
  const scrubbed = Buffer.from(JSON.stringify(Object.fromEntries(kept)));
  // Shorter by what was removed, unless somebody else wrote the line.
  return scrubbed.length <= line.length ? scrubbed : Buffer.alloc(0);
}
