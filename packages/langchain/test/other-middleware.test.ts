/** LangChain's own middleware beside ours, in every order: nothing revives a call we refused, and nothing runs off the record. */
import { allowAll, budgetFrom, denyAll, type GuardOptions } from '@countersign/core';
import { Command, isGraphBubbleUp, MemorySaver } from '@langchain/langgraph';
import {
  type AgentMiddleware,
  createAgent,
  fakeModel,
  humanInTheLoopMiddleware,
  toolCallLimitMiddleware,
  toolErrorMiddleware,
  toolRetryMiddleware,
} from 'langchain';
import { describe, expect, it } from 'vitest';
import { countersignMiddleware, type MiddlewareOptions } from '../src/index.ts';
import { asks, type Bench, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

const CONFIG = { configurable: { thread_id: 'thread-1' } };

/** Their own types do not fit createAgent under exactOptionalPropertyTypes. */
const typed = (middleware: unknown): AgentMiddleware => middleware as AgentMiddleware;
const retry = (more: object = {}) => typed(toolRetryMiddleware({ maxRetries: 2, initialDelayMs: 0, jitter: false, ...more }));
const errors = () => toolErrorMiddleware({ onError: (error) => `it failed: ${String(error)}` });
const limit = (more: object = {}) => typed(toolCallLimitMiddleware({ runLimit: 10, ...more } as never));
const human = (names: readonly string[]) =>
  typed(humanInTheLoopMiddleware({ interruptOn: Object.fromEntries(names.map((name) => [name, true])) } as never));

/** Every order of the list. */
function orders<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, at) => orders(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}

interface Agent {
  readonly made: Bench;
  readonly ran: unknown[];
  readonly agent: { invoke(input: unknown, config: object): Promise<Parameters<typeof toolMessages>[0] & Record<string, unknown>> };
}

function agentOf(
  middleware: (guarded: AgentMiddleware) => AgentMiddleware[],
  calls: Parameters<typeof asks>,
  more: { readonly guard?: Partial<GuardOptions>; readonly options?: MiddlewareOptions; readonly fails?: number } = {},
): Agent {
  const made = bench(more.guard);
  const ran: unknown[] = [];
  let fails = more.fails ?? 0;
  const tools = ['read', 'erase', 'pay'].map((name) => {
    const noting = notingTool(name, ran);
    const inner = noting.func;
    noting.func = async (...args) => {
      const result: unknown = await inner(...args);
      if (fails-- > 0) throw new Error('not now');
      return result as string;
    };
    return noting;
  });
  const model = fakeModel()
    .respond(asks(...calls))
    .respond(done())
    .respond(done());
  const list = middleware(countersignMiddleware(made.guard, more.options ?? {}));
  const agent = createAgent({ model, tools, middleware: list, checkpointer: new MemorySaver() });
  return { made, ran, agent };
}

const allowed = ({ made }: Agent) => decisions(made.store).filter((line) => line.includes(' allow ')).length;

describe('a call we refused', () => {
  const names = ['guard', 'retry', 'errors', 'limit', 'human'] as const;
  const make = { retry: () => retry(), errors, limit: () => limit(), human: () => human(['read']) };

  it.each(orders(names).map((order, at) => [order.join(', '), order, at % 2 === 0 ? 'message' : 'throw'] as const))(
    'stays refused: [%s]',
    async (_title, order, toolErrors) => {
      const made = agentOf(
        (guarded) => order.map((name) => (name === 'guard' ? guarded : make[name]())),
        [{ name: 'erase', args: {}, id: 'c1' }],
        { options: { toolErrors } },
      );
      const result = await made.agent.invoke({ messages: 'go' }, CONFIG);
      expect(made.ran).toEqual([]);
      expect(toolMessages(result)).toMatchObject([{ status: 'error' }]);
      expect(toolMessages(result)[0]?.text).toContain('POLICY_DENY_HIGH_RISK');
      expect(decisions(made.made.store)).toEqual(['erase deny POLICY_DENY_HIGH_RISK']);
    },
  );

  it.each(['approve', 'edit'])('stays refused when a person %ss it in humanInTheLoopMiddleware', async (type) => {
    const made = agentOf((guarded) => [human(['erase']), guarded], [{ name: 'erase', args: {}, id: 'c1' }]);
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    const decision = type === 'edit' ? { type, editedAction: { name: 'erase', args: { amount: 2 } } } : { type };
    const result = await made.agent.invoke(new Command({ resume: { decisions: [decision] } }), CONFIG);
    expect(made.ran).toEqual([]);
    expect(toolMessages(result).at(-1)?.text).toContain('POLICY_DENY_HIGH_RISK');
  });
});

