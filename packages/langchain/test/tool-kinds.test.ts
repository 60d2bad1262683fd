/** `guardTool` and `guardTools` with every kind of tool LangChain has, and with what is none. */
import { allowAll, CallRefusedError, definePolicy } from '@countersign/core';
import { RunnableLambda } from '@langchain/core/runnables';
import { DynamicStructuredTool, DynamicTool, StructuredTool, Tool } from '@langchain/core/tools';
import { createAgent, fakeModel, ToolMessage, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { z as z3 } from 'zod/v3';
import { countersignMiddleware, guardTool, guardTools } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

// With `exactOptionalPropertyTypes` LangChain's type for zod 3 does not fit zod 3.
const ZOD_3 = z3.object({ amount: z3.coerce.number() }) as unknown as z.ZodObject<{ amount: z.ZodNumber }>;
const DENY = definePolicy({ id: 'no', evaluate: () => ({ effect: 'deny', rule: 'no' }) });
const JSON_SCHEMA = { type: 'object', properties: { amount: { type: 'number' } }, required: ['amount'] } as const;

/** Private fields in `_call` and in a getter that LangChain's own `call` reads. */
class Till extends StructuredTool {
  override name = 'till';
  override description = 'takes money';
  readonly #ran: unknown[];
  readonly #schema = z.object({ amount: z.coerce.number().default(1) });
  constructor(ran: unknown[]) {
    super();
    this.#ran = ran;
  }
  override get schema() {
    return this.#schema;
  }
  protected override async _call(args: unknown): Promise<string> {
    this.#ran.push(args);
    return 'till done';
  }
}

class Line extends Tool {
  override name = 'line';
  override description = 'takes a line';
  readonly #ran: unknown[];
  constructor(ran: unknown[]) {
    super();
    this.#ran = ran;
  }
  protected override async _call(input: string): Promise<string> {
    this.#ran.push(input);
    return 'line done';
  }
}

interface Kind {
  readonly make: (ran: unknown[]) => { readonly name: string; invoke(input: never): Promise<unknown> };
  readonly input: unknown;
  /** What the schema makes of the input, and so what is decided on and run. */
  readonly runs: unknown;
}

const noting =
  (name: string, ran: unknown[]) =>
  (args: unknown): string => {
    ran.push(args);
    return `${name} done`;
  };

const KINDS: Readonly<Record<string, Kind>> = {
  'tool() with zod 4': {
    make: (ran) => tool(noting('a', ran), { name: 'a', description: 'a', schema: z.object({ amount: z.coerce.number() }) }),
    input: { amount: '2' },
    runs: { amount: 2 },
  },
  'tool() with zod 3': {
    make: (ran) => tool(noting('a', ran), { name: 'a', description: 'a', schema: ZOD_3 }),
    input: { amount: '2' },
    runs: { amount: 2 },
  },
  'tool() with a JSON schema': {
    make: (ran) => tool(noting('a', ran), { name: 'a', description: 'a', schema: JSON_SCHEMA }),
    input: { amount: 2 },
    runs: { amount: 2 },
  },
  'tool() with a string': {
    make: (ran) => tool(noting('a', ran), { name: 'a', description: 'a', schema: z.string() }),
    input: 'two',
    runs: 'two',
  },
  'tool() without a schema': { make: (ran) => tool(noting('a', ran), { name: 'a', description: 'a' }), input: 'two', runs: 'two' },
  DynamicStructuredTool: {
    make: (ran) =>
      new DynamicStructuredTool({
        name: 'a',
        description: 'a',
        schema: z.object({ amount: z.number() }),
        func: async (args) => noting('a', ran)(args),
      }),
    input: { amount: 2 },
    runs: { amount: 2 },
  },
  DynamicTool: {
    make: (ran) => new DynamicTool({ name: 'a', description: 'a', func: async (input) => noting('a', ran)(input) }),
    input: 'two',
    runs: 'two',
  },
  'a subclass of StructuredTool with private fields': { make: (ran) => new Till(ran), input: {}, runs: { amount: 1 } },
  'a subclass of Tool': { make: (ran) => new Line(ran), input: 'two', runs: 'two' },
  'an async generator': {
    make: (ran) =>
      tool(
        async function* (args) {
          yield 'half';
          return noting('a', ran)(args);
        },
        { name: 'a', description: 'a', schema: z.object({ amount: z.coerce.number() }) },
      ),
    input: { amount: '2' },
    runs: { amount: 2 },
  },
  'a Runnable made a tool': {
    make: (ran) =>
      RunnableLambda.from((args: { amount: number }) => noting('a', ran)(args)).asTool({
        name: 'a',
        description: 'a',
        schema: z.object({ amount: z.number() }),
      }),
    input: { amount: 2 },
    runs: { amount: 2 },
  },
};

const KIND_NAMES = Object.keys(KINDS);
const kind = (name: string): Kind => KINDS[name] as Kind;
const toolCall = (name: string, args: unknown, id = 'c1') => ({ name, args, id, type: 'tool_call' as const });
const asObject = (input: unknown): Record<string, unknown> => (typeof input === 'string' ? { input } : (input as Record<string, unknown>));

describe.each(KIND_NAMES)('%s', (name) => {
  it('runs when it is allowed, with what its schema made of the input, and is recorded', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const { make, input, runs } = kind(name);
    const guarded = guardTool(guard, make(ran));
    expect(await guarded.invoke(input as never)).toBe(`${guarded.name} done`);
    expect(ran).toEqual([runs]);
    await guard.close();
    expect([decisions(store).length, outcomes(store)]).toEqual([1, ['success']]);
  });

  it('answers a tool call as it would without a guard', async () => {
    const { guard } = bench({ policy: allowAll() });
    const { make, input } = kind(name);
    const inner = make([]);
    const asked = toolCall(inner.name, asObject(input)) as never;
    const [bare, guarded] = [await inner.invoke(asked), await guardTool(guard, inner).invoke(asked)];
    expect(JSON.stringify(guarded)).toBe(JSON.stringify(bare));
  });

  it('does not run when it is refused: a direct call throws, a tool call is answered', async () => {
    const { guard, store } = bench({ policy: DENY });
    const ran: unknown[] = [];
    const { make, input } = kind(name);
    const guarded = guardTool(guard, make(ran));
    await expect(guarded.invoke(input as never)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    const message = await guarded.invoke(toolCall(guarded.name, asObject(input)) as never);
    expect(ToolMessage.isInstance(message) && [message.status, message.tool_call_id, message.name]).toEqual(['error', 'c1', guarded.name]);
    expect(ran).toEqual([]);
    expect(decisions(store)).toHaveLength(2);
  });

  it('runs nothing where the ledger cannot be written', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    store.failWith(new Error('disk full'));
    const ran: unknown[] = [];
    const { make, input } = kind(name);
    await expect(guardTool(guard, make(ran)).invoke(input as never)).rejects.toBeInstanceOf(CallRefusedError);
    expect(ran).toEqual([]);
  });

  it('keeps name, description, schema and class', () => {
    const { guard } = bench();
    const inner = kind(name).make([]);
    const guarded = guardTool(guard, inner);
    for (const key of ['name', 'description', 'schema', 'constructor', 'returnDirect', 'responseFormat', 'metadata', 'lc_namespace'])
      expect(Reflect.get(guarded, key), key).toEqual(Reflect.get(inner, key));
    expect(guarded.constructor).toBe(inner.constructor);
  });

  it('works in an agent without middleware, and with the middleware of the same guard is decided once', async () => {
    for (const withMiddleware of [false, true]) {
      const { guard, store } = bench({ policy: allowAll() });
      const ran: unknown[] = [];
      const { make, input, runs } = kind(name);
      const guarded = guardTool(guard, make(ran));
      const model = fakeModel()
        .respond(asks({ name: guarded.name, args: asObject(input), id: 'c1' }))
        .respond(done());
      const middleware = withMiddleware ? [countersignMiddleware(guard)] : [];
      const result = await createAgent({ model, tools: [guarded as never], middleware }).invoke({ messages: 'go' });
      expect(toolMessages(result)[0]?.content).toBe(`${guarded.name} done`);
      expect(ran).toEqual([runs]);
      expect(decisions(store)).toHaveLength(1);
    }
  });
});

