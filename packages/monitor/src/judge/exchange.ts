/** HTTP with a model server: bounded, never redirected, to the configured place alone. */
import { CountersignError, strictJson } from '@countersign/core';

/** Why there is no answer. Its message is ours alone: it repeats nothing of the request, the response or an underlying error. */
export class Unanswered extends Error {
  override readonly name = 'Unanswered';
  /** Another try may help. */
  readonly again: boolean;

  constructor(message: string, again = false) {
    super(message);
    this.again = again;
  }
}

export const MAX_ANSWER_BYTES = 262_144;
const MAX_URL_CHARS = 2_048;

/** Where a model server is. */
export interface ServerUrl {
  readonly base: URL;
  /** What the operator should know of it. */
  readonly warning?: string;
}

/**
 * An absolute http or https URL without credentials, query and fragment.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; its message never repeats the URL
 */
export function serverUrl(text: string): ServerUrl {
  const url = typeof text === 'string' && text.length <= MAX_URL_CHARS ? URL.parse(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw invalid('must be an absolute http or https URL');
  if (url.username !== '' || url.password !== '') throw invalid('must not hold credentials');
  if (text.includes('?') || text.includes('#')) throw invalid('must have no query and no fragment');
  const isOpen = url.protocol === 'http:' && !isLoopback(url.hostname);
  return {
    base: url,
    ...(isOpen && {
      warning: 'the judge is asked over plain http at another host: what it is told and what it says can be read and changed on the way',
    }),
  };
}

/** @param path - starts with a slash. @returns the JSON value of a 200 answer. @throws {Unanswered} */
export async function askFor(base: URL, path: string, body: object | undefined, signal: AbortSignal): Promise<unknown> {
  const endpoint = new URL(base);
  endpoint.pathname = `${base.pathname.replace(/\/+$/u, '')}${path}`;
  if (endpoint.protocol === 'https:' && process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    throw new Unanswered('was not asked: NODE_TLS_REJECT_UNAUTHORIZED=0 switches certificate checks off');
  }
  try {
    const response = await fetch(endpoint, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        'user-agent': 'countersign',
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal,
    });
    requireJson(response);
    const parsed = strictJson(await boundedBytes(response));
    if (parsed === undefined) throw new Unanswered('answered with invalid JSON');
    return parsed.value;
  } catch (error) {
    if (error instanceof Unanswered) throw error;
    // The message of a connection error can hold addresses, and a hostile peer can shape a TLS one.
    throw signal.aborted ? new Unanswered('did not answer in time') : new Unanswered('cannot be reached, or broke off its answer', true);
  }
}

function requireJson({ status, headers }: Response): void {
  if (status >= 300 && status < 400) throw new Unanswered('answered with a redirect, which is never followed');
  if (status !== 200) throw new Unanswered(`answered with status ${status}`, status === 429 || status >= 500);
  const mediaType = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') throw new Unanswered('answered with a content type other than application/json');
}

/** Counts what arrives after decompression, so neither a false `content-length` nor a small zip of a large text gets past. */
async function boundedBytes({ body }: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > MAX_ANSWER_BYTES) throw new Unanswered(`answered with more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The URL parser has already turned every spelling of an address into one. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/u.test(hostname);
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `the url of the judge ${what}`);
}
