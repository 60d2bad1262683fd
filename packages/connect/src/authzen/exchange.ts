/** One HTTP exchange with a decision point, whose every byte is hostile: what comes out is a JSON value or `Unusable`. */
import { randomUUID } from 'node:crypto';

/** Why there is no answer. The message is ours alone: it repeats nothing of the request, the response or an underlying error. */
export class Unusable extends Error {
  override readonly name = 'Unusable';
}

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
  const response = await fetchTwice(endpoint, { method: 'POST', headers, body, signal, redirect: 'manual' });
  requireJsonAnswer(response, requestId);
  return parseJson(await boundedBytes(response));
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

async function fetchTwice(endpoint: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(endpoint, init);
  } catch (error) {
    if (!RETRIED.has(failureCode(error))) throw connectionFailure(error);
  }
  try {
    return await fetch(endpoint, init);
  } catch (error) {
    throw connectionFailure(error);
  }
}

const WAS_REFUSED = 'ECONNREFUSED';
/** The second is how undici tells that a kept-alive connection was closed under the request. */
const WAS_RESET: ReadonlySet<string> = new Set(['ECONNRESET', 'UND_ERR_SOCKET']);
const RETRIED: ReadonlySet<string> = new Set([WAS_REFUSED, ...WAS_RESET]);
const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH$|INVALID_CA$)/;

/** Only fixed words: the message of a connection error can hold addresses, and a hostile peer can shape a TLS one. */
function connectionFailure(error: unknown): Unusable {
  const code = failureCode(error);
  if (code === WAS_REFUSED) return new Unusable('refused the connection');
  if (WAS_RESET.has(code)) return new Unusable('closed the connection without an answer');
  if (TLS_CODE.test(code)) return new Unusable('could not prove its identity: TLS failed');
  return new Unusable('cannot be reached');
}

function failureCode(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

function requireJsonAnswer(response: Response, requestId: string): void {
  if (response.status >= 300 && response.status < 400) throw new Unusable('answered with a redirect, which is never followed');
  if (response.status !== 200) throw new Unusable(`answered with status ${response.status}`);
  const mediaType = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') throw new Unusable('answered with a content type other than application/json');
  // AuthZEN 1.0, section 10.1.3: whoever sends an id back sends ours. Another one means the answer belongs to another question.
  const echoed = response.headers.get('x-request-id');
  if (echoed !== null && echoed !== requestId) throw new Unusable('answered another request: x-request-id differs');
}

/** Counts what arrives after decompression, so neither a false `content-length` nor a small zip of a large text gets past. */
async function boundedBytes(response: Response): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > MAX_RESPONSE_BYTES) throw new Unusable(`answered with more than ${MAX_RESPONSE_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Unusable ? error : new Unusable('broke off its answer');
  }
  return Buffer.concat(chunks);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Unusable('answered with invalid JSON');
  }
}
