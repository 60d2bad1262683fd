/**
 * Signed POSTs to one URL, each tried as often as it takes: what approvals, their end and alerts are sent by.
 *
 * Signed after Standard Webhooks (`standard-webhooks.ts`); every try of one message has the same `webhook-id`.
 *
 * The receiver is hostile: what it answers is a status and `retry-after`, its body is dropped unread, redirects are not followed. The
 * URL comes from the configuration, never from a call, so an agent cannot choose whom this host talks to; hosts inside the operator's
 * network are allowed on purpose, because receivers live there.
 */
import { CountersignError } from '@countersign/core';
import { postOnce, requireVerifiedTls, Unusable } from '../http/post.ts';
import { exactUrl } from '../http/url.ts';
import { type SendingOptions, sendingLimits } from './channel.ts';
import { type Delivered, Outbox, retryAfterMs, type Tried } from './outbox.ts';
import { signedHeaders, webhookKey } from './standard-webhooks.ts';
import { realTiming, type Timing } from './timing.ts';

export interface SignedWebhookOptions extends Pick<SendingOptions, 'tries' | 'timeoutMs' | 'timing'> {
  /** Exactly where to post. https, or http to this host; no credentials, query or fragment. */
  readonly url: string;
  /** `whsec_...`, one to four: every message is signed with each, so that one can be replaced without a gap. */
  readonly secrets: readonly string[];
  /** Permits plain http to hosts other than this one, and TLS with verification switched off in the environment. */
  readonly allowInsecure?: boolean;
}

const MAX_SECRETS = 4;

export class SignedWebhook {
  /** Of the URL, with its port. */
  readonly host: string;
  readonly #endpoint: URL;
  readonly #keys: readonly ReturnType<typeof webhookKey>[];
  readonly #outbox: Outbox;
  readonly #timing: Timing;
  readonly #allowInsecure: boolean;

  /** @throws {CountersignError} `OPTIONS_INVALID` */
  constructor(options: SignedWebhookOptions) {
    const { url, secrets, allowInsecure = false, timing = realTiming } = options;
    if (!Array.isArray(secrets) || secrets.length === 0 || secrets.length > MAX_SECRETS)
      throw new CountersignError('OPTIONS_INVALID', `a webhook takes 1 to ${MAX_SECRETS} secrets`);
    this.#endpoint = exactUrl(url, allowInsecure);
    this.#keys = secrets.map(webhookKey);
    this.#outbox = new Outbox({ ...sendingLimits(options), timing });
    this.#timing = timing;
    this.#allowInsecure = allowInsecure;
    this.host = this.#endpoint.host;
  }

  /** Never rejects. @param id - without full stops. */
  send(id: string, body: string, until: { readonly deadlineMs: number; readonly signal?: AbortSignal }): Promise<Delivered<void>> {
    return this.#outbox.send((signal) => this.#post(id, body, signal), until);
  }

  /** `close` waits for it too. */
  track<T>(work: Promise<T>): Promise<T> {
    return this.#outbox.track(work);
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }

  nowMs(): number {
    return this.#timing.nowMs();
  }

  async #post(id: string, body: string, signal: AbortSignal): Promise<Tried<void>> {
    const nowMs = this.nowMs();
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'countersign',
      // The time of this try: an old one would be refused as a replay.
      ...signedHeaders(this.#keys, id, nowMs, body),
    };
    try {
      requireVerifiedTls(this.#endpoint, this.#allowInsecure);
    } catch (error) {
      return { kind: 'never', why: error instanceof Unusable ? error.message : 'was not asked: unexpected error' };
    }
    return triedOf(await postOnce(this.#endpoint, body, headers, signal), nowMs);
  }
}

function triedOf({ status, headers }: Response, nowMs: number): Tried<void> {
  if (status >= 200 && status < 300) return { kind: 'done', value: undefined };
  if (status >= 300 && status < 400) return { kind: 'never', why: 'answered with a redirect, which is never followed' };
  const why = `answered with status ${status}`;
  if (status !== 429 && status < 500) return { kind: 'never', why };
  const afterMs = retryAfterMs(headers, nowMs);
  return { kind: 'again', why, ...(afterMs !== undefined && { afterMs }) };
}
