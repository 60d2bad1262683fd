/**
 * Telling by webhook what needs no answer, such as an alert of the monitor: one signed POST for each message, for example
 *
 *     { "type": "monitor.alert", "timestamp": "2026-01-02T03:04:05.000Z", "data": { "level": "HALT", "rule": "mass-deletion", ... } }
 */
import { CountersignError } from '@countersign/core';
import { SignedWebhook, type SignedWebhookOptions } from './signed-webhook.ts';

export interface WebhookMessage {
  readonly type: string;
  /** Letters, digits, `_` and `-`, at most 250: a receiver that has seen it before may drop it. */
  readonly id: string;
  /** JSON; secrets in it are the caller's to replace. */
  readonly data: unknown;
}

export interface WebhookMessages {
  /** For messages: `webhook` and the host. */
  readonly name: string;
  /** Rejects with `CHANNEL_FAILED` when no try succeeded, `signal` was aborted, or the message is too large. */
  send(message: WebhookMessage, signal?: AbortSignal): Promise<void>;
  /** Gives what is on its way a few seconds. */
  close(): Promise<void>;
}

export const MAX_MESSAGE_BYTES = 65_536;
/** How long one message is tried. */
const LIFE_MS = 60_000;
const ID_SHAPE = /^[A-Za-z0-9_-]{1,250}$/;

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function webhookMessages(options: SignedWebhookOptions): WebhookMessages {
  const webhook = new SignedWebhook(options);
  const name = `webhook ${webhook.host}`;
  const failed = (why: string): CountersignError => new CountersignError('CHANNEL_FAILED', `${name}: the receiver ${why}`);
  return {
    name,
    async send({ type, id, data }, signal) {
      if (!ID_SHAPE.test(id)) throw new CountersignError('OPTIONS_INVALID', 'the id of a message has letters, digits, _ and -');
      const nowMs = webhook.nowMs();
      const body = JSON.stringify({ type, timestamp: new Date(nowMs).toISOString(), data });
      if (Buffer.byteLength(body) > MAX_MESSAGE_BYTES) throw failed(`was not asked: the message has more than ${MAX_MESSAGE_BYTES} bytes`);
      const sent = await webhook.send(id, body, { deadlineMs: nowMs + LIFE_MS, ...(signal !== undefined && { signal }) });
      if (sent.kind !== 'done') throw failed(sent.kind === 'failed' ? sent.why : 'was given up');
    },
    close: () => webhook.close(),
  };
}
