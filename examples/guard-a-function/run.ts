import { createGuard, rulePolicy } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';

// `signer: 'none'` proves integrity only; with readSigner(keyFile, origin) it also proves who wrote it.
const store = openStore({ path: '.countersign/ledger.db', origin: 'example.com/refunds', signer: 'none' });
const rules = [{ id: 'small', tools: ['refund'], when: 'args.amount <= 500', effect: 'allow' }] as const;
const guard = createGuard({ agent: 'billing-bot', policy: rulePolicy({ id: 'refunds', rules }), store });

const refund = guard.tool('refund', async (args: { amount: number }) => `refunded ${args.amount}`);
console.log(await refund({ amount: 120 }));
await refund({ amount: 9000 }).catch((error: Error) => console.log(error.message));

await guard.close();
await store.close();
