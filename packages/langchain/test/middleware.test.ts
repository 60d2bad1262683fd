import type { Guard } from '@countersign/core';
import { allowAll, monitorHost } from '@countersign/core';
import { RunnableLambda } from '@langchain/core/runnables';
import type { InteropZodType } from '@langchain/core/utils/types';
import { type AgentMiddleware, type AIMessage, createAgent, createMiddleware, fakeModel, tool, toolRetryMiddleware } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, type MiddlewareOptions } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

type Tools = NonNullable<Parameters<typeof createAgent>[0]['tools']>;

async function run(guard: Guard, tools: Tools, messages: AIMessage[], options: MiddlewareOptions = {}) {
  const model = fakeModel();
  for (const message of messages) model.respond(message);
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard, options)] });
  return agent.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-1' } });
}

describe('a call the policy allows', () => {
  it('runs once, with the arguments that were decided, and is recorded with its outcome', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const result = await run(guard, [notingTool('read', ran)], [asks({ name: 'read', args: { amount: '2' }, id: 'c1' }), done()]);
    expect(ran).toEqual([{ amount: 2 }]);
    expect(toolMessages(result).map(({ content, status }) => [content, status])).toEqual([['read done', 'success']]);
    await guard.close();
    expect(decisions(store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK']);
    expect(outcomes(store)).toEqual(['success']);
    expect(store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({ session: 'thread-1' });
  });

  it('is decided on what the schema makes of the arguments, and run with that even if the schema is not idempotent', async () => {
    const seen: unknown[] = [];
    const ran: unknown[] = [];
    const { guard } = bench({
      policy: { ...allowAll(), evaluate: ({ args }) => (seen.push(args), { effect: 'allow' }) },
    });
    const twice = tool((args) => (ran.push(args), 'ok'), {
      name: 'twice',
      description: 'doubles',
      schema: z.object({ n: z.number().transform((n) => n * 2) }),
    });
    await run(guard, [twice], [asks({ name: 'twice', args: { n: 2 }, id: 'c1' }), done()]);
    expect(seen).toEqual([{ n: 4 }]);
    expect(ran).toEqual([{ n: 4 }]);
  });

  it('runs with what was decided when its schema says something else the second time', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    let parses = 0;
    const moody = tool((args) => (ran.push(args), 'ok'), {
      name: 'read',
      description: 'moody',
      schema: z.object({ n: z.number().transform(() => ++parses) }),
    });
    await run(guard, [moody], [asks({ name: 'read', args: { n: 0 }, id: 'c1' }), done()]);
    expect(ran).toEqual([{ n: 1 }]);
    expect(parses).toBe(2);
  });

  it('runs again when a later message asks with the same call id', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const call = { name: 'read', args: {}, id: 'call_0' };
    await run(guard, [notingTool('read', ran)], [asks(call), asks(call), done()]);
    expect(ran).toHaveLength(2);
  });

  it('keeps what a tool of JSON schema gets', async () => {
    const { guard } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } as const;
    const json = tool((args) => (ran.push(args), 'ok'), { name: 'json', description: 'json', schema });
    const result = await run(
      guard,
      [json],
      [asks({ name: 'json', args: { n: 2 }, id: 'c1' }, { name: 'json', args: { n: 'x' }, id: 'c2' }), done()],
    );
    expect(ran).toEqual([{ n: 2 }]);
    expect(toolMessages(result).map(({ status }) => status)).toEqual(['success', 'error']);
  });
});

describe('a runnable used as a tool, which parses what it is given once more', () => {
  const runnable = (schema: InteropZodType, ran: unknown[]) =>
    RunnableLambda.from((args: { n: number }) => {
      ran.push(args);
      return 'ok';
    }).asTool({ name: 'read', schema });

  it('runs when its schema leaves its own output alone', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const tools = [runnable(z.object({ n: z.coerce.number() }), ran)];
    await run(guard, tools, [asks({ name: 'read', args: { n: '2' }, id: 'c1' }), done()]);
    expect(ran).toEqual([{ n: 2 }]);
  });

  it('is refused when it would run with something else than was decided', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const tools = [runnable(z.object({ n: z.number().transform((n) => n * 2) }), ran)];
    const result = await run(guard, tools, [asks({ name: 'read', args: { n: 2 }, id: 'c1' }), done()]);
    expect(toolMessages(result)[0]?.content).toContain('ARGUMENTS_INVALID');
    expect(ran).toEqual([]);
  });
});

