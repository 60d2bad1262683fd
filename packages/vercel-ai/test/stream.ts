/** The scripted model of `chat.ts` as a stream, and everything a reader of the stream gets. */
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test';
import type { AskedCall } from './chat.ts';

/** Asks for `steps[0]`, then `steps[1]` ..., then says `done`. For generate and stream alike. */
export function scripted(...steps: readonly (readonly AskedCall[])[]): MockLanguageModelV4 {
  const none = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const usage = { inputTokens: none, outputTokens: { total: 1, text: 1, reasoning: 0 } };
  const contents = [...steps, []].map((calls, step) =>
    calls.map(({ toolName, input, toolCallId }, i) => ({
      type: 'tool-call' as const,
      toolCallId: toolCallId ?? `s${step + 1}c${i + 1}`,
      toolName,
      input: typeof input === 'string' ? input : JSON.stringify(input),
    })),
  );
  const reason = (step: number) => {
    const unified = (contents[step] ?? []).length > 0 ? ('tool-calls' as const) : ('stop' as const);
    return { unified, raw: unified };
  };
  let step = -1;
  return new MockLanguageModelV4({
    doGenerate: async () => {
      step++;
      const calls = contents[step] ?? [];
      const content = calls.length > 0 ? calls : [{ type: 'text' as const, text: 'done' }];
      return { content, finishReason: reason(step), usage, warnings: [] };
    },
    doStream: async () => {
      step++;
      const calls = contents[step] ?? [];
      const text = [
        { type: 'text-start' as const, id: 't' },
        { type: 'text-delta' as const, id: 't', delta: 'done' },
        { type: 'text-end' as const, id: 't' },
      ];
      return {
        stream: convertArrayToReadableStream([
          { type: 'stream-start' as const, warnings: [] },
          ...calls.flatMap((call) => [
            { type: 'tool-input-start' as const, id: call.toolCallId, toolName: call.toolName },
            { type: 'tool-input-delta' as const, id: call.toolCallId, delta: call.input },
            { type: 'tool-input-end' as const, id: call.toolCallId },
            call,
          ]),
          ...(calls.length > 0 ? [] : text),
          { type: 'finish' as const, finishReason: reason(step), usage },
        ]),
      };
    },
  });
}

/** Everything that a reader of the stream gets. */
export async function partsOf<Part>(stream: AsyncIterable<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

/** The very words of a part, errors and all: what a search for a secret has to look at. */
export function wordsOf(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner instanceof Error ? { ...inner, name: inner.name, message: inner.message, stack: inner.stack, cause: inner.cause } : inner,
  );
}
