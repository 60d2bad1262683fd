/**
 * Keeps a mirror of a ledger as JSON lines (docs/formats/jsonl.md), behind the gate and never in its way: calls do not
 * wait for it, and what goes wrong with it is told and tried again.
 *
 * Each turn, under the mirror's lock: what other processes appended is compared with the ledger, a torn last line is cut
 * off and recorded, missing lines are appended and fsynced, the checkpoint is replaced. A process may die between any two
 * of these steps: lines no checkpoint covers are compared again by the next, and a checkpoint never covers lines that are
 * not on the disk.
 */
import { type BigIntStats, statSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CountersignError } from '../errors.ts';
import type { TreeHead } from '../ledger/checkpoint.ts';
import type { RecoveryBody } from '../ledger/entry.ts';
import { openForReading } from '../sqlite/database.ts';
import {
  appendLines,
  compareTail,
  coveredPlace,
  diverged,
  lockOf,
  openMirrorFile,
  type Place,
  readMirrorCheckpoint,
  replaceCheckpoint,
} from './mirror-file.ts';
import { takeMirrorLock } from './mirror-lock.ts';
import { MirroredLedger } from './mirrored-ledger.ts';

export interface MirrorOptions {
  /** The mirror; its checkpoint lies beside it as `<path>.checkpoint`. */
  readonly path: string;
  /** Told when the mirror cannot be written, once for each new reason. Default: a warning of the process. */
  readonly onError?: (error: CountersignError) => void;
}

interface Followed {
  /** The ledger file. */
  readonly ledger: string;
  /** Appends an entry to the ledger. */
  readonly record: (body: RecoveryBody) => Promise<unknown>;
}

interface Tail {
  readonly from: Place;
  readonly covered: TreeHead | undefined;
  /** Length of the whole file. */
  readonly sizeBytes: number;
}

/** How long after a commit the mirror follows. */
const FOLLOW_MS = 100;
const BUSY_MS = 25;
const BACK_OFF_FIRST_MS = 500;
const BACK_OFF_MAX_MS = 60_000;
/** Closing a store waits so long for its mirror. What is missing then is added by whoever opens it next. */
const CLOSE_MS = 5000;

type Identity = Pick<BigIntStats, 'dev' | 'ino'>;

export class Mirror {
  private readonly path: string;
  private readonly followed: Followed;
  private readonly onError: (error: CountersignError) => void;
  private ledger: { readonly reader: MirroredLedger; readonly identity: Identity } | undefined;
  /** How far the file was compared or written by us. */
  private known: { readonly place: Place; readonly identity: Identity } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private isWanted = false;
  /** Set once the store is being closed: no further turn is planned. */
  private closeBy: number | undefined;
  private backOffMs = BACK_OFF_FIRST_MS;
  private told = '';

  constructor(options: MirrorOptions, followed: Followed) {
    this.path = resolve(options.path);
    this.followed = followed;
    this.onError = options.onError ?? warn;
    this.follow();
  }

  /** Something was committed. */
  follow(): void {
    this.isWanted = true;
    if (this.running === undefined && this.closeBy === undefined) this.arm(FOLLOW_MS);
  }

  /** To be called before `close`, while the ledger still takes records: a torn line is cut off only with one. */
  async settle(): Promise<void> {
    this.closeBy = Number.POSITIVE_INFINITY;
    clearTimeout(this.timer);
    await this.running;
    if (this.known === undefined) await this.run();
  }

  /** Follows once more, as far as there is time. */
  async close(): Promise<void> {
    const closeBy = performance.now() + CLOSE_MS;
    this.closeBy = closeBy;
    try {
      while (performance.now() < closeBy && (await this.turn()) === 'busy') await delay(BUSY_MS * Math.random());
    } catch (error) {
      this.fail(error);
    }
    this.release();
  }

  /** Closes its connection to the ledger; the next turn opens another. One that is under way fails, and is tried again. */
  release(): void {
    this.ledger?.reader.close();
    this.ledger = undefined;
  }

