/** Answers of our own over HTTP: JSON-RPC errors, and the few headers a page needs to read them. */
import type { HttpExchange } from './exchange.ts';

type Ends = Pick<HttpExchange, 'request' | 'response'>;

/** -32000 is what MCP servers answer with where HTTP itself is at fault. */
const HTTP_FAULT = -32_000;
const NOT_FOUND = 404;

/** Refuses a request of which no message was read; what is left of its body is not read either. */
export function refuseHttp(ends: Ends, { status, text }: { readonly status: number; readonly text: string }): void {
  if (status !== NOT_FOUND && !ends.request.complete) ends.response.shouldKeepAlive = false;
  const body = JSON.stringify({ jsonrpc: '2.0', error: { code: HTTP_FAULT, message: text }, id: null });
  answerJson(ends, status, Buffer.from(body));
}

/** Said to origins that are not allowed: they are not to read it. */
const FORBIDDEN = 403;
const PLAIN = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

/** A JSON body of ours. */
export function answerJson(ends: Ends, status: number, body: Buffer, headers: Readonly<Record<string, string>> = {}): void {
  const { response } = ends;
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    ...(status === FORBIDDEN ? PLAIN : ownHeaders(ends)),
    ...headers,
    'content-type': 'application/json',
    'content-length': body.length,
  });
  response.end(body);
}

/** Nothing to answer: it was taken. */
export function answerAccepted(ends: Ends): void {
  const { response } = ends;
  if (response.headersSent || response.destroyed) return;
  response.writeHead(202, { ...ownHeaders(ends), 'content-length': 0 });
  response.end();
}

/** A page of an allowed origin may read what we answer, as it may read what the server does. */
export function ownHeaders({ request }: Pick<HttpExchange, 'request'>): Readonly<Record<string, string>> {
  const { origin } = request.headers;
  const cors = origin === undefined ? {} : { 'access-control-allow-origin': origin, vary: 'origin' };
  return { ...cors, ...PLAIN };
}
