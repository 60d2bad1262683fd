/** Where nothing is denied the middleware is not there: whatever a provider streams comes through, part by part. */
import { allowAll, createGuard, definePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ModelMiddlewareOptions } from '../src/index.ts';
import { type Content, type Part, PROMPT, partsOf, wrapped } from './model.ts';

const id = fc.constantFrom('a', 'b', 'c');
const toolName = fc.constantFrom('read', 'erase', 'constructor');
const metadata = fc.constantFrom({}, { providerMetadata: { acme: { n: 1 } } });
const input = fc.constantFrom('{}', '', '{"n":1}', 'not json', '{"a":');
const flags = fc.constantFrom({}, { providerExecuted: true }, { dynamic: true }, { providerExecuted: false });

const toolCall = fc.tuple(id, toolName, input, flags, metadata).map(([toolCallId, name, text, flag, more]) => ({
  type: 'tool-call' as const,
  toolCallId,
  toolName: name,
  input: text,
  ...flag,
  ...more,
}));
const toolResult = fc.tuple(id, toolName, fc.boolean()).map(([toolCallId, name, preliminary]) => ({
  type: 'tool-result' as const,
  toolCallId,
  toolName: name,
  result: 'r',
  ...(preliminary && { preliminary }),
}));
const shared: readonly fc.Arbitrary<Content>[] = [
  toolCall,
  toolResult,
  id.map((toolCallId) => ({ type: 'tool-approval-request' as const, approvalId: 'p', toolCallId })),
  id.map((source) => ({ type: 'source' as const, sourceType: 'url' as const, id: source, url: 'https://a.example' })),
];
const anyPart: fc.Arbitrary<Part> = fc.oneof(
  ...(shared as unknown as readonly fc.Arbitrary<Part>[]),
  fc.tuple(id, toolName, flags).map(([at, name, flag]) => ({ type: 'tool-input-start' as const, id: at, toolName: name, ...flag })),
  fc.tuple(id, input).map(([at, delta]) => ({ type: 'tool-input-delta' as const, id: at, delta })),
  id.map((at) => ({ type: 'tool-input-end' as const, id: at })),
  ...(['text', 'reasoning'] as const).flatMap((kind) => [
    fc.tuple(id, metadata).map(([at, more]) => ({ type: `${kind}-start` as const, id: at, ...more })),
    fc.tuple(id, metadata).map(([at, more]) => ({ type: `${kind}-delta` as const, id: at, delta: 'x', ...more })),
    id.map((at) => ({ type: `${kind}-end` as const, id: at })),
  ]),
  fc.constant<Part>({ type: 'stream-start', warnings: [] }),
  fc.constant({ type: 'response-metadata' as const, id: 'r', modelId: 'm' }),
  fc.constant({ type: 'ping' as const }),
  fc.constant({ type: 'raw' as const, rawValue: { a: 1 } }),
  fc.constant({ type: 'error' as const, error: 'overloaded' }),
  fc.constant({
    type: 'finish' as const,
    usage: { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } },
    finishReason: { unified: 'tool-calls' as const, raw: 'x' },
  }),
);
const anyOptions: fc.Arbitrary<ModelMiddlewareOptions> = fc.record({
  deniedCalls: fc.constantFrom('pass', 'filter'),
  providerTools: fc.constantFrom('strip', 'record'),
});

const free = () => createGuard({ agent: 'a', policy: allowAll(), store: memoryStore() });

it('a stream: the very parts, in their order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyPart, { maxLength: 20 }), anyOptions, async (parts, options) => {
      const { stream } = await wrapped(free(), options, { parts }).model.doStream({ prompt: PROMPT });
      const got = await partsOf(stream);
      expect(got).toHaveLength(parts.length);
      got.forEach((part, index) => expect(part).toBe(parts[index]));
    }),
    { numRuns: 300 },
  );
});

it('a result: the very same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...shared), { maxLength: 8 }), anyOptions, async (content, options) => {
      const { model } = wrapped(free(), options, { result: { content } });
      const result = await model.doGenerate({ prompt: PROMPT });
      expect(result.content).toBe(content);
    }),
    { numRuns: 100 },
  );
});

it('whatever is denied, no part of it is seen and everything else is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyPart, { maxLength: 20 }), async (parts) => {
      const policy = definePolicy({ id: 'p', evaluate: ({ tool: { name } }) => ({ effect: name === 'erase' ? 'deny' : 'allow' }) });
      const guard = createGuard({ agent: 'a', policy, store: memoryStore() });
      const { stream } = await wrapped(guard, { deniedCalls: 'filter' }, { parts }).model.doStream({ prompt: PROMPT });
      const got = await partsOf(stream);
      const isJson = (text: string) => text.trim() === '' || text === '{}' || text === '{"n":1}';
      const isDenied = (part: Part) =>
        part.type === 'tool-call' && part.toolName === 'erase' && part.providerExecuted !== true && isJson(part.input);
      expect(got.some(isDenied)).toBe(false);
      const kept = (part: Part) => !isDenied(part) && !part.type.startsWith('tool-input-') && part.type !== 'finish';
      const texts = got.filter((part) => !('id' in part && part.id?.startsWith('refused-') === true));
      expect(texts.filter(kept)).toEqual(parts.filter(kept));
      expect(got.length - texts.length).toBe(3 * parts.filter(isDenied).length);
    }),
    { numRuns: 300 },
  );
});
