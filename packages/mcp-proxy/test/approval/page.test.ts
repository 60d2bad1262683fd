/** Opening the approval page in the client (2025-11-25): a page that was opened is no answer. */
import { describe, expect, it } from 'vitest';
import { accept, Bench, type BenchClient, type BenchOptions, call, PAGE, reply, textOf } from './bench.ts';

function withPage(options: BenchOptions = {}, elicitation: unknown = { form: {}, url: {} }): readonly [Bench, BenchClient] {
  const bench = new Bench(options);
  const client = bench.client({ answerAt: (id) => `${PAGE}${id}` });
  client.initialize(elicitation);
  return [bench, client];
}

const byPage = { id: 'ann', method: 'page' } as const;

describe('which of the two is asked', () => {
  it.each([
    ['form first, and enough', ['form', 'url'], { form: {}, url: {} }, 'refund', 'form'],
    ['form first, but too little', ['form', 'url'], { form: {}, url: {} }, 'sure', 'url'],
    ['form first, but somebody is named', ['form', 'url'], { form: {}, url: {} }, 'named', 'url'],
    ['page first', ['url', 'form'], { form: {}, url: {} }, 'refund', 'url'],
    ['page first, but the client opens none', ['url', 'form'], {}, 'refund', 'form'],
    ['page only, and the client opens none', ['url'], {}, 'refund', undefined],
    ['the page takes too little', ['form', 'url'], { form: {}, url: {} }, 'surest', undefined],
    ['forms are not configured', ['url'], { form: {} }, 'refund', undefined],
  ] as const)('%s', async (_what, ask, elicitation, tool, way) => {
    const [bench, client] = withPage({ ask }, elicitation);
    client.send(call(1, tool));
    if (way === undefined) {
      client.interposer.clientSilent();
      expect(textOf(await client.answer(1))).toContain(PAGE);
      expect(client.of('elicitation/create')).toEqual([]);
      return;
    }
    const { id, params } = await client.question();
    const { id: approvalId } = await bench.pending();
    if (way === 'form') expect(params).toHaveProperty('requestedSchema');
    else expect(params).toMatchObject({ mode: 'url', url: `${PAGE}${approvalId}`, elicitationId: id });
    if (way === 'url') expect(params).not.toHaveProperty('requestedSchema');
  });
});

describe('opening the page', () => {
  it('approves nothing, whatever the client says with it', async () => {
    const [bench, client] = withPage();
    client.send(call(1, 'sure'));
    const { id } = await client.question();
    client.send(accept(id, { decision: 'approve' }));
    expect(client.dropped).toBe(1);
    expect((await bench.pending()).answers).toEqual([]);
    expect(bench.received).toEqual([]);
    await bench.guard.approvals.resolve((await bench.pending()).id, { decision: 'approve' }, byPage);
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toEqual([`${call(1, 'sure')}\n`]);
    // The client hears that what it opened is done, and is asked to take nothing back.
    expect(client.of('notifications/elicitation/complete')).toMatchObject([{ params: { elicitationId: id } }]);
    expect(client.of('notifications/cancelled')).toEqual([]);
    expect(bench.entries()).toContain('approve by ann (medium)');
  });

  it.each(['decline', 'cancel', 'other'])('that is answered with %s is no denial: others may answer', async (action) => {
    const [bench, client] = withPage();
    client.send(call(1, 'sure'));
    client.send(reply((await client.question()).id, { action }));
    await client.until(() => bench.log.length > 0);
    expect((await bench.pending()).answers).toEqual([]);
    await bench.guard.approvals.resolve((await bench.pending()).id, { decision: 'approve' }, byPage);
    await client.until(() => bench.received.length > 0);
  });

  it('and then waiting in vain: the client hears of no end, and is told where to answer', async () => {
    const [bench, client] = withPage({ holdMs: 50 });
    client.send(call(1, 'sure'));
    const { id } = await client.question();
    client.send(reply(id, { action: 'accept' }));
    expect(textOf(await client.answer(1))).toContain(PAGE);
    expect(client.of('notifications/elicitation/complete')).toEqual([]);
    expect(client.of('notifications/cancelled')).toEqual([]);
    expect(bench.received).toEqual([]);
  });

  it('is taken back when the answer was given before the person looked', async () => {
    const [bench, client] = withPage();
    client.send(call(1, 'sure'));
    const { id } = await client.question();
    await bench.guard.approvals.resolve((await bench.pending()).id, { decision: 'deny', message: 'no' }, byPage);
    expect(textOf(await client.answer(1))).toContain('APPROVAL_DENIED');
    expect(client.of('notifications/cancelled')).toMatchObject([{ params: { requestId: id } }]);
    expect(client.of('notifications/elicitation/complete')).toMatchObject([{ params: { elicitationId: id } }]);
  });
});
