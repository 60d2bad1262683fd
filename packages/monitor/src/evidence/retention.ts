/** Removing what is older than it is to be kept. Only files that we name are touched, and only in folders that hold them. */
import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';
import { incidentIds } from './incident-files.ts';
import { INCIDENT_FOLDER, namesIn, segmentName, segmentNumbers } from './log-folder.ts';
import { type NoteQueue, REMOVED_TOPIC } from './note-queue.ts';
import { readSessionFile, SESSION_FILE } from './session-file.ts';

export interface Removed {
  readonly sessions: readonly { readonly session: string; readonly segments: readonly number[] }[];
  readonly incidents: readonly string[];
}

/** In one note. */
const MAX_NAMED = 10_000;

/** As `removeExpired`, with a note of what was removed. Never throws; trouble is told. */
export function removeOld(dir: string, beforeMs: number, notes: NoteQueue, tell: (error: CountersignError) => void, keep = ''): void {
  try {
    const removed = removeExpired(dir, beforeMs, keep);
    for (const each of removed.sessions) notes.add(REMOVED_TOPIC, { ...each, why: 'max_age' });
    if (removed.incidents.length > 0) notes.add(REMOVED_TOPIC, { incidents: removed.incidents.slice(0, MAX_NAMED), why: 'max_age' });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'something was thrown that is no error';
    tell(new CountersignError('ACTIVITY_LOG_FAILED', `activity log: what is too old could not be removed: ${why}`, { cause }));
  }
}

/**
 * Removes sessions and incidents last written before `beforeMs`.
 *
 * @param keep - a folder that stays, whatever its age: that of the session that begins.
 */
export function removeExpired(dir: string, beforeMs: number, keep: string): Removed {
  const sessions = namesIn(dir).flatMap((name) => {
    const folder = join(dir, name);
    return name === INCIDENT_FOLDER || folder === keep ? [] : (removeSession(folder, name, beforeMs) ?? []);
  });
  const incidents = incidentIds(dir).filter(({ writtenMs }) => writtenMs < beforeMs);
  for (const { path } of incidents) unlinkSync(path);
  return { sessions, incidents: incidents.map(({ id }) => id) };
}

function removeSession(folder: string, name: string, beforeMs: number): Removed['sessions'][number] | undefined {
  // A link leads to folders that are not ours to clean.
  if (!lstatSync(folder).isDirectory()) return undefined;
  const segments = segmentNumbers(folder);
  const facts = join(folder, SESSION_FILE);
  const files = [...segments.map((number) => join(folder, segmentName(number))), facts];
  const times = files.flatMap((file) => lstatSync(file, { throwIfNoEntry: false })?.mtimeMs ?? []);
  if (times.length === 0 || Math.max(...times) >= beforeMs) return undefined;
  const session = readSessionFile(facts)?.session ?? name;
  for (const file of files) if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) unlinkSync(file);
  try {
    rmdirSync(folder);
  } catch {
    // Somebody keeps something of their own in it.
  }
  return { session, segments };
}
