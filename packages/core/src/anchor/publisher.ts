/**
 * Copies checkpoints out of the writer's reach: after commits, at most once per interval, and when the store closes. No
 * call waits for it; `required` makes the gate refuse once entries have waited too long to be copied anywhere.
 *
 * Each anchor has at most one request in flight. What failed is told and tried again, with the newest head.
 */
import { asError, atMost, type Background, backOffMs, checkMilliseconds, inTime, tell } from '../background.ts';
import { CountersignError } from '../errors.ts';
import type { Anchor, AnchorContext } from '../interfaces.ts';
import { Lag } from '../lag.ts';

export interface AnchorOptions {
  readonly anchors: readonly Anchor[];
  /** At most one copy to each per so many milliseconds; default 60,000. */
  readonly everyMs?: number;
  /** How long one copy may take; default 10,000 ms. */
  readonly timeoutMs?: number;
  /** Calls are refused while an entry has waited longer than `maxAgeMs` to be covered by copies at `count` (default 1) anchors. */
  readonly required?: { readonly count?: number; readonly maxAgeMs: number };
  /** Told of every failure. The next attempt follows by itself. */
  readonly onError?: (error: Error, anchor: string) => void;
}

export const DEFAULT_ANCHOR_EVERY_MS = 60_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_BACK_OFF_MS = 600_000;
const CLOSE_WAIT_MS = 5000;

/** The ledger's side. */
export interface AnchoredLedger {
  /** The newest head that can be copied: signed, unless the ledger is unsigned. */
  head(): { readonly size: number; readonly note: string } | undefined;
  /** Entries there are: more than the head covers while they wait for a signature. */
  size(): number;
  /** Keeps a note that was copied, with whatever the anchor added. @returns false when it is none of this ledger. */
  keep(note: string): Promise<boolean>;
  consistencyProof: AnchorContext['consistencyProof'];
}

export interface AnchorResult {
  readonly anchor: string;
  readonly size: number;
  /** Absent: it was copied. */
  readonly error?: Error;
}

export class AnchorPublisher implements Background {
  private readonly options: AnchorOptions;
  private readonly ledger: AnchoredLedger;
  private readonly everyMs: number;
  private readonly places: readonly Place[];
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> | undefined;
  private lastStart = Number.NEGATIVE_INFINITY;
  private failures = 0;
  private closed = false;

  /** @throws {CountersignError} `OPTIONS_INVALID` */
  constructor(options: AnchorOptions, ledger: AnchoredLedger) {
    const { anchors, everyMs = DEFAULT_ANCHOR_EVERY_MS, timeoutMs, required } = options;
    checkMilliseconds('anchors', { everyMs, timeoutMs, maxAgeMs: required?.maxAgeMs });
    const count = required?.count ?? 1;
    if (required !== undefined && (!Number.isSafeInteger(count) || count < 1 || count > anchors.length))
      throw new CountersignError('OPTIONS_INVALID', `anchors.required: ${count} of ${anchors.length} anchors cannot be required`);
    this.options = options;
    this.ledger = ledger;
    this.everyMs = everyMs;
    this.places = anchors.map((anchor) => ({ anchor, lag: new Lag(), size: 0, isBusy: false }));
  }

  committed(): void {
    if (this.closed) return;
    this.tellLag();
    if (this.newest() !== undefined) this.schedule();
  }

  objection(): CountersignError | undefined {
    const { required } = this.options;
    if (required === undefined) return undefined;
    const { count = 1, maxAgeMs } = required;
    const inTimeCount = this.places.filter(({ lag }) => lag.ms <= maxAgeMs).length;
    if (inTimeCount >= count) return undefined;
    return new CountersignError(
      'LEDGER_NOT_ANCHORED',
      `entries wait longer than ${maxAgeMs} ms for a copy elsewhere: ${inTimeCount} of ${count} anchors keep up; run \`countersign anchor\` to see why`,
    );
  }

  /** Copies the newest head to every anchor now, or once the copies that are on their way have arrived. */
  async publish(): Promise<readonly AnchorResult[]> {
    while (this.running !== undefined) await this.running;
    return this.start();
  }

