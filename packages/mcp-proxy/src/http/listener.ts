/**
 * The HTTP side that MCP clients connect to. Whoever can reach the port is hostile until the gate has let the request in: headers,
 * bodies, connections and time are bounded here, and a handler never sees half a message.
 */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { CountersignError } from '@countersign/core';
import type { Line } from '../wire.ts';
import { BodyBudget, readBody } from './body.ts';
import type { HttpExchange } from './exchange.ts';
import { createGate, type Gate, type GateOptions, type Refused } from './gate.ts';
import { refuseHttp } from './refuse.ts';
import { UNREAD_CODE, Unread, type UnreadLimits } from './unread.ts';

export const LOOPBACK = '127.0.0.1';
export const DEFAULT_PATH = '/mcp';
/** Connections at once, streams that stay open included; further ones are dropped. */
export const MAX_CONNECTIONS = 4_096;
/** Access tokens are headers, and some are long. */
export const MAX_HEADER_BYTES: number = 64 * 1024;
const MAX_HEADERS = 128;
/** From the first byte of a request to the end of its headers, and to its last byte: slower ones are answered with 408. */
export const HEADERS_TIMEOUT_MS = 15_000;
export const REQUEST_TIMEOUT_MS = 120_000;
/** How long a connection may stay without a request. */
export const KEEP_ALIVE_MS = 65_000;
const CHECK_MS = 1_000;
/** How long exchanges may go on after `close`. */
export const CLOSE_GRACE_MS = 3_000;
const CLOSE_CHECK_MS = 50;
const MOST_PORT = 65_535;

/** Must answer every exchange sooner or later, and not throw. */
export interface McpHandler {
  /** @param body - the whole body; `oversize`: it was too large, and is gone. */
  post(exchange: HttpExchange, body: Line): void;
  /** Opens a stream of events. */
  get(exchange: HttpExchange): void;
  /** Ends a session. */
  delete(exchange: HttpExchange): void;
  /** Any other method or path, without its body; default: 404, and 405 on the endpoint. Return false to have that said. */
  other?(exchange: HttpExchange): boolean;
}

export interface ListenOptions extends Omit<GateOptions, 'address'> {
  readonly handler: McpHandler;
  /** 0 takes any free port. */
  readonly port: number;
  /** IP address to listen on, or `localhost`; default 127.0.0.1. With any other than this machine's own, others can reach it. */
  readonly host?: string;
  /** Path of the MCP endpoint; default `/mcp`. */
  readonly path?: string;
  /** Takes one line for people: what was refused. */
  readonly log: (text: string) => void;
  /** Told of every request that was refused before its message was read. Must not throw. */
  readonly onRefused?: (refused: Refused) => void;
  readonly maxConnections?: number;
  readonly headersTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  readonly keepAliveMs?: number;
  /** What clients may leave unread. */
  readonly unread?: UnreadLimits;
}

export interface HttpListener {
  readonly port: number;
  /** `http://127.0.0.1:4680/mcp` */
  readonly url: string;
  /** Takes no more requests, lets those that run finish for a moment, then cuts them off, and frees the port. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Listens, and resolves once it does.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`; the system's own error when the port cannot be had (`EADDRINUSE`, `EACCES`).
 */
export async function listenHttp(options: ListenOptions): Promise<HttpListener> {
  const { port, path = DEFAULT_PATH, log } = options;
  const address = options.host === undefined || options.host === 'localhost' ? LOOPBACK : options.host;
  if (isIP(address) === 0) throw new CountersignError('OPTIONS_INVALID', 'listen: the host must be an IP address or localhost');
  if (!Number.isSafeInteger(port) || port < 0 || port > MOST_PORT)
    throw new CountersignError('OPTIONS_INVALID', `listen: the port must be a whole number from 0 to ${MOST_PORT}`);
  const gate = createGate({ ...options, address });
  const budget = new BodyBudget();
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      keepAliveTimeout: options.keepAliveMs ?? KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_MS,
      insecureHTTPParser: false,
      requireHostHeader: true,
      noDelay: true,
    },
    (request, response) => admit({ request, response }, { ...options, path, gate, budget }),
  );
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = options.maxConnections ?? MAX_CONNECTIONS;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === UNREAD_CODE) log(error.message);
    else refuseMalformed(error, socket, log);
  });
  await listen(server, address, port);
  const unread = new Unread(options.unread);
  server.on('connection', (socket) => unread.watch(socket));
  const taken = portOf(server);
  return {
    port: taken,
    url: `http://${isIP(address) === 6 ? `[${address}]` : address}:${taken}${path}`,
    close: async (graceMs = CLOSE_GRACE_MS) => {
      await closeServer(server, graceMs);
      unread.close();
    },
  };
}

