import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface AnsweringServer {
  readonly url: string;
  readonly asked: readonly { readonly headers: IncomingMessage['headers']; readonly body: string }[];
}

/** Answers everything with an empty result, remembers what it was asked with, and ends with the test. */
export async function answeringServer(): Promise<AnsweringServer> {
  const asked: { headers: IncomingMessage['headers']; body: string }[] = [];
  const http = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push({ headers: request.headers, body });
      const { id } = body === '' ? { id: 0 } : (JSON.parse(body) as { id: number });
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } }));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeAllConnections();
    await closed;
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`, asked };
}
