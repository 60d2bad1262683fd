/** What the model is offered: never what it may certainly not use, and everything else as it was. */
import { allowAll, createGuard, denyAll, type Guard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { generateText, isStepCount, tool, wrapLanguageModel } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countersignMiddleware, guardTools } from '../src/index.ts';
import { decisions, modelAsking } from './chat.ts';
import { type CallParams, fn, PROMPT, wrapped } from './model.ts';

const policy = rulePolicy({
  id: 'shop',
  rules: [
    { id: 'reading', tools: ['read', 'send'], effect: 'allow' },
    { id: 'paying', tools: ['pay'], effect: 'require_approval' },
    { id: 'small', tools: ['refund'], effect: 'allow', when: 'args.amount < 10' },
    { id: 'never', tools: ['erase'], effect: 'deny' },
    { id: 'leak', tools: ['send'], effect: 'deny', when: "'untrusted' in session.labels" },
    { id: 'browse', tools: ['browse'], effect: 'allow', label: ['untrusted'] },
    { id: 'ours', tools: ['mail/send'], effect: 'allow', when: "principal == 'ana'" },
  ],
});

function guardOf(more: Partial<Parameters<typeof createGuard>[0]> = {}) {
  const store = memoryStore();
  return { store, guard: createGuard({ agent: 'shopper', policy, store, session: 's1', ...more }) };
}

async function offeredBy(guard: Guard, params: Partial<CallParams>, options: Parameters<typeof countersignMiddleware>[1] = {}) {
  const { model, asked } = wrapped(guard, options);
  const { warnings } = await model.doGenerate({ prompt: PROMPT, ...params });
  const { tools, toolChoice } = asked();
  return { names: tools?.map(({ name }) => name), toolChoice, warnings, asked: asked() };
}

const TOOLS = ['read', 'pay', 'refund', 'erase', 'unheard', 'send'].map(fn);

describe('what the model is offered', () => {
  it('leaves out what every call would be refused of, and keeps what may be', async () => {
    const { names, warnings } = await offeredBy(guardOf().guard, { tools: TOOLS });
    expect(names).toEqual(['read', 'pay', 'refund', 'send']);
    expect(warnings).toEqual([]);
  });

  it('is the very same parameters when nothing is left out', async () => {
    const params: CallParams = { prompt: PROMPT, tools: [fn('read')], toolChoice: { type: 'required' }, temperature: 0 };
    const { model, asked } = wrapped(guardOf().guard);
    await model.doGenerate(params);
    expect(asked()).toBe(params);
    const bare: CallParams = { prompt: PROMPT };
    await model.doStream(bare);
    expect(asked()).toBe(bare);
  });

  it('follows the labels of the session, from one call of the model to the next', async () => {
    const { guard } = guardOf();
    expect((await offeredBy(guard, { tools: [fn('send')] })).names).toEqual(['send']);
    await guard.run({ tool: { name: 'browse' }, args: {} }, () => 1);
    expect((await offeredBy(guard, { tools: [fn('send')] })).names).toBeUndefined();
    expect((await offeredBy(guard, { tools: [fn('send')] }, { session: 's2' })).names).toEqual(['send']);
    expect((await offeredBy(guard, { tools: [fn('send')] }, { session: () => 's2' })).names).toEqual(['send']);
  });

  it('knows the server and the principal that guardTools would be told', async () => {
    const { guard } = guardOf();
    const send = { tools: [fn('send')] };
    expect((await offeredBy(guard, send, { server: 'mail', principal: 'ana' })).names).toEqual(['send']);
    expect((await offeredBy(guard, send, { server: () => 'mail', principal: () => 'eve' })).names).toBeUndefined();
  });

  it('offers everything in audit mode', async () => {
    const { names } = await offeredBy(guardOf({ mode: 'audit' }).guard, { tools: TOOLS });
    expect(names).toEqual(TOOLS.map(({ name }) => name));
  });

  it('offers nothing in a halted session', async () => {
    const { guard, store } = guardOf();
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    await store.commit({ kind: 'record', body: { kind: 'session', agent: 'shopper', session: 's1', event: 'halted' } });
    expect((await offeredBy(guard, { tools: TOOLS })).names).toBeUndefined();
  });

  it.each<readonly [string, CallParams['toolChoice'], CallParams['toolChoice'], number]>([
    ['of a tool that is left out becomes auto', { type: 'tool', toolName: 'erase' }, { type: 'auto' }, 1],
    ['of a tool that stays stays', { type: 'tool', toolName: 'read' }, { type: 'tool', toolName: 'read' }, 0],
    ['of any tool stays', { type: 'required' }, { type: 'required' }, 0],
    ['that was not made is not made', undefined, undefined, 0],
  ])('a choice %s', async (_what, toolChoice, expected, told) => {
    const given = await offeredBy(guardOf().guard, { tools: TOOLS, ...(toolChoice && { toolChoice }) });
    expect(given.toolChoice).toEqual(expected);
    expect(given.warnings).toHaveLength(told);
  });

  it('no tools at all: neither a list nor a choice is sent, which providers refuse', async () => {
    const { asked } = await offeredBy(guardOf({ policy: denyAll() }).guard, { tools: TOOLS, toolChoice: { type: 'required' } });
    expect(Object.keys(asked)).not.toContain('tools');
    expect(Object.keys(asked)).not.toContain('toolChoice');
  });

  it('names that mean something to JavaScript are names', async () => {
    const { names } = await offeredBy(guardOf().guard, { tools: ['constructor', '__proto__', 'toString'].map(fn) });
    expect(names).toBeUndefined();
    const all = await offeredBy(guardOf({ policy: allowAll() }).guard, { tools: ['constructor', '__proto__'].map(fn) }, { tools: {} });
    expect(all.names).toEqual(['constructor', '__proto__']);
  });
});

