import { CountersignError } from '@countersign/core';

const MAX_URL_CHARS = 2_048;

/**
 * An https URL without credentials, query, fragment and slashes at its end; plain http to this host only.
 *
 * @param allowInsecure - http to any host.
 * @param noCredentials - what to say to credentials in it.
 * @throws {CountersignError} `OPTIONS_INVALID`; its message never repeats the URL.
 */
export function absoluteUrl(text: string, allowInsecure: boolean, noCredentials?: string): URL {
  const url = exactUrl(text, allowInsecure, noCredentials);
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** Like `absoluteUrl`, with its path as it was written: for a URL that is asked itself. */
export function exactUrl(text: string, allowInsecure: boolean, noCredentials: string = 'must not hold credentials'): URL {
  const url = typeof text === 'string' && text.length <= MAX_URL_CHARS ? URL.parse(text) : null;
  if (url === null) throw invalid(`must be an absolute URL of at most ${MAX_URL_CHARS} characters`);
  if (url.username !== '' || url.password !== '') throw invalid(noCredentials);
  if (text.includes('?') || text.includes('#')) throw invalid('must have no query and no fragment');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid('must be https');
  if (url.protocol === 'http:' && !allowInsecure && !isLoopback(url.hostname)) {
    throw invalid(
      'must be https unless the host is loopback, or plain http is allowed: allow_insecure: true in the file, allowInsecure in code',
    );
  }
  return url;
}

/** @param path - starts with a slash. */
export function under(base: URL, path: string): URL {
  const endpoint = new URL(base);
  endpoint.pathname = `${base.pathname === '/' ? '' : base.pathname}${path}`;
  return endpoint;
}

/** The URL parser has already turned every spelling of an IPv4 or IPv6 address into one. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `url ${what}`);
}
