/** Tools of a real MCP server, through `@ai-sdk/mcp`, in memory. */

import { createMCPClient } from '@ai-sdk/mcp';
import { rulePolicy } from '@countersign/core';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { generateText, isStepCount } from 'ai';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, guardTools } from '../src/index.ts';
import { alice, approved, bench, decisions, outcomes, told, user } from './chat.ts';
import { scripted } from './stream.ts';

const policy = rulePolicy({
  id: 'p',
  default: 'deny',
  rules: [
    { id: 'reading', tools: ['files/read'], effect: 'allow' },
    { id: 'writing', tools: ['files/write'], effect: 'require_approval', reason: 'it writes' },
    { id: 'careful', tools: ['files/*'], when: 'has(annotations.destructiveHint) && annotations.destructiveHint', effect: 'deny' },
  ],
});

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function files() {
  const ran: string[] = [];
  const server = new McpServer({ name: 'files', version: '1' });
  const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] });
  server.registerTool('read', { inputSchema: { path: z.string() }, annotations: { readOnlyHint: true } }, ({ path }) => {
    ran.push(`read ${path}`);
    return path === 'broken' ? { ...text('no such file'), isError: true } : text(`text of ${path}`);
  });
  server.registerTool('write', { inputSchema: { path: z.string() } }, ({ path }) => {
    ran.push(`write ${path}`);
    return text('written');
  });
  server.registerTool('wipe', { inputSchema: {}, annotations: { destructiveHint: true, title: 'Wipe' } }, () => {
    ran.push('wipe');
    return text('gone');
  });
  const [mine, theirs] = InMemoryTransport.createLinkedPair();
  await server.connect(theirs);
  const client = await createMCPClient({ transport: mine });
  closing.push(
    () => client.close(),
    () => server.close(),
  );
  return { ran, client };
}

async function chat(given: Partial<{ server: string; schemas: boolean }> = {}) {
  const { guard, store } = bench({ policy });
  const { ran, client } = await files();
  const schemas = { read: { inputSchema: z.object({ path: z.string() }) }, write: { inputSchema: z.object({ path: z.string() }) } };
  const bare = given.schemas === true ? await client.tools({ schemas }) : await client.tools();
  const options = { session: 'chat-1', server: given.server ?? 'files' };
  const tools = guardTools(guard, bare, options);
  const send = async (messages: typeof user, ...calls: { toolName: string; input: unknown }[]) => {
    const { responseMessages } = await generateText({
      model: calls.length === 0 ? scripted() : scripted(calls),
      tools,
      messages: JSON.parse(JSON.stringify(messages)) as (typeof messages)[number][],
      toolApproval: approvalFor(guard),
      stopWhen: isStepCount(3),
    });
    return [...messages, ...responseMessages];
  };
  return { guard, store, ran, send, options, tools, bare };
}

describe.each([false, true])('MCP tools (with schemas of our own: %s)', (schemas) => {
  it('run when a rule for their server allows it, and the model gets what it would', async () => {
    const { send, ran, store, guard } = await chat({ schemas });
    const messages = await send(user, { toolName: 'read', input: { path: 'a' } });
    expect(told(messages)).toEqual(['content: [{"type":"text","text":"text of a"}]']);
    expect(ran).toEqual(['read a']);
    await guard.close();
    expect([decisions(store), outcomes(store)]).toEqual([['read allow POLICY_ALLOW_LOW_RISK'], ['success']]);
    expect(store.entries().find(({ kind }) => kind === 'decision')).toMatchObject({
      tool: { server: 'files', name: 'read' },
    });
  });

  it('ask once, and run the approved call once', async () => {
    const { send, ran, guard, options } = await chat({ schemas });
    const asked = await send(user, { toolName: 'write', input: { path: 'a' } });
    expect(ran).toEqual([]);
    const row = await approvalOf(guard, { toolName: 'write', toolCallId: 's1c1', input: { path: 'a' } }, options);
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    for (let i = 0; i < 2; i++) expect(told(await send(approved(asked)))[0]).toContain('written');
    expect(ran).toEqual(['write a']);
  });

  it('of another server than the rules name are denied', async () => {
    const { send, ran } = await chat({ schemas, server: 'elsewhere' });
    expect(told(await send(user, { toolName: 'read', input: { path: 'a' } }))[0]).toContain('POLICY_DEFAULT_DENY');
    expect(ran).toEqual([]);
  });
});

it('what the server says of a tool reaches a rule that tightens on it', async () => {
  const { send, ran } = await chat();
  expect(told(await send(user, { toolName: 'wipe', input: {} }))[0]).toContain('rule careful');
  expect(ran).toEqual([]);
});

it('a result that is an error is one for the model, as without us', async () => {
  const { send, ran, bare } = await chat();
  const messages = await send(user, { toolName: 'read', input: { path: 'broken' } });
  const { responseMessages } = await generateText({
    model: scripted([{ toolName: 'read', input: { path: 'broken' } }]),
    tools: bare,
    messages: [...user],
    stopWhen: isStepCount(3),
  });
  expect(told(messages)).toEqual(told(responseMessages));
  expect(ran).toEqual(['read broken', 'read broken']);
});
