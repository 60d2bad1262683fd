/** Calls that are no proper calls, stores that fail, and runs that are aborted: what ran is what was allowed on the record. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowAll, budgetFrom, createGuard, definePolicy, type Guard } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { StructuredTool } from '@langchain/core/tools';
import { type AIMessage, createAgent, createMiddleware, fakeModel, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

type Tools = NonNullable<Parameters<typeof createAgent>[0]['tools']>;

async function run(guard: Guard, tools: Tools, first: AIMessage, config: object = {}) {
  const agent = createAgent({ model: fakeModel().respond(first).respond(done()), tools, middleware: [countersignMiddleware(guard)] });
  return toolMessages(await agent.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-1' }, ...config }));
}

/** A tool that takes anything, and notes what it ran with. */
const open = (ran: unknown[]) =>
  tool((args: unknown) => (ran.push(args), 'ok'), { name: 'read', description: 'x', schema: { type: 'object' } as const });

function cyclic(): Record<string, unknown> {
  const args: Record<string, unknown> = { n: 1 };
  args['self'] = args;
  return args;
}

/** Hands these arguments on, past everything that would serialise them. */
async function runWith(guard: Guard, args: unknown, ran: unknown[], made: Tools[number] = open(ran)) {
  const bending = createMiddleware({
    name: 'bending',
    wrapToolCall: (request, handler) => handler({ ...request, toolCall: { ...request.toolCall, args: args as never } }),
  });
  const model = fakeModel()
    .respond(asks({ name: 'read', args: {}, id: 'c1' }))
    .respond(done());
  const agent = createAgent({ model, tools: [made], middleware: [bending, countersignMiddleware(guard)] });
  return toolMessages(await agent.invoke({ messages: 'go' }));
}

describe('arguments that are refused, on record, and run nothing', () => {
  const getter = Object.defineProperty({}, 'n', { enumerable: true, get: () => 1 });
  const CASES: readonly (readonly [string, unknown])[] = [
    ['a cycle', cyclic()],
    ['a getter', getter],
    ['a member called __proto__', JSON.parse('{"__proto__":{"admin":true}}')],
    ['a BigInt', { n: 1n }],
    ['NaN', { n: Number.NaN }],
    ['a function', { n: () => 1 }],
    ['a symbol', { n: Symbol('n') }],
    ['a lone surrogate', { n: '\ud800' }],
    ['more than 1 MiB', { n: 'x'.repeat(20_000_000) }],
    ['a depth of 100,000', JSON.parse(`${'[1,'.repeat(5000)}1${']'.repeat(5000)}`)],
  ];
  it.each(CASES)('%s', async (_what, args) => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const [message] = await runWith(guard, args, ran);
    expect(message?.status).toBe('error');
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read deny ARGUMENTS_INVALID']);
  });

  it.each([null, undefined, 'text', 7, true])('%j where an object is due, as LangChain takes it', async (args) => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    await runWith(guard, args, ran);
    await guard.close();
    const allowed = decisions(store).filter((line) => line.includes(' allow ')).length;
    expect(allowed).toBeGreaterThanOrEqual(ran.length);
    expect(decisions(store)).toHaveLength(1);
  });
});

it('a proxy that says something else each time is read once', async () => {
  let reads = 0;
  const moody = new Proxy(
    { n: 0 },
    {
      get: (target, name) => (name === 'n' ? ++reads : Reflect.get(target, name)),
      getOwnPropertyDescriptor: () => ({ value: ++reads, enumerable: true, configurable: true, writable: true }),
    },
  );
  const seen: unknown[] = [];
  const { guard } = bench({ policy: definePolicy({ id: 'p', evaluate: ({ args }) => (seen.push(args), { effect: 'allow' }) }) });
  const ran: unknown[] = [];
  await runWith(guard, moody, ran);
  expect(ran).toEqual(seen);
});

describe('arguments with a tool call of their own in them, which LangChain would open', () => {
  const nested = { type: 'tool_call', id: 'x', name: 'read', amount: 3, args: { amount: 1_000_000 } };
  const jsonSchema = { type: 'object', properties: { amount: { type: 'number' } } } as const;
  class OwnInvoke extends StructuredTool {
    override readonly name = 'read';
    override readonly description = 'read';
    override readonly schema: never;
    readonly #ran: unknown[];
    constructor(schema: unknown, ran: unknown[]) {
      super();
      this.schema = schema as never;
      this.#ran = ran;
    }
    override async invoke(...args: Parameters<StructuredTool['invoke']>): Promise<never> {
      return super.invoke(...args) as Promise<never>;
    }
    protected override async _call(args: unknown): Promise<string> {
      this.#ran.push(args);
      return 'done';
    }
  }

  it.each<readonly [string, (ran: unknown[]) => unknown]>([
    ['JSON schema', (ran) => tool((args: unknown) => (ran.push(args), 'done'), { name: 'read', description: 'x', schema: jsonSchema })],
    ['JSON schema and an invoke of its own', (ran) => new OwnInvoke(jsonSchema, ran)],
    ['zod schema and an invoke of its own', (ran) => new OwnInvoke(z.looseObject({}), ran)],
  ])('are refused for a tool with a %s', async (_what, make) => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const [message] = await run(guard, [make(ran) as Tools[number]], asks({ name: 'read', args: nested, id: 'c1' }));
    expect(message?.content).toContain('ARGUMENTS_INVALID');
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read deny ARGUMENTS_INVALID']);
  });
});

