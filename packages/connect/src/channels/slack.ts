/**
 * Asking in Slack: one message with two buttons for each approval, changed once it is settled, wherever that happened.
 *
 * It takes no answers itself: a click reaches the app's interactivity URL, where `slackInteractions` listens, often in
 * another process. Posting is not idempotent: when an answer of Slack gets lost, a second message may stand in the channel;
 * both buttons mean the same approval, and the store takes an answer once.
 */
import type { ApprovalRequest } from '@countersign/core';
import { CountersignError } from '@countersign/core';
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
import { Outbox } from './outbox.ts';
import { PLAIN, type SlackAccess, SlackApi } from './slack-api.ts';
import { restated, type SlackMessage, slackMessage } from './slack-message.ts';
import { realTiming } from './timing.ts';

export interface SlackOptions extends SendingOptions, SlackAccess {
  /** Id of the channel that messages go to: `C0123ABCD`. The bot must be in it. */
  readonly channel: string;
}

const CHANNEL_SHAPE = /^[CGD][A-Z0-9]{1,31}$/;

/**
 * A channel that posts approval requests to Slack. `ask` rejects with `CHANNEL_FAILED` when no try succeeded.
 *
 * With `approval` the message tells how it ended: who, when and what.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function slackChannel(options: SlackOptions): SendingChannel {
  return new SlackChannel(options);
}

class SlackChannel implements SendingChannel {
  readonly name = 'slack';
  readonly #options: SlackOptions;
  readonly #api: SlackApi;
  readonly #outbox: Outbox;

  constructor(options: SlackOptions) {
    if (typeof options.channel !== 'string' || !CHANNEL_SHAPE.test(options.channel))
      throw new CountersignError('OPTIONS_INVALID', 'channel must be the id of a Slack channel, such as C0123ABCD');
    this.#options = options;
    this.#api = new SlackApi(options);
    this.#outbox = new Outbox({ ...sendingLimits(options), timing: options.timing ?? realTiming });
  }

  ask(request: ApprovalRequest, _answer: unknown, signal: AbortSignal): Promise<void> {
    return this.#outbox.track(this.#ask(request, signal));
  }

  async #ask(request: ApprovalRequest, signal: AbortSignal): Promise<void> {
    const { channel, pageUrl } = this.#options;
    const message = slackMessage(request, this.#nowMs(), approvalUrl(pageUrl, request.id));
    const body = { channel, ...message, ...PLAIN, ...FOLDED };
    const sent = await this.#outbox.send((one) => this.#api.call('chat.postMessage', body, this.#nowMs(), one), {
      deadlineMs: request.expiresAtMs,
      signal,
    });
    if (sent.kind === 'failed') throw channelFailed(this.name, sent.why);
    // Withdrawn: whatever Slack made of it, its place is not known. A click on it tells how the approval stands.
    if (sent.kind === 'withdrawn') return;
    const { ts, channel: place = channel } = sent.value;
    if (ts === undefined) throw channelFailed(this.name, 'did not say where the message is');
    onceWithdrawn(signal, () => void this.#outbox.track(this.#tellSettled(request.id, message, { channel: place, ts })));
  }

  close(): Promise<void> {
    return this.#outbox.close();
  }

  /** Never rejects: the approval is settled, whether the message says so or not. */
  async #tellSettled(id: string, shown: SlackMessage, place: { readonly channel: string; readonly ts: string }): Promise<void> {
    try {
      const row = await endOf(id, this.#options.approval);
      if (row === undefined) return;
      const body = { ...place, ...restated(shown.blocks, row, this.#nowMs()), ...PLAIN };
      const sent = await this.#outbox.send((one) => this.#api.call('chat.update', body, this.#nowMs(), one), {
        deadlineMs: this.#nowMs() + SETTLED_LIFE_MS,
      });
      if (sent.kind === 'failed') throw channelFailed(this.name, sent.why);
    } catch (error) {
      this.#options.onError?.(error instanceof Error ? error : channelFailed(this.name, 'was not told that an approval was settled'));
    }
  }

  #nowMs(): number {
    return (this.#options.timing ?? realTiming).nowMs();
  }
}

/** No page behind a link is fetched and shown. */
const FOLDED = { unfurl_links: false, unfurl_media: false } as const;
