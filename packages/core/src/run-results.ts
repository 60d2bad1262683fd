/**
 * Runs of this process by call key, so that a framework which re-runs a node gets the result it had, not a second run.
 * In memory only and bounded: what has been dropped is refused as `CALL_ALREADY_RUN`.
 */
export const MAX_KEPT_RESULTS = 1000;

export class RunResults {
  private readonly runs = new Map<string, Promise<unknown>>();
  private readonly done = new Set<string>();

  get(key: string): Promise<unknown> | undefined {
    return this.runs.get(key);
  }

  /** @param keep - whether a finished run's result (or error) is worth keeping: true once the tool really ran. */
  add(key: string, run: Promise<unknown>, keep: () => boolean): void {
    this.runs.set(key, run);
    const finished = (): void => {
      if (!keep()) {
        this.runs.delete(key);
        return;
      }
      this.done.add(key);
      if (this.done.size <= MAX_KEPT_RESULTS) return;
      const [oldest] = this.done;
      this.done.delete(oldest as string);
      this.runs.delete(oldest as string);
    };
    run.then(finished, finished);
  }
}
