/** Incidents in their folder: written while a warden works on them, read by whoever asks. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { CountersignError, createRedactor, escapeJson, type Json, openFile, type Redactor } from '@countersign/core';
import type { Activity } from '../activity.ts';
import type { TreeProcess } from '../tree/process-tree.ts';
import type { Verdict } from '../verdict.ts';
import type { Incident, IncidentStep } from '../warden/ports.ts';
import type { LoggedActivity } from './activity-line.ts';
import { type CapturedEvidence, type CapturedProcess, type CaptureOptions, captureEvidence } from './capture.ts';
import { INCIDENT_ID, INCIDENT_VERSION, type IncidentDocument, MAX_INCIDENT_BYTES, parseIncident } from './incident.ts';
import { KeptFolders } from './kept-folders.ts';
import { INCIDENT_FOLDER, namesIn } from './log-folder.ts';
import { INCIDENT_TOPIC, type NoteQueue } from './note-queue.ts';
import { Shown } from './shown.ts';
import { Timeline } from './timeline.ts';
import { writePrivate } from './write-private.ts';

/** Of one session: someone who makes incidents may not fill the disk with them. */
export const MAX_SESSION_INCIDENTS = 1000;
/** Of one entry of the timeline, and of one process. */
const MAX_ENTRY_CHARS = 8192;
const MAX_PROCESS_CHARS = 65_536;
/** Kept in memory, so that a further step does not need the file. */
const MAX_KEPT = 4;

export interface IncidentFilesOptions {
  /** The folder of all sessions. */
  readonly dir: string;
  readonly agent: string;
  /** Default: the built-in rules. */
  readonly redactor?: Redactor;
  /** Takes the hash of what was written. */
  readonly notes?: NoteQueue;
  readonly capture?: (processes: readonly TreeProcess[]) => Promise<CapturedEvidence>;
}

/** Keeps the story of each incident of a session. */
export class IncidentFiles {
  readonly #folder: string;
  readonly #folders: KeptFolders;
  readonly #agent: string;
  readonly #shown: Shown;
  readonly #capture: (processes: readonly TreeProcess[], options?: CaptureOptions) => Promise<CapturedEvidence>;
  readonly #notes: NoteQueue | undefined;
  readonly #timeline = new Timeline();
  /** Everything but the steps, by id; the newest last. */
  readonly #kept = new Map<string, Json>();
  #opened = 0;
  #writing: Promise<void> = Promise.resolve();

  /** @throws {CountersignError} `OPTIONS_INVALID` for a folder that is not ours alone. */
  constructor({ dir, agent, redactor = createRedactor(), notes, capture = captureEvidence }: IncidentFilesOptions) {
    this.#folder = join(dir, INCIDENT_FOLDER);
    this.#folders = new KeptFolders([dir, this.#folder]);
    this.#agent = agent;
    this.#shown = new Shown(redactor);
    this.#notes = notes;
    this.#capture = capture;
  }

  /** Told of everything that is seen, for the timelines. Never throws. */
  see(activity: Activity, verdict: Verdict): void {
    this.#timeline.see(activity, verdict);
  }

  /**
   * Takes what is there only as long as the processes are, and writes the incident. The timeline is what was seen until now.
   *
   * @param members - frozen, as far as that could be done; those who did it first.
   * @throws {CountersignError} `ACTIVITY_LOG_FAILED` when it could not be written.
   */
  async open(incident: Incident, members: readonly TreeProcess[]): Promise<void> {
    const { entries, omitted } = this.#timeline.entries();
    const path = this.#path(incident.id);
    if (++this.#opened > MAX_SESSION_INCIDENTS) throw failed(path, `the session has ${MAX_SESSION_INCIDENTS} incidents already`);
    const captured = await this.#capture(members).then(
      (evidence) => ({ evidence }),
      (cause: unknown) => ({ cause }),
    );
    const evidence = 'evidence' in captured ? captured.evidence : undefined;
    this.#keep(incident.id, this.#base(incident, entries, omitted, evidence));
    await this.#write(incident.id, []);
    // The incident is worth more than its evidence: it is written, and that something is missing is told.
    if ('cause' in captured) throw failed(path, 'it was written without evidence of its processes', captured.cause);
  }

