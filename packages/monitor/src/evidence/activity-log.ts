/**
 * The activity log of a session: everything that was seen, and what was made of it, as JSON lines.
 *
 * Whoever watches does not wait for it. Lines are queued, written in batches off the event loop, and counted as lost when a disk
 * is full or too slow; that is told at once, and in the log itself once it can be written again. Each closed segment is told to
 * the ledger by its hash, so that whoever has the file cannot change it unseen. What is recorded as a verdict does not depend on it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CountersignError, createRedactor, type Redactor } from '@countersign/core';
import type { Activity } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import { activityLine, lostLine, MAX_ACTIVITY_LINE_BYTES } from './activity-line.ts';
import { CLOSE_WAIT_MS, inTime } from './in-time.ts';
import { KeptFolders } from './kept-folders.ts';
import { MAX_SEGMENTS, segmentName, segmentNumbers, sessionFolder } from './log-folder.ts';
import { NoteQueue, REMOVED_TOPIC, type RecordNote, SEGMENT_TOPIC } from './note-queue.ts';
import { type Line, openSegment, type Segment, type WriteBytes, writeBytes } from './segment.ts';
import { Shown } from './shown.ts';
import { notLogged } from './unwritable.ts';

export const DEFAULT_LOG_BYTES = 16_777_216;
export const MIN_LOG_BYTES = 1_048_576;
export const DEFAULT_LOG_KEEP = 50;
/** A segment is closed, and so recorded, at the latest with the first line after it. */
export const SEGMENT_AGE_MS = 3_600_000;
/** Lines that wait for the disk; further ones are lost. */
export const MAX_QUEUED_BYTES = 8_388_608;
const BATCH_BYTES = 262_144;
/** How long ordinary activity may wait, so that it is written together. */
const GATHER_MS = 100;
/** Between two looks whether what is written is still where it is looked for; and before each batch. */
const LOOK_MS = 1_000;

export interface ActivityLogOptions {
  /** The folder of all sessions; made when it is not there. */
  readonly dir: string;
  readonly session: string;
  /** Absent: segments are hashed, and nobody is told. */
  readonly note?: RecordNote;
  /** In place of `note`: shared with others, who close it as well. */
  readonly notes?: NoteQueue;
  /** Told once per streak of failures, and again when it is over. Must not throw. */
  readonly onTrouble?: (error: CountersignError) => void;
  /** Default: the built-in rules. */
  readonly redactor?: Redactor;
  /** Of one segment; from 1 MiB, default 16 MiB. */
  readonly maxBytes?: number;
  /** Closed segments that are kept of this session, from 1; default 50. */
  readonly keep?: number;
  readonly nowMs?: () => number;
  readonly writeBytes?: WriteBytes;
}

export interface ActivityLogStats {
  /** Activities in the files. */
  readonly written: number;
  /** Activities that are in no file. */
  readonly lost: number;
  /** Segments that were closed. */
  readonly segments: number;
  /** Closed segments whose note waits for the ledger. */
  readonly unrecorded: number;
}

export interface ActivityLog {
  /** Of this session; a watched process that touches it touches evidence. */
  readonly folder: string;
  /** Never throws and returns at once. */
  write(activity: Activity, verdict: Verdict): void;
  stats(): ActivityLogStats;
  /** Resolves when all that was written so far is in a file, or lost. */
  flush(): Promise<void>;
  /** Closes the last segment and waits for its note, each for `CLOSE_WAIT_MS`. Idempotent; never rejects. */
  close(): Promise<void>;
}

/**
 * Opens the log of a session. Files that are there already stay as they are: new segments follow them.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; system errors when the folder cannot be made.
 */
