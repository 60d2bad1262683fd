/** Lists of tools as the client gets them. With a real guard: what is hidden agrees with what is refused. */
import { createGuard, type Guard, type GuardOptions, monitorHost, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Interposer } from '../src/interposer.ts';
import { MAX_FILTERED_TTL_MS } from '../src/listing.ts';
import { Target, type TargetOptions } from '../src/target.ts';
import { MAX_TOOLS } from '../src/tool-directory.ts';
import { LineReader } from '../src/wire.ts';

const policy = rulePolicy({
  id: 'p',
  default: 'allow',
  rules: [
    { id: 'never', tools: ['secret_*'], effect: 'deny' },
    { id: 'big', tools: ['refund'], when: 'args.amount > 500', effect: 'deny' },
    { id: 'ask', tools: ['mail'], effect: 'require_approval' },
    { id: 'once-read', tools: ['post'], when: "'untrusted' in session.labels", effect: 'deny' },
    { id: 'read-only', tools: ['*'], when: 'has(annotations.destructiveHint) && annotations.destructiveHint', effect: 'deny' },
  ],
});

let store: ReturnType<typeof memoryStore>;
let guard: Guard;
let toServer: string[];
let toClient: string[];
let logged: string[];
let proxy: Interposer;

function connect(options: Partial<GuardOptions> = {}, target: Partial<TargetOptions> = {}): void {
  store = memoryStore();
  guard = createGuard({ agent: 'client', policy, store, session: 's', ...options });
  toServer = [];
  toClient = [];
  logged = [];
  proxy = new Interposer({
    target: new Target({ guard: async () => guard, server: 'fs', log: (text) => logged.push(text), ...target }),
    lane: {
      toClient: (bytes) => toClient.push(bytes.toString()),
      toServer: (bytes) => toServer.push(bytes.toString()),
      dropped: () => {},
    },
  });
}
beforeEach(() => connect());

