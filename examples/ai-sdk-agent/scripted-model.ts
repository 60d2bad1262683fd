/** Stands for a real model: asks for the given tools after the user spoke, and is done after it has read a result. */
import { MockLanguageModelV4 } from 'ai/test';

interface ScriptedModel extends MockLanguageModelV4 {
  /** Names of the tools it was offered last. */
  offered(): readonly string[];
}

export function scriptedModel(calls: readonly { readonly toolName: string; readonly input: unknown }[]): ScriptedModel {
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 },
  };
  const model = new MockLanguageModelV4({
    doGenerate: async ({ prompt }) => {
      const isAsked = prompt.at(-1)?.role === 'user';
      const content = isAsked
        ? calls.map(({ toolName, input }, at) => ({
            type: 'tool-call' as const,
            toolCallId: `call-${at + 1}`,
            toolName,
            input: JSON.stringify(input),
          }))
        : [{ type: 'text' as const, text: 'done' }];
      const unified = isAsked ? ('tool-calls' as const) : ('stop' as const);
      return { content, finishReason: { unified, raw: unified }, usage, warnings: [] };
    },
  });
  return Object.assign(model, { offered: () => (model.doGenerateCalls.at(-1)?.tools ?? []).map(({ name }) => name) });
}
