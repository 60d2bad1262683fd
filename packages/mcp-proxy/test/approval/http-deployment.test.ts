/** Approvals for clients over HTTP that hang up while a person thinks, try again, and come back as somebody else: one approval, one run. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type ApprovalRow, createGuard, type Guard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startHttpBridge } from '../../src/http/http-bridge.ts';
import { type HttpProxy, startHttpProxy } from '../../src/http/http-proxy.ts';
import { isObject, type JsonObject } from '../../src/message.ts';
import { Exchange } from '../http/http-client.ts';
import { json, RecordingUpstream } from '../http/recording-upstream.ts';
import { modern } from '../http/remote-client.ts';
import { PAGE } from './bench.ts';

const policy = rulePolicy({
  id: 'p',
  default: 'allow',
  rules: [
    { id: 'ask', tools: ['fs/refund'], effect: 'require_approval', reason: 'over 500' },
    { id: 'echo', tools: ['fs/echo'], effect: 'require_approval', approval: { assurance: 'medium' } },
    { id: 'sure', tools: ['fs/sure'], effect: 'require_approval', approval: { assurance: 'medium' } },
  ],
});
const YES = { action: 'accept', content: { decision: 'approve' } };

/** Of every call that was decided: aborted once its client is gone. */
let signals: AbortSignal[];
let store: ReturnType<typeof memoryStore>;
let guard: Guard;
let upstream: RecordingUpstream;
let proxy: HttpProxy;
beforeEach(async () => {
  signals = [];
  store = memoryStore();
  guard = createGuard({ agent: 'bot', policy, store, session: 's' });
  upstream = await RecordingUpstream.start();
  let sessions = 0;
  upstream.answer = ({ body }, response) => {
    if (body.length === 0) return void response.writeHead(405).end();
    const { id, method } = JSON.parse(body.toString()) as { readonly id?: unknown; readonly method: string };
    if (id === undefined) return void response.writeHead(202).end();
    if (method === 'initialize') response.setHeader('mcp-session-id', `session-${++sessions}`);
    json(response, { jsonrpc: '2.0', id, result: method === 'tools/call' ? { content: [{ type: 'text', text: 'paid' }] } : {} });
  };
  proxy = await startHttpProxy({
    guard: async () => ({
      ...guard,
      authorize: async (call, options) => {
        if (options?.signal !== undefined) signals.push(options.signal);
        return guard.authorize(call, options);
      },
    }),
    server: 'fs',
    url: upstream.url,
    port: 0,
    log: () => {},
    approvals: { ask: ['form', 'url'] },
    answerAt: (id) => `${PAGE}${id}`,
    mcp: { holdMs: 600_000 },
  });
});
afterEach(async () => {
  await proxy.close();
  await guard.close();
  await upstream.close();
});

const runs = (): number => upstream.received.filter(({ body }) => body.includes('"tools/call"')).length;
const recorded = (): readonly string[] =>
  store.entries().flatMap((entry) => (entry.kind === 'decision' && entry.effect === 'allow' ? [entry.tool.name] : []));
