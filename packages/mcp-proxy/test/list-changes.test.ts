/** Clients hear that what a list shows has changed: those that were promised it, once until they list again. With a real guard. */
import { createGuard, type Guard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { afterEach, expect, it } from 'vitest';
import { Interposer } from '../src/interposer.ts';
import type { Lane } from '../src/lane.ts';
import { Target, type TargetOptions } from '../src/target.ts';
import { LineReader } from '../src/wire.ts';

const denying = (...tools: string[]): ReturnType<typeof rulePolicy> =>
  rulePolicy({ id: 'p', default: 'allow', rules: [{ id: 'never', tools: [...tools, 'nothing'], effect: 'deny' }] });
const TELLS = '{"capabilities":{"tools":{"listChanged":true}},"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"}}';
const CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n';

let guard: Guard;
let target: Target;
const open: Client[] = [];
afterEach(async () => {
  for (const client of open.splice(0)) await client.proxy.ended('over');
  await guard.close();
});

function begin(options: Partial<TargetOptions> = {}): void {
  guard = createGuard({ agent: 'a', policy: denying(), store: memoryStore(), session: 's' });
  // Looked at when the test says so.
  target = new Target({ guard: async () => guard, server: 'fs', log: () => {}, listCheckMs: 2 ** 30, ...options });
}

class Client {
  readonly proxy: Interposer;
  readonly toClient: string[] = [];
  readonly toServer: string[] = [];
  #id = 0;

  constructor() {
    const lane: Lane = {
      toClient: (bytes) => this.toClient.push(bytes.toString()),
      toServer: (bytes) => this.toServer.push(bytes.toString()),
      dropped: () => {},
    };
    this.proxy = new Interposer({ target, lane });
    open.push(this);
  }

  sends(text: string): void {
    for (const line of new LineReader().push(Buffer.from(`${text}\n`))) this.proxy.fromClient(line);
  }

  /** One request, and the result its server gives. */
  async asks(method: string, result: string, params = '{}'): Promise<void> {
    const id = ++this.#id;
    this.sends(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`);
    for (const line of new LineReader().push(Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":${result}}\n`))) this.proxy.fromServer(line);
    while (!this.toClient.some((text) => text.includes(`"id":${id},`))) await new Promise((resolve) => setImmediate(resolve));
  }

  async initializes(result = TELLS): Promise<this> {
    await this.asks('initialize', result);
    return this;
  }

  async lists(names: readonly string[] = ['a', 'b'], params = '{}', cursor = ''): Promise<this> {
    await this.asks('tools/list', `{"tools":[${names.map((name) => `{"name":"${name}","inputSchema":{}}`).join(',')}]${cursor}}`, params);
    return this;
  }

  get told(): number {
    return this.toClient.filter((text) => text === CHANGED).length;
  }
}

async function changes(...denied: string[]): Promise<void> {
  await guard.setPolicy(denying(...denied));
  await target.listing.check();
}

it('is told once, and again only after it has listed again', async () => {
  begin();
  const client = await (await new Client().initializes()).lists();
  await target.listing.check();
  expect(client.told).toBe(0);
  await changes('a');
  expect(client.told).toBe(1);
  await changes('b');
  await changes();
  expect(client.told).toBe(1);
  await client.lists();
  await target.listing.check();
  expect(client.told).toBe(1);
  await changes('b');
  expect(client.told).toBe(2);
});

it('is not told of a change that its own list has, but others are', async () => {
  begin();
  const [one, other] = [await (await new Client().initializes()).lists(), await (await new Client().initializes()).lists()];
  await guard.setPolicy(denying('a'));
  await one.lists();
  expect([one.told, other.told]).toEqual([0, 1]);
  await target.listing.check();
  expect([one.told, other.told]).toEqual([0, 1]);
});

it('of which only a later page is new is told: its first page may be old', async () => {
  begin();
  const client = await (await new Client().initializes()).lists(['a'], '{}', ',"nextCursor":"2"');
  await guard.setPolicy(denying('a'));
  await client.lists(['b'], '{"cursor":"2"}');
  await target.listing.check();
  expect(client.told).toBe(1);
});

it.each([
  ['a policy that hides the same', () => changes('c')],
  [
    'a policy that refuses by arguments alone',
    async () => {
      await guard.setPolicy(
        rulePolicy({ id: 'q', default: 'allow', rules: [{ id: 'x', tools: ['a'], when: 'args.n > 1', effect: 'deny' }] }),
      );
      await target.listing.check();
    },
  ],
])('is not told of %s', async (_what, change) => {
  begin();
  const client = await (await new Client().initializes()).lists();
  await change();
  expect(client.told).toBe(0);
});

it.each([
  ['whose server does not tell of changes', '{"capabilities":{"tools":{}}}'],
  ['whose server promises it otherwise', '{"capabilities":{"tools":{"listChanged":"true"}}}'],
  ['whose server promises it of another list', '{"capabilities":{"prompts":{"listChanged":true},"tools":{}}}'],
  ['whose server answers nonsense', 'null'],
])('is not told %s', async (_what, result) => {
  begin();
  const client = await (await new Client().initializes(result)).lists();
  await changes('a');
  expect(client.told).toBe(0);
});

it('is not told who has not listed, who is gone, and where nothing is hidden', async () => {
  begin();
  const [fresh, gone] = [await new Client().initializes(), await (await new Client().initializes()).lists()];
  await gone.proxy.ended('left');
  await changes('a');
  expect([fresh.told, gone.told]).toEqual([0, 0]);
  await guard.close();
  begin({ mcp: { listing: 'show' } });
  const client = await (await new Client().initializes()).lists();
  await changes('a');
  expect(client.told).toBe(0);
});

it('is told what listens without a session, under its own id, until it is cancelled', async () => {
  begin();
  const client = await new Client().lists();
  client.sends('{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}}');
  client.sends('{"jsonrpc":"2.0","id":"other","method":"subscriptions/listen","params":{"notifications":{"promptsListChanged":true}}}');
  await changes('a');
  await changes();
  const notices = client.toClient.filter((text) => text.includes('list_changed')).map((text): unknown => JSON.parse(text));
  const notice = { method: 'notifications/tools/list_changed', params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'l' } } };
  expect(notices).toMatchObject([notice, notice]);
  client.sends('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"l"}}');
  await changes('b');
  expect(client.toClient.filter((text) => text.includes('list_changed'))).toHaveLength(2);
});

it('lets no call through by being told', async () => {
  begin();
  const client = await (await new Client().initializes()).lists();
  await changes('a');
  client.sends('{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"a","arguments":{}}}');
  await client.proxy.decided();
  expect(client.toServer.some((text) => text.includes('tools/call'))).toBe(false);
  expect(client.toClient.at(-1)).toContain('"isError":true');
});

it('asks the server for nothing', async () => {
  begin();
  const client = await (await new Client().initializes()).lists();
  const sent = client.toServer.length;
  for (let at = 0; at < 5; at++) await target.listing.check();
  expect(client.toServer).toHaveLength(sent);
});
