/** The application's own route: what it answers, and what a client cannot make of it. The guides show its lines. */
import { CountersignError } from '@countersign/core';
import { Command, MemorySaver } from '@langchain/langgraph';
import { createAgent, fakeModel } from 'langchain';
import { describe, expect, it } from 'vitest';
import { type ApprovalInterrupt, countersignMiddleware, type HostApprover, resolveFrom } from '../src/index.ts';
import { asks, bench, done, notingTool, toolMessages } from './agent.ts';

const STATUS: ReadonlyMap<string, number> = new Map([
  ['ANSWER_INVALID', 400],
  ['APPROVER_REFUSED', 403],
  ['APPROVAL_NOT_FOUND', 404],
  ['APPROVAL_NOT_PENDING', 409],
]);

interface User {
  readonly id: string;
  readonly mayApproveFor: string;
}

function application() {
  const { guard } = bench();
  const ran: unknown[] = [];
  const thread = { configurable: { thread_id: 'order-7' }, context: {} };
  const model = fakeModel()
    .respond(asks({ name: 'pay', args: { amount: 500 }, id: 'c1' }))
    .respond(done());
  const agent = createAgent({
    model,
    tools: [notingTool('pay', ran)],
    middleware: [countersignMiddleware(guard, { principal: 'ana' })],
    checkpointer: new MemorySaver(),
  });
  const logins = new Map<string, User>([
    ['cookie-of-bob', { id: 'bob', mayApproveFor: 'ana' }],
    ['cookie-of-eve', { id: 'eve', mayApproveFor: 'eve' }],
  ]);
  const userOf = (request: Request): User | undefined => logins.get(request.headers.get('cookie') ?? '');

  async function answerRoute(request: Request): Promise<Response> {
    const user = userOf(request); // your own login
    if (user === undefined) return new Response(null, { status: 401 });
    try {
      const who: HostApprover = { id: user.id, method: 'host' };
      const row = await resolveFrom(guard, await request.text(), who, { mayAnswer: ({ principal }) => principal === user.mayApproveFor });
      return Response.json({ state: row.state });
    } catch (error) {
      if (!CountersignError.is(error)) throw error;
      return Response.json({ error: error.code }, { status: STATUS.get(error.code) ?? 503 });
    }
  }

  const post = (cookie: string, body: unknown): Promise<Response> =>
    answerRoute(new Request('https://shop.example/approvals', { method: 'POST', headers: { cookie }, body: JSON.stringify(body) }));
  const ask = async (): Promise<string> => {
    const result = (await agent.invoke({ messages: 'go' }, thread)) as { __interrupt__?: { value: ApprovalInterrupt }[] };
    return result.__interrupt__?.[0]?.value.approvalId ?? '';
  };
  const resume = async (value: unknown) => toolMessages(await agent.invoke(new Command({ resume: value }), thread)).map(({ text }) => text);
  return { guard, ran, post, ask, resume };
}

describe('a route of the application', () => {
  it('takes the answer of who is logged in; the run is resumed with any value', async () => {
    const { guard, ran, post, ask, resume } = application();
    const approvalId = await ask();
    expect(await resume({ approvalId, decision: 'approve' })).toEqual([]);
    expect(ran).toEqual([]);
    const response = await post('cookie-of-bob', { approvalId, decision: 'approve' });
    expect([response.status, await response.json()]).toEqual([200, { state: 'approved' }]);
    expect((await guard.approvals.get(approvalId))?.answers).toMatchObject([{ approver: 'bob' }]);
    expect(await resume('go on')).toEqual(['pay done']);
    expect(ran).toEqual([{ amount: 500 }]);
  });

  it.each([
    ['nobody', '', 401],
    ['somebody else’s user', 'cookie-of-eve', 403],
  ])('takes none from %s', async (_, cookie, status) => {
    const { ran, post, ask, resume } = application();
    const approvalId = await ask();
    expect((await post(cookie, { approvalId, decision: 'approve' })).status).toBe(status);
    expect(await resume({ approvalId, decision: 'approve', approver: 'bob' })).toEqual([]);
    expect(ran).toEqual([]);
  });

  it.each([
    [{ approver: { id: 'bob', method: 'key' } }, 400],
    [{ approvalId: '0000' }, 404],
    [{ decision: 'edit' }, 400],
  ])('takes no answer with %j', async (more, status) => {
    const { ran, post, ask, resume } = application();
    const approvalId = await ask();
    expect((await post('cookie-of-bob', { approvalId, decision: 'approve', ...more })).status).toBe(status);
    expect(await resume(true)).toEqual([]);
    expect(ran).toEqual([]);
  });

  it('takes one answer', async () => {
    const { ran, post, ask, resume } = application();
    const approvalId = await ask();
    expect((await post('cookie-of-bob', { approvalId, decision: 'deny', message: 'not this month' })).status).toBe(200);
    expect((await post('cookie-of-bob', { approvalId, decision: 'approve' })).status).toBe(409);
    expect(await resume(true)).toEqual([expect.stringContaining('not this month')]);
    expect(ran).toEqual([]);
  });

  it('takes edited arguments, and the model is told', async () => {
    const { ran, post, ask, resume } = application();
    const approvalId = await ask();
    expect((await post('cookie-of-bob', { approvalId, decision: 'edit', args: { amount: 50 } })).status).toBe(200);
    // The edited call is asked about as well.
    expect(await resume({ amount: 999 })).toEqual([]);
    expect(ran).toEqual([]);
  });
});
