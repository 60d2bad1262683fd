/** What a hostile ledger makes verify hold at once is bounded, however many threads there are. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { leafHash } from '../../src/ledger/merkle.ts';
import type { ScanMessage, ScanRequest } from '../../src/verify/scan-messages.ts';
import { serve } from '../../src/verify/scan-thread.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

/** Rows that are read at once: the bound of the source. */
const CHUNK_BYTES = 33_554_432;

it('a thread puts no more text into one message than was read at once', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  await guardOn(store).authorize({ tool: { name: 'no' }, args: {} });
  const { size } = await store.head();
  await store.close();
  const raw = new Sqlite(path);
  const insert = raw.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)');
  const id = '0'.repeat(32);
  const large = 80;
  for (let i = 0; i < large; i++) {
    const body = `{"at":1,"data":"${'x'.repeat(1_000_000)}","id":"${id}","kind":"note","topic":"t","v":1,"writer":"${id}"}`;
    insert.run(size + i, leafHash(body), body);
  }
  raw.close();

  const messages: ScanMessage[] = [];
  let ask: (request: ScanRequest) => void = () => {};
  serve(
    { postMessage: (message) => void messages.push(message), on: (_event, listener) => (ask = listener), close: () => {} },
    { file: path },
  );
  for (let from = 0; from < size + large; ) {
    ask({ from, to: size + large });
    const answer = messages.at(-1);
    from = answer?.kind === 'part' ? answer.next : Number.POSITIVE_INFINITY;
  }
  ask('end');
  const parts = messages.flatMap((message) => (message.kind === 'part' ? [message.packed.others] : []));
  const texts = parts.map((others) => others.reduce((sum, { content }) => sum + JSON.stringify(content).length, 0));
  expect(parts.flat().filter(({ content }) => content.is === 'told').length).toBeGreaterThanOrEqual(large);
  expect(Math.max(...texts)).toBeLessThanOrEqual(CHUNK_BYTES + 4096);
});
