/**
 * Stands for a real model: it reads the last message and asks for the tools that it names. Its ids are as random as a
 * provider's.
 */
import { randomUUID } from 'node:crypto';
import type { LanguageModel } from 'ai';
import { convertArrayToReadableStream, MockLanguageModelV4 } from 'ai/test';

type StreamCall = Parameters<MockLanguageModelV4['doStream']>[0];
type Streamed = Awaited<ReturnType<MockLanguageModelV4['doStream']>>;
type Part = Streamed['stream'] extends ReadableStream<infer PART> ? PART : never;
type Prompt = StreamCall['prompt'];

export const HELP =
  'I am a scripted assistant. Try: order 1001 · refund 1001 20 · refund 1001 450 · refund 1001 450 and refund 1002 300 · erase customer 7 · read ticket 7 · payment log';

export function scriptedModel(): LanguageModel {
  return new MockLanguageModelV4({
    doStream: async ({ prompt }) => ({ stream: convertArrayToReadableStream([...answerTo(prompt)]) }),
  });
}

function answerTo(prompt: Prompt): readonly Part[] {
  const last = prompt.at(-1);
  if (last?.role === 'tool')
    return spoken(
      last.content
        .map(told)
        .filter((text) => text !== '')
        .join(' '),
    );
  const text = last?.role === 'user' ? last.content.map((part) => (part.type === 'text' ? part.text : '')).join(' ') : '';
  const calls = text.split(/\n| and /).flatMap((clause) => callFor(clause.trim()));
  return calls.length === 0 ? spoken(HELP) : parts(calls, 'tool-calls');
}

/** `call <tool> <JSON>` asks for anything at all, also for tools that are not there. */
function callFor(clause: string): readonly Part[] {
  const [, named, raw] = /^call (.+?) (\{.*\})$/.exec(clause) ?? [];
  if (named !== undefined && raw !== undefined) return [called(named, raw)];
  const [, order, amount] = /^refund (?:order )?(\S+) (\d+(?:\.\d+)?)$/i.exec(clause) ?? [];
  if (order !== undefined) return [called('refund', JSON.stringify({ order, amount: Number(amount) }))];
  const [, what, which] = /^(?:.* )?(order|customer|ticket) (\S+)$/i.exec(clause) ?? [];
  const tool = LOOKED_UP.get(what?.toLowerCase() ?? '');
  if (tool !== undefined) return [called(tool.name, JSON.stringify({ [tool.key]: which }))];
  return /payment log/i.test(clause) ? [called('paymentLog', '{}')] : [];
}

const LOOKED_UP: ReadonlyMap<string, { readonly name: string; readonly key: string }> = new Map([
  ['order', { name: 'findOrder', key: 'order' }],
  ['customer', { name: 'eraseCustomer', key: 'customer' }],
  ['ticket', { name: 'readTicket', key: 'ticket' }],
]);

function called(toolName: string, input: string): Part {
  return { type: 'tool-call', toolCallId: `call_${randomUUID()}`, toolName, input };
}

/** What it makes of a result. */
function told(part: Extract<Prompt[number], { readonly role: 'tool' }>['content'][number]): string {
  if (part.type !== 'tool-result') return '';
  const { type } = part.output;
  if (type === 'execution-denied') return `I could not use ${part.toolName}: it was denied.`;
  return type.startsWith('error') ? `I could not use ${part.toolName}.` : `${part.toolName} is done.`;
}

function spoken(text: string): readonly Part[] {
  const id = 'text';
  return parts(
    [
      { type: 'text-start', id },
      ...text.split(/(?<= )/).map((delta): Part => ({ type: 'text-delta', id, delta })),
      { type: 'text-end', id },
    ],
    'stop',
  );
}

function parts(between: readonly Part[], unified: 'stop' | 'tool-calls'): readonly Part[] {
  const inputTokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 };
  const usage = { inputTokens, outputTokens: { total: 1, text: 1, reasoning: 0 } };
  return [{ type: 'stream-start', warnings: [] }, ...between, { type: 'finish', finishReason: { unified, raw: unified }, usage }];
}
