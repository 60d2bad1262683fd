/**
 * Run by `mcp-http.ts`: stands where the proxy stands and only passes requests and answers on, over kept connections. What it
 * costs, no proxy that speaks HTTP through node can save.
 */
import { Agent, request as ask, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const [upstream = ''] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(upstream);
const agent = new Agent({ keepAlive: true });

const server = createServer((request, response) => {
  const { method, rawHeaders } = request;
  const asked = ask({ host: hostname, port, path: pathname, method, headers: rawHeaders, agent }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
    answer.pipe(response);
  });
  asked.on('error', () => response.destroy());
  request.pipe(asked);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`);
process.once('disconnect', () => process.exit(0));
