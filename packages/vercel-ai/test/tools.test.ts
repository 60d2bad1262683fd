import { allowAll, CallRefusedError, currentCall, monitorHost } from '@countersign/core';
import { dynamicTool, generateText, isStepCount, tool } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type GuardToolsOptions, guardTools } from '../src/index.ts';
import { bench, decisions, modelAsking, outcomes, told, turn, user } from './chat.ts';

const given = { toolCallId: 'c1', messages: [], context: {} };

function notingTool(ran: unknown[]) {
  return tool({
    inputSchema: z.object({ amount: z.coerce.number().default(1) }),
    execute: (input) => {
      ran.push(input);
      return 'done';
    },
  });
}

async function events(stream: unknown): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const event of stream as AsyncIterable<unknown>) seen.push(event);
  return seen;
}

async function first(stream: unknown): Promise<unknown> {
  for await (const event of stream as AsyncIterable<unknown>) return event;
  return undefined;
}

describe('a call of a halted session', () => {
  it('is refused, and says who lets it go on, and with what', async () => {
    const { guard, store } = bench();
    await monitorHost({ store, agent: 'shopper' }).halt('chat-1', 'MONITOR_HALTED');
    const ran: unknown[] = [];
    const tools = guardTools(guard, { read: notingTool(ran) }, { session: 'chat-1' });
    const messages = await turn(guard, tools, user, [{ toolName: 'read', input: { amount: '2' } }]);
    expect(ran).toEqual([]);
    expect(told(messages)).toEqual([
      expect.stringContaining('the session is halted until an operator resumes it: countersign resume chat-1 [SESSION_HALTED]'),
    ]);
  });
});

describe('a call the policy allows', () => {
  it('runs once, with the parsed arguments, in the scope of the call, and is recorded with its outcome', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const read = tool({
      inputSchema: z.object({ amount: z.coerce.number() }),
      execute: (input) => {
        ran.push(input, currentCall()?.session);
        return 'done';
      },
    });
    const messages = await turn(guard, guardTools(guard, { read }, { session: 'chat-1' }), user, [
      { toolName: 'read', input: { amount: '2' } },
    ]);
    expect(ran).toEqual([{ amount: 2 }, 'chat-1']);
    expect(told(messages)).toEqual(['text: done']);
    await guard.close();
    expect(decisions(store)).toEqual(['read allow POLICY_ALLOW_LOW_RISK']);
    expect(outcomes(store)).toEqual(['success']);
  });

  it('runs with the copy that was decided on, not with an object changed since', async () => {
    const input = { amount: 1 };
    const { guard } = bench({
      policy: { ...allowAll(), evaluate: () => ((input.amount = 1_000_000), { effect: 'allow' }) },
    });
    const ran: unknown[] = [];
    await guardTools(guard, { read: notingTool(ran) }).read.execute?.(input, given);
    expect(ran).toEqual([{ amount: 1 }]);
    const stream = tool({
      inputSchema: z.object({ amount: z.number() }),
      async *execute(given) {
        ran.push(given);
        yield 'done';
      },
    });
    input.amount = 2;
    await events(guardTools(guard, { stream }).stream.execute?.(input, given));
    expect(ran).toEqual([{ amount: 1 }, { amount: 2 }]);
  });
});

