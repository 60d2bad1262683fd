import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { UNREAD_CODE, Unread } from '../../src/http/unread.ts';

let now = 0;
const opened: Unread[] = [];
afterEach(() => {
  for (const unread of opened.splice(0)) unread.close();
});

/** What is written to it waits, until it is taken. */
class Client extends EventEmitter {
  writableLength = 0;
  bytesWritten = 0;
  cut: unknown;

  write(bytes: number): void {
    this.writableLength += bytes;
    this.bytesWritten += bytes;
  }

  take(bytes: number): void {
    this.writableLength -= bytes;
  }

  destroy(error: unknown): void {
    this.cut = error;
    this.emit('close');
  }
}

function watched(count: number, limits: { readonly maxBytes: number; readonly limitMs: number }): [Unread, ...Client[]] {
  now = 1_000;
  const unread = new Unread({ ...limits, now: () => now });
  opened.push(unread);
  const clients = Array.from({ length: count }, () => new Client());
  // It asks a socket for nothing else.
  for (const client of clients) unread.watch(client as unknown as Socket);
  return [unread, ...clients];
}

it('leaves alone who reads, however slowly, and who has nothing to read, however long', () => {
  const [unread, slow, idle] = watched(2, { maxBytes: 1_000, limitMs: 100 }) as [Unread, Client, Client];
  slow.write(900);
  for (let at = 0; at < 800; at++) {
    slow.take(1);
    now += 99;
    unread.check();
  }
  idle.write(1);
  unread.check();
  expect([slow.cut, idle.cut]).toEqual([undefined, undefined]);
});

it('cuts off who took nothing for the time given, and not a moment before', () => {
  const [unread, client] = watched(1, { maxBytes: 1_000, limitMs: 100 }) as [Unread, Client];
  client.write(1);
  unread.check();
  now += 99;
  unread.check();
  expect(client.cut).toBeUndefined();
  now += 1;
  unread.check();
  expect(client.cut).toMatchObject({ code: UNREAD_CODE });
});

it('where there is no room for all, cuts off who took nothing for longest, and no more than it must', () => {
  const [unread, old, reader, fresh] = watched(3, { maxBytes: 1_000, limitMs: 10_000 }) as [Unread, Client, Client, Client];
  old.write(400);
  reader.write(500);
  unread.check();
  now += 50;
  reader.take(100);
  fresh.write(300);
  unread.check();
  expect(old.cut).toMatchObject({ code: UNREAD_CODE });
  expect([reader.cut, fresh.cut]).toEqual([undefined, undefined]);
});

it('lets nobody in who asks for more than all may have, though nobody else waits', () => {
  const [unread, client] = watched(1, { maxBytes: 1_000, limitMs: 10_000 }) as [Unread, Client];
  client.write(1_001);
  unread.check();
  expect(client.cut).toMatchObject({ code: UNREAD_CODE });
});
