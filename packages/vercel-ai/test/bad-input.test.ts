/** Whatever a model or a schema brings: the run goes on with a denial or an error for the model, and nothing runs unrecorded. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowAll, createGuard, definePolicy, type Guard, type Store } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { generateText, isStepCount, jsonSchema, streamText, type ToolSet, tool } from 'ai';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, guardTools } from '../src/index.ts';
import { type AskedCall, alice, approved, bench, decisions, outcomes, told, turn, user } from './chat.ts';
import { partsOf, scripted } from './stream.ts';

const policy = allowAll();
const inputSchema = z.object({ x: z.string() });

function counting() {
  const ran: unknown[] = [];
  return { ran, execute: (input: unknown) => (ran.push(input), 'done') };
}

async function run(guard: Guard, tools: ToolSet, ...calls: readonly AskedCall[]) {
  const { responseMessages, text } = await generateText({
    model: scripted(calls),
    tools,
    toolApproval: approvalFor(guard),
    prompt: 'go',
    stopWhen: isStepCount(3),
  });
  return { told: told(responseMessages), text };
}

describe('calls that are no calls', () => {
  it.each<[string, AskedCall]>([
    ['a tool that there is not', { toolName: 'nothing', input: {} }],
    ['__proto__', { toolName: '__proto__', input: {} }],
    ['constructor', { toolName: 'constructor', input: {} }],
    ['toString', { toolName: 'toString', input: {} }],
    ['an empty name', { toolName: '', input: {} }],
    ['input that is no JSON', { toolName: 'read', input: '{"x":' }],
    ['input that does not fit', { toolName: 'read', input: { x: 1 } }],
    ['input that is a list', { toolName: 'read', input: ['x'] }],
    ['input with a prototype', { toolName: 'read', input: '{"x":"y","__proto__":{"x":"z"}}' }],
    ['no input', { toolName: 'read', input: '' }],
  ])('%s: the model is told, the run goes on, nothing ran', async (_name, call) => {
    const { guard, store } = bench({ policy });
    const { ran, execute } = counting();
    const { told: words, text } = await run(guard, guardTools(guard, { read: tool({ inputSchema, execute }) }), call);
    expect(words).toEqual([expect.stringMatching(/^error-text: /)]);
    expect([text, ran, decisions(store)]).toEqual(['done', [], []]);
  });

  it('a tool named __proto__ is guarded like any other', async () => {
    const { guard, store } = bench();
    const { ran, execute } = counting();
    const tools = Object.defineProperty({}, '__proto__', { value: tool({ inputSchema, execute }), enumerable: true }) as ToolSet;
    const guarded = guardTools(guard, tools);
    expect(Object.keys(guarded)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(guarded)).toBe(Object.prototype);
    expect((await run(guard, guarded, { toolName: '__proto__', input: { x: 'y' } })).told[0]).toContain('POLICY_DENY_HIGH_RISK');
    expect([ran, decisions(store)]).toEqual([[], ['__proto__ deny POLICY_DENY_HIGH_RISK']]);
  });
});

describe('ids of calls', () => {
  it.each<[string, unknown]>([
    ['empty', ''],
    ['huge', 'x'.repeat(100_000)],
    ['a number', 7],
    ['null', null],
    ['an object', { id: 1 }],
    ['a lone surrogate', '\ud800'],
  ])('%s: refused, recorded', async (_name, toolCallId) => {
    const { guard, store } = bench({ policy });
    const { ran, execute } = counting();
    const { read } = guardTools(guard, { read: tool({ inputSchema, execute }) });
    const running = Promise.resolve(read.execute?.({ x: 'y' }, { toolCallId: toolCallId as string, messages: [], context: {} }));
    await expect(running).rejects.toThrow('ARGUMENTS_INVALID');
    expect([ran, decisions(store)]).toEqual([[], ['[invalid] deny ARGUMENTS_INVALID']]);
  });

  it('the same id for several calls: each of them is decided, the same call runs once', async () => {
    const { guard, store } = bench({ policy });
    const { ran, execute } = counting();
    const tools = guardTools(guard, { read: tool({ inputSchema, execute }), other: tool({ inputSchema, execute }) }, { session: 's' });
    const call = (toolName: string, x: string): AskedCall => ({ toolName, input: { x }, toolCallId: 'same' });
    await run(guard, tools, call('read', 'a'), call('read', 'b'), call('other', 'a'), call('read', 'a'));
    await run(guard, tools, call('read', 'b'), call('read', 'c'));
    expect(ran).toEqual([{ x: 'a' }, { x: 'b' }, { x: 'a' }, { x: 'c' }]);
    await guard.close();
    expect(decisions(store).filter((text) => text.includes(' allow '))).toHaveLength(4);
    expect(outcomes(store)).toHaveLength(4);
  });

  it('the same id for a call that is allowed and one that needs approval', async () => {
    const { guard } = bench();
    const { ran, execute } = counting();
    const tools = guardTools(guard, { read: tool({ inputSchema, execute }), pay: tool({ inputSchema, execute }) }, { session: 's' });
    const call = (toolName: string): AskedCall => ({ toolName, input: { x: 'a' }, toolCallId: 'same' });
    for (const calls of [
      [call('read'), call('pay')],
      [call('pay'), call('read')],
    ]) {
      const messages = await turn(guard, tools, user, calls).catch(() => []);
      await turn(guard, tools, approved(messages)).catch(() => []);
    }
    // The SDK keeps its requests by id, so it may hold back `read` too; it never lets `pay` through us.
    expect(ran.length).toBeLessThanOrEqual(1);
    expect(await guard.approvals.counts()).toMatchObject({ pending: 1 });
  });
});

describe('schemas', () => {
  it('a transform that is not idempotent is applied once: what it made is decided, asked about and runs', async () => {
    const { guard } = bench();
    const { ran, execute } = counting();
    const loud = z.object({ x: z.string().transform((text) => `${text}!`) });
    const tools = guardTools(
      guard,
      { read: tool({ inputSchema: loud, execute }), pay: tool({ inputSchema: loud, execute }) },
      { session: 's' },
    );
    const asked = await turn(guard, tools, user, [
      { toolName: 'read', input: { x: 'a' } },
      { toolName: 'pay', input: { x: 'b' } },
    ]);
    const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c2', input: { x: 'b!' } }, { session: 's' });
    expect(row?.shown).toEqual({ x: 'b!' });
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    // The history keeps what the model wrote beside what the schema made of it, and the SDK parses that again.
    expect(told(await turn(guard, tools, approved(asked))).at(-1)).toBe('text: done');
    expect(ran).toEqual([{ x: 'a!' }, { x: 'b!' }]);
  });

  it('checked asynchronously', async () => {
    const { guard } = bench({ policy });
    const { ran, execute } = counting();
    const slow = z.object({ x: z.string().refine(async (text) => Promise.resolve(text !== 'bad'), 'too bad') });
    const tools = guardTools(guard, { read: tool({ inputSchema: slow, execute }) });
    const { told: words } = await run(guard, tools, { toolName: 'read', input: { x: 'bad' } }, { toolName: 'read', input: { x: 'good' } });
    expect(words).toEqual([expect.stringContaining('too bad'), 'text: done']);
    expect(ran).toEqual([{ x: 'good' }]);
  });

  it('that throw: the call is an error for the model, an edit is refused', async () => {
    const { guard } = bench();
    const { ran, execute } = counting();
    let broken = 'a';
    const inputSchema = jsonSchema<{ x: string }>(
      { type: 'object' },
      {
        validate: (value) => {
          if ((value as { x: string }).x === broken) throw new Error('schema broke');
          return { success: true, value: value as { x: string } };
        },
      },
    );
    const tools = guardTools(guard, { pay: tool({ inputSchema, execute }) }, { session: 's' });
    const call = { toolName: 'pay', input: { x: 'a' } };
    expect(told(await turn(guard, tools, user, [call]))[0]).toContain('schema broke');
    broken = 'b';
    const asked = await turn(guard, tools, user, [call]);
    const row = await approvalOf(guard, { ...call, toolCallId: 'c1' }, { session: 's' });
    await guard.approvals.resolve(row?.id ?? '', { decision: 'edit', args: { x: 'b' } }, alice);
    expect(told(await turn(guard, tools, approved(asked)))[0]).toContain('the edited arguments do not fit the tool [ARGUMENTS_INVALID]');
    expect(ran).toEqual([]);
  });

  it.each<[string, (input: { x: string }) => unknown]>([
    ['a function', () => ({ x: () => 1 })],
    ['a getter', () => Object.defineProperty({}, 'x', { get: () => 'y', enumerable: true })],
    [
      'a cycle',
      () => {
        const round: Record<string, unknown> = {};
        round['x'] = round;
        return round;
      },
    ],
    ['more than the guard holds', () => ({ x: 'x'.repeat(20_000_000) })],
  ])('that make %s of the input: refused, recorded, nothing ran', async (_name, make) => {
    const { guard, store } = bench({ policy });
    const { ran, execute } = counting();
    const odd = z.object({ x: z.string() }).transform(make);
    const { told: words } = await run(guard, guardTools(guard, { read: tool({ inputSchema: odd, execute }) }), {
      toolName: 'read',
      input: { x: 'y' },
    });
    expect([ran, decisions(store).filter((text) => text.includes(' allow '))]).toEqual([[], []]);
    expect(words[0]).toContain('[ARGUMENTS_INVALID');
  });
});

describe('a guard that fails', () => {
  it('closed: nothing runs, the model is told', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'countersign-closed-'));
    const store = openStore({ path: join(directory, 'ledger.db'), origin: 'shop.test/ledger', signer: 'none' });
    const guard = createGuard({ agent: 'shopper', policy, store, onError: () => {} });
    const { ran, execute } = counting();
    const tools = guardTools(guard, { read: tool({ inputSchema, execute }) });
    await guard.close();
    await store.close();
    for (const toolApproval of [undefined, approvalFor(guard)]) {
      const { responseMessages, text } = await generateText({
        model: scripted([{ toolName: 'read', input: { x: 'y' } }]),
        tools,
        ...(toolApproval !== undefined && { toolApproval }),
        prompt: 'go',
        stopWhen: isStepCount(3),
      });
      expect(told(responseMessages)[0]).toMatch(/LEDGER_WRITE_FAILED_DECISION|LEDGER_CLOSED/);
      expect(text).toBe('done');
    }
    expect(ran).toEqual([]);
    rmSync(directory, { recursive: true, force: true });
  });

  it('a policy that throws denies', async () => {
    const { guard, store } = bench({
      policy: definePolicy({
        id: 'p',
        evaluate: () => {
          throw new Error('no idea');
        },
      }),
    });
    const { ran, execute } = counting();
    const { told: words } = await run(guard, guardTools(guard, { read: tool({ inputSchema, execute }) }), {
      toolName: 'read',
      input: { x: 'y' },
    });
    expect(words[0]).toContain('POLICY_EVALUATION_FAILED');
    expect([ran, decisions(store)]).toEqual([[], ['read deny POLICY_EVALUATION_FAILED']]);
  });

  it('a store that fails between two calls: the first ran, the second did not', async () => {
    const { guard, store } = bench({ policy, onError: () => {} });
    const ran: string[] = [];
    const read = tool({
      inputSchema,
      execute: ({ x }) => {
        ran.push(x);
        store.failWith(new Error('disk full'));
        return 'done';
      },
    });
    const { told: words } = await (async () => {
      const { responseMessages } = await generateText({
        model: scripted([{ toolName: 'read', input: { x: 'a' } }], [{ toolName: 'read', input: { x: 'b' } }]),
        tools: guardTools(guard, { read }),
        toolApproval: approvalFor(guard),
        prompt: 'go',
        stopWhen: isStepCount(4),
      });
      return { told: told(responseMessages) };
    })();
    expect(words).toEqual(['text: done', expect.stringContaining('the call was not run')]);
    expect(ran).toEqual(['a']);
    expect(decisions(store)).toHaveLength(1);
  });

  it('in a stream the denial is a part like any other, and the stream ends', async () => {
    const { guard, store } = bench({ policy, onError: () => {} });
    store.failWith(new Error('disk full'));
    const { ran, execute } = counting();
    const result = streamText({
      model: scripted([{ toolName: 'read', input: { x: 'a' } }]),
      tools: guardTools(guard, { read: tool({ inputSchema, execute }) }),
      prompt: 'go',
      stopWhen: isStepCount(3),
      onError: () => {},
    });
    const parts = await partsOf(result.stream);
    expect(parts.map(({ type }) => type)).toEqual(expect.arrayContaining(['tool-error', 'finish']));
    expect(ran).toEqual([]);
  });
});

describe('1,000 calls at once', () => {
  const directories: string[] = [];
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });
  const STORES: Record<string, () => Store> = {
    memory: () => memoryStore(),
    SQLite: () => {
      const directory = mkdtempSync(join(tmpdir(), 'countersign-many-'));
      directories.push(directory);
      return openStore({ path: join(directory, 'ledger.db'), origin: 'shop.test/ledger', signer: 'none' });
    },
  };

  it.each(Object.keys(STORES))('%s: as many runs as recorded permissions, every outcome recorded', async (name) => {
    const store = STORES[name]?.() ?? memoryStore();
    const guard = createGuard({
      agent: 'shopper',
      policy: definePolicy({
        id: 'p',
        evaluate: ({ args }) => ((args as { n: number }).n % 10 === 0 ? { effect: 'deny' } : { effect: 'allow' }),
      }),
      store,
    });
    const ran: number[] = [];
    const read = tool({ inputSchema: z.object({ n: z.number() }), execute: async ({ n }) => (ran.push(n), n) });
    const tools = guardTools(guard, { read }, { session: 's' });
    const calls = Array.from({ length: 1_000 }, (_, n) => ({ toolName: 'read', input: { n: Math.floor(n / 2) } }));
    // Every second call is the one before it again, with its id.
    const { responseMessages } = await generateText({
      model: scripted(calls.map((call) => ({ ...call, toolCallId: `n${call.input.n}` }))),
      tools,
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    expect(told(responseMessages)).toHaveLength(1_000);
    expect(ran.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, n) => n).filter((n) => n % 10 !== 0));
    expect(guard.counters.allowed).toBe(ran.length);
    expect(guard.counters.lostOutcomes).toBe(0);
    await guard.close();
    await store.close();
  });

  it('a store that fails half way: what ran is on record, the rest was refused', async () => {
    const { guard, store } = bench({ policy, onError: () => {} });
    const ran: number[] = [];
    const read = tool({
      inputSchema: z.object({ n: z.number() }),
      execute: async ({ n }) => {
        ran.push(n);
        if (ran.length === 400) store.failWith(new Error('disk full'));
        return n;
      },
    });
    const { responseMessages, text } = await generateText({
      model: scripted(Array.from({ length: 1_000 }, (_, n) => ({ toolName: 'read', input: { n } }))),
      tools: guardTools(guard, { read }),
      toolCallConcurrency: 64,
      prompt: 'go',
      stopWhen: isStepCount(3),
    });
    const allowed = decisions(store).filter((line) => line.includes(' allow '));
    expect(ran).toHaveLength(allowed.length);
    expect(ran.length).toBeGreaterThanOrEqual(400);
    expect(ran.length).toBeLessThan(1_000);
    const words = told(responseMessages);
    expect(words.filter((line) => line.includes('the call was not run'))).toHaveLength(1_000 - ran.length);
    expect(text).toBe('done');
  });
});
