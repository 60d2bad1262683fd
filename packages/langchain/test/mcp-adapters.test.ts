/** Tools of a real MCP server, through `@langchain/mcp-adapters`. The server runs in this process; what it says is up to it. */
import { rulePolicy } from '@countersign/core';
import { MemorySaver } from '@langchain/langgraph';
import { loadMcpTools } from '@langchain/mcp-adapters';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { createAgent, fakeModel, type ToolMessage } from 'langchain';
import { afterEach, describe, expect, it } from 'vitest';
import { countersignMiddleware, guardTools, type MiddlewareOptions } from '../src/index.ts';
import { asks, bench, decisions, done, outcomes, toolMessages } from './agent.ts';

const REFUND = {
  type: 'object' as const,
  properties: { amount: { type: 'number' }, note: { type: 'object', properties: { to: { type: 'string' } } } },
  required: ['amount'],
};
const SECRET = 'postgres://u:hunter22@h/';
const open: Client[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
});

interface Declaration {
  readonly name: string;
  readonly annotations?: Readonly<Record<string, unknown>>;
  readonly inputSchema?: typeof REFUND;
}

/** A server with these tools, which notes what it is called with. */
async function server(received: unknown[], tools: readonly Declaration[]): Promise<Client> {
  const mcp = new Server({ name: 'its-own-name', version: '1.0.0' }, { capabilities: { tools: {} } });
  mcp.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: tools.map((each) => ({ description: `does ${each.name}`, inputSchema: REFUND, ...each })),
  }));
  mcp.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    received.push({ [params.name]: params.arguments });
    if (params.name === 'fails') return { isError: true, content: [{ type: 'text', text: `no such order, ${SECRET}` }] };
    return {
      content: [
        { type: 'text', text: `done with ${SECRET}` },
        { type: 'image', data: 'AAAA', mimeType: 'image/png' },
        { type: 'resource', resource: { uri: 'memo://1', mimeType: 'text/plain', text: `memo ${SECRET}` } },
      ],
    };
  });
  const client = new Client({ name: 'test', version: '1.0.0' });
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  await Promise.all([mcp.connect(theirs), client.connect(ours)]);
  open.push(client);
  return client;
}

const policy = rulePolicy({
  id: 'p',
  default: 'deny',
  rules: [
    { id: 'shop', tools: ['shop/*'], effect: 'allow' },
    { id: 'big', tools: ['shop/refund'], when: 'args.amount > 500', effect: 'require_approval' },
    {
      id: 'harm',
      tools: ['*'],
      when: 'has(annotations.destructiveHint) && annotations.destructiveHint',
      effect: 'deny',
      reason: 'it can destroy',
    },
  ],
});

const SHOP: MiddlewareOptions = { server: (tool) => (tool.startsWith('other') ? undefined : 'shop') };
type Tools = Awaited<ReturnType<typeof loadMcpTools>>;