const rows = (state?: ApprovalRow['state']): Promise<readonly ApprovalRow[]> => guard.approvals.list(state === undefined ? {} : { state });
/** The ledger and the server agree, and nothing ran for which there is no consumed approval. */
async function expectRuns(count: number): Promise<void> {
  expect([runs(), recorded().length, (await rows('consumed')).length]).toEqual([count, count, count]);
}
async function pending(count: number): Promise<readonly ApprovalRow[]> {
  for (;;) {
    const found = await rows('pending');
    if (found.length === count) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** An approval given before that would still run the call for whoever waited. */
async function heardThatGone(count: number): Promise<void> {
  while (new Set(signals.filter(({ aborted }) => aborted)).size < count) await new Promise((resolve) => setImmediate(resolve));
}

class Client {
  readonly headers: Record<string, string>;
  readonly #url: string;

  constructor(headers: Record<string, string>, url: string = proxy.url) {
    this.headers = headers;
    this.#url = url;
  }

  static async begin(url = proxy.url): Promise<Client> {
    const capabilities = { elicitation: { form: {}, url: {} } };
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c', version: '1' } };
    const got = await new Client({}, url).post({ id: 'init', method: 'initialize', params }).done;
    return new Client({ 'mcp-session-id': String(got.headers['mcp-session-id']), 'mcp-protocol-version': '2025-11-25' }, url);
  }

  post(message: JsonObject): Exchange {
    return new Exchange(this.#url, 'POST', this.headers, JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  call(id: number, name: string): Exchange {
    return this.post({ id, method: 'tools/call', params: { name, arguments: { amount: 600 } } });
  }
}

async function question(exchange: Exchange): Promise<{ readonly id: unknown; readonly params: JsonObject }> {
  const find = (): JsonObject | undefined => exchange.messages.find(({ method }) => method === 'elicitation/create');
  await exchange.until(() => find() !== undefined);
  const { id, params } = find() ?? {};
  return { id, params: isObject(params) ? params : {} };
}
const answer = (id: unknown, result: JsonObject): JsonObject => ({ id, result });

describe('a form in a session', () => {
  it('is asked again of a client that hung up; the first answer runs the call, and no other one does', async () => {
    const client = await Client.begin();
    const left = client.call(1, 'refund');
    const first = await question(left);
    left.hangUp();
    await heardThatGone(1);
    await pending(1);
    const again = client.call(2, 'refund');
    const second = await question(again);
    expect(second.id).not.toBe(first.id);
    // Late, for a call that nobody waits for: it must not run that one beside the other.
    await client.post(answer(first.id, YES)).done;
    await client.post(answer(second.id, YES)).done;
    expect((await again.done).messages.at(-1)).toMatchObject({ id: 2, result: { content: [{ text: 'paid' }] } });
    await expectRuns(1);
    for (const id of [first.id, second.id]) await client.post(answer(id, YES)).done;
    await expectRuns(1);
    expect(upstream.received.filter(({ body }) => body.includes('"decision"'))).toEqual([]);
  });

  it('answered in another session counts for nothing there or here; and what one was approved runs for no other', async () => {
    const [one, other] = [await Client.begin(), await Client.begin()];
    const mine = one.call(1, 'refund');
    const asked = await question(mine);
    await other.post(answer(asked.id, YES)).done;
    expect(runs()).toBe(0);
    await pending(1);
    mine.hangUp();
    await heardThatGone(1);
    const theirs = other.call(1, 'refund');
    const anew = await question(theirs);
    // Of the first, approved while its client is away.
    const [row] = (await pending(2)).toSorted((a, b) => a.createdAtMs - b.createdAtMs);
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'ann', method: 'page' });
    expect(runs()).toBe(0);
    await other.post(answer(anew.id, { action: 'accept', content: { decision: 'deny' } })).done;
    expect(JSON.stringify((await theirs.done).messages.at(-1))).toContain('APPROVAL_DENIED');
    await expectRuns(0);
    // Its own client comes back for it: no question, one run.
    expect((await one.call(2, 'refund').done).messages).toMatchObject([{ id: 2, result: { content: [{ text: 'paid' }] } }]);
    await expectRuns(1);
    const third = one.call(3, 'refund');
    await question(third);
    third.hangUp();
    await expectRuns(1);
  });
});

describe('the approval page', () => {
  it('is opened, the client hangs up, the person approves, and the retry runs once', async () => {
    const client = await Client.begin();
    const left = client.call(1, 'sure');
    const { id, params } = await question(left);
    const [row] = await pending(1);
    expect(params).toMatchObject({ mode: 'url', url: `${PAGE}${row?.id}` });
    await client.post(answer(id, { action: 'accept' })).done;
    left.hangUp();
    await heardThatGone(1);
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'ann', method: 'page' });
    const before = runs();
    const other = (await Client.begin()).call(2, 'sure');
    await question(other);
    other.hangUp();
    expect(runs()).toBe(before);
    const [one, two] = [client.call(3, 'sure'), client.call(4, 'sure')];
    const done = await Promise.race([one, two].map(async ({ done: each }) => (await each).messages.at(-1)));
    expect(done).toMatchObject({ result: { content: [{ text: 'paid' }] } });
    await expectRuns(1);
    for (const each of [one, two]) each.hangUp();
  });
});

