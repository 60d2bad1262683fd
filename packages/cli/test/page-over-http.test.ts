/**
 * From end to end: a client over HTTP, the proxy, a call that waits, the approval page with its login, a person's browser, and the
 * retry. The page has a store of its own on the same ledger, as `countersign console` has in a process of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { approvalLink, ledgerSource, type ServedPage, serveApprovalPage } from '@countersign/connect';
import { type ApprovalState, createGuard, type Guard, rulePolicy, type Store } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { startHttpGateway, startHttpProxy } from '@countersign/mcp-proxy';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

const PATIENCE = { timeout: 30_000, interval: 20 };
const VERSION = '2026-07-28';
const META = {
  'io.modelcontextprotocol/protocolVersion': VERSION,
  'io.modelcontextprotocol/clientInfo': { name: 'agent', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {}, url: {} } },
};
const policy = rulePolicy({
  id: 'p',
  default: 'allow',
  rules: [{ id: 'big', tools: ['bank/refund'], effect: 'require_approval', approval: { assurance: 'medium' }, reason: 'over 500' }],
});

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly url?: string };
  readonly result?: { readonly content?: readonly { readonly text: string }[]; readonly [key: string]: unknown };
}

let folder: string;
let stores: readonly Store[];
let guard: Guard;
let page: ServedPage;
let upstream: Server;
let ran: Message[];
let url: string;
const closing: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-page-'));
  const path = join(folder, 'ledger.db');
  const open = (): Store => openStore({ path, origin: 'example.com/page', signer: 'none' });
  const [store, pages] = [open(), open()];
  stores = [store, pages];
  guard = createGuard({ agent: 'bot', policy, store, session: 's' });
  const answering = createGuard({ agent: 'page', policy, store: pages });
  page = await serveApprovalPage({ port: 0, source: ledgerSource(path), approvals: answering.approvals, approver: 'page:ana' });
  ran = [];
  upstream = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      if (body === '') return void response.writeHead(405).end();
      const message = JSON.parse(body) as Message;
      if (message.id === undefined) return void response.writeHead(202).end();
      if (message.method === 'tools/call') ran.push(message);
      if (message.method === 'initialize') response.setHeader('mcp-session-id', `s-${Math.random()}`);
      const offer = {
        supportedVersions: [VERSION],
        capabilities: { tools: {} },
        protocolVersion: '2025-11-25',
        ttlMs: 0,
        cacheScope: 'private',
      };
      const result = {
        resultType: 'complete',
        content: [{ type: 'text', text: 'paid' }],
        ...(message.method === 'server/discover' && offer),
      };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await page.close();
  await guard.close();
  upstream.closeAllConnections();
  upstream.close();
  for (const store of stores) await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const there = (): string => `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;
const common = () =>
  ({
    guard: async () => guard,
    port: 0,
    log: () => {},
    approvals: { ask: ['form', 'url'] },
    answerAt: (id: string) => approvalLink(page.url, id),
    mcp: { holdMs: 600_000, pins: 'off' },
  }) as const;

async function overHttp(): Promise<void> {
  const proxy = await startHttpProxy({ ...common(), server: 'bank', url: there() });
  closing.push(() => proxy.close());
  url = proxy.url;
}

/** One message of the client; its answer is read as it comes. */
class Asked {
  readonly messages: Message[] = [];
  readonly done: Promise<readonly Message[]>;
  session = '';
  readonly #abort = new AbortController();

  constructor(message: object, headers: Readonly<Record<string, string>> = {}) {
    this.done = this.#ask(message, headers);
    // A test that hangs up does not wait for it; one that waits is told.
    this.done.catch(() => {});
  }

  async #ask(message: object, headers: Readonly<Record<string, string>>): Promise<readonly Message[]> {
    const accept = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    const response = await fetch(url, { method: 'POST', headers: { ...accept, ...headers }, body, signal: this.#abort.signal });
    this.session = response.headers.get('mcp-session-id') ?? '';
    const isStream = response.headers.get('content-type') === 'text/event-stream';
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (!isStream) continue;
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const data of events.flatMap((event) => event.split('\n')).filter((line) => /^data: ?\{/.test(line))) this.#take(data.slice(5));
    }
    if (!isStream && text !== '') this.#take(text);
    return this.messages;
  }

  #take(json: string): void {
    this.messages.push(JSON.parse(json) as Message);
  }

  async asks(): Promise<Message> {
    return vi.waitUntil(() => this.messages.find(({ method }) => method === 'elicitation/create'), PATIENCE);
  }

  hangUp(): void {
    this.#abort.abort();
  }
}

async function session(): Promise<(message: object) => Asked> {
  const clientInfo = { name: 'agent', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: { elicitation: { form: {}, url: {} } }, clientInfo };
  const begun = new Asked({ id: 0, method: 'initialize', params });
  await begun.done;
  const headers = { 'mcp-session-id': begun.session, 'mcp-protocol-version': '2025-11-25' };
  return (message) => new Asked(message, headers);
}

const refund = (id: number, amount = 600): object => ({ id, method: 'tools/call', params: { name: 'refund', arguments: { amount } } });
const textOf = (messages: readonly Message[]): string => JSON.stringify(messages.at(-1)?.result ?? {});

/** A person's browser: posts forms of the page, from the page. */
function post(to: string, form: Readonly<Record<string, string>>, cookie = ''): Promise<Response> {
  return fetch(to, {
    method: 'POST',
    body: new URLSearchParams(form),
    redirect: 'manual',
    headers: { origin: page.url, 'sec-fetch-site': 'same-origin', ...(cookie !== '' && { cookie }) },
  });
}

