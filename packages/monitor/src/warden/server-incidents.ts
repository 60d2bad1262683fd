/**
 * What is left of it when servers of a host were stopped: an incident as a file, whose hash the ledger gets, and whoever is to be alerted.
 * Nothing here waits before something is stopped, and nothing that fails lets something go on.
 */
import { CountersignError, type Redactor } from '@countersign/core';
import type { Activity } from '../activity.ts';
import type { Alerts } from '../alerts/alerts.ts';
import { IncidentFiles } from '../evidence/incident-files.ts';
import { NoteQueue, type RecordNote } from '../evidence/note-queue.ts';
import { removeOld } from '../evidence/retention.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import type { Verdict } from '../verdict.ts';
import type { Incident, IncidentStep } from './ports.ts';
import { alertPort, FLAG_ALERT_MS } from './watch-alerts.ts';

export interface ServerIncidentsOptions {
  /** The folder of all sessions. */
  readonly dir: string;
  /** Incidents and sessions last written before are removed now. */
  readonly maxAgeMs: number;
  readonly agent: string;
  readonly redactor: Redactor;
  /** Puts the hash of what was written on record. */
  readonly note: RecordNote;
  readonly alerts?: Alerts;
  /** Must not throw. */
  readonly onTrouble: (error: CountersignError) => void;
}

export interface ServerIncidents {
  /** Of the verdicts on one server, the timeline of its incidents. Must not throw. */
  see(activity: Activity, verdict: Verdict): void;
  /**
   * Returns at once, and never throws.
   *
   * @param steps - all so far; none: it was judged so, and nothing is stopped by the mode.
   * @param members - of the tree it is about, as they are now.
   */
  follow(incident: Incident, steps: readonly IncidentStep[], members: readonly TreeProcess[]): void;
  /** Resolves when everything is written, and the ledger has the hashes. Never rejects. */
  close(): Promise<void>;
}

/** @throws {CountersignError} `OPTIONS_INVALID` for a folder that is not ours alone; system errors when it cannot be made. */
export function serverIncidents(options: ServerIncidentsOptions): ServerIncidents {
  const { dir, maxAgeMs, agent, redactor, note, alerts, onTrouble } = options;
  const notes = new NoteQueue(note, onTrouble);
  const files = new IncidentFiles({ dir, agent, redactor, notes });
  removeOld(dir, Date.now() - maxAgeMs, notes, onTrouble);
  const port = alerts === undefined ? undefined : alertPort(alerts, redactor);
  /** By rule, of what stopped nothing. */
  const told = new Map<string, number>();
  const work = new Set<Promise<void>>();

  function follow(incident: Incident, steps: readonly IncidentStep[], members: readonly TreeProcess[]): void {
    if (steps.length > 0) write(incident, steps, members);
    else if (incident.at - (told.get(incident.verdict.rule) ?? Number.NEGATIVE_INFINITY) < FLAG_ALERT_MS) return;
    else told.set(incident.verdict.rule, incident.at);
    void port?.alert(incident, steps);
  }

  function write(incident: Incident, steps: readonly IncidentStep[], members: readonly TreeProcess[]): void {
    const trouble = (error: unknown): void => onTrouble(CountersignError.is(error) ? error : failed(error));
    const written = (async () => {
      if (steps.length === 1) await files.open(incident, members).catch(trouble);
      await files.update(incident, steps).catch(trouble);
    })().finally(() => work.delete(written));
    work.add(written);
  }

  return {
    see: (activity, verdict) => files.see(activity, verdict),
    follow,
    async close() {
      await Promise.all(work);
      await notes.close();
    },
  };
}

function failed(cause: unknown): CountersignError {
  const why = cause instanceof Error ? cause.message : 'something was thrown that is no error';
  return new CountersignError('ACTIVITY_LOG_FAILED', `incidents: ${why}`, { cause });
}