describe('input_required', () => {
  const headers = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'refund' };
  const client = (token: string): Client => new Client({ ...headers, authorization: `Bearer ${token}` });
  const message = (id: number, more: JsonObject = {}): JsonObject => {
    const { params, ...rest } = modern(id, 'tools/call', { name: 'refund', arguments: { amount: 600 }, ...more });
    const { _meta, ...other } = params as { readonly _meta: JsonObject };
    const capabilities = { elicitation: { form: {}, url: {} } };
    return { ...rest, params: { ...other, _meta: { ..._meta, 'io.modelcontextprotocol/clientCapabilities': capabilities } } };
  };
  const asked = async (by: Client, id: number): Promise<{ readonly requestState: string; readonly inputResponses: JsonObject }> => {
    const [got] = (await by.post(message(id)).done).messages;
    const result = got?.['result'] as { readonly resultType: string; readonly inputRequests: JsonObject; readonly requestState: string };
    expect(result.resultType).toBe('input_required');
    return {
      requestState: result.requestState,
      inputResponses: Object.fromEntries(Object.keys(result.inputRequests).map((key) => [key, YES])),
    };
  };

  it('is brought back twice at once, again later, and by somebody else: one run', async () => {
    const [mine, theirs] = [client('mine'), client('theirs')];
    const brought = await asked(mine, 1);
    await theirs.post(message(2, brought)).done;
    await theirs.post(message(3, { ...(await asked(theirs, 4)), requestState: brought.requestState })).done;
    await expectRuns(0);
    // The client is gone as soon as it has sent, and comes back.
    const [one, two] = [mine.post(message(5, brought)), mine.post(message(6, brought))];
    const results = await Promise.all([one, two].map(async ({ done }) => JSON.stringify((await done).messages.at(-1))));
    expect(results.filter((text) => text.includes('paid'))).toHaveLength(1);
    await expectRuns(1);
    expect(JSON.stringify((await mine.post(message(7, brought)).done).messages)).toContain('input_required');
    await expectRuns(1);
    const [sent] = upstream.received.filter(({ body }) => body.includes('"tools/call"'));
    expect(sent?.body.toString()).not.toMatch(/requestState|inputResponses/);
  });
});

it('before a process a call goes on without its client: beside its retry it runs once all the same', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-approvals-'));
  const bridge = await startHttpBridge({
    command: process.execPath,
    args: [fileURLToPath(new URL('../fixtures/pipe-server.mjs', import.meta.url)), join(folder, 'received')],
    guard: async () => guard,
    server: 'fs',
    stderr: new PassThrough().resume(),
    log: () => {},
    port: 0,
    killGraceMs: 200,
    approvals: { ask: ['form', 'url'] },
    answerAt: (id) => `${PAGE}${id}`,
    mcp: { holdMs: 600_000 },
  });
  onTestFinished(async () => {
    await bridge.close();
    rmSync(folder, { recursive: true });
  });
  const [one, other] = [await Client.begin(bridge.url), await Client.begin(bridge.url)];
  const ran = (): number => readFileSync(join(folder, 'received'), 'utf8').split('"tools/call"').length - 1;
  const left = one.call(1, 'echo');
  await question(left);
  const [row] = await pending(1);
  left.hangUp();
  const retry = one.call(2, 'echo');
  const stranger = other.call(2, 'echo');
  await question(stranger);
  await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, { id: 'ann', method: 'page' });
  while ((await rows('consumed')).length === 0) await new Promise((resolve) => setImmediate(resolve));
  // Whichever of the two it was, the other one has no approval left, and may only ask for one.
  const asksAgain = one.call(3, 'echo');
  await question(asksAgain);
  expect(recorded()).toEqual(['echo']);
  await vi.waitUntil(() => ran() === 1, { timeout: 30_000, interval: 10 });
  for (const each of [retry, stranger, asksAgain]) each.hangUp();
  await bridge.close();
  expect([ran(), recorded().length, (await rows('consumed')).length]).toEqual([1, 1, 1]);
});
