import { allowAll, CallRefusedError, currentCall } from '@countersign/core';
import { MemorySaver } from '@langchain/langgraph';
import { createAgent, DynamicStructuredTool, DynamicTool, fakeModel, StructuredTool, ToolMessage, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, type GuardedToolOptions, guardTool } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

const call = (name: string, args: Record<string, unknown>, id = 'c1') => ({ name, args, id, type: 'tool_call' as const });

describe('guardTool', () => {
  it('stays the tool it wraps', () => {
    const { guard } = bench();
    const inner = notingTool('read', []);
    const guarded = guardTool(guard, inner);
    expect(guarded).toBeInstanceOf(StructuredTool);
    expect([guarded.name, guarded.schema, guarded.constructor]).toEqual([inner.name, inner.schema, inner.constructor]);
  });

  it.each<[string, GuardedToolOptions]>([
    ['principal', { principal: 'ben' }],
    ['server', { principal: 'ana', server: 'files' }],
    ['approval', { approval: 'wait' }],
  ])('is refused where it asks the same guard already, with another %s: one of the two would count for nothing', (_what, other) => {
    const { guard } = bench();
    const guarded = guardTool(guard, notingTool('read', []), { principal: 'ana' });
    expect(() => guardTool(guard, guarded, other)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect([guardTool(guard, guarded), guardTool(guard, guarded, { principal: 'ana' })]).toEqual([guarded, guarded]);
  });

  it('runs an allowed call with the parsed arguments inside the scope of the call', async () => {
    const { guard, store } = bench();
    const seen: unknown[] = [];
    const inner = tool((args) => (seen.push(args, currentCall()?.agent), 'ok'), {
      name: 'read',
      description: 'reads',
      schema: z.object({ amount: z.coerce.number() }),
    });
    const result = await guardTool(guard, inner).invoke({ amount: '4' });
    expect([result, seen]).toEqual(['ok', [{ amount: 4 }, 'shopper']]);
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('runs what begins only when its result is awaited inside the scope of the call too', async () => {
    const { guard } = bench();
    const seen: unknown[] = [];
    class Query extends DynamicStructuredTool {
      protected override _call(): Promise<string> {
        // oxlint-disable-next-line unicorn/no-thenable -- query builders are like this
        const lazy: PromiseLike<string> = {
          then: (fulfilled, rejected) => Promise.resolve(String(seen.push(currentCall()?.agent))).then(fulfilled, rejected),
        };
        return lazy as Promise<string>;
      }
    }
    const query = new Query({ name: 'read', description: 'reads', schema: z.object({}), func: async () => '' });
    expect([await guardTool(guard, query).invoke({}), seen]).toEqual(['1', ['shopper']]);
  });

  it('answers a refused tool call with a message and throws for a direct call', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const guarded = guardTool(guard, notingTool('erase', ran));
    const message = await guarded.invoke(call('erase', {}));
    expect(ToolMessage.isInstance(message) && [message.status, message.tool_call_id]).toEqual(['error', 'c1']);
    await expect(guarded.invoke({})).rejects.toBeInstanceOf(CallRefusedError);
    expect(ran).toEqual([]);
  });

  it('refuses what needs approval where nothing can suspend, and runs it once when asked again after the answer', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const guarded = guardTool(guard, notingTool('pay', ran));
    const refused = await guarded.invoke(call('pay', {}));
    expect(refused.content).toMatch(/waits for approval [0-9a-f]{32}: call it again after the answer/);
    const [waiting] = await guard.approvals.list({ state: 'pending' });
    await guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    for (let i = 0; i < 2; i++) expect((await guarded.invoke(call('pay', {}))).content).toBe('pay done');
    expect(ran).toHaveLength(1);
  });

  it('leaves errors to the caller and records them', async () => {
    const { guard, store } = bench();
    const failing = tool((): Promise<string> => Promise.reject(new Error('no such file')), {
      name: 'read',
      description: 'fails',
      schema: z.object({}),
    });
    await expect(guardTool(guard, failing).invoke({})).rejects.toThrow('no such file');
    await guard.close();
    expect(outcomes(store)).toEqual(['error']);
  });

  it('refuses in the pair a content-and-artifact tool must return', async () => {
    const { guard } = bench();
    const pair = tool(() => ['text', { big: true }], {
      name: 'erase',
      description: 'pair',
      schema: z.object({}),
      responseFormat: 'content_and_artifact',
    });
    expect(await guardTool(guard, pair).invoke(call('erase', {}))).toMatchObject({ status: 'error' });
    const { guard: open, store } = bench({ policy: allowAll() });
    expect(await guardTool(open, pair).invoke(call('erase', {}))).toMatchObject({ content: 'text', artifact: { big: true } });
    await open.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('covers a generator to its end', async () => {
    const { guard, store } = bench();
    const scopes: unknown[] = [];
    const slow = tool(
      async function* () {
        scopes.push(currentCall()?.agent);
        yield 'half';
        scopes.push(currentCall()?.agent);
        return 'all';
      },
      { name: 'read', description: 'streams', schema: z.object({}) },
    );
    expect(await guardTool(guard, slow).invoke({})).toBe('all');
    expect(scopes).toEqual(['shopper', 'shopper']);
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('records a generator that fails half-way as an error', async () => {
    const { guard, store } = bench();
    const slow = tool(
      async function* () {
        yield 'half';
        throw new Error('line cut');
      },
      { name: 'read', description: 'streams', schema: z.object({}) },
    );
    await expect(guardTool(guard, slow).invoke({})).rejects.toThrow('line cut');
    await guard.close();
    expect(outcomes(store)).toEqual(['error']);
  });

  it('keeps private fields of a subclass and plain string tools working', async () => {
    class Counter extends StructuredTool {
      override name = 'read';
      override description = 'counts';
      override schema = z.object({});
      #count = 0;
      protected override async _call(): Promise<string> {
        this.#count += 1;
        return `run ${this.#count}`;
      }
    }
    const { guard } = bench();
    expect(await guardTool(guard, new Counter()).invoke({})).toBe('run 1');
    const plain = new DynamicTool({ name: 'read', description: 'plain', func: async (input) => `got ${input}` });
    expect(await guardTool(guard, plain).invoke('this')).toBe('got this');
  });

  it('refuses what is no tool', () => {
    const { guard } = bench();
    expect(() => guardTool(guard, { name: 'fake', schema: {} })).toThrow('guardTool takes a LangChain tool');
  });

  it.each(['invoke', 'call'])('refuses a tool with its own `%s`, which could run without being asked', (method) => {
    const { guard } = bench({ policy: allowAll() });
    const own = Object.defineProperty(notingTool('read', []), method, { value: () => Promise.resolve('ran') });
    const inherited = notingTool('read', []);
    Object.setPrototypeOf(
      inherited,
      Object.create(Object.getPrototypeOf(inherited) as object, { [method]: { value: () => 'ran' } }) as object,
    );
    for (const inner of [own, inherited]) {
      expect(() => guardTool(guard, inner)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
      expect(() => guardTool(guard, inner)).toThrow('wrap the function that does the work with guard.tool');
    }
  });

  it('inside another tool is the call of that tool where its config is handed on, and one of its own without its id', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const inner = guardTool(guard, notingTool('read', ran));
    const outer = tool(
      async (_args, config) => {
        for (let time = 0; time < 2; time++) await inner.invoke({}, config);
        expect(ran).toHaveLength(1);
        for (let time = 0; time < 2; time++) await inner.invoke({}, { ...config, toolCall: undefined } as typeof config);
        return 'done';
      },
      { name: 'outer', description: 'x', schema: z.object({}) },
    );
    await guardTool(guard, outer).invoke(call('outer', {}));
    expect(ran).toHaveLength(3);
    expect(decisions(store)).toHaveLength(4);
  });

  it('is not led around by an `invoke` put on the inner tool later, nor on itself', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const inner = notingTool('erase', ran);
    const guarded = guardTool(guard, inner);
    const around = { value: (input: unknown) => void ran.push(input) };
    for (const method of ['invoke', 'call']) {
      Object.defineProperty(inner, method, around);
      expect(() => Object.defineProperty(guarded, method, around)).toThrow(TypeError);
    }
    await expect(guarded.invoke({})).rejects.toBeInstanceOf(CallRefusedError);
    expect(ran).toEqual([]);
  });

  it('is asked once when the middleware of the same guard is there too', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }))
      .respond(done());
    const tools = [guardTool(guard, notingTool('read', ran))];
    const agent = createAgent({ model, tools, middleware: [countersignMiddleware(guard)] });
    expect(toolMessages(await agent.invoke({ messages: 'go' }))[0]?.content).toBe('read done');
    expect(decisions(store)).toHaveLength(1);
  });

  it('suspends an agent without middleware', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'pay', args: {}, id: 'c1' }))
      .respond(done());
    const agent = createAgent({ model, tools: [guardTool(guard, notingTool('pay', ran))], checkpointer: new MemorySaver() });
    const result = await agent.invoke({ messages: 'go' }, { configurable: { thread_id: 't' } });
    expect(result).toHaveProperty('__interrupt__');
    expect(ran).toEqual([]);
  });
});

