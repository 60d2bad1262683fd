/** One of the processes of `contention.ts`: appends notes one by one for a while, and tells how many and its longest wait. */

import { openStore } from '@countersign/core/sqlite';
import type { Database } from 'better-sqlite3';
import { ORIGIN } from './fixtures.ts';

const [path = '', waiting = '', forMs = '0'] = process.argv.slice(2);
const PATIENCE_MS = 120_000;

const store = openStore({ path, origin: ORIGIN, signer: 'none', queue: { deadlineMs: PATIENCE_MS } });
if (waiting === 'sqlite') connectionOf(store).pragma(`busy_timeout = ${PATIENCE_MS}`);

process.once('message', () => void work());
process.send?.('ready');

async function work(): Promise<void> {
  let appended = 0;
  let longestMs = 0;
  const end = performance.now() + Number(forMs);
  for (let now = performance.now(); now < end; ) {
    const committed = await store.commit({ kind: 'record', body: { kind: 'note', topic: 'bench', data: { appended } } });
    if (committed.kind === 'recorded') appended++;
    const after = performance.now();
    longestMs = Math.max(longestMs, after - now);
    now = after;
  }
  await store.close();
  process.send?.({ appended, longestMs }, () => process.disconnect());
}

/** The baseline waits in SQLite, on the very connection that commits. */
function connectionOf(of: object): Database {
  return (of as { readonly ledger: { readonly inline: { readonly open: { readonly database: Database } } } }).ledger.inline.open.database;
}
