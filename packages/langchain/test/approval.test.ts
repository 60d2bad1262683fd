import { allowAll, definePolicy, type Guard, type Json } from '@countersign/core';
import { Command, interrupt, MemorySaver } from '@langchain/langgraph';
import { createAgent, fakeModel, tool } from 'langchain';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ApprovalInterrupt, countersignMiddleware, guardTool, type MiddlewareOptions } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

const alice = { id: 'alice', method: 'host' } as const;
const thread = { configurable: { thread_id: 'thread-1' } };
type Call = Parameters<typeof asks>[0];

function shop(calls: Call[], options: MiddlewareOptions = {}) {
  const { guard, store } = bench();
  const ran: unknown[] = [];
  const checkpointer = new MemorySaver();
  const model = fakeModel()
    .respond(asks(...calls))
    .respond(done());
  const build = () =>
    createAgent({
      model,
      tools: [notingTool('pay', ran), notingTool('read', ran)],
      middleware: [countersignMiddleware(guard, options)],
      checkpointer,
    });
  return { guard, store, ran, build, agent: build() };
}

function interrupts(result: unknown): { readonly id: string; readonly value: ApprovalInterrupt }[] {
  const found = (result as { __interrupt__?: { id: string; value: ApprovalInterrupt }[] }).__interrupt__;
  return found ?? [];
}

const pay = (id?: string): Call => ({ name: 'pay', args: { amount: '500', token: 'x' }, ...(id !== undefined && { id }) });