  private start(): Promise<readonly AnchorResult[]> {
    const results = this.copyAll();
    const told = (error: unknown): void => {
      this.failures += 1;
      tell(this.options.onError, asError(error), 'all');
    };
    this.running = results
      .then(() => undefined, told)
      .then(() => {
        this.running = undefined;
        if (this.isBehind()) this.schedule();
      });
    return results;
  }

  private async copyAll(): Promise<readonly AnchorResult[]> {
    const head = this.ledger.head();
    if (head === undefined) return [];
    this.lastStart = performance.now();
    const results = await Promise.all(this.places.map((place) => this.copy(place, head)));
    this.failures = results.some(({ error }) => error !== undefined) ? this.failures + 1 : 0;
    return results;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    const deadline = performance.now() + CLOSE_WAIT_MS;
    await atMost(CLOSE_WAIT_MS, this.running ?? Promise.resolve());
    const left = deadline - performance.now();
    if (left > 0 && this.isBehind()) await atMost(left, this.publish());
  }

  private isBehind(): boolean {
    const head = this.newest();
    return head !== undefined && this.places.some(({ size }) => size < head.size);
  }

  private newest(): ReturnType<AnchoredLedger['head']> {
    return this.safely(() => this.ledger.head());
  }

  private tellLag(): void {
    const size = this.safely(() => this.ledger.size()) ?? 0;
    for (const place of this.places) if (place.size < size) place.lag.changed();
  }

  /** A ledger that cannot be read must not fail the commit that was just made, nor end the process from a timer. */
  private safely<T>(look: () => T): T | undefined {
    try {
      return look();
    } catch (error) {
      tell(this.options.onError, asError(error), 'all');
      return undefined;
    }
  }

  private schedule(): void {
    if (this.timer !== undefined || this.running !== undefined || this.closed) return;
    const at = this.lastStart + backOffMs(this.everyMs, this.failures, MAX_BACK_OFF_MS);
    const fire = (): void => {
      this.timer = undefined;
      // What runs already goes on with the newest head when it is done. A failure was told by then.
      if (this.running === undefined) this.start().catch(() => undefined);
    };
    this.timer = setTimeout(fire, Math.max(0, at - performance.now()));
    this.timer.unref();
  }

  /** Never throws: what went wrong is the result, and told. */
  private async copy(place: Place, head: { readonly size: number; readonly note: string }): Promise<AnchorResult> {
    const { anchor, lag } = place;
    const result = { anchor: anchor.name, size: head.size };
    if (place.isBusy) return { ...result, error: new CountersignError('LEDGER_NOT_ANCHORED', 'an earlier copy is still on its way') };
    if (place.size === head.size) return result;
    place.isBusy = true;
    lag.started();
    const stop = new AbortController();
    try {
      const timeoutMs = this.options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      const late = (): Error => new CountersignError('LEDGER_NOT_ANCHORED', `it took longer than ${timeoutMs} ms`);
      const context: AnchorContext = { signal: stop.signal, consistencyProof: this.ledger.consistencyProof };
      const given = await inTime((async () => anchor.publish(head.note, context))(), timeoutMs, late);
      const isKept = await this.ledger.keep(typeof given === 'string' ? given : head.note);
      if (!isKept && typeof given === 'string')
        throw new CountersignError(
          'LEDGER_NOT_ANCHORED',
          'what it gave back is no checkpoint of this ledger under its key, and was not kept',
        );
      place.size = head.size;
      lag.ended(true);
      this.tellLag();
      return result;
    } catch (cause) {
      lag.ended(false);
      const error = asError(cause);
      tell(this.options.onError, error, anchor.name);
      return { ...result, error };
    } finally {
      stop.abort();
      place.isBusy = false;
    }
  }
}

interface Place {
  readonly anchor: Anchor;
  readonly lag: Lag;
  /** Entries the newest copy there covers, as far as this process knows. */
  size: number;
  isBusy: boolean;
}
