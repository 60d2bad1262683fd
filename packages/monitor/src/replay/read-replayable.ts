/** What can be replayed: our activity logs, and the predecessor's. */
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CountersignError, openFile, readLines } from '@countersign/core';
import type { LoggedActivity } from '../evidence/activity-line.ts';
import { namesIn } from '../evidence/log-folder.ts';
import { type LogLine, readActivityLog } from '../evidence/read-log.ts';
import { parsePredecessorLine } from './predecessor-lines.ts';

const PREDECESSOR_NAME = /^actions_[0-9A-Za-z_-]{1,64}\.jsonl$/;
/** Its lines were not bounded. */
const MAX_LINE_BYTES = 1_048_576;

/**
 * The lines of a session's folder, of one segment, of an `actions_*.jsonl`, or of a folder of such.
 *
 * @throws {CountersignError} `ACTIVITY_LOG_FAILED` when there is none, or it cannot be read.
 */
export function* readReplayable(path: string): Generator<LogLine> {
  const actions = predecessorFiles(path);
  if (actions.length === 0) {
    yield* readActivityLog(path);
    return;
  }
  let seq = 0;
  for (const file of actions)
    for (const line of linesOf(file, seq)) {
      if ('activity' in line) seq = line.activity.seq;
      yield line;
    }
}

function predecessorFiles(path: string): readonly string[] {
  if (PREDECESSOR_NAME.test(basename(path))) return [path];
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return namesIn(path)
    .filter((name) => PREDECESSOR_NAME.test(name))
    .toSorted()
    .map((name) => join(path, name));
}

function* linesOf(path: string, before: number): Generator<LogLine> {
  const failed = (cause: unknown): CountersignError =>
    new CountersignError('ACTIVITY_LOG_FAILED', `${path} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  let file: ReturnType<typeof openFile>;
  try {
    file = openFile(path);
  } catch (cause) {
    throw failed(cause);
  }
  let seq = before;
  let number = 0;
  try {
    for (const { content, isEnded } of readLines(file, 0, MAX_LINE_BYTES)) {
      number++;
      if (content === undefined) yield { bad: 'too long', file: path, line: number };
      else {
        const line: LoggedActivity | undefined = parsePredecessorLine(content.toString('utf8'), seq + 1);
        if (line !== undefined) seq++;
        yield line ?? { bad: isEnded ? 'invalid' : 'torn', file: path, line: number };
      }
    }
  } catch (cause) {
    throw CountersignError.is(cause) ? cause : failed(cause);
  } finally {
    file.close();
  }
}
