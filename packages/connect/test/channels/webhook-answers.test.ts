import { type ApprovalRow, CountersignError, type Guard } from '@countersign/core';
import { fixedClock } from '@countersign/core/testing';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { signedHeaders, webhookKey } from '../../src/channels/standard-webhooks.ts';
import { MAX_ANSWER_BYTES, type WebhookAnswersOptions, webhookAnswers } from '../../src/channels/webhook-answers.ts';
import { serve } from '../../src/http/serve.ts';
import { asking, webhookSecret } from './fixtures.ts';

const [pager, pagerNext, desk] = [webhookSecret(), webhookSecret(), webhookSecret()];
const SENDERS = [
  { name: 'pager', secrets: [pager, pagerNext] },
  { name: 'desk', secrets: [desk], approvers: ['alice', 'bob'] },
];
let messages = 0;

interface Sent {
  readonly secret?: string;
  readonly id?: string;
  readonly atMs?: number;
  readonly skewMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
}

function message(body: string | object, sent: Sent = {}): Request {
  const { secret = pager, id = `msg_${++messages}`, skewMs = 0, atMs = Date.now() + skewMs, headers = {}, method = 'POST' } = sent;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return new Request('http://127.0.0.1/webhooks/x', {
    method,
    headers: { 'content-type': 'application/json', ...signedHeaders([webhookKey(secret)], id, atMs, text), ...headers },
    ...(method === 'POST' && { body: text }),
  });
}

function answer(approval: string, data: object = {}): object {
  return { type: 'approval.answer', data: { approval, decision: 'approve', ...data } };
}

interface Heard {
  readonly status: number;
  readonly body: {
    readonly state?: string;
    readonly error?: { readonly code: string; readonly message: string };
    readonly approver?: string;
  };
}

async function heard(response: Promise<Response>): Promise<Heard> {
  const { status, text } = await response.then(async (each) => ({ status: each.status, text: await each.text() }));
  return { status, body: JSON.parse(text) as Heard['body'] };
}

function answering(options: Parameters<typeof asking>[0] = {}, more: Partial<WebhookAnswersOptions> = {}) {
  const { guard, ask, store } = asking(options);
  // As after a restart: another handler over the same store.
  const handler = () => webhookAnswers({ approvals: guard.approvals, senders: SENDERS, ...more });
  const handle = handler();
  return { guard, ask, store, handler, send: (body: string | object, sent?: Sent) => heard(handle(message(body, sent))) };
}

const state = async (guard: Guard, id: string): Promise<ApprovalRow | undefined> => guard.approvals.get(id);