describe('schemas', () => {
  const noting = (schema: z.ZodType, ran: unknown[]) =>
    tool((args: unknown) => (ran.push(args), 'ok'), {
      name: 'read',
      description: 'x',
      schema: schema as never,
    }) as unknown as Tools[number];

  it('that are asynchronous are decided on what they make', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const schema = z.object({ n: z.number().transform(async (n) => n + 1) });
    await run(guard, [noting(schema, ran)], asks({ name: 'read', args: { n: 1 }, id: 'c1' }));
    expect(ran).toEqual([{ n: 2 }]);
  });

  it.each([
    [
      'throw',
      z.object({ n: z.any() }).transform(() => {
        throw new Error('schema');
      }),
    ],
    ['reject', z.object({ n: z.any() }).refine(async () => Promise.reject(new Error('schema')))],
  ])('that %s refuse the call, on record', async (_what, schema) => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const [message] = await run(guard, [noting(schema, ran)], asks({ name: 'read', args: { n: 1 }, id: 'c1' }));
    expect(message?.status).toBe('error');
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read deny ARGUMENTS_INVALID']);
  });

  it('that make something the ledger cannot bind refuse the call', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const schema = z.object({ n: z.number().transform(() => Number.NaN) });
    await run(guard, [noting(schema, ran)], asks({ name: 'read', args: { n: 1 }, id: 'c1' }));
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read deny ARGUMENTS_INVALID']);
  });
});

it('a tool that changes its arguments changes no record, and nothing another call gets', async () => {
  const { guard, store } = bench({ policy: allowAll() });
  const seen: string[] = [];
  const schema = { type: 'object', properties: { list: { type: 'array' } } } as const;
  const changing = tool(
    (args: unknown) => {
      const { list } = args as { list: number[] };
      seen.push(JSON.stringify(list));
      list.push(99);
      list[0] = -1;
      return 'changed';
    },
    { name: 'read', description: 'x', schema },
  );
  const shared = { list: [1, 2] };
  const first = asks({ name: 'read', args: shared, id: 'c1' }, { name: 'read', args: shared, id: 'c2' });
  await run(guard, [changing], first);
  await guard.close();
  expect(seen).toEqual(['[1,2]', '[1,2]']);
  expect(shared).toEqual({ list: [1, 2] });
  const recorded = store.entries().filter((entry) => entry.kind === 'decision');
  expect(recorded).toHaveLength(2);
});

const MANY = 1000;
const STORES = [
  ['memory', () => memoryStore()],
  [
    'sqlite',
    () =>
      openStore({ path: join(mkdtempSync(join(tmpdir(), 'countersign-many-')), 'ledger.db'), origin: 'test.example/many', signer: 'none' }),
  ],
] as const;

describe.each(STORES)(`${MANY} calls in one message, %s store`, (_name, opened) => {
  it('are each decided, none is lost, and the budget lets exactly so many run', async () => {
    const store = opened();
    const budgets = [budgetFrom({ id: 'some', per: 'agent', limit: 700, window: '1h' })];
    const guard = createGuard({ agent: 'shopper', policy: allowAll(), store, budgets });
    const ran: { amount: number }[] = [];
    const calls = Array.from({ length: MANY }, (_, at) => ({ name: 'read', args: { amount: at }, id: `c${at}` }));
    const messages = await run(guard, [notingTool('read', ran)], asks(...calls));
    await guard.close();
    expect(new Set(messages.map(({ tool_call_id: id }) => id)).size).toBe(MANY);
    expect(messages.filter(({ status }) => status === 'success')).toHaveLength(700);
    expect(messages.filter(({ text }) => text.includes('BUDGET_EXCEEDED_AGENT_RATE'))).toHaveLength(300);
    expect(ran).toHaveLength(700);
    expect(new Set(ran.map(({ amount }) => amount)).size).toBe(700);
    expect(guard.counters).toMatchObject({ allowed: 700, refused: 300, lostOutcomes: 0 });
    await store.close();
  }, 120_000);
});

