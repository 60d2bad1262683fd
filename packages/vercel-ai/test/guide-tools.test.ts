/** The programs of "Tools" and "Approvals" in docs/guides/ai-sdk.md. */
import { createMCPClient } from '@ai-sdk/mcp';
import { type Policy, rulePolicy } from '@countersign/core';
import { immediateApprover } from '@countersign/core/testing';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { generateText, isStepCount, ToolLoopAgent, tool } from 'ai';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, type FrameworkCall, guardTools, resolveFrom } from '../src/index.ts';
import { approved, bench, decisions, requests, told, user } from './chat.ts';
import { scripted } from './stream.ts';

const policy: Policy = rulePolicy({
  id: 'shop',
  default: 'deny',
  rules: [
    { id: 'look', tools: ['stock', 'files/read', 'errand'], effect: 'allow' },
    { id: 'pay', tools: ['pay'], effect: 'require_approval', reason: 'money leaves the house' },
  ],
});

const stock = tool({ inputSchema: z.object({ item: z.string() }), execute: ({ item }) => `${item}: 3 left` });

it('tools of our own and of an MCP server, with who asks from the context', async () => {
  const { guard, store } = bench({ policy });
  const server = new McpServer({ name: 'anything', version: '1' });
  server.registerTool('read', { inputSchema: { path: z.string() } }, ({ path }) => ({
    content: [{ type: 'text', text: `text of ${path}` }],
  }));
  const [transport, theirs] = InMemoryTransport.createLinkedPair();
  await server.connect(theirs);
  const files = await createMCPClient({ transport });

  const who = {
    session: (context: unknown) => (context as { chat: string }).chat,
    principal: (context: unknown) => (context as { user: string }).user,
  };
  const tools = {
    ...guardTools(guard, { stock }, who),
    ...guardTools(guard, await files.tools(), { ...who, server: 'files' }),
  };
  const context = { chat: 'chat-1', user: 'mary' };
  const result = await generateText({
    model: scripted([
      { toolName: 'stock', input: { item: 'tea' } },
      { toolName: 'read', input: { path: 'a' } },
    ]),
    tools,
    toolsContext: { stock: context, read: context } as never,
    toolApproval: approvalFor(guard),
    prompt: 'go',
    stopWhen: isStepCount(5),
  });

  expect(told(result.responseMessages)).toEqual(['text: tea: 3 left', expect.stringContaining('text of a')]);
  expect(decisions(store)).toHaveLength(2);
  expect(store.entries().find(({ kind }) => kind === 'decision')).toMatchObject({ session: 'chat-1', principal: 'mary' });
  await files.close();
  await server.close();
});

it('an approval is asked for, answered in the route of the host, and used once', async () => {
  const { guard } = bench({ policy });
  const session = 'chat-1';
  const ran: unknown[] = [];
  const pay = tool({ inputSchema: z.object({ amount: z.number() }), execute: (input) => (ran.push(input), 'paid') });
  const tools = guardTools(guard, { pay }, { session });
  const settings = { tools, toolApproval: approvalFor(guard), stopWhen: isStepCount(5) };
  const asked = await generateText({ ...settings, model: scripted([{ toolName: 'pay', input: { amount: 500 } }]), messages: [...user] });
  const [request] = requests(asked.responseMessages);
  expect(request).toMatchObject({ toolCallId: 's1c1', reason: 'money leaves the house' });

  async function answerRoute(login: { readonly id: string }, toolCall: FrameworkCall, decision: 'approve' | 'deny'): Promise<void> {
    const approval = await approvalOf(guard, toolCall, { session });
    if (approval === undefined) throw new Error('nothing waits for that');
    await resolveFrom(guard, { approvalId: approval.id, decision }, { id: login.id, method: 'host' });
  }

  const history = approved([...user, ...asked.responseMessages]);
  const toolCall = { toolName: 'pay', toolCallId: 's1c1', input: { amount: 500 } };
  await expect(answerRoute({ id: 'bob' }, { ...toolCall, input: { amount: 5 } }, 'approve')).rejects.toThrow('nothing waits');
  expect(told((await generateText({ ...settings, model: scripted(), messages: history })).responseMessages)[0]).toContain(
    'waits for approval',
  );
  await answerRoute({ id: 'bob' }, toolCall, 'approve');
  for (let i = 0; i < 2; i++) {
    const resumed = await generateText({ ...settings, model: scripted(), messages: history });
    expect(told(resumed.responseMessages)).toEqual(['text: paid']);
  }
  expect(ran).toEqual([{ amount: 500 }]);
});

it('an agent inside a tool waits for its approvals', async () => {
  const channel = immediateApprover('approve');
  const { guard, store } = bench({ policy, channels: [channel] });
  const pay = tool({ inputSchema: z.object({ amount: z.number() }), execute: () => 'paid' });
  const innerModel = scripted([{ toolName: 'pay', input: { amount: 500 } }]);

  const errand = tool({
    inputSchema: z.object({ task: z.string() }),
    execute: async ({ task }, { abortSignal }) => {
      const inner = guardTools(guard, { stock, pay }, { approval: 'wait' });
      const agent = new ToolLoopAgent({ model: innerModel, tools: inner, toolApproval: approvalFor(guard) });
      return (await agent.generate({ prompt: task, ...(abortSignal !== undefined && { abortSignal }) })).text;
    },
  });

  const { responseMessages } = await generateText({
    model: scripted([{ toolName: 'errand', input: { task: 'pay' } }]),
    tools: guardTools(guard, { errand }, { session: 'chat-1' }),
    toolApproval: approvalFor(guard),
    prompt: 'go',
    stopWhen: isStepCount(5),
  });
  expect(told(responseMessages)).toEqual(['text: done']);
  expect(decisions(store)).toContain('pay allow APPROVAL_GRANTED');
  expect(new Set(store.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry.session] : [])))).toEqual(new Set(['chat-1']));
});
