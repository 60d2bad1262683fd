/** The other process of `approvals.ts`: answers approvals, answers pings, or commits notes without pause. */
import { createGuard, denyAll } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { ORIGIN } from './fixtures.ts';

type Order = { readonly approve: string } | { readonly ping: true } | { readonly noiseMs: number };

const store = openStore({ path: process.argv[2] ?? '', origin: ORIGIN, signer: 'none', create: false });
const guard = createGuard({ agent: 'approver', policy: denyAll(), store });

process.on('message', (order: Order) => void obey(order));
process.on('disconnect', () => void store.close());
process.send?.('ready');

async function obey(order: Order): Promise<void> {
  if ('approve' in order) {
    const startedAt = Number(process.hrtime.bigint()) / 1e6;
    await guard.approvals.resolve(order.approve, { decision: 'approve' }, { id: 'bench', method: 'host' });
    process.send?.({ startedAt });
    return;
  }
  if ('noiseMs' in order) {
    const end = performance.now() + order.noiseMs;
    while (performance.now() < end) await store.commit({ kind: 'record', body: { kind: 'note', topic: 'bench', data: {} } });
  }
  process.send?.('done');
}