describe('an answer', () => {
  it.each(['approve', 'deny'] as const)('%s is recorded in the name of the sender', async (decision) => {
    const { guard, ask, send, store } = answering();
    const { approvalId } = await ask();
    const reply = await send(answer(approvalId, { decision, message: 'as agreed' }));
    const [becomes] = decision === 'approve' ? ['approved'] : ['denied'];
    expect(reply).toEqual({ status: 200, body: { approval: approvalId, state: becomes, decision, approver: 'pager' } });
    expect(await state(guard, approvalId)).toMatchObject({
      state: becomes,
      message: 'as agreed',
      answers: [{ approver: 'pager', answer: decision }],
    });
    expect(store.entries().find(({ kind }) => kind === 'approval')).toMatchObject({
      approver: { id: 'pager', method: 'webhook', assurance: 'medium' },
    });
  });

  it('may propose other arguments', async () => {
    const { guard, ask, send } = answering();
    const { approvalId } = await ask({ amount: 9000 });
    expect(await send(answer(approvalId, { decision: 'edit', args: { amount: 90 } }))).toMatchObject({ status: 200 });
    expect(await state(guard, approvalId)).toMatchObject({ state: 'denied', edit: { amount: 90 } });
  });

  it('by a sender that speaks for people names one of them', async () => {
    const { guard, ask, send } = answering({ quorum: 2 });
    const { approvalId } = await ask();
    expect(await send(answer(approvalId, { approver: 'alice' }), { secret: desk })).toMatchObject({
      status: 200,
      body: { state: 'pending' },
    });
    expect(await send(answer(approvalId, { approver: 'bob' }), { secret: desk })).toMatchObject({
      status: 200,
      body: { state: 'approved' },
    });
    expect((await state(guard, approvalId))?.answers.map(({ approver }) => approver)).toEqual(['desk:alice', 'desk:bob']);
  });

  it('is taken under each secret of its sender', async () => {
    const { ask, send } = answering();
    for (const secret of [pager, pagerNext]) {
      const { approvalId } = await ask({ amount: Math.random() });
      expect((await send(answer(approvalId), { secret })).status).toBe(200);
    }
  });

  it('made by the package standardwebhooks is taken, over a real connection', async () => {
    const { ask, handler } = answering();
    const server = await serve({ handler: handler() });
    try {
      const { approvalId } = await ask();
      const body = JSON.stringify(answer(approvalId));
      const now = new Date();
      const headers = {
        'content-type': 'application/json; charset=utf-8',
        'webhook-id': 'msg_lib',
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': new Webhook(pager).sign('msg_lib', now, body),
      };
      const response = await fetch(`${server.url}/webhooks/pager`, { method: 'POST', headers, body });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ state: 'approved' });
    } finally {
      await server.close();
    }
  });
});

describe('nobody is let in', () => {
  it.each([
    ['with no signature', { headers: { 'webhook-signature': '' } }, 401, 'SIGNATURE_INVALID'],
    ['with a foreign secret', { secret: webhookSecret() }, 401, 'SIGNATURE_INVALID'],
    ['with the signature of another id', { headers: { 'webhook-id': 'msg_other' } }, 401, 'SIGNATURE_INVALID'],
    [
      'with a renewed timestamp',
      { skewMs: -600_000, headers: { 'webhook-timestamp': String(Math.floor(Date.now() / 1000)) } },
      401,
      'SIGNATURE_INVALID',
    ],
    ['with a message of more than five minutes ago', { skewMs: -302_000 }, 401, 'TIMESTAMP_OUT_OF_RANGE'],
    ['with a message of more than five minutes ahead', { skewMs: 302_000 }, 401, 'TIMESTAMP_OUT_OF_RANGE'],
    ['by GET', { method: 'GET' }, 405, 'METHOD_NOT_ALLOWED'],
    ['by PUT', { method: 'PUT' }, 405, 'METHOD_NOT_ALLOWED'],
    ['with a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['with plain text, which a browser may send anywhere', { headers: { 'content-type': 'text/plain' } }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
  ])('%s', async (_, sent, status, code) => {
    const { guard, ask, send } = answering();
    const { approvalId } = await ask();
    expect(await send(answer(approvalId), sent)).toMatchObject({ status, body: { error: { code } } });
    expect((await state(guard, approvalId))?.state).toBe('pending');
  });

  it('hears the same for every unsigned body, whatever it asks about', async () => {
    const { ask, send } = answering();
    const { approvalId } = await ask();
    const bodies = [answer(approvalId), answer('0'.repeat(32)), 'no JSON', '', '{"type":"approval.answer"}'];
    const replies = await Promise.all(bodies.map((body) => send(body, { secret: webhookSecret() })));
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
  });

  it('is not parsed before the signature: a body too large or too deep costs nothing', async () => {
    const { send } = answering();
    expect(await send(`{"a":"${'x'.repeat(MAX_ANSWER_BYTES)}"}`)).toMatchObject({
      status: 413,
      body: { error: { code: 'BODY_TOO_LARGE' } },
    });
    expect(await send('['.repeat(60_000))).toMatchObject({ status: 400 });
  });
});

describe('a signed body', () => {
  const id = '0'.repeat(32);
  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['a list', '[]'],
    ['JSON and more', `${JSON.stringify(answer(id))}{}`],
    ['a byte order mark', `\ufeff${JSON.stringify(answer(id))}`],
    ['another type', { ...answer(id), type: 'approval.asked' }],
    ['no decision', { type: 'approval.answer', data: { approval: id } }],
    ['an unknown decision', answer(id, { decision: 'Approve' })],
    ['an unknown member', { ...answer(id), extra: 1 }],
    ['an unknown member inside', answer(id, { quorum: 0 })],
    [
      'a member called __proto__',
      `{"type":"approval.answer","data":{"approval":"${id}","decision":"approve","__proto__":{"approver":"x"}}}`,
    ],
    ['a name twice', `{"type":"approval.answer","data":{"approval":"${id}","decision":"deny","decision":"approve"}}`],
    [
      'a name twice, spelled otherwise',
      `{"type":"approval.answer","data":{"approval":"${id}","decision":"deny","\\u0064ecision":"approve"}}`,
    ],
    [
      'a block twice',
      `{"type":"approval.answer","data":{"approval":"${id}","decision":"deny"},"data":{"approval":"${id}","decision":"approve"}}`,
    ],
    [
      'a name twice within edited arguments',
      `{"type":"approval.answer","data":{"approval":"${id}","decision":"edit","args":{"a":1,"a":2}}}`,
    ],
    ['an id that is none', answer('../../x')],
    ['an id that is a number', answer(5 as unknown as string)],
    ['an empty message', answer(id, { message: '' })],
    ['a message that is too long', answer(id, { message: 'x'.repeat(2001) })],
    ['an edit without arguments', answer(id, { decision: 'edit' })],
    ['arguments without an edit', answer(id, { args: {} })],
  ])('that holds %s is refused', async (_, body) => {
    const { send } = answering();
    expect(await send(body)).toMatchObject({ status: 400, body: { error: { code: 'BODY_INVALID' } } });
  });

  it('may repeat a name in different objects, in a list, and as a value', async () => {
    const { ask, send } = answering();
    const { approvalId } = await ask({ amount: 1 });
    const args = '{"a":{"a":"a"},"b":[{"a":1},{"a":2}],"c":"a","d":"\\"a\\":","e":["a","a"]}';
    const body = `{"type":"approval.answer","data":{"approval":"${approvalId}","decision":"edit","args":${args}}}`;
    expect(await send(body)).toMatchObject({ status: 200 });
  });

  it('about an approval nobody knows', async () => {
    expect(await answering().send(answer(id))).toMatchObject({ status: 404, body: { error: { code: 'APPROVAL_NOT_FOUND' } } });
  });
});

