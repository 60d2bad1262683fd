/** Runs of LangChain that are aborted or run out of time, at every point of a call. */
import { StructuredTool, type ToolRunnableConfig } from '@langchain/core/tools';
import { createAgent, fakeModel, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, guardTool } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes } from './agent.ts';

const schema = z.object({});
const named = { name: 'read', description: 'r', schema };
/** Ends with what the signal was aborted with. */
const heeding = async (_args: unknown, { signal }: ToolRunnableConfig): Promise<never> =>
  new Promise((_done, fail) => {
    if (signal?.aborted === true) fail(signal.reason as Error);
    signal?.addEventListener('abort', () => fail(signal.reason as Error));
  });

describe('a run that is aborted', () => {
  it.each(['middleware', 'guardTool'] as const)('while the tool runs and heeds the signal: cancelled (%s)', async (way) => {
    const { guard, store } = bench();
    const giveUp = new AbortController();
    const slow = tool(async (args, config: ToolRunnableConfig) => {
      setImmediate(() => giveUp.abort());
      return heeding(args, config);
    }, named);
    const { signal } = giveUp;
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }))
      .respond(done());
    const run =
      way === 'guardTool'
        ? guardTool(guard, slow).invoke({}, { signal })
        : createAgent({ model, tools: [slow], middleware: [countersignMiddleware(guard)] }).invoke({ messages: 'go' }, { signal });
    await expect(run).rejects.toThrow(/abort/i);
    await settled(() => outcomes(store).length > 0 || guard.openCalls().length === 0);
    await guard.close();
    expect(outcomes(store)).toEqual(['cancelled']);
    expect(decisions(store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK']);
  });

  it('by a time limit of the run', async () => {
    const { guard, store } = bench();
    await expect(guardTool(guard, tool(heeding, named)).invoke({}, { timeout: 500 })).rejects.toThrow(/timeout|abort/i);
    await settled(() => guard.openCalls().length === 0);
    await guard.close();
    expect(outcomes(store)).toEqual(['cancelled']);
  });

  it('while it waits for an approval: refused, and nothing ran', async () => {
    const giveUp = new AbortController();
    const { guard, store } = bench({ channels: [{ name: 'abort', ask: async () => giveUp.abort() }] });
    const ran: unknown[] = [];
    const pay = guardTool(guard, notingTool('pay', ran), { approval: 'wait' });
    await expect(pay.invoke({ amount: 1 }, { signal: giveUp.signal })).rejects.toThrow(/abort|CALL_CANCELLED/i);
    await settled(() => decisions(store).length === 2);
    expect(decisions(store).at(-1)).toBe('pay deny CALL_CANCELLED');
    expect(ran).toEqual([]);
  });

  it('before the tool was asked for: nothing ran', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const read = guardTool(guard, notingTool('read', ran));
    await expect(read.invoke({ amount: 1 }, { signal: AbortSignal.abort() })).rejects.toThrow(/abort|CALL_CANCELLED/i);
    await guard.close();
    expect(ran).toEqual([]);
    expect(decisions(store).filter((text) => text.includes('allow'))).toEqual([]);
  });

  it('while a tool of tool() runs that ignores the signal: LangChain gives up on it, and so the call is cancelled', async () => {
    const { guard, store } = bench();
    const giveUp = new AbortController();
    const { work, finish } = stubbornWork(giveUp);
    await expect(guardTool(guard, tool(work, named)).invoke({}, { signal: giveUp.signal })).rejects.toThrow(/abort/i);
    await settled(() => guard.openCalls().length === 0);
    finish();
    await guard.close();
    expect(outcomes(store)).toEqual(['cancelled']);
  });

  it('while a tool of a class of its own does: it is open until it ends, and what it ended with is recorded', async () => {
    const { guard, store } = bench();
    const giveUp = new AbortController();
    const { work, finish } = stubbornWork(giveUp);
    class Stubborn extends StructuredTool {
      override name = 'read';
      override description = 'r';
      override schema = schema;
      protected override _call(): Promise<string> {
        return work();
      }
    }
    const running = guardTool(guard, new Stubborn()).invoke({}, { signal: giveUp.signal });
    await settled(() => giveUp.signal.aborted);
    expect(guard.openCalls().map((open) => open.tool.name)).toEqual(['read']);
    expect(outcomes(store)).toEqual([]);
    finish();
    await expect(running).resolves.toBe('did it all the same');
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('after the call ended: nothing changes', async () => {
    const { guard, store } = bench();
    const giveUp = new AbortController();
    await guardTool(guard, notingTool('read', [])).invoke({ amount: 1 }, { signal: giveUp.signal });
    giveUp.abort();
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });
});

/** Aborts, and goes on until it is told to finish. */
function stubbornWork(giveUp: AbortController): { readonly work: () => Promise<string>; readonly finish: () => void } {
  const ended = Promise.withResolvers<string>();
  const work = async (): Promise<string> => {
    giveUp.abort();
    return ended.promise;
  };
  return { work, finish: () => ended.resolve('did it all the same') };
}

async function settled(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((next) => setImmediate(next));
}
