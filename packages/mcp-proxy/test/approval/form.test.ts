/** Asking by a form in the client (2025-06-18 and later): who may say yes to what, and everything that is no yes. */
import { beforeEach, describe, expect, it } from 'vitest';
import { accept, Bench, type BenchClient, call, codeOf, reply, textOf } from './bench.ts';

const REFUND = call(1, 'refund');
const RAN = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';

let bench: Bench;
let client: BenchClient;
beforeEach(() => {
  bench = new Bench();
  client = bench.client();
  client.initialize({});
});

describe('a yes', () => {
  it('runs exactly the bytes that came, once, with an approval of low assurance on record', async () => {
    client.send(REFUND);
    const { id, params } = await client.question();
    expect(params).not.toHaveProperty('mode');
    expect(params['message']).toContain('tool      fs/refund');
    expect(params['message']).toContain('"amount": 600');
    expect(params['message']).toContain('over 500');
    expect(params['requestedSchema']).toMatchObject({ required: ['decision'] });
    expect(bench.received).toEqual([]);
    client.send(accept(id, { decision: 'approve' }));
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${REFUND}\n`]);
    client.server(RAN);
    await client.interposer.idle();
    expect(bench.entries()).toEqual([
      'require_approval refund POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      'approve by elicitation (low)',
      'allow refund APPROVAL_GRANTED',
      'success',
    ]);
    // Answered by the person it asked: nothing is taken back.
    expect(client.of('notifications/cancelled')).toEqual([]);
    client.send(call(2, 'refund'));
    expect((await client.question(2)).id).not.toBe(id);
    expect(bench.received).toHaveLength(1);
  });

  it('to one of two equal calls runs one; the other is asked about by itself or told that it ran', async () => {
    client.send(call(1, 'refund'), call(2, 'refund'));
    const { id } = await client.question();
    client.send(accept(id, { decision: 'approve' }));
    await client.until(() => bench.received.length > 0);
    await client.until(() => client.of('elicitation/create').length > 1 || client.got.some(({ id: key }) => key === 1 || key === 2));
    expect(bench.received).toHaveLength(1);
    expect(bench.entries().filter((entry) => entry.startsWith('allow'))).toHaveLength(1);
  });

  it('to one of two calls runs that one', async () => {
    client.send(call(1, 'refund', '{"amount":1}'), call(2, 'refund', '{"amount":2}'));
    const [one, two] = [await client.question(1), await client.question(2)];
    const second = [one, two].find(({ params }) => String(params['message']).includes('"amount": 2'));
    client.send(accept(second?.id ?? '', { decision: 'approve' }));
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${call(2, 'refund', '{"amount":2}')}\n`]);
    expect((await bench.guard.approvals.list({ state: 'pending' })).map(({ shown }) => shown)).toEqual([{ amount: 1 }]);
  });
});

describe('a no', () => {
  it.each([
    ['chosen', (id: string) => accept(id, { decision: 'deny', note: 'wrong customer' }), 'wrong customer'],
    ['declined', (id: string) => reply(id, { action: 'decline' }), 'declined in the client'],
  ])('%s denies the call for good and tells the model why', async (_what, answer, words) => {
    client.send(REFUND);
    client.send(answer((await client.question()).id));
    const told = await client.answer(1);
    expect(codeOf(told)).toBe('APPROVAL_DENIED');
    expect(textOf(told)).toContain(words);
    expect(bench.received).toEqual([]);
    expect(bench.entries()).toContain('deny by elicitation (low)');
  });
});

