/**
 * Asking by webhook: one signed POST for each approval, for example
 *
 *     { "type": "approval.asked", "timestamp": "2026-01-02T03:04:05.000Z",
 *       "data": { "id": "5a8c...", "call": "01j...", "agent": "billing-bot", "session": "s1", "principal": "ana",
 *                 "tool": { "server": "shop", "name": "refund" }, "args": { "amount": 900 }, "reason": "over 500",
 *                 "rule": "big-refund", "expires_at": "2026-01-02T03:09:05.000Z",
 *                 "url": "http://127.0.0.1:4680/approvals/5a8c..." } }
 *
 * `edited_from` stands beside the arguments when a person proposed them in place of those. Where it is wanted, another POST
 * tells when it was settled (`approval.settled`). Arguments are the shown view: secrets are replaced.
 * Signed after Standard Webhooks (`standard-webhooks.ts`); every try of one message has the same `webhook-id`.
 *
 * The receiver is hostile: what it answers is a status and `retry-after`, its body is dropped unread, redirects are not
 * followed. The URL comes from the configuration, never from a call, so an agent cannot choose whom this host talks to;
 * hosts inside the operator's network are allowed on purpose, because receivers live there.
 */
import type { ApprovalRequest, ApprovalRow } from '@countersign/core';
import { CountersignError } from '@countersign/core';
import { postOnce, requireVerifiedTls, Unusable } from '../http/post.ts';
import { exactUrl } from '../http/url.ts';
import {
  approvalUrl,
  channelFailed,
  endOf,
  onceWithdrawn,
  SETTLED_LIFE_MS,
  type SendingChannel,
  type SendingOptions,
  sendingLimits,
} from './channel.ts';
import { Outbox, retryAfterMs, type Tried } from './outbox.ts';
import { signedHeaders, webhookKey } from './standard-webhooks.ts';
import { realTiming } from './timing.ts';

export interface WebhookOptions extends SendingOptions {
  /** Exactly where to post. https, or http to this host; no credentials, query or fragment. */
  readonly url: string;
  /** `whsec_...`, one to four: every message is signed with each, so that one can be replaced without a gap. */
  readonly secrets: readonly string[];
  /** For messages; default `webhook` and the host. */
  readonly name?: string;
  /** Also tell when an approval was settled; default false. Needs `approval`. */
  readonly settled?: boolean;
  /** Permits plain http to hosts other than this one, and TLS with verification switched off in the environment. */
  readonly allowInsecure?: boolean;
}

/** Larger arguments are left out of the message, which says so. */
export const MAX_ARGS_BYTES = 65_536;
const MAX_SECRETS = 4;

/**
 * A channel that posts approval requests to one URL. It takes no answers: see `webhookAnswers`.
 *
 * `ask` rejects with `CHANNEL_FAILED` when no try succeeded: a status other than 2xx (429 and 5xx are tried again), no
 * connection, no answer in time.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function webhookChannel(options: WebhookOptions): SendingChannel {
  return new WebhookChannel(options);
}

class WebhookChannel implements SendingChannel {
  readonly name: string;
  readonly #options: WebhookOptions;
  readonly #endpoint: URL;
  readonly #keys: readonly ReturnType<typeof webhookKey>[];
  readonly #outbox: Outbox;

  constructor(options: WebhookOptions) {
    const { url, secrets, allowInsecure = false, settled = false, approval, timing = realTiming } = options;
    if (!Array.isArray(secrets) || secrets.length === 0 || secrets.length > MAX_SECRETS)
      throw new CountersignError('OPTIONS_INVALID', `a webhook takes 1 to ${MAX_SECRETS} secrets`);
    if (settled && approval === undefined)
      throw new CountersignError('OPTIONS_INVALID', 'to tell when an approval was settled a webhook needs `approval`, which looks it up');
    this.#options = options;
    this.#endpoint = exactUrl(url, allowInsecure);
    this.#keys = secrets.map(webhookKey);
    this.#outbox = new Outbox({ ...sendingLimits(options), timing });
    this.name = options.name ?? `webhook ${this.#endpoint.host}`;
  }

  ask(request: ApprovalRequest, _answer: unknown, signal: AbortSignal): Promise<void> {
    return this.#outbox.track(this.#ask(request, signal));
  }

  async #ask(request: ApprovalRequest, signal: AbortSignal): Promise<void> {
    const body = askedBody(request, approvalUrl(this.#options.pageUrl, request.id), this.#nowMs());
    const sent = await this.#outbox.send((one) => this.#post(`asked_${request.id}`, body, one), {
      deadlineMs: request.expiresAtMs,
      signal,
    });
    if (sent.kind === 'failed') throw channelFailed(this.name, sent.why);
    if (this.#options.settled !== true || (sent.kind === 'withdrawn' && !sent.wasTried)) return;
    onceWithdrawn(signal, () => void this.#outbox.track(this.#tellSettled(request.id)));
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }

  /** Never rejects: the approval is settled, whether anybody hears of it or not. */
  async #tellSettled(id: string): Promise<void> {
    try {
      const row = await endOf(id, this.#options.approval);
      if (row === undefined) return;
      const body = settledBody(row, this.#nowMs());
      const sent = await this.#outbox.send((one) => this.#post(`settled_${id}`, body, one), {
        deadlineMs: this.#nowMs() + SETTLED_LIFE_MS,
      });
      if (sent.kind === 'failed') throw channelFailed(this.name, sent.why);
    } catch (error) {
      this.#options.onError?.(error instanceof Error ? error : channelFailed(this.name, 'was not told that an approval was settled'));
    }
  }

  async #post(id: string, body: string, signal: AbortSignal): Promise<Tried<void>> {
    const nowMs = this.#nowMs();
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'countersign',
      // The time of this try: an old one would be refused as a replay.
      ...signedHeaders(this.#keys, id, nowMs, body),
    };
    try {
      requireVerifiedTls(this.#endpoint, this.#options.allowInsecure === true);
    } catch (error) {
      return { kind: 'never', why: error instanceof Unusable ? error.message : 'was not asked: unexpected error' };
    }
    const response = await postOnce(this.#endpoint, body, headers, signal);
    return triedOf(response, nowMs);
  }

  #nowMs(): number {
    return (this.#options.timing ?? realTiming).nowMs();
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

function askedBody(request: ApprovalRequest, url: string | undefined, nowMs: number): string {
  const { id, callId, agent, session, principal, tool, reason, rule, expiresAtMs, assurance } = request;
  const data = {
    id,
    call: callId,
    agent,
    session,
    ...(principal !== undefined && { principal }),
    tool,
    ...argumentsOf(request),
    ...(reason !== undefined && { reason }),
    ...(rule !== undefined && { rule }),
    ...(assurance !== undefined && { assurance }),
    expires_at: instant(expiresAtMs),
    ...(url !== undefined && { url }),
  };
  return JSON.stringify({ type: 'approval.asked', timestamp: instant(nowMs), data });
}

function argumentsOf({ args, edited }: ApprovalRequest): object {
  const shown = { args, ...(edited !== undefined && { edited_from: edited.from }) };
  const sizeBytes = Buffer.byteLength(JSON.stringify(shown));
  return sizeBytes > MAX_ARGS_BYTES ? { args_omitted: { bytes: sizeBytes } } : shown;
}

function settledBody({ id, call, state, answers }: ApprovalRow, nowMs: number): string {
  const data = { id, call, state, answers: answers.map(({ approver, answer }) => ({ approver, answer })) };
  return JSON.stringify({ type: 'approval.settled', timestamp: instant(nowMs), data });
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
