/** A turn of the AI SDK: a scripted model asks for calls in one message, they run, it reads the results and is done. */
import type { Guard } from '@countersign/core';
import { approvalFor, guardTools } from '@countersign/vercel-ai';
import { generateText, isStepCount, type LanguageModel, tool } from 'ai';
import { type Agent, ARGUMENTS } from './agents-kind.ts';
import { ARGS, RESULT, TOOL } from './calls.ts';

/** @param asks - also asks `approvalFor` before each call, as an agent whose calls may need a person does. */
export function aiSdkAgent(calls: number, guard: Guard | undefined, asks: boolean): Agent {
  let count = 0;
  const report = tool({
    description: 'reads a report',
    inputSchema: ARGUMENTS,
    execute: async () => {
      count++;
      return JSON.stringify(RESULT);
    },
  });
  const model = scriptedModel(calls);
  const options = { server: TOOL.server };
  const bare = { [TOOL.name]: report };
  const tools = guard === undefined ? bare : guardTools(guard, bare, options);
  const toolApproval = guard === undefined || !asks ? {} : { toolApproval: approvalFor(guard) };
  return { ran: () => count, turn: () => generateText({ model, tools, ...toolApproval, prompt: 'go', stopWhen: isStepCount(3) }) };
}

type Model = Extract<LanguageModel, { readonly specificationVersion: 'v4' }>;
type Generated = Awaited<ReturnType<Model['doGenerate']>>;

let ids = 0;

/** Nothing but the script: what a model costs would only make the guard look cheaper. */
function scriptedModel(calls: number): Model {
  const input = JSON.stringify(ARGS);
  const call = () => ({ type: 'tool-call' as const, toolCallId: `call-${++ids}`, toolName: TOOL.name, input });
  return {
    specificationVersion: 'v4',
    provider: 'bench',
    modelId: 'scripted',
    supportedUrls: {},
    async doGenerate({ prompt }) {
      return prompt.at(-1)?.role === 'tool'
        ? result([{ type: 'text', text: 'done' }], 'stop')
        : result(Array.from({ length: calls }, call), 'tool-calls');
    },
    doStream() {
      throw new Error('the benches do not stream');
    },
  };
}

function result(content: Generated['content'], reason: 'stop' | 'tool-calls'): Generated {
  const inputTokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const outputTokens = { total: 1, text: 1, reasoning: 0 };
  return { content, finishReason: { unified: reason, raw: reason }, usage: { inputTokens, outputTokens }, warnings: [] };
}
