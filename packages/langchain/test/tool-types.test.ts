/** A guarded tool has the type of the tool. Checked by `tsc -b` (tsconfig.test.json); vitest does not look at types. */
import { allowAll } from '@countersign/core';
import { RunnableLambda } from '@langchain/core/runnables';
import { type DynamicStructuredTool, StructuredTool } from '@langchain/core/tools';
import type { Command } from '@langchain/langgraph';
import { createAgent, fakeModel, type ToolMessage, tool } from 'langchain';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { guardTool, guardTools } from '../src/index.ts';
import { bench } from './agent.ts';

const add = tool(({ a, b }) => a + b, { name: 'add', description: 'adds', schema: z.object({ a: z.number(), b: z.number() }) });
const shout = tool((text) => text.toUpperCase(), { name: 'shout', description: 'shouts', schema: z.string() });
const picture = tool((): [string, { readonly bytes: number }] => ['a picture', { bytes: 3 }], {
  name: 'picture',
  description: 'draws',
  schema: z.object({}),
  responseFormat: 'content_and_artifact',
});

class Counter extends StructuredTool {
  override readonly name = 'counter';
  override readonly description = 'counts';
  override readonly schema = z.object({ by: z.number().default(1) });
  readonly unit = 'sheep';
  #count = 0;
  protected override async _call({ by }: { by: number }): Promise<number> {
    this.#count += by;
    return this.#count;
  }
}

const { guard } = bench({ policy: allowAll() });

describe('types', () => {
  it('of a tool made with tool() stay', async () => {
    const guarded = guardTool(guard, add);
    expectTypeOf(guarded).toEqualTypeOf(add);
    expectTypeOf(guarded.name).toEqualTypeOf<'add'>();
    expectTypeOf(guarded.invoke({ a: 1, b: 2 })).toEqualTypeOf<Promise<number>>();
    expectTypeOf(guarded.invoke({ name: 'add', args: { a: 1, b: 2 }, id: 'c1', type: 'tool_call' })).toEqualTypeOf<Promise<ToolMessage>>();
    // @ts-expect-error -- the arguments are still checked
    await expect(guarded.invoke({ a: 'one', b: 2 })).rejects.toThrow('did not match expected schema');
    expect(await guarded.invoke({ a: 1, b: 2 })).toBe(3);
  });

  it('of a tool with a string stay', async () => {
    const guarded = guardTool(guard, shout);
    expectTypeOf(guarded).toEqualTypeOf(shout);
    expect(await guarded.invoke('a')).toBe('A');
  });

  it('of a subclass stay, with what it has of its own', async () => {
    const guarded = guardTool(guard, new Counter());
    expectTypeOf(guarded).toEqualTypeOf<Counter>();
    expect([guarded.unit, await guarded.invoke({ by: 2 }), await guarded.invoke({})]).toEqual(['sheep', 2, 3]);
  });

  it('of content and artifact stay', async () => {
    const guarded = guardTool(guard, picture);
    expectTypeOf(guarded).toEqualTypeOf(picture);
    expect(await guarded.invoke({ name: 'picture', args: {}, id: 'c1', type: 'tool_call' })).toMatchObject({ artifact: { bytes: 3 } });
  });

  it('of a tool that returns a command stay', () => {
    const move = tool((): Command => ({}) as Command, { name: 'move', description: 'moves', schema: z.object({}) });
    expectTypeOf(guardTool(guard, move)).toEqualTypeOf(move);
    expectTypeOf(guardTool(guard, move).invoke({})).toEqualTypeOf<Promise<Command>>();
  });

  it('of a Runnable made a tool stay', () => {
    const runnable = RunnableLambda.from(({ a }: { a: number }) => a + 1).asTool({
      name: 'next',
      description: 'counts on',
      schema: z.object({ a: z.number() }),
    });
    expectTypeOf(guardTool(guard, runnable)).toEqualTypeOf(runnable);
    expectTypeOf(guardTool(guard, runnable).invoke({ a: 1 })).toEqualTypeOf<Promise<number>>();
  });

  it('of several tools are those of each, in order', () => {
    const counter = new Counter();
    const guarded = guardTools(guard, [add, shout, counter]);
    expectTypeOf(guarded).toEqualTypeOf<[typeof add, typeof shout, Counter]>();
    expectTypeOf(guarded[2].unit).toEqualTypeOf(counter.unit);
    // @ts-expect-error -- there are three
    expect(guarded[3]).toBeUndefined();
    const many: DynamicStructuredTool[] = [];
    expectTypeOf(guardTools(guard, many)).toEqualTypeOf<DynamicStructuredTool[]>();
    expectTypeOf(guardTools(guard, [add, shout] as const)).toEqualTypeOf<[typeof add, typeof shout]>();
    expectTypeOf(guardTools(guard, [])).toEqualTypeOf<[]>();
  });

  it('fit where an agent takes tools', () => {
    const agent = createAgent({ model: fakeModel(), tools: guardTools(guard, [add, shout, new Counter(), picture]) });
    expect(agent).toBeDefined();
  });

  it('of what is no tool do not fit', () => {
    // @ts-expect-error -- no name
    expect(() => guardTool(guard, {})).toThrow('takes a LangChain tool');
    // @ts-expect-error -- one tool is no array
    expect(() => guardTools(guard, add)).toThrow('takes an array');
    // @ts-expect-error -- a misspelt option
    expect(guardTool(guard, add, { sever: 'x' }).name).toBe('add');
  });
});
