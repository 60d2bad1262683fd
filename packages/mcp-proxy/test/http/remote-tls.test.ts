import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { KEY, RIGHT_HOST, WRONG_HOST } from '../../../core/test/fixtures/certificates.ts';
import { INITIALIZE, RemoteClient } from './remote-client.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** Counts what it is sent. */
async function tlsServer(cert: string): Promise<{ readonly url: string; readonly bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer({ key: KEY, cert }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":0,"result":{}}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  });
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, bodies };
}

describe('a server over HTTPS', () => {
  it('of an authority that was named is spoken to', async () => {
    const { url, bodies } = await tlsServer(RIGHT_HOST);
    const client = new RemoteClient(url, { ca: RIGHT_HOST });
    open.push(client);
    expect(await client.ask(INITIALIZE)).toMatchObject({ result: {} });
    expect(bodies.length).toBe(1);
  });

  it.each([
    ['nobody trusts', RIGHT_HOST, undefined],
    ['is another host', WRONG_HOST, WRONG_HOST],
  ])('whose certificate %s is sent nothing', async (_what, cert, ca) => {
    const { url, bodies } = await tlsServer(cert);
    const client = new RemoteClient(url, { headers: { Authorization: 'Bearer hunter2-secret' }, ...(ca !== undefined && { ca }) });
    open.push(client);
    const answer = await client.ask(INITIALIZE);
    expect(answer).toMatchObject({ error: { code: -32000, message: expect.stringContaining('is not trusted') } });
    expect(bodies).toEqual([]);
  });
});
