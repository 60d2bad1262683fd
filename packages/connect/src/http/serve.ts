/**
 * Runs a web-standard handler on `node:http`, on this host only unless somebody names another address.
 *
 * Whoever can reach the port is hostile until the handler has said otherwise: headers, bodies, connections and time are
 * bounded here, a handler never sees half a body, and what goes wrong is answered with a status and its name, nothing else.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP, type ListenOptions, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CountersignError } from '@countersign/core';
import { claimSocket, closeToOthers } from './private-socket.ts';
import { BodyBudget, type BodyLimits, readRequest } from './read-request.ts';

/** Who sent a request, as the socket says; behind a tunnel that is the tunnel. On a unix socket nobody says: `''` and 0. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** Answers one request. Throwing is answered with 500 and told to `onError`. */
export type Handler = (request: Request, peer: Peer) => Promise<Response>;

export interface ServeOptions {
  readonly handler: Handler;
  /** 0 (default) takes any free port. */
  readonly port?: number;
  /** IP address to listen on; default 127.0.0.1. With any other, other hosts can reach the handler. */
  readonly host?: string;
  /** Absolute path of a unix socket to listen on, in place of a port: for processes of this user alone (see `private-socket.ts`). */
  readonly socket?: string;
  /** Larger bodies are answered with 413; default 1 MiB, at most 64 MiB. */
  readonly maxBodyBytes?: number;
  /** Of all bodies that are being read, each beyond its first 64 KiB: further ones are answered with 503; default 128 MiB. */
  readonly maxBufferedBytes?: number;
  /**
   * Asked once a body grows past 64 KiB, with a request that has none: for what headers alone can tell. What it answers is the
   * answer, and the body is not kept.
   */
  readonly objectionTo?: (head: Request) => Response | undefined;
  /** Further connections are dropped; default 128. */
  readonly maxConnections?: number;
  /** From the first byte of a request to its last; default 10 s. Slower ones are answered with 408. */
  readonly requestTimeoutMs?: number;
  /** From the first byte of a request to the last of its answer; default 30 s. The connection is then cut. */
  readonly durationMs?: number;
  /** Told what a handler threw. Must not throw. */
  readonly onError?: (error: unknown) => void;
}

export interface Served {
  /** 0 on a unix socket. */
  readonly port: number;
  /** `http://127.0.0.1:4680`, without a slash at its end; `http://localhost` on a unix socket. */
  readonly url: string;
  /** Takes no more requests, lets those that run finish for a moment, and frees the port. */
  close(): Promise<void>;
}

export const LOOPBACK = '127.0.0.1';
/** A unix socket has no name of its own. */
const SOCKET_URL = 'http://localhost';
export const MAX_HEADER_BYTES = 16_384;
const MAX_HEADERS = 64;
const DEFAULT_BODY_BYTES = 1_048_576;
const MOST_BODY_BYTES = 67_108_864;
const DEFAULT_BUFFERED_BYTES = 134_217_728;
const MOST_BUFFERED_BYTES = 4_294_967_296;
const DEFAULT_CONNECTIONS = 128;
const MOST_CONNECTIONS = 10_000;
const DEFAULT_REQUEST_MS = 10_000;
const DEFAULT_DURATION_MS = 30_000;
const MOST_MS = 600_000;
const KEEP_ALIVE_MS = 5_000;
/** How often node looks for requests that take too long. */
const CHECK_MS = 500;
const CLOSE_GRACE_MS = 1_000;
const MOST_PORT = 65_535;

type Limits = Required<Omit<ServeOptions, 'handler' | 'objectionTo' | 'onError' | 'port' | 'host' | 'socket'>>;

/**
 * Listens, and resolves once it does.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; the system's own error when the port or socket cannot be had (`EADDRINUSE`, `EACCES`).
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const { handler, port = 0, host = LOOPBACK, socket, onError = () => {} } = options;
  const limits = checkedLimits(options);
  whole('port', port, 0, MOST_PORT);
  if (isIP(host) === 0) throw new CountersignError('OPTIONS_INVALID', 'host must be an IP address: names resolve to more than was meant');
  const stop = new AbortController();
  const bodies = {
    maxBytes: limits.maxBodyBytes,
    budget: new BodyBudget(limits.maxBufferedBytes),
    objectionTo: options.objectionTo ?? (() => undefined),
  };
  const ownUrl = (): string => (socket === undefined ? urlOf(host, portOf(server)) : SOCKET_URL);
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: limits.requestTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    (request, response) => {
      answer(request, response, { handler, limits, bodies, onError, stop: stop.signal, origin: ownUrl() }).catch(onError);
    },
  );
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = limits.maxConnections;
  server.on('clientError', refuseMalformed);
  if (socket === undefined) await listen(server, { port, host, ipv6Only: true });
  else {
    await claimSocket(socket);
    await listen(server, { path: socket });
    closeToOthers(socket);
  }
  return { port: portOf(server), url: ownUrl(), close: () => closeServer(server, stop) };
}

interface Answering {
  readonly handler: Handler;
  readonly limits: Limits;
  readonly bodies: BodyLimits;
  readonly onError: (error: unknown) => void;
  /** Aborted when the server closes. */
  readonly stop: AbortSignal;
  readonly origin: string;
}

