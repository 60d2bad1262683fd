import { createRedactor, type Permit, rulePolicy } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { MAX_OPEN_PERMITS, OpenPermits } from '../../src/decision-point/open-permits.ts';
import { MAX_WAITING } from '../../src/decision-point/permits.ts';
import { ANA, BOB, outcomePath, PERMITS, type Point, point, TOKENS, wanted } from './point.ts';

interface Entry {
  readonly kind?: string;
  readonly effect?: string;
  readonly status?: string;
  readonly error_type?: string;
}

function kinds({ store }: Point): readonly string[] {
  const entries: readonly Entry[] = store.entries().map((entry) => ({ ...entry }));
  return entries
    .filter(({ kind }) => kind !== 'policy' && kind !== 'session')
    .map(({ kind, effect, status }) => `${kind} ${effect ?? status ?? ''}`.trim());
}

const SECRET = ['ghp', 'x9Kd82LmQpZr4TnVwYb7CfHjA1sEgU3oI5Ra'].join('_');

/** Lets everything else run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function firstAsked({ store }: Point): Promise<string> {
  for (;;) {
    const [first] = await store.approvals({});
    if (first !== undefined) return first.id;
    await turn();
  }
}

describe('a permit', () => {
  it('is recorded before it is given, and holds exactly the arguments that were decided', async () => {
    const here = await point();
    const args = { path: 'ä\u0000"', n: [1.5, -0, 1e21, null], deep: { a: {} } };
    const { body } = await here.post(PERMITS, wanted('files/read', args));
    expect(body).toEqual({
      kind: 'permit',
      call: expect.stringMatching(/^[0-9A-Za-z-]{20,64}$/),
      args: { ...args, n: [1.5, 0, 1e21, null] },
      permit_token: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      decision: { reason_code: 'POLICY_ALLOW_LOW_RISK', rule: 'reads', would: 'allow' },
      entry: { of: expect.any(Number), leaf: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
    expect(kinds(here)).toEqual(['decision allow']);
    expect(here.store.entries()[body.entry.of]).toMatchObject({ kind: 'decision', agent: ANA, call: body.call, session: 'ana-bot/s1' });
  });

  it('is settled once, with its outcome in the ledger', async () => {
    const here = await point();
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const told = { permit_token, status: 'success', result: { lines: 3 } };
    expect((await here.post(outcomePath(call), told)).body).toEqual({ kind: 'settled', call, result: { lines: 3 } });
    expect(kinds(here)).toEqual(['decision allow', 'outcome success']);
    const again = await here.post(outcomePath(call), told);
    expect([again.status, again.body.error.code]).toEqual([409, 'PERMIT_ALREADY_SETTLED']);
    expect(kinds(here)).toEqual(['decision allow', 'outcome success']);
  });

  it('tells how a tool failed: its class in the entry, its words in the opening, redacted', async () => {
    const here = await point();
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const error = { type: 'ValueError', message: `bad token ${SECRET}` };
    expect((await here.post(outcomePath(call), { permit_token, status: 'error', error })).body).toEqual({
      kind: 'settled',
      call,
      error: { message: error.message },
    });
    expect(here.store.entries().at(-1)).toMatchObject({ kind: 'outcome', status: 'error', error_type: 'ValueError' });
    expect(JSON.stringify(here.store.entries())).not.toContain(SECRET);
  });

  it.each(['no name', 'a/b', '__proto__', 'x'.repeat(65), SECRET])('does not take %j for the class of an error', async (type) => {
    const here = await point();
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    await here.post(outcomePath(call), { permit_token, status: 'error', error: { type } });
    const recorded: Entry = { ...here.store.entries().at(-1) };
    expect(recorded.error_type).toBe(type === '__proto__' ? '__proto__' : 'Error');
  });

  it('gives the result back as the model may see it', async () => {
    const here = await point({ guard: { maskResults: true, redactor: createRedactor() } });
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const { body } = await here.post(outcomePath(call), { permit_token, status: 'success', result: { text: `key ${SECRET}` } });
    expect(body.result.text).toMatch(/^key \[redacted:/);
    expect(JSON.stringify(body)).not.toContain(SECRET);
  });

  it('gives the words of an error back as the model may see them', async () => {
    const here = await point({ guard: { maskResults: true, redactor: createRedactor() } });
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const { body } = await here.post(outcomePath(call), { permit_token, status: 'error', error: { message: `key ${SECRET}` } });
    expect(body.error.message).toMatch(/^key \[redacted:/);
  });

  it('withholds, masks and labels results as rules say, on record before the answer', async () => {
    const policy = rulePolicy({
      id: 'p',
      rules: [
        { id: 'all', tools: ['*'], effect: 'allow' },
        { id: 'no-orders', on: 'result', tools: ['web'], when: "result.text.contains('obey')", effect: 'withhold' },
        { id: 'marks', on: 'result', tools: ['*'], effect: 'label', label: ['read'] },
      ],
    });
    const here = await point({ guard: { policy } });
    const outcome = async (told: object): Promise<unknown> => {
      const { call, permit_token } = (await here.post(PERMITS, wanted('web'))).body;
      return (await here.post(outcomePath(call), { permit_token, ...told })).body;
    };
    const replaced = { action: 'withhold', text: expect.stringMatching(/withheld/) };
    expect(await outcome({ status: 'success', result: 'you must obey' })).toEqual({ kind: 'settled', call: expect.any(String), replaced });
    expect(here.store.entries().at(-1)).toMatchObject({ kind: 'outcome', released: { action: 'withhold', rule: 'no-orders' } });
    expect(await outcome({ status: 'error', error: { message: 'obey me' } })).toEqual({
      kind: 'settled',
      call: expect.any(String),
      replaced,
    });
    expect(await outcome({ status: 'success', result: 'fine' })).toEqual({ kind: 'settled', call: expect.any(String), result: 'fine' });
    expect(await outcome({ status: 'cancelled' })).toEqual({ kind: 'settled', call: expect.any(String) });
  });

  it('is given in audit mode for what policy would deny, and says so', async () => {
    const { post } = await point({ guard: { mode: 'audit' } });
    expect((await post(PERMITS, wanted('wire'))).body).toMatchObject({ kind: 'permit', decision: { would: 'deny' } });
  });

  it('carries labels to later calls of the session', async () => {
    const { post } = await point();
    expect((await post(PERMITS, wanted('mail'))).body.kind).toBe('permit');
    expect((await post(PERMITS, wanted('web'))).body.kind).toBe('permit');
    expect((await post(PERMITS, wanted('mail'))).body.kind).toBe('pending');
    expect((await post(PERMITS, wanted('mail', {}, { context: { session: { id: 's2' } } }))).body.kind).toBe('permit');
  });

  it('needs an id of the call, and a whole wait', async () => {
    const { post } = await point();
    for (const [more, place] of [
      [{ call: undefined }, 'call'],
      [{ call: {} }, 'call.id'],
      [{ call: { id: '' } }, 'call.id'],
      [{ wait_ms: -1 }, 'wait_ms'],
      [{ wait_ms: 0.5 }, 'wait_ms'],
      [{ wait_ms: '5' }, 'wait_ms'],
      [{ wait_ms: 1e12 }, 'wait_ms'],
    ] as const) {
      const { status, body } = await post(PERMITS, wanted('read', {}, more));
      expect([status, body.error.code, body.error.message]).toEqual([400, 'REQUEST_INVALID', `${place} is missing or malformed`]);
    }
  });
});

describe('a refusal', () => {
  it('says why, and stands in the ledger', async () => {
    const here = await point();
    const { status, body } = await here.post(PERMITS, wanted('wire'));
    expect([status, body]).toEqual([
      200,
      {
        kind: 'refusal',
        call: expect.any(String),
        reason_code: 'POLICY_DEFAULT_DENY',
        reason: 'no rule matches this call',
        entry: { of: expect.any(Number), leaf: expect.any(String) },
      },
    ]);
    expect(kinds(here)).toEqual(['decision deny']);
  });

  it('meets a call that runs, and one that ran', async () => {
    const { post } = await point();
    const body = wanted('read');
    const first = (await post(PERMITS, body)).body;
    expect((await post(PERMITS, body)).body).toMatchObject({ kind: 'refusal', call: first.call, reason_code: 'CALL_IN_PROGRESS' });
    await post(outcomePath(first.call), { permit_token: first.permit_token, status: 'error' });
    expect((await post(PERMITS, body)).body).toMatchObject({ kind: 'refusal', reason_code: 'CALL_ALREADY_RUN', earlier: 'error' });
    const call = { ...(body['call'] as object), attempt: 2 };
    expect((await post(PERMITS, { ...body, call })).body.kind).toBe('permit');
  });

  it('answers arguments that cannot be kept exactly', async () => {
    const here = await point();
    const { body } = await here.post(PERMITS, wanted('read', { text: '\ud800' }));
    expect(body.error?.code ?? body.reason_code).toMatch(/^(BODY_INVALID|ARGUMENTS_INVALID)$/);
    expect(kinds(here).filter((kind) => kind.includes('allow'))).toEqual([]);
  });
});

describe('an approval', () => {
  it('is waited for by asking again: after the answer the permit is given once', async () => {
    const here = await point();
    const body = wanted('refund', { amount: 900 });
    const pending = (await here.post(PERMITS, body)).body;
    expect(pending).toEqual({
      kind: 'pending',
      call: expect.any(String),
      approval_id: expect.any(String),
      expires_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      reason_code: 'REFUND_OVER_LIMIT',
      reason: 'over 500',
      rule: 'asks',
      next: expect.stringContaining(`countersign approvals approve ${pending.approval_id}`),
    });
    expect((await here.post(PERMITS, body)).body).toMatchObject({ kind: 'pending', approval_id: pending.approval_id });
    await here.answer(pending.approval_id);
    const permit = (await here.post(PERMITS, body)).body;
    expect(permit).toMatchObject({ kind: 'permit', call: pending.call, args: { amount: 900 } });
    expect((await here.post(PERMITS, body)).body).toMatchObject({ kind: 'refusal', reason_code: 'CALL_IN_PROGRESS' });
  });

  it('is waited for in the request, as long as it says', async () => {
    const here = await point();
    const body = wanted('refund', {}, { wait_ms: 60_000 });
    const answer = here.post(PERMITS, body);
    const asked = await firstAsked(here);
    await here.answer(asked);
    expect((await answer).body.kind).toBe('permit');
  });

  it('that is not answered in time is still pending', async () => {
    const { post } = await point();
    expect((await post(PERMITS, wanted('refund', {}, { wait_ms: 20 }))).body.kind).toBe('pending');
  });

  it('that is denied, or expires while it is waited for, is a refusal', async () => {
    const here = await point();
    const body = wanted('refund');
    const { approval_id } = (await here.post(PERMITS, body)).body;
    await here.answer(approval_id, 'deny');
    expect((await here.post(PERMITS, body)).body).toMatchObject({ kind: 'refusal', reason_code: 'APPROVAL_DENIED' });
    const short = await point({ guard: { approvals: { ttlMs: 20 } } });
    expect((await short.post(PERMITS, wanted('refund', {}, { wait_ms: 60_000 }))).body).toMatchObject({
      kind: 'refusal',
      reason_code: 'APPROVAL_EXPIRED',
    });
  });

  it('gives no right to other arguments, another session or another agent', async () => {
    const here = await point();
    const body = wanted('refund', { amount: 900 });
    await here.answer((await here.post(PERMITS, body)).body.approval_id);
    const others = [
      [{ ...body, action: { name: 'call', properties: { args: { amount: 901 } } } }, ANA],
      [{ ...body, context: { session: { id: 's2' } } }, ANA],
      [{ ...body, subject: { type: 'agent', id: BOB } }, BOB],
      [{ ...body, subject: { type: 'agent', id: ANA, properties: { principal: 'eve' } } }, ANA],
    ] as const;
    for (const [other, agent] of others) {
      expect((await here.post(PERMITS, other, { token: TOKENS[agent] ?? '' })).body.kind).toBe('pending');
    }
    expect((await here.post(PERMITS, body)).body.kind).toBe('permit');
  });

  it('survives a client that hangs up while it waits', async () => {
    const here = await point();
    const body = wanted('refund', {}, { wait_ms: 60_000 });
    const hangUp = new AbortController();
    const hung = here.post(PERMITS, body, { signal: hangUp.signal }).catch(() => 'hung up');
    const asked = await firstAsked(here);
    hangUp.abort();
    expect(await hung).toBe('hung up');
    while (here.waitsEnded() === 0) await turn();
    await here.answer(asked);
    expect((await here.post(PERMITS, { ...body, wait_ms: 0 })).body.kind).toMatch(/^permit$/);
    expect(here.errors).toEqual([]);
  });

  it('is not waited for by more requests of one client than it may have waiting', async () => {
    const here = await point();
    let done = 0;
    const all = Array.from({ length: MAX_WAITING + 3 }, async () => {
      const answered = await here.post(PERMITS, wanted('refund', {}, { wait_ms: 60_000 }));
      done += 1;
      return answered;
    });
    while (done < 3) await turn();
    for (const { id } of await here.store.approvals({})) await here.answer(id, 'deny');
    const bodies = (await Promise.all(all)).map(({ body }) => body.kind);
    expect(bodies.filter((kind) => kind === 'pending')).toHaveLength(3);
    expect(bodies.filter((kind) => kind === 'refusal')).toHaveLength(MAX_WAITING);
  });
});

describe('permits without an outcome', () => {
  it('are listed to the client that has them, without their tokens', async () => {
    const { post } = await point();
    const { call, permit_token } = (await post(PERMITS, wanted('read'))).body;
    const listed = await post(PERMITS, undefined, { method: 'GET' });
    expect(listed.body).toEqual({ open: [{ call, since: expect.stringMatching(/Z$/) }] });
    expect(JSON.stringify(listed.body)).not.toContain(permit_token);
    expect((await post(PERMITS, undefined, { method: 'GET', token: TOKENS[BOB] ?? '' })).body).toEqual({ open: [] });
    await post(outcomePath(call), { permit_token, status: 'cancelled' });
    expect((await post(PERMITS, undefined, { method: 'GET' })).body).toEqual({ open: [] });
  });

  it('are told when they are overdue, once, and can still be settled', async () => {
    const here = await point({ overdueMs: 1 });
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    while (here.events.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(here.events).toEqual([{ kind: 'overdue', permit: { call, agent: ANA, sinceMs: expect.any(Number) } }]);
    expect((await here.post(outcomePath(call), { permit_token, status: 'success' })).status).toBe(200);
  });

  it('are told when the server is closed, and stand open in the ledger', async () => {
    const here = await point();
    const { call } = (await here.post(PERMITS, wanted('read'))).body;
    await here.served.close();
    expect(here.events).toEqual([{ kind: 'left-open', permit: expect.objectContaining({ call, agent: ANA }) }]);
    expect(kinds(here)).toEqual(['decision allow']);
  });

  it('are told once for each', () => {
    const open = new OpenPermits();
    open.reserve(ANA);
    open.hold(ANA, { kind: 'permit', callId: 'c' } as Permit, 1_000);
    expect(open.overdue(999)).toEqual([]);
    expect(open.overdue(1_000)).toEqual([{ call: 'c', agent: ANA, sinceMs: 1_000 }]);
    expect(open.overdue(9_000)).toEqual([]);
  });

  it('are as many as a client may have', () => {
    const open = new OpenPermits();
    for (let i = 0; i < MAX_OPEN_PERMITS; i++) expect(open.reserve(ANA)).toBe(true);
    expect(open.reserve(ANA)).toBe(false);
    expect(open.reserve(BOB)).toBe(true);
    open.release(ANA);
    expect(open.reserve(ANA)).toBe(true);
  });
});
