/** One HTTP request to a host whose every byte is hostile: bounded, and never redirected. */

/** Why there is no answer. The message is ours alone: it repeats nothing of the request, the response or an underlying error. */
export class Unusable extends Error {
  override readonly name = 'Unusable';
}

/**
 * Posts once. A refused or reset connection is tried once more: what is asked here may be asked twice.
 *
 * Redirects are not followed: they come back as an answer. Rejects with `Unusable`, or with anything once `signal` is aborted.
 */
export async function post(
  endpoint: URL,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  const init = requestOf(body, headers, signal);
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

/** Like `post`, but never twice: for callers that count and space their tries themselves. */
export async function postOnce(
  endpoint: URL,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Response> {
  try {
    return await fetch(endpoint, requestOf(body, headers, signal));
  } catch (error) {
    throw connectionFailure(error);
  }
}

function requestOf(body: string | Uint8Array, headers: Readonly<Record<string, string>>, signal: AbortSignal): RequestInit {
  return { method: 'POST', headers, body, signal, redirect: 'manual' };
}

/** Node reads this variable at every handshake, so anything in the process may have set it since the endpoint was configured. */
export function requireVerifiedTls(endpoint: URL, allowInsecure: boolean): void {
  if (endpoint.protocol !== 'https:' || allowInsecure) return;
  if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    throw new Unusable('was not asked: NODE_TLS_REJECT_UNAUTHORIZED=0 switches certificate checks off');
  }
}

const WAS_REFUSED = 'ECONNREFUSED';
/** The second is how undici tells that a kept-alive connection was closed under the request. */
const WAS_RESET: ReadonlySet<string> = new Set(['ECONNRESET', 'UND_ERR_SOCKET']);
const UNKNOWN_NAME: ReadonlySet<string> = new Set(['ENOTFOUND', 'EAI_AGAIN']);
const RETRIED: ReadonlySet<string> = new Set([WAS_REFUSED, ...WAS_RESET]);
const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH$|INVALID_CA$)/;

/** Only fixed words: the message of a connection error can hold addresses, and a hostile peer can shape a TLS one. */
function connectionFailure(error: unknown): Unusable {
  return new Unusable(failureWords(error instanceof Error ? error.cause : undefined));
}

/** @param error - of a socket. */
export function failureWords(error: unknown): string {
  const code = codeOf(error);
  if (code === WAS_REFUSED) return 'refused the connection';
  if (WAS_RESET.has(code)) return 'closed the connection without an answer';
  if (TLS_CODE.test(code)) return 'could not prove its identity: TLS failed';
  return UNKNOWN_NAME.has(code) ? 'cannot be found: its name is not known here' : 'cannot be reached';
}

function failureCode(error: unknown): string {
  return codeOf(error instanceof Error ? error.cause : undefined);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Of the body, without parameters. */
export function mediaType(response: Response): string | undefined {
  return response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
}

/** Counts what arrives after decompression, so neither a false `content-length` nor a small zip of a large text gets past. */
export async function boundedBytes(response: Response, maxBytes: number): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) throw new Unusable(`answered with more than ${maxBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Unusable ? error : new Unusable('broke off its answer');
  }
  return Buffer.concat(chunks);
}