describe('a call that must not run', () => {
  it('is denied to the model with reason and code, recorded, and the loop goes on', async () => {
    const { guard, store } = bench();
    const ran: unknown[] = [];
    const messages = await turn(guard, guardTools(guard, { erase: notingTool(ran) }), user, [{ toolName: 'erase', input: {} }]);
    expect(told(messages)).toEqual(['execution-denied: call refused: not on the list [POLICY_DENY_HIGH_RISK, rule rest]']);
    expect(messages.at(-1)).toMatchObject({ role: 'assistant', content: [{ type: 'text', text: 'done' }] });
    expect(ran).toEqual([]);
    expect(decisions(store)).toEqual(['erase deny POLICY_DENY_HIGH_RISK']);
  });

  it('is a tool error without toolApproval: execute enforces alone', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const tools = guardTools(guard, { erase: notingTool(ran), pay: notingTool(ran) });
    const calls = [
      { toolName: 'erase', input: {} },
      { toolName: 'pay', input: {} },
    ];
    const { responseMessages } = await generateText({ model: modelAsking(...calls), tools, prompt: 'go', stopWhen: isStepCount(3) });
    expect(told(responseMessages)).toEqual([
      'error-text: CallRefusedError: call refused: not on the list [POLICY_DENY_HIGH_RISK, rule rest]',
      expect.stringMatching(
        /^error-text: CallRefusedError: call refused: money leaves the house; it has not run and waits for approval \w+ \[/,
      ),
    ]);
    expect(ran).toEqual([]);
  });

  it('is refused when the ledger cannot be written', async () => {
    const { guard, store } = bench();
    store.failWith(new Error('disk full'));
    const ran: unknown[] = [];
    const messages = await turn(guard, guardTools(guard, { read: notingTool(ran), erase: notingTool(ran) }), user, [
      { toolName: 'read', input: {} },
      { toolName: 'erase', input: {} },
    ]);
    expect(told(messages)).toHaveLength(2);
    expect(told(messages).every((text) => text.includes('INTERNAL_ERROR'))).toBe(true);
    expect(ran).toEqual([]);
  });

  it('throws what a handler can tell apart', async () => {
    const { guard } = bench();
    const { erase } = guardTools(guard, { erase: notingTool([]) });
    await expect(Promise.resolve(erase.execute?.({ amount: 1 }, given))).rejects.toBeInstanceOf(CallRefusedError);
  });

  it('is refused when an option throws', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const session = (): string => {
      throw new Error('who is it');
    };
    const tools = guardTools(guard, { read: notingTool(ran) }, { session });
    expect(told(await turn(guard, tools, user, [{ toolName: 'read', input: {} }]))[0]).toContain('INTERNAL_ERROR');
    await expect(Promise.resolve(tools.read.execute?.({ amount: 1 }, given))).rejects.toThrow('who is it');
    expect(ran).toEqual([]);
  });

  it('is refused by toolApproval when its tool does not ask this guard', async () => {
    const { guard } = bench({ policy: allowAll() });
    const { guard: other } = bench({ policy: allowAll() });
    const ran: unknown[] = [];
    const guarded = guardTools(guard, { a: notingTool(ran) });
    const swapped = { ...guarded.a, execute: () => ran.push('swapped') };
    const tools = { bare: notingTool(ran), foreign: guardTools(other, { a: notingTool(ran) }).a, swapped, copied: { ...guarded.a } };
    const calls = Object.keys(tools).map((toolName) => ({ toolName, input: { amount: 7 } }));
    const messages = await turn(guard, tools, user, calls);
    expect(told(messages).filter((text) => text.includes('not guarded'))).toHaveLength(3);
    expect(ran).toEqual([{ amount: 7 }]);
  });
});

describe('generators', () => {
  it('stay generators, and are covered to their end', async () => {
    const { guard, store } = bench();
    const scopes: unknown[] = [];
    const read = tool({
      inputSchema: z.object({}),
      async *execute() {
        scopes.push(currentCall()?.agent);
        yield 'half';
        scopes.push(currentCall()?.agent);
        yield 'all';
      },
    });
    const guarded = guardTools(guard, { read }).read;
    expect(Object.prototype.toString.call(guarded.execute)).toBe('[object AsyncGeneratorFunction]');
    expect(await events(guarded.execute?.({}, given))).toEqual(['half', 'all']);
    expect(scopes).toEqual(['shopper', 'shopper']);
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });

  it('run nothing when refused', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const erase = tool({
      inputSchema: z.object({}),
      async *execute() {
        ran.push('ran');
        yield 'half';
      },
    });
    await expect(events(guardTools(guard, { erase }).erase.execute?.({}, given))).rejects.toThrow('POLICY_DENY_HIGH_RISK');
    expect(ran).toEqual([]);
  });

  it('are recorded as error or cancelled when they end early', async () => {
    const { guard, store } = bench();
    let closed = false;
    const read = tool({
      inputSchema: z.object({ fail: z.boolean() }),
      async *execute({ fail }) {
        try {
          yield 'half';
          if (fail) throw new Error('line cut');
          yield 'all';
        } finally {
          closed = true;
        }
      },
    });
    const guarded = guardTools(guard, { read }).read;
    await expect(events(guarded.execute?.({ fail: true }, given))).rejects.toThrow('line cut');
    await first(guarded.execute?.({ fail: false }, { ...given, toolCallId: 'c2' }));
    expect(closed).toBe(true);
    await guard.close();
    expect(outcomes(store)).toEqual(['error', 'cancelled']);
  });

  it('returned by a plain function are read to the end inside the call', async () => {
    const { guard, store } = bench();
    const read = tool({
      inputSchema: z.object({}),
      execute: () =>
        (async function* () {
          yield 'half';
          yield currentCall()?.agent;
        })(),
    });
    expect(await guardTools(guard, { read }).read.execute?.({}, given)).toBe('shopper');
    await guard.close();
    expect(outcomes(store)).toEqual(['success']);
  });
});

