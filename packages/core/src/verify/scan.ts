/**
 * All rows judged, in order: on this thread, or by others whose results are put in order here.
 *
 * What follows on judging, entry by entry, is as much work and stays with this thread, which is one of those asked for. Where clear
 * text lies beside the entries judging is far more, and this thread mostly waits: there the others are as many as were asked for.
 *
 * Each of the others has a connection of its own, and so a snapshot that may be later than ours. Entries are only ever added, so
 * those below our size are the same; one that is not was tampered with, and does not give our root. Openings are also
 * erased (`forget`): where a later snapshot lacks one, ours is asked.
 *
 * They decide nothing: if one crashes, stays silent or has another file before it, the rest is read here.
 */
import type { Worker } from 'node:worker_threads';
import { startThread } from '../thread.ts';
import { judgeRows } from './judge.ts';
import type { Judged } from './judged.ts';
import { unpack } from './packed.ts';
import type { ScanMessage, ScanTask } from './scan-messages.ts';
import type { LedgerSource } from './source.ts';

/** Requests a thread may be behind with: it works on one while the answer to another waits here. */
const AHEAD = 2;
/** A part is at most 33 MB of text. */
const SILENCE_MS = 60_000;
const STOP_MS = 2000;

/** Few, so that parts that wait to be taken are not copied by the garbage collector again and again. */
const RANGE_ROWS = 1024;

/** What a thread makes dies young; left alone, V8 gives each of them up to 100 MB for it, and none is faster. */
const YOUNG_MB = 24;

/** A worker thread, as far as it is used here. */
export type ScanWorker = Pick<Worker, 'postMessage' | 'terminate'> & {
  on(event: 'message', listener: (message: ScanMessage) => void): unknown;
  on(event: 'error' | 'exit', listener: () => void): unknown;
};

/** How threads are run; other values are for tests. */
export interface ThreadOptions {
  readonly start?: (task: ScanTask) => ScanWorker;
  readonly silenceMs?: number;
  readonly rangeRows?: number;
}

export interface ScanOptions extends ThreadOptions {
  /** This one among them, unless it would mostly wait. */
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

/** Ends where the threads do, be it early. */
async function* threadedParts(source: LedgerSource, file: string, options: ScanOptions): AsyncGenerator<readonly Judged[]> {
  const { threads, from = 0, start = startScan, silenceMs = SILENCE_MS, rangeRows = RANGE_ROWS } = options;
  const lanes: Lane[] = [];
  try {
    const others = hasOpenings(source, from) ? threads : threads - 1;
    for (let index = 0; index < others; index++)
      lanes.push(new Lane(start({ file, from, size: source.size, rangeRows, index, of: others }), silenceMs));
    const notes = await Promise.all(lanes.map((lane) => readyLane(lane, source)));
    const own = source.newestCheckpoint()?.note;
    const isLater = notes.some((note) => note !== own);
    for (;;) {
      const heads = await Promise.all(lanes.map(async (lane) => lane.head()));
      const first = heads.reduce((best, head, i) => (rangeOf(head) < rangeOf(heads[best]) ? i : best), 0);
      const head = heads[first];
      if (head?.kind !== 'part') return;
      (lanes[first] as Lane).take();
      const rows = unpack(head.packed);
      if (rows.length > 0) yield isLater ? rows.map((row) => asOfOurs(row, source)) : rows;
    }
  } catch (error) {
    if (!(error instanceof ThreadFailure)) throw error;
  } finally {
    await Promise.all(lanes.map(async (lane) => lane.stop()));
  }
}

/** As far as its first rows tell. */
function hasOpenings(source: LedgerSource, from: number): boolean {
  for (const rows of source.chunks(from)) return rows.some((row) => row.opening !== undefined);
  return false;
}

function startScan(task: ScanTask): ScanWorker {
  return startThread(import.meta.url, './scan-thread', { workerData: task, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
}

/** @returns the newest checkpoint of the thread's snapshot. */
async function readyLane(lane: Lane, source: LedgerSource): Promise<string | undefined> {
  const message = await lane.head();
  if (message.kind !== 'ready' || message.ledgerId !== source.ledgerId || message.size < source.size) throw new ThreadFailure();
  for (let i = 0; i < AHEAD; i++) lane.request();
  lane.drop();
  return message.note;
}

function rangeOf(message: ScanMessage | undefined): number {
  return message?.kind === 'part' ? message.range : Number.POSITIVE_INFINITY;
}

/** What lies beside an entry may have been erased since our snapshot. */
function asOfOurs(row: Judged, source: LedgerSource): Judged {
  if (!row.withheld && row.found.length === 0) return row;
  for (const rows of source.chunks(row.seq, row.seq + 1)) return judgeRows(rows, source)[0] ?? row;
  return row;
}

class ThreadFailure extends Error {}

/** A thread and the answers it gave that nobody took yet. */
class Lane {
  private readonly worker: ScanWorker;
  private readonly silenceMs: number;
  private readonly answers: ScanMessage[] = [];
  private failed = false;
  private wake: (() => void) | undefined;

  constructor(worker: ScanWorker, silenceMs: number) {
    this.worker = worker;
    this.silenceMs = silenceMs;
    worker.on('message', (message: ScanMessage) => {
      this.answers.push(message);
      this.wake?.();
    });
    // An error is followed by the exit.
    worker.on('error', () => this.fail());
    worker.on('exit', () => this.fail());
  }

  /** The oldest answer, which stays. @throws {ThreadFailure} when none comes. */
  async head(): Promise<ScanMessage> {
    while (this.answers.length === 0) {
      if (this.failed) throw new ThreadFailure();
      await this.nextAnswer();
    }
    return this.answers[0] as ScanMessage;
  }

  request(): void {
    this.worker.postMessage('next');
  }

  drop(): void {
    this.answers.shift();
  }

  take(): void {
    this.drop();
    this.request();
  }

  async stop(): Promise<void> {
    if (!this.failed && this.answers.at(-1)?.kind !== 'end') await this.worker.terminate();
    else if (!this.failed) await this.ended();
  }

  private fail(): void {
    this.failed = true;
    this.wake?.();
  }

  private async nextAnswer(): Promise<void> {
    await this.within(this.silenceMs, () => this.fail());
  }

  private async ended(): Promise<void> {
    await this.within(STOP_MS, () => void this.worker.terminate());
  }

  private async within(ms: number, late: () => void): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        late();
        resolve();
      }, ms);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve();
      };
    });
  }
}
