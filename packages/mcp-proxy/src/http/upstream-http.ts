/** The HTTP server behind the proxy: one place, kept connections, no redirects. */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { getCACertificates } from 'node:tls';
import { CountersignError } from '@countersign/core';
import { type ForServer, headersForServer, type RawHeaders } from './headers.ts';

/** Until a connection stands, TLS included. An answer may take as long as the client waits for it. */
export const CONNECT_TIMEOUT_MS = 15_000;
/** Connections kept for the next request. */
const MAX_KEPT_CONNECTIONS = 256;
const KEEP_ALIVE_PROBE_MS = 30_000;
const MAX_ANSWER_HEADER_BYTES: number = 64 * 1024;
const MAX_URL_CHARS = 2_048;

export interface HttpUpstreamOptions {
  /** The server's MCP endpoint. */
  readonly url: string;
  /** Sent with every request to its origin, in place of what the client says: for one, a token of ours. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Certificate authorities to trust besides those of this system, as PEM. */
  readonly ca?: string;
  readonly connectTimeoutMs?: number;
}

export interface Asking {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** As the client sent them. */
  readonly headers: RawHeaders;
  readonly body?: Buffer;
}

export interface Asked {
  /** Takes the connection away: the server learns that nobody waits any more. */
  destroy(): void;
}

/** Exactly one of the two is called, once, unless it was destroyed before. */
export interface Awaiting {
  answered(answer: IncomingMessage): void;
  /** @param reason - for the client and the log: no address, nothing that was sent. */
  failed(reason: string): void;
}

export class HttpUpstream {
  /** Of the endpoint, as configured; the query with its question mark, or empty. */
  readonly path: string;
  readonly query: string;
  readonly origin: string;
  readonly #secure: boolean;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #where: { readonly host: string; readonly port: string };
  readonly #rules: ForServer;
  readonly #connectTimeoutMs: number;

  /** @throws {CountersignError} `OPTIONS_INVALID`: no http or https URL, or a header that cannot be sent. Its message repeats neither. */
  constructor({ url: text, headers = {}, ca, connectTimeoutMs = CONNECT_TIMEOUT_MS }: HttpUpstreamOptions) {
    const url = checkedUrl(text);
    this.path = url.pathname;
    this.query = url.search;
    this.origin = url.origin;
    this.#secure = url.protocol === 'https:';
    this.#where = { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port };
    this.#rules = { host: url.host, origin: url.origin, own: checkedHeaders(headers) };
    this.#connectTimeoutMs = connectTimeoutMs;
    const keeping = {
      keepAlive: true,
      maxFreeSockets: MAX_KEPT_CONNECTIONS,
      scheduling: 'lifo',
      keepAliveMsecs: KEEP_ALIVE_PROBE_MS,
    } as const;
    // Certificates are always checked: there is no switch for it.
    const trusted = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] };
    this.#agent = this.#secure ? new HttpsAgent({ ...keeping, ...trusted, rejectUnauthorized: true }) : new HttpAgent(keeping);
  }

  /** Whether anybody on the way can read what is sent, tokens included. */
  get isPlainAndFar(): boolean {
    return !this.#secure && !/^(localhost|127\.[\d.]+|::1)$/.test(this.#where.host);
  }

  ask({ method, target, headers, body }: Asking, awaiting: Awaiting): Asked {
    let isOver = false;
    const over = (then: () => void): void => {
      if (isOver) return;
      isOver = true;
      then();
    };
    const send = this.#secure ? requestHttps : requestHttp;
    const request = send({
      host: this.#where.host,
      port: this.#where.port,
      agent: this.#agent,
      method,
      path: target,
      maxHeaderSize: MAX_ANSWER_HEADER_BYTES,
      headers: headersForServer(headers, this.#rules, body?.length ?? (method === 'POST' ? 0 : undefined)),
    });
    this.#boundConnecting(request);
    request.on('response', (answer) => {
      // Broken off: told by `close`.
      answer.on('error', () => {});
      over(() => awaiting.answered(answer));
    });
    request.on('error', (error: NodeJS.ErrnoException) => over(() => awaiting.failed(reasonOf(error))));
    request.on('close', () => over(() => awaiting.failed('the server closed the connection without an answer')));
    request.end(body);
    return {
      destroy: () => {
        isOver = true;
        request.destroy();
      },
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  #boundConnecting(request: ClientRequest): void {
    request.on('socket', (socket) => {
      if (!socket.connecting) return;
      const late = setTimeout(
        () => request.destroy(Object.assign(new Error('connecting took too long'), { code: 'ETIMEDOUT' })),
        this.#connectTimeoutMs,
      );
      const done = (): void => clearTimeout(late);
      socket.once(this.#secure ? 'secureConnect' : 'connect', done).once('close', done);
    });
  }
}

function checkedUrl(text: string): URL {
  const url = text.length <= MAX_URL_CHARS ? URL.parse(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new CountersignError(
      'OPTIONS_INVALID',
      `the URL of the server must be an http or https URL of at most ${MAX_URL_CHARS} characters`,
    );
  if (url.username !== '' || url.password !== '')
    throw new CountersignError('OPTIONS_INVALID', 'the URL of the server must hold no credentials; send them as a header');
  return url;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_YOURS =
  /^(?:host|content-length|content-type|content-encoding|transfer-encoding|connection|accept|accept-encoding|origin|mcp-.*|last-event-id)$/;

function checkedHeaders(headers: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const checked = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (!TOKEN.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new CountersignError('OPTIONS_INVALID', 'a header for the server has a name or a value that HTTP does not know');
    if (NOT_YOURS.test(name.toLowerCase()))
      throw new CountersignError('OPTIONS_INVALID', `the header ${name} is written by the proxy or its client`);
    checked.set(name.toLowerCase(), value);
  }
  return checked;
}

/** The code says enough; the message of the system would name addresses. */
function reasonOf({ code }: NodeJS.ErrnoException): string {
  return `the server could not be reached, or broke off before it answered${code === undefined ? '' : ` (${code.slice(0, 60)})`}`;
}