interface Admitting extends ListenOptions {
  readonly path: string;
  readonly gate: Gate;
  readonly budget: BodyBudget;
}

function admit({ request, response }: Pick<HttpExchange, 'request' | 'response'>, given: Admitting): void {
  // A peer that is gone while we write is told by `close`.
  response.on('error', () => {});
  request.on('error', () => {});
  const refuse = (refused: Refused): void => {
    given.log(`request refused: ${refused.text}`);
    given.onRefused?.(refused);
    refuseHttp({ request, response }, refused);
  };
  const objection = given.gate.objectionTo(request);
  if (objection !== undefined) return refuse(objection);
  const target = request.url ?? '';
  const end = target.indexOf('?');
  const path = end < 0 ? target : target.slice(0, end);
  const exchange: HttpExchange = { request, response, target, path, query: end < 0 ? '' : target.slice(end) };
  const { handler } = given;
  const isEndpoint = path === given.path;
  if (!isEndpoint || !['GET', 'DELETE', 'POST'].includes(request.method ?? '')) {
    request.resume();
    if (handler.other?.(exchange) === true) return;
    if (isEndpoint) return refuse({ status: 405, text: 'the MCP endpoint takes POST, GET and DELETE' });
    return refuseHttp({ request, response }, { status: 404, text: 'there is nothing here; the MCP endpoint has another path' });
  }
  if (request.method !== 'POST') {
    request.resume();
    return request.method === 'GET' ? handler.get(exchange) : handler.delete(exchange);
  }
  const unreadable = bodyObjection(request);
  if (unreadable !== undefined) return refuse(unreadable);
  void readBody(request, given.budget).then((body) => {
    if (body === 'gone') return;
    if (body === 'busy') return refuse({ status: 503, text: 'too many bodies are being read; retry later' });
    handler.post(exchange, body);
  });
}

/**
 * What is read must be what the server reads: another encoding or character set would make one message of ours another one of its
 * own. In UTF-7, `+ACI-` is a quotation mark.
 */
function bodyObjection({ headers }: IncomingMessage): Refused | undefined {
  const encoding = headers['content-encoding'];
  const coding = headers['transfer-encoding'];
  // `gzip, chunked`: of these only the chunks are taken off here.
  const isCoded = coding !== undefined && coding.trim().toLowerCase() !== 'chunked';
  if (isCoded || (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity'))
    return { status: 415, text: 'an encoded body is not accepted; send it as it is' };
  const type = headers['content-type'] ?? '';
  if (type !== 'application/json' && !JSON_TYPE.test(type))
    return { status: 415, text: 'the content type must be application/json, in UTF-8' };
  return undefined;
}

const JSON_TYPE = /^\s*application\/json\s*(?:;\s*charset\s*=\s*("?)utf-?8\1\s*)?;?\s*$/i;

const MALFORMED: ReadonlyMap<string | undefined, { readonly status: number; readonly text: string }> = new Map([
  ['HPE_HEADER_OVERFLOW', { status: 431, text: 'Request Header Fields Too Large' }],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: 408, text: 'Request Timeout' }],
]);

/** What the parser of node does not take: two lengths, a length beside chunks, bytes that are no HTTP, too much of it, too slow. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex, log: (text: string) => void): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, text } = MALFORMED.get(error.code) ?? { status: 400, text: 'Bad Request' };
  log(`request refused: ${text.toLowerCase()} [${error.code ?? 'unknown'}]`);
  socket.end(`HTTP/1.1 ${status} ${text}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, ipv6Only: true, exclusive: true }, () => {
      server.off('error', reject);
      // For one: a connection that could not be accepted for want of file descriptors.
      server.on('error', () => {});
      resolve();
    });
  });
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}

async function closeServer(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // Those whose exchange ends meanwhile wait for the next one.
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_CHECK_MS);
  const late = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(late);
  clearInterval(idle);
}
