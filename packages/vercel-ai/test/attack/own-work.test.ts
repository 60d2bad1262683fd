/** Attacks of whoever built it: run a tool unrecorded, use an approval twice, hide an entry. */
import { allowAll, currentCall } from '@countersign/core';
import { experimental_toolCaller, generateText, isStepCount, type ToolSet, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, guardTools } from '../../src/index.ts';
import { alice, approved, bench, decisions, outcomes, told, turn, user } from '../chat.ts';
import { partsOf, scripted } from '../stream.ts';

const inputSchema = z.object({});
const given = { toolCallId: 'c1', messages: [], context: {} };
type Generator = (input: object, options: object) => AsyncGenerator<unknown>;
const generatorOf = ({ execute }: { readonly execute?: unknown }): Generator => execute as Generator;

describe('running a tool unrecorded', () => {
  it('code mode made of a guarded tool and guarded again', async () => {
    const { guard } = bench();
    const ran: string[] = [];
    const { erase: inner } = guardTools(guard, { erase: tool({ inputSchema, execute: () => 'not bound' }) });
    const erase = experimental_toolCaller(inner, {
      type: 'local',
      bind: () => tool({ inputSchema, execute: () => (ran.push('bound'), 'ran') }),
    });
    const { responseMessages } = await generateText({
      model: scripted([{ toolName: 'erase', input: {} }]),
      tools: guardTools(guard, { erase }),
      experimental_toolCallers: {},
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    expect(told(responseMessages)[0]).toContain('POLICY_DENY_HIGH_RISK');
    expect(ran).toEqual([]);
  });

  it('a set whose getters answer differently, and a tool whose execute changes later', async () => {
    const { guard } = bench();
    const ran: string[] = [];
    const evil = { inputSchema, execute: () => ran.push('evil') };
    let asked = 0;
    const set = {
      get erase() {
        asked++;
        return evil;
      },
    };
    const shifty = {
      inputSchema,
      get execute() {
        return () => ran.push(`shifty ${++asked}`);
      },
    };
    const tools = guardTools(guard, { ...set, shifty }) as unknown as ToolSet;
    evil.execute = () => ran.push('later');
    const { responseMessages } = await generateText({
      model: scripted([
        { toolName: 'erase', input: {} },
        { toolName: 'shifty', input: {} },
      ]),
      tools,
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    expect(told(responseMessages)).toHaveLength(2);
    expect(told(responseMessages).every((words) => words.includes('POLICY_DENY_HIGH_RISK'))).toBe(true);
    expect(ran).toEqual([]);
  });

  it('a guard that only looks like the one that decides', async () => {
    const { guard } = bench();
    const { guard: open } = bench({ policy: allowAll() });
    const ran: string[] = [];
    const tools = guardTools(open, { erase: tool({ inputSchema, execute: () => (ran.push('ran'), 'done') }) });
    expect(told(await turn(guard, tools, user, [{ toolName: 'erase', input: {} }]))[0]).toContain('not guarded');
    const both = guardTools(guard, tools);
    expect(told(await turn(guard, both, user, [{ toolName: 'erase', input: {} }]))[0]).toContain('POLICY_DENY_HIGH_RISK');
    expect(ran).toEqual([]);
  });

  it('a result that does its work only when it is awaited does it inside the call', async () => {
    const { guard, store } = bench({ policy: allowAll(), session: 's' });
    const scopes: unknown[] = [];
    const lazy = {
      // biome-ignore lint/suspicious/noThenProperty: query builders are like this
      then(resolve: (value: string) => void) {
        scopes.push(currentCall()?.session);
        resolve('rows');
      },
    };
    const read = tool({ inputSchema, execute: () => lazy as unknown as Promise<string> });
    expect(await guardTools(guard, { read }).read.execute?.({}, given)).toBe('rows');
    await guard.close();
    expect([scopes, outcomes(store)]).toEqual([['s'], ['success']]);
  });

  it('a generator that is started and left before its first step', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const ran: string[] = [];
    const read = tool({
      inputSchema,
      async *execute() {
        ran.push('ran');
        yield 'half';
      },
    });
    const execute = generatorOf(guardTools(guard, { read }).read);
    const one = execute({}, given);
    await one.return(undefined);
    const two = execute({}, given);
    const reading = two.next();
    await two.return(undefined);
    await reading;
    await guard.close();
    expect(ran).toHaveLength(outcomes(store).length);
    expect(decisions(store)).toHaveLength(ran.length);
  });
});

describe('using an approval twice', () => {
  const options = { session: 's' };
  async function asked() {
    const { guard, store } = bench();
    const ran: string[] = [];
    const pay = tool({
      inputSchema,
      async *execute() {
        ran.push('ran');
        yield 'paying';
        yield 'paid';
      },
    });
    const tools = guardTools(guard, { pay }, options);
    const messages = await turn(guard, tools, user, [{ toolName: 'pay', input: {} }]);
    const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c1', input: {} }, options);
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    return { guard, store, ran, tools, history: approved(messages) };
  }

  it('by sending it fifty times at once, through sets of tools made anew', async () => {
    const { guard, store, ran, tools, history } = await asked();
    const sets = Array.from({ length: 50 }, () => guardTools(guard, { ...tools }, options));
    const all = await Promise.all(sets.map((set) => turn(guard, set, history)));
    expect(ran).toEqual(['ran']);
    expect(all.flatMap(told).filter((words) => words === 'text: paid').length).toBeGreaterThanOrEqual(1);
    await guard.close();
    expect(decisions(store).filter((line) => line.includes(' allow '))).toHaveLength(1);
    expect(outcomes(store)).toEqual(['success']);
  });

  it('by leaving the stream of its run and coming back', async () => {
    const { ran, tools } = await asked();
    const execute = generatorOf(tools.pay);
    const first = execute({}, given);
    await first.next();
    await first.return(undefined);
    await expect(partsOf(execute({}, given))).rejects.toThrow('CALL_ALREADY_RUN');
    expect(ran).toEqual(['ran']);
  });
});

it('hiding an entry: every answer of approvalFor that denies stands in the ledger', async () => {
  const { guard, store } = bench();
  const tools = { ...guardTools(guard, { erase: tool({ inputSchema, execute: () => 1 }) }), bare: { inputSchema, execute: () => 1 } };
  const approval = approvalFor(guard);
  for (const toolName of ['erase', 'bare', 'nothing'])
    expect(await approval({ toolCall: { toolName, toolCallId: toolName, input: {} }, tools, toolsContext: {} })).toMatchObject({
      type: 'denied',
    });
  expect(decisions(store)).toEqual(['erase deny POLICY_DENY_HIGH_RISK', 'bare deny INTERNAL_ERROR', 'nothing deny POLICY_DENY_HIGH_RISK']);
});