describe('a guard that fails', () => {
  it.each<readonly [string, (guard: Guard) => Guard, Parameters<typeof countersignMiddleware>[1]]>([
    [
      'throws',
      (guard) => ({
        ...guard,
        offers: () => {
          throw new Error('down');
        },
      }),
      {},
    ],
    ['rejects', (guard) => ({ ...guard, offers: () => Promise.reject(new Error('down')) }), {}],
    [
      'cannot be told the session',
      (guard) => guard,
      {
        session: () => {
          throw new Error('no request');
        },
      },
    ],
    [
      'cannot be told the server',
      (guard) => guard,
      {
        server: () => {
          throw new Error('no request');
        },
      },
    ],
  ])('that %s: nothing is offered, it is said, and the run goes on', async (_what, broken, options) => {
    const { guard } = guardOf();
    const { names, warnings } = await offeredBy(broken(guard), { tools: [fn('read')] }, options);
    expect(names).toBeUndefined();
    expect(warnings).toEqual([{ type: 'other', message: expect.stringContaining('none is offered') }]);
  });

  it('says it at the head of a stream, whether the model sends one or not', async () => {
    const { guard } = guardOf();
    const broken = { ...guard, offers: () => Promise.reject(new Error('down')) };
    const warning = { type: 'other', message: expect.stringContaining('none is offered') };
    for (const head of [[], [{ type: 'stream-start' as const, warnings: [] }]]) {
      const { model } = wrapped(broken, {}, { parts: [...head, { type: 'text-start', id: 't' }] });
      const { stream } = await model.doStream({ prompt: PROMPT, tools: [fn('read')] });
      const parts = [];
      for await (const part of stream) parts.push(part);
      expect(parts).toEqual([
        { type: 'stream-start', warnings: [warning] },
        { type: 'text-start', id: 't' },
      ]);
    }
  });

  it('a store that cannot be read offers nothing', async () => {
    const { guard, store } = guardOf();
    store.session = () => Promise.reject(new Error('gone'));
    expect((await offeredBy(guard, { tools: [fn('read')] })).names).toBeUndefined();
  });

  it.each([{ providerTools: 'keep' }, { deniedCalls: 'drop' }])('refuses %j, which would mean the default', (options) => {
    expect(() => countersignMiddleware(guardOf().guard, options as never)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

it('is no more than an offer: a model that asks for what it was not offered is refused by execute', async () => {
  const { guard, store } = guardOf();
  const ran: string[] = [];
  const tools = guardTools(guard, {
    read: tool({ inputSchema: z.object({}), execute: () => ran.push('read') }),
    erase: tool({ inputSchema: z.object({}), execute: () => ran.push('erase') }),
  });
  const session = 's1';
  const provider = modelAsking({ toolName: 'read', input: {} }, { toolName: 'erase', input: {} });
  const model = wrapLanguageModel({ model: provider, middleware: countersignMiddleware(guard, { session }) });
  await generateText({ model, tools, prompt: 'go', stopWhen: isStepCount(3) });
  expect(provider.doGenerateCalls[0]?.tools?.map(({ name }) => name)).toEqual(['read']);
  expect(ran).toEqual(['read']);
  expect(decisions(store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK', 'erase deny POLICY_DENY_HIGH_RISK']);
});
