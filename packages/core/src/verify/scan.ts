/**
 * All rows judged, in order: on this thread, or on this one and others.
 *
 * What follows on judging, entry by entry, is nearly as much work and stays with this thread. It hands ranges of positions to the
 * others, takes their answers in order, and judges rows itself whenever the answer that is next did not come yet: while the others
 * start, and where they have more to do than this one, as with clear text beside the entries.
 *
 * Each of the others has a connection of its own, and so a snapshot that may be later than ours. Entries are only ever added, so
 * those below our size are the same; one that is not was tampered with, and does not give our root. Openings are also
 * erased (`forget`): where a later snapshot lacks one, ours is asked.
 *
 * They decide nothing: if one crashes, stays silent or has another file before it, the rest is read here.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { startThread } from '../thread.ts';
import { judgeRows } from './judge.ts';
import type { Judged } from './judged.ts';
import { Lane, type ScanWorker, ThreadFailure } from './scan-lane.ts';
import type { Range, ScanTask } from './scan-messages.ts';
import type { LedgerSource } from './source.ts';

/** Ranges a thread is asked for at once: it works on one while the answers to others wait here, and seldom waits itself. */
const AHEAD = 4;
/** Ranges that this thread judges before it is their turn. */
const HERE_AHEAD = 2;
/** Text of which rows judged here are held, characters; the rows read at once may exceed it. */
const MAX_HELD_CHARS = 4_194_304;
/** A part is at most 33 MB of text. */
const SILENCE_MS = 60_000;

/** Few, so that parts that wait to be taken are not copied by the garbage collector again and again. */
const RANGE_ROWS = 1024;

/** What a thread makes dies young; left alone, V8 gives each of them up to 100 MB for it, and none is faster. */
const YOUNG_MB = 24;

/** How threads are run; other values are for tests. */
export interface ThreadOptions {
  readonly start?: (task: ScanTask) => ScanWorker;
  readonly silenceMs?: number;
  readonly rangeRows?: number;
  /** This thread judges rows, too; otherwise it waits for the others, come what may. */
  readonly helps?: boolean;
}

export interface ScanOptions extends ThreadOptions {
  /** This one among them. */
  readonly threads: number;
  /** First position. */
  readonly from?: number;
}

export async function* judgedParts(source: LedgerSource, options: ScanOptions): AsyncGenerator<readonly Judged[]> {
  let next = options.from ?? 0;
  if (options.threads > 1 && source.file !== undefined) {
    for await (const part of threadedParts(source, source.file, options)) {
      next = (part.at(-1)?.seq ?? next - 1) + 1;
      yield part;
    }
  }
  // Nothing, when the threads came to the end.
  for (const chunk of source.chunks(next)) yield judgeRows(chunk, source);
}

/** Ends where the threads do, be it early: where one fails, or positions lie far apart. */
async function* threadedParts(source: LedgerSource, file: string, options: ScanOptions): AsyncGenerator<readonly Judged[]> {
  const { threads, start = startScan, silenceMs = SILENCE_MS, helps = true } = options;
  const lanes = Array.from({ length: threads - 1 }, () => new Lane(start({ file }), source, silenceMs));
  const plan = new Plan(source, lanes, options);
  try {
    if (!helps) await Promise.all(lanes.map(async (lane) => lane.ready()));
    for (;;) {
      // Answers arrive between two turns.
      await nextTurn();
      plan.handOut();
      const job = plan.first();
      if (job === undefined) return;
      if ('held' in job) {
        let last: number | undefined;
        for (const rows of partsOf(job, source)) {
          last = rows.at(-1)?.seq;
          yield rows;
        }
        if (last === undefined) return;
        plan.done(job.to);
        continue;
      }
      const part = job.lane.take();
      if (part === undefined) {
        if (!helps || !plan.judgeAhead()) await job.lane.news();
        continue;
      }
      if (part.rows.length === 0) return;
      yield job.lane.isLater ? part.rows.map((row) => asOfOurs(row, source)) : part.rows;
      plan.done(part.next);
    }
  } catch (error) {
    if (!(error instanceof ThreadFailure)) throw error;
  } finally {
    await Promise.all(lanes.map(async (lane) => lane.stop()));
  }
}

