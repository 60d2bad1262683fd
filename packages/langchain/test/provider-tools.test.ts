/** Tools that run at the model's provider: kept from the model, or on record as what nobody here could stop. */
import { rulePolicy } from '@countersign/core';
import { type AgentMiddleware, AIMessage, createAgent, createMiddleware, fakeModel } from 'langchain';
import { describe, expect, it } from 'vitest';
import { countersignMiddleware, type MiddlewareOptions } from '../src/index.ts';
import { asks, type Bench, bench, decisions, done, notingTool, outcomes, toolMessages } from './agent.ts';

const WEB = { type: 'web_search_20250305', name: 'web_search' };
const CODE = { type: 'code_interpreter', container: { type: 'auto' } };
const GOOGLE = { googleSearch: {} };
const FUNCTION = { type: 'function', function: { name: 'in_the_browser', parameters: {} } };

const policy = rulePolicy({
  id: 'web',
  default: 'deny',
  rules: [
    { id: 'web', tools: ['web_search'], unless: "'private' in session.labels", effect: 'allow', label: ['untrusted'] },
    { id: 'private', tools: ['read'], effect: 'allow', label: ['private'] },
    { id: 'mail', tools: ['mail'], when: "!('untrusted' in session.labels)", effect: 'allow' },
  ],
});

/** As LangChain's own form has it, whichever provider it came from. */
function searched(query: string, output: unknown, more: Partial<{ id: string; status: string; messageId: string }> = {}): AIMessage {
  const id = more.id ?? 'srv-1';
  return new AIMessage({
    id: more.messageId ?? 'message-1',
    content: [
      { type: 'server_tool_call', id, name: 'web_search', args: { query } },
      ...(output === undefined ? [] : [{ type: 'server_tool_call_result', toolCallId: id, status: more.status ?? 'success', output }]),
      { type: 'text', text: 'found it' },
    ],
    response_metadata: { output_version: 'v1' },
  });
}

async function run(made: Bench, messages: readonly AIMessage[], options: MiddlewareOptions = {}, others: AgentMiddleware[] = []) {
  const offered: unknown[][] = [];
  const model = fakeModel();
  for (const message of messages) model.respond(message);
  const spied = model.bindTools.bind(model);
  model.bindTools = (tools, ...rest) => (offered.push(tools as unknown[]), spied(tools, ...rest));
  const tools = [notingTool('read', []), notingTool('mail', []), WEB, CODE, GOOGLE, FUNCTION];
  const agent = createAgent({ model, tools, middleware: [countersignMiddleware(made.guard, options), ...others] });
  const result = await agent.invoke({ messages: 'go' }, { configurable: { thread_id: 'thread-1' } });
  await made.guard.close();
  return { result, offered };
}

const named = (tools: readonly unknown[] = []) =>
  tools.map((tool) => {
    const { name, type } = tool as { name?: string; type?: string };
    return name ?? type ?? Object.keys(tool as object)[0];
  });
const notes = ({ store }: Bench) => store.entries().flatMap((entry) => (entry.kind === 'note' ? [entry.topic] : []));

describe('by default', () => {
  it('they are not offered to the model, and definitions of functions of the application are', async () => {
    const { offered } = await run(bench({ policy }), [done()]);
    expect(offered.map(named)).toEqual([['read', 'mail', 'function']]);
  });

  it('one that ran all the same is recorded and told of', async () => {
    const made = bench({ policy });
    const added = createMiddleware({
      name: 'adder',
      wrapModelCall: (request, handler) => handler({ ...request, tools: [...request.tools, WEB] }),
    });
    await run(made, [searched('weather', { hits: 1 })], {}, [added]);
    expect(decisions(made.store)).toEqual(['web_search allow POLICY_ALLOW_LOW_RISK']);
    expect(notes(made)).toContain('ran-elsewhere');
    expect(made.errors).toMatchObject([{ code: 'MIDDLEWARE_MISPLACED' }]);
  });

  it('an agent without any is left as it is', async () => {
    const made = bench();
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }))
      .respond(done());
    const agent = createAgent({ model, tools: [notingTool('read', [])], middleware: [countersignMiddleware(made.guard)] });
    const result = await agent.invoke({ messages: 'go' });
    expect(toolMessages(result)[0]?.content).toBe('read done');
    expect(notes(made)).toEqual([]);
  });
});

