/** Every way to run a guarded tool: decided once per run, run with what was decided, recorded; refused, it runs nothing. */
import { allowAll, CallRefusedError, definePolicy } from '@countersign/core';
import { RunnableLambda, RunnableSequence } from '@langchain/core/runnables';
import { ToolMessage, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { guardTool } from '../src/index.ts';
import { bench, decisions, notingTool, outcomes } from './agent.ts';

const DENY = definePolicy({ id: 'no', evaluate: () => ({ effect: 'deny', rule: 'no' }) });
const schema = z.object({ amount: z.coerce.number().default(1) });

async function all(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const chunks: unknown[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

type Guarded = ReturnType<typeof notingTool>;
const structured = (ran: unknown[]): Guarded => notingTool('a', ran);
const runnable = (ran: unknown[]): Guarded =>
  // Run like a tool, though LangChain types it otherwise.
  RunnableLambda.from((args: { amount: number }) => {
    ran.push(args);
    return 'a done';
  }).asTool({ name: 'a', schema: z.object({ amount: z.number() }) }) as unknown as Guarded;

const input = { amount: 2 };
/** How it is run, and how often the tool runs. */
const WAYS: Readonly<Record<string, readonly [run: (tool: Guarded) => Promise<unknown>, times: number]>> = {
  invoke: [(a) => a.invoke(input), 1],
  batch: [(a) => a.batch([input, input, input], { maxConcurrency: 2 }), 3],
  stream: [async (a) => all(await a.stream(input)), 1],
  transform: [
    (a) =>
      all(
        a.transform(
          (async function* () {
            yield input;
          })(),
          {},
        ),
      ),
    1,
  ],
  streamEvents: [(a) => all(a.streamEvents(input, { version: 'v2' })), 1],
  pipe: [(a) => a.pipe(RunnableLambda.from((text: unknown) => text)).invoke(input), 1],
  RunnableSequence: [(a) => RunnableSequence.from([RunnableLambda.from(() => input), a]).invoke({}), 1],
  withConfig: [(a) => a.withConfig({ tags: ['t'] }).invoke(input), 1],
  withRetry: [(a) => a.withRetry({ stopAfterAttempt: 1 }).invoke(input), 1],
  withFallbacks: [(a) => a.withFallbacks([]).invoke(input), 1],
  withListeners: [(a) => a.withListeners({ onStart: () => undefined }).invoke(input), 1],
};

describe.each([
  ['a tool', structured],
  ['a Runnable made a tool', runnable],
] as const)('%s', (_what, make) => {
  it.each(Object.keys(WAYS))('by %s', async (way) => {
    const [run, times] = WAYS[way] as (typeof WAYS)[string];
    const ran: unknown[] = [];
    const allowed = bench({ policy: allowAll() });
    await run(guardTool(allowed.guard, make(ran)));
    expect(ran).toEqual(Array.from({ length: times }, () => input));
    await allowed.guard.close();
    expect([decisions(allowed.store).length, outcomes(allowed.store)]).toEqual([times, Array.from({ length: times }, () => 'success')]);

    const refused = bench({ policy: DENY });
    await expect(run(guardTool(refused.guard, make(ran)))).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    expect(ran).toHaveLength(times);
    expect(decisions(refused.store).length).toBeGreaterThanOrEqual(1);
    expect(decisions(refused.store).every((each) => each.startsWith('a deny'))).toBe(true);
  });
});

describe('a guarded tool', () => {
  it('by call, as older code does', async () => {
    const ran: unknown[] = [];
    const { guard } = bench({ policy: allowAll() });
    expect(await guardTool(guard, notingTool('a', ran)).call(input)).toBe('a done');
    await expect(guardTool(bench({ policy: DENY }).guard, notingTool('a', ran)).call(input)).rejects.toBeInstanceOf(CallRefusedError);
    expect(ran).toHaveLength(1);
  });

  it('in a batch that returns exceptions: each is decided by itself', async () => {
    const ran: unknown[] = [];
    const policy = definePolicy({
      id: 'p',
      evaluate: ({ args }) => (JSON.stringify(args).includes('9') ? { effect: 'deny', rule: 'nine' } : { effect: 'allow', rule: 'rest' }),
    });
    const { guard, store } = bench({ policy });
    const results = await guardTool(guard, notingTool('a', ran)).batch(
      [{ amount: 1 }, { amount: 9 }, { amount: 2 }],
      {},
      { returnExceptions: true },
    );
    expect(results.map((each: unknown) => (each instanceof CallRefusedError ? 'refused' : each))).toEqual(['a done', 'refused', 'a done']);
    expect([ran.length, decisions(store).length]).toEqual([2, 3]);
  });

  it('by the function it carries, which asks as well', async () => {
    const ran: unknown[] = [];
    const guarded = guardTool(bench({ policy: DENY }).guard, notingTool('a', ran));
    await expect(guarded.func(input)).rejects.toBeInstanceOf(CallRefusedError);
    expect(ran).toEqual([]);
    const allowed = bench({ policy: allowAll() });
    expect(await guardTool(allowed.guard, notingTool('a', ran)).func(input)).toBe('a done');
    expect([ran.length, decisions(allowed.store).length]).toEqual([1, 1]);
  });

  it('is decided anew by each try of a retry, and each is recorded', async () => {
    let tries = 0;
    const flaky = tool(
      (): string => {
        tries += 1;
        if (tries === 1) throw new Error('busy');
        return 'done';
      },
      { name: 'a', description: 'a', schema },
    );
    const { guard, store } = bench({ policy: allowAll() });
    expect(await guardTool(guard, flaky).withRetry({ stopAfterAttempt: 2 }).invoke(input)).toBe('done');
    await guard.close();
    expect([decisions(store).length, outcomes(store)]).toEqual([2, ['error', 'success']]);
  });

  it('does not hand a refused call to a fallback that is guarded, too', async () => {
    const ran: unknown[] = [];
    const { guard } = bench({ policy: DENY });
    const chain = guardTool(guard, notingTool('a', ran)).withFallbacks([guardTool(guard, notingTool('b', ran))]);
    await expect(chain.invoke(input)).rejects.toBeInstanceOf(CallRefusedError);
    expect(ran).toEqual([]);
  });

  it('may change its arguments, as without a guard, and what is on record stays', async () => {
    const mutating = tool(
      (args) => {
        args.list.push('mine');
        return args.list.join();
      },
      { name: 'a', description: 'a', schema: z.object({ list: z.array(z.string()) }) },
    );
    const { guard, store } = bench({ policy: allowAll() });
    const list = ['yours'];
    expect(await guardTool(guard, mutating).invoke({ list })).toBe(await mutating.invoke({ list: ['yours'] }));
    expect(list).toEqual(['yours']);
    await guard.close();
    const shown = [...store.openings().values()].map(({ sections }) => sections['args']).filter((args) => args !== undefined);
    expect(shown).toEqual([{ list: ['yours'] }]);
  });

  it.each([
    ['undefined', (): unknown => undefined],
    ['null', (): unknown => null],
    ['an object', (): unknown => ({ a: [1] })],
    ['a long text', (): unknown => 'x'.repeat(5_000_000)],
  ])('hands on %s as it would without a guard', async (_what, value) => {
    const { guard, store } = bench({ policy: allowAll() });
    const returning = tool(() => value() as string, { name: 'a', description: 'a', schema });
    const asked = { name: 'a', args: {}, id: 'c1', type: 'tool_call' } as const;
    const [bare, guarded] = [await returning.invoke(asked), await guardTool(guard, returning).invoke(asked)];
    expect(ToolMessage.isInstance(guarded) && guarded.content === bare.content).toBe(true);
    expect(await guardTool(guard, returning).invoke({})).toEqual(value());
    await guard.close();
    expect(outcomes(store)).toEqual(['success', 'success']);
  });

  it('that is aborted while it runs is settled as cancelled', async () => {
    const started = Promise.withResolvers<void>();
    const never = tool(
      () => {
        started.resolve();
        return new Promise<string>(() => undefined);
      },
      { name: 'a', description: 'a', schema },
    );
    const { guard, store } = bench({ policy: allowAll() });
    const abort = new AbortController();
    const running = guardTool(guard, never).invoke(input, { signal: abort.signal });
    await started.promise;
    abort.abort();
    await expect(running).rejects.toThrow(/abort/i);
    await guard.close();
    expect(outcomes(store)).toEqual(['cancelled']);
  });

  it('that was aborted before runs nothing', async () => {
    const ran: unknown[] = [];
    const { guard, store } = bench({ policy: allowAll() });
    await expect(guardTool(guard, notingTool('a', ran)).invoke(input, { signal: AbortSignal.abort() })).rejects.toThrow(/abort|cancel/i);
    await guard.close();
    expect(ran).toEqual([]);
    expect(outcomes(store)).not.toContain('success');
  });

  it('refuses decided arguments that a Runnable would open as a tool call of their own', async () => {
    const ran: unknown[] = [];
    const open = RunnableLambda.from((args: unknown) => {
      ran.push(args);
      return 'ran';
    }).asTool({ name: 'a', schema: z.looseObject({}) as never });
    const { guard, store } = bench({ policy: allowAll() });
    const nested = { name: 'a', id: 'c1', type: 'tool_call', args: { type: 'tool_call', args: { amount: 9999 } } };
    const answer: unknown = await guardTool(guard, open).invoke(nested);
    expect(ToolMessage.isInstance(answer) && answer.text).toContain('ARGUMENTS_INVALID');
    expect([ran, decisions(store)]).toEqual([[], ['a deny ARGUMENTS_INVALID']]);
  });
});
