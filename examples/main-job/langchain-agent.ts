/** A LangChain agent with a scripted model: one middleware, and a checkpointer because a person may have to answer. */
import { join } from 'node:path';
import type { Guard } from '@countersign/core';
import { type ApprovalInterrupt, countersignMiddleware } from '@countersign/langchain';
import { Command, INTERRUPT, isInterrupted } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';
import { createAgent, fakeModel, tool } from 'langchain';
import { z } from 'zod';
import { ORDER, type ShopAgent, type Stop, shopTools } from './shop.ts';

export function langchainAgent(guard: Guard, folder: string): ShopAgent {
  const { price, discount, order } = shopTools(guard.agent, join(folder, 'orders.txt'));
  const item = z.object({ item: z.string() });
  const tools = [
    tool(price, { name: 'price', description: 'what something costs', schema: item }),
    tool(discount, { name: 'discount', description: 'makes it cheaper', schema: item }),
    tool(order, { name: 'order', description: 'orders', schema: z.object({ item: z.string(), pieces: z.number() }) }),
  ];
  const asking = [
    { name: 'price', args: { item: ORDER.item }, id: 'call-1' },
    { name: 'discount', args: { item: ORDER.item }, id: 'call-2' },
    { name: 'order', args: { ...ORDER }, id: 'call-3' },
  ];

  async function run(model: ReturnType<typeof fakeModel>, input: { messages: string } | Command): Promise<Stop> {
    const checkpointer = SqliteSaver.fromConnString(join(folder, 'checkpoints.db'));
    const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard, { server: 'shop' })], checkpointer });
    const result = await agent.invoke(input, { configurable: { thread_id: 'order-by-langchain' } });
    const told = result.messages.filter(({ type }) => type === 'tool').map(({ text }) => text);
    const asked = isInterrupted<ApprovalInterrupt>(result) ? result[INTERRUPT][0]?.value : undefined;
    return { agent: guard.agent, told, ...(asked !== undefined && { approvalId: asked.approvalId }) };
  }
  return {
    start: () => run(fakeModel().respondWithTools(asking), { messages: 'order tea' }),
    resume: () => run(fakeModel().respondWithTools([]), new Command({ resume: true })),
  };
}