describe('guardTools', () => {
  it('guards each, in the same order', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const [a, line] = guardTools(guard, [notingTool('a', ran), new Line(ran)]);
    expect([a.name, line.name]).toEqual(['a', 'line']);
    await a.invoke({ amount: 1 });
    await line.invoke('x');
    expect([ran.length, decisions(store).length]).toEqual([2, 2]);
  });

  it('takes no tools, and the options of guardTool', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    expect(guardTools(guard, [])).toEqual([]);
    const [guarded] = guardTools(guard, [notingTool('a', [])], { server: (name) => `server-of-${name}` });
    await guarded.invoke({});
    expect(store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({ tool: { server: 'server-of-a', name: 'a' } });
  });

  it('says which one cannot be guarded, and guards none', () => {
    const { guard } = bench();
    const good = notingTool('good', []);
    const own = Object.defineProperty(notingTool('own', []), 'invoke', { value: () => Promise.resolve('ran') });
    for (const [bad, why] of [
      [own, 'guardTools, tool 1: guardTool cannot guard the tool "own": its invoke'],
      [{ name: 'fake', schema: {} }, 'guardTools, tool 1: guardTool takes a LangChain tool'],
      [{ type: 'web_search_preview', name: 'search' }, 'guardTools, tool 1: guardTool takes a LangChain tool'],
      [RunnableLambda.from(() => 1), 'make it one with runnable.asTool'],
    ] as const) {
      const attempt = (): unknown => guardTools(guard, [good, bad as { name: string }]);
      expect(attempt).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
      expect(attempt).toThrow(why);
    }
  });

  it('refuses two of one name, which no rule could tell apart', () => {
    const { guard } = bench();
    const twice = (): unknown => guardTools(guard, [notingTool('a', []), notingTool('b', []), notingTool('a', [])]);
    expect(twice).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(twice).toThrow('tools 0 and 2 are both the tool "a"');
  });

  it.each([undefined, null, {}, 'tools', new Set([notingTool('a', [])])])('refuses %s, which is no array', (value) => {
    const { guard } = bench();
    expect(() => guardTools(guard, value as never)).toThrow('guardTools takes an array');
  });
});