describe('a tool that does not run through `_call` alone', () => {
  /** Works in `call`, on whatever it is given there. */
  const own = (name: string, schema: z.ZodType<{ n: number }>, ran: unknown[]) =>
    Object.defineProperty(
      tool(() => 'never used', { name, description: name, schema }),
      'call',
      {
        value: (args: unknown) => Promise.resolve((ran.push(args), 'ok')),
      },
    );

  it('gets what was decided instead of the text of the model', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    await run(
      guard,
      [own('read', z.object({ n: z.coerce.number() }), ran)],
      [asks({ name: 'read', args: { n: '2', m: 1 }, id: 'c1' }), done()],
    );
    expect(ran).toEqual([{ n: 2 }]);
  });

  it('is refused when it could run with something else than was decided', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const tools = [own('read', z.object({ n: z.number().transform((n) => n * 2) }), ran)];
    const result = await run(guard, tools, [asks({ name: 'read', args: { n: 2 }, id: 'c1' }), done()]);
    expect(toolMessages(result)[0]?.content).toContain('ARGUMENTS_INVALID');
    expect(ran).toEqual([]);
  });

  it('does not run when the policy denies it', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    await run(guard, [own('erase', z.object({ n: z.number() }), ran)], [asks({ name: 'erase', args: { n: 2 }, id: 'c1' }), done()]);
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['erase deny POLICY_DENY_HIGH_RISK']);
  });
});

describe('a call that must not run', () => {
  it('is told to the model with its reason and code, and the loop goes on', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const result = await run(guard, [notingTool('erase', ran)], [asks({ name: 'erase', args: {}, id: 'c1' }), done()]);
    const [message] = toolMessages(result);
    expect(message).toMatchObject({ status: 'error', tool_call_id: 'c1', name: 'erase' });
    expect(message?.content).toBe('call refused: not on the list [POLICY_DENY_HIGH_RISK, rule rest]');
    expect(result.messages.at(-1)?.content).toBe('done');
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['erase deny POLICY_DENY_HIGH_RISK']);
  });

  it('of a halted session says who lets it go on, and with what', async () => {
    const { guard, store } = bench();
    await monitorHost({ store, agent: 'shopper' }).halt('thread-1', 'MONITOR_HALTED');
    const ran: unknown[] = [];
    const result = await run(guard, [notingTool('read', ran)], [asks({ name: 'read', args: {}, id: 'c1' }), done()]);
    expect(toolMessages(result).map(({ content, status }) => [content, status])).toEqual([
      ['call refused: the session is halted until an operator resumes it: countersign resume thread-1 [SESSION_HALTED]', 'error'],
    ]);
    expect(ran).toEqual([]);
  });

  it('is refused when the ledger cannot be written', async () => {
    const { guard, store } = bench();
    store.failWith(new Error('disk full'));
    const ran: unknown[] = [];
    const result = await run(guard, [notingTool('read', ran)], [asks({ name: 'read', args: {}, id: 'c1' }), done()]);
    expect(toolMessages(result)[0]).toMatchObject({ status: 'error' });
    expect(toolMessages(result)[0]?.content).toContain('INTERNAL_ERROR');
    expect(ran).toEqual([]);
  });

  it('is refused and recorded when its arguments do not fit, without running the tool', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const result = await run(guard, [notingTool('read', ran)], [asks({ name: 'read', args: { amount: 'many' }, id: 'c1' }), done()]);
    expect(toolMessages(result)[0]).toMatchObject({ status: 'error', tool_call_id: 'c1', name: 'read' });
    expect(toolMessages(result)[0]?.content).toMatch(/^Error invoking tool 'read' .* expected number.*amount.*Please fix the error/s);
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read deny ARGUMENTS_INVALID']);
  });

  it('is refused when parsing fails once and would succeed the next time', async () => {
    const { guard } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    let parses = 0;
    const schema = z.object({ n: z.number() }).refine(() => ++parses > 1);
    const moody = tool((args) => (ran.push(args), 'ok'), { name: 'moody', description: 'moody', schema });
    await run(guard, [moody], [asks({ name: 'moody', args: { n: 1 }, id: 'c1' }), done()]);
    expect(ran).toEqual([]);
  });

  it('is refused for names no tool has, whatever an allow rule says about the real ones', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const messages = [asks({ name: '__proto__', args: {}, id: 'c1' }, { name: 'constructor', args: {}, id: 'c2' }), done()];
    const result = await run(guard, [notingTool('read', ran)], messages);
    expect(toolMessages(result).map(({ status }) => status)).toEqual(['error', 'error']);
    expect(ran).toEqual([]);
  });

  it('is judged by the tool that would run, not by the name the model or a middleware wrote', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const renamed = createMiddleware({
      name: 'renamer',
      wrapToolCall: (request, handler) => handler({ ...request, toolCall: { ...request.toolCall, name: 'read' } }),
    });
    const model = fakeModel()
      .respond(asks({ name: 'erase', args: {}, id: 'c1' }))
      .respond(done());
    const tools = [notingTool('erase', ran), notingTool('read', ran)];
    const agent = createAgent({ model, tools, middleware: [renamed, countersignMiddleware(guard)] });
    const result = await agent.invoke({ messages: 'go' });
    expect(toolMessages(result)[0]?.content).toContain('POLICY_DENY_HIGH_RISK');
    expect(ran).toEqual([]);
  });

  it('is not run again with the same message in the same thread: it gets the result it had, and a refusal where that is gone', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const message = asks({ name: 'read', args: {}, id: 'c1' });
    message.id = 'message-1';
    await run(guard, [notingTool('read', ran)], [message, done()]);
    const again = await run(guard, [notingTool('read', ran)], [message, done()]);
    expect(toolMessages(again)[0]?.content).toBe('read done');
    await guard.close();
    const elsewhere = await run(bench({ store }).guard, [notingTool('read', ran)], [message, done()]);
    expect(toolMessages(elsewhere)[0]?.content).toContain('CALL_ALREADY_RUN');
    expect(ran).toHaveLength(1);
  });

  it('is refused when an option throws', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const options = {
      server: () => {
        throw new Error('secret');
      },
    };
    const result = await run(guard, [notingTool('read', ran)], [asks({ name: 'read', args: {}, id: 'c1' }), done()], options);
    expect(toolMessages(result)[0]).toMatchObject({ status: 'error' });
    expect(toolMessages(result)[0]?.content).not.toContain('secret');
    expect(ran).toEqual([]);
  });
});

