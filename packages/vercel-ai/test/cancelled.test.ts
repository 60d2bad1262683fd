/** An aborted call: never unrecorded, never half decided, and its approval is not used up by a run that was not. */
import { allowAll, budgetFrom, type Guard, type Policy } from '@countersign/core';
import { generateText, isStepCount, streamText, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, guardTools } from '../src/index.ts';
import { alice, approved, bench, decisions, outcomes, told, turn, user } from './chat.ts';
import { partsOf, scripted } from './stream.ts';

const inputSchema = z.object({});
const given = { toolCallId: 'c1', messages: [], context: {} };

function noting(during: () => void = () => {}) {
  const ran: string[] = [];
  const read = tool({
    inputSchema,
    execute: (_input, { abortSignal }) => {
      ran.push('ran');
      during();
      abortSignal?.throwIfAborted();
      return 'done';
    },
  });
  return { ran, read };
}

/** Aborts when the policy is asked: between the question and the decision. */
function abortingPolicy(aborted: AbortController, policy: Policy = allowAll()): Policy {
  return {
    ...policy,
    evaluate: (call) => {
      aborted.abort(new Error('enough'));
      return policy.evaluate(call);
    },
  };
}

async function budgetUsed(guard: Guard): Promise<number> {
  const [calls] = await guard.budgets();
  return calls?.keys.reduce((sum, { used }) => sum + used, 0) ?? -1;
}

describe('a call that is aborted', () => {
  const budgets = [budgetFrom({ id: 'calls', per: 'agent', limit: 10 })];

  it('before it is decided runs nothing, and is decided when it is sent again', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const { ran, read } = noting();
    const { execute } = guardTools(guard, { read }).read;
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(Promise.resolve(execute?.({}, { ...given, abortSignal: signal }))).rejects.toThrow('enough');
    expect([ran, store.entries().filter(({ kind }) => kind === 'decision')]).toEqual([[], []]);
    expect(await execute?.({}, given)).toBe('done');
  });

  it('while it is decided does not run and settles as cancelled', async () => {
    const aborted = new AbortController();
    const { guard, store } = bench({ policy: abortingPolicy(aborted), budgets });
    const { ran, read } = noting();
    const running = guardTools(guard, { read }).read.execute?.({}, { ...given, abortSignal: aborted.signal });
    await expect(Promise.resolve(running)).rejects.toThrow('CALL_CANCELLED');
    await guard.close();
    expect([ran, outcomes(store)]).toEqual([[], ['cancelled']]);
    expect(await budgetUsed(guard)).toBe(0);
  });

  it('while it runs settles as cancelled', async () => {
    const aborted = new AbortController();
    const { guard, store } = bench({ policy: allowAll() });
    const { ran, read } = noting(() => aborted.abort(new Error('enough')));
    const running = guardTools(guard, { read }).read.execute?.({}, { ...given, abortSignal: aborted.signal });
    await expect(Promise.resolve(running)).rejects.toThrow('enough');
    await guard.close();
    expect([ran, outcomes(store)]).toEqual([['ran'], ['cancelled']]);
  });

  it('and ends all the same has succeeded', async () => {
    const aborted = new AbortController();
    const { guard, store } = bench({ policy: allowAll() });
    const read = tool({ inputSchema, execute: () => (aborted.abort(), 'done') });
    expect(await guardTools(guard, { read }).read.execute?.({}, { ...given, abortSignal: aborted.signal })).toBe('done');
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('while it waits for an answer is refused, and its approval lapses', async () => {
    const aborted = new AbortController();
    const channel = { name: 'test', ask: async () => aborted.abort(new Error('enough')) };
    const { guard, store } = bench({ channels: [channel] });
    const { ran, read } = noting();
    const running = guardTools(guard, { pay: read }, { approval: 'wait' }).pay.execute?.({}, { ...given, abortSignal: aborted.signal });
    await expect(Promise.resolve(running)).rejects.toThrow('CALL_CANCELLED');
    expect([ran, decisions(store).at(-1)]).toEqual([[], 'pay deny CALL_CANCELLED']);
    expect(await guard.approvals.list({ state: 'pending' })).toEqual([]);
  });

  it('before an approved call runs leaves the approval for the next request', async () => {
    const { guard } = bench();
    const { ran, read } = noting();
    const tools = guardTools(guard, { pay: read }, { session: 's' });
    const asked = await turn(guard, tools, user, [{ toolName: 'pay', input: {} }]);
    const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c1', input: {} }, { session: 's' });
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    const aborted = new AbortController();
    const settings = { tools, messages: approved(asked), toolApproval: approvalFor(guard), stopWhen: isStepCount(3) };
    const stopped = generateText({
      ...settings,
      model: scripted(),
      abortSignal: aborted.signal,
      onToolExecutionStart: () => aborted.abort(new Error('enough')),
    });
    // Whether an aborted run rejects is the SDK's matter.
    await stopped.catch(() => {});
    expect([ran, (await guard.approvals.get(row?.id ?? ''))?.state]).toEqual([[], 'approved']);
    expect(told((await generateText({ ...settings, model: scripted() })).responseMessages)).toEqual(['text: done']);
    expect(ran).toEqual(['ran']);
  });
});

it('a time limit of the SDK for one tool settles it as cancelled, and the run goes on', async () => {
  const { guard, store } = bench({ policy: allowAll() });
  const read = tool({
    inputSchema,
    execute: async (_input, { abortSignal }) => {
      const { promise, reject } = Promise.withResolvers<string>();
      abortSignal?.addEventListener('abort', () => reject(abortSignal.reason));
      return promise;
    },
  });
  const { responseMessages, text } = await generateText({
    model: scripted([{ toolName: 'read', input: {} }]),
    tools: guardTools(guard, { read }),
    toolApproval: approvalFor(guard),
    timeout: { toolMs: 500 },
    prompt: 'go',
    stopWhen: isStepCount(3),
  });
  expect([told(responseMessages)[0], text]).toEqual([expect.stringMatching(/^error-text: TimeoutError/), 'done']);
  await guard.close();
  expect(outcomes(store)).toEqual(['cancelled']);
});

it('a stream whose reader leaves while a generator runs settles it as cancelled', async () => {
  const { guard, store } = bench({ policy: allowAll() });
  const aborted = new AbortController();
  const read = tool({
    inputSchema,
    async *execute(_input, { abortSignal }) {
      yield 'half';
      aborted.abort(new Error('gone'));
      abortSignal?.throwIfAborted();
      yield 'all';
    },
  });
  const result = streamText({
    model: scripted([{ toolName: 'read', input: {} }]),
    tools: guardTools(guard, { read }),
    abortSignal: aborted.signal,
    prompt: 'go',
    onError: () => {},
  });
  await partsOf(result.stream).catch(() => []);
  await guard.close();
  expect(outcomes(store)).toEqual(['cancelled']);
});
