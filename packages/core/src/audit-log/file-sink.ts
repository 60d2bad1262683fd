/**
 * The audit log as a file of JSON lines, with rotation; several processes may write to one.
 *
 * A line is one `write` to a file opened with O_APPEND: local file systems put it behind whatever stands there, whole,
 * also when other processes write at the same moment (network file systems do not promise that: give each process a
 * path of its own there). What a full disk or a power loss left half written is taken back, or closed off with a newline
 * before anything follows.
 *
 *     audit.jsonl        being written        audit.jsonl.1 ... audit.jsonl.5    older ones, 1 the newest
 *     audit.jsonl.lock   held while names are shifted
 *
 * Lines are not fsynced: the ledger is what must survive a power loss.
 */
import { closeSync, constants, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, type Stats, statSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { escapeJson } from '../approval/terminal-text.ts';
import { CountersignError } from '../errors.ts';
import type { AuditSink } from '../interfaces.ts';
import { AUDIT_INCLUDES, type AuditInclude, type AuditRecord } from './record.ts';
import { lockPath, MAX_KEEP, rotate, segmentPath } from './segments.ts';

export const DEFAULT_AUDIT_BYTES = 16_777_216;
export const MIN_AUDIT_BYTES = 65_536;
export const DEFAULT_AUDIT_KEEP = 5;
/** Longest line. A record that is longer loses its clear text, and says so. */
export const MAX_LINE_BYTES = 65_536;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;
const NEWLINE = 0x0a;
/** `{`, space, newline. */
const FIRST_BYTES: readonly number[] = [0x7b, 0x20, NEWLINE];

export interface FileAuditOptions {
  readonly path: string;
  /** A file that would grow past it is rotated; default 16 MiB. */
  readonly maxBytes?: number;
  /** Older files that are kept; default 5, 0 to 100. */
  readonly keep?: number;
  readonly include?: readonly AuditInclude[];
  readonly required?: boolean;
}

/** @throws {CountersignError} `OPTIONS_INVALID`. The file is opened by the first record. */
export function fileAuditSink(options: FileAuditOptions, write: typeof writeSync = writeSync): AuditSink {
  const { maxBytes = DEFAULT_AUDIT_BYTES, keep = DEFAULT_AUDIT_KEEP, include = [], required = false } = options;
  if (options.path === '') throw invalid('the path is empty');
  if (!Number.isSafeInteger(maxBytes) || maxBytes < MIN_AUDIT_BYTES)
    throw invalid(`maxBytes must be a whole number from ${MIN_AUDIT_BYTES} on`);
  if (!Number.isSafeInteger(keep) || keep < 0 || keep > MAX_KEEP) throw invalid(`keep must be a whole number from 0 to ${MAX_KEEP}`);
  if (include.some((name) => !AUDIT_INCLUDES.includes(name))) throw invalid(`include takes ${AUDIT_INCLUDES.join(' and ')}`);
  const path = resolve(options.path);
  const segments = Array.from({ length: keep }, (_, index) => segmentPath(path, index + 1));
  const file = new AppendedFile(path, { maxBytes, keep }, write);
  return {
    include,
    required,
    files: [path, lockPath(path), ...segments],
    write: (record) => file.append(lineOf(record)),
    close: () => file.close(),
  };
}

/** One line, whatever the record holds: unsafe characters are spelled, so that `cat` cannot be made to act on a terminal. */
function lineOf(record: AuditRecord): Buffer {
  const whole = Buffer.from(`${escapeJson(JSON.stringify(record))}\n`);
  if (whole.length <= MAX_LINE_BYTES || record.event !== 'decision') return whole;
  const { args: _args, reason: _reason, ...rest } = record;
  return Buffer.from(`${escapeJson(JSON.stringify({ ...rest, omitted: AUDIT_INCLUDES.filter((name) => name in record) }))}\n`);
}

class AppendedFile {
  private readonly path: string;
  private readonly limits: { readonly maxBytes: number; readonly keep: number };
  private readonly write: typeof writeSync;
  private warned = false;
  private opened: { readonly descriptor: number; readonly dev: number; readonly ino: number } | undefined;

  constructor(path: string, limits: { readonly maxBytes: number; readonly keep: number }, write: typeof writeSync) {
    this.path = path;
    this.limits = limits;
    this.write = write;
  }

  append(line: Buffer): void {
    const at = this.current();
    if (at.size > 0 && at.size + line.length > this.limits.maxBytes) this.makeRoom(at);
    const { descriptor } = this.opened as { readonly descriptor: number };
    const written = this.write(descriptor, line);
    if (written === line.length) return;
    takeBack(descriptor, line.subarray(0, written));
    throw new CountersignError('AUDIT_LOG_FAILED', `the audit log took ${written} of ${line.length} bytes: is the disk full?`);
  }

  close(): void {
    const { opened } = this;
    this.opened = undefined;
    if (opened !== undefined) closeSync(opened.descriptor);
  }

  /** A file that cannot be rotated goes on growing: that is told, and no reason to lose a line. */
  private makeRoom(full: Stats): void {
    try {
      if (rotate(this.path, this.limits.keep, full)) this.current();
    } catch (error) {
      if (!this.warned) process.emitWarning(`the audit log ${this.path} cannot be rotated: ${String(error)}`, 'CountersignWarning');
      this.warned = true;
    }
  }

  /** What stands at the path now, opened: another process may have rotated it away, an operator removed it. */
  private current(): Stats {
    const now = statSync(this.path, { throwIfNoEntry: false });
    if (now !== undefined && this.opened?.ino === now.ino && this.opened.dev === now.dev) return now;
    this.close();
    if (now === undefined) mkdirSync(dirname(this.path), { recursive: true, mode: FOLDER_MODE });
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    const descriptor = openSync(this.path, flags, FILE_MODE);
    try {
      const stats = fstatSync(descriptor);
      if (!stats.isFile()) throw new CountersignError('AUDIT_LOG_FAILED', `the audit log ${this.path} is not a regular file`);
      if (!startsLikeALog(descriptor, stats.size))
        throw new CountersignError('AUDIT_LOG_FAILED', `the file ${this.path} holds something else than an audit log: choose another path`);
      closeOff(descriptor, stats.size, this.write);
      this.opened = { descriptor, dev: stats.dev, ino: stats.ino };
      return stats;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }
}

/** A database, a key or a configuration that stands there by mistake must not be appended to. Scrubbed lines may be blank. */
function startsLikeALog(descriptor: number, size: number): boolean {
  const first = Buffer.alloc(1);
  return size === 0 || (readSync(descriptor, first, 0, 1, 0) === 1 && FIRST_BYTES.includes(first[0] ?? 0));
}

/** A last line without its end was torn by a power loss: what follows must not join it. */
function closeOff(descriptor: number, size: number, write: typeof writeSync): void {
  const last = Buffer.alloc(1);
  if (size > 0 && readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE) write(descriptor, Buffer.of(NEWLINE));
}

/** Half a line, written to a disk that was full then. Only while it is still the end of the file. */
function takeBack(descriptor: number, part: Buffer): void {
  if (part.length === 0) return;
  const { size } = fstatSync(descriptor);
  const end = Buffer.alloc(part.length);
  if (size >= part.length && readSync(descriptor, end, 0, end.length, size - end.length) === end.length && end.equals(part)) {
    ftruncateSync(descriptor, size - part.length);
  }
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `audit log: ${what}`);
}
