/** A model that answers with given parts, wrapped in the middleware; and what it was asked. */
import type { Guard } from '@countersign/core';
import { type LanguageModelMiddleware, wrapLanguageModel } from 'ai';
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test';
import { countersignMiddleware, type ModelMiddlewareOptions } from '../src/index.ts';

type Model = ReturnType<typeof wrapLanguageModel>;
export type CallParams = Parameters<Model['doGenerate']>[0];
export type Result = Awaited<ReturnType<Model['doGenerate']>>;
export type Content = Result['content'][number];
export type Part = Awaited<ReturnType<Model['doStream']>>['stream'] extends ReadableStream<infer P> ? P : never;

const COUNT = { total: 7, noCache: 5, cacheRead: 2, cacheWrite: 0 };
export const USAGE: Result['usage'] = { inputTokens: COUNT, outputTokens: { total: 3, text: 2, reasoning: 1 } };
export const CALLED: Result['finishReason'] = { unified: 'tool-calls', raw: 'tool_use' };

export function call(
  toolCallId: string,
  toolName: string,
  input: unknown = {},
  more: object = {},
): Extract<Content, { type: 'tool-call' }> {
  return { type: 'tool-call', toolCallId, toolName, input: typeof input === 'string' ? input : JSON.stringify(input), ...more };
}

/** The parts with which a provider streams one call. */
export function streamed(part: ReturnType<typeof call>): Part[] {
  const { toolCallId: id, toolName, input, providerExecuted } = part;
  return [
    { type: 'tool-input-start', id, toolName, ...(providerExecuted !== undefined && { providerExecuted }) },
    { type: 'tool-input-delta', id, delta: input.slice(0, 3) },
    { type: 'tool-input-delta', id, delta: input.slice(3) },
    { type: 'tool-input-end', id },
    part,
  ];
}

export function finish(finishReason = CALLED): Part {
  return { type: 'finish', finishReason, usage: USAGE, providerMetadata: { acme: { cost: 1 } } };
}

export function fn(name: string): NonNullable<CallParams['tools']>[number] {
  return { type: 'function', name, inputSchema: { type: 'object' } };
}

export function providerTool(name: string): NonNullable<CallParams['tools']>[number] {
  return { type: 'provider', id: `acme.${name}`, name, args: {} };
}

export const PROMPT: CallParams['prompt'] = [{ role: 'user', content: [{ type: 'text', text: 'go' }] }];

export function wrapped(
  guard: Guard,
  options: ModelMiddlewareOptions = {},
  answer: { readonly result?: Partial<Result>; readonly parts?: readonly Part[]; readonly stream?: ReadableStream<Part> } = {},
): { readonly model: Model; readonly asked: () => CallParams } {
  const { result, parts = [], stream } = answer;
  const inner = new MockLanguageModelV4({
    doGenerate: { content: [], finishReason: CALLED, usage: USAGE, warnings: [], ...result },
    doStream: async () => ({ stream: stream ?? convertArrayToReadableStream([...parts]), response: { headers: { 'x-id': '7' } } }),
  });
  const middleware: LanguageModelMiddleware = countersignMiddleware(guard, options);
  return {
    model: wrapLanguageModel({ model: inner, middleware }),
    asked() {
      const last = [...inner.doGenerateCalls, ...inner.doStreamCalls].at(-1);
      if (last === undefined) throw new Error('the model was not asked');
      return last;
    },
  };
}

export async function partsOf(stream: ReadableStream<Part>): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
