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
 * How they are sent, and what is believed of the receiver: `signed-webhook.ts`.
 */
import type { ApprovalRequest, ApprovalRow } from '@countersign/core';
import { CountersignError } from '@countersign/core';
import { approvalUrl, channelFailed, endOf, onceWithdrawn, SETTLED_LIFE_MS, type SendingChannel, type SendingOptions } from './channel.ts';
import { SignedWebhook, type SignedWebhookOptions } from './signed-webhook.ts';

export interface WebhookOptions extends SendingOptions, SignedWebhookOptions {
  /** For messages; default `webhook` and the host. */
  readonly name?: string;
  /** Also tell when an approval was settled; default false. Needs `approval`. */
  readonly settled?: boolean;
}

/** Larger arguments are left out of the message, which says so. */
export const MAX_ARGS_BYTES = 65_536;

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
  readonly #webhook: SignedWebhook;

  constructor(options: WebhookOptions) {
    const { settled = false, approval } = options;
    const webhook = new SignedWebhook(options);
    if (settled && approval === undefined)
      throw new CountersignError('OPTIONS_INVALID', 'to tell when an approval was settled a webhook needs `approval`, which looks it up');
    this.#options = options;
    this.#webhook = webhook;
    this.name = options.name ?? `webhook ${webhook.host}`;
  }

  ask(request: ApprovalRequest, _answer: unknown, signal: AbortSignal): Promise<void> {
    return this.#webhook.track(this.#ask(request, signal));
  }

  async #ask(request: ApprovalRequest, signal: AbortSignal): Promise<void> {
    const body = askedBody(request, approvalUrl(this.#options.pageUrl, request.id), this.#webhook.nowMs());
    const sent = await this.#webhook.send(`asked_${request.id}`, body, {
      deadlineMs: request.expiresAtMs,
      signal,
    });
    if (sent.kind === 'failed') throw channelFailed(this.name, sent.why);
    if (this.#options.settled !== true || (sent.kind === 'withdrawn' && !sent.wasTried)) return;
    onceWithdrawn(signal, () => void this.#webhook.track(this.#tellSettled(request.id)));
  }

  close(): Promise<void> {
    return this.#webhook.close();
  }

  /** Never rejects: the approval is settled, whether anybody hears of it or not. */
  async #tellSettled(id: string): Promise<void> {
    try {
      const row = await endOf(id, this.#options.approval);
      if (row === undefined) return;
      const body = settledBody(row, this.#webhook.nowMs());
      const sent = await this.#webhook.send(`settled_${id}`, body, {
        deadlineMs: this.#webhook.nowMs() + SETTLED_LIFE_MS,
      });
      if (sent.kind === 'failed') throw channelFailed(this.name, sent.why);
    } catch (error) {
      this.#options.onError?.(error instanceof Error ? error : channelFailed(this.name, 'was not told that an approval was settled'));
    }
  }
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
