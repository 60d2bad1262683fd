/** Run by `durability.ts` under strace: reopens a ledger, appends decisions one by one, and says how many were acknowledged. */
import { decideUnit } from './calls.ts';
import { benchStore } from './fixtures.ts';

const [path = '', batches = '0'] = process.argv.slice(2);
const store = benchStore('none', path);
let acknowledged = 0;
for (let i = 0; i < Number(batches); i++) {
  const committed = await store.commit(decideUnit());
  if (committed.kind === 'decided') acknowledged++;
}
await store.close();
process.stdout.write(String(acknowledged));
