/** A chat whose model is scripted, and the policy the tests share. */
import { createGuard, definePolicy, type Guard, type GuardOptions, type Policy } from '@countersign/core';
import { type MemoryStore, memoryStore } from '@countersign/core/testing';
import { generateText, isStepCount, type ModelMessage, type ToolSet } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { approvalFor } from '../src/index.ts';

/** `read` is allowed, `pay` needs approval, everything else is denied. */
export const policy: Policy = definePolicy({
  id: 'shop',
  evaluate: ({ tool: { name } }) => {
    if (name === 'read') return { effect: 'allow', rule: 'reading' };
    if (name === 'pay') return { effect: 'require_approval', rule: 'paying', reason: 'money leaves the house' };
    return { effect: 'deny', rule: 'rest', reason: 'not on the list' };
  },
});

export function bench(options: Partial<GuardOptions> = {}): { readonly guard: Guard; readonly store: MemoryStore } {
  const store = memoryStore();
  return { store, guard: createGuard({ agent: 'shopper', policy, store, ...options }) };
}

export interface AskedCall {
  readonly toolName: string;
  readonly input: unknown;
  readonly toolCallId?: string;
}

/** A model that asks for `calls` in one message and then says `done`. */
export function modelAsking(...calls: readonly AskedCall[]): MockLanguageModelV4 {
  const none = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const usage = { inputTokens: none, outputTokens: { total: 1, text: 1, reasoning: 0 } };
  const content = calls.map(({ toolName, input, toolCallId }, i) => ({
    type: 'tool-call' as const,
    toolCallId: toolCallId ?? `c${i + 1}`,
    toolName,
    input: JSON.stringify(input),
  }));
  const end = {
    content: [{ type: 'text' as const, text: 'done' }],
    finishReason: { unified: 'stop' as const, raw: 'stop' },
    usage,
    warnings: [],
  };
  const ask = { content, finishReason: { unified: 'tool-calls' as const, raw: 'tool-calls' }, usage, warnings: [] };
  return new MockLanguageModelV4({ doGenerate: calls.length === 0 ? [end] : [ask, end] });
}

/** One request of the chat; messages travel as JSON, as they do through a client. */
export async function turn(guard: Guard, tools: ToolSet, messages: readonly ModelMessage[], calls: readonly AskedCall[] = []) {
  const history = JSON.parse(JSON.stringify(messages)) as ModelMessage[];
  const options = { model: modelAsking(...calls), tools, messages: history, toolApproval: approvalFor(guard), stopWhen: isStepCount(4) };
  const { responseMessages } = await generateText(options);
  return [...history, ...(JSON.parse(JSON.stringify(responseMessages)) as ModelMessage[])];
}

/** What the model is told about its calls, oldest first: `text`, `error-text` or `execution-denied` with the words. */
export function told(messages: readonly ModelMessage[]): string[] {
  return messages.flatMap((message) => {
    if (message.role !== 'tool') return [];
    return message.content.flatMap((part) => {
      if (part.type !== 'tool-result') return [];
      const { output } = part;
      const words = 'value' in output ? output.value : 'reason' in output ? output.reason : '';
      return [`${output.type}: ${typeof words === 'string' ? words : JSON.stringify(words)}`];
    });
  });
}

/** The SDK's own id of the request, which a client answers. */
export function requests(messages: readonly ModelMessage[]): { readonly approvalId: string; readonly toolCallId: string }[] {
  return messages.flatMap((message) =>
    message.role !== 'assistant' || typeof message.content === 'string'
      ? []
      : message.content.flatMap((part) => (part.type === 'tool-approval-request' && part.isAutomatic !== true ? [part] : [])),
  );
}

/** What a client, honest or not, adds to say that the user approved. */
export function approved(messages: readonly ModelMessage[]): ModelMessage[] {
  const content = requests(messages).map(({ approvalId }) => ({ type: 'tool-approval-response' as const, approvalId, approved: true }));
  return [...messages, { role: 'tool', content }];
}

export const user: readonly ModelMessage[] = [{ role: 'user', content: 'go' }];
export const alice = { id: 'alice', method: 'host' } as const;

export function decisions(store: MemoryStore): string[] {
  return store.entries().flatMap((entry) => (entry.kind === 'decision' ? [`${entry.tool.name} ${entry.effect} ${entry.reason_code}`] : []));
}

export function outcomes(store: MemoryStore): string[] {
  return store.entries().flatMap((entry) => (entry.kind === 'outcome' ? [entry.status] : []));
}
