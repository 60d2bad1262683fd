/** Calls through real guards, and their ledgers as a replay reads them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ToolCall } from '../../src/call.ts';
import { openContainer } from '../../src/container/open-source.ts';
import type { Guard } from '../../src/guard-types.ts';
import { canonicalize } from '../../src/ledger/canonical.ts';
import { openStore } from '../../src/sqlite/store.ts';
import type { Store } from '../../src/store.ts';
import { fixedClock, type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import type { LedgerSource, SourceRow } from '../../src/verify/source.ts';

export type ReplaySource = Pick<LedgerSource, 'chunks' | 'size'>;

export interface Recorded {
  readonly store: Store;
  /** Closes the store and gives its ledger. */
  source(): Promise<ReplaySource>;
  remove(): void;
}

export function inMemory(): Recorded {
  const store = memoryStore({ clock: fixedClock() });
  return { store, source: async () => rowsOf(store), remove: () => undefined };
}

export function onDisk(): Recorded {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-replay-'));
  const path = join(folder, 'ledger.db');
  const store = openStore({ path, origin: 'replay.test/log', signer: 'none', stateDirectory: folder });
  return {
    store,
    async source() {
      await store.close();
      return openContainer(path);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function rowsOf(store: MemoryStore, change: (row: SourceRow) => SourceRow = (row) => row): ReplaySource {
  const openings = store.openings();
  const rows = store.entries().map((entry, seq): SourceRow => {
    const opening = openings.get(seq);
    const body = canonicalize(entry);
    return change({
      seq,
      body,
      leaf: undefined,
      bytes: body.length,
      opening: opening === undefined ? undefined : { key: opening.key, sections: JSON.stringify(opening.sections) },
    });
  });
  return {
    size: rows.length,
    *chunks() {
      yield rows;
    },
  };
}

/** Lets a call through its guard to its end. A pending one is answered, if there is an answer. */
export async function through(guard: Guard, call: ToolCall, answer?: 'approve' | 'deny', result: unknown = 'ok'): Promise<void> {
  let decided = await guard.authorize(call, { approval: 'suspend' });
  if (decided.kind === 'pending' && answer !== undefined) {
    await guard.approvals.resolve(decided.approvalId, { decision: answer }, { id: 'ana', method: 'host' });
    decided = await guard.authorize(call, { approval: 'suspend' });
  }
  if (decided.kind === 'permit') await decided.settle({ status: 'success', result }, { durable: true });
}