describe('guardTools', () => {
  it('keeps everything of a tool but execute, and the types of all', () => {
    const { guard } = bench();
    const inner = Object.defineProperty(notingTool([]), 'hidden', { value: 1 });
    const client = tool({ inputSchema: z.object({}) });
    const tools = { read: inner, client, any: dynamicTool({ inputSchema: z.unknown(), execute: () => 1 }), ['__proto__']: client };
    const guarded: typeof tools = guardTools(guard, tools);
    expect(Object.keys(guarded)).toEqual(Object.keys(tools));
    expect(guarded.client).toBe(client);
    expect(guarded.read.inputSchema).toBe(inner.inputSchema);
    expect(Object.getOwnPropertyDescriptor(guarded.read, 'hidden')?.value).toBe(1);
    expect(guarded.read.execute).not.toBe(inner.execute);
    expect(guardTools(guard, guarded).read).toBe(guarded.read);
  });

  it.each<[string, GuardToolsOptions]>([
    ['session', { session: 'chat-2' }],
    ['session by a function', { session: () => 'chat-1' }],
    ['principal', { principal: 'ben' }],
    ['server', { session: 'chat-1', server: 'files' }],
    ['approval', { session: 'chat-1', approval: 'wait' }],
  ])('refuses a tool that asks the same guard already, with another %s: one of the two would count for nothing', (_what, other) => {
    const { guard } = bench();
    const guarded = guardTools(guard, { read: notingTool([]) }, { session: 'chat-1' });
    expect(() => guardTools(guard, guarded, other)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(guardTools(guard, guarded, { session: 'chat-1' }).read).toBe(guarded.read);
    expect(guardTools(guard, guarded).read).toBe(guarded.read);
    const without = guardTools(guard, { read: notingTool([]) });
    expect(() => guardTools(guard, without, other)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it.each([null, {}, 'run', 1, false])('refuses a tool whose execute is %j', (execute) => {
    const { guard } = bench({ policy: allowAll() });
    for (const odd of [{ execute }, Object.assign(() => {}, { execute })]) {
      expect(() => guardTools(guard, { odd })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    }
  });

  it('takes a function with an execute for a tool like any other, which nobody can call around it', async () => {
    const { guard } = bench();
    const ran: unknown[] = [];
    const callable = Object.assign(() => ran.push('called'), {
      inputSchema: z.object({}),
      execute: (input: unknown, _given: unknown) => ran.push(input),
    });
    const { read, erase, client } = guardTools(guard, { read: callable, erase: callable, client: () => {} });
    await expect(Promise.resolve(erase.execute({}, given))).rejects.toBeInstanceOf(CallRefusedError);
    expect(() => erase()).toThrow(TypeError);
    expect(ran).toEqual([]);
    await Promise.resolve(read.execute({}, given));
    expect([ran, read.inputSchema, typeof client]).toEqual([[{}], callable.inputSchema, 'function']);
    expect(guardTools(guard, { read }).read).toBe(read);
  });

  it('leaves errors to the SDK and records them', async () => {
    const { guard, store } = bench();
    const read = tool({ inputSchema: z.object({}), execute: (): Promise<string> => Promise.reject(new Error('no such file')) });
    expect(told(await turn(guard, guardTools(guard, { read }), user, [{ toolName: 'read', input: {} }]))).toEqual([
      'error-text: Error: no such file',
    ]);
    await guard.close();
    expect(outcomes(store)).toEqual(['error']);
  });

  it('takes session, principal and server from the application', async () => {
    const { guard, store } = bench({ policy: allowAll() });
    const session = (context: unknown): string => `chat of ${(context as { user: string }).user}`;
    const options = { session, principal: 'mary', server: (name: string) => `server of ${name}` };
    await guardTools(guard, { read: notingTool([]) }, options).read.execute?.({ amount: 1 }, { ...given, context: { user: 'mary' } });
    expect(store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({
      session: 'chat of mary',
      principal: 'mary',
      tool: { server: 'server of read', name: 'read' },
    });
  });
});

describe('a guard that masks results', () => {
  const secret = { url: 'postgres://u:hunter22@h/', at: new Date(5) };
  const shown = { url: 'postgres://u:[redacted:url-password]@h/', at: new Date(5) };
  const inputSchema = z.object({});

  it('hands on results and preliminary results without their secrets', async () => {
    const { guard } = bench({ policy: allowAll(), maskResults: true });
    const once = tool({ inputSchema, execute: () => secret });
    const stream = tool({
      inputSchema,
      async *execute() {
        yield 'plain';
        yield secret;
      },
    });
    const tools = guardTools(guard, { once, stream });
    expect(await tools.once.execute?.({}, given)).toEqual(shown);
    expect(await events(tools.stream.execute?.({}, { ...given, toolCallId: 'c2' }))).toEqual(['plain', shown]);
  });

  it('and not unless asked to', async () => {
    const { guard } = bench({ policy: allowAll() });
    expect(await guardTools(guard, { once: tool({ inputSchema, execute: () => secret }) }).once.execute?.({}, given)).toBe(secret);
  });
});