describe('who answers', () => {
  it.each([
    ['a sender without people names one', pager, { approver: 'alice' }],
    ['a sender for people names nobody', desk, {}],
    ['a sender for people names somebody else', desk, { approver: 'mallory' }],
    ['a sender for people names itself', desk, { approver: 'desk' }],
    ['a sender for people names a prototype', desk, { approver: 'constructor' }],
  ])('is refused when %s', async (_, secret, data) => {
    const { guard, ask, send } = answering();
    const { approvalId } = await ask();
    expect(await send(answer(approvalId, data), { secret })).toMatchObject({ status: 403, body: { error: { code: 'APPROVER_REFUSED' } } });
    expect((await state(guard, approvalId))?.answers).toEqual([]);
  });

  it.each(['pager', 'Pager', 'desk:alice'])('is never an approver with a key: %s', async (name) => {
    const key = 'finance+1a2b3c4d+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh';
    const { guard, ask, send } = answering({ approvals: { approvers: new Map([[name, key]]) } });
    const { approvalId } = await ask();
    const sent = name.startsWith('desk')
      ? await send(answer(approvalId, { approver: 'alice' }), { secret: desk })
      : await send(answer(approvalId));
    expect(sent).toMatchObject({ status: 403, body: { error: { code: 'APPROVER_REFUSED' } } });
    expect((await state(guard, approvalId))?.state).toBe('pending');
  });

  it('must be among the approvers of the rule', async () => {
    const { ask, send } = answering({ approverNames: ['desk:bob'] });
    const { approvalId } = await ask();
    expect((await send(answer(approvalId))).status).toBe(403);
    expect((await send(answer(approvalId, { approver: 'alice' }), { secret: desk })).status).toBe(403);
    expect((await send(answer(approvalId, { approver: 'bob' }), { secret: desk })).status).toBe(200);
  });
});

