/** The agent's side: one refund, under a call id that is the same however often this program is started. */
import { appendFileSync } from 'node:fs';
import { CallRefusedError } from '@countersign/core';
import { openGuard } from '@countersign/core/sqlite';

const { guard, store } = openGuard('countersign.yaml');
const call = { id: 'refund-of-order-1042', session: 'ticket-77', tool: { name: 'refund' }, args: { order: '1042', amount: 9000 } };

try {
  // Waits for the answers. Killed while it waits, it may be started again: the question stays open in the ledger.
  await guard.run(call, () => appendFileSync('bank.txt', 'refunded 9000 for order 1042\n'));
  console.log('refunded');
} catch (error) {
  if (!(error instanceof CallRefusedError)) throw error;
  console.log(`refused: ${error.refusal.decision.reasonCode}`);
} finally {
  await guard.close();
  await store.close();
}
