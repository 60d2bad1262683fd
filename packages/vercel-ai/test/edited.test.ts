/** An approver edited the arguments: the tool runs the edited ones, and the model reads that it did not get what it asked for. */
import { definePolicy, type Json } from '@countersign/core';
import { createUIMessageStream, generateText, isStepCount, type ModelMessage, streamText, type Tool, tool, toUIMessageStream } from 'ai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approvalFor, approvalOf, guardTools } from '../src/index.ts';
import { alice, approved, bench, told, turn, user } from './chat.ts';
import { partsOf, scripted } from './stream.ts';

const policy = definePolicy({
  id: 'cheap',
  evaluate: ({ args }) => ((args as { amount: number }).amount > 100 ? { effect: 'require_approval' } : { effect: 'allow' }),
});
const TOKEN = 'ghp_abcdefghijklmnopqrstuvwxyz0123456789';
const inputSchema = z.object({ amount: z.number(), token: z.string().optional() });
const options = { session: 'chat-1' };
const input = { amount: 500, token: TOKEN };
const NOTICE = '[a person edited the arguments of this call; it ran with {"amount":50,"token":"[redacted:key-name]"}]';

async function edited(made: Tool, args: Json = { amount: 50, token: '[redacted:key-name]' }) {
  const { guard, store } = bench({ policy });
  const tools = guardTools(guard, { pay: made }, options);
  const asked = await turn(guard, tools, user, [{ toolName: 'pay', input }]);
  const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c1', input }, options);
  await guard.approvals.resolve(row?.id ?? '', { decision: 'edit', args }, alice);
  return { guard, store, tools, history: approved(asked), resume: () => turn(guard, tools, approved(asked)) };
}

describe('the model reads the notice before the result', () => {
  const inputs: unknown[] = [];
  const noting = (given: unknown) => void inputs.push(given);
  it.each<[string, Tool, string]>([
    ['a text', tool({ inputSchema, execute: (given) => (noting(given), 'paid') }), `text: ${NOTICE}\npaid`],
    ['JSON', tool({ inputSchema, execute: (given) => (noting(given), { paid: given.amount }) }), `text: ${NOTICE}\n{"paid":50}`],
    ['nothing', tool({ inputSchema, execute: (given) => noting(given) }), `text: ${NOTICE}\nnull`],
    [
      'a generator',
      tool({
        inputSchema,
        async *execute(given) {
          yield 'paying';
          noting(given);
          yield 'paid';
        },
      }),
      `text: ${NOTICE}\npaid`,
    ],
    [
      'toModelOutput with content',
      tool({
        inputSchema,
        execute: (given) => (noting(given), 'paid'),
        toModelOutput: ({ output }) => ({ type: 'content', value: [{ type: 'text', text: output }] }),
      }),
      `content: ${JSON.stringify([
        { type: 'text', text: NOTICE },
        { type: 'text', text: 'paid' },
      ])}`,
    ],
    [
      'toModelOutput with an error',
      tool({
        inputSchema,
        execute: (given) => (noting(given), 'paid'),
        toModelOutput: () => ({ type: 'error-json', value: { code: 7 } }),
      }),
      `error-text: ${NOTICE}\n{"code":7}`,
    ],
  ])('%s', async (_name, made, expected) => {
    const { resume } = await edited(made);
    const messages = await resume();
    expect(told(messages)).toEqual([expected]);
    expect(inputs.splice(0)).toEqual([{ amount: 50, token: TOKEN }]);
    // The secret of the arguments is in the call that the model itself made, and in nothing that was added.
    expect(JSON.stringify(messages.slice(2))).not.toContain(TOKEN);
  });
});

it('is told in a stream too, and the application gets the bare result', async () => {
  const { guard, tools, history } = await edited(tool({ inputSchema, execute: () => ({ paid: true }) }));
  const model = scripted();
  const result = streamText({ model, tools, messages: history, toolApproval: approvalFor(guard), stopWhen: isStepCount(3) });
  const parts = await partsOf(result.stream);
  expect(parts).toContainEqual(expect.objectContaining({ type: 'tool-result', output: { paid: true } }));
  expect(JSON.stringify(model.doStreamCalls[0]?.prompt)).toContain(JSON.stringify(`${NOTICE}\n{"paid":true}`));
});

it('is told again when the same history is sent again, and not of another call', async () => {
  const { guard, tools, resume } = await edited(tool({ inputSchema, execute: () => 'paid' }));
  for (let i = 0; i < 2; i++) expect(told(await resume())).toEqual([`text: ${NOTICE}\npaid`]);
  const other = await turn(guard, tools, user, [{ toolName: 'pay', input: { amount: 1 }, toolCallId: 'c1' }]);
  expect(told(other)).toEqual(['text: paid']);
});

it('a tool that fails with the edited arguments fails with its own error', async () => {
  const { resume } = await edited(tool({ inputSchema, execute: (): Promise<string> => Promise.reject(new Error('no money')) }));
  expect(told(await resume())).toEqual(['error-text: Error: no money']);
});

it('an edit that the schema would change does not run, and the model reads why', async () => {
  const ran: unknown[] = [];
  const loud = z
    .object({ amount: z.number(), token: z.string().optional() })
    .transform((given) => ({ ...given, amount: given.amount + 1 }));
  const pay = tool({ inputSchema: loud, execute: (given) => void ran.push(given) });
  const { guard } = bench({ policy });
  const tools = guardTools(guard, { pay }, options);
  const asked = await turn(guard, tools, user, [{ toolName: 'pay', input: { amount: 500 } }]);
  const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c1', input: { amount: 501 } }, options);
  await guard.approvals.resolve(row?.id ?? '', { decision: 'edit', args: { amount: 50 } }, alice);
  expect(told(await turn(guard, tools, approved(asked)))[0]).toContain('the schema of the tool changes the edited arguments');
  expect(ran).toEqual([]);
});

it('is no part of a UI message: the person at the page sees what ran from the application', async () => {
  const { guard, tools, history } = await edited(tool({ inputSchema, execute: () => 'paid' }));
  const result = streamText({ model: scripted(), tools, messages: history, toolApproval: approvalFor(guard) });
  const chunks = await partsOf(
    createUIMessageStream({ execute: ({ writer }) => writer.merge(toUIMessageStream({ stream: result.stream, tools })) }),
  );
  expect(JSON.stringify(chunks)).toContain('"output":"paid"');
});

it('whoever calls execute without the SDK gets the bare result', async () => {
  const { tools } = await edited(tool({ inputSchema, execute: () => 'paid' }));
  const messages: ModelMessage[] = [];
  const given = { toolCallId: 'c1', messages, context: {} };
  const execute = tools.pay.execute as (input: unknown, options: object) => Promise<unknown>;
  expect(await execute(input, given)).toBe('paid');
  await expect(generateText({ model: scripted(), tools, prompt: 'go' })).resolves.toMatchObject({ text: 'done' });
});
