/**
 * What a request must look like before anything of it is read. A page in somebody's browser can reach a port of this machine: by
 * a name of its own that resolves to it (DNS rebinding, told by `Host`), or across origins (told by `Origin`).
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { CountersignError } from '@countersign/core';

export interface Refused {
  readonly status: 400 | 403 | 405 | 413 | 415 | 503;
  /** Names the problem; nothing of the request but, for hosts and origins, the name that was not allowed. */
  readonly text: string;
}

export interface Gate {
  /** Undefined: it may pass. */
  objectionTo(request: IncomingMessage): Refused | undefined;
}

export interface GateOptions {
  /** The address that is listened on. */
  readonly address: string;
  /** Names clients may call us by, besides this machine's own and `address`: `mcp.example.com`, with any port, or `mcp.example.com:8443`. */
  readonly allowedHosts?: readonly string[];
  /** Origins of pages that may call us, besides those of this machine: `https://app.example.com`. */
  readonly allowedOrigins?: readonly string[];
}

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'] as const;
/** A second one of these would be read differently by somebody else on the way. */
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'origin',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'authorization',
  'mcp-session-id',
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'last-event-id',
]);
const PARAM_PREFIX = 'mcp-param-';
const MAX_TARGET_CHARS = 8_192;
const MAX_SHOWN_CHARS = 100;

/** @throws {CountersignError} `OPTIONS_INVALID`: a host or an origin that is none. */
export function createGate({ address, allowedHosts = [], allowedOrigins = [] }: GateOptions): Gate {
  const own = isIP(address) === 6 ? `[${address}]` : address;
  const hosts = new Set([...LOOPBACK_NAMES, ...(isAnyAddress(address) ? [] : [own]), ...allowedHosts.map(checkedHost)]);
  const origins = new Set(allowedOrigins.map(checkedOrigin));
  // As a rule all clients call us by one name.
  let lastHost: string | undefined;
  const hostObjectionTo = (host: string | undefined): Refused | undefined => {
    if (host !== undefined && host === lastHost) return undefined;
    const objection = hostObjection(host, hosts);
    if (objection === undefined) lastHost = host;
    return objection;
  };
  return {
    objectionTo: (request) =>
      repeatIn(request) ??
      hostObjectionTo(request.headers.host) ??
      originObjection(request.headers.origin, origins) ??
      targetObjection(request),
  };
}

function repeatIn({ rawHeaders }: IncomingMessage): Refused | undefined {
  const seen: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (!SINGLE.has(name) && !name.startsWith(PARAM_PREFIX)) continue;
    // At most `MAX_HEADERS` of them.
    if (seen.includes(name)) return { status: 400, text: `the header ${name} is repeated` };
    seen.push(name);
  }
  return undefined;
}

function hostObjection(host: string | undefined, allowed: ReadonlySet<string>): Refused | undefined {
  const read = host === undefined ? undefined : hostOf(host);
  if (read !== undefined && (allowed.has(read.name) || allowed.has(read.withPort))) return undefined;
  return { status: 403, text: `host ${shown(host)} is not allowed; if it is yours, allow it by name` };
}

/** Who sends no origin is no page. */
function originObjection(origin: string | undefined, allowed: ReadonlySet<string>): Refused | undefined {
  if (origin === undefined || allowed.has(origin.toLowerCase())) return undefined;
  const url = /^https?:\/\/[^/?#@\s]+$/i.test(origin) ? URL.parse(origin) : null;
  if (url !== null && (LOOPBACK_NAMES as readonly string[]).includes(url.hostname)) return undefined;
  return { status: 403, text: `origin ${shown(origin)} is not allowed; if it is yours, allow it by name` };
}

/** A target that would be read as another one (`//host/`, `http://host/`, `/a/../b`, `\`) is refused, not repaired. */
function targetObjection({ url = '' }: IncomingMessage): Refused | undefined {
  const refused = { status: 400, text: 'the target of the request is not a plain path' } as const;
  if (!url.startsWith('/') || url.startsWith('//') || url.length > MAX_TARGET_CHARS || /[#\\\s]/.test(url)) return refused;
  const end = url.indexOf('?');
  const path = end < 0 ? url : url.slice(0, end);
  // Without a dot or an escape there is nothing to resolve.
  if (/^(?:\/[\w~-]+)+\/?$/.test(path)) return undefined;
  return URL.parse(`http://localhost${path}`)?.pathname === path ? undefined : refused;
}

function hostOf(text: string): { readonly name: string; readonly withPort: string } | undefined {
  const read = /^(\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)(?::(\d{1,5}))?$/i.exec(text);
  const name = read?.[1]?.toLowerCase();
  return name === undefined ? undefined : { name, withPort: `${name}:${read?.[2] ?? '80'}` };
}

function checkedHost(text: string): string {
  const host = hostOf(text);
  if (host === undefined)
    throw new CountersignError('OPTIONS_INVALID', 'allowed hosts are names or addresses, with a port or without: mcp.example.com');
  return /:\d+$/.test(text) && !text.endsWith(']') ? host.withPort : host.name;
}

function checkedOrigin(text: string): string {
  const url = URL.parse(text);
  if (url === null || url.origin === 'null' || url.origin !== text.toLowerCase())
    throw new CountersignError(
      'OPTIONS_INVALID',
      'allowed origins have a scheme and a host, and a port if it is not the usual one: https://app.example.com',
    );
  return url.origin;
}

function isAnyAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** For a log and an error that only its sender sees: printable and short. */
function shown(text: string | undefined): string {
  return text === undefined ? '(none)' : JSON.stringify(text.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_SHOWN_CHARS));
}
