/** An HTTP server that keeps every body it receives, and answers every message that has an id: whole, or as an event. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isObject } from '../../src/message.ts';

export class HttpUpstream {
  readonly received: Buffer[] = [];
  readonly #server: Server;

  protected constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.once('end', () => {
        if (request.method !== 'POST') return this.listen(response);
        const body = Buffer.concat(chunks);
        this.received.push(body);
        this.answer(body, response);
      });
    });
    // A connection that is closed for being idle, in the moment its next request comes, loses that with or without a proxy.
    this.#server.keepAliveTimeout = 0;
  }

  static async start(): Promise<HttpUpstream> {
    // The class that was asked for.
    const upstream = new this();
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`;
  }

  /** A GET. */
  protected listen(response: ServerResponse): void {
    response.writeHead(405).end();
  }

  protected answer(body: Buffer, response: ServerResponse): void {
    const text = answerTo(body);
    if (text === undefined) response.writeHead(202).end();
    else if (body.length % 2 === 0) response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    else response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`: hello\n\nid: 1\ndata: ${text}\n\n`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The same over HTTP+SSE: one stream carries every answer. */
export class LegacyUpstream extends HttpUpstream {
  #events: ServerResponse | undefined;

  protected override listen(response: ServerResponse): void {
    this.#events = response;
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: endpoint\ndata: /messages\n\n');
  }

  protected override answer(body: Buffer, response: ServerResponse): void {
    response.writeHead(202).end();
    const text = answerTo(body);
    if (text !== undefined) this.#events?.write(`data: ${text}\n\n`);
  }
}

function answerTo(body: Buffer): string | undefined {
  const message = parsed(body);
  if (!isObject(message) || message['method'] === undefined || message['id'] === undefined) return undefined;
  const { id, method } = message;
  const result = method === 'tools/list' ? { tools: [{ name: 'free' }, { name: 'denied' }] } : { content: [] };
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8').replace(/^\ufeff/, ''));
  } catch {
    return undefined;
  }
}
