/** Reading an activity log: whoever had the files may have done anything to them. */
import { lstatSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError, openFile, readLines } from '@countersign/core';
import { type LoggedActivity, type LostLines, MAX_ACTIVITY_LINE_BYTES, parseActivityLine } from './activity-line.ts';
import { segmentName, segmentNumbers } from './log-folder.ts';

/** A line that is none of ours: `torn` is what a crash left at the end of a file. */
export interface BadLine {
  readonly bad: 'invalid' | 'torn' | 'too long';
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export type LogLine = LoggedActivity | LostLines | BadLine;

export interface ReadLogOptions {
  /** Told how many bytes of the log were read, every so often. */
  readonly onProgress?: (done: number, total: number) => void;
}

const PROGRESS_LINES = 10_000;

/**
 * The lines of a session's folder, or of one segment, in order. Reads as far as the files reached when they were opened; holds one
 * line at a time.
 *
 * @throws {CountersignError} `ACTIVITY_LOG_FAILED` when there is none, or it cannot be read.
 */
export function* readActivityLog(path: string, options: ReadLogOptions = {}): Generator<LogLine> {
  const files = logFiles(path);
  const total = files.reduce((sum, file) => sum + (lstatSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
  let before = 0;
  for (const file of files) {
    before = yield* readSegment(file, before, (done) => options.onProgress?.(done, total));
  }
}

function logFiles(path: string): readonly string[] {
  try {
    const stats = statSync(path);
    if (stats.isFile()) return [path];
    if (stats.isDirectory()) {
      const files = segmentNumbers(path).map((number) => join(path, segmentName(number)));
      if (files.length > 0) return files;
    }
  } catch (cause) {
    throw unreadable(path, String((cause as NodeJS.ErrnoException).code), cause);
  }
  throw unreadable(path, 'there is no activity log in it');
}

/** @returns bytes read so far, of all files. */
function* readSegment(path: string, before: number, onProgress: (done: number) => void): Generator<LogLine, number> {
  const file = opened(path);
  try {
    let number = 0;
    for (const { content, isEnded, offset } of readLines(file, 0, MAX_ACTIVITY_LINE_BYTES)) {
      if (++number % PROGRESS_LINES === 0) onProgress(before + offset);
      if (content === undefined) yield { bad: 'too long', file: path, line: number };
      else
        yield (isEnded ? parseActivityLine(content.toString('utf8')) : undefined) ?? {
          bad: isEnded ? 'invalid' : 'torn',
          file: path,
          line: number,
        };
    }
    return before + file.sizeBytes;
  } catch (cause) {
    throw CountersignError.is(cause) ? cause : unreadable(path, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    file.close();
  }
}

function opened(path: string): ReturnType<typeof openFile> {
  try {
    return openFile(path);
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreadable(path: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('ACTIVITY_LOG_FAILED', `the activity log ${path} cannot be read: ${why}`, { cause });
}
