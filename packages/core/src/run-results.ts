/**
 * What this process remembers of runs: those in flight, and the results of those that have ended, by call key. In memory only and
 * bounded: what has been dropped is refused as `CALL_ALREADY_RUN`.
 */
export const MAX_KEPT_RESULTS = 1000;

/** What a run handed to its framework. */
export interface KeptResult {
  /** Hash of the policy under which it was released. */
  readonly policy: string;
  readonly thrown: boolean;
  /** The result, or what was thrown. */
  readonly value: unknown;
}

export interface RunInFlight {
  /** The guarded call inside of which this one was started. */
  readonly within: string | undefined;
  /** Undefined: it brought nothing that another run could be given. Never rejects. */
  readonly ended: Promise<KeptResult | undefined>;
}

export class RunResults {
  private readonly running = new Map<string, RunInFlight>();
  private readonly results = new Map<string, KeptResult>();

  inFlight(key: string): RunInFlight | undefined {
    return this.running.get(key);
  }

  kept(key: string): KeptResult | undefined {
    return this.results.get(key);
  }

  begin(key: string, run: RunInFlight): void {
    this.running.set(key, run);
    void run.ended.then((result) => {
      this.running.delete(key);
      if (result !== undefined) this.keep(key, result);
    });
  }

  keep(key: string, result: KeptResult): void {
    this.results.set(key, result);
    if (this.results.size <= MAX_KEPT_RESULTS) return;
    const [oldest] = this.results.keys();
    this.results.delete(oldest as string);
  }
}