describe('tools that fail', () => {
  const failing = (errors: unknown[]) =>
    tool(
      () => {
        if (errors.length === 0) return 'fine';
        throw errors.shift();
      },
      { name: 'read', description: 'fails', schema: z.object({}) },
    );

  it('tell the model as they would without middleware', async () => {
    const message = asks({ name: 'read', args: {}, id: 'c1' });
    const model = fakeModel().respond(message).respond(done());
    const bare = await createAgent({ model, tools: [failing([new Error('no such file')])] }).invoke({ messages: 'go' });
    const { guard, store } = bench();
    const guarded = await run(guard, [failing([new Error('no such file')])], [message, done()]);
    expect(toolMessages(guarded)[0]?.content).toBe(toolMessages(bare)[0]?.content);
    expect(toolMessages(guarded)[0]?.status).toBe('error');
    await guard.close();
    expect(outcomes(store)).toEqual(['error']);
  });

  it('end the run when asked to', async () => {
    const { guard } = bench();
    const messages = [asks({ name: 'read', args: {}, id: 'c1' }), done()];
    await expect(run(guard, [failing([new Error('no such file')])], messages, { toolErrors: 'throw' })).rejects.toThrow('no such file');
  });

  it('are decided and charged anew when a retry middleware tries again', async () => {
    const { guard, store } = bench();
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }))
      .respond(done());
    // Its own type does not fit createAgent under exactOptionalPropertyTypes.
    const retry = toolRetryMiddleware({ maxRetries: 3, initialDelayMs: 0, jitter: false }) as unknown as AgentMiddleware;
    const tools = [failing([new Error('one'), new Error('two')])];
    const agent = createAgent({ model, tools, middleware: [retry, countersignMiddleware(guard, { toolErrors: 'throw' })] });
    const result = await agent.invoke({ messages: 'go' });
    expect(toolMessages(result)[0]?.content).toBe('fine');
    await guard.close();
    expect(decisions(store)).toHaveLength(3);
    expect(outcomes(store)).toEqual(['error', 'error', 'success']);
  });
});

it('records the server and the principal the application names', async () => {
  const { guard, store } = bench({ policy: allowAll() });
  const messages = [asks({ name: 'read', args: {}, id: 'c1' }), done()];
  const principal = (run: { configurable: Readonly<Record<string, unknown>> }) => `user of ${String(run.configurable['thread_id'])}`;
  await run(guard, [notingTool('read', [])], messages, { server: 'files', principal });
  expect(store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({
    tool: { server: 'files', name: 'read' },
    principal: 'user of thread-1',
  });
});