/** A range that somebody has: another thread, or this one. */
type Job = (Range & { readonly lane: Lane }) | HeldRange;

/** Who judges what. */
class Plan {
  private readonly source: LedgerSource;
  private readonly lanes: readonly Lane[];
  private readonly rangeRows: number;
  /** In order, from the one that is next. */
  private readonly jobs: Job[] = [];
  /** Nobody has positions from here on. */
  private free: number;

  constructor(source: LedgerSource, lanes: readonly Lane[], { from = 0, rangeRows = RANGE_ROWS }: ScanOptions) {
    this.source = source;
    this.lanes = lanes;
    this.rangeRows = rangeRows;
    this.free = from;
  }

  handOut(): void {
    for (let asked = 0; asked < AHEAD; asked++)
      for (const lane of this.lanes) if (lane.isReady && lane.asked === asked && this.isLeft) this.jobs.push(askedOf(lane, this.range()));
    for (const lane of this.lanes) if (lane.isReady && lane.asked === 0) lane.end();
  }

  /** Undefined at the end. What nobody has, this thread has. */
  first(): Job | undefined {
    if (this.jobs.length === 0 && this.isLeft) this.jobs.push(heldRange(this.source, this.range(), 0));
    return this.jobs[0];
  }

  /** The first was done up to a position. */
  done(next: number): void {
    const job = this.jobs.shift();
    if (job !== undefined && 'lane' in job && next < job.to) this.jobs.unshift(askedOf(job.lane, { from: next, to: job.to }));
  }

  /** Judges a range here whose turn has not come. @returns false when there is none, or enough of them wait. */
  judgeAhead(): boolean {
    if (!this.isLeft || this.jobs.filter((job) => 'held' in job).length >= HERE_AHEAD) return false;
    this.jobs.push(heldRange(this.source, this.range(), MAX_HELD_CHARS));
    return true;
  }

  private get isLeft(): boolean {
    return this.free < this.source.size;
  }

  private range(): Range {
    const from = this.free;
    this.free = Math.min(from + this.rangeRows, this.source.size);
    return { from, to: this.free };
  }
}

function askedOf(lane: Lane, range: Range): Job {
  lane.ask(range);
  return { ...range, lane };
}

/** A range of which this thread judged the rows below `from`. */
interface HeldRange extends Range {
  readonly held: readonly (readonly Judged[])[];
}

/**
 * Ends where the file cannot be read: that is told when the turn of those rows has come, as if no others were judged before.
 *
 * @param maxChars - of text; the rest is judged when its turn comes.
 */
function heldRange(source: LedgerSource, { from, to }: Range, maxChars: number): HeldRange {
  const held: (readonly Judged[])[] = [];
  let next = from;
  let chars = 0;
  try {
    for (const rows of source.chunks(from, to)) {
      held.push(judgeRows(rows, source));
      next = (rows.at(-1)?.seq ?? next) + 1;
      for (const { body } of rows) chars += body?.length ?? 0;
      if (chars >= maxChars) return { held, from: next, to };
    }
  } catch {
    return { held, from: next, to };
  }
  return { held, from: to, to };
}

function* partsOf({ held, from, to }: HeldRange, source: LedgerSource): Generator<readonly Judged[]> {
  yield* held;
  for (const rows of source.chunks(from, to)) yield judgeRows(rows, source);
}

function startScan(task: ScanTask): ScanWorker {
  return startThread(import.meta.url, './scan-thread', { workerData: task, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
}

/** What lies beside an entry may have been erased since our snapshot. */
function asOfOurs(row: Judged, source: LedgerSource): Judged {
  if (!row.withheld && row.found.length === 0) return row;
  for (const rows of source.chunks(row.seq, row.seq + 1)) return judgeRows(rows, source)[0] ?? row;
  return row;
}
