/** The clients people use, of both SDKs and both eras, before a server of both eras: what they show, and what is paid. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { ElicitationCompleteNotificationSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeEach, expect, it } from 'vitest';

const server = fileURLToPath(new URL('../fixtures/paying-server.mjs', import.meta.url));
const proxy = fileURLToPath(new URL('../fixtures/asking-proxy.ts', import.meta.url));
const LONG_MS = 60_000;

interface Question {
  readonly mode?: string;
  readonly message: string;
  readonly url?: string;
}
interface Elicitation {
  readonly [mode: string]: Record<string, never>;
}
type Answer = { readonly action: 'accept' | 'decline' | 'cancel'; readonly content?: Record<string, string> };
const YES: Answer = { action: 'accept', content: { decision: 'approve' } };

let file: string;
let asked: Question[];
let completed: string[];
const open: { close(): Promise<void> }[] = [];
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), 'countersign-pay-')), 'paid');
  asked = [];
  completed = [];
});
afterEach(async () => {
  for (const client of open.splice(0)) await client.close();
});

const paid = (): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
};
const command = (ways: string, holdMs: number) => ({
  command: process.execPath,
  args: ['--conditions=@countersign/source', '--no-warnings', proxy, ways, String(holdMs), process.execPath, server, file],
  stderr: 'ignore' as const,
});

/** One shape for both SDKs. */
interface Caller {
  pay(amount: number, tool?: string): Promise<{ readonly text: string; readonly isError: boolean }>;
}
const told = (result: unknown): { readonly text: string; readonly isError: boolean } => {
  const { content, isError } = result as { readonly content: readonly { readonly text: string }[]; readonly isError?: boolean };
  return { text: content[0]?.text ?? '', isError: isError === true };
};

async function v1(
  elicitation: Elicitation | undefined,
  answer: (question: Question) => Answer | Promise<Answer>,
  ways = 'form,url',
  holdMs = LONG_MS,
): Promise<Caller> {
  const client = new Client({ name: 'v1', version: '1.0.0' }, { capabilities: elicitation === undefined ? {} : { elicitation } });
  if (elicitation !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      asked.push(params as Question);
      return answer(params as Question);
    });
    client.setNotificationHandler(ElicitationCompleteNotificationSchema, ({ params }) => void completed.push(params.elicitationId));
  }
  await client.connect(new StdioClientTransport(command(ways, holdMs)));
  open.push(client);
  return { pay: async (amount, tool = 'pay') => told(await client.callTool({ name: tool, arguments: { amount } })) };
}

async function v2(
  mode: 'auto' | 'legacy' | { pin: string },
  answer: (question: Question) => Answer | Promise<Answer>,
  elicitation: Elicitation = { form: {}, url: {} },
): Promise<Caller & { era: string | undefined }> {
  const client = new ClientV2({ name: 'v2', version: '1.0.0' }, { versionNegotiation: { mode }, capabilities: { elicitation } });
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    asked.push(params as Question);
    return answer(params as Question);
  });
  await client.connect(new StdioV2(command('form,url', LONG_MS)));
  open.push(client);
  return {
    pay: async (amount, tool = 'pay') => told(await client.callTool({ name: tool, arguments: { amount } })),
    era: client.getProtocolEra(),
  };
}

const opensPage = async ({ url }: Question): Promise<Answer> => {
  expect((await fetch(url ?? '')).status).toBe(200);
  return { action: 'accept' };
};

const clients: readonly (readonly [string, (answer: (question: Question) => Answer | Promise<Answer>) => Promise<Caller>])[] = [
  ['v1 client', async (answer) => v1({ form: {}, url: {} }, answer)],
  ['v2 client that greets first', async (answer) => v2('legacy', answer)],
  ['v2 client, auto', async (answer) => v2('auto', answer)],
  ['v2 client, pinned to 2026-07-28', async (answer) => v2({ pin: '2026-07-28' }, answer)],
];

it.each(clients)('%s', async (_name, connect) => {
  let answer: (question: Question) => Answer | Promise<Answer> = () => YES;
  const client = await connect((question) => answer(question));
  const questions = (): readonly Question[] => asked.splice(0);

  // What is allowed asks nobody; what is approved is paid, once.
  expect(await client.pay(5)).toEqual({ text: 'paid 5 by nobody', isError: false });
  expect(questions()).toEqual([]);
  expect(await client.pay(500)).toEqual({ text: 'paid 500 by nobody', isError: false });
  const [question, ...more] = questions();
  expect(question?.message).toContain('"amount": 500');
  expect(more).toEqual([]);
  expect((await client.pay(-1)).text).toContain('POLICY_DENY_HIGH_RISK');
  expect(paid()).toBe('5 by nobody\n500 by nobody\n');

  // A no in either form pays nothing.
  answer = () => ({ action: 'decline' });
  expect((await client.pay(501)).text).toContain('APPROVAL_DENIED');
  answer = () => ({ action: 'accept', content: { decision: 'deny', note: 'not today' } });
  expect((await client.pay(502)).text).toContain('not today');
  expect(paid()).toBe('5 by nobody\n500 by nobody\n');
  questions();

  // Where the rule asks for more, the page is opened, and the answer is the one that is given there.
  answer = opensPage;
  expect(await client.pay(5000)).toEqual({ text: 'paid 5000 by nobody', isError: false });
  expect(questions()).toMatchObject([{ mode: 'url' }]);

  // The server asks something itself after us: the person is asked by us once.
  answer = ({ message }) => (message.includes('who pays?') ? { action: 'accept', content: { name: 'ann' } } : YES);
  expect(await client.pay(503, 'pay_as')).toEqual({ text: 'paid 503 by ann', isError: false });
  expect(questions().map(({ message }) => message.includes('who pays?'))).toEqual([false, true]);
  expect(await client.pay(6, 'pay_as')).toEqual({ text: 'paid 6 by ann', isError: false });
  expect(paid()).toBe('5 by nobody\n500 by nobody\n5000 by nobody\n503 by ann\n6 by ann\n');
});

it('the two modes of the v2 client are two eras', async () => {
  expect([(await v2('auto', () => YES)).era, (await v2('legacy', () => YES)).era]).toEqual(['modern', 'legacy']);
});

it('a v1 client hears that the page is done with', async () => {
  const client = await v1({ form: {}, url: {} }, opensPage);
  await client.pay(5000);
  expect(completed).toHaveLength(1);
});

it.each([
  ['that only opens pages is shown no form', { url: {} }],
  ['without elicitation is told what waits', undefined],
] as const)('a v1 client %s', async (_what, elicitation) => {
  const client = await v1(elicitation, () => YES, 'form', 1);
  expect(await client.pay(500)).toMatchObject({ isError: true, text: expect.stringContaining('countersign approvals approve') as unknown });
  expect(asked).toEqual([]);
  expect(paid()).toBe('');
});
