/**
 * When to look at a ledger that other processes write to.
 *
 * Asleep, it costs nothing but a file notification and a slow poll. SQLite writes a commit into the `-wal` file first, syncs
 * it, and makes it visible in shared memory last, which no system tells of: a notification comes *before* there is anything
 * to see. So it is only a reason to be awake for a while, and to look every few milliseconds. Awake, nothing is watched:
 * thousands of commits by others cost no more than these looks, and those are paced by what they cost.
 *
 *     asleep ──the file is written to──▶ awake ──nothing new for AWAKE_MS──▶ asleep
 *        └─no watch can be had, or it tells nothing──▶ blind: a poll every BLIND_MS, and a new try now and then
 */
import { CountersignError } from '../errors.ts';
import { watchFile } from '../file-watch.ts';

/** How often it looks while others write ... */
const LOOK_MS = 5;
/** ... though no more than this part of the time: 2 % of a core. */
const LOOK_SHARE = 0.02;
/** ... but often enough: an answer must not wait for this on top of all the rest. */
const MAX_LOOK_MS = 50;
/** How long it stays awake after the last change. Longer than most syncs take. */
const AWAKE_MS = 100;
/** Asleep, in case a notification is late, or the sync took longer than it was awake. */
const SLOW_POLL_MS = 250;
/** The first look asleep: a commit that was being synced while the watch was set is visible by then. */
const SETTLE_MS = 25;
/** Where nothing tells of changes. */
const BLIND_MS = 40;
/** How often a blind one tries to watch again. */
const RETRY_MS = 10_000;
/** Changes in a row that only the slow poll found: on a network file system nothing else tells of them. */
const MAX_MISSED = 3;

export type WatchFile = typeof watchFile;

export interface LedgerChangesOptions {
  /** Absolute path of the `-wal` file. */
  readonly file: string;
  /** Looks once. @returns whether anything had changed. Must not throw. */
  readonly look: () => boolean;
  /** Told once that changes have to be polled for, and why. */
  readonly onError: (error: CountersignError) => void;
  /** For tests. */
  readonly watch?: WatchFile;
}

export class LedgerChanges {
  private readonly options: LedgerChangesOptions;
  private readonly watch: WatchFile;
  private endWatch: (() => void) | undefined;
  /** The next look. It keeps the process alive: somebody waits. */
  private timer: NodeJS.Timeout | undefined;
  private isRunning = false;
  private state: 'asleep' | 'awake' | 'blind' = 'asleep';
  private changedAt = 0;
  private triedAt = 0;
  private missed = 0;
  private isTold = false;

  constructor(options: LedgerChangesOptions) {
    this.options = options;
    this.watch = options.watch ?? watchFile;
  }

  start(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.missed = 0;
    // Not asleep: what was written just before the first watch may become visible just after it.
    this.wake();
  }

  /** Leaves no timer and no watch behind. */
  stop(): void {
    this.isRunning = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.unwatch();
  }

  private sleep(): void {
    this.state = 'asleep';
    this.triedAt = performance.now();
    try {
      this.endWatch = this.watch(this.options.file, { changed: () => this.notified(), lost: () => this.lost() });
    } catch (cause) {
      return this.goBlind(`it cannot be watched (${codeOf(cause)})`, cause);
    }
    this.lookIn(SETTLE_MS);
  }

  private notified(): void {
    this.missed = 0;
    this.wake();
  }

  /** The `-wal` is another file now, or none: the store may just have opened the ledger anew. */
  private lost(): void {
    this.endWatch = undefined;
    if (this.isRunning) this.wake();
  }

  private wake(): void {
    this.unwatch();
    this.state = 'awake';
    this.changedAt = performance.now();
    this.lookIn(LOOK_MS);
  }

  private goBlind(why: string, cause?: unknown): void {
    this.unwatch();
    this.state = 'blind';
    this.lookIn(BLIND_MS);
    if (this.isTold) return;
    this.isTold = true;
    const message = `${this.options.file}: ${why}: answers of other processes are polled for every ${BLIND_MS} ms`;
    this.options.onError(new CountersignError('LEDGER_NOT_WATCHED', message, cause === undefined ? {} : { cause }));
  }

  private lookIn(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), ms);
  }

  private look(): void {
    const startedAt = performance.now();
    const changed = this.options.look();
    // Whoever waited was told, and nobody waits any more.
    if (!this.isRunning) return;
    const now = performance.now();
    switch (this.state) {
      case 'asleep':
        if (!changed) return this.lookIn(SLOW_POLL_MS);
        if (now - this.triedAt < SLOW_POLL_MS) return this.wake();
        this.missed++;
        return this.missed < MAX_MISSED ? this.wake() : this.goBlind('the file system does not tell of changes to it');
      case 'awake':
        if (changed) this.changedAt = now;
        // Watched again first, then looked at once more: what came in between is found.
        if (now - this.changedAt >= AWAKE_MS) return this.sleepAgain();
        return this.lookIn(Math.min(MAX_LOOK_MS, Math.max(LOOK_MS, (now - startedAt) / LOOK_SHARE)));
      case 'blind':
        return now - this.triedAt >= RETRY_MS ? this.sleepAgain() : this.lookIn(BLIND_MS);
    }
  }

  private sleepAgain(): void {
    this.sleep();
    const isWatching = this.state === 'asleep';
    if (this.options.look() && this.isRunning && isWatching) this.wake();
  }

  private unwatch(): void {
    this.endWatch?.();
    this.endWatch = undefined;
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown';
}