describe('toolRetryMiddleware', () => {
  const failing = [{ name: 'read', args: { amount: 1 }, id: 'c1' }] as const;

  it('before ours: each attempt is decided and charged anew, until the budget is used up', async () => {
    const budgets = [budgetFrom({ id: 'two', per: 'agent', limit: 2, window: '1h' })];
    const made = agentOf((guarded) => [retry({ maxRetries: 5 }), guarded], [...failing], {
      fails: 9,
      guard: { budgets },
      options: { toolErrors: 'throw' },
    });
    const result = await made.agent.invoke({ messages: 'go' }, CONFIG);
    await made.made.guard.close();
    expect(made.ran).toHaveLength(2);
    expect(decisions(made.made.store)).toEqual([
      'read allow POLICY_ALLOW_LOW_RISK',
      'read allow POLICY_ALLOW_LOW_RISK',
      'read deny BUDGET_EXCEEDED_AGENT_RATE',
    ]);
    expect(outcomes(made.made.store)).toEqual(['error', 'error']);
    // A refusal is a message: it is not tried again.
    expect(toolMessages(result)[0]?.text).toContain('BUDGET_EXCEEDED_AGENT_RATE');
  });

  it('before ours, which tells the model of exceptions: there is nothing to retry', async () => {
    const made = agentOf((guarded) => [retry(), guarded], [...failing], { fails: 9 });
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    expect(made.ran).toHaveLength(1);
  });

  it.each([0, 1, 2, 3])('in any order and with toolErrorMiddleware, %i failures: what ran is what was allowed', async (fails) => {
    for (const order of orders(['guard', 'retry', 'errors'] as const)) {
      for (const toolErrors of ['message', 'throw'] as const) {
        const made = agentOf((guarded) => order.map((name) => ({ guard: guarded, retry: retry(), errors: errors() })[name]), [...failing], {
          fails,
          options: { toolErrors },
        });
        await made.agent.invoke({ messages: 'go' }, CONFIG);
        await made.made.guard.close();
        expect([order, made.ran.length]).toEqual([order, allowed(made)]);
        expect(outcomes(made.made.store)).toHaveLength(allowed(made));
      }
    }
  });

  it('catches the interrupt of an approval: nothing runs, and the model and the developer read why', async () => {
    const made = agentOf((guarded) => [retry(), guarded], [{ name: 'pay', args: {}, id: 'c1' }]);
    const result = await made.agent.invoke({ messages: 'go' }, CONFIG);
    expect(made.ran).toEqual([]);
    expect(toolMessages(result)[0]?.text).toMatch(/caught the interrupt.*APPROVAL_PROCESS_FAILED/);
    expect(await made.made.guard.approvals.list({ state: 'pending' })).toHaveLength(1);
  });

  it('told to let interrupts go, suspends the run, and the approved call runs once', async () => {
    const retrying = toolRetryMiddleware({
      retryOn: (error) => !isGraphBubbleUp(error),
      onFailure: (error) => {
        if (isGraphBubbleUp(error)) throw error;
        return `failed: ${error.message}`;
      },
    });
    const made = agentOf((guarded) => [retrying, guarded], [{ name: 'pay', args: {}, id: 'c1' }], {
      options: { toolErrors: 'throw' },
      fails: 0,
    });
    const asked = await made.agent.invoke({ messages: 'go' }, CONFIG);
    expect(asked['__interrupt__']).toHaveLength(1);
    const [pending] = await made.made.guard.approvals.list({ state: 'pending' });
    await made.made.guard.approvals.resolve(pending?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    const result = await made.agent.invoke(new Command({ resume: true }), CONFIG);
    expect(toolMessages(result)[0]?.text).toBe('pay done');
    expect(made.ran).toHaveLength(1);
  });

  it('an approval is good for one attempt: the retry asks again', async () => {
    const made = agentOf(
      (guarded) => [retry({ retryOn: (error: Error) => !isGraphBubbleUp(error), onFailure: 'error' }), guarded],
      [{ name: 'pay', args: {}, id: 'c1' }],
      {
        options: { toolErrors: 'throw' },
        fails: 1,
      },
    );
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    const [pending] = await made.made.guard.approvals.list({ state: 'pending' });
    await made.made.guard.approvals.resolve(pending?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    const again = await made.agent.invoke(new Command({ resume: true }), CONFIG);
    expect(again['__interrupt__']).toHaveLength(1);
    expect(made.ran).toHaveLength(1);
    expect(await made.made.guard.approvals.list({ state: 'pending' })).toHaveLength(1);
  });
});

describe('humanInTheLoopMiddleware', () => {
  it.each([
    ['before', (guarded: AgentMiddleware) => [human(['read']), guarded]],
    ['after', (guarded: AgentMiddleware) => [guarded, human(['read'])]],
  ])('%s ours: what a person edits is what is decided and runs', async (_where, list) => {
    const made = agentOf(list, [{ name: 'read', args: { amount: 1 }, id: 'c1' }]);
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    expect(decisions(made.made.store)).toEqual([]);
    const edited = { type: 'edit', editedAction: { name: 'read', args: { amount: 5 } } };
    await made.agent.invoke(new Command({ resume: { decisions: [edited] } }), CONFIG);
    expect(made.ran).toEqual([{ amount: 5 }]);
    expect(decisions(made.made.store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK']);
  });

  it.each([
    ['before', (guarded: AgentMiddleware) => [human(['read']), guarded]],
    ['after', (guarded: AgentMiddleware) => [guarded, human(['read'])]],
  ])('%s ours: a person who edits an allowed call into another tool opens nothing', async (_where, list) => {
    const made = agentOf(list, [{ name: 'read', args: {}, id: 'c1' }]);
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    const edited = { type: 'edit', editedAction: { name: 'erase', args: {} } };
    // LangChain may reject the edit itself; either way nothing runs.
    await made.agent.invoke(new Command({ resume: { decisions: [edited] } }), CONFIG).catch(() => undefined);
    expect(made.ran).toEqual([]);
  });

  it('a call a person rejects never comes to us, and one beside it runs on the record or not at all', async () => {
    const made = agentOf(
      (guarded) => [human(['erase']), guarded],
      [
        { name: 'erase', args: {}, id: 'c1' },
        { name: 'read', args: {}, id: 'c2' },
      ],
    );
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    await made.agent.invoke(new Command({ resume: { decisions: [{ type: 'reject', message: 'no' }] } }), CONFIG);
    expect(made.ran).toHaveLength(allowed(made));
    expect(decisions(made.made.store).filter((line) => line.startsWith('erase'))).toEqual([]);
  });

  it('a person asked by both is asked twice, and the resume of one is no answer to the other', async () => {
    const made = agentOf((guarded) => [human(['pay']), guarded], [{ name: 'pay', args: {}, id: 'c1' }]);
    await made.agent.invoke({ messages: 'go' }, CONFIG);
    const asked = await made.agent.invoke(new Command({ resume: { decisions: [{ type: 'approve' }] } }), CONFIG);
    expect(asked['__interrupt__']).toMatchObject([{ value: { kind: 'countersign.approval' } }]);
    await made.agent.invoke(new Command({ resume: { decisions: [{ type: 'approve' }] } }), CONFIG);
    expect(made.ran).toEqual([]);
  });
});

describe('toolCallLimitMiddleware', () => {
  const two = [
    { name: 'read', args: { amount: 1 }, id: 'c1' },
    { name: 'read', args: { amount: 2 }, id: 'c2' },
  ] as const;

  it.each([
    ['before', (guarded: AgentMiddleware) => [limit({ runLimit: 1 }), guarded]],
    ['after', (guarded: AgentMiddleware) => [guarded, limit({ runLimit: 1 })]],
  ])('%s ours: a call it takes away never comes to us', async (_where, list) => {
    const made = agentOf(list, [...two]);
    const result = await made.agent.invoke({ messages: 'go' }, CONFIG);
    expect(made.ran).toEqual([{ amount: 1 }]);
    expect(decisions(made.made.store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK']);
    expect(toolMessages(result)).toHaveLength(2);
  });

  it('that ends the run leaves nothing undecided behind', async () => {
    const made = agentOf((guarded) => [limit({ runLimit: 1, exitBehavior: 'error' }), guarded], [...two]);
    await expect(made.agent.invoke({ messages: 'go' }, CONFIG)).rejects.toThrow(/limit/);
    expect(made.ran).toHaveLength(allowed(made));
  });
});

it('two of ours with guards of their own both decide: the stricter one wins, in either order', async () => {
  for (const strict of [0, 1]) {
    const [outer, inner] = [
      bench({ policy: strict === 0 ? denyAll() : allowAll() }),
      bench({ policy: strict === 1 ? denyAll() : allowAll() }),
    ];
    const ran: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }))
      .respond(done());
    const second = { ...countersignMiddleware(inner.guard), name: 'SecondGuard' };
    const agent = createAgent({ model, tools: [notingTool('read', ran)], middleware: [countersignMiddleware(outer.guard), second] });
    const [message] = toolMessages(await agent.invoke({ messages: 'go' }));
    expect(message?.status).toBe('error');
    expect(ran).toEqual([]);
  }
});

it('two of ours that both allow run the tool once, and both record it', async () => {
  const [outer, inner] = [bench(), bench()];
  const ran: unknown[] = [];
  const model = fakeModel()
    .respond(asks({ name: 'read', args: { amount: 2 }, id: 'c1' }))
    .respond(done());
  const second = { ...countersignMiddleware(inner.guard), name: 'SecondGuard' };
  const agent = createAgent({ model, tools: [notingTool('read', ran)], middleware: [countersignMiddleware(outer.guard), second] });
  const [message] = toolMessages(await agent.invoke({ messages: 'go' }));
  expect(message?.content).toBe('read done');
  expect(ran).toEqual([{ amount: 2 }]);
  expect([decisions(outer.store), decisions(inner.store)]).toEqual([
    ['read allow POLICY_ALLOW_LOW_RISK'],
    ['read allow POLICY_ALLOW_LOW_RISK'],
  ]);
});
