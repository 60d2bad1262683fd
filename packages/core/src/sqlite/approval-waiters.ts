/** Callers that wait until an approval is no longer pending, whoever answers it: one look at the file for all of them. */
import type { CountersignError } from '../errors.ts';
import { isBusy } from './database.ts';
import { LedgerChanges, type WatchFile } from './ledger-changes.ts';

/** What a connection saw last; of two connections nothing can be compared. */
export interface SeenVersion {
  readonly connection: unknown;
  readonly version: number;
}

export interface ApprovalLooks {
  /** Whether the approval still waits for an answer. Throws when it cannot be read. */
  isPending(id: string): boolean;
  /** Those that no longer wait, found by one query. Throws when they cannot be read. */
  settledAmong(ids: readonly string[]): readonly string[];
  /** Its `version` changes whenever another connection changed the file. Throws when it cannot be read. */
  version(): SeenVersion;
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
  private seen: SeenVersion | undefined;
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
    try {
      this.seen = this.looks.version();
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
      const now = this.looks.version();
      if (this.seen !== undefined && now.connection === this.seen.connection && now.version === this.seen.version) return false;
      for (const id of this.looks.settledAmong([...this.waiters.keys()])) this.finish(id);
      // Only now: a look that failed is done again.
      if (this.waiters.size > 0) this.seen = now;
    } catch (error) {
      if (isBusy(error)) return true;
      // A broken connection: everybody finds out, and the next read brings it back.
      for (const id of [...this.waiters.keys()]) this.finish(id);
    }
    return true;
  }

  private finish(id: string): void {
    for (const finish of [...(this.waiters.get(id) ?? [])]) finish();
  }
}
