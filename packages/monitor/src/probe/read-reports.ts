/** Reads what processes below told. They may be lying: what they say is checked for its shape and taken as theirs alone. */
import { constants } from 'node:fs';
import { join } from 'node:path';
import type { Activity } from '../activity.ts';
import { isAction } from '../evidence/activity-shapes.ts';
import { LEVELS, type Verdict } from '../verdict.ts';
import { originals } from './originals.ts';
import { MAX_REPORT_BYTES, MAX_REPORT_LINE } from './report.ts';

/** More processes than this at once are not listened to. */
export const MAX_REPORTS = 4_096;
const MAX_READ_BYTES = 1024 * 1024;
const KINDS = new Set(['read', 'write', 'delete', 'rename', 'exec', 'spawn', 'exit', 'connect', 'dns', 'load', 'memory', 'resource']);
const MAX_RULE_CHARS = 100;
const MAX_REASON_CHARS = 1_000;

interface Reading {
  at: number;
  rest: Buffer;
  isDone: boolean;
}

export class ReportReader {
  readonly #folder: string;
  readonly #tell: (activity: Activity, verdict: Verdict) => void;
  readonly #files = new Map<string, Reading>();
  #lost = 0;

  constructor(folder: string, tell: (activity: Activity, verdict: Verdict) => void) {
    this.#folder = folder;
    this.#tell = tell;
  }

  /** Lines that were none, what processes say they dropped, and processes too many: at least. */
  get lost(): number {
    return this.#lost;
  }

  /** Takes what has come since the last time. Never throws. */
  poll(): void {
    let names: string[];
    try {
      names = originals.readdirSync(this.#folder);
    } catch {
      return;
    }
    for (const name of names) {
      let file = this.#files.get(name);
      if (file === undefined) {
        if (this.#files.size >= MAX_REPORTS) {
          this.#lost++;
          continue;
        }
        file = { at: 0, rest: Buffer.alloc(0), isDone: false };
        this.#files.set(name, file);
      }
      if (!file.isDone) this.#read(join(this.#folder, name), file);
    }
  }

  #read(path: string, file: Reading): void {
    try {
      const chunk = Buffer.allocUnsafe(MAX_READ_BYTES);
      // Not through a link, and not from a pipe that would hold us.
      const fd = originals.openSync(path, READ_FLAGS);
      let size: number;
      try {
        if (!originals.fstatSync(fd).isFile()) throw new Error('no file');
        size = originals.readSync(fd, chunk, 0, chunk.length, file.at);
      } finally {
        originals.closeSync(fd);
      }
      file.at += size;
      this.#lines(file, Buffer.concat([file.rest, chunk.subarray(0, size)]));
      if (file.at > 2 * MAX_REPORT_BYTES) file.isDone = true;
    } catch {
      file.isDone = true;
      this.#lost++;
    }
  }

  #lines(file: Reading, bytes: Buffer): void {
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      this.#line(bytes.subarray(start, end));
      start = end + 1;
    }
    file.rest = bytes.subarray(start);
    if (file.rest.length > MAX_REPORT_LINE) file.isDone = true;
  }

  #line(bytes: Buffer): void {
    const said = parseTold(bytes);
    if (said === undefined) this.#lost++;
    else if (typeof said === 'number') this.#lost += said;
    else this.#tell(said.activity, said.verdict);
  }
}

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** @returns what a process tells of one act, how many it could not tell of, or undefined for what is neither. */
export function parseTold(bytes: Buffer): { readonly activity: Activity; readonly verdict: Verdict } | number | undefined {
  if (bytes.length > MAX_REPORT_LINE) return undefined;
  try {
    const { lost, activity, verdict } = JSON.parse(bytes.toString()) as { lost?: unknown; activity?: Activity; verdict?: Verdict };
    if (lost !== undefined) return Number.isSafeInteger(lost) && (lost as number) > 0 ? (lost as number) : undefined;
    return activity !== undefined && verdict !== undefined && isActivity(activity) && isVerdict(verdict)
      ? { activity: { ...activity, sensor: 'probe' }, verdict }
      : undefined;
  } catch {
    return undefined;
  }
}

function isActivity({ seq, at, action, actor, attribution, phase }: Activity): boolean {
  return (
    isCount(seq) &&
    isCount(at) &&
    phase === 'before' &&
    KINDS.has(action.kind) &&
    isAction(action) &&
    (actor === undefined || (isCount(actor.pid) && isCount(actor.start))) &&
    ['scope', 'marker', 'none'].includes(attribution.method) &&
    (attribution.call === undefined || typeof attribution.call === 'string')
  );
}

function isVerdict({ level, rule, reason, evaluator, confidence, evidence }: Verdict): boolean {
  return (
    LEVELS.includes(level) &&
    isText(rule, MAX_RULE_CHARS) &&
    isText(reason, MAX_REASON_CHARS) &&
    evaluator === 'rules' &&
    typeof confidence === 'number' &&
    confidence >= 0 &&
    confidence <= 1 &&
    Array.isArray(evidence) &&
    evidence.every(isCount)
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isText(value: unknown, maxChars: number): boolean {
  return typeof value === 'string' && value.length <= maxChars;
}
