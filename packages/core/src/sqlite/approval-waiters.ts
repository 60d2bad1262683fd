/** Callers that wait until an approval is no longer pending, whoever answers it: one look at the file for all of them. */
import type { CountersignError } from '../errors.ts';
import { isBusy } from './database.ts';
import { LedgerChanges, type WatchFile } from './ledger-changes.ts';

/** What a connection saw last; of two connections nothing can be compared. */
export interface SeenVersion {
  readonly connection: unknown;
  /** Changes whenever another connection changed the file. */
  readonly version: number;
}

export interface ApprovalLooks {
  /** Whether the approval still waits for an answer. Throws when it cannot be read. */
  isPending(id: string): boolean;
  /** Those that no longer wait, found by one query. Throws when they cannot be read. */
  settledAmong(ids: readonly string[]): readonly string[];
  /** Approvals that the entries from position `from` on answer, found by one query. Throws when they cannot be read. */
  answeredSince(from: number): readonly string[];
  /** Number of entries. Throws when it cannot be read. */
  size(): number;
  /** Throws when it cannot be read. */
  version(): SeenVersion;
}

/** Rows of all waiters are looked at this often at most, while there are changes: an approval may lapse without an entry. */
const ALL_MS = 5000;
/** More new entries than this are not read: the rows of all waiters say it sooner. */
const MAX_TAIL = 4096;

/** Up to where the ledger was looked at. */
interface Seen extends SeenVersion {
  readonly size: number;
}

export interface ApprovalWaitersOptions {
  /** Absolute path of the ledger's `-wal` file. */
  readonly file: string;
  /** Told once when the file cannot be watched. */
  readonly onError: (error: CountersignError) => void;
  readonly watch?: WatchFile;
}

export class ApprovalWaiters {
  private readonly looks: ApprovalLooks;
  private readonly waiters = new Map<string, Set<() => void>>();
  private readonly changes: LedgerChanges;
  private seen: Seen | undefined;
  private allAt = 0;
  /** Changes came of which only the entries were looked at. */
  private isAllDue = false;
  private isFollowing = false;
  private closed = false;

  constructor(looks: ApprovalLooks, options: ApprovalWaitersOptions) {
    this.looks = looks;
    this.changes = new LedgerChanges({ ...options, look: () => this.lookAtOthers() });
  }

  /** Resolves when the approval is no longer pending, `signal` aborts, or the store is closed. */
  settled(id: string, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const finish = (): void => {
        signal.removeEventListener('abort', finish);
        const set = this.waiters.get(id);
        set?.delete(finish);
        if (set?.size === 0) this.waiters.delete(id);
        if (this.waiters.size === 0) this.stop();
        done();
      };
      signal.addEventListener('abort', finish);
      const set = this.waiters.get(id) ?? new Set();
      this.waiters.set(id, set.add(finish));
      if (signal.aborted) return finish();
      // Before the approval is looked at: what changes after this shows in the version.
      this.start();
      this.wake(id);
    });
  }

  /** Something was committed about that approval. */
  wake(id: string): void {
    if (!this.waiters.has(id)) return;
    try {
      if (!this.closed && this.looks.isPending(id)) return;
    } catch (error) {
      // Whoever waits finds out when it reads the approval. A lock is none of that.
      if (!this.closed && isBusy(error)) return this.forgetVersion();
    }
    this.finish(id);
  }

  /** Who still waits finds the store closed, and is refused. */
  close(): void {
    this.closed = true;
    for (const id of [...this.waiters.keys()]) this.finish(id);
    this.stop();
  }

  private start(): void {
    if (this.closed || this.isFollowing) return;
    this.isFollowing = true;
    this.isAllDue = false;
    this.allAt = performance.now();
    try {
      this.seen = this.now();
    } catch {
      // The first look finds another version, or the same fault.
    }
    this.changes.start();
  }

  private stop(): void {
    this.isFollowing = false;
    this.forgetVersion();
    this.changes.stop();
  }

  /** The next look asks about everybody. */
  private forgetVersion(): void {
    this.seen = undefined;
  }

  /** @returns whether anything changed since the last look. */
  private lookAtOthers(): boolean {
    try {
      const { connection, version } = this.looks.version();
      const isSame = this.seen !== undefined && connection === this.seen.connection && version === this.seen.version;
      if (isSame && !(this.isAllDue && this.isTimeForAll())) return false;
      const size = this.looks.size();
      for (const id of this.settledSince(this.seen, size, isSame)) this.finish(id);
      // Only now: a look that failed is done again.
      if (this.waiters.size > 0) this.seen = { connection, version, size };
      return !isSame;
    } catch (error) {
      if (isBusy(error)) return true;
      // A broken connection: everybody finds out, and the next read brings it back.
      for (const id of [...this.waiters.keys()]) this.finish(id);
    }
    return true;
  }

  /**
   * Whatever another process commits throws away what this connection has cached: a row each for a thousand waiters costs
   * milliseconds, the newest entries lie together. Answers are entries, so these are what is looked at after each change.
   */
  private settledSince(seen: Seen | undefined, size: number, isSame: boolean): readonly string[] {
    const isTailKnown = seen !== undefined && size >= seen.size && size - seen.size <= MAX_TAIL;
    if (!isSame && isTailKnown && !this.isTimeForAll()) {
      this.isAllDue = true;
      const named = [...new Set(this.looks.answeredSince(seen.size))].filter((id) => this.waiters.has(id));
      return named.length === 0 ? [] : this.looks.settledAmong(named);
    }
    const settled = this.looks.settledAmong([...this.waiters.keys()]);
    this.isAllDue = false;
    this.allAt = performance.now();
    return settled;
  }

  private isTimeForAll(): boolean {
    return performance.now() - this.allAt >= ALL_MS;
  }

  private now(): Seen {
    const { connection, version } = this.looks.version();
    return { connection, version, size: this.looks.size() };
  }

  private finish(id: string): void {
    for (const finish of [...(this.waiters.get(id) ?? [])]) finish();
  }
}