async function answer(message: IncomingMessage, response: ServerResponse, given: Answering): Promise<void> {
  const { handler, limits, bodies, onError, origin } = given;
  const { socket } = message;
  // A peer that reads one byte a minute, or a handler that hangs, must not hold a connection.
  const cut = setTimeout(() => socket.destroy(), limits.durationMs);
  const gone = new AbortController();
  response.on('close', () => {
    clearTimeout(cut);
    gone.abort();
  });
  const signal = AbortSignal.any([gone.signal, given.stop]);
  try {
    const read = await readRequest(message, origin, bodies, signal);
    if (read.kind === 'gone') return;
    if (read.kind === 'refused') return writePlain(response, read.status);
    const answered = read.kind === 'objected' ? read.answer : await handler(read.request, peerOf(socket));
    // Whole before its first byte is sent: a body that fails half-way must not look like an answer.
    const body = Buffer.from(await answered.arrayBuffer());
    write(response, answered, body, message.method === 'HEAD');
  } catch (error) {
    onError(error);
    writePlain(response, 500);
  }
}

function write(response: ServerResponse, answered: Response, body: Buffer, isHead: boolean): void {
  if (response.destroyed || response.headersSent) return;
  for (const [name, value] of answered.headers) if (name !== 'set-cookie') response.setHeader(name, value);
  const cookies = answered.headers.getSetCookie();
  if (cookies.length > 0) response.setHeader('set-cookie', cookies);
  response.setHeader('content-length', body.length);
  response.writeHead(answered.status);
  response.end(isHead ? undefined : body);
}

const STATUS_TEXTS: ReadonlyMap<number, string> = new Map([
  [400, 'bad request'],
  [405, 'method not allowed'],
  [408, 'request timeout'],
  [413, 'content too large'],
  [431, 'header fields too large'],
  [500, 'internal error'],
  [503, 'too busy: try again'],
]);

function plainHeaders(text: string): Readonly<Record<string, string>> {
  return {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  };
}

function writePlain(response: ServerResponse, status: number): void {
  if (response.destroyed || response.headersSent) return;
  const text = `${STATUS_TEXTS.get(status) ?? 'refused'}\n`;
  // What is left of the request is not read: whatever follows on this connection could be part of it.
  response.shouldKeepAlive = false;
  response.writeHead(status, plainHeaders(text));
  response.end(text);
}

/** What the parser of node does not take: two lengths, a length beside chunks, bytes that are no HTTP, too much of it, too slow. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const text = `${STATUS_TEXTS.get(status) ?? 'refused'}\n`;
  const head = Object.entries(plainHeaders(text)).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_TEXTS.get(status) ?? 'refused'}\r\n${head.join('')}\r\n${text}`, () => socket.destroy());
}

function peerOf({ remoteAddress, remotePort }: Socket): Peer {
  return { address: remoteAddress ?? '', port: remotePort ?? 0 };
}

function checkedLimits(options: ServeOptions): Limits {
  const {
    maxBodyBytes = DEFAULT_BODY_BYTES,
    maxBufferedBytes = DEFAULT_BUFFERED_BYTES,
    maxConnections = DEFAULT_CONNECTIONS,
    requestTimeoutMs = DEFAULT_REQUEST_MS,
    durationMs = DEFAULT_DURATION_MS,
  } = options;
  whole('maxBodyBytes', maxBodyBytes, 0, MOST_BODY_BYTES);
  whole('maxBufferedBytes', maxBufferedBytes, maxBodyBytes, MOST_BUFFERED_BYTES);
  whole('maxConnections', maxConnections, 1, MOST_CONNECTIONS);
  whole('requestTimeoutMs', requestTimeoutMs, 1, MOST_MS);
  whole('durationMs', durationMs, 1, MOST_MS);
  return { maxBodyBytes, maxBufferedBytes, maxConnections, requestTimeoutMs, durationMs };
}

function whole(name: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new CountersignError('OPTIONS_INVALID', `${name} must be a whole number from ${least} to ${most}`);
}

function listen(server: Server, where: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...where, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}

function urlOf(host: string, port: number): string {
  return `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

async function closeServer(server: Server, stop: AbortController): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const late = setTimeout(() => {
    stop.abort();
    server.closeAllConnections();
  }, CLOSE_GRACE_MS);
  await closed;
  clearTimeout(late);
}