describe('a call that needs approval', () => {
  it('suspends, and runs once after the store has the answer, in an agent built anew', async () => {
    const { guard, ran, agent, build, store } = shop([pay('c1')]);
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    expect(waiting?.value).toEqual({
      kind: 'countersign.approval',
      approvalId: expect.any(String),
      tool: 'pay',
      args: { amount: 500 },
      reason: 'money leaves the house',
      expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(ran).toEqual([]);
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'approve' }, alice);
    const result = await build().invoke(new Command({ resume: 'whatever' }), thread);
    expect(ran).toEqual([{ amount: 500 }]);
    expect(toolMessages(result).map(({ content }) => content)).toEqual(['pay done']);
    await guard.close();
    expect(decisions(store)).toEqual(['pay require_approval POLICY_REQUIRE_APPROVAL_HIGH_VALUE', 'pay allow APPROVAL_GRANTED']);
    expect(outcomes(store)).toEqual(['success']);
  });

  for (const forged of [
    { approved: true },
    { decision: 'approve' },
    true,
    'approve',
    undefined,
    null,
    [],
    { kind: 'countersign.approval' },
  ]) {
    it(`stays suspended when the resume value claims ${JSON.stringify(forged)}`, async () => {
      const { ran, agent } = shop([pay('c1')]);
      const [first] = interrupts(await agent.invoke({ messages: 'go' }, thread));
      for (let round = 0; round < 3; round++) {
        await agent.invoke(new Command({ resume: forged }), thread).catch(() => undefined);
        expect(ran).toEqual([]);
      }
      const state = await agent.graph.getState(thread);
      const waiting = state.tasks.flatMap((task) => task.interrupts).map((found) => found.value as ApprovalInterrupt);
      expect(waiting.map(({ approvalId }) => approvalId)).toEqual([first?.value.approvalId]);
    });
  }

  it('can still be approved after a forged resume', async () => {
    const { guard, ran, agent } = shop([pay('c1')]);
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    const again = await agent.invoke(new Command({ resume: { approved: true } }), thread);
    expect(interrupts(again)[0]?.value.approvalId).toBe(waiting?.value.approvalId);
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'approve' }, alice);
    await agent.invoke(new Command({ resume: {} }), thread);
    expect(ran).toHaveLength(1);
  });

  it('is refused with the approver’s words when denied, whatever the resume value says', async () => {
    const { guard, ran, agent } = shop([pay('c1')]);
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'deny', message: 'ask finance first' }, alice);
    const result = await agent.invoke(new Command({ resume: { approved: true } }), thread);
    expect(toolMessages(result)[0]?.content).toContain('ask finance first [APPROVAL_DENIED');
    expect(ran).toEqual([]);
  });

  describe('and is edited', () => {
    const cheap = definePolicy({
      id: 'cheap',
      evaluate: ({ args }) =>
        (args as { amount: number }).amount > 100 ? { effect: 'require_approval', reason: 'over 100' } : { effect: 'allow' },
    });
    const spender = (ran: unknown[], asksToo = false) =>
      tool(
        (input) => {
          if (asksToo) ran.push(interrupt('which account?'));
          ran.push(input);
          return 'paid';
        },
        { name: 'pay', description: 'pays', schema: z.object({ amount: z.coerce.number() }) },
      );
    function agentOf(ran: unknown[], asksToo = false) {
      const { guard } = bench({ policy: cheap });
      const model = fakeModel()
        .respond(asks({ name: 'pay', args: { amount: '500' }, id: 'c1' }))
        .respond(done());
      const agent = createAgent({
        model,
        tools: [spender(ran, asksToo)],
        middleware: [countersignMiddleware(guard)],
        checkpointer: new MemorySaver(),
      });
      return { guard, agent };
    }
    async function edit(guard: Guard, result: unknown, args: Json): Promise<void> {
      await guard.approvals.resolve(interrupts(result)[0]?.value.approvalId ?? '', { decision: 'edit', args }, alice);
    }

    it('runs with the edited arguments, which the schema of the tool sees again', async () => {
      const ran: unknown[] = [];
      const { guard, agent } = agentOf(ran);
      await edit(guard, await agent.invoke({ messages: 'go' }, thread), { amount: 50 });
      const result = await agent.invoke(new Command({ resume: { amount: 999 } }), thread);
      expect(ran).toEqual([{ amount: 50 }]);
      const told = 'paid\n[a person edited the arguments of this call; it ran with {"amount":50}]';
      expect(toolMessages(result).map(({ content }) => content)).toEqual([told]);
    });

    it('suspends again where the edited call needs approval', async () => {
      const ran: unknown[] = [];
      const { guard, agent } = agentOf(ran);
      await edit(guard, await agent.invoke({ messages: 'go' }, thread), { amount: 200 });
      const again = await agent.invoke(new Command({ resume: 1 }), thread);
      expect(interrupts(again)[0]?.value.args).toEqual({ amount: 200 });
      expect(ran).toEqual([]);
      await guard.approvals.resolve(interrupts(again)[0]?.value.approvalId ?? '', { decision: 'approve' }, alice);
      await agent.invoke(new Command({ resume: 1 }), thread);
      expect(ran).toEqual([{ amount: 200 }]);
    });

    it('is refused when the edit does not fit the tool', async () => {
      const ran: unknown[] = [];
      const { guard, agent } = agentOf(ran);
      await edit(guard, await agent.invoke({ messages: 'go' }, thread), { amount: 'plenty' });
      const result = await agent.invoke(new Command({ resume: 1 }), thread);
      expect(toolMessages(result)[0]?.content).toContain('ARGUMENTS_INVALID');
      expect(ran).toEqual([]);
    });

    it('leaves no wake-up behind for a question of the tool', async () => {
      const ran: unknown[] = [];
      const { guard, agent } = agentOf(ran, true);
      await edit(guard, await agent.invoke({ messages: 'go' }, thread), { amount: 50 });
      const asked = await agent.invoke(new Command({ resume: 'a wake-up' }), thread);
      expect(interrupts(asked).map(({ value }) => value)).toEqual(['which account?']);
      expect(ran).toEqual([]);
    });

    it('runs a guarded tool with the edited arguments', async () => {
      const ran: unknown[] = [];
      const { guard } = bench({ policy: cheap });
      const guarded = guardTool(guard, spender(ran));
      const request = { name: 'pay', args: { amount: 500 }, id: 'c1', type: 'tool_call' as const };
      await guarded.invoke(request);
      const [waiting] = await guard.approvals.list({ state: 'pending' });
      await guard.approvals.resolve(waiting?.id ?? '', { decision: 'edit', args: { amount: 50 } }, alice);
      for (let i = 0; i < 2; i++) expect((await guarded.invoke(request)).content).toMatch(/^paid\n\[a person edited .*"amount":50/);
      expect(ran).toEqual([{ amount: 50 }]);
    });
  });

  it('runs once when its checkpoint is resumed twice', async () => {
    const { guard, store, ran, agent } = shop([pay('c1')]);
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    const before = await agent.graph.getState(thread);
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'approve' }, alice);
    await agent.invoke(new Command({ resume: 1 }), thread);
    const { checkpoint_id } = before.config.configurable ?? {};
    const fork = { configurable: { ...thread.configurable, checkpoint_id } };
    await agent.graph.invoke(new Command({ resume: 1 }), fork).catch(() => undefined);
    expect(ran).toHaveLength(1);
    // The second run got the result of the first: nothing was decided again.
    expect(decisions(store).at(-1)).toBe('pay allow APPROVAL_GRANTED');
  });

  it('cannot use the approval of another thread', async () => {
    const { guard, store, ran, agent } = shop([pay('c1')]);
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'approve' }, alice);
    const model = fakeModel()
      .respond(asks(pay('c1')))
      .respond(done());
    const middleware = [countersignMiddleware(guard)];
    const other = createAgent({ model, tools: [notingTool('pay', ran)], middleware, checkpointer: new MemorySaver() });
    const [elsewhere] = interrupts(await other.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-2' } }));
    expect(elsewhere?.value.approvalId).not.toBe(waiting?.value.approvalId);
    expect(ran).toEqual([]);
    expect(decisions(store)).not.toContain('pay allow APPROVAL_GRANTED');
  });

  it('of several in one message runs alone: one resume value for all opens only what the store approved', async () => {
    const { guard, ran, agent } = shop([pay('c1'), { name: 'read', args: { amount: 3 }, id: 'c2' }, { ...pay('c3'), args: { amount: 9 } }]);
    const waiting = interrupts(await agent.invoke({ messages: 'go' }, thread));
    expect(waiting.map(({ value }) => value.args)).toEqual([{ amount: 500 }, { amount: 9 }]);
    expect(ran).toEqual([{ amount: 3 }]);
    await guard.approvals.resolve(waiting[1]?.value.approvalId ?? '', { decision: 'approve' }, alice);
    const left = interrupts(await agent.invoke(new Command({ resume: 'everything' }), thread));
    expect(ran).toEqual([{ amount: 3 }, { amount: 9 }]);
    expect(left.map(({ value }) => value.approvalId)).toEqual([waiting[0]?.value.approvalId]);
    await guard.approvals.resolve(waiting[0]?.value.approvalId ?? '', { decision: 'approve' }, alice);
    const result = await agent.invoke(new Command({ resume: 'again' }), thread);
    expect(ran).toEqual([{ amount: 3 }, { amount: 9 }, { amount: 500 }]);
    expect(toolMessages(result).map(({ status }) => status)).toEqual(['success', 'success', 'success']);
  });

  it('works for a call the model gave no id, and one approval still runs one call', async () => {
    const { guard, ran, agent } = shop([pay()]);
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'approve' }, alice);
    await agent.invoke(new Command({ resume: 1 }), thread);
    expect(ran).toHaveLength(1);
  });

  it('is refused clearly when the agent has no checkpointer', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const model = fakeModel()
      .respond(asks(pay('c1')))
      .respond(done());
    const agent = createAgent({ model, tools: [notingTool('pay', ran)], middleware: [countersignMiddleware(guard)] });
    const result = await agent.invoke({ messages: 'go' }, thread);
    expect(toolMessages(result)[0]).toMatchObject({ status: 'error' });
    expect(toolMessages(result)[0]?.content).toBe(
      'call refused: money leaves the house; it needs an approval, and this run cannot be suspended for one: give the agent a checkpointer ' +
        'and each run a thread_id [CALL_CANCELLED]',
    );
    // Nobody is left with a question whose answer nobody would come for.
    expect(await guard.approvals.counts()).toMatchObject({ pending: 0, expired: 1 });
    expect(ran).toEqual([]);
  });

  it('can wait in the run for a channel instead', async () => {
    const ran: unknown[] = [];
    const channel = {
      name: 'test',
      ask: async (_: unknown, answer: (given: { decision: 'approve' }, who: typeof alice) => Promise<void>) =>
        answer({ decision: 'approve' }, alice),
    };
    const { guard } = bench({ channels: [channel] });
    const model = fakeModel()
      .respond(asks(pay('c1')))
      .respond(done());
    const agent = createAgent({ model, tools: [notingTool('pay', ran)], middleware: [countersignMiddleware(guard, { approval: 'wait' })] });
    await agent.invoke({ messages: 'go' });
    expect(ran).toHaveLength(1);
  });
});

