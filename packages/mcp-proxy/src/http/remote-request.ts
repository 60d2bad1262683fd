/**
 * HTTP requests to one server, as its client. Credentials go to the origin they were given for and nowhere else: a redirect to
 * another origin is not followed, whatever it says. Nothing here puts the value of a header, or the query of a URL, into an error.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import { CountersignError } from '@countersign/core';
import { hidden } from './remote-secrets.ts';

/** Until a connection stands, TLS included. An answer may take as long as its tool. */
export const CONNECT_TIMEOUT_MS = 30_000;
const MAX_HEADER_BYTES: number = 64 * 1024;
const MAX_REDIRECTS = 5;
/** Servers close idle connections after five seconds or more; one that is closed while we write to it loses the request. */
const IDLE_MS = 4_000;

export interface RemoteServerOptions {
  /** `https://host/mcp`, without credentials in it. */
  readonly url: string;
  /** Sent with every request. Their values are secret. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Certificates to trust besides the usual ones, PEM. */
  readonly ca?: string;
}

export interface RemoteRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Default: the server's. */
  readonly url?: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal?: AbortSignal;
  /** The request is on its way as a whole. */
  readonly onSent?: () => void;
}

/** Why a server could not be asked. Its message is for people, and says nothing secret. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
}

export class RemoteServer {
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #ca: readonly string[] | undefined;
  readonly #given: URL;
  #url: URL;

  /** @throws {CountersignError} `OPTIONS_INVALID` */
  constructor({ url, headers = {}, ca }: RemoteServerOptions) {
    this.#given = checkedUrl(url);
    this.#url = this.#given;
    this.#headers = headers;
    this.#ca = ca === undefined ? undefined : [...rootCertificates, ca];
    const options = { keepAlive: true, timeout: IDLE_MS };
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** Where requests go; another path of the same origin once the server said so. */
  get url(): URL {
    return this.#url;
  }

  /** @throws {RemoteError} */
  async ask(request: RemoteRequest): Promise<IncomingMessage> {
    let url = request.url ?? this.#url;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#send(url, request);
      const to = redirectOf(response, request.method);
      if (to === undefined) return response;
      response.destroy();
      const next = URL.parse(to, url.href);
      if (next === null || redirects >= MAX_REDIRECTS) throw new RemoteError(`${shownUrl(url)} redirects without end`);
      if (next.origin !== url.origin) {
        throw new RemoteError(
          `${shownUrl(url)} redirects to another origin, ${next.origin}, which was not followed; if that is the server, give its url`,
        );
      }
      url = next;
      if (request.url === undefined) this.#url = next;
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  /** The text without what we sent, should a server repeat it. */
  withoutSecrets(text: string): string {
    return hidden(text, this.#headers, [this.#given, this.#url]);
  }

  #send(url: URL, { method, headers = {}, body, signal, onSent }: RemoteRequest): Promise<IncomingMessage> {
    const isTls = url.protocol === 'https:';
    const options: RequestOptions & { ca?: string[] } = {
      method,
      agent: this.#agent,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: { ...this.#headers, ...headers, ...(body !== undefined && { 'content-length': String(body.length) }) },
      ...(signal !== undefined && { signal }),
      ...(this.#ca !== undefined && { ca: [...this.#ca] }),
    };
    return new Promise((resolve, reject) => {
      const asked = isTls ? httpsRequest(url, options) : httpRequest(url, options);
      const late = setTimeout(
        () => asked.destroy(new RemoteError(`${shownUrl(url)} cannot be reached: no connection in time`)),
        CONNECT_TIMEOUT_MS,
      );
      asked.once('socket', (socket) => {
        if (!socket.connecting) return clearTimeout(late);
        socket.once(isTls ? 'secureConnect' : 'connect', () => clearTimeout(late));
      });
      asked.once('finish', () => onSent?.());
      asked.once('response', (response) => {
        clearTimeout(late);
        // Told to whoever reads it.
        response.on('error', () => {});
        resolve(response);
      });
      // Stays: an answer that breaks off must not end this process.
      asked.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(late);
        onSent?.();
        reject(error instanceof RemoteError ? error : new RemoteError(connectionText(url, error)));
      });
      asked.end(body);
    });
  }
}

/** For logs and errors: where it is, and nothing behind that. Some servers take a path, or a query, for a credential. */
export function shownUrl({ origin, pathname, search }: URL): string {
  return pathname === '/' && search === '' ? origin : `${origin}/...`;
}

function checkedUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new CountersignError('OPTIONS_INVALID', 'url of an MCP server: https://host/path, or http:// to this machine');
  if (url.username !== '' || url.password !== '')
    throw new CountersignError('OPTIONS_INVALID', 'url of an MCP server: no credentials in it; give them in a header');
  url.hash = '';
  return url;
}

/** Only where the method and the body stay what they are. */
function redirectOf({ statusCode = 0, headers }: IncomingMessage, method: string): string | undefined {
  const isFollowed = statusCode === 307 || statusCode === 308 || (method === 'GET' && (statusCode === 301 || statusCode === 302));
  return isFollowed ? headers.location : undefined;
}

function connectionText(url: URL, { code, message, name }: NodeJS.ErrnoException): string {
  if (name === 'AbortError') return 'the request was given up';
  if (code === 'HPE_HEADER_OVERFLOW') return `${shownUrl(url)} sent headers of more than ${MAX_HEADER_BYTES} bytes`;
  if (code?.startsWith('HPE_') === true) return `${shownUrl(url)} does not speak HTTP [${code}]`;
  const isCertificate = /CERT|SELF_SIGNED|ISSUER|ALTNAME/.test(code ?? '');
  if (isCertificate)
    return `the certificate of ${url.origin} is not trusted [${code}]; if the server is yours, name the certificate of its authority`;
  return `${shownUrl(url)} cannot be reached [${code ?? (/hang up|aborted/.test(message) ? 'ECONNRESET' : 'unknown')}]`;
}
