/**
 * How a process tells whoever watches it what it saw, one JSON object per line:
 *
 *     {"activity":{...},"verdict":{...}}     {"lost":12}
 *
 * Lossy, with a count. Lines wait until the turn of the event loop ends; HALT and KILL do not wait. A process that is killed takes
 * what waited with it, uncounted.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Activity } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import { within } from './intrinsics.ts';
import { originals } from './originals.ts';

export const MAX_SAFE_BYTES = 1_048_576;
export const MAX_REPORT_BYTES = 4_194_304;
export const MAX_REPORT_LINE = 65_536;
const MAX_WAITING = 64;

/** Where lines go. */
export interface Sink {
  /** So many bytes were taken so far: is there room for this line? */
  takes(isSafe: boolean, bytes: number): boolean;
  /** @param isUrgent - worth waiting for. @throws when it cannot be told. */
  write(text: string, isUrgent: boolean): void;
}

export class Report {
  readonly #sink: Sink;
  #waiting: string[] = [];
  #lost = 0;
  #isDue = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  add(activity: Activity, verdict: Verdict): void {
    const line = `${JSON.stringify({ activity, verdict })}\n`;
    if (line.length > MAX_REPORT_LINE || !this.#sink.takes(verdict.level === 'SAFE', line.length)) {
      this.#lost++;
      return;
    }
    this.#waiting.push(line);
    const isUrgent = verdict.level === 'HALT' || verdict.level === 'KILL';
    if (isUrgent || this.#waiting.length >= MAX_WAITING) this.#flush(isUrgent);
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => within(() => this.#flush(false))).unref();
    }
  }

  /** The last of it, with what was lost. */
  end(): void {
    within(() => this.#flush(true));
  }

  #flush(isUrgent: boolean): void {
    this.#isDue = false;
    const lost = this.#lost;
    const lines = lost > 0 && isUrgent ? [...this.#waiting, `${JSON.stringify({ lost })}\n`] : this.#waiting;
    if (lines.length === 0) return;
    const waited = this.#waiting.length;
    this.#waiting = [];
    try {
      // Who reads it is gone, the disk is full ...: the process goes on being judged.
      this.#sink.write(lines.join(''), isUrgent);
      if (isUrgent) this.#lost -= lost;
    } catch {
      this.#lost += waited;
    }
  }
}

/** A file of its own in a folder of the starter's. Past `MAX_SAFE_BYTES` what is SAFE is dropped, past `MAX_REPORT_BYTES` everything. */
export class FileSink implements Sink {
  readonly #path: string;
  #fd: number | undefined;
  #written = 0;

  constructor(folder: string) {
    this.#path = join(folder, `${process.pid}-${randomBytes(8).toString('hex')}.jsonl`);
  }

  takes(isSafe: boolean, bytes: number): boolean {
    if (this.#written + bytes > (isSafe ? MAX_SAFE_BYTES : MAX_REPORT_BYTES)) return false;
    this.#written += bytes;
    return true;
  }

  write(text: string): void {
    this.#fd ??= originals.openSync(this.#path, 'ax', 0o600);
    originals.writeSync(this.#fd, text);
  }
}
