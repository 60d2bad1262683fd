/** Callers that wait until an approval is no longer pending, whoever answers it: one look at the file for all of them. */

const POLL_MS = 100;

export interface ApprovalLooks {
  /** Whether the approval still waits for an answer. Throws when it cannot be read. */
  isPending(id: string): boolean;
  /** Changes whenever another connection changed the file. Throws when it cannot be read. */
  dataVersion(): number;
}

export class ApprovalWaiters {
  private readonly looks: ApprovalLooks;
  private readonly waiters = new Map<string, Set<() => void>>();
  private poll: NodeJS.Timeout | undefined;
  private dataVersion = 0;
  private closed = false;

  constructor(looks: ApprovalLooks) {
    this.looks = looks;
  }

  /** Resolves when the approval is no longer pending, `signal` aborts, or the store is closed. */
  settled(id: string, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const finish = (): void => {
        signal.removeEventListener('abort', finish);
        const set = this.waiters.get(id);
        set?.delete(check);
        if (set?.size === 0) this.waiters.delete(id);
        if (this.waiters.size === 0) this.stopPolling();
        done();
      };
      const check = (): void => {
        try {
          if (this.closed || !this.looks.isPending(id)) finish();
        } catch {
          // Broken: whoever waits finds out when it reads the approval.
          finish();
        }
      };
      signal.addEventListener('abort', finish);
      const set = this.waiters.get(id) ?? new Set();
      this.waiters.set(id, set.add(check));
      // Answers given by other processes show as a change of the file's data version: one read for all waiters.
      this.poll ??= setInterval(() => this.pollOthers(), POLL_MS);
      if (signal.aborted) finish();
      else check();
    });
  }

  /** Something was committed about that approval. */
  wake(id: string): void {
    for (const check of this.waiters.get(id) ?? []) check();
  }

  /** Who still waits finds the store closed, and is refused. */
  close(): void {
    this.closed = true;
    for (const id of [...this.waiters.keys()]) this.wake(id);
    this.stopPolling();
  }

  private pollOthers(): void {
    try {
      const version = this.looks.dataVersion();
      if (version === this.dataVersion) return;
      this.dataVersion = version;
    } catch {
      // A broken connection: let the waiters look for themselves.
    }
    for (const id of this.waiters.keys()) this.wake(id);
  }

  private stopPolling(): void {
    clearInterval(this.poll);
    this.poll = undefined;
  }
}
