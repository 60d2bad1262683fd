/** An agent whose model is scripted, and the policy and tools the tests share. */
import { createGuard, definePolicy, type Guard, type GuardOptions, type Policy } from '@countersign/core';
import { type MemoryStore, memoryStore } from '@countersign/core/testing';
import type { BaseMessage } from '@langchain/core/messages';
import { AIMessage, ToolMessage, tool } from 'langchain';
import { z } from 'zod';

/** `read` is allowed, `pay` needs approval, everything else is denied. */
export const policy: Policy = definePolicy({
  id: 'shop',
  evaluate: ({ tool: { name } }) => {
    if (name === 'read') return { effect: 'allow', rule: 'reading' };
    if (name === 'pay') return { effect: 'require_approval', rule: 'paying', reason: 'money leaves the house' };
    return { effect: 'deny', rule: 'rest', reason: 'not on the list' };
  },
});

export interface Bench {
  readonly guard: Guard;
  readonly store: MemoryStore;
  readonly errors: unknown[];
}

export function bench(options: Partial<GuardOptions> = {}): Bench {
  const store = memoryStore();
  const errors: unknown[] = [];
  return { store, errors, guard: createGuard({ agent: 'shopper', policy, store, onError: (error) => errors.push(error), ...options }) };
}

/** A tool that notes the arguments it really ran with. */
export function notingTool(name: string, ran: unknown[]) {
  return tool(
    (args) => {
      ran.push(args);
      return `${name} done`;
    },
    { name, description: name, schema: z.object({ amount: z.coerce.number().default(1) }) },
  );
}

export function toolMessages(result: { readonly messages: readonly BaseMessage[] }): ToolMessage[] {
  return result.messages.filter((message) => ToolMessage.isInstance(message));
}

export function done(): AIMessage {
  return new AIMessage('done');
}

/** What the model asks for, as one message. */
export function asks(...calls: { readonly name: string; readonly args: Record<string, unknown>; readonly id?: string }[]): AIMessage {
  return new AIMessage({ content: '', tool_calls: calls.map((call) => ({ ...call, type: 'tool_call' as const })) });
}

export function decisions(store: MemoryStore): string[] {
  return store.entries().flatMap((entry) => (entry.kind === 'decision' ? [`${entry.tool.name} ${entry.effect} ${entry.reason_code}`] : []));
}

export function outcomes(store: MemoryStore): string[] {
  return store.entries().flatMap((entry) => (entry.kind === 'outcome' ? [entry.status] : []));
}
