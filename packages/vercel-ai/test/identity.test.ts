/** Who is asking: session, principal and server, from the application and from the tool's context. */
import { createGuard, definePolicy, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { generateText, isStepCount, type ModelMessage, type ToolSet, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, type GuardToolsOptions, guardTools } from '../src/index.ts';
import { alice, approved, bench, told, turn, user } from './chat.ts';
import { scripted } from './stream.ts';

const open = definePolicy({ id: 'p', evaluate: () => ({ effect: 'allow' }) });
const inputSchema = z.object({});

describe('session and principal', () => {
  const userOf = (context: unknown): string => (context as { user: string }).user;
  const contextSchema = z.object({ user: z.string().transform((name) => name.toLowerCase()), role: z.string().default('guest') });

  async function ask(options: GuardToolsOptions, toolsContext: unknown, tools: (ran: unknown[]) => ToolSet, guarded = bench()) {
    const ran: unknown[] = [];
    const set = guardTools(guarded.guard, tools(ran), options);
    const send = async (messages: readonly ModelMessage[], context: unknown, ...calls: { toolName: string; input: unknown }[]) => {
      const { responseMessages } = await generateText({
        model: calls.length === 0 ? scripted() : scripted(calls),
        tools: set,
        messages: JSON.parse(JSON.stringify(messages)) as ModelMessage[],
        toolsContext: context as never,
        toolApproval: approvalFor(guarded.guard),
        stopWhen: isStepCount(3),
      });
      return [...messages, ...responseMessages];
    };
    const asked = await send(user, toolsContext, { toolName: 'pay', input: {} });
    return { ...guarded, ran, asked, send };
  }
  const pay = (ran: unknown[]) => ({
    pay: tool({ inputSchema, contextSchema, execute: (_input, { context }) => (ran.push(context), 'paid') }),
  });
  const fromContext: GuardToolsOptions = { session: (context) => `chat of ${userOf(context)}`, principal: userOf };

  it('come from the context as the tool gets it, through its contextSchema, when it is asked and when it runs', async () => {
    const context = { pay: { user: 'MARY' } };
    const { guard, store, ran, asked, send } = await ask(fromContext, context, pay);
    const { session, principal } = { session: 'chat of mary', principal: 'mary' };
    expect(store.entries().find(({ kind }) => kind === 'decision')).toMatchObject({ session, principal });
    const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 's1c1', input: {} }, { session, principal });
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    expect(told(await send(approved(asked), context))).toEqual(['text: paid']);
    expect(ran).toEqual([{ user: 'mary', role: 'guest' }]);
  });

  it('of another context are another call', async () => {
    const { guard, ran, asked, send } = await ask(fromContext, { pay: { user: 'mary' } }, pay);
    const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 's1c1', input: {} }, { ...fromContext, context: { user: 'mary' } });
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    expect(told(await send(approved(asked), { pay: { user: 'mallory' } }))[0]).toContain('waits for approval');
    expect(ran).toEqual([]);
  });

  it.each([{ pay: { user: 7 } }, { pay: {} }, {}])('a context that does not fit is denied and recorded: %j', async (context) => {
    const { ran, asked, store } = await ask(fromContext, context, pay);
    expect(told(asked)).toEqual([
      'execution-denied: call refused: the context given for this tool does not fit its contextSchema [ARGUMENTS_INVALID]',
    ]);
    expect(ran).toEqual([]);
    expect(store.entries().find(({ kind }) => kind === 'decision')).toMatchObject({ effect: 'deny', reason_code: 'ARGUMENTS_INVALID' });
  });

  it.each<[string, GuardToolsOptions]>([
    ['an empty session', { session: '' }],
    ['a huge session', { session: 'x'.repeat(10_000) }],
    ['a session with control characters', { session: 'a\n' }],
    ['a session that is a secret', { session: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789' }],
    ['a principal that is no text', { principal: (() => 7) as never }],
    ['a server that is no text', { server: (() => ({})) as never }],
    ['a session of nobody', { session: () => undefined, principal: () => '' }],
  ])('%s is refused', async (_name, options) => {
    const { ran, asked } = await ask(options, { pay: { user: 'mary' } }, pay);
    expect(told(asked)[0]).toContain('[ARGUMENTS_INVALID');
    expect(ran).toEqual([]);
  });

  it('without any the session is the guard’s own, which a new guard does not have', async () => {
    const store = memoryStore();
    const ran: unknown[] = [];
    const policy = definePolicy({ id: 'p', evaluate: () => ({ effect: 'require_approval' }) });
    const [one, two] = [1, 2].map(() => createGuard({ agent: 'shopper', policy, store }));
    const tools = { pay: tool({ inputSchema, execute: () => void ran.push(1) }) };
    if (one === undefined || two === undefined) throw new Error('two guards');
    const asked = await turn(one, guardTools(one, tools), user, [{ toolName: 'pay', input: {} }]);
    const row = await approvalOf(one, { toolName: 'pay', toolCallId: 'c1', input: {} });
    await one.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    expect(told(await turn(two, guardTools(two, tools), approved(asked)))[0]).toContain('waits for approval');
    expect(ran).toEqual([]);
  });
});

it('labels of one session stop that session alone', async () => {
  const policy = rulePolicy({
    id: 'p',
    default: 'allow',
    rules: [
      { id: 'web', tools: ['web'], effect: 'allow', label: ['untrusted'] },
      { id: 'no-mail', tools: ['mail'], when: "'untrusted' in session.labels", effect: 'deny' },
    ],
  });
  const { guard } = bench({ policy });
  let mailed = 0;
  const bare = { web: tool({ inputSchema, execute: () => 'page' }), mail: tool({ inputSchema, execute: () => ++mailed }) };
  const chats = ['a', 'b'].map((session) => guardTools(guard, bare, { session }));
  await turn(guard, chats[0] ?? {}, user, [{ toolName: 'web', input: {} }]);
  for (const tools of chats) await turn(guard, tools, user, [{ toolName: 'mail', input: {}, toolCallId: 'm' }]);
  expect(mailed).toBe(1);
});

it('a tool’s own needsApproval is still asked where the guard allows, and forgotten where it denies', async () => {
  const { guard, store } = bench({ policy: open });
  const ran: unknown[] = [];
  const asked: unknown[] = [];
  const execute = () => void ran.push(1);
  const tools = guardTools(guard, {
    always: tool({ inputSchema, needsApproval: true, execute }),
    never: tool({ inputSchema, needsApproval: false, execute }),
    some: tool({
      inputSchema,
      needsApproval: (input, { toolCallId, messages, context }) => (asked.push([input, toolCallId, messages.length, context]), true),
      execute,
    }),
    broken: tool({
      inputSchema,
      needsApproval: () => {
        throw new Error('who knows');
      },
      execute,
    }),
  });
  const calls = Object.keys(tools).map((toolName) => ({ toolName, input: {} }));
  const messages = await turn(guard, tools, user, calls);
  expect(ran).toHaveLength(1);
  expect(asked).toEqual([[{}, 'c3', 1, undefined]]);
  expect(told(messages).at(-1)).toContain('the guard could not decide');
  expect(told(await turn(guard, tools, approved(messages)))).toHaveLength(4);
  expect(ran).toHaveLength(3);
  await guard.close();
  expect(store.entries().filter(({ kind }) => kind === 'outcome')).toHaveLength(3);
});
