/**
 * What every request to the page must pass before anybody looks who sent it, and the headers of every answer.
 *
 * Against other pages in the same browser: one that was rebound to 127.0.0.1 (`Host`), one that posts a form here (`Origin`,
 * `Sec-Fetch-Site`), one that frames, embeds or reads us. Ports of one host count as one site, so `SameSite` alone stops
 * nothing that is served on another port.
 */

export interface Gate {
  /** `http://127.0.0.1:4680`. */
  readonly origin: string;
}

const FORM_TYPE = 'application/x-www-form-urlencoded';
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

const CONTENT_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * `no-referrer` would make browsers send `Origin: null` with our own forms, which is what a sandboxed frame sends. No URL of
 * this page holds a secret, and with `same-origin` none of them goes anywhere else.
 */
const REFERRER_POLICY = 'same-origin';

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_POLICY,
  'referrer-policy': REFERRER_POLICY,
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** Why a request is not even looked at; undefined when it may pass. */
export function refusalOf(request: Request, { origin }: Gate): Response | undefined {
  const { method, headers } = request;
  if (headers.get('host') !== new URL(origin).host) return plain(421, `this page answers at ${origin} only`);
  if (READS.has(method)) return isForeignRead(headers) ? plain(403, 'other pages cannot read this one') : undefined;
  if (method !== 'POST') return plain(405, 'method not allowed', { allow: 'GET, HEAD, POST' });
  const site = headers.get('sec-fetch-site');
  if (headers.get('origin') !== origin || (site !== null && site !== 'same-origin'))
    return plain(403, 'forms are taken from this page only');
  const [type = ''] = (headers.get('content-type') ?? '').split(';', 1);
  return type.trim().toLowerCase() === FORM_TYPE ? undefined : plain(415, 'forms only');
}

/** A browser that says so: something other than a person following a link wants this. */
function isForeignRead(headers: Headers): boolean {
  const site = headers.get('sec-fetch-site');
  if (site === null || site === 'same-origin' || site === 'none') return false;
  return headers.get('sec-fetch-mode') !== 'navigate' || headers.get('sec-fetch-dest') !== 'document';
}

export function plain(status: number, text: string, more: Readonly<Record<string, string>> = {}): Response {
  return answered(`${text}\n`, 'text/plain', status, more);
}

export function answered(
  text: string,
  type: 'text/html' | 'text/plain' | 'text/css' | 'text/javascript' | 'image/svg+xml',
  status = 200,
  more: Readonly<Record<string, string>> = {},
): Response {
  return new Response(text, { status, headers: { ...SECURITY_HEADERS, 'content-type': `${type}; charset=utf-8`, ...more } });
}

/** @param path - one of ours. */
export function redirect(path: string, more: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 303, headers: { ...SECURITY_HEADERS, location: path, ...more } });
}