describe('the same again', () => {
  it('the same message gets the same reply and does nothing twice', async () => {
    const { guard, ask, send, store } = answering();
    const { approvalId } = await ask();
    const body = answer(approvalId);
    const replies = await Promise.all([send(body, { id: 'm' }), send(body, { id: 'm' }), send(body, { id: 'm' })]);
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
    expect(replies[0]?.status).toBe(200);
    // Signed anew a minute later, as a sender that retries does; meanwhile the approval was used.
    await guard.authorize({ tool: { server: 'shop', name: 'refund' }, args: { amount: 900 } }, { approval: 'suspend' });
    expect(await send(body, { id: 'm', skewMs: 60_000 })).toEqual(replies[0]);
    expect(store.entries().filter(({ kind }) => kind === 'approval')).toHaveLength(1);
  });

  it('another message under a used id is refused', async () => {
    const { ask, send, guard } = answering();
    const [first, second] = [await ask({ amount: 1 }), await ask({ amount: 2 })];
    await send(answer(first.approvalId), { id: 'm2' });
    expect(await send(answer(second.approvalId), { id: 'm2' })).toMatchObject({ status: 409, body: { error: { code: 'ID_REUSED' } } });
    expect((await state(guard, second.approvalId))?.state).toBe('pending');
    // Ids belong to their sender.
    expect((await send(answer(second.approvalId, { approver: 'bob' }), { id: 'm2', secret: desk })).status).toBe(200);
  });

  it('after a restart the same answer is 200, another is 409 with the state', async () => {
    const { ask, send, handler, store } = answering();
    const { approvalId } = await ask();
    await send(answer(approvalId), { id: 'm3' });
    const restarted = handler();
    expect(await heard(restarted(message(answer(approvalId), { id: 'm3' })))).toMatchObject({ status: 200, body: { state: 'approved' } });
    const other = await heard(restarted(message(answer(approvalId, { decision: 'deny' }), { id: 'm4' })));
    expect(other).toMatchObject({ status: 409, body: { state: 'approved', error: { code: 'APPROVAL_NOT_PENDING' } } });
    const others = await heard(restarted(message(answer(approvalId, { approver: 'bob' }), { secret: desk })));
    expect(others).toMatchObject({ status: 409, body: { state: 'approved' } });
    expect(store.entries().filter(({ kind }) => kind === 'approval')).toHaveLength(1);
  });

  it('after a restart the same edit is 200, another edit or a plain deny is 409', async () => {
    const { ask, send, handler } = answering();
    const { approvalId } = await ask({ amount: 9000 });
    await send(answer(approvalId, { decision: 'edit', args: { amount: 90 } }));
    const again = (data: object) => heard(handler()(message(answer(approvalId, data))));
    expect((await again({ decision: 'edit', args: { amount: 90 } })).status).toBe(200);
    expect((await again({ decision: 'edit', args: { amount: 91 } })).status).toBe(409);
    expect((await again({ decision: 'deny' })).status).toBe(409);
  });

  it('by one approver is one voice of two', async () => {
    const { ask, send } = answering({ quorum: 2 });
    const { approvalId } = await ask();
    expect(await send(answer(approvalId))).toMatchObject({ status: 200, body: { state: 'pending' } });
    expect(await send(answer(approvalId))).toMatchObject({ status: 200, body: { state: 'pending' } });
  });

  it('after the expiry is told as expired', async () => {
    const clock = fixedClock(Date.now());
    const { ask, send } = answering({ clock, approvals: { ttlMs: 60_000 } });
    const { approvalId } = await ask();
    clock.advance(60_000);
    expect(await send(answer(approvalId))).toMatchObject({ status: 409, body: { state: 'expired' } });
  });

  it('is forgotten once no such message would be taken any more', async () => {
    const clock = fixedClock(Date.UTC(2026, 0, 2));
    let resolved = 0;
    const approvals = {
      get: async () => undefined,
      resolve: async () => {
        resolved++;
        return { state: 'approved' } as ApprovalRow;
      },
    };
    const handle = webhookAnswers({ approvals, senders: SENDERS, clock });
    const atMs = clock.nowMs();
    const send = (at: number) => heard(handle(message(answer('a'), { id: 'old', atMs: at })));
    await send(atMs);
    clock.advance(5 * 60_000);
    expect((await send(atMs)).status).toBe(200);
    expect(resolved).toBe(1);
    clock.advance(5 * 60_000 + 1000);
    // By then the old bytes are worth nothing, and a new signature says that it is meant anew.
    expect((await send(atMs)).body.error?.code).toBe('TIMESTAMP_OUT_OF_RANGE');
    expect((await send(clock.nowMs())).status).toBe(200);
    expect(resolved).toBe(2);
  });
});

