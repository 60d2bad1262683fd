/** A server over HTTP whose head is no head that could be written again: its client is answered, and the proxy goes on. */
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, Harness } from '../http/harness.ts';

let http: Harness;
/** What the server writes, whatever it is asked. */
let written: string;
let port: number;

beforeEach(async () => {
  http = new Harness();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('data', () => socket.end(Buffer.from(written, 'latin1')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
  http.later(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await http.start({ url: `http://127.0.0.1:${port}/mcp` });
});
afterEach(() => http.stop());

const BODY = '{"jsonrpc":"2.0","id":1,"result":{}}';
const answer = (status: string, ...headers: readonly string[]): string =>
  `HTTP/1.1 ${status}\r\n${['content-type: application/json', `content-length: ${BODY.length}`, ...headers].join('\r\n')}\r\n\r\n${BODY}`;

const heads: readonly (readonly [string, string])[] = [
  ['a reason with a control character', answer('200 O\x01K')],
  ['a reason with a tab, and DEL', answer('200 O\tK\x7f')],
  ['a reason in bytes of no text', answer('200 \xff\xfe')],
  ['a status that is none', answer('099 ?')],
  ['a status of one digit', answer('000 ?')],
  ['a status past all', answer('999 ?')],
  ['a status past all, and more', answer('1200 ?')],
  ['an interim status as the answer', answer('199 ?')],
  ['a change of protocols', answer('101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket')],
  ['interim answers without end', `${'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(50)}${answer('200 OK')}`],
  ['a header with a control character', answer('200 OK', 'x-odd: a\x01b')],
  ['a header with DEL', answer('200 OK', 'x-odd: a\x7fb')],
  ['a header with high bytes', answer('200 OK', 'x-odd: \xe9\xff')],
  ['a header without a name', answer('200 OK', ': x')],
  ['a header whose name has a space', answer('200 OK', 'x odd: x')],
  ['a header folded over two lines', answer('200 OK', 'x-odd: a\r\n b')],
  ['a connection that names all headers', answer('200 OK', 'connection: content-type, date, x-odd', 'x-odd: 1')],
  ['a trailer it does not send', answer('200 OK', 'trailer: x-odd')],
  ['an error with a control character', answer('500 Bad\x02 \x1b[2J')],
  ['an error with an odd status', answer('098 x').replace('application/json', 'text/html')],
  ['events under no status', `HTTP/1.1 099 x\r\ncontent-type: text/event-stream\r\n\r\ndata: ${BODY}\n\n`],
  ['events with an odd reason', `HTTP/1.1 200 \x01\r\ncontent-type: text/event-stream\r\n\r\ndata: ${BODY}\n\n`],
  ['events with a body that may not be', `HTTP/1.1 204 x\r\ncontent-type: text/event-stream\r\n\r\ndata: ${BODY}\n\n`],
  ['a session with a control character', answer('200 OK', 'mcp-session-id: a\x01')],
  ['two lengths', answer('200 OK', 'content-length: 1')],
  ['a length and chunks', answer('200 OK', 'transfer-encoding: chunked')],
  ['a place to go that is odd', answer('307 x\x01', 'location: http://[/')],
];

describe.each(heads)('%s', (_what, head) => {
  it.each([
    [
      'POST',
      `POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: ${call(1, 'free').length}\r\n\r\n${call(1, 'free')}`,
    ],
    [
      'POST of a notification',
      'POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 42\r\n\r\n{"jsonrpc":"2.0","method":"notifications"}',
    ],
    ['GET', 'GET /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: text/event-stream\r\n\r\n'],
    ['DELETE', 'DELETE /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nmcp-session-id: a\r\n\r\n'],
    ['OPTIONS', 'OPTIONS /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'],
    ['metadata', 'GET /.well-known/oauth-protected-resource HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'],
  ])('%s', async (_name, request) => {
    written = head;
    expect(await http.connect().send(Buffer.from(request, 'latin1')).closed()).toMatch(/^HTTP\/1\.1 [1-9]\d\d /);
    // The proxy goes on.
    written = answer('200 OK');
    expect((await http.post(call(1, 'free'))).body).toBe(BODY);
  });
});
