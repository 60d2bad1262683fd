import { CountersignError } from '@countersign/core';

const EVALUATION_PATH = '/access/v1/evaluation';
const MAX_URL_CHARS = 2_048;

/**
 * Parses the base URL of a decision point. The result is recorded in the ledger as part of the policy document, so it may
 * hold no secret; error messages never repeat it.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function baseUrl(text: string, allowInsecure: boolean): URL {
  const url = typeof text === 'string' && text.length <= MAX_URL_CHARS ? URL.parse(text) : null;
  if (url === null) throw invalid(`must be an absolute URL of at most ${MAX_URL_CHARS} characters`);
  if (url.username !== '' || url.password !== '') throw invalid('must not hold credentials: use the token option');
  if (text.includes('?') || text.includes('#')) throw invalid('must have no query and no fragment');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid('must be https');
  if (url.protocol === 'http:' && !allowInsecure && !isLoopback(url.hostname)) {
    throw invalid('must be https unless the host is loopback: or set allowInsecure');
  }
  url.pathname = url.pathname.replace(/\/+$/, '');
  if (url.pathname.endsWith(EVALUATION_PATH)) throw invalid(`must be the base, without ${EVALUATION_PATH}`);
  return url;
}

export function endpointOf(base: URL): URL {
  const endpoint = new URL(base);
  endpoint.pathname = `${base.pathname === '/' ? '' : base.pathname}${EVALUATION_PATH}`;
  return endpoint;
}

/** The URL parser has already turned every spelling of an IPv4 or IPv6 address into one. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `url ${what}`);
}
