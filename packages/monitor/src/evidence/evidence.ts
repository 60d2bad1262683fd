/** Everything a watched session leaves behind on disk: its log, its incidents, and what could be seen of it. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CountersignError, createRedactor, escapeJson } from '@countersign/core';
import type { TreeProcess } from '../tree/process-tree.ts';
import { type ActivityLog, type ActivityLogOptions, activityLog } from './activity-log.ts';
import type { CapturedEvidence } from './capture.ts';
import { inTime } from './in-time.ts';
import { IncidentFiles } from './incident-files.ts';
import { makePrivateFolder } from './log-folder.ts';
import { NoteQueue, SESSION_TOPIC } from './note-queue.ts';
import { removeOld } from './retention.ts';
import { SESSION_FILE, SESSION_FILE_VERSION, type SessionFacts } from './session-file.ts';
import { Shown } from './shown.ts';
import { writePrivate } from './write-private.ts';

export const DEFAULT_LOG_AGE_MS: number = 30 * 86_400_000;

export interface EvidenceOptions extends Omit<ActivityLogOptions, 'notes'> {
  readonly agent: string;
  /** Sessions and incidents last written before are removed now; default 30 days. */
  readonly maxAgeMs?: number;
  readonly capture?: (processes: readonly TreeProcess[]) => Promise<CapturedEvidence>;
}

export interface Evidence {
  /** What is written to it is in the timelines of incidents too. */
  readonly log: ActivityLog;
  readonly incidents: IncidentFiles;
  /** Writes what the session is and what watches it, in place of what was written before. Never rejects; trouble is told. */
  describe(facts: SessionFacts): Promise<void>;
  /** Closes the log, and waits until the ledger has the hashes. Never rejects. */
  close(): Promise<void>;
}

/**
 * Opens the files of a session, and removes those of sessions that are too old.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; system errors when folders cannot be made.
 */
export function openEvidence(options: EvidenceOptions): Evidence {
  const { dir, session, agent, redactor = createRedactor(), nowMs = Date.now, maxAgeMs = DEFAULT_LOG_AGE_MS, capture } = options;
  const tell = (error: CountersignError): void => {
    try {
      options.onTrouble?.(error);
    } catch {
      // Whoever is told must not be able to stop the watching.
    }
  };
  const notes = new NoteQueue(options.note, tell);
  const log = activityLog({ ...options, redactor, notes });
  const incidents = new IncidentFiles({ dir, agent, redactor, notes, ...(capture !== undefined && { capture }) });
  const shown = new Shown(redactor);
  removeOld(dir, nowMs() - maxAgeMs, notes, tell, log.folder);
  let writing: Promise<void> = Promise.resolve();
  let written: string | undefined;
  return {
    log: {
      folder: log.folder,
      write(activity, verdict) {
        incidents.see(activity, verdict);
        log.write(activity, verdict);
      },
      stats: () => log.stats(),
      flush: () => log.flush(),
      close: () => log.close(),
    },
    incidents,
    describe(facts) {
      writing = writing.then(async () => {
        try {
          const document = shown.json({ v: SESSION_FILE_VERSION, session, agent, ...facts }, () => true);
          const text = `${escapeJson(JSON.stringify(document))}\n`;
          makePrivateFolder(dir);
          makePrivateFolder(log.folder);
          await writePrivate(join(log.folder, SESSION_FILE), text);
          written = text;
        } catch (error) {
          tell(failed(`${SESSION_FILE} could not be written`, error));
        }
      });
      return writing;
    },
    async close() {
      if (!(await inTime(writing))) tell(failed(`${SESSION_FILE} could not be written`, new Error('the disk did not answer')));
      if (written !== undefined) notes.add(SESSION_TOPIC, { session, sha256: createHash('sha256').update(written).digest('hex') });
      await log.close();
      await notes.close();
    },
  };
}

function failed(what: string, cause: unknown): CountersignError {
  const why = cause instanceof Error ? cause.message : 'something was thrown that is no error';
  return new CountersignError('ACTIVITY_LOG_FAILED', `activity log: ${what}: ${why}`, { cause });
}
