/**
 * Run by `mcp-http.ts`: stands where the proxy stands and only passes requests and answers on, over kept connections, which no proxy
 * that speaks HTTP through node can save; or does the needed work of each call too.
 */
import { Agent, request as ask, createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { neededOnTheWay } from './mcp-needed.ts';

const [upstream = '', kind] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(upstream);
const agent = new Agent({ keepAlive: true });
const passing = kind === undefined ? undefined : neededOnTheWay();

const server = createServer((request, response) => {
  const { method, rawHeaders } = request;
  const asked = ask({ host: hostname, port, path: pathname, method, headers: rawHeaders, agent }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
    const mayTellOfCalls = method === 'POST' && answer.statusCode === 200;
    void pass(answer, response, mayTellOfCalls ? passing?.fromServer : undefined);
  });
  asked.on('error', () => response.destroy());
  void pass(request, asked, method === 'POST' ? passing?.fromClient : undefined);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
process.once('disconnect', () => process.exit(0));

async function pass(from: IncomingMessage, to: Writable, read: ((message: string) => void) | undefined): Promise<void> {
  if (read === undefined) return void from.pipe(to);
  const body = await text(from);
  read(/^data: (.*)$/m.exec(body)?.[1] ?? body);
  to.end(body);
}