export function activityLog(options: ActivityLogOptions): ActivityLog {
  const { maxBytes = DEFAULT_LOG_BYTES, keep = DEFAULT_LOG_KEEP } = options;
  if (!Number.isSafeInteger(maxBytes) || maxBytes < MIN_LOG_BYTES)
    throw invalid(`maxBytes must be a whole number from ${MIN_LOG_BYTES} on`);
  if (!Number.isSafeInteger(keep) || keep < 1 || keep > MAX_SEGMENTS)
    throw invalid(`keep must be a whole number from 1 to ${MAX_SEGMENTS}`);
  const folder = sessionFolder(options.dir, options.session);
  return new QueuedLog(folder, new KeptFolders([options.dir, folder]), { ...options, maxBytes, keep });
}

/** The first line may be of a call; without this its async context would own every later write. */
const outsideAnyCall = AsyncLocalStorage.snapshot();

type CheckedOptions = ActivityLogOptions & { readonly maxBytes: number; readonly keep: number };

class QueuedLog implements ActivityLog {
  readonly folder: string;
  readonly #options: CheckedOptions;
  readonly #shown: Shown;
  readonly #nowMs: () => number;
  #queue: Line[] = [];
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #look: NodeJS.Timeout;
  #pumping: Promise<void> | undefined;
  #segment: Segment | undefined;
  #openedAt = 0;
  #next: number;
  #written = 0;
  #lost = 0;
  /** Lost, and not yet said so in the log. */
  #untold = 0;
  #isFailing = false;
  #closed = 0;
  readonly #notes: NoteQueue;
  #closing: Promise<void> | undefined;

  readonly #folders: KeptFolders;

  constructor(folder: string, folders: KeptFolders, options: CheckedOptions) {
    this.folder = folder;
    this.#folders = folders;
    this.#options = options;
    this.#shown = new Shown(options.redactor ?? createRedactor());
    this.#nowMs = options.nowMs ?? Date.now;
    this.#notes = options.notes ?? new NoteQueue(options.note, (error) => this.#tell(error));
    this.#next = (segmentNumbers(folder).at(-1) ?? 0) + 1;
    this.#look = outsideAnyCall(setInterval, () => this.#start(), LOOK_MS).unref();
  }

