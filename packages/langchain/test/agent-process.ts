/**
 * One process of an agent, for tests that let it die: `node agent-process.ts <job as JSON>`. Prints its result as one line of JSON.
 *
 *     ask      the model asks for a payment; the run stops at the approval
 *     hang     the same, and then the process stays until it is killed
 *     approve  a human answers through the guard; nothing is resumed
 *     resume   a new model continues the thread with the given resume value
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createGuard } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { Command } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';
import { createAgent, fakeModel, tool } from 'langchain';
import { z } from 'zod';
import { countersignMiddleware } from '../src/index.ts';
import { asks, done, policy, toolMessages } from './agent.ts';

export interface Job {
  readonly directory: string;
  readonly step: 'ask' | 'hang' | 'approve' | 'resume';
  readonly thread: string;
  readonly approval?: string;
  readonly resume?: unknown;
}

export interface JobResult {
  /** Approvals the run waits for. */
  readonly waiting: readonly string[];
  /** What the tools told the model. */
  readonly messages: readonly string[];
}

async function main(job: Job): Promise<JobResult> {
  const store = openStore({ path: join(job.directory, 'ledger.db'), origin: 'shop.test/ledger', signer: 'none' });
  const guard = createGuard({ agent: 'shopper', policy, store });
  const config = { configurable: { thread_id: job.thread } };
  const pay = tool(
    ({ amount }) => {
      appendFileSync(join(job.directory, 'paid'), `${amount}\n`);
      return 'paid';
    },
    { name: 'pay', description: 'pays', schema: z.object({ amount: z.number() }) },
  );
  const model = fakeModel();
  if (job.step === 'ask' || job.step === 'hang') model.respond(asks({ name: 'pay', args: { amount: 500 }, id: 'c1' }));
  model.respond(done());
  const checkpointer = SqliteSaver.fromConnString(join(job.directory, 'checkpoints.db'));
  const agent = createAgent({ model, tools: [pay], middleware: [countersignMiddleware(guard)], checkpointer });

  const result = await step();
  if (job.step === 'hang') {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return new Promise(() => setInterval(() => undefined, 60_000));
  }
  await guard.close();
  await store.close();
  return result;

  async function step(): Promise<JobResult> {
    if (job.step === 'approve') {
      await guard.approvals.resolve(job.approval ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
      return { waiting: [], messages: [] };
    }
    const input = job.step === 'resume' ? new Command({ resume: job.resume }) : { messages: 'go' };
    const run = await agent.invoke(input, config);
    const { tasks } = await agent.graph.getState(config);
    return {
      waiting: tasks.flatMap((task) => task.interrupts.map(({ value }) => String((value as { approvalId: unknown }).approvalId))),
      messages: toolMessages(run).map(({ text }) => text),
    };
  }
}

const job = process.argv[2];
if (job !== undefined) process.stdout.write(`${JSON.stringify(await main(JSON.parse(job) as Job))}\n`);