async function login(): Promise<string> {
  const answered = await post(`${page.url}/login`, { code: new URL(page.newLink()).hash.slice(1) });
  return answered.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
}

/** Opens the page of an approval and presses a button there. */
async function press(link: string, fields: Readonly<Record<string, string>>, cookie: string): Promise<string> {
  const shown = await (await fetch(link, { headers: { cookie } })).text();
  const seen = /name="seen" value="([0-9a-f]+)"/.exec(shown)?.[1] ?? '';
  await post(link, { seen, ...fields }, cookie);
  return shown;
}

const states = async (): Promise<readonly ApprovalState[]> => (await guard.approvals.list({})).map(({ state }) => state);
async function linkOf(asked: Asked): Promise<string> {
  const { params } = await asked.asks();
  expect(params?.url).toMatch(new RegExp(`^${page.url}/approvals/`));
  return params?.url ?? '';
}

describe('a session over HTTP', () => {
  it('waits for the page; approved there the held call runs, once, and the same again is another question', async () => {
    await overHttp();
    const client = await session();
    const held = client(refund(1));
    const link = await linkOf(held);
    const shown = await press(link, { do: 'approve' }, await login());
    expect(shown).toContain('600');
    expect(textOf(await held.done)).toContain('paid');
    expect([ran.length, await states()]).toEqual([1, ['consumed']]);
    const again = client(refund(2));
    expect(await linkOf(again)).not.toBe(link);
    again.hangUp();
    expect(ran.length).toBe(1);
  });

  it('hangs up meanwhile: the retry takes the approval, of two at once one does, and another client does not', async () => {
    await overHttp();
    const [client, other] = [await session(), await session()];
    const left = client(refund(1));
    const link = await linkOf(left);
    left.hangUp();
    await press(link, { do: 'approve' }, await login());
    await vi.waitFor(async () => expect(await states()).toEqual(['approved']), PATIENCE);
    const theirs = other(refund(1));
    await linkOf(theirs);
    theirs.hangUp();
    expect(ran.length).toBe(0);
    const both = [client(refund(2)), client(refund(3))];
    onTestFinished(() => both.forEach((each) => each.hangUp()));
    await vi.waitFor(() => expect(both.filter(({ messages }) => textOf(messages).includes('paid'))).toHaveLength(1), PATIENCE);
    await vi.waitFor(
      () => expect(both.flatMap(({ messages }) => messages.filter(({ method }) => method !== undefined))).toHaveLength(1),
      PATIENCE,
    );
    expect(ran.length).toBe(1);
  });

  it('denied on the page runs nothing, and the model reads what the person said', async () => {
    await overHttp();
    const held = (await session())(refund(1));
    await press(await linkOf(held), { do: 'deny', message: 'ask Ana first' }, await login());
    expect(textOf(await held.done)).toContain('ask Ana first');
    expect([ran.length, await states()]).toEqual([0, ['denied']]);
  });

  it('gives the agent the link, which is worth nothing without the login of a person', async () => {
    await overHttp();
    const client = await session();
    const held = client(refund(1));
    const link = await linkOf(held);
    const { id } = await held.asks();
    expect(await (await fetch(link)).text()).not.toMatch(/\b600\b/);
    for (const cookie of ['', 'session=forged', `${await login()}x`]) await press(link, { do: 'approve' }, cookie);
    for (const result of [{ action: 'accept' }, { action: 'accept', content: { decision: 'approve' } }]) await client({ id, result }).done;
    expect([ran.length, await states()]).toEqual([0, ['pending']]);
    held.hangUp();
  });
});

describe('without a session', () => {
  const call = (id: number, name: string, token: string, more: object = {}): Asked =>
    new Asked(
      { id, method: 'tools/call', params: { name, arguments: { amount: 600 }, _meta: META, ...more } },
      { 'mcp-protocol-version': VERSION, 'mcp-method': 'tools/call', 'mcp-name': name, authorization: `Bearer ${token}` },
    );
  /** Of an answer that is a question: the link, and what a client brings back. */
  const asked = async (exchange: Asked): Promise<{ readonly link: string; readonly brought: object }> => {
    const [{ result = {} } = {}] = await exchange.done;
    expect(result['resultType']).toBe('input_required');
    const requests = result['inputRequests'] as Readonly<Record<string, Message>>;
    const inputResponses = Object.fromEntries(Object.keys(requests).map((key) => [key, { action: 'accept' }]));
    return { link: Object.values(requests)[0]?.params?.url ?? '', brought: { requestState: result['requestState'], inputResponses } };
  };

  it.each([
    ['one server', 'refund', overHttp],
    [
      'several servers as one',
      'bank__refund',
      async () => {
        const servers = [{ name: 'bank', url: there() }];
        const gateway = await startHttpGateway({ ...common(), servers, version: '0', stderr: process.stderr });
        closing.push(() => gateway.close());
        url = gateway.url;
      },
    ],
  ] as const)('before %s the retry brings nothing but itself: the page approves, once, for who asked', async (_what, name, start) => {
    await start();
    const { link, brought } = await asked(call(1, name, 'mine'));
    // That the client says it opened the page approves nothing; its call waits.
    const early = call(2, name, 'mine', brought);
    await asked(call(3, name, 'theirs', brought));
    expect(ran.length).toBe(0);
    await press(link, { do: 'approve' }, await login());
    expect(textOf(await early.done)).toContain('paid');
    expect(ran.map(({ params }) => params?.name)).toEqual(['refund']);
    expect(JSON.stringify(ran)).not.toMatch(/requestState|inputResponses/);
    await asked(call(4, name, 'mine', brought));
    expect(ran.length).toBe(1);
  });
});