describe('what is no tool', () => {
  it.each([undefined, null, 7, 'tool', () => 'tool', {}, { name: 'a', invoke: () => 'ran' }, { name: 'a', _call: () => 'ran' }])(
    'is refused: %s',
    (value) => {
      const { guard } = bench({ policy: allowAll() });
      expect(() => guardTool(guard, value as never)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    },
  );

  it('does not print a name without end', () => {
    const { guard } = bench();
    const own = Object.defineProperty(notingTool('n'.repeat(10_000), []), 'call', { value: () => 'ran' });
    try {
      guardTool(guard, own);
      expect.unreachable();
    } catch (error) {
      expect(String(error).length).toBeLessThan(500);
    }
  });

  it.each(['stream', 'batch', 'transform', '_streamIterator', 'streamEvents', 'pipe', 'withRetry', 'asTool'])(
    'a tool with its own `%s` could do its work there',
    (method) => {
      const { guard } = bench({ policy: allowAll() });
      class Own extends Line {}
      Object.defineProperty(Own.prototype, method, { value: () => 'ran' });
      expect(() => guardTool(guard, new Own([]))).toThrow(`its ${method} is not the one of the installed @langchain/core`);
    },
  );

  it.each(['invoke', 'stream', 'batch', 'withConfig'])('a Runnable made a tool with its own `%s`', (method) => {
    const { guard } = bench({ policy: allowAll() });
    const made = RunnableLambda.from(() => 'ran').asTool({ name: 'a', schema: z.object({}) });
    Object.defineProperty(made, method, { value: () => Promise.resolve('ran') });
    expect(() => guardTool(guard, made)).toThrow(`its ${method} is not the one of the installed @langchain/core`);
  });
});

describe('a tool that is guarded already', () => {
  it('is returned as it is by the same guard', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const once = guardTool(guard, notingTool('a', []));
    expect(guardTool(guard, once)).toBe(once);
    await guardTool(guard, once).invoke({});
    expect(decisions(store)).toHaveLength(1);
  });

  it.each(KIND_NAMES)('is decided by both of two guards, once each, in any nesting (%s)', async (name) => {
    const [a, b] = [bench({ policy: allowAll() }), bench({ policy: allowAll() })];
    const ran: unknown[] = [];
    const { make, input } = kind(name);
    const nested = guardTool(a.guard, guardTool(b.guard, guardTool(a.guard, make(ran))));
    await nested.invoke(input as never);
    expect([decisions(a.store).length, decisions(b.store).length, ran.length]).toEqual([1, 1, 1]);
  });

  it.each(KIND_NAMES)('does not run when either of two guards refuses (%s)', async (name) => {
    for (const outer of [DENY, allowAll()]) {
      const inner = outer === DENY ? allowAll() : DENY;
      const [a, b] = [bench({ policy: outer }), bench({ policy: inner })];
      const ran: unknown[] = [];
      const { make, input } = kind(name);
      const guarded = guardTool(a.guard, guardTool(b.guard, make(ran)));
      await expect(guarded.invoke(input as never)).rejects.toBeInstanceOf(CallRefusedError);
      const message = await guarded.invoke(toolCall(guarded.name, asObject(input)) as never);
      expect(ToolMessage.isInstance(message) && message.status).toBe('error');
      expect(ran).toEqual([]);
      await Promise.all([a.guard.close(), b.guard.close()]);
      // What the inner guard refused is no success of the outer one's call.
      expect(outcomes(a.store)).toEqual(outer === DENY ? [] : ['error', 'error']);
    }
  });
});
