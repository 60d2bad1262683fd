/** Telling people. Nothing waits for it: a channel that fails is reported, and what is contained stays contained. */
import { CountersignError } from '@countersign/core';
import type { Level } from '../verdict.ts';
import type { Alert } from './alert.ts';

export interface AlertChannel {
  /** For messages; no secret in it. */
  readonly name: string;
  /** Rejecting means that it may not have been told. `signal` is aborted when it takes too long. */
  tell(alert: Alert, signal: AbortSignal): Promise<void>;
}

export interface AlertsOptions {
  readonly channels: readonly AlertChannel[];
  /** Levels of verdicts that are told; default HALT and KILL. That evidence cannot be written is always told. */
  readonly levels?: readonly Exclude<Level, 'SAFE'>[];
  /** Milliseconds for one channel and one alert: 100 to 120000; default 30000. */
  readonly timeoutMs?: number;
  /** Told what could not be told (`ALERT_FAILED`). Must not throw. */
  readonly onError?: (error: CountersignError) => void;
}

export interface Alerts {
  /** Returns at once, never throws. */
  tell(alert: Alert): void;
  stats(): AlertStats;
  /** Resolves when what is on its way has arrived or been given up. */
  close(): Promise<void>;
}

export interface AlertStats {
  readonly told: number;
  readonly failed: number;
  /** Too many were on their way. */
  readonly dropped: number;
}

export const MAX_ALERT_CHANNELS = 16;
/** Alerts on their way to one channel; more tell nobody anything. */
export const MAX_ALERTS_UNDER_WAY = 32;
const DEFAULT_LEVELS = ['HALT', 'KILL'] as const;

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function alerts(options: AlertsOptions): Alerts {
  const { channels, levels = DEFAULT_LEVELS, timeoutMs = 30_000 } = options;
  if (channels.length > MAX_ALERT_CHANNELS) throw invalid(`alerts take at most ${MAX_ALERT_CHANNELS} channels`);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 100 || timeoutMs > 120_000)
    throw invalid('timeoutMs must be an integer from 100 to 120000');
  return new Telling(channels, new Set<Level>(levels), timeoutMs, options.onError ?? (() => {}));
}

class Telling implements Alerts {
  readonly #channels: readonly AlertChannel[];
  readonly #levels: ReadonlySet<Level>;
  readonly #timeoutMs: number;
  readonly #onError: (error: CountersignError) => void;
  readonly #underWay = new Map<AlertChannel, Set<Promise<void>>>();
  #stats = { told: 0, failed: 0, dropped: 0 };

  constructor(
    channels: readonly AlertChannel[],
    levels: ReadonlySet<Level>,
    timeoutMs: number,
    onError: (error: CountersignError) => void,
  ) {
    this.#channels = channels;
    this.#levels = levels;
    this.#timeoutMs = timeoutMs;
    this.#onError = onError;
  }

  tell(alert: Alert): void {
    if (!this.#levels.has(alert.level) && alert.isTrouble !== true) return;
    for (const channel of this.#channels) {
      const underWay = this.#underWay.get(channel) ?? new Set();
      this.#underWay.set(channel, underWay);
      if (underWay.size >= MAX_ALERTS_UNDER_WAY) {
        this.#stats.dropped++;
        continue;
      }
      const telling = this.#tell(channel, alert).finally(() => underWay.delete(telling));
      underWay.add(telling);
    }
  }

  stats(): AlertStats {
    return { ...this.#stats };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#underWay.values()].flatMap((each) => [...each]));
  }

  /** Never rejects. */
  async #tell(channel: AlertChannel, alert: Alert): Promise<void> {
    const signal = AbortSignal.timeout(this.#timeoutMs);
    try {
      // A channel that ignores its signal is left to its fate.
      await Promise.race([channel.tell(alert, signal), whenAborted(signal)]);
      this.#stats.told++;
    } catch (error) {
      this.#stats.failed++;
      this.#onError(
        CountersignError.is(error) && error.code === 'ALERT_FAILED'
          ? error
          : alertFailed(channel.name, signal.aborted ? `took longer than ${this.#timeoutMs} ms` : 'failed', error),
      );
    }
  }
}

/** @param why - no text of others. */
export function alertFailed(channel: string, why: string, cause?: unknown): CountersignError {
  return new CountersignError('ALERT_FAILED', `alert over ${channel}: it ${why}`, { cause });
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true }));
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', what);
}
