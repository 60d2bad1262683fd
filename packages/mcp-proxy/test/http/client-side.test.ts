/** When what is written to a client leaves. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { ClientSide, HEAD_WAIT_MS } from '../../src/http/client-side.ts';
import type { HttpExchange } from '../../src/http/exchange.ts';
import { EventLog, MessageStream } from '../../src/http/message-stream.ts';
import { post, RawClient } from './raw.ts';

const HEAD = { status: 200, message: 'OK', headers: ['Content-Type', 'text/event-stream'] };
const EVENT = Buffer.from('data: 1\n\n');
const WAITS_LONG_MS = 600_000;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A client whose request is answered by `answer`, and how often something left for it. */
async function asking(
  answer: (client: ClientSide, response: ServerResponse, exchange: HttpExchange) => void,
): Promise<{ client: RawClient; pieces: () => number }> {
  const leaves = vi.fn();
  const server = createServer((request, response) => {
    // A client in the same process reads only when this one has done all its writing.
    for (const name of ['_write', '_writev'] as const) {
      const write = request.socket[name]?.bind(request.socket) as (...args: unknown[]) => void;
      request.socket[name] = (...args: unknown[]) => {
        leaves();
        write(...args);
      };
    }
    const exchange = { request, response, target: '', path: '', query: '' };
    answer(new ClientSide(exchange), response, exchange);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const client = new RawClient((server.address() as AddressInfo).port);
  client.send(post('{}'));
  return { client, pieces: () => leaves.mock.calls.length };
}

it('sends head, events and end of a stream at once where they come close together', async () => {
  const { client, pieces } = await asking((side) => {
    side.begin(HEAD, WAITS_LONG_MS);
    setImmediate(() => {
      side.write(EVENT);
      side.write(EVENT);
      // As a stream that is read tells its end.
      process.nextTick(() => side.end());
    });
  });
  await client.until(/data: 1[^]*data: 1[^]*0\r\n\r\n$/);
  expect(pieces()).toBe(1);
});

it('sends an event when it comes, and not with the next one', async () => {
  const { client, pieces } = await asking((side) => {
    side.begin(HEAD, WAITS_LONG_MS);
    side.write(EVENT);
    setTimeout(() => side.write(EVENT), 50);
  });
  await client.until(/data: 1/);
  expect(client.received.match(/data: 1/g)).toHaveLength(1);
  await client.until(/data: 1[^]*data: 1/);
  expect(pieces()).toBe(2);
});

it('sends the head of a stream alone when no event comes', async () => {
  const { client } = await asking((side) => side.begin(HEAD, HEAD_WAIT_MS));
  expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
});

it('writes nothing to a client that is gone', async () => {
  const gone = new Promise<ServerResponse>((resolve) => {
    void asking((side, response) => {
      side.begin(HEAD, HEAD_WAIT_MS);
      side.write(EVENT);
      response.once('close', () => {
        side.write(EVENT);
        side.end();
        resolve(response);
      });
    }).then(async ({ client }) => {
      await client.until(/data: 1/);
      client.socket.destroy();
    });
  });
  expect((await gone).writableFinished).toBe(false);
});

it('sends the event that says where to take a stream up with the head', async () => {
  const { client, pieces } = await asking((_side, _response, exchange) =>
    new MessageStream(new EventLog()).attach(exchange, { isResumable: true }),
  );
  await client.until(/id: [^]*\n\n/);
  expect(pieces()).toBe(1);
});

it('sends the head of a stream of ours that says nothing', async () => {
  const { client } = await asking((_side, _response, exchange) => new MessageStream(new EventLog()).attach(exchange));
  expect(await client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
});