describe('a ledger that fails', () => {
  it('is 503 also when only the standing of an answered approval cannot be read: it is not called unknown', async () => {
    const errors: unknown[] = [];
    const approvals = {
      resolve: () => Promise.reject(new CountersignError('APPROVAL_NOT_PENDING', 'it is approved')),
      get: () => Promise.reject(new CountersignError('LEDGER_UNREADABLE', 'the disk is gone')),
    };
    const { ask, send } = answering({}, { approvals, onError: (error: unknown) => errors.push(error) });
    const { approvalId } = await ask();
    const failed = await send(answer(approvalId), { id: 'm6' });
    expect(failed).toMatchObject({ status: 503, body: { error: { code: 'NOT_RECORDED' } } });
    expect(errors).toMatchObject([{ code: 'LEDGER_UNREADABLE' }]);
  });

  it('is 503, told to onError, and not remembered', async () => {
    const errors: unknown[] = [];
    const { guard, ask, send, store } = answering({}, { onError: (error) => errors.push(error) });
    const { approvalId } = await ask();
    store.failWith(new CountersignError('LEDGER_WRITE_FAILED', 'disk full at /secret/path'));
    const failed = await send(answer(approvalId), { id: 'm5' });
    expect(failed).toEqual({
      status: 503,
      body: { error: { code: 'NOT_RECORDED', message: 'the answer could not be recorded: send it again' } },
    });
    expect(errors).toMatchObject([{ code: 'LEDGER_WRITE_FAILED' }]);
    store.failWith(undefined);
    expect((await send(answer(approvalId), { id: 'm5' })).status).toBe(200);
    expect((await state(guard, approvalId))?.state).toBe('approved');
  });
});

it.each([
  ['no sender', []],
  ['a name that is none', [{ name: 'a:b', secrets: [pager] }]],
  ['no secret', [{ name: 'a', secrets: [] }]],
  ['a secret that is none', [{ name: 'a', secrets: ['hunter2'] }]],
  [
    'a name twice',
    [
      { name: 'a', secrets: [pager] },
      { name: 'A', secrets: [desk] },
    ],
  ],
  [
    'a secret twice',
    [
      { name: 'a', secrets: [pager] },
      { name: 'b', secrets: [pager] },
    ],
  ],
  ['a person that is none', [{ name: 'a', secrets: [pager], approvers: ['x\u202ey'] }]],
])('options with %s are refused', (_, senders) => {
  const { guard } = asking();
  let thrown: unknown;
  try {
    webhookAnswers({ approvals: guard.approvals, senders });
  } catch (error) {
    thrown = error;
  }
  expect(CountersignError.is(thrown) && thrown.code).toBe('OPTIONS_INVALID');
  expect(String(thrown)).not.toContain('hunter2');
});
