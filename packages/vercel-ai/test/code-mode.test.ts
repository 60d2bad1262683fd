/** Tools that call tools: in every generation the SDK replaces the tool we guarded by what it binds anew. */
import { allowAll, currentCall, definePolicy } from '@countersign/core';
import { experimental_toolCaller, generateText, isStepCount, type Tool, tool, toolSearch } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, guardTools } from '../src/index.ts';
import { bench, decisions, outcomes, told } from './chat.ts';
import { scripted } from './stream.ts';

const policy = definePolicy({
  id: 'p',
  evaluate: ({ tool: { name }, args }) => {
    if (name === 'code') return (args as { code: string }).code === 'bad' ? { effect: 'deny' } : { effect: 'allow' };
    return name === 'read' ? { effect: 'allow' } : { effect: 'deny', reason: 'not on the list' };
  },
});

function mode() {
  const { guard, store } = bench({ policy, session: 's' });
  const ran: string[] = [];
  const noting = (name: string) =>
    tool({
      inputSchema: z.object({}),
      execute: () => {
        ran.push(`${name} in ${currentCall()?.session}`);
        return name;
      },
    });
  const inputSchema = z.object({ code: z.string() });
  const code = experimental_toolCaller(tool({ inputSchema, execute: () => 'not bound' }), {
    type: 'local',
    bind: (tools) =>
      tool({
        inputSchema,
        execute: async ({ code: name }, given) => {
          ran.push(`code ${name}`);
          const { execute } = tools[name] ?? {};
          return execute?.({}, { ...given, toolCallId: `${given.toolCallId}.1`, context: {} });
        },
      }),
  });
  const bare = { code, read: noting('read'), erase: noting('erase') };
  return { guard, store, ran, bare, tools: guardTools(guard, bare) };
}

const run = async (made: ReturnType<typeof mode>, code: string, withApproval: boolean, tools = made.tools) => {
  const { responseMessages } = await generateText({
    model: scripted([{ toolName: 'code', input: { code } }]),
    tools,
    experimental_toolCallers: { read: ['code'], erase: ['code'] },
    ...(withApproval && { toolApproval: approvalFor(made.guard) }),
    prompt: 'go',
    stopWhen: isStepCount(3),
  });
  await made.guard.close();
  return told(responseMessages);
};

describe.each([false, true])('code mode, with approvalFor: %s', (withApproval) => {
  it('asks the guard about the code and about every tool that the code calls', async () => {
    const made = mode();
    expect(await run(made, 'read', withApproval)).toEqual(['text: read']);
    expect(made.ran).toEqual(['code read', 'read in s']);
    expect(decisions(made.store)).toEqual(['code allow POLICY_ALLOW_LOW_RISK', 'read allow POLICY_ALLOW_LOW_RISK']);
    expect(outcomes(made.store)).toEqual(['success', 'success']);
  });

  it('does not run code that is denied', async () => {
    const made = mode();
    expect((await run(made, 'bad', withApproval))[0]).toContain('POLICY_DENY_HIGH_RISK');
    expect(made.ran).toEqual([]);
    expect(decisions(made.store)).toEqual(['code deny POLICY_DENY_HIGH_RISK']);
  });

  it('does not let code reach a tool that is denied', async () => {
    const made = mode();
    expect((await run(made, 'erase', withApproval))[0]).toContain('not on the list [POLICY_DENY_HIGH_RISK');
    expect(made.ran).toEqual(['code erase']);
    expect(decisions(made.store)).toContain('erase deny POLICY_DENY_HIGH_RISK');
  });
});

it('code mode that was made of a guarded tool afterwards is denied by approvalFor: what is bound asks nobody', async () => {
  const made = mode();
  const { code, ...tools } = made.tools;
  const remade = { ...tools, code: experimental_toolCaller(code, made.bare.code.experimental_toolCaller) };
  expect((await run(made, 'read', true, remade))[0]).toContain('not guarded');
  expect(made.ran).toEqual([]);
});

it('a caller without an execute of its own is guarded once it is bound', async () => {
  const { guard } = bench();
  const ran: unknown[] = [];
  const inputSchema = z.object({});
  const erase = experimental_toolCaller(tool({ inputSchema, outputSchema: z.string() }) as Tool, {
    type: 'local',
    bind: () => tool({ inputSchema, execute: () => void ran.push('bound') }),
  });
  const { responseMessages } = await generateText({
    model: scripted([{ toolName: 'erase', input: {} }]),
    tools: guardTools(guard, { erase }),
    experimental_toolCallers: {},
    prompt: 'go',
  });
  expect(told(responseMessages)[0]).toContain('POLICY_DENY_HIGH_RISK');
  expect(ran).toEqual([]);
});

it('a caller of the provider stays as it is', () => {
  const { guard } = bench();
  const definition = { type: 'provider', prepareProviderOptions: () => ({}) } as const;
  const code = experimental_toolCaller(tool({ inputSchema: z.object({}), execute: () => 1 }), definition);
  expect(guardTools(guard, { code }).code.experimental_toolCaller).toBe(definition);
});

describe('toolSearch of the SDK', () => {
  it('is refused: its execute is replaced in every generation', async () => {
    const { guard } = bench({ policy: allowAll() });
    expect(() => guardTools(guard, { find: toolSearch() })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.stringContaining('"find"') }),
    );
    const searched: string[] = [];
    const { responseMessages } = await generateText({
      model: scripted([{ toolName: 'find', input: { query: 'mail' } }]),
      tools: { find: toolSearch({ search: ({ query }) => (searched.push(query), []) }) },
      toolApproval: approvalFor(guard),
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    expect(told(responseMessages)[0]).toContain('not guarded');
    expect(searched).toEqual([]);
  });
});
