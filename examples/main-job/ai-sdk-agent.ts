/** The same agent on the AI SDK: guarded tools, and `approvalFor` so that a question becomes the SDK's own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Guard } from '@countersign/core';
import { approvalFor, approvalOf, guardTools } from '@countersign/vercel-ai';
import { generateText, isStepCount, type ModelMessage, tool } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { z } from 'zod';
import { ORDER, type ShopAgent, type Stop, shopTools } from './shop.ts';

export function aiSdkAgent(guard: Guard, folder: string): ShopAgent {
  const { price, discount, order } = shopTools(guard.agent, join(folder, 'orders.txt'));
  const inputSchema = z.object({ item: z.string() });
  const shop = {
    price: tool({ inputSchema, execute: price }),
    discount: tool({ inputSchema, execute: discount }),
    order: tool({ inputSchema: z.object({ item: z.string(), pieces: z.number() }), execute: order }),
  };
  const options = { server: 'shop', session: 'order-by-ai-sdk' };
  const history = join(folder, 'messages.json');

  async function run(model: MockLanguageModelV4, messages: ModelMessage[]): Promise<Stop> {
    const tools = guardTools(guard, shop, options);
    const toolApproval = approvalFor(guard);
    const { content, responseMessages } = await generateText({ model, tools, toolApproval, messages, stopWhen: isStepCount(3) });
    const after = [...messages, ...responseMessages];
    const stop = { agent: guard.agent, told: toldIn(after) };
    const asked = content.find((part) => part.type === 'tool-approval-request' && part.isAutomatic !== true);
    if (asked?.type !== 'tool-approval-request') return stop;
    // What a client sends when its user clicks "approve". It decides nothing.
    after.push({ role: 'tool', content: [{ type: 'tool-approval-response', approvalId: asked.approvalId, approved: true }] });
    writeFileSync(history, JSON.stringify(after));
    const row = await approvalOf(guard, asked.toolCall, options);
    return { ...stop, ...(row !== undefined && { approvalId: row.id }) };
  }
  return {
    start: () => run(scriptedModel(true), [{ role: 'user', content: 'order tea' }]),
    resume: () => run(scriptedModel(false), JSON.parse(readFileSync(history, 'utf8')) as ModelMessage[]),
  };
}

function toldIn(messages: readonly ModelMessage[]): readonly string[] {
  const parts = messages.flatMap((message) => (message.role === 'tool' ? message.content : []));
  return parts.flatMap((part) => {
    if (part.type !== 'tool-result') return [];
    if (part.output.type === 'execution-denied') return [part.output.reason ?? ''];
    return part.output.type === 'text' || part.output.type === 'error-text' ? [part.output.value] : [];
  });
}

function scriptedModel(asks: boolean): MockLanguageModelV4 {
  const one = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const usage = { inputTokens: one, outputTokens: { total: 1, text: 1, reasoning: 0 } };
  const call = (toolCallId: string, toolName: string, input: object) => {
    return { type: 'tool-call' as const, toolCallId, toolName, input: JSON.stringify(input) };
  };
  const item = { item: ORDER.item };
  const content = [call('call-1', 'price', item), call('call-2', 'discount', item), call('call-3', 'order', ORDER)];
  const ask = { content, finishReason: { unified: 'tool-calls' as const, raw: 'tool-calls' }, usage, warnings: [] };
  const text = [{ type: 'text' as const, text: 'done' }];
  const done = { content: text, finishReason: { unified: 'stop' as const, raw: 'stop' }, usage, warnings: [] };
  return new MockLanguageModelV4({ doGenerate: asks ? [ask, done] : [done] });
}
