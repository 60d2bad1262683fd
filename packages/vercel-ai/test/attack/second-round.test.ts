/** Second hostile review of the AI SDK adapter. */
import { generateText, isStepCount, type ToolSet } from 'ai';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { guardTools } from '../../src/index.ts';
import { bench, modelAsking } from '../chat.ts';

it('a tool that is a function with an `execute` is guarded like any other', async () => {
  const { guard } = bench();
  const ran: unknown[] = [];
  const wipe = Object.assign(() => {}, {
    description: 'wipe',
    inputSchema: z.object({}),
    execute: (input: unknown) => void ran.push(input),
  });
  const tools = guardTools(guard, { wipe });
  await generateText({
    model: modelAsking({ toolName: 'wipe', input: {} }),
    tools: tools as unknown as ToolSet,
    prompt: 'go',
    stopWhen: isStepCount(3),
  });
  expect(ran).toEqual([]);
});
