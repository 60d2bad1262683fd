/** Tools that the model's provider runs: not offered, or on record as what they are. */
import { allowAll, createGuard, denyAll, type GuardOptions, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { wrapLanguageModel } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { describe, expect, it } from 'vitest';
import { countersignMiddleware } from '../src/index.ts';
import { CALLED, type Content, call, finish, fn, type Part, PROMPT, partsOf, providerTool, streamed, USAGE, wrapped } from './model.ts';

function bench(policy: GuardOptions['policy'] = allowAll(), more: Partial<GuardOptions> = {}) {
  const store = memoryStore();
  return { store, guard: createGuard({ agent: 'shopper', policy, store, session: 's1', ...more }) };
}

function told(store: ReturnType<typeof memoryStore>): string[] {
  return store.entries().flatMap((entry) => {
    if (entry.kind === 'decision') return [`${entry.tool.name} ${entry.mode} ${entry.effect} would ${entry.would}`];
    if (entry.kind === 'outcome') return [`outcome ${entry.status}`];
    return entry.kind === 'note' ? [`${entry.topic} by ${String((entry.data as { by?: unknown }).by)}`] : [];
  });
}

const RUN = { providerExecuted: true };
const search = (id = 'p1'): Content => call(id, 'web_search', { query: 'tea' }, RUN);
const found = (id = 'p1', more: object = {}): Content => ({
  type: 'tool-result',
  toolCallId: id,
  toolName: 'web_search',
  result: { hits: 3 },
  ...more,
});
const TOOLS = { prompt: PROMPT, tools: [fn('read'), providerTool('web_search')] };

describe('strip, the default', () => {
  it('does not offer them, and says so once', async () => {
    const { model, asked } = wrapped(bench().guard);
    const first = await model.doGenerate(TOOLS);
    expect(asked().tools?.map(({ name }) => name)).toEqual(['read']);
    expect(first.warnings).toEqual([
      { type: 'unsupported', feature: 'provider tool web_search', details: expect.stringContaining("providerTools: 'record'") },
    ]);
    expect((await model.doGenerate(TOOLS)).warnings).toEqual([]);
  });

  it('does not offer a kind of tool it does not know', async () => {
    const { model, asked } = wrapped(bench().guard);
    await model.doGenerate({ prompt: PROMPT, tools: [{ ...fn('read'), type: 'remote' } as never] });
    expect(asked().tools).toBeUndefined();
  });

  it('strips in audit mode too: it is what the developer chose, not what policy says', async () => {
    const { model, asked } = wrapped(bench(allowAll(), { mode: 'audit' }).guard);
    await model.doGenerate(TOOLS);
    expect(asked().tools?.map(({ name }) => name)).toEqual(['read']);
  });

  it('what the provider runs uninvited (its own settings can say so) is on record nevertheless', async () => {
    const { guard, store } = bench();
    const { model } = wrapped(guard, {}, { result: { content: [search(), found()] } });
    const { content } = await model.doGenerate(TOOLS);
    expect(content).toEqual([search(), found()]);
    expect(told(store)).toEqual(['web_search audit allow would allow', 'ran-elsewhere by provider', 'outcome success']);
  });
});

describe('record', () => {
  const RECORD = { providerTools: 'record' } as const;

  it('offers them, unless every call would be denied', async () => {
    const allowed = wrapped(bench().guard, RECORD);
    await allowed.model.doGenerate(TOOLS);
    expect(allowed.asked()).toBe(TOOLS);
    const denied = wrapped(bench(rulePolicy({ id: 'p', rules: [{ id: 'r', tools: ['read'], effect: 'allow' }] })).guard, RECORD);
    await denied.model.doGenerate(TOOLS);
    expect(denied.asked().tools?.map(({ name }) => name)).toEqual(['read']);
  });

  it.each<readonly [string, GuardOptions['policy'], string]>([
    ['allowed', allowAll(), 'web_search audit allow would allow'],
    ['denied', denyAll(), 'web_search audit allow would deny'],
  ])('a run that is %s: generate and stream tell the same story, and hand on every part', async (_what, policy, decision) => {
    const content = [{ type: 'text' as const, text: 'let me see' }, search(), found()];
    const parts = [...streamed(search() as never), found() as Part, finish()];
    const first = bench(policy);
    const generated = await wrapped(first.guard, RECORD, { result: { content } }).model.doGenerate(TOOLS);
    expect(generated.content).toEqual(content);
    const second = bench(policy);
    const { stream } = await wrapped(second.guard, RECORD, { parts }).model.doStream(TOOLS);
    expect(await partsOf(stream)).toEqual(parts);
    const story = [decision, 'ran-elsewhere by provider', 'outcome success'];
    expect([told(first.store), told(second.store)]).toEqual([story, story]);
  });

  it('is on record before the program sees the result', async () => {
    const { guard, store } = bench();
    const { stream } = await wrapped(guard, RECORD, { parts: [search() as Part, found() as Part, finish()] }).model.doStream(TOOLS);
    for await (const part of stream) if (part.type === 'tool-result') expect(told(store)).toHaveLength(3);
  });

  it('an error of the provider is an error on record; preliminary results are none', async () => {
    const { guard, store } = bench();
    const content = [search(), found('p1', { preliminary: true }), found('p1', { isError: true })];
    await wrapped(guard, RECORD, { result: { content } }).model.doGenerate(TOOLS);
    expect(told(store).at(-1)).toBe('outcome error');
    expect(told(store)).toHaveLength(3);
  });

  it('a result that comes with a later response settles its call', async () => {
    const { guard, store } = bench();
    const contents = [[search()], [found()]];
    const inner = new MockLanguageModelV4({
      doGenerate: contents.map((content) => ({ content, finishReason: CALLED, usage: USAGE, warnings: [] })),
    });
    const model = wrapLanguageModel({ model: inner, middleware: countersignMiddleware(guard, RECORD) });
    await model.doGenerate(TOOLS);
    expect(told(store)).not.toContain('outcome success');
    await model.doGenerate(TOOLS);
    expect(told(store)).toEqual(['web_search audit allow would allow', 'ran-elsewhere by provider', 'outcome success']);
  });

  it('a call that waits for the approval its provider asks for has not run', async () => {
    const asked: Content = { type: 'tool-approval-request', approvalId: 'a1', toolCallId: 'p1' };
    for (const how of ['generate', 'stream']) {
      const { guard, store } = bench();
      const { model } = wrapped(guard, RECORD, {
        result: { content: [search(), asked] },
        parts: [search() as Part, asked, finish()],
      });
      if (how === 'generate') await model.doGenerate(TOOLS);
      else await partsOf((await model.doStream(TOOLS)).stream);
      expect(told(store)).toEqual([]);
    }
  });

  it('a stream that breaks off after the call leaves it open on record', async () => {
    const { guard, store } = bench();
    const stream = new ReadableStream<Part>({
      pull(controller) {
        controller.enqueue(search() as Part);
        controller.enqueue({ type: 'text-start', id: 't' });
      },
    });
    const reader = (await wrapped(guard, RECORD, { stream }).model.doStream(TOOLS)).stream.getReader();
    await reader.read();
    await reader.cancel('enough');
    expect(told(store)).toEqual(['web_search audit allow would allow', 'ran-elsewhere by provider']);
  });

  it.each(['{"query":', '', 'null', '"__proto__"'])('an input of %j is on record as it came', async (input) => {
    const { guard, store } = bench();
    await wrapped(guard, RECORD, { result: { content: [call('p1', 'web_search', input, RUN), found()] } }).model.doGenerate(TOOLS);
    expect(told(store).filter((line) => line.startsWith('ran-elsewhere'))).toHaveLength(1);
  });

  it('a ledger that cannot be written is told to onError, and the response is handed on', async () => {
    const errors: unknown[] = [];
    const { guard, store } = bench(allowAll(), { onError: (error) => errors.push(error) });
    store.failWith(new Error('disk full'));
    const { content } = await wrapped(guard, RECORD, { result: { content: [search(), found()] } }).model.doGenerate(TOOLS);
    expect(content).toHaveLength(2);
    expect(errors.length).toBeGreaterThan(0);
  });

  it('labels of the run count for what is offered next', async () => {
    const policy = rulePolicy({
      id: 'p',
      default: 'allow',
      rules: [
        { id: 'searched', tools: ['web_search'], effect: 'label', label: ['untrusted'] },
        { id: 'leak', tools: ['send'], effect: 'deny', when: "'untrusted' in session.labels" },
      ],
    });
    const { guard } = bench(policy);
    const { model, asked } = wrapped(guard, RECORD, { result: { content: [search(), found()] } });
    const tools = { ...TOOLS, tools: [...TOOLS.tools, fn('send')] };
    await model.doGenerate(tools);
    expect(asked().tools?.map(({ name }) => name)).toEqual(['read', 'web_search', 'send']);
    await model.doGenerate(tools);
    expect(asked().tools?.map(({ name }) => name)).toEqual(['read', 'web_search']);
  });
});
