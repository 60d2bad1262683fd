/** A LangChain agent, an AI SDK agent and the proxy in a process of its own write to one ledger at the same time. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Config, type Guard, loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import { countersignMiddleware } from '@countersign/langchain';
import { guardTools } from '@countersign/vercel-ai';
import { tool as aiTool, generateText, isStepCount } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { AIMessage, createAgent, fakeModel, tool } from 'langchain';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { json, project, run } from './harness.ts';

const CLI = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const SERVER = fileURLToPath(new URL('fixtures/echo-server.mjs', import.meta.url));
const TURNS = 8;
/** Each turn asks for one that runs and one that does not. */
const NAMES = ['read_file', 'delete_file'] as const;
const schema = z.object({ path: z.string() });

interface Told {
  readonly agent: string;
  readonly session: string;
  readonly principal?: string;
  readonly kind: string;
  readonly tool?: { readonly server?: string; readonly name: string };
  readonly effect?: string;
}

it('nothing is lost or mixed: each call is on record with the agent, session and principal it belongs to', {
  timeout: 180_000,
}, async () => {
  const cwd = await project();
  const config = loadConfig(join(cwd, 'countersign.yaml'), { env: {} });
  const ran: string[] = [];
  await Promise.all([
    guarded({ ...config, agent: 'langchain-bot' }, (guard) => langchainTurns(guard, ran)),
    guarded({ ...config, agent: 'ai-bot' }, (guard) => aiTurns(guard, ran)),
    proxyTurns(cwd, ran),
  ]);
  expect(ran.toSorted()).toEqual(['ai', 'langchain', 'proxy'].flatMap((who) => Array.from({ length: TURNS }, () => who)));

  const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  expect(report).toMatchObject({ status: 'valid', authorship: 'proven', open_decisions: 0, problems: [] });
  expect(report['counts']).toMatchObject({ allowed: 3 * TURNS, refused: 3 * TURNS, outcomes: 3 * TURNS });

  const decisions = await entries(cwd, '--kind', 'decision');
  const of = (agent: string): readonly Told[] => decisions.filter((entry) => entry.agent === agent);
  expect(new Set(decisions.map(({ agent }) => agent))).toEqual(new Set(['langchain-bot', 'ai-bot', 'bot']));
  for (const agent of ['langchain-bot', 'ai-bot', 'bot']) {
    expect(
      of(agent)
        .filter(({ effect }) => effect === 'allow')
        .map(({ tool: asked }) => asked?.name),
    ).toEqual(Array(TURNS).fill('read_file'));
    expect(
      of(agent)
        .filter(({ effect }) => effect === 'deny')
        .map(({ tool: asked }) => asked?.name),
    ).toEqual(Array(TURNS).fill('delete_file'));
  }
  expect(sessions(of('langchain-bot'))).toEqual(Array.from({ length: TURNS }, (_, turn) => `thread-${turn} user-${turn}`));
  expect(sessions(of('ai-bot'))).toEqual(Array.from({ length: TURNS }, (_, turn) => `chat-${turn} user-${turn}`));
  // One connection is one session, and nobody said on whose behalf.
  expect(sessions(of('bot'))).toHaveLength(1);

  // A thread is one question to the ledger, whoever else wrote meanwhile.
  expect((await entries(cwd, '--session', 'thread-3')).map(({ agent }) => agent)).toEqual(expect.arrayContaining(['langchain-bot']));
  expect(new Set((await entries(cwd, '--session', 'thread-3')).map(({ agent }) => agent)).size).toBe(1);
});

const sessions = (told: readonly Told[]): readonly string[] =>
  [...new Set(told.map(({ session, principal }) => (principal === undefined ? session : `${session} ${principal}`)))].toSorted();

async function entries(cwd: string, ...filter: readonly string[]): Promise<readonly Told[]> {
  const { stdout } = await run(['filter', ...filter], { cwd });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => (JSON.parse(line) as { readonly entry: Told }).entry);
}

async function guarded(config: Config, use: (guard: Guard) => Promise<void>): Promise<void> {
  const store = storeFromConfig(config);
  const guard = guardFromConfig(config, store);
  await use(guard);
  await guard.close();
  await store.close();
}

async function langchainTurns(guard: Guard, ran: string[]): Promise<void> {
  const tools = NAMES.map((name) => tool(() => void ran.push('langchain'), { name, description: name, schema }));
  const middleware = countersignMiddleware(guard, { server: 'files', principal: ({ configurable }) => String(configurable['user']) });
  const turn = async (number: number): Promise<void> => {
    const tool_calls = NAMES.map((name) => ({
      name,
      args: { path: `/srv/${number}` },
      id: `${name}-${number}`,
      type: 'tool_call' as const,
    }));
    const model = fakeModel()
      .respond(new AIMessage({ content: '', tool_calls }))
      .respond(new AIMessage('done'));
    const configurable = { thread_id: `thread-${number}`, user: `user-${number}` };
    await createAgent({ model, tools, middleware: [middleware] }).invoke({ messages: 'go' }, { configurable });
  };
  await Promise.all(Array.from({ length: TURNS }, (_, number) => turn(number)));
}

async function aiTurns(guard: Guard, ran: string[]): Promise<void> {
  const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } };
  const turn = async (number: number): Promise<void> => {
    const made = aiTool({ inputSchema: schema, execute: () => ran.push('ai') });
    const options = { server: 'files', session: `chat-${number}`, principal: `user-${number}` };
    const content = NAMES.map((toolName) => ({
      type: 'tool-call' as const,
      toolCallId: `${toolName}-${number}`,
      toolName,
      input: JSON.stringify({ path: `/srv/${number}` }),
    }));
    const model = new MockLanguageModelV4({
      doGenerate: [
        { content, finishReason: { unified: 'tool-calls', raw: 'tool-calls' }, usage, warnings: [] },
        { content: [{ type: 'text', text: 'done' }], finishReason: { unified: 'stop', raw: 'stop' }, usage, warnings: [] },
      ],
    });
    const tools = guardTools(guard, { read_file: made, delete_file: made }, options);
    await generateText({ model, tools, prompt: 'go', stopWhen: isStepCount(3) });
  };
  await Promise.all(Array.from({ length: TURNS }, (_, number) => turn(number)));
}

async function proxyTurns(cwd: string, ran: string[]): Promise<void> {
  const flags = ['--conditions=@countersign/source', '--no-warnings', CLI, 'proxy', '--server', 'files', '--', process.execPath, SERVER];
  const proxy = spawn(process.execPath, flags, { cwd, stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<number | null>((resolve) => proxy.once('exit', resolve));
  const params = (name: string, turn: number): object => ({ name, arguments: { path: `/srv/${turn}` } });
  const messages = Array.from({ length: TURNS }, (_, turn) =>
    NAMES.map((name) => ({ id: `${name}-${turn}`, params: params(name, turn) })),
  ).flat();
  for (const message of messages) proxy.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'tools/call', ...message })}\n`);
  let answers = 0;
  for await (const line of createInterface({ input: proxy.stdout })) {
    const { result } = JSON.parse(line) as { readonly result?: { readonly isError?: boolean } };
    if (result !== undefined && result.isError !== true) ran.push('proxy');
    if (++answers === messages.length) proxy.stdin.end();
  }
  expect([answers, await ended]).toEqual([messages.length, 0]);
}