describe('a guard that masks results', () => {
  const SECRET = 'postgres://u:hunter22@h/';
  const SHOWN = 'postgres://u:[redacted:url-password]@h/';
  const plain = tool(() => SECRET, { name: 'plain', description: 'reads', schema: z.object({}) });
  const pair = tool(() => [SECRET, { password: 'hunter22', n: 1 }], {
    name: 'pair',
    description: 'reads',
    schema: z.object({}),
    responseFormat: 'content_and_artifact',
  });

  it('masks content and artifact of a guarded tool', async () => {
    const { guard } = bench({ policy: allowAll(), maskResults: true });
    expect(await guardTool(guard, plain).invoke({})).toBe(SHOWN);
    const message: unknown = await guardTool(guard, pair).invoke(call('pair', {}));
    expect(ToolMessage.isInstance(message) && [message.content, message.artifact, message.tool_call_id]).toEqual([
      SHOWN,
      { password: '[redacted:key-name]', n: 1 },
      'c1',
    ]);
  });

  it('masks the message an agent gets, of results and of errors', async () => {
    const { guard } = bench({ policy: allowAll(), maskResults: true });
    const failing = tool((): Promise<string> => Promise.reject(new Error(`cannot reach ${SECRET}`)), {
      name: 'failing',
      description: 'fails',
      schema: z.object({}),
    });
    const model = fakeModel().respondWithTools([
      { name: 'plain', args: {}, id: 'c1' },
      { name: 'failing', args: {}, id: 'c2' },
    ]);
    const agent = createAgent({ model: model.respond(done), tools: [plain, failing], middleware: [countersignMiddleware(guard)] });
    const contents = toolMessages(await agent.invoke({ messages: 'go' })).map(({ text }) => text);
    expect(contents[0]).toBe(SHOWN);
    expect(contents[1]).toContain('cannot reach postgres://u:[redacted:url-password]@h/');
  });

  it('and leaves them alone unless asked to', async () => {
    const { guard } = bench({ policy: allowAll() });
    expect(await guardTool(guard, plain).invoke({})).toBe(SECRET);
  });
});
