/** A timestamp authority on 127.0.0.1: `openssl ts` answers, unless a test has something else in store. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import type { TestTsa } from '../../../core/test/fixtures/tsa.ts';

export type TsaAnswer = (response: ServerResponse, query: Buffer) => void;

export interface TsaServer {
  readonly url: string;
  readonly seen: { readonly method: string; readonly url: string; readonly headers: IncomingHttpHeaders; readonly body: Buffer }[];
  /** In place of honest answers, in this order. */
  readonly instead: TsaAnswer[];
}

export async function tsaServer(tsa: TestTsa): Promise<TsaServer> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      (instead.shift() ?? replies(tsa))(response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const seen: TsaServer['seen'] = [];
  const instead: TsaAnswer[] = [];
  return { url: `http://127.0.0.1:${address.port}/tsr`, seen, instead };
}

const replies =
  (tsa: TestTsa, options: Parameters<TestTsa['reply']>[1] = {}): TsaAnswer =>
  (response, query) =>
    reply(response, tsa.reply(query, options));

export function reply(response: ServerResponse, body: Uint8Array, type = 'application/timestamp-reply'): void {
  response.writeHead(200, { 'content-type': type }).end(body);
}