  private arm(afterMs: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.running = this.run().finally(() => {
        this.running = undefined;
      });
    }, afterMs);
    // What a process leaves undone, the next one does.
    this.timer.unref();
  }

  private async run(): Promise<void> {
    this.isWanted = false;
    try {
      const result = await this.turn();
      this.backOffMs = BACK_OFF_FIRST_MS;
      this.told = '';
      if (this.closeBy === undefined && (result === 'busy' || this.isWanted))
        this.arm(result === 'busy' ? BUSY_MS * (1 + Math.random()) : FOLLOW_MS);
    } catch (error) {
      this.fail(error);
      if (this.closeBy === undefined) this.arm(this.backOffMs);
      this.backOffMs = Math.min(this.backOffMs * 2, BACK_OFF_MAX_MS);
    }
  }

  private async turn(): Promise<'done' | 'busy'> {
    const lock = takeMirrorLock(lockOf(this.path));
    if (lock === undefined) return 'busy';
    try {
      const handle = (await openMirrorFile(this.path, true)) as FileHandle;
      try {
        await this.write(handle);
      } finally {
        await handle.close();
      }
    } catch (error) {
      this.known = undefined;
      throw error;
    } finally {
      lock.release();
    }
    return 'done';
  }

  private async write(handle: FileHandle): Promise<void> {
    const ledger = this.openLedger();
    const { dev, ino, size } = await handle.stat({ bigint: true });
    const covered = await readMirrorCheckpoint(this.path);
    const { known } = this;
    const isKnown = known !== undefined && isSame(known.identity, { dev, ino }) && size >= known.place.offset;
    const from = isKnown ? known.place : await coveredPlace(handle, covered, ledger);
    let place = await this.takeTail(handle, { from, covered, sizeBytes: Number(size) }, ledger);
    // Read once: the bodies up to it are appended whatever is committed meanwhile.
    const { size: wanted } = ledger;
    const checkpoint = ledger.checkpoint();
    while (place.lines < wanted && !this.isLate()) place = await appendLines(handle, place, ledger);
    this.known = { place, identity: { dev, ino } };
    if (checkpoint === undefined || checkpoint.size <= (covered?.size ?? 0) || checkpoint.size > place.lines) return;
    await handle.datasync();
    await replaceCheckpoint(this.path, checkpoint);
  }

  /** What others appended, compared; a line that its writer left torn, cut off once the ledger says so. */
  private async takeTail(handle: FileHandle, tail: Tail, ledger: MirroredLedger): Promise<Place> {
    const { from, covered, sizeBytes } = tail;
    const { lines, offset, tornBytes } = await compareTail(handle, from, ledger, sizeBytes);
    if (covered !== undefined && covered.size > lines)
      throw diverged(`it has ${lines} whole lines, its checkpoint covers ${covered.size} entries`);
    if (tornBytes > 0) {
      await this.followed.record({ kind: 'recovery', event: 'mirror-tail-cut', kept_entries: lines, cut_bytes: tornBytes });
      await handle.truncate(offset);
      await handle.datasync();
    }
    return { lines, offset };
  }

  /** A connection of our own, to the file that now stands at the path. */
  private openLedger(): MirroredLedger {
    const file = this.followed.ledger;
    const { dev, ino } = statSync(file, { bigint: true });
    if (this.ledger !== undefined && isSame(this.ledger.identity, { dev, ino })) return this.ledger.reader;
    this.release();
    const database = openForReading(file);
    try {
      this.ledger = { reader: new MirroredLedger(database), identity: { dev, ino } };
    } catch (error) {
      database.close();
      throw error;
    }
    return this.ledger.reader;
  }

  private isLate(): boolean {
    return this.closeBy !== undefined && performance.now() > this.closeBy;
  }

  private fail(cause: unknown): void {
    const error = CountersignError.is(cause)
      ? cause
      : new CountersignError(
          'MIRROR_FAILED',
          `the mirror ${this.path} cannot be written (${reasonOf(cause)}): calls go on, it is tried again`,
          { cause },
        );
    const reason = error.code === 'MIRROR_FAILED' ? error.message : error.code;
    // A closed store takes no record of a torn line any more: whoever opens it next cuts that off.
    if (reason === this.told || (this.closeBy !== undefined && error.code === 'LEDGER_CLOSED')) return;
    this.told = reason;
    this.onError(error);
  }
}

function warn(error: CountersignError): void {
  process.emitWarning(error.message, { type: 'CountersignWarning', code: error.code });
}

function reasonOf(cause: unknown): string {
  const code = (cause as { readonly code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : cause instanceof Error ? cause.message : String(cause);
}

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}
