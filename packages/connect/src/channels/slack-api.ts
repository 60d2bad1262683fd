/**
 * Calling Slack's Web API: one POST with the bot's token, and an answer that is hostile until parsed.
 *
 * Only the fixed host is ever asked. The `response_url` of a click is not used: it is a URL from outside, and the token can
 * do what it can. Error words of Slack are repeated only when they look like one (`channel_not_found`).
 *
 * @see https://docs.slack.dev/apis/web-api
 */
import { CountersignError } from '@countersign/core';
import * as z from 'zod';
import { boundedBytes, postOnce, requireVerifiedTls, Unusable } from '../http/post.ts';
import { absoluteUrl, under } from '../http/url.ts';
import { retryAfterMs, type Tried } from './outbox.ts';

export interface SlackAccess {
  /** Token of the bot, with the scope `chat:write`. */
  readonly token: string;
  /** Base of the API, for tests; default `https://slack.com/api`. */
  readonly apiUrl?: string;
}

export type SlackMethod = 'chat.postMessage' | 'chat.update' | 'chat.postEphemeral';

export interface SlackAnswer {
  /** Where a message is: needed to change it. */
  readonly channel?: string | undefined;
  readonly ts?: string | undefined;
}

/** Names and links in the text of a message stay text. */
export const PLAIN = { parse: 'none', link_names: false } as const;

const SLACK_API = 'https://slack.com/api';
const MAX_ANSWER_BYTES = 262_144;
const TOKEN_SHAPE = /^xox[a-z][A-Za-z0-9.-]{1,500}$/;
/** Passing troubles of Slack itself. */
const AGAIN: ReadonlySet<string> = new Set([
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
]);

const answerSchema = z.object({
  ok: z.boolean(),
  error: z.string().optional(),
  channel: z
    .string()
    .regex(/^[A-Z0-9]{1,32}$/)
    .optional(),
  ts: z
    .string()
    .regex(/^[0-9]{1,12}\.[0-9]{1,12}$/)
    .optional(),
});

export class SlackApi {
  readonly #token: string;
  readonly #base: URL;

  /** @throws {CountersignError} `OPTIONS_INVALID`; its message repeats nothing of the token. */
  constructor({ token, apiUrl = SLACK_API }: SlackAccess) {
    const text = typeof token === 'string' ? token.trim() : '';
    if (!TOKEN_SHAPE.test(text))
      throw new CountersignError('OPTIONS_INVALID', 'the token of a Slack bot starts with xoxb-: copy it from the app');
    this.#token = text;
    this.#base = absoluteUrl(apiUrl, false);
  }

  /** One try. @throws {Unusable} */
  async call(method: SlackMethod, body: object, nowMs: number, signal: AbortSignal): Promise<Tried<SlackAnswer>> {
    const endpoint = under(this.#base, `/${method}`);
    try {
      requireVerifiedTls(endpoint, false);
    } catch (error) {
      return { kind: 'never', why: error instanceof Unusable ? error.message : 'was not asked: unexpected error' };
    }
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      authorization: `Bearer ${this.#token}`,
      accept: 'application/json',
      'user-agent': 'countersign',
    };
    const response = await postOnce(endpoint, JSON.stringify(body), headers, signal);
    if (response.status >= 300 && response.status < 400) return { kind: 'never', why: 'answered with a redirect, which is never followed' };
    if (response.status === 429 || response.status >= 500) return again(`answered with status ${response.status}`, response, nowMs);
    if (response.status !== 200) return { kind: 'never', why: `answered with status ${response.status}` };
    return read(parsed(await boundedBytes(response, MAX_ANSWER_BYTES)), response, nowMs);
  }
}

function parsed(bytes: Uint8Array): z.infer<typeof answerSchema> | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))).data;
  } catch {
    return undefined;
  }
}

function read(answer: z.infer<typeof answerSchema> | undefined, response: Response, nowMs: number): Tried<SlackAnswer> {
  if (answer === undefined) return { kind: 'again', why: 'answered with something that is not its API' };
  if (answer.ok) return { kind: 'done', value: { channel: answer.channel, ts: answer.ts } };
  const { error = '' } = answer;
  const word = /^[a-z][a-z_]{0,63}$/.test(error) ? error : 'an unknown error';
  return AGAIN.has(error) ? again(`answered ${word}`, response, nowMs) : { kind: 'never', why: `answered ${word}` };
}

function again(why: string, { headers }: Response, nowMs: number): Tried<SlackAnswer> {
  const afterMs = retryAfterMs(headers, nowMs);
  return { kind: 'again', why, ...(afterMs !== undefined && { afterMs }) };
}