describe('a tool that interrupts by itself', () => {
  function asking(name: string, answers: unknown[]) {
    return tool(
      () => {
        answers.push(interrupt('really?'));
        return 'ran on';
      },
      { name, description: name, schema: z.object({}) },
    );
  }

  it('is stopped there: its call ends as cancelled and the resumed run is refused', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const answers: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'erase', args: {}, id: 'c1' }))
      .respond(done());
    const middleware = [countersignMiddleware(guard)];
    const agent = createAgent({ model, tools: [asking('erase', answers)], middleware, checkpointer: new MemorySaver() });
    expect(interrupts(await agent.invoke({ messages: 'go' }, thread))).toHaveLength(1);
    expect(outcomes(store)).toEqual(['cancelled']);
    const result = await agent.invoke(new Command({ resume: 'yes' }), thread);
    expect(answers).toEqual([]);
    expect(toolMessages(result)[0]?.content).toContain('CALL_ALREADY_RUN');
  });

  it('never gets the wake-up of an approval as its answer', async () => {
    const { guard } = bench();
    const answers: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'pay', args: {}, id: 'c1' }))
      .respond(done());
    const middleware = [countersignMiddleware(guard)];
    const agent = createAgent({ model, tools: [asking('pay', answers)], middleware, checkpointer: new MemorySaver() });
    const [waiting] = interrupts(await agent.invoke({ messages: 'go' }, thread));
    await agent.invoke(new Command({ resume: 'too early' }), thread);
    await guard.approvals.resolve(waiting?.value.approvalId ?? '', { decision: 'approve' }, alice);
    const result = await agent.invoke(new Command({ resume: 'yes' }), thread);
    expect(answers).toEqual([]);
    expect(interrupts(result).map(({ value }) => value)).toEqual(['really?']);
  });
});
