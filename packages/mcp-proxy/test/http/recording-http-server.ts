/** An HTTP server as a test needs it: remembers every request with its body, and answers as it is told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isObject, type JsonObject } from '../../src/message.ts';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly message: JsonObject;
}

export type Answer = (received: Received, response: ServerResponse) => void;

export interface RecordingServer {
  readonly url: string;
  readonly received: Received[];
  /** Resolves once a request fits. */
  got(claim: (received: Received) => boolean): Promise<Received>;
  close(): Promise<void>;
}

export async function recordingServer(answer: Answer): Promise<RecordingServer> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const parsed: unknown = body === '' ? {} : JSON.parse(body);
      const one = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body,
        message: isObject(parsed) ? parsed : {},
      };
      received.push(one);
      response.on('error', () => {});
      answer(one, response);
      for (const wake of waiting) wake();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    received,
    got: async (claim) => {
      for (;;) {
        const found = received.find(claim);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

export function json(response: ServerResponse, body: unknown, status = 200, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

export function stream(response: ServerResponse, ...parts: readonly string[]): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const part of parts) response.write(part);
}

export const event = (message: JsonObject, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;

/** Answers as an ordinary server with sessions does: `answer` for whatever is not the handshake. */
export function withSession(answer: Answer, session = 'session-1'): Answer {
  return (received, response) => {
    const { method, message } = received;
    if (method === 'DELETE') return void response.writeHead(204).end();
    if (message['method'] === 'initialize') {
      const result = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } };
      return json(response, { jsonrpc: '2.0', id: message['id'], result }, 200, { 'mcp-session-id': session });
    }
    if (method === 'GET' && received.headers['last-event-id'] === undefined) return void response.writeHead(405).end();
    if (method === 'POST' && !Object.hasOwn(message, 'id')) return void response.writeHead(202).end();
    answer(received, response);
  };
}
