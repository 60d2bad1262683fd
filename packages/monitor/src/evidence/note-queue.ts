/** Notes on their way to the ledger: in order, tried again, waited for by nobody who watches. */
import { CountersignError, type Json } from '@countersign/core';

import { CLOSE_WAIT_MS, inTime } from './in-time.ts';

/** Makes a `note` entry of the ledger; resolves when it is durable. */
export type RecordNote = (topic: string, data: Json) => Promise<unknown>;

export const NOTE_VERSION = 1;
export const SEGMENT_TOPIC = 'activity-segment';
export const REMOVED_TOPIC = 'activity-removed';
export const SESSION_TOPIC = 'activity-session';
export const INCIDENT_TOPIC = 'incident-file';

/** Beyond it the oldest one is given up: its file is then one that the ledger does not know. */
const MAX_PENDING = 1000;

export class NoteQueue {
  readonly #record: RecordNote | undefined;
  readonly #onTrouble: (error: CountersignError) => void;
  #pending: { readonly topic: string; readonly data: Json }[] = [];
  #work: Promise<void> = Promise.resolve();
  #isFailing = false;

  constructor(record: RecordNote | undefined, onTrouble: (error: CountersignError) => void) {
    this.#record = record;
    this.#onTrouble = onTrouble;
  }

  /** Of a topic, those that the ledger does not have (yet). */
  waiting(topic: string): number {
    return this.#pending.filter((note) => note.topic === topic).length;
  }

  add(topic: string, data: { readonly [name: string]: Json }): void {
    if (this.#record === undefined) return;
    if (this.#pending.length >= MAX_PENDING) this.#pending.shift();
    this.#pending.push({ topic, data: { v: NOTE_VERSION, ...data } });
    this.#work = this.#work.then(() => this.#send());
  }

  /** Resolves when all were taken, were tried a last time, or the ledger did not answer for `CLOSE_WAIT_MS`. Never rejects. */
  async close(): Promise<void> {
    const isDone = await inTime(
      this.#work.then(async () => {
        // Once more: the ledger may have been busy.
        if (this.#pending.length > 0) await this.#send();
      }),
    );
    if (!isDone) this.#onTrouble(trouble(new Error(`it did not answer within ${CLOSE_WAIT_MS} ms`)));
  }

  /** What the ledger does not take is tried again with the next. Never rejects. */
  async #send(): Promise<void> {
    for (;;) {
      const [next] = this.#pending;
      if (next === undefined) return;
      try {
        await this.#record?.(next.topic, next.data);
        if (this.#pending[0] === next) this.#pending.shift();
        this.#isFailing = false;
      } catch (cause) {
        if (!this.#isFailing) this.#onTrouble(trouble(cause));
        this.#isFailing = true;
        return;
      }
    }
  }
}

function trouble(cause: unknown): CountersignError {
  const why = cause instanceof Error ? cause.message : 'something was thrown that is no error';
  return new CountersignError('ACTIVITY_LOG_FAILED', `activity log: the ledger did not take a hash: ${why}`, { cause });
}