  write(activity: Activity, verdict: Verdict): void {
    if (this.#closing !== undefined) return this.#lose(1, new Error('the log was closed'));
    try {
      const bytes = activityLine({ activity, verdict }, this.#shown);
      if (bytes === undefined) throw new Error(`it is longer than ${MAX_ACTIVITY_LINE_BYTES} bytes`);
      if (this.#queuedBytes + bytes.length > MAX_QUEUED_BYTES) throw new Error(`${MAX_QUEUED_BYTES} bytes wait for the disk already`);
      this.#queue.push({ bytes, of: { seq: activity.seq, at: activity.at } });
      this.#queuedBytes += bytes.length;
    } catch (error) {
      return this.#lose(1, error);
    }
    if (verdict.level === 'SAFE' && this.#queuedBytes < BATCH_BYTES)
      this.#timer ??= outsideAnyCall(setTimeout, () => this.#start(), GATHER_MS);
    else this.#start();
  }

  stats(): ActivityLogStats {
    return { written: this.#written, lost: this.#lost, segments: this.#closed, unrecorded: this.#notes.waiting(SEGMENT_TOPIC) };
  }

  async flush(): Promise<void> {
    this.#start();
    while (this.#pumping !== undefined) await this.#pumping;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    clearInterval(this.#look);
    const isDone = await inTime(this.#closeFile());
    if (!isDone) this.#trouble(`${this.folder} could not be closed: the disk did not answer within ${CLOSE_WAIT_MS} ms`);
    await this.#notes.close();
  }

  async #closeFile(): Promise<void> {
    await this.flush();
    await this.#tellLost();
    await this.#closeSegment();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pumping ??= outsideAnyCall(() => this.#pump()).finally(() => {
      this.#pumping = undefined;
    });
  }

  /** Never rejects. */
  async #pump(): Promise<void> {
    await this.#leaveMoved();
    while (this.#queue.length > 0) {
      const batch = this.#take();
      const told = this.#untold;
      try {
        await this.#append(told === 0 ? batch : [{ bytes: lostLine(told) }, ...batch]);
        this.#untold -= told;
        this.#written += batch.length;
        this.#recovered();
      } catch (error) {
        this.#lose(batch.length, error);
        if (this.#segment?.isBroken === true) await this.#closeSegment();
      }
    }
  }

  #take(): Line[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes < BATCH_BYTES)) bytes += this.#queue[count++]?.bytes.length ?? 0;
    this.#queuedBytes -= bytes;
    const batch = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return batch;
  }

  async #append(lines: readonly Line[]): Promise<void> {
    await this.#leaveMoved();
    const bytes = lines.reduce((sum, line) => sum + line.bytes.length, 0);
    const isFull = this.#segment !== undefined && this.#segment.size > 0 && this.#segment.size + bytes > this.#options.maxBytes;
    if (isFull || this.#nowMs() - this.#openedAt >= SEGMENT_AGE_MS) await this.#closeSegment();
    if (this.#segment === undefined) {
      this.#folders.remake();
      this.#segment = await openSegment(this.folder, this.#next, this.#options.writeBytes ?? writeBytes);
      this.#next = this.#segment.number + 1;
      this.#openedAt = this.#nowMs();
    }
    await this.#segment.append(lines);
  }

  /** What was written until then has its hash in the ledger; what follows goes to where it is looked for. Never rejects. */
  async #leaveMoved(): Promise<void> {
    if (this.#segment !== undefined && (await this.#moved(this.#segment)) !== undefined) await this.#closeSegment();
  }

  /** What of it is not where it was made. */
  async #moved(segment: Segment): Promise<string | undefined> {
    return (await this.#folders.missing()) ?? ((await segment.isInPlace()) ? undefined : segment.path);
  }

  /** A log that ends with a loss says so too. */
  async #tellLost(): Promise<void> {
    if (this.#untold === 0 || this.#segment === undefined) return;
    try {
      await this.#append([{ bytes: lostLine(this.#untold) }]);
      this.#untold = 0;
    } catch {
      // Told already.
    }
  }

  /** Never rejects. */
  async #closeSegment(): Promise<void> {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment === undefined) return;
    this.#closed++;
    try {
      const moved = await this.#moved(segment);
      if (moved !== undefined) this.#trouble(`${moved} was removed or replaced while it was written`);
      this.#notes.add(SEGMENT_TOPIC, { session: this.#options.session, ...(await segment.close()) });
      await this.#removeOld(segment.number);
    } catch (error) {
      this.#trouble(`${segment.path} could not be closed`, error);
    }
  }

  async #removeOld(newest: number): Promise<void> {
    const removed: number[] = [];
    for (const number of segmentNumbers(this.folder)) {
      if (number > newest - this.#options.keep) break;
      await unlink(join(this.folder, segmentName(number)));
      removed.push(number);
    }
    if (removed.length > 0) this.#notes.add(REMOVED_TOPIC, { session: this.#options.session, segments: removed, why: 'keep' });
  }

  #lose(count: number, error: unknown): void {
    this.#lost += count;
    this.#untold += count;
    if (!this.#isFailing) this.#tell(notLogged(error));
    this.#isFailing = true;
  }

  #recovered(): void {
    if (this.#isFailing) this.#trouble(`the log is written again; ${this.#lost} activities are in no file`);
    this.#isFailing = false;
  }

  #trouble(what: string, cause?: unknown): void {
    const why = cause === undefined ? '' : `: ${cause instanceof Error ? cause.message : 'something was thrown that is no error'}`;
    this.#tell(new CountersignError('ACTIVITY_LOG_FAILED', `activity log: ${what}${why}`, { cause }));
  }

  #tell(error: CountersignError): void {
    try {
      this.#options.onTrouble?.(error);
    } catch {
      // Whoever is told must not be able to stop the watching.
    }
  }
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `activity log: ${what}`);
}