describe('with providerTools: record', () => {
  const record = { providerTools: 'record' } as const;

  it('those are offered that policy may allow in this session', async () => {
    const messages = [asks({ name: 'read', args: {}, id: 'c1' }), done()];
    const { offered } = await run(bench({ policy }), messages, record);
    expect(offered.map(named)).toEqual([
      ['read', 'mail', 'web_search', 'function'],
      ['read', 'mail', 'function'],
    ]);
  });

  it('what ran is on record with its result, as of a place where no guard stands', async () => {
    const made = bench({ policy });
    const { result } = await run(made, [searched('weather', { hits: 1 })], record);
    expect(result.messages.at(-1)?.text).toBe('found it');
    expect(made.store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({
      tool: { name: 'web_search' },
      session: 'thread-1',
      mode: 'audit',
      effect: 'allow',
      would: 'allow',
      labels: ['untrusted'],
    });
    expect(notes(made)).toEqual(['ran-elsewhere']);
    expect(outcomes(made.store)).toEqual(['success']);
    expect(made.errors).toEqual([]);
  });

  it('what policy would have denied says so, and ran', async () => {
    const made = bench({ policy: rulePolicy({ id: 'no', default: 'deny', rules: [] }) });
    await run(made, [searched('weather', 'x', { status: 'error' })], record);
    expect(made.store.entries().find((entry) => entry.kind === 'decision')).toMatchObject({
      effect: 'allow',
      would: 'deny',
      mode: 'audit',
    });
    expect(outcomes(made.store)).toEqual(['error']);
  });

  it('its labels hold for calls of the same message', async () => {
    const made = bench({ policy });
    const both = searched('weather', { hits: 1 });
    both.tool_calls = [{ name: 'mail', args: {}, id: 'c1', type: 'tool_call' }];
    const { result } = await run(made, [both, done()], record);
    expect(toolMessages(result)[0]?.content).toContain('call refused');
    expect(decisions(made.store)).toEqual(['web_search allow POLICY_ALLOW_LOW_RISK', 'mail deny POLICY_DEFAULT_DENY']);
  });

  it('one without a result stands open, and one without an id is recorded each time', async () => {
    const made = bench({ policy });
    const unnamed = searched('a', undefined, { id: '', messageId: '' });
    unnamed.tool_calls = [{ name: 'read', args: {}, id: 'c1', type: 'tool_call' }];
    await run(made, [unnamed, searched('a', undefined, { id: '', messageId: '' })], record);
    expect(decisions(made.store).filter((line) => line.startsWith('web_search'))).toHaveLength(2);
    expect(outcomes(made.store)).toEqual(['success']);
  });

  it('the same id in a later message is another call', async () => {
    const made = bench({ policy });
    const first = searched('a', 'x', { messageId: 'm1' });
    first.tool_calls = [{ name: 'mail', args: {}, id: 'c1', type: 'tool_call' }];
    await run(made, [first, searched('a', 'x', { messageId: 'm2' })], record);
    expect(decisions(made.store).filter((line) => line.startsWith('web_search'))).toHaveLength(2);
  });

  it('an answer that cannot be recorded is not used: the run stops', async () => {
    const made = bench({ policy });
    made.store.failWith(new Error('disk full'));
    await expect(run(made, [searched('weather', { hits: 1 })], record)).rejects.toThrow('INTERNAL_ERROR');
  });

  it('an answer of a halted session is not used: the run stops', async () => {
    const made = bench({ policy });
    await made.store.commit({ kind: 'record', body: { kind: 'session', agent: 'shopper', session: 'thread-1', event: 'halted' } });
    await expect(run(made, [searched('weather', { hits: 1 })], record)).rejects.toThrow('SESSION_HALTED');
  });

  it('names, ids and arguments of any kind are recorded as something', async () => {
    const made = bench({ policy });
    const blocks = [
      { type: 'server_tool_call', id: 7, name: { toString: 'x' }, args: null },
      { type: 'server_tool_call', id: '__proto__', name: 'constructor', args: 'text' },
      { type: 'server_tool_call', name: '\u0000', args: { n: Number.NaN } },
      { type: 'server_tool_call_result', toolCallId: 'nobody', status: 'success', output: {} },
    ];
    const message = new AIMessage({ id: 'm', content: blocks as never, response_metadata: { output_version: 'v1' } });
    // A run that cannot be recorded stops the agent; what can be is on record all the same.
    await run(made, [message], record).catch(() => undefined);
    expect(made.store.entries().filter((entry) => entry.kind === 'decision').length).toBeGreaterThan(0);
  });

  const FORMS: readonly (readonly [string, AIMessage, readonly string[]])[] = [
    [
      'Anthropic',
      new AIMessage({
        id: 'm',
        content: [
          { type: 'server_tool_use', id: 's1', name: 'web_search', input: { query: 'weather' } },
          {
            type: 'web_search_tool_result',
            tool_use_id: 's1',
            content: [{ type: 'web_search_result', url: 'https://a.example', title: 'a' }],
          },
          { type: 'server_tool_use', id: 's2', name: 'web_fetch', input: { url: 'https://a.example' } },
          { type: 'web_fetch_tool_result', tool_use_id: 's2', content: { type: 'web_fetch_result' } },
          { type: 'mcp_tool_use', id: 's3', name: 'echo', server_name: 'x', input: {} },
        ] as never,
        response_metadata: { model_provider: 'anthropic' },
      }),
      ['web_search success', 'mcp_tool_use open', 'web_fetch success'],
    ],
    [
      'OpenAI',
      new AIMessage({
        id: 'm',
        content: [{ type: 'text', text: 'found' }],
        additional_kwargs: {
          tool_outputs: [
            { type: 'web_search_call', id: 'w1', status: 'completed', action: { type: 'search', query: 'weather' } },
            { type: 'image_generation_call', id: 'i1', status: 'completed', result: 'AAAA' },
            { type: 'computer_call', id: 'c1', call_id: 'c1' },
            { type: 'shell_call', id: 'h1', call_id: 'hosted', action: { commands: ['ls'] } },
            { type: 'shell_call_output', id: 'h2', call_id: 'hosted', output: [] },
            { type: 'shell_call', id: 'l1', call_id: 'local', action: { commands: ['ls'] } },
          ],
        },
        response_metadata: { model_provider: 'openai' },
      }),
      ['web_search success', 'image_generation open', 'shell open'],
    ],
    [
      'Google',
      new AIMessage({
        id: 'm',
        content: [
          { type: 'executableCode', executableCode: { language: 'PYTHON', code: 'print(1)' } },
          { type: 'codeExecutionResult', codeExecutionResult: { outcome: 'OUTCOME_OK', output: '1' } },
          { type: 'executableCode', executableCode: { language: 'PYTHON', code: 'print(x)' } },
          { type: 'codeExecutionResult', codeExecutionResult: { outcome: 'OUTCOME_FAILED', output: 'no x' } },
          { type: 'executableCode', executableCode: { language: 'PYTHON', code: 'print(2)' } },
        ] as never,
        response_metadata: { model_provider: 'google-genai', groundingMetadata: { webSearchQueries: ['weather'] } },
      }),
      ['codeExecution success', 'codeExecution error', 'codeExecution open', 'googleSearch success'],
    ],
    [
      'Google, a text alone',
      new AIMessage({ id: 'm', content: 'found', response_metadata: { groundingMetadata: { webSearchQueries: ['weather'] } } }),
      ['googleSearch success'],
    ],
    [
      'Google, where nothing was searched for',
      new AIMessage({ id: 'm', content: 'no', response_metadata: { groundingMetadata: { webSearchQueries: [] } } }),
      [],
    ],
    [
      'a provider LangChain does not know',
      new AIMessage({
        id: 'm',
        content: [
          { type: 'server_tool_use', id: 's1', name: 'web_search', input: {} },
          { type: 'text', text: 'x' },
        ] as never,
      }),
      ['web_search open'],
    ],
  ];

  it.each(FORMS)('reads what ran from answers of %s', async (_provider, message, ran) => {
    const made = bench({ policy });
    await run(made, [message], record);
    const entries = made.store.entries();
    const ended = new Map(entries.flatMap((entry) => (entry.kind === 'outcome' ? [[entry.call, entry.status] as const] : [])));
    const seen = entries.flatMap((entry) => (entry.kind === 'decision' ? [`${entry.tool.name} ${ended.get(entry.call) ?? 'open'}`] : []));
    expect(seen).toEqual(ran);
  });
});