  /**
   * Writes what was done about it.
   *
   * @param steps - all so far.
   * @throws {CountersignError} `ACTIVITY_LOG_FAILED`
   */
  async update(incident: Incident, steps: readonly IncidentStep[]): Promise<void> {
    if (!this.#kept.has(incident.id)) this.#keep(incident.id, this.#reread(incident));
    await this.#write(incident.id, steps);
  }

  /** One file at a time: of two writes of one incident the later one stays. */
  #write(id: string, steps: readonly IncidentStep[]): Promise<void> {
    const base = this.#kept.get(id) as { readonly [name: string]: Json };
    const text = `${escapeJson(JSON.stringify({ ...base, steps: steps.map((step) => this.#part(step, MAX_PROCESS_CHARS)) }))}\n`;
    const path = this.#path(id);
    const written = this.#writing.then(async () => {
      if (text.length > MAX_INCIDENT_BYTES) throw failed(path, `it is longer than ${MAX_INCIDENT_BYTES} bytes`);
      try {
        // Another may lie in its place by now.
        this.#folders.remake();
        await writePrivate(path, text);
        this.#notes?.add(INCIDENT_TOPIC, { incident: id, sha256: createHash('sha256').update(text).digest('hex') });
      } catch (cause) {
        throw failed(path, cause instanceof Error ? cause.message : 'unknown error', cause);
      }
    });
    // Whoever asked for it is told; the next one is written all the same.
    this.#writing = written.catch(() => undefined);
    return written;
  }

  #keep(id: string, base: Json): void {
    this.#kept.set(id, base);
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= MAX_KEPT) return;
      this.#kept.delete(old);
    }
  }

  /** Of one that was opened long ago, or never: then nothing of its processes was taken. */
  #reread(incident: Incident): Json {
    const known = readIncidentFile(this.#path(incident.id));
    if (known === undefined) return this.#base(incident, [], 0, undefined);
    const { steps: _steps, ...base } = known;
    // What was read is JSON.
    return base as unknown as Json;
  }

  #base(
    { id, at, session, mode, activity, verdict }: Incident,
    timeline: readonly LoggedActivity[],
    omitted: number,
    evidence: CapturedEvidence | undefined,
  ): Json {
    return {
      v: INCIDENT_VERSION,
      id,
      at,
      session: this.#shown.text(session),
      agent: this.#shown.text(this.#agent),
      mode,
      activity: this.#part(activity, MAX_ENTRY_CHARS),
      verdict: this.#part(verdict, MAX_ENTRY_CHARS),
      timeline: timeline.map((entry) => this.#part(entry, MAX_ENTRY_CHARS)),
      omitted,
      ...(evidence !== undefined && {
        evidence: {
          at: evidence.at,
          processes: evidence.processes.map((process) => this.#process(process)),
          omitted: evidence.omitted,
        },
      }),
    };
  }

  /** Descriptors that did not fit are counted with those that were not looked at. */
  #process(process: CapturedProcess): Json {
    const shown = this.#part(process, MAX_PROCESS_CHARS) as { readonly fds?: readonly Json[] };
    const lost = (process.fds?.length ?? 0) - (shown.fds?.length ?? 0);
    return { ...shown, ...(lost > 0 && { fds_omitted: lost + (process.fds_omitted ?? 0) }) };
  }

  #part(value: unknown, maxChars: number): Json {
    return this.#shown.json(value, (json) => JSON.stringify(json).length <= maxChars) ?? null;
  }

  #path(id: string): string {
    if (!INCIDENT_ID.test(id)) throw new CountersignError('OPTIONS_INVALID', 'the id of an incident is 32 hexadecimal digits');
    return join(this.#folder, `${id}.json`);
  }
}

/** An incident of a log folder. @throws {CountersignError} `INCIDENT_NOT_FOUND` */
export function readIncident(dir: string, id: string): IncidentDocument {
  const found = INCIDENT_ID.test(id) ? readIncidentFile(join(dir, INCIDENT_FOLDER, `${id}.json`)) : undefined;
  if (found === undefined || found.id !== id)
    throw new CountersignError('INCIDENT_NOT_FOUND', `there is no incident ${id.slice(0, 64)} in ${dir}`);
  return found;
}

/** Files of incidents, by id, with when each was last written; the newest first. */
export function incidentIds(
  dir: string,
): readonly { readonly id: string; readonly path: string; readonly writtenMs: number; readonly bytes: number }[] {
  const folder = join(dir, INCIDENT_FOLDER);
  return namesIn(folder)
    .flatMap((name) => {
      const id = name.endsWith('.json') ? name.slice(0, -5) : '';
      const path = join(folder, name);
      const stats = INCIDENT_ID.test(id) ? statSync(path, { throwIfNoEntry: false }) : undefined;
      return stats === undefined ? [] : [{ id, path, writtenMs: stats.mtimeMs, bytes: stats.size }];
    })
    .toSorted((a, b) => b.writtenMs - a.writtenMs);
}

/** Undefined when there is none, or the file holds something else. */
export function readIncidentFile(path: string): IncidentDocument | undefined {
  let file: ReturnType<typeof openFile>;
  try {
    file = openFile(path);
  } catch {
    return undefined;
  }
  try {
    if (file.sizeBytes > MAX_INCIDENT_BYTES) return undefined;
    const bytes = Buffer.alloc(file.sizeBytes);
    return parseIncident(bytes.toString('utf8', 0, file.read(bytes, 0)));
  } catch {
    return undefined;
  } finally {
    file.close();
  }
}

function failed(path: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('ACTIVITY_LOG_FAILED', `the incident ${path} could not be written: ${why}`, { cause });
}
