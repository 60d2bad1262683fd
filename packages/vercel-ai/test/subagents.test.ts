/** An agent inside a guarded tool belongs to the call that started it: its session, its labels, its limits. */
import { rulePolicy } from '@countersign/core';
import { immediateApprover } from '@countersign/core/testing';
import { generateText, isStepCount, streamText, ToolLoopAgent, type ToolSet, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, type GuardToolsOptions, guardTools } from '../src/index.ts';
import { bench, decisions, told } from './chat.ts';
import { scripted } from './stream.ts';

const policy = rulePolicy({
  id: 'p',
  default: 'allow',
  rules: [
    { id: 'web', tools: ['web'], effect: 'allow', label: ['untrusted'] },
    { id: 'no-mail', tools: ['mail'], when: "'untrusted' in session.labels", effect: 'deny', reason: 'the session read the web' },
    { id: 'paying', tools: ['pay'], effect: 'require_approval', reason: 'money' },
    { id: 'no-erase', tools: ['erase'], effect: 'deny' },
  ],
});
const inputSchema = z.object({});
const task = z.object({ task: z.string() });

function team(inner: GuardToolsOptions, how: 'generate' | 'stream', channels = false) {
  const { guard, store } = bench({ policy, ...(channels && { channels: [immediateApprover('approve')] }) });
  const ran: string[] = [];
  const noting = (name: string) => tool({ inputSchema, execute: () => (ran.push(name), `${name} done`) });
  const tools = { web: noting('web'), mail: noting('mail'), pay: noting('pay'), erase: noting('erase') };
  const innerTold: string[][] = [];
  const delegate = tool({
    inputSchema: task,
    execute: async ({ task: toolName }, { abortSignal }) => {
      const settings = {
        model: scripted([{ toolName, input: {} }]),
        tools: guardTools(guard, tools, inner) as ToolSet,
        toolApproval: approvalFor(guard),
        ...(abortSignal !== undefined && { abortSignal }),
        stopWhen: isStepCount(3),
      };
      if (how === 'generate') {
        const { text, responseMessages } = await new ToolLoopAgent(settings).generate({ prompt: toolName });
        innerTold.push(told(responseMessages));
        return text;
      }
      const result = streamText({ ...settings, prompt: toolName });
      await result.consumeStream();
      innerTold.push(told(await result.responseMessages));
      return result.text;
    },
  });
  const outer = guardTools(guard, { delegate, ...tools }, { session: 'chat-1', principal: 'mary' });
  const ask = async (...steps: (readonly [toolName: string, input: object])[]) => {
    const { responseMessages } = await generateText({
      model: scripted(...steps.map(([toolName, input]) => [{ toolName, input }])),
      tools: outer,
      toolApproval: approvalFor(guard),
      prompt: 'go',
      stopWhen: isStepCount(5),
    });
    return told(responseMessages);
  };
  const sessions = () => new Set(store.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry.session] : [])));
  return { guard, store, ran, innerTold, ask, sessions };
}

describe.each(['generate', 'stream'] as const)('an inner agent that names no session (%s)', (how) => {
  it('acts in the session of the call around it', async () => {
    const { ask, ran, sessions, store } = team({}, how);
    expect(await ask(['delegate', { task: 'web' }])).toEqual(['text: done']);
    expect(ran).toEqual(['web']);
    expect([...sessions()]).toEqual(['chat-1']);
    expect(decisions(store)).toEqual(['delegate allow POLICY_DEFAULT_ALLOW', 'web allow POLICY_ALLOW_LOW_RISK']);
  });

  it('labels that it earns stop the agent outside, and the other way round', async () => {
    const one = team({}, how);
    expect((await one.ask(['delegate', { task: 'web' }], ['mail', {}]))[1]).toContain('the session read the web');
    const two = team({}, how);
    await two.ask(['web', {}], ['delegate', { task: 'mail' }]);
    expect(two.innerTold[0]?.[0]).toContain('the session read the web');
    expect([one.ran, two.ran]).toEqual([['web'], ['web']]);
  });

  it('is refused what is denied', async () => {
    const { ask, ran, innerTold } = team({}, how);
    await ask(['delegate', { task: 'erase' }]);
    expect(innerTold[0]?.[0]).toContain('POLICY_DENY_HIGH_RISK');
    expect(ran).toEqual([]);
  });

  it('is told that nobody can come back for an approval, which is recorded as asked', async () => {
    const { ask, ran, innerTold, guard } = team({}, how);
    expect(await ask(['delegate', { task: 'pay' }])).toEqual(['text: done']);
    expect(innerTold[0]?.[0]).toMatch(
      /^execution-denied: call refused: money; it has not run and waits for approval \w+, which an agent inside a tool cannot come back for: give its tools approval: 'wait' \[/,
    );
    expect(ran).toEqual([]);
    expect(await guard.approvals.list({ state: 'pending' })).toHaveLength(1);
  });

  it('waits for the approval with approval: wait', async () => {
    const { ask, ran, innerTold } = team({ approval: 'wait' }, how, true);
    expect(await ask(['delegate', { task: 'pay' }])).toEqual(['text: done']);
    expect([ran, innerTold]).toEqual([['pay'], [['text: pay done']]]);
  });
});

it('an inner agent that names a session of its own has it, with its own labels: the host said so', async () => {
  const { ask, ran, sessions } = team({ session: 'errands' }, 'generate');
  await ask(['delegate', { task: 'web' }], ['mail', {}]);
  expect([ran, [...sessions()].toSorted()]).toEqual([
    ['web', 'mail'],
    ['chat-1', 'errands'],
  ]);
});

it('the same call sent again gives what the inner agent said, without asking it', async () => {
  const { ask, ran, innerTold } = team({}, 'generate');
  for (let i = 0; i < 2; i++) expect(await ask(['delegate', { task: 'web' }])).toEqual(['text: done']);
  expect([ran, innerTold.length]).toEqual([['web'], 1]);
});