describe.each(['guardTools', 'countersignMiddleware'] as const)('tools of an MCP server under %s', (how) => {
  async function run(tools: Tools, name: string, args: Record<string, unknown>, made = bench({ policy })) {
    const model = fakeModel()
      .respond(asks({ name, args, id: 'c1' }))
      .respond(done());
    const agent =
      how === 'guardTools'
        ? createAgent({ model, tools: guardTools(made.guard, tools, SHOP), checkpointer: new MemorySaver() })
        : createAgent({ model, tools, middleware: [countersignMiddleware(made.guard, SHOP)], checkpointer: new MemorySaver() });
    const config = { configurable: { thread_id: 't' } };
    const result = await agent.invoke({ messages: 'go' }, config);
    const answer = toolMessages(result)[0] as ToolMessage;
    return { ...made, agent, config, model, result, answer };
  }

  it('are decided under the name of our own configuration, and get what was decided', async () => {
    const received: unknown[] = [];
    const tools = await loadMcpTools('shop', await server(received, [{ name: 'refund' }, { name: 'other' }]));
    const { store, guard } = await run(tools, 'refund', { amount: 20 });
    await guard.close();
    expect(received).toEqual([{ refund: { amount: 20 } }]);
    expect(store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({
      tool: { server: 'shop', name: 'refund' },
      effect: 'allow',
    });
    expect(outcomes(store)).toEqual(['success']);
    // A tool for which the option names no server is not a tool of `shop`.
    const { answer } = await run(tools, 'other', { amount: 20 });
    expect(answer.status).toBe('error');
    expect(received).toHaveLength(1);
  });

  it('are decided on the hints of their server, which only tighten', async () => {
    const received: unknown[] = [];
    const tools = await loadMcpTools(
      'shop',
      await server(received, [
        { name: 'wipe', annotations: { destructiveHint: true, title: 'Wipe' } },
        { name: 'other', annotations: { readOnlyHint: true, destructiveHint: false } },
      ]),
    );
    const { answer, store } = await run(tools, 'wipe', { amount: 1 });
    expect(answer.text).toContain('it can destroy [POLICY_DENY_HIGH_RISK, rule harm]');
    expect(decisions(store)).toEqual(['wipe deny POLICY_DENY_HIGH_RISK']);
    // Calling itself harmless opens nothing.
    expect((await run(tools, 'other', { amount: 1 })).answer.text).toContain('POLICY_DEFAULT_DENY');
    expect(received).toEqual([]);
  });

  it('are bound to the schema their server declared', async () => {
    const digests = await Promise.all(
      [REFUND, REFUND, { ...REFUND, required: ['amount', 'note'] }].map(async (inputSchema) => {
        const tools = await loadMcpTools('shop', await server([], [{ name: 'refund', inputSchema }]));
        const { store } = await run(tools, 'refund', { amount: 1, note: {} });
        const entry = store.entries().find((each) => each.kind === 'decision');
        return entry?.kind === 'decision' ? entry.tool.schema : undefined;
      }),
    );
    expect(digests[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(digests[1]).toBe(digests[0]);
    expect(digests[2]).not.toBe(digests[0]);
  });

  it('mask the artifact with the content', async () => {
    const tools = await loadMcpTools('shop', await server([], [{ name: 'refund' }]));
    const { answer } = await run(tools, 'refund', { amount: 20 }, bench({ policy, maskResults: true }));
    expect(answer.text).toContain('done with');
    expect(JSON.stringify(answer.artifact)).toContain('memo postgres');
    expect(JSON.stringify([answer.content, answer.artifact])).not.toContain('hunter22');
  });

  it('withhold content and artifact together', async () => {
    const withhold = rulePolicy({ id: 'w', default: 'allow', rules: [{ id: 'all', on: 'result', tools: ['*'], effect: 'withhold' }] });
    const tools = await loadMcpTools('shop', await server([], [{ name: 'refund' }]));
    const { result } = await run(tools, 'refund', { amount: 20 }, bench({ policy: withhold }));
    expect(JSON.stringify(result)).not.toMatch(/done with|memo|AAAA/);
  });

  it('record what the server reports as an error', async () => {
    const tools = await loadMcpTools('shop', await server([], [{ name: 'fails' }]));
    const { answer, guard, store } = await run(tools, 'fails', { amount: 1 });
    await guard.close();
    expect([answer.status, outcomes(store)]).toEqual(['error', ['error']]);
  });

  it('are not run with arguments that do not fit, whoever wrote them', async () => {
    const received: unknown[] = [];
    const tools = await loadMcpTools('shop', await server(received, [{ name: 'refund' }]));
    const { answer } = await run(tools, 'refund', { amount: 'all of it' });
    expect(answer.status).toBe('error');
    const { result, guard, agent, config, store } = await run(tools, 'refund', { amount: 900 });
    expect(result).toHaveProperty('__interrupt__');
    const [waiting] = await guard.approvals.list({ state: 'pending' });
    await guard.approvals.resolve(waiting?.id ?? '', { decision: 'edit', args: { amount: 'everything' } }, { id: 'alice', method: 'host' });
    const resumed = await agent.invoke(null, config);
    expect(toolMessages(resumed)[0]?.text).toBe('call refused: the edited arguments do not fit the tool [ARGUMENTS_INVALID]');
    expect(received).toEqual([]);
    await guard.close();
    expect(outcomes(store)).toEqual([]);
  });

  it.each([
    ['replaces', (): unknown => ({ args: { amount: 9999 } })],
    ['adds', (): unknown => ({ args: { note: { to: 'mallory' } } })],
    [
      'changes in place',
      ({ args }: { args: { note: { to: string } } }): unknown => {
        args.note.to = 'mallory';
        return undefined;
      },
    ],
  ])('fail where a hook of the adapter %s arguments after the decision', async (_what, beforeToolCall) => {
    const received: unknown[] = [];
    const client = await server(received, [{ name: 'refund' }]);
    const tools = await loadMcpTools('shop', client, { beforeToolCall: beforeToolCall as never });
    const { answer, guard, store } = await run(tools, 'refund', { amount: 20, note: { to: 'ana' } });
    expect(answer.text).toMatch(/read only|not extensible/);
    await guard.close();
    expect(outcomes(store)).toEqual(['error']);
    expect(received).toEqual([]);
  });

  it('run hooks of the adapter inside of the permit, where a refusal lets none run', async () => {
    const seen: unknown[] = [];
    const client = await server(seen, [{ name: 'refund' }, { name: 'other' }]);
    const tools = await loadMcpTools('shop', client, {
      beforeToolCall: ({ name }) => void seen.push(`before ${name}`),
      afterToolCall: ({ name }) => void seen.push(`after ${name}`),
    });
    await run(tools, 'refund', { amount: 20 });
    await run(tools, 'other', { amount: 20 });
    expect(seen).toEqual(['before refund', { refund: { amount: 20 } }, 'after refund']);
  });
});
