/**
 * One request of a chat in a process of its own: `node chat-process.ts <job as JSON>`. The client's history is a file.
 *
 *     ask      the model asks for a payment; the response holds an approval request
 *     approve  the host's route: a human answers through the guard
 *     resume   the client sends its history with "approved"
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGuard } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { type ModelMessage, tool } from 'ai';
import { z } from 'zod';
import { approvalOf, guardTools } from '../src/index.ts';
import { alice, approved, policy, told, turn, user } from './chat.ts';

export interface Job {
  readonly directory: string;
  readonly step: 'ask' | 'approve' | 'resume';
}

const options = { session: 'chat-1' };

async function main({ directory, step }: Job): Promise<readonly string[]> {
  const store = openStore({ path: join(directory, 'ledger.db'), origin: 'shop.test/ledger', signer: 'none' });
  const guard = createGuard({ agent: 'shopper', policy, store });
  const history = join(directory, 'history.json');
  const pay = tool({
    inputSchema: z.object({ amount: z.number() }),
    execute: ({ amount }) => {
      appendFileSync(join(directory, 'paid'), `${amount}\n`);
      return 'paid';
    },
  });
  const tools = guardTools(guard, { pay }, options);
  const result = await run();
  await guard.close();
  await store.close();
  return result;

  async function run(): Promise<readonly string[]> {
    if (step === 'approve') {
      const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c1', input: { amount: 500 } }, options);
      await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
      return [];
    }
    if (step === 'ask') {
      const messages = await turn(guard, tools, user, [{ toolName: 'pay', input: { amount: 500 } }]);
      writeFileSync(history, JSON.stringify(messages));
      return told(messages);
    }
    if (!existsSync(history)) throw new Error('nothing was asked');
    return told(await turn(guard, tools, approved(JSON.parse(readFileSync(history, 'utf8')) as ModelMessage[])));
  }
}

const job = process.argv[2];
if (job !== undefined) process.stdout.write(`${JSON.stringify(await main(JSON.parse(job) as Job))}\n`);
