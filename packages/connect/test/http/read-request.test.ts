import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BodyBudget, type ReadRequest, readRequest, SMALL_BODY_BYTES } from '../../src/http/read-request.ts';

const ROOM = 10;

interface Reading {
  readonly budget: BodyBudget;
  /** Posts so many bytes and says what was read of them. */
  readonly post: (sizeBytes: number) => Promise<ReadRequest>;
  /** Sends the head of a POST and the beginning of its body. */
  readonly begin: (sizeBytes: number, sentBytes: number) => Promise<{ readonly socket: Socket; readonly read: Promise<ReadRequest> }>;
}

async function reading(objectionTo: (head: Request) => Response | undefined = () => undefined): Promise<Reading> {
  const budget = new BodyBudget(ROOM);
  const told: ((read: ReadRequest) => void)[] = [];
  const server = createServer((message, response) => {
    const limits = { maxBytes: 2 * SMALL_BODY_BYTES, budget, objectionTo };
    void readRequest(message, 'http://a', limits, new AbortController().signal).then((read) => {
      told.shift()?.(read);
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => server.close().closeAllConnections());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const begin: Reading['begin'] = async (sizeBytes, sentBytes) => {
    const read = new Promise<ReadRequest>((resolve) => told.push(resolve));
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${sizeBytes}\r\n\r\n${'x'.repeat(sentBytes)}`);
    return { socket, read };
  };
  return { budget, begin, post: async (sizeBytes) => (await begin(sizeBytes, sizeBytes)).read };
}

describe('the room for bodies', () => {
  it('is what they have beyond their first bytes, and is given back', async () => {
    const { budget, post } = await reading();
    for (const sizeBytes of [SMALL_BODY_BYTES + ROOM, SMALL_BODY_BYTES + ROOM]) expect((await post(sizeBytes)).kind).toBe('request');
    for (const sizeBytes of [SMALL_BODY_BYTES + ROOM + 1, 2 * SMALL_BODY_BYTES])
      expect(await post(sizeBytes)).toEqual({ kind: 'refused', status: 503 });
    expect(budget.take(ROOM)).toBe(true);
  });

  it('is shared, and small bodies need none', async () => {
    const { budget, post } = await reading();
    expect(budget.take(ROOM)).toBe(true);
    expect(await post(SMALL_BODY_BYTES + 1)).toEqual({ kind: 'refused', status: 503 });
    expect((await post(SMALL_BODY_BYTES)).kind).toBe('request');
    budget.give(ROOM);
    expect((await post(SMALL_BODY_BYTES + 1)).kind).toBe('request');
  });

  it('is given back by a body that breaks off, and not taken by one that says it is too large', async () => {
    const { budget, begin, post } = await reading();
    const { socket, read } = await begin(SMALL_BODY_BYTES + ROOM, SMALL_BODY_BYTES + ROOM - 1);
    socket.end();
    expect((await read).kind).toBe('gone');
    expect(budget.take(ROOM)).toBe(true);
    budget.give(ROOM);
    expect(await post(2 * SMALL_BODY_BYTES + 1)).toEqual({ kind: 'refused', status: 413 });
    expect(budget.take(ROOM)).toBe(true);
  });

  it('is not taken by who is objected to, who is asked about once', async () => {
    const heads: Request[] = [];
    const { budget, post } = await reading((head) => {
      heads.push(head);
      return new Response('no', { status: 401 });
    });
    expect(budget.take(ROOM)).toBe(true);
    const read = await post(2 * SMALL_BODY_BYTES);
    expect(read.kind === 'objected' && read.answer.status).toBe(401);
    expect((await post(SMALL_BODY_BYTES)).kind).toBe('request');
    expect(heads.map(({ body, url }) => [body, url])).toEqual([[null, 'http://a/']]);
  });
});