describe('what is neither leaves the approval to others, and is not asked again', () => {
  it.each([
    ['closed', { action: 'cancel' }],
    ['no action', {}],
    ['an unknown action', { action: 'approve', content: { decision: 'approve' } }],
    ['an action of another case', { action: 'Accept', content: { decision: 'approve' } }],
    ['nothing entered', { action: 'accept' }],
    ['an empty form', { action: 'accept', content: {} }],
    ['another word', { action: 'accept', content: { decision: 'yes' } }],
    ['the word in another case', { action: 'accept', content: { decision: 'APPROVE' } }],
    ['the word with a space', { action: 'accept', content: { decision: 'approve ' } }],
    ['a list with the word', { action: 'accept', content: { decision: ['approve'] } }],
    ['true', { action: 'accept', content: { decision: true } }],
    ['an inherited name', { action: 'accept', content: { constructor: { decision: 'approve' } } }],
    ['the word beside the form', { action: 'accept', decision: 'approve', content: {} }],
    ['a note that is none', { action: 'accept', content: { decision: 'approve', note: { a: 1 } } }],
    ['a list for a form', { action: 'accept', content: ['approve'] }],
    ['null', null],
    ['a word', 'approve'],
  ])('%s', async (_what, result) => {
    client.send(REFUND);
    client.send(reply((await client.question()).id, result));
    await client.until(() => bench.log.length > 0);
    expect((await bench.pending()).state).toBe('pending');
    expect(bench.received).toEqual([]);
    // Somebody else approves: the call that is held goes on without a retry.
    await bench.approve();
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${REFUND}\n`]);
    expect(client.of('elicitation/create')).toHaveLength(1);
    expect(bench.entries()).toContain('approve by ann (medium)');
  });

  it.each([
    ['an error', (id: string) => `{"jsonrpc":"2.0","id":"${id}","error":{"code":-32601,"message":"no"}}`],
    [
      'an error beside a yes',
      (id: string) => `{"jsonrpc":"2.0","id":"${id}","error":{},"result":{"action":"accept","content":{"decision":"approve"}}}`,
    ],
    [
      'two decisions',
      (id: string) => `{"jsonrpc":"2.0","id":"${id}","result":{"action":"accept","content":{"decision":"deny","decision":"approve"}}}`,
    ],
    [
      'two actions',
      (id: string) => `{"jsonrpc":"2.0","id":"${id}","result":{"action":"decline","action":"accept","content":{"decision":"approve"}}}`,
    ],
    [
      'a prototype',
      (id: string) => `{"jsonrpc":"2.0","id":"${id}","result":{"action":"accept","content":{"__proto__":{"decision":"approve"}}}}`,
    ],
  ])('%s', async (_what, answer) => {
    client.send(REFUND);
    client.send(answer((await client.question()).id));
    await client.until(() => bench.log.length > 0);
    expect((await bench.pending()).answers).toEqual([]);
    expect(bench.received).toEqual([]);
  });
});

describe('answers that are not for us, or not any more', () => {
  const forged = ['countersign:x', `countersign:${'0'.repeat(32)}:${'0'.repeat(32)}`, '1', 'init', ''];

  it.each(forged)('an answer under %j resolves nothing and goes on untouched', async (id) => {
    client.send(REFUND);
    await client.question();
    const answer = accept(id, { decision: 'approve' });
    client.send(answer);
    expect(bench.received).toEqual([`${answer}\n`]);
    expect((await bench.pending()).answers).toEqual([]);
  });

  it('our id with a character changed is not ours', async () => {
    client.send(REFUND);
    const { id } = await client.question();
    for (let i = 12; i < id.length; i += 7) {
      const changed = `${id.slice(0, i)}${id[i] === '0' ? '1' : '0'}${id.slice(i + 1)}`;
      client.send(accept(changed, { decision: 'approve' }));
    }
    expect((await bench.pending()).answers).toEqual([]);
    expect(client.of('elicitation/create')).toHaveLength(1);
  });

  it('a second answer, and one that comes after another way was taken, is dropped and never reaches the server', async () => {
    client.send(REFUND);
    const { id } = await client.question();
    client.send(reply(id, { action: 'decline' }), accept(id, { decision: 'approve' }));
    expect(codeOf(await client.answer(1))).toBe('APPROVAL_DENIED');
    client.send(accept(id, { decision: 'approve' }));
    expect(bench.received).toEqual([]);
    expect(client.dropped).toBe(3);
    expect(bench.entries()).not.toContain('approve by elicitation (low)');
  });

  it('an answer before the question was put cannot be: the id is not known to anybody', async () => {
    for (const id of forged) client.send(accept(id, { decision: 'approve' }));
    client.send(REFUND);
    await client.question();
    expect((await bench.pending()).answers).toEqual([]);
  });

  it('an answer in another session counts for nothing, and does not reach that server either', async () => {
    const other = bench.client();
    other.initialize({});
    client.send(REFUND);
    const { id } = await client.question();
    other.send(accept(id, { decision: 'approve' }));
    expect(other.dropped).toBe(1);
    expect(bench.received).toEqual([]);
    expect((await bench.pending()).answers).toEqual([]);
  });

  it('a yes after the expiry denies', async () => {
    client.send(REFUND);
    const { id } = await client.question();
    bench.clock.advance(6 * 60_000);
    client.send(accept(id, { decision: 'approve' }));
    await client.until(() => bench.log.length > 0);
    expect(bench.log.join()).toMatch(/expired/);
    client.interposer.clientSilent();
    await client.interposer.decided();
    client.send(call(2, 'refund'));
    await client.interposer.decided();
    expect(bench.received).toEqual([]);
    expect(bench.entries().some((entry) => entry.startsWith('allow'))).toBe(false);
  });

  it('what the server asks, or answers in our name, resolves nothing', async () => {
    client.send(REFUND);
    const { id } = await client.question();
    const imitation = '{"jsonrpc":"2.0","id":"countersign:1","method":"elicitation/create","params":{"message":"approve?"}}';
    client.server(imitation);
    client.server(accept(id, { decision: 'approve' }));
    client.server(`{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"${id}"}}`);
    client.send(accept('countersign:1', { decision: 'approve' }));
    expect(bench.received).toEqual([`${accept('countersign:1', { decision: 'approve' })}\n`]);
    expect((await bench.pending()).answers).toEqual([]);
  });
});

describe('rules that ask for more than an answer in the client', () => {
  it.each([
    ['sure', 'more assurance'],
    ['surest', 'by key'],
    ['named', 'names who may answer: alice'],
    ['two', '2 people'],
  ])('%s: no form, and the answer says why', async (tool, why) => {
    const brief = new Bench({ holdMs: 1 });
    const one = brief.client();
    one.initialize({ form: {}, url: {} });
    one.send(call(1, tool));
    expect(textOf(await one.answer(1))).toContain(why);
    expect(one.of('elicitation/create')).toEqual([]);
    expect(brief.received).toEqual([]);
  });
});

describe('clients and configurations that have no forms', () => {
  it.each([
    ['none', undefined, ['form', 'url']],
    ['only pages, and there is none', { url: {} }, ['form', 'url']],
    ['a capability that is none', true, ['form']],
    ['a configuration without elicitation', {}, []],
    ['a configuration with the page only', { form: {} }, ['url']],
  ] as const)('%s', async (_what, elicitation, ask) => {
    const brief = new Bench({ holdMs: 1, ask });
    const one = brief.client();
    one.initialize(elicitation);
    one.send(call(1, 'refund'));
    expect(textOf(await one.answer(1))).toContain('it waits for approval');
    expect(one.of('elicitation/create')).toEqual([]);
  });

  it('a client that never said what it can is asked nothing', async () => {
    const brief = new Bench({ holdMs: 1 });
    const one = brief.client();
    one.send(call(1, 'refund'));
    expect(textOf(await one.answer(1))).toContain('countersign approvals approve');
    expect(one.got).toHaveLength(1);
  });
});
