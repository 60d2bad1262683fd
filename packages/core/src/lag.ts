/** How long something has been waiting to be done in the background, on the monotonic clock. */
export class Lag {
  private since: number | undefined;
  /** What came while it was being done waits for the next time. */
  private later: number | undefined;
  private isRunning = false;

  /** There is something to do. */
  changed(): void {
    if (this.isRunning) this.later ??= performance.now();
    else this.since ??= performance.now();
  }

  started(): void {
    this.isRunning = true;
    this.later = undefined;
  }

  ended(isDone: boolean): void {
    this.isRunning = false;
    this.since = isDone ? this.later : (this.since ?? this.later);
    this.later = undefined;
  }

  /** Milliseconds; 0 when nothing waits. */
  get ms(): number {
    return this.since === undefined ? 0 : performance.now() - this.since;
  }
}