function clientSends(...lines: string[]): void {
  for (const line of new LineReader().push(Buffer.from(lines.join('')))) proxy.fromClient(line);
}
function serverSends(...lines: string[]): void {
  for (const line of new LineReader().push(Buffer.from(lines.join('')))) proxy.fromServer(line);
}
const list = (id = '1', params = ''): string => `{"jsonrpc":"2.0","id":${id},"method":"tools/list"${params}}\n`;
const call = (id: string, name: string): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${JSON.stringify(name)},"arguments":{}}}\n`;
const answer = (result: string, id = '1'): string => `{"jsonrpc":"2.0","id":${id},"result":${result}}\n`;

/** What the client gets for one answer to `tools/list`. */
async function listed(result: string): Promise<string> {
  toClient = [];
  clientSends(list());
  serverSends(answer(result));
  await proxy.idle();
  expect(toClient).toHaveLength(1);
  return toClient[0] ?? '';
}
const tools = (...names: string[]): string => JSON.stringify({ tools: names.map((name) => ({ name, inputSchema: { type: 'object' } })) });
const namesIn = (line: string): unknown[] =>
  (JSON.parse(line) as { result: { tools: { name: unknown }[] } }).result.tools.map(({ name }) => name);

describe('a list of tools', () => {
  it('leaves out the tools of which every call would be refused, and keeps every other byte', async () => {
    const text =
      '{ "nextCursor":"c\\u0031", "tools" : [ {"name":"secret_a","n":1.0} ,\t{ "name":"\\u0072ead","inputSchema":{"maximum":18446744073709551615}},{"name":"secret_b"},{"name":"post"}  ],"x":[1E2] }';
    expect(await listed(text)).toBe(
      answer(
        '{ "nextCursor":"c\\u0031", "tools" : [ { "name":"\\u0072ead","inputSchema":{"maximum":18446744073709551615}},{"name":"post"}  ],"x":[1E2] }',
      ),
    );
  });

  it.each([
    [
      'of tools that may run',
      '{"tools":[{"name":"read"} , {"name":"refund"},{"name":"mail"},{"name":"post"}],"ttlMs":86400000,"cacheScope":"public"}',
    ],
    ['that is empty', '{"tools":[ ]}'],
    ['with what has no name', '{"tools":[null,{},{"name":7},"secret_a",["secret_a"],{"title":"secret_a"},{"Name":"secret_a"}]}'],
    ['that is no list', '{"tools":{"name":"secret_a"}}'],
    ['that is nothing', 'null'],
    ['that is a text', '"secret_a"'],
    ['without tools', '{"resources":[{"name":"secret_a"}]}'],
  ])('%s is the same to the byte', async (_what, text) => {
    expect(await listed(text)).toBe(answer(text));
  });

  it('that is an error is the same', async () => {
    const line = '{"jsonrpc":"2.0", "id":1,"error":{"code":-32601,"message":"no tools"}}\n';
    clientSends(list());
    serverSends(line);
    await proxy.idle();
    expect(toClient).toEqual([line]);
  });

  it('of which nothing is left is still a page, and the next one is filtered too', async () => {
    clientSends(list());
    serverSends(answer('{"tools":[{"name":"secret_a"}],"nextCursor":"2"}'));
    await proxy.idle();
    clientSends(list('2', ',"params":{"cursor":"2"}'));
    serverSends(answer('{"tools":[{"name":"read"},{"name":"secret_b"}]}', '2'));
    await proxy.idle();
    expect(toServer[1]).toContain('"cursor":"2"');
    expect(toClient).toEqual([answer('{"tools":[],"nextCursor":"2"}'), answer('{"tools":[{"name":"read"}]}', '2')]);
  });

  it('hides all tools of one name, and a name that no call can have', async () => {
    const long = 'x'.repeat(300);
    const line = await listed(tools('secret_a', 'read', 'secret_a', '', 'a\u0000b', long, 'read', '\ud800'));
    expect(namesIn(line)).toEqual(['read', 'read']);
  });

  it('offers what a rule may refuse for its hints: they are the word of the server, and told with each call', async () => {
    connect({}, { mcp: { pins: 'off' } });
    const two = '{"tools":[{"name":"read"},{"name":"read","annotations":{"destructiveHint":true}}]}';
    expect(await listed(two)).toBe(answer(two));
    clientSends(call('9', 'read'));
    await proxy.decided();
    expect(toServer.filter((line) => line.includes('tools/call'))).toEqual([]);
  });

  it('names like those of every object are names', async () => {
    connect({
      policy: rulePolicy({ id: 'q', default: 'allow', rules: [{ id: 'n', tools: ['__proto__', 'constructor'], effect: 'deny' }] }),
    });
    expect(namesIn(await listed(tools('__proto__', 'constructor', 'toString', 'read')))).toEqual(['toString', 'read']);
  });

  it('is whole where the configuration says so, in audit mode, and where the guard is not needed it is not opened', async () => {
    const all = tools('secret_a', 'read');
    connect({ mode: 'audit' });
    expect(await listed(all)).toBe(answer(all));
    let opened = 0;
    connect(
      {},
      {
        mcp: { listing: 'show', pins: 'off' },
        guard: async () => {
          opened += 1;
          return guard;
        },
      },
    );
    expect(await listed(all)).toBe(answer(all));
    expect(opened).toBe(0);
    clientSends(list('1.5'));
    expect(toServer.at(-1)).toBe(list('1.5'));
  });

  it('follows labels, halts and the policy in force', async () => {
    const all = tools('post', 'read', 'secret_a');
    expect(namesIn(await listed(all))).toEqual(['post', 'read']);
    const permit = await guard.authorize({ tool: { server: 'fs', name: 'read' }, args: {} });
    if (permit.kind !== 'permit') throw new Error(permit.kind);
    await permit.release({ status: 'success', result: 'x' }, { also: [{ action: 'label', labels: ['untrusted'] }] });
    expect(namesIn(await listed(all))).toEqual(['read']);
    await guard.setPolicy(rulePolicy({ id: 'r', default: 'deny', rules: [{ id: 'a', tools: ['fs/secret_*'], effect: 'allow' }] }));
    expect(namesIn(await listed(all))).toEqual(['secret_a']);
  });
});

describe('how long a list of which something is hidden may be kept, and by whom', () => {
  it.each([
    ['a shared list for a day', '"ttlMs":86400000,"cacheScope":"public"', `"ttlMs":${MAX_FILTERED_TTL_MS},"cacheScope":"private"`],
    ['a list that is fresh for less', '"ttlMs":5,"cacheScope":"private"', '"ttlMs":5,"cacheScope":"private"'],
    ['a list for ever', '"ttlMs":1e400,"cacheScope":"private"', `"ttlMs":${MAX_FILTERED_TTL_MS},"cacheScope":"private"`],
    ['a scope nobody knows', '"cacheScope":{"a":"public"},"ttlMs":"9"', '"cacheScope":"private","ttlMs":"9"'],
  ])('%s', async (_what, before, after) => {
    expect(await listed(`{"tools":[{"name":"secret_a"},{"name":"read"}], ${before} }`)).toBe(
      answer(`{"tools":[{"name":"read"}], ${after} }`),
    );
    // A client takes what the first page says for all of them.
    expect(await listed(`{"tools":[{"name":"read"}], ${before} ,"nextCursor":"2"}`)).toBe(
      answer(`{"tools":[{"name":"read"}], ${after} ,"nextCursor":"2"}`),
    );
  });
});

describe('a list that cannot be looked at', () => {
  it('is an error that says so, and the next one is tried again', async () => {
    let isBroken = true;
    connect(
      {},
      {
        guard: async () => {
          if (isBroken) throw new Error('the ledger is locked');
          return guard;
        },
      },
    );
    const told = JSON.parse(await listed(tools('read', 'secret_a'))) as object;
    expect(told).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: {
        code: -32050,
        message: expect.stringMatching(/^the tools cannot be listed/) as string,
        data: { 'countersign/reasonCode': 'LEDGER_WRITE_FAILED_DECISION' },
      },
    });
    expect(JSON.stringify(told)).not.toMatch(/secret_a|not found/);
    expect(logged.join()).toContain('the ledger is locked');
    isBroken = false;
    expect(namesIn(await listed(tools('read', 'secret_a')))).toEqual(['read']);
  });

  it.each([
    ['read differently by two readers', '{"tools":[{"name":"read","name":"secret_a"}]}'],
    ['given twice', '{"tools":[{"name":"read"}],"tools":[{"name":"secret_a"}]}'],
    ['nested without end', `{"tools":[${'['.repeat(300)}${']'.repeat(300)}]}`],
  ])('because it is %s, is refused', async (_what, text) => {
    expect(JSON.parse(await listed(text))).toMatchObject({ error: { code: -32052 } });
  });

  it('because its id cannot be followed, is not asked for', () => {
    clientSends(list('1.5'), list(`"${'x'.repeat(300)}"`), list('null'));
    expect(toServer).toEqual([]);
    expect(toClient.map((line) => (JSON.parse(line) as { error: { code: number } }).error.code)).toEqual([-32050, -32050, -32050]);
  });
});

describe('a hidden tool that is called all the same', () => {
  it('is refused by the rule, not as unknown', async () => {
    await listed(tools('secret_a'));
    toClient = [];
    clientSends(call('2', 'secret_a'), call('3', 'secret_never_listed'));
    await proxy.decided();
    expect(toServer).toEqual([list()]);
    for (const line of toClient) {
      expect(JSON.parse(line)).toMatchObject({ result: { isError: true, _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' } } });
      expect(line).not.toMatch(/not found|unknown/i);
    }
  });

  it('agrees with its calls, whatever the list', async () => {
    const name = fc.constantFrom('secret_a', 'secret_b', 'refund', 'mail', 'post', 'read', '', 'a\nb', 'constructor');
    const tool = fc.record({ name, annotations: fc.record({ destructiveHint: fc.boolean() }, { requiredKeys: [] }) });
    await fc.assert(
      fc.asyncProperty(fc.array(tool, { maxLength: 6 }), async (items) => {
        connect();
        const offered = new Set(namesIn(await listed(JSON.stringify({ tools: items }))));
        toClient = [];
        const hidden = [...new Set(items.map((item) => item.name))].filter((each) => !offered.has(each));
        for (const [i, each] of hidden.entries()) clientSends(call(String(100 + i), each));
        await proxy.decided();
        expect(toServer).toEqual([list()]);
        expect(toClient).toHaveLength(hidden.length);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a long list', () => {
  it('is asked about in parts, and a call made meanwhile gets its turn', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => (i % 2 === 0 ? `secret_${i}` : `read_${i}`));
    clientSends(list());
    serverSends(answer(tools(...many)));
    clientSends(call('2', 'read_1'));
    await proxy.decided();
    expect(toServer.at(-1)).toContain('read_1');
    expect(toClient).toEqual([]);
    serverSends(answer('{"content":[]}', '2'));
    await proxy.idle();
    expect(namesIn(toClient.find((line) => line.includes('"tools"')) ?? '')).toHaveLength(2_500);
  });

  it('past the tools that are remembered is offered: nothing is certain of them', async () => {
    connect({}, { mcp: { pins: 'off' } });
    const many = [...Array.from({ length: MAX_TOOLS }, (_, i) => `read_${i}`), 'secret_a'];
    expect(await listed(tools(...many))).toBe(answer(tools(...many)));
    clientSends(call('2', 'secret_a'));
    await proxy.decided();
    expect(toClient[1]).toContain('POLICY_DENY_HIGH_RISK');
  });
});

describe('answers of one line', () => {
  it('are filtered together', async () => {
    clientSends(list('1'), '{"jsonrpc":"2.0","id":2,"method":"ping"}\n', list('"3"'));
    const parts = [
      answer('{"tools":[{"name":"secret_a"}]}'),
      answer('{ }', '2'),
      answer('{"tools":[{"name":"read"},{"name":"secret_b"}]}', '"3"'),
    ];
    serverSends(`[${parts.map((part) => part.trim()).join(' , ')}]\n`);
    await proxy.idle();
    expect(toClient).toEqual([
      `[${[answer('{"tools":[]}'), answer('{ }', '2'), answer('{"tools":[{"name":"read"}]}', '"3"')].map((part) => part.trim()).join(' , ')}]\n`,
    ]);
  });

  it('of two lists under one id, none is taken', async () => {
    clientSends(list());
    serverSends(answer(tools('secret_a')), answer(tools('secret_a', 'read')));
    await proxy.idle();
    expect(toClient).toEqual([answer('{"tools":[]}')]);
  });
});

it('a call of a halted session is answered as an error that says who lets it go on, and never reaches the server', async () => {
  await monitorHost({ store, agent: 'client' }).halt('s', 'MONITOR_HALTED');
  clientSends(call('7', 'read'));
  await proxy.idle();
  expect(toServer).toEqual([]);
  const [line = ''] = toClient;
  expect(JSON.parse(line)).toMatchObject({
    id: 7,
    result: {
      isError: true,
      content: [{ type: 'text', text: expect.stringContaining('halted until an operator resumes it: countersign resume s') }],
      _meta: { 'countersign/reasonCode': 'SESSION_HALTED' },
    },
  });
});
