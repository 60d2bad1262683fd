/** What follows commits without any call waiting for it, and may in the end make the gate refuse. */
import { CountersignError } from './errors.ts';

export interface Background {
  /** To be called after every commit, and once at the start. */
  committed(): void;
  /** Why calls are refused now; undefined while it keeps up. */
  objection(): CountersignError | undefined;
  /** Does what is left, waiting a bounded time. */
  close(): Promise<void>;
}

/** A result, or an error once a time is over. What comes later is dropped, a rejection too. */
export async function inTime<T>(asked: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_done, fail) => {
    timer = setTimeout(() => fail(late()), timeoutMs);
  });
  asked.catch(() => undefined);
  try {
    return await Promise.race([asked, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for work, but no longer than a time. Whether it was done is for the caller to see. */
export async function atMost(waitMs: number, work: Promise<unknown>): Promise<void> {
  await inTime(work, waitMs, () => new Error('not in time')).catch(() => undefined);
}

/** @throws {CountersignError} `OPTIONS_INVALID` unless every value given is at least 1 ms. */
export function checkMilliseconds(where: string, values: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && !(Number.isFinite(value) && value >= 1))
      throw new CountersignError('OPTIONS_INVALID', `${where}.${name} must be 1 millisecond or more`);
  }
}

/** How long to wait after failures in a row: doubled each time, up to a bound. */
export function backOffMs(everyMs: number, failures: number, maxMs: number): number {
  return failures === 0 ? everyMs : Math.max(everyMs, Math.min(everyMs * 2 ** Math.min(failures, 20), maxMs));
}

/** Tells a listener, which must not stop anything by throwing. */
export function tell<T extends readonly unknown[]>(listener: ((...facts: T) => void) | undefined, ...facts: T): void {
  try {
    listener?.(...facts);
  } catch {
    // Its trouble.
  }
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
