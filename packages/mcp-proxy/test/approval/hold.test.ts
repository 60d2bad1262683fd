/** How long a call is held, what the client hears meanwhile, and that nothing runs for a client that does not wait. */
import { describe, expect, it } from 'vitest';
import { accept, Bench, call, codeOf, textOf } from './bench.ts';

const withToken = (id: number, token: unknown): string =>
  call(id, 'refund', '{"amount":600}', `,"_meta":{"progressToken":${JSON.stringify(token)}}`);

describe('an answer given elsewhere', () => {
  it('releases the call without a retry, and takes the question back', async () => {
    const bench = new Bench();
    const client = bench.client();
    client.initialize({});
    client.send(call(1, 'refund'));
    const { id } = await client.question();
    await bench.approve();
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${call(1, 'refund')}\n`]);
    expect(client.of('notifications/cancelled')).toMatchObject([{ params: { requestId: id } }]);
    client.send(accept(id, { decision: 'approve' }));
    expect(bench.received).toHaveLength(1);
  });

  it('with other arguments runs those', async () => {
    const bench = new Bench();
    const client = bench.client();
    client.initialize();
    client.send(call(1, 'refund', '{"amount":600,"note":1.0}'));
    const [row] = await bench.waiting(1);
    const asked = row?.id ?? '';
    await bench.guard.approvals.resolve(asked, { decision: 'edit', args: { amount: 5 } }, { id: 'ann', method: 'host' });
    // The edited call is another one: it is asked about, and held in its turn.
    const [edited] = await bench.waiting(1);
    expect(edited?.id).not.toBe(asked);
    await bench.approve(edited?.id);
    await client.until(() => bench.received.length > 0);
    expect(JSON.parse(bench.received[0] ?? '')).toMatchObject({ id: 1, params: { name: 'refund', arguments: { amount: 5 } } });
  });
});

describe('when the time is over', () => {
  it.each([0, 1])('after %i ms the client hears what waits; the same call runs after the approval, once', async (holdMs) => {
    const bench = new Bench({ holdMs });
    const client = bench.client();
    client.initialize(holdMs === 0 ? {} : undefined);
    client.send(call(1, 'refund'));
    const told = await client.answer(1);
    expect(textOf(told)).toContain('it waits for approval');
    expect(client.of('elicitation/create')).toEqual([]);
    await bench.approve();
    expect(bench.received).toEqual([]);
    client.send(call(2, 'refund'));
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${call(2, 'refund')}\n`]);
    client.send(call(3, 'refund'));
    expect(textOf(await client.answer(3))).toContain('it waits for approval');
    expect(bench.received).toHaveLength(1);
  });

  it('a question that nobody answered is taken back, and put again with the next try', async () => {
    const bench = new Bench({ holdMs: 50 });
    const client = bench.client();
    client.initialize({});
    client.send(call(1, 'refund'));
    const { id } = await client.question();
    expect(textOf(await client.answer(1))).toContain('it waits for approval');
    expect(client.of('notifications/cancelled')).toMatchObject([{ params: { requestId: id } }]);
    client.send(accept(id, { decision: 'approve' }));
    expect((await bench.pending()).answers).toEqual([]);
    client.send(call(2, 'refund'));
    expect((await client.question(2)).id).not.toBe(id);
    await client.answer(2);
  });

  it('a call that was to run as a task is answered with an error: a result would be none to the client', async () => {
    const bench = new Bench({ holdMs: 1 });
    const client = bench.client();
    client.initialize({});
    client.send(call(1, 'refund', '{"amount":600}', ',"task":{"ttl":1000}'));
    const told = await client.answer(1);
    expect(told).toMatchObject({ error: { code: -32050 } });
    expect(codeOf(told)).toBe('POLICY_REQUIRE_APPROVAL_HIGH_VALUE');
    await bench.approve();
    const again = call(2, 'refund', '{"amount":600}', ',"task":{"ttl":1000}');
    client.send(again);
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${again}\n`]);
  });
});

describe('signs of life', () => {
  it.each([
    ['a word', 'tok'],
    ['a number', 7],
    ['zero', 0],
  ])('go under the token of the call, rising, and end before the server has it: %s', async (_what, token) => {
    const bench = new Bench({ heartbeatMs: 1 });
    const client = bench.client();
    client.initialize();
    client.send(withToken(1, token));
    await client.until(() => client.of('notifications/progress').length >= 3);
    await bench.approve();
    await client.until(() => bench.received.length > 0);
    const beats = client.of('notifications/progress');
    client.server('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
    await client.answer(1);
    expect(client.of('notifications/progress')).toHaveLength(beats.length);
    const seen = beats.map(({ params }) => params as { readonly progressToken: unknown; readonly progress: number });
    expect(new Set(seen.map(({ progressToken }) => progressToken))).toEqual(new Set([token]));
    expect(seen.every(({ progress }, i) => progress > (seen[i - 1]?.progress ?? 0))).toBe(true);
    // Whatever the server tells first seems to go on from there.
    expect(seen.at(-1)?.progress).toBeLessThan(0.001);
  });

  it.each([null, true, {}, ['a'], 'x'.repeat(2000)])('there are none for a token that is none: %j', async (token) => {
    const bench = new Bench({ heartbeatMs: 1, holdMs: 30 });
    const client = bench.client();
    client.initialize();
    client.send(withToken(1, token));
    await client.answer(1);
    expect(client.got).toHaveLength(1);
  });
});

describe('a client that does not wait', () => {
  it('and cancels: the question is taken back, nothing is answered, and an approval runs nothing', async () => {
    const bench = new Bench();
    const client = bench.client();
    client.initialize({});
    client.send(call(1, 'refund'));
    const { id } = await client.question();
    client.send('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}');
    await client.interposer.decided();
    expect(client.of('notifications/cancelled')).toMatchObject([{ params: { requestId: id } }]);
    await bench.approve();
    client.send(accept(id, { decision: 'approve' }));
    await client.interposer.idle();
    expect(bench.received).toEqual([]);
    expect(client.got.some((message) => message['id'] === 1)).toBe(false);
  });

  it.each([
    ['is gone from the lane', (client: ReturnType<Bench['client']>) => client.interposer.clientGone(client.lane)],
    ['loses its server', (client: ReturnType<Bench['client']>) => void client.interposer.serverEnded('the server ended')],
    ['sends nothing more', (client: ReturnType<Bench['client']>) => client.interposer.clientSilent()],
  ])('and %s', async (_what, leave) => {
    const bench = new Bench();
    const client = bench.client();
    client.initialize({});
    client.send(call(1, 'refund'), call(2, 'refund', '{"amount":1}'));
    await client.question(2);
    leave(client);
    await client.interposer.decided();
    for (const { id } of await bench.guard.approvals.list({ state: 'pending' })) await bench.approve(id);
    await client.interposer.idle();
    expect(bench.received).toEqual([]);
    expect(client.of('notifications/cancelled')).toHaveLength(2);
  });

  it('and one that stays: only its own call runs', async () => {
    const bench = new Bench();
    const [gone, stays] = [bench.client(), bench.client()];
    for (const client of [gone, stays]) client.initialize();
    gone.send(call(1, 'refund'));
    await bench.waiting(1);
    stays.send(call(2, 'refund', '{"amount":1}'));
    await bench.waiting(2);
    gone.interposer.clientGone(gone.lane);
    await gone.interposer.decided();
    for (const { id } of await bench.guard.approvals.list({ state: 'pending' })) await bench.approve(id);
    await stays.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${call(2, 'refund', '{"amount":1}')}\n`]);
  });
});

it('asks about no more than 16 calls at once; the others wait for answers given elsewhere', async () => {
  const bench = new Bench();
  const client = bench.client();
  client.initialize({});
  for (let id = 1; id <= 20; id++) client.send(call(id, 'refund', `{"amount":${id}}`));
  await client.question(16);
  await bench.waiting(20);
  client.interposer.clientSilent();
  await client.interposer.decided();
  expect(client.of('elicitation/create')).toHaveLength(16);
  expect(client.of('notifications/cancelled')).toHaveLength(16);
});
