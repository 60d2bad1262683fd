/** One HTTP exchange with a decision point, whose every byte is hostile: what comes out is a JSON value or `Unusable`. */
import { randomUUID } from 'node:crypto';
import { strictJson } from '@countersign/core';
import { boundedBytes, mediaType, post, Unusable } from '../http/post.ts';

export const MAX_RESPONSE_BYTES = 65_536;

/**
 * Posts `body` and gives the JSON value of a `200` answer with type `application/json`.
 *
 * Redirects are not followed. A refused or reset connection is tried once more: an evaluation changes nothing at the other side.
 * Rejects with `Unusable`, or with anything once `signal` is aborted.
 */
export async function postForJson(endpoint: URL, body: string, token: string | undefined, signal: AbortSignal): Promise<unknown> {
  const requestId = randomUUID();
  const headers = { 'content-type': 'application/json', accept: 'application/json', 'x-request-id': requestId, ...authorization(token) };
  const response = await post(endpoint, body, headers, signal);
  requireJsonAnswer(response, requestId);
  return parseJson(await boundedBytes(response, MAX_RESPONSE_BYTES));
}

/** Rejects when `signal` is aborted first; the promise itself is left to its fate. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Unusable('was given up')), { once: true });
  });
  return Promise.race([promise, aborted]);
}

function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function requireJsonAnswer(response: Response, requestId: string): void {
  if (response.status >= 300 && response.status < 400) throw new Unusable('answered with a redirect, which is never followed');
  if (response.status !== 200) throw new Unusable(`answered with status ${response.status}`);
  if (mediaType(response) !== 'application/json') throw new Unusable('answered with a content type other than application/json');
  // AuthZEN 1.0, section 10.1.3: whoever sends an id back sends ours. Another one means the answer belongs to another question.
  const echoed = response.headers.get('x-request-id');
  if (echoed !== null && echoed !== requestId) throw new Unusable('answered another request: x-request-id differs');
}

function parseJson(bytes: Uint8Array): unknown {
  // A name given twice is the first to one reader and the last to another: `{"decision":false,"decision":true}`.
  const parsed = strictJson(bytes);
  if (parsed === undefined) throw new Unusable('answered with invalid JSON');
  return parsed.value;
}
