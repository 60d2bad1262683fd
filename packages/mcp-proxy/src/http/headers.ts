/**
 * Headers as they pass through a proxy: all of them as they were written, but those that belong to one connection, those that name
 * the two ends, and those that would change what is read. Lists are flat, name beside value, as node reads and writes them.
 */

export type RawHeaders = readonly string[];

/** What node does not write into a head. */
export const NOT_WRITTEN: RegExp = /[^\t\x20-\x7e\x80-\xff]/g;

/** About one connection (RFC 9110, section 7.6.1), whatever `Connection` says. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
/** Written anew for the server: where it is, how much there is, and that it must not be packed. */
const OURS: ReadonlySet<string> = new Set(['host', 'content-length', 'accept-encoding', 'expect']);

export interface ForServer {
  readonly host: string;
  /** In place of the client's, if it sent one: a server checks that a page is its own. */
  readonly origin: string;
  /** Set by our configuration, in place of what the client says. */
  readonly own: ReadonlyMap<string, string>;
}

/** @param sizeBytes - of the body; absent: there is none. */
export function headersForServer(raw: RawHeaders, { host, origin, own }: ForServer, sizeBytes?: number): string[] {
  const headers = ['Host', host];
  const dropped = connectionNames(raw);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i] as string, raw[i + 1] as string];
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || OURS.has(lower) || own.has(lower) || dropped.has(lower)) continue;
    headers.push(name, lower === 'origin' ? origin : value);
  }
  for (const [name, value] of own) headers.push(name, value);
  headers.push('Accept-Encoding', 'identity');
  if (sizeBytes !== undefined) headers.push('Content-Length', String(sizeBytes));
  return headers;
}

/**
 * @param rewrite - makes another value of one, by its name in small letters.
 * @param sizeBytes - of the body, where it is known and may differ; absent: as it is for a body that is passed on, none for a stream.
 */
export function headersForClient(raw: RawHeaders, rewrite: (name: string, value: string) => string, sizeBytes?: number | 'same'): string[] {
  const headers: string[] = [];
  const dropped = connectionNames(raw);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name, value] = [raw[i] as string, raw[i + 1] as string];
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || dropped.has(lower) || (lower === 'content-length' && sizeBytes !== 'same')) continue;
    headers.push(name, rewrite(lower, value));
  }
  if (typeof sizeBytes === 'number') headers.push('Content-Length', String(sizeBytes));
  return headers;
}

/** The value of a header that came once. */
export function headerOf(raw: RawHeaders, name: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (raw[i]?.toLowerCase() === name) return raw[i + 1];
  return undefined;
}

/** Headers that `Connection` says are about it. */
export function connectionNames(raw: RawHeaders): ReadonlySet<string> {
  const value = headerOf(raw, 'connection');
  if (value === undefined || value === 'keep-alive' || value === 'close') return NONE;
  return new Set(value.split(',').map((name) => name.trim().toLowerCase()));
}

const NONE: ReadonlySet<string> = new Set();
