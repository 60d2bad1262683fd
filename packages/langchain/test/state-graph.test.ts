/** A graph of one's own, without createAgent: the prebuilt ToolNode with guarded tools. */
import { AIMessage, type BaseMessage } from '@langchain/core/messages';
import { Command, END, INTERRUPT, MemorySaver, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { ToolNode } from '@langchain/langgraph/prebuilt';
import { describe, expect, it } from 'vitest';
import { type ApprovalInterrupt, guardTool } from '../src/index.ts';
import { asks, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

function graphOf(calls: Parameters<typeof asks>) {
  const made = bench();
  const ran: unknown[] = [];
  const tools = ['read', 'pay', 'erase'].map((name) => guardTool(made.guard, notingTool(name, ran)));
  const answers = [asks(...calls), done()];
  const graph = new StateGraph(MessagesAnnotation)
    .addNode('model', ({ messages }) => ({
      messages: [answers[messages.filter((message) => AIMessage.isInstance(message)).length] as AIMessage],
    }))
    .addNode('tools', new ToolNode(tools))
    .addEdge(START, 'model')
    .addConditionalEdges('model', ({ messages }) => (hasCalls(messages.at(-1)) ? 'tools' : END), ['tools', END])
    .addEdge('tools', 'model')
    .compile({ checkpointer: new MemorySaver() });
  return { ...made, ran, graph };
}

function hasCalls(message: BaseMessage | undefined): boolean {
  return AIMessage.isInstance(message) && (message.tool_calls ?? []).length > 0;
}

const CONFIG = { configurable: { thread_id: 'thread-1' } };
const go = { messages: [{ role: 'user', content: 'go' }] };
const ALICE = { id: 'alice', method: 'host' } as const;

describe('a StateGraph with the prebuilt ToolNode', () => {
  it('runs what is allowed and tells the model of what is denied', async () => {
    const { graph, ran, store, guard } = graphOf([
      { name: 'read', args: { amount: '2' }, id: 'c1' },
      { name: 'erase', args: {}, id: 'c2' },
      { name: 'nothing', args: {}, id: 'c3' },
    ]);
    const result = await graph.invoke(go, CONFIG);
    await guard.close();
    expect(ran).toEqual([{ amount: 2 }]);
    expect(toolMessages(result).map(({ status }) => status ?? 'success')).toEqual(['success', 'error', 'error']);
    expect(toolMessages(result)[1]?.text).toContain('POLICY_DENY_HIGH_RISK');
    expect(decisions(store).toSorted()).toEqual(['erase deny POLICY_DENY_HIGH_RISK', 'read allow POLICY_ALLOW_LOW_RISK']);
    expect(outcomes(store)).toEqual(['success']);
    expect(store.entries().every((entry) => entry.kind !== 'decision' || entry.session === 'thread-1')).toBe(true);
  });

  it('stops for an approval, resuming alone runs nothing, and the approved call and its sibling run once', async () => {
    const { graph, ran, guard, store } = graphOf([
      { name: 'read', args: { amount: 2 }, id: 'c1' },
      { name: 'pay', args: { amount: 3 }, id: 'c2' },
    ]);
    const asked = (await graph.invoke(go, CONFIG)) as unknown as { [INTERRUPT]: readonly { value: ApprovalInterrupt }[] };
    const approvalId = asked[INTERRUPT][0]?.value.approvalId ?? '';
    await graph.invoke(new Command({ resume: { decision: 'approve' } }), CONFIG);
    expect(ran).toEqual([{ amount: 2 }]);
    await guard.approvals.resolve(approvalId, { decision: 'approve' }, ALICE);
    const result = await graph.invoke(new Command({ resume: true }), CONFIG);
    await guard.close();
    expect(ran).toEqual([{ amount: 2 }, { amount: 3 }]);
    expect(toolMessages(result).map(({ text }) => text)).toEqual(['read done', 'pay done']);
    expect(outcomes(store)).toEqual(['success', 'success']);
  });

  it('a denied approval is told to the model and runs nothing', async () => {
    const { graph, ran, guard } = graphOf([{ name: 'pay', args: { amount: 3 }, id: 'c2' }]);
    await graph.invoke(go, CONFIG);
    const [pending] = await guard.approvals.list({ state: 'pending' });
    await guard.approvals.resolve(pending?.id ?? '', { decision: 'deny', message: 'too much' }, ALICE);
    const result = await graph.invoke(new Command({ resume: true }), CONFIG);
    expect(ran).toEqual([]);
    expect(toolMessages(result)[0]?.text).toMatch(/too much.*APPROVAL_DENIED/);
  });
});
