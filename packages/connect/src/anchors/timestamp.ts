/**
 * Checkpoints to an RFC 3161 timestamp authority: it signs the SHA-256 of the checkpoint's text with the time.
 *
 * A publication is one POST. Everything answered is hostile until its token verified under the configured certificates, over
 * what was sent, with our nonce; nothing it says is repeated in a message.
 */
import type { Anchor, TimestampQuestion } from '@countersign/core';
import { CountersignError, timestampQuestions } from '@countersign/core';
import { boundedBytes, mediaType, post, requireVerifiedTls, Unusable } from '../http/post.ts';
import { exactUrl } from '../http/url.ts';

export interface TimestampOptions {
  /** Where requests are posted. No credentials, query or fragment. */
  readonly url: string;
  /** File of PEM certificates: of the authority, or of who vouches for it. */
  readonly certificates: string;
  /** Dotted object identifier of the policy to be stamped under; the authority's own when absent. */
  readonly policy?: string;
  /** Milliseconds for one publication: an integer from 1 to 60000; default 10000. */
  readonly timeoutMs?: number;
  /** Permits plain http to hosts other than this one, and TLS with verification switched off in the environment. */
  readonly allowInsecure?: boolean;
}

/** A token and the few bytes around it. */
const MAX_ANSWER_BYTES = 65_536;
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
/** Clocks differ. One that is further off would prove something else than what happened. */
const MAX_OFF_MS = 86_400_000;
const ANSWER_TYPE = 'application/timestamp-reply';
/** All that is sent beside the body. */
const HEADERS = {
  'content-type': 'application/timestamp-query',
  accept: ANSWER_TYPE,
  'accept-encoding': 'identity',
  'user-agent': 'countersign',
};

/**
 * An anchor that gives each checkpoint it copies a timestamp, which is kept as a line of the checkpoint.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function timestampAnchor(options: TimestampOptions): Anchor {
  const { policy, timeoutMs = DEFAULT_TIMEOUT_MS, allowInsecure = false } = options;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS)
    throw new CountersignError('OPTIONS_INVALID', `timeoutMs must be an integer from 1 to ${MAX_TIMEOUT_MS}`);
  const endpoint = exactUrl(options.url, allowInsecure);
  const name = nameOf(endpoint);
  const ask = timestampQuestions({ name, certificates: options.certificates, ...(policy !== undefined && { policy }) });
  return {
    name: `rfc3161 ${name}`,
    publish: async (note, { signal }) => publish(questionOver(ask, note), endpoint, { signal, timeoutMs, allowInsecure }),
  };
}

/** A name on a note has no plus and no space; of the latter a URL has none. */
function nameOf({ host, pathname }: URL): string {
  return `${host}${pathname.replace(/\/+$/, '')}`.replaceAll('+', '%2B');
}

function questionOver(ask: (note: string) => TimestampQuestion, note: string): TimestampQuestion {
  try {
    return ask(note);
  } catch (cause) {
    throw failed('was not asked: what should be stamped is no signed checkpoint', cause);
  }
}

interface Limits {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly allowInsecure: boolean;
}

async function publish(question: TimestampQuestion, endpoint: URL, { signal, timeoutMs, allowInsecure }: Limits): Promise<string> {
  const stop = new AbortController();
  const late = AbortSignal.timeout(timeoutMs);
  try {
    requireVerifiedTls(endpoint, allowInsecure);
    return await stamp(question, endpoint, AbortSignal.any([signal, late, stop.signal]));
  } catch (error) {
    if (late.aborted) throw failed(`did not answer within ${timeoutMs} ms`);
    if (signal.aborted) throw failed('was given up: it did not answer in time');
    throw failed(error instanceof Unusable ? error.message : 'could not be asked: unexpected error', error);
  } finally {
    // Also drops the connection of an answer that was not read to its end.
    stop.abort();
  }
}

async function stamp({ request, take }: TimestampQuestion, endpoint: URL, signal: AbortSignal): Promise<string> {
  const response = await post(endpoint, request, HEADERS, signal);
  const { status } = response;
  if (status >= 300 && status < 400) throw new Unusable('answered with a redirect, which is never followed');
  if (status !== 200) throw new Unusable(`answered with status ${status}`);
  if (mediaType(response) !== ANSWER_TYPE) throw new Unusable(`answered with something that is not ${ANSWER_TYPE}`);
  const answer = take(await boundedBytes(response, MAX_ANSWER_BYTES));
  if ('refused' in answer) throw new Unusable(answer.refused);
  if (Math.abs(answer.atMs - Date.now()) > MAX_OFF_MS)
    throw new Unusable('stamped with a time more than a day off: one of the clocks is wrong');
  return answer.note;
}

function failed(what: string, cause?: unknown): CountersignError {
  return new CountersignError('LEDGER_NOT_ANCHORED', `the timestamp authority ${what}`, cause === undefined ? {} : { cause });
}
