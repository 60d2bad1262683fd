/**
 * A process with both agents on one ledger: `node agents.ts <countersign.yaml> <folder> start|resume`. Prints where each stopped,
 * as one line of JSON. It ends while people think: what it needs to go on lies in the folder.
 */
import { openGuard } from '@countersign/core/sqlite';
import { aiSdkAgent } from './ai-sdk-agent.ts';
import { langchainAgent } from './langchain-agent.ts';
import type { Stop } from './shop.ts';

const [config = '', folder = '', step = 'start'] = process.argv.slice(2);
const stops: Stop[] = [];
for (const [agent, make] of [['langchain-agent', langchainAgent] as const, ['ai-sdk-agent', aiSdkAgent] as const]) {
  const { guard, store } = openGuard(config, { agent });
  const shopAgent = make(guard, folder);
  stops.push(await (step === 'resume' ? shopAgent.resume() : shopAgent.start()));
  await guard.close();
  await store.close();
}
process.stdout.write(`${JSON.stringify(stops)}\n`);
