/** Second hostile review of the LangChain adapter. */
import { StructuredTool } from '@langchain/core/tools';
import { createAgent, FakeToolCallingModel } from 'langchain';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, guardTool } from '../../src/index.ts';
import { bench } from '../agent.ts';

const schema = z.object({ amount: z.coerce.number().transform((amount) => Math.min(amount, 10)) });

/** A tool that does its work in `invoke`, as wrappers around other runnables do. */
function remote(name: string, ran: unknown[]): StructuredTool {
  class Remote extends StructuredTool {
    override name = name;
    override description = name;
    override schema = schema;
    override async invoke(input: unknown): Promise<never> {
      ran.push(input);
      return 'ran' as never;
    }
    override async _call(): Promise<string> {
      return 'never used';
    }
  }
  const tool: unknown = new Remote();
  return tool as StructuredTool;
}

it('guardTool: a denied tool that overrides `invoke` does not run', async () => {
  const { guard } = bench();
  const ran: unknown[] = [];
  try {
    const guarded = guardTool(guard, remote('wipe', ran));
    await guarded.invoke({ amount: 1 });
  } catch {
    // Refusing to guard it, or the call, are both fine.
  }
  expect(ran).toEqual([]);
});

it('middleware: what a tool that overrides `invoke` gets is what was decided', async () => {
  const { guard } = bench();
  const ran: unknown[] = [];
  const model = new FakeToolCallingModel({ toolCalls: [[{ name: 'read', args: { amount: '5000' }, id: 'c1' }], []] });
  const agent = createAgent({ model, tools: [remote('read', ran)], middleware: [countersignMiddleware(guard)] });
  await agent.invoke({ messages: [{ role: 'user', content: 'go' }] });
  expect(JSON.stringify(ran)).not.toContain('5000');
});
