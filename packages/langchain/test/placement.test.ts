/** Middleware listed after ours is inside of what was decided. What it can still do, and what it can not. */
import { CountersignError, denyAll } from '@countersign/core';
import { type AgentMiddleware, createAgent, createMiddleware, fakeModel, ToolMessage, tool, toolRetryMiddleware } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, guardTool, type MiddlewareOptions } from '../src/index.ts';
import { asks, type Bench, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

type Tools = NonNullable<Parameters<typeof createAgent>[0]['tools']>;
type WrapToolCall = NonNullable<AgentMiddleware['wrapToolCall']>;

/** An agent that calls `read` once, with a middleware listed after ours. */
async function run(made: Bench, tools: Tools, after: AgentMiddleware | WrapToolCall, options: MiddlewareOptions = {}) {
  const inner = typeof after === 'function' ? createMiddleware({ name: 'after', wrapToolCall: after }) : after;
  const model = fakeModel()
    .respond(asks({ name: 'read', args: { amount: 3 }, id: 'c1' }))
    .respond(done());
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(made.guard, options), inner] });
  const [message] = toolMessages(await agent.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-1' } }));
  await made.guard.close();
  return message;
}

const misplaced = (errors: readonly unknown[]) =>
  errors.filter((error) => CountersignError.is(error) && error.code === 'MIDDLEWARE_MISPLACED');

describe('middleware listed after ours', () => {
  it('is harmless when it only watches', async () => {
    const made = bench();
    const ran: unknown[] = [];
    const message = await run(made, [notingTool('read', ran)], (request, handler) => handler(request));
    expect(message).toMatchObject({ status: 'success', content: 'read done' });
    expect(made.errors).toEqual([]);
  });

  it('that changes the arguments changes nothing', async () => {
    const made = bench();
    const ran: unknown[] = [];
    await run(made, [notingTool('read', ran)], (request, handler) =>
      handler({ ...request, toolCall: { ...request.toolCall, args: { amount: 1_000_000 } } }),
    );
    expect(ran).toEqual([{ amount: 3 }]);
  });

  it('that changes the arguments of a tool with an invoke of its own changes nothing', async () => {
    const made = bench();
    const ran: unknown[] = [];
    const own = tool(() => 'never', { name: 'read', description: 'read', schema: z.object({ amount: z.number() }) });
    Object.defineProperty(own, 'invoke', { value: async ({ args }: { args: unknown }) => (ran.push(args), 'own done') });
    const message = await run(made, [own], (request, handler) =>
      handler({ ...request, toolCall: { ...request.toolCall, args: { amount: 1_000_000 } } }),
    );
    expect(ran).toEqual([{ amount: 3 }]);
    expect(message?.content).toBe('own done');
  });

  it('that keeps the tool until the call has ended cannot run it then', async () => {
    const made = bench();
    const ran: unknown[] = [];
    let late: (() => unknown) | undefined;
    const message = await run(made, [notingTool('read', ran)], ({ tool: kept, toolCall }) => {
      late = () => (kept as { invoke(input: unknown): unknown }).invoke({ ...toolCall, type: 'tool_call' });
      return new ToolMessage({ tool_call_id: 'c1', content: 'from a cache' });
    });
    expect(message?.content).toMatch(/list countersignMiddleware last/);
    await expect(late?.()).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    expect(ran).toEqual([]);
    expect(decisions(made.store)).toContain('read deny CALL_ALREADY_RUN');
  });

  it('that puts another tool in its place gets its result withheld, and is told of', async () => {
    const made = bench();
    const ran: unknown[] = [];
    const other = tool(() => (ran.push('other'), 'the secret of another tool'), { name: 'erase', description: 'x', schema: z.object({}) });
    const message = await run(made, [notingTool('read', ran)], (request, handler) => handler({ ...request, tool: other }));
    expect(message?.status).toBe('error');
    expect(message?.content).toMatch(/list countersignMiddleware last/);
    expect(message?.content).not.toContain('secret');
    expect(misplaced(made.errors)).toHaveLength(1);
    expect(outcomes(made.store)).toEqual(['error']);
    // It did run, undecided: nothing in this place can prevent that. That is why ours goes last.
    expect(ran).toEqual(['other']);
  });

  it('that puts another tool in the place of one that asks the guard itself is told of too', async () => {
    const made = bench();
    const other = tool(() => 'the secret of another tool', { name: 'erase', description: 'x', schema: z.object({}) });
    const message = await run(made, [guardTool(made.guard, notingTool('read', []))], (request, handler) =>
      handler({ ...request, tool: other }),
    );
    expect(message?.content).toMatch(/list countersignMiddleware last/);
    expect(message?.content).not.toContain('secret');
    expect(misplaced(made.errors)).toHaveLength(1);
  });

  it('that answers in place of the tool is not believed', async () => {
    const made = bench();
    const ran: unknown[] = [];
    const message = await run(
      made,
      [notingTool('read', ran)],
      async ({ toolCall }) => new ToolMessage({ tool_call_id: toolCall.id ?? '', content: 'cached' }),
    );
    expect(message?.content).not.toContain('cached');
    expect(misplaced(made.errors)).toHaveLength(1);
    expect(ran).toEqual([]);
  });

  it('that answers for invalid arguments is not believed', async () => {
    const made = bench();
    const message = await run(
      made,
      [tool(() => 'x', { name: 'read', description: 'x', schema: z.object({ amount: z.string() }) })],
      async ({ toolCall }) => new ToolMessage({ tool_call_id: toolCall.id ?? '', content: 'all is well' }),
    );
    expect(message?.content).toContain('ARGUMENTS_INVALID');
    expect(misplaced(made.errors)).toHaveLength(1);
  });

  it('that runs the tool twice runs it once', async () => {
    const made = bench();
    const ran: unknown[] = [];
    const message = await run(made, [notingTool('read', ran)], async (request, handler) => {
      await handler(request);
      return handler(request);
    });
    expect(ran).toHaveLength(1);
    expect(message?.content).toContain('CALL_ALREADY_RUN');
    expect(decisions(made.store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK', 'read deny CALL_ALREADY_RUN']);
  });

  it('that runs the tool twice at once runs it once', async () => {
    const made = bench();
    const ran: unknown[] = [];
    await run(made, [notingTool('read', ran)], async (request, handler) => {
      const [first] = await Promise.allSettled([handler(request), handler(request)]);
      if (first?.status !== 'fulfilled') throw new Error('the first run failed');
      return first.value;
    });
    expect(ran).toHaveLength(1);
  });

  it('that retries an error finds every retry refused and recorded, and nothing runs twice on one decision', async () => {
    const made = bench();
    const ran: unknown[] = [];
    const failing = tool(
      () => {
        ran.push('run');
        throw new Error('no such file');
      },
      { name: 'read', description: 'x', schema: z.object({}) },
    );
    const retry = toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 0, jitter: false }) as unknown as AgentMiddleware;
    const message = await run(made, [failing], retry);
    expect(ran).toHaveLength(1);
    expect(message?.status).toBe('error');
    expect(decisions(made.store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK', 'read deny CALL_ALREADY_RUN', 'read deny CALL_ALREADY_RUN']);
  });

  it.each(['message', 'throw'] as const)('is never asked about a call that was denied (toolErrors: %s)', async (toolErrors) => {
    const made = bench({ policy: denyAll() });
    const asked: unknown[] = [];
    await run(made, [notingTool('read', asked)], (request, handler) => (asked.push(request), handler(request)), { toolErrors });
    expect(asked).toEqual([]);
  });
});
