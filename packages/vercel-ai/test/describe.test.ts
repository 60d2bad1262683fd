/** What `describeApprovals` adds to the stream of a page, and what it must not touch, tell or break. */
import { streamText, tool, toUIMessageStream, type UIMessageChunk } from 'ai';
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, describeApprovals, guardTools } from '../src/index.ts';
import { alice, bench } from './chat.ts';

const options = { session: 'chat-1', principal: 'ana' };
type Request = Extract<UIMessageChunk, { readonly type: 'tool-approval-request' }>;

function shop() {
  const { guard, store } = bench();
  const pay = tool({ inputSchema: z.object({ amount: z.coerce.number() }), execute: () => 'paid' });
  const erase = tool({ inputSchema: z.object({}), execute: () => 'gone' });
  return { guard, store, tools: guardTools(guard, { pay, erase }, options) };
}

/** What goes to the page when the model asks for `calls`. */
function chunks({ guard, tools }: ReturnType<typeof shop>, ...calls: readonly (readonly [tool: string, id: string, input: string])[]) {
  const none = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const model = new MockLanguageModelV4({
    doStream: {
      stream: convertArrayToReadableStream([
        ...calls.map(([toolName, toolCallId, input]) => ({ type: 'tool-call' as const, toolCallId, toolName, input })),
        {
          type: 'finish' as const,
          finishReason: { unified: 'tool-calls' as const, raw: undefined },
          usage: { inputTokens: none, outputTokens: { total: 1, text: 1, reasoning: 0 } },
        },
      ]),
    },
  });
  const { stream } = streamText({ model, tools, toolApproval: approvalFor(guard), prompt: 'go' });
  return toUIMessageStream({ stream, tools });
}

async function all(stream: ReadableStream<UIMessageChunk>): Promise<readonly UIMessageChunk[]> {
  const read: UIMessageChunk[] = [];
  for await (const chunk of stream) read.push(chunk);
  return read;
}

function requests(read: readonly UIMessageChunk[]): readonly Request[] {
  return read.filter((chunk) => chunk.type === 'tool-approval-request');
}

function given(...sent: readonly UIMessageChunk[]): ReadableStream<UIMessageChunk> {
  return convertArrayToReadableStream([...sent]);
}

const asked: UIMessageChunk = { type: 'tool-input-available', toolCallId: 'c1', toolName: 'pay', input: { amount: 500 } };
const request: UIMessageChunk = { type: 'tool-approval-request', approvalId: 'sdk-1', toolCallId: 'c1' };

describe('describeApprovals', () => {
  it('names the approval of each call that asks, and nothing besides', async () => {
    const shopping = shop();
    const { guard } = shopping;
    const read = await all(
      chunks(shopping, ['pay', 'c1', '{"amount":"500"}'], ['pay', 'c2', '{"amount":7}']).pipeThrough(describeApprovals(guard, options)),
    );
    const [one, two] = requests(read).map(({ approvalDescriptor }) => approvalDescriptor as Record<string, unknown>);
    expect(Object.keys(one ?? {})).toEqual(['approvalId', 'expiresAtMs']);
    const rows = await Promise.all([one, two].map((each) => guard.approvals.get(String(each?.['approvalId']))));
    expect(rows).toMatchObject([{ shown: { amount: 500 }, expiresAtMs: one?.['expiresAtMs'], principal: 'ana' }, { shown: { amount: 7 } }]);
  });

  it('grants nothing: the approval it names still waits', async () => {
    const shopping = shop();
    const { guard } = shopping;
    await all(chunks(shopping, ['pay', 'c1', '{"amount":5}']).pipeThrough(describeApprovals(guard, options)));
    expect(await guard.approvals.list()).toMatchObject([{ state: 'pending' }]);
    expect(guard.counters.allowed).toBe(0);
  });

  it('passes everything else on as it is', async () => {
    const shopping = shop();
    const untouched = await all(chunks(shop(), ['erase', 'c1', '{}'], ['nothing', 'c2', '{}'], ['pay', 'c3', 'not JSON']));
    const read = await all(
      chunks(shopping, ['erase', 'c1', '{}'], ['nothing', 'c2', '{}'], ['pay', 'c3', 'not JSON']).pipeThrough(
        describeApprovals(shopping.guard, options),
      ),
    );
    const plain = (list: readonly UIMessageChunk[]): unknown =>
      JSON.parse(JSON.stringify(list).replaceAll(/"(?:id|approvalId|messageId)":"[^"]+"/g, '"id":0'));
    expect(plain(read)).toEqual(plain(untouched));
    expect(requests(read).filter(({ approvalDescriptor }) => approvalDescriptor !== undefined)).toEqual([]);
  });

  it('does not name the approval of another session, of other arguments, or of a call that it did not see', async () => {
    const { guard, store, tools } = shop();
    await all(chunks({ guard, store, tools }, ['pay', 'c1', '{"amount":500}']));
    expect(await guard.approvals.list()).toHaveLength(1);
    const described = async (sent: readonly UIMessageChunk[], under = options) =>
      requests(await all(given(...sent).pipeThrough(describeApprovals(guard, under)))).map(({ approvalDescriptor }) => approvalDescriptor);
    expect(await described([asked, request])).toEqual([expect.objectContaining({ approvalId: expect.any(String) })]);
    expect(await described([asked, request], { ...options, session: 'chat-2' })).toEqual([undefined]);
    expect(await described([{ ...asked, input: { amount: 501 } }, request])).toEqual([undefined]);
    expect(await described([{ ...asked, toolName: '__proto__' }, request])).toEqual([undefined]);
    expect(await described([request])).toEqual([undefined]);
    expect(await described([asked, { type: 'start-step' }, request])).toEqual([undefined]);
    expect(await described([asked, { ...request, isAutomatic: true }])).toEqual([undefined]);
  });

  it('takes the session from the context of the tool, as guardTools does', async () => {
    const { guard } = bench();
    const bySession = { session: (context: unknown) => (context as { readonly chat: string } | undefined)?.chat };
    const { approvalId } = await guard.preview(
      { tool: { name: 'pay' }, args: { amount: 500 }, id: 'c1', session: 'chat-9' },
      { openApproval: true },
    );
    const [found] = requests(
      await all(given(asked, request).pipeThrough(describeApprovals(guard, bySession, { pay: { chat: 'chat-9' } }))),
    );
    expect(found?.approvalDescriptor).toMatchObject({ approvalId });
    const [none] = requests(await all(given(asked, request).pipeThrough(describeApprovals(guard, bySession, { pay: { chat: 'chat-8' } }))));
    expect(none?.approvalDescriptor).toBeUndefined();
  });

  it('does not end the stream when the store is gone', async () => {
    const { guard } = bench();
    const broken = { ...guard, preview: () => Promise.reject(new Error('down')) };
    expect(await all(given(asked, request).pipeThrough(describeApprovals(broken, options)))).toEqual([asked, request]);
  });

  it('names an approval that was answered meanwhile too: the route says in which state it is', async () => {
    const shopping = shop();
    const { guard } = shopping;
    await all(chunks(shopping, ['pay', 'c1', '{"amount":500}']));
    const [row] = await guard.approvals.list();
    await guard.approvals.resolve(row?.id ?? '', { decision: 'deny' }, alice);
    const [found] = requests(await all(given(asked, request).pipeThrough(describeApprovals(guard, options))));
    expect(found?.approvalDescriptor).toEqual({ approvalId: row?.id, expiresAtMs: row?.expiresAtMs });
  });
});
