/** An HTTP server that keeps what it receives byte for byte, and answers as the test says. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Answering = (received: Received, response: ServerResponse, request: IncomingMessage) => void;

export class RecordingUpstream {
  readonly received: Received[] = [];
  /** By what it was asked; default an empty result. */
  answer: Answering = ({ body }, response) => {
    const { id } = JSON.parse(body.toString() || '{}') as { id?: unknown };
    if (id === undefined) response.writeHead(202).end();
    else json(response, { jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'done' }] } });
  };
  readonly #server: Server;
  readonly #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(
    make: (listener: (request: IncomingMessage, response: ServerResponse) => void) => Server = createServer,
  ): Promise<RecordingUpstream> {
    const server: Server = make((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('error', () => {});
      request.on('end', () => {
        const { method = '', url = '', rawHeaders, headers } = request;
        const received = { method, target: url, rawHeaders, headers, body: Buffer.concat(chunks) };
        upstream.received.push(received);
        for (const resolve of upstream.#waiting.splice(0)) resolve();
        upstream.answer(received, response, request);
      });
    });
    const upstream = new RecordingUpstream(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  async until(count: number): Promise<void> {
    while (this.received.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

export function json(response: ServerResponse, value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
}

export function events(response: ServerResponse, ...chunks: readonly string[]): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const chunk of chunks) response.write(chunk);
  return response;
}
