/**
 * How a process below tells the one that started it what it saw: a file of its own in a folder of the starter's, one JSON object per line.
 *
 *     {"activity":{...},"verdict":{...}}     {"lost":12}
 *
 * Bounded, and lossy with a count: past `MAX_SAFE_BYTES` what is SAFE is dropped, past `MAX_REPORT_BYTES` everything. Lines wait
 * until the turn of the event loop ends; HALT and KILL do not wait. A process that is killed takes what waited with it, uncounted.
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

export class Report {
  readonly #path: string;
  #fd: number | undefined;
  #written = 0;
  #waiting: string[] = [];
  #lost = 0;
  #isDue = false;

  constructor(folder: string) {
    this.#path = join(folder, `${process.pid}-${randomBytes(8).toString('hex')}.jsonl`);
  }

  add(activity: Activity, verdict: Verdict): void {
    const line = `${JSON.stringify({ activity, verdict })}\n`;
    const isSafe = verdict.level === 'SAFE';
    if (line.length > MAX_REPORT_LINE || this.#written + line.length > (isSafe ? MAX_SAFE_BYTES : MAX_REPORT_BYTES)) {
      this.#lost++;
      return;
    }
    this.#written += line.length;
    this.#waiting.push(line);
    if (verdict.level === 'HALT' || verdict.level === 'KILL' || this.#waiting.length >= MAX_WAITING) this.flush();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => within(() => this.flush())).unref();
    }
  }

  /** The last of it, with what was lost. */
  end(): void {
    within(() => this.#end());
  }

  #end(): void {
    if (this.#lost > 0) this.#waiting.push(`${JSON.stringify({ lost: this.#lost })}\n`);
    this.#lost = 0;
    this.flush();
  }

  flush(): void {
    this.#isDue = false;
    const lines = this.#waiting;
    if (lines.length === 0) return;
    this.#waiting = [];
    try {
      // Who reads it is gone, the disk is full ...: the process goes on being judged.
      this.#fd ??= originals.openSync(this.#path, 'ax', 0o600);
      originals.writeSync(this.#fd, lines.join(''));
    } catch {
      this.#lost += lines.length;
    }
  }
}