describe('a guard that fails on the way', () => {
  it('lets the run go on with denials: what ran was recorded before', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'read', args: { amount: 1 }, id: 'c1' }))
      .respond(asks({ name: 'read', args: { amount: 2 }, id: 'c2' }, { name: 'read', args: { amount: 3 }, id: 'c3' }))
      .respond(done());
    const breaking = tool(
      (args: unknown) => {
        ran.push(args);
        store.failWith(new Error('disk full'));
        return 'read done';
      },
      { name: 'read', description: 'x', schema: z.object({ amount: z.number() }) },
    );
    const agent = createAgent({ model, tools: [breaking], middleware: [countersignMiddleware(guard)] });
    const result = await agent.invoke({ messages: 'go' });
    expect(toolMessages(result).map(({ status }) => status)).toEqual(['success', 'error', 'error']);
    expect(result.messages.at(-1)?.text).toBe('done');
    expect(ran).toHaveLength(1);
    expect(decisions(store)).toHaveLength(1);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('policy');
      },
    ],
    ['rejects', () => Promise.reject(new Error('policy'))],
    ['answers nonsense', () => 'yes' as never],
    ['answers nothing', () => undefined as never],
  ])('refuses when its policy %s', async (_what, evaluate) => {
    const { guard, store } = bench({ policy: definePolicy({ id: 'broken', evaluate }) });
    const ran: unknown[] = [];
    const [message] = await run(guard, [notingTool('read', ran)], asks({ name: 'read', args: {}, id: 'c1' }));
    expect(message?.status).toBe('error');
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read deny POLICY_EVALUATION_FAILED']);
  });

  it('refuses when its store is closed', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    await guard.close();
    await store.close();
    const [message] = await run(guard, [notingTool('read', ran)], asks({ name: 'read', args: {}, id: 'c1' }));
    expect(message?.status).toBe('error');
    expect(ran).toEqual([]);
  });
});

describe('an abort', () => {
  it('before the decision runs nothing', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const aborted = run(guard, [notingTool('read', ran)], asks({ name: 'read', args: {}, id: 'c1' }), { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toThrow(/abort/i);
    expect(ran).toEqual([]);
    expect(outcomes(store)).toEqual([]);
  });

  it('while it is decided runs nothing, and the call is recorded as cancelled', async () => {
    const controller = new AbortController();
    const deciding = definePolicy({
      id: 'slow',
      evaluate: () => {
        controller.abort();
        return { effect: 'allow' as const };
      },
    });
    const { guard, store } = bench({ policy: deciding });
    const ran: unknown[] = [];
    const { signal } = controller;
    await expect(run(guard, [notingTool('read', ran)], asks({ name: 'read', args: {}, id: 'c1' }), { signal })).rejects.toThrow(
      /abort|enough/i,
    );
    await guard.close();
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK']);
    expect(outcomes(store)).toEqual(['cancelled']);
  });

  it('while the tool runs is an outcome of its own when the tool gives up', async () => {
    const controller = new AbortController();
    const { guard, store } = bench();
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = tool(
      async (_args: unknown, config: { signal?: AbortSignal }) => {
        controller.abort(new Error('enough'));
        resolve();
        config.signal?.throwIfAborted();
        return 'too late';
      },
      { name: 'read', description: 'x', schema: z.object({}) },
    );
    const { signal } = controller;
    await expect(run(guard, [waiting as unknown as Tools[number]], asks({ name: 'read', args: {}, id: 'c1' }), { signal })).rejects.toThrow(
      /abort|enough/i,
    );
    await promise;
    await guard.close();
    expect(outcomes(store)).toEqual(['cancelled']);
  });

  it('while a person is waited for runs nothing, ever', async () => {
    const { guard, store } = bench();
    const controller = new AbortController();
    const ran: unknown[] = [];
    const model = fakeModel().respond(asks({ name: 'pay', args: {}, id: 'c1' }));
    const agent = createAgent({ model, tools: [notingTool('pay', ran)], middleware: [countersignMiddleware(guard, { approval: 'wait' })] });
    const running = agent.invoke({ messages: 'go' }, { signal: controller.signal });
    const settled = running.then(
      () => 'went on',
      () => 'aborted',
    );
    let [pending] = await guard.approvals.list({ state: 'pending' });
    while (pending === undefined) {
      await new Promise((go) => setImmediate(go));
      [pending] = await guard.approvals.list({ state: 'pending' });
    }
    controller.abort();
    expect(await settled).toBe('aborted');
    // Refused where the question was taken back, too late where it was not.
    await guard.approvals.resolve(pending.id, { decision: 'approve' }, { id: 'alice', method: 'host' }).catch(() => undefined);
    await guard.close();
    expect(ran).toEqual([]);
    expect(decisions(store).filter((line) => line.includes(' allow '))).toEqual([]);
  });
});
