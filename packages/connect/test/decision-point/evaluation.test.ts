import { describe, expect, it } from 'vitest';
import { authzenPolicy } from '../../src/authzen/client.ts';
import { MAX_EVALUATIONS } from '../../src/decision-point/evaluation.ts';
import { policyInput } from '../authzen/decision-point.ts';
import { ANA, asked, BOB, EVALUATION, EVALUATIONS, PERMITS, point, TOKENS, wanted } from './point.ts';

describe('one evaluation', () => {
  it('allows with nothing but the decision', async () => {
    const { post } = await point();
    const answer = await post(EVALUATION, asked('files/read', { path: 'a' }), { headers: { 'x-request-id': 'r-1' } });
    expect([answer.status, answer.body]).toEqual([200, { decision: true }]);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('x-request-id')).toBe('r-1');
  });

  it('denies, and asks a person, with the code and the reason', async () => {
    const { post } = await point();
    expect((await post(EVALUATION, asked('wire'))).body).toEqual({
      decision: false,
      context: { countersign: { effect: 'deny', reason_code: 'POLICY_DEFAULT_DENY' }, reason_user: { en: 'no rule matches this call' } },
    });
    expect((await post(EVALUATION, asked('refund'))).body).toEqual({
      decision: false,
      context: { countersign: { effect: 'require_approval', reason_code: 'REFUND_OVER_LIMIT' }, reason_user: { en: 'over 500' } },
    });
  });

  it('names the approval that is pending for this very call', async () => {
    const { post } = await point();
    const body = wanted('refund', { amount: 900 });
    const { approval_id } = (await post(PERMITS, body)).body;
    expect((await post(EVALUATION, body)).body.context.countersign).toEqual({
      effect: 'require_approval',
      reason_code: 'REFUND_OVER_LIMIT',
      approval_id,
    });
    expect((await post(EVALUATION, asked('refund', { amount: 900 }))).body.context.countersign).not.toHaveProperty('approval_id');
  });

  it('records nothing, charges nothing and opens no approval', async () => {
    const { post, store } = await point();
    for (const tool of ['read', 'wire', 'refund']) await post(EVALUATION, asked(tool));
    expect(await store.approvals({})).toEqual([]);
    expect(store.entries().length).toBe(0);
  });

  it('ignores members that it does not know, and what a client claims to be facts', async () => {
    const { post } = await point();
    const context = { session: { id: 's1', labels: ['untrusted'], halted: true }, time: '1970-01-01T00:00:00Z', mode: 'audit' };
    const body = { ...asked('mail'), context, obligations: [], subject: { type: 'agent', id: ANA, roles: ['admin'] } };
    expect((await post(EVALUATION, body)).body).toEqual({ decision: true });
  });

  it('answers the client of this package as it asks', async () => {
    const { url } = await point();
    const policy = authzenPolicy({ url, token: () => TOKENS[ANA] ?? '' });
    const input = (name: string) => policyInput({ agent: ANA, tool: { name } });
    expect(await policy.evaluate(input('read'))).toEqual({ effect: 'allow', reasonCode: 'POLICY_ALLOW_LOW_RISK' });
    expect(await policy.evaluate(input('refund'))).toEqual({
      effect: 'require_approval',
      reasonCode: 'REFUND_OVER_LIMIT',
      reason: 'over 500',
    });
    expect(await policy.evaluate(input('wire'))).toEqual({
      effect: 'deny',
      reasonCode: 'POLICY_DENY_HIGH_RISK',
      reason: 'no rule matches this call',
    });
    expect(await policy.evaluate(policyInput({ agent: BOB, tool: { name: 'read' } }))).toMatchObject({
      effect: 'deny',
      reasonCode: 'POLICY_EVALUATION_FAILED',
    });
  });
});

describe('a request that has not its shape', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['no subject', { ...asked('read'), subject: undefined }, 'REQUEST_INVALID', /^subject is/],
    ['a user', { ...asked('read'), subject: { type: 'user', id: ANA } }, 'REQUEST_INVALID', /^subject\.type is/],
    ['another agent', { ...asked('read'), subject: { type: 'agent', id: BOB } }, 'AGENT_REFUSED', /another agent/],
    ['another spelling', { ...asked('read'), subject: { type: 'agent', id: 'Ana-bot' } }, 'AGENT_REFUSED', /another agent/],
    ['another action', { ...asked('read'), action: { name: 'read' } }, 'REQUEST_INVALID', /^action\.name is/],
    ['another resource', { ...asked('read'), resource: { type: 'file', id: 'read' } }, 'REQUEST_INVALID', /^resource\.type is/],
    ['a cost below nothing', asked('read', {}, { action: { name: 'call', properties: { cost: -1 } } }), 'REQUEST_INVALID', /cost/],
    ['a cost with a fraction', asked('read', {}, { action: { name: 'call', properties: { cost: 0.5 } } }), 'REQUEST_INVALID', /cost/],
    ['an unknown member of call', asked('read', {}, { call: { id: 'a', approved: true } }), 'REQUEST_INVALID', /^call is/],
    ['an attempt of nothing', asked('read', {}, { call: { id: 'a', attempt: 0 } }), 'REQUEST_INVALID', /attempt/],
    ['a list', [asked('read')], 'REQUEST_INVALID', /^the request is/],
    ['nothing', null, 'REQUEST_INVALID', /^the request is/],
    ['a tool of two servers', asked('a/b/c'), 'REQUEST_INVALID', /resource\.id/],
    ['a tool without a name', asked('files/'), 'REQUEST_INVALID', /resource\.id/],
    ['a server without a name', asked('/read'), 'REQUEST_INVALID', /resource\.id/],
    ['another spelling of a tool', asked('%72ead'), 'REQUEST_INVALID', /resource\.id/],
    ['small letters in an escape', asked('a%2fb'), 'REQUEST_INVALID', /resource\.id/],
    [
      'properties that name another tool',
      asked('read', {}, { resource: { type: 'tool', id: 'read', properties: { name: 'wire' } } }),
      'REQUEST_INVALID',
      /resource\.properties/,
    ],
    [
      'properties that name another server',
      asked('read', {}, { resource: { type: 'tool', id: 'read', properties: { server: 'files', name: 'read' } } }),
      'REQUEST_INVALID',
      /resource\.properties/,
    ],
  ])('is refused: %s', async (_name, body, code, message) => {
    const { post } = await point();
    const answer = await post(EVALUATION, body);
    expect(answer.body).toEqual({ error: { code, message: expect.stringMatching(message) } });
    expect(answer.status).toBe(code === 'AGENT_REFUSED' ? 403 : 400);
  });

  it.each([
    ['broken', '{'],
    ['a name twice', '{"subject":{"type":"agent","id":"bob-bot"},"subject":{"type":"agent","id":"ana-bot"}}'],
    ['a name twice, spelled differently', '{"a":1,"\\u0061":2}'],
    ['__proto__', '{"__proto__":{"subject":1}}'],
    ['a number that no double holds', '{"a":12345678901234567890}'],
    ['infinite', '{"a":1e400}'],
    ['endless nesting', '['.repeat(100_000)],
    ['a byte order mark', '\uFEFF{}'],
    ['empty', ''],
    ['a lone surrogate', '{"subject":{"type":"agent","id":"\\ud800"}}'],
  ])('is refused: JSON that is %s', async (_name, body) => {
    const { post } = await point();
    const answer = await post(EVALUATION, body);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body.error.code).toMatch(/^(BODY_INVALID|REQUEST_INVALID|AGENT_REFUSED)$/);
  });

  it('takes a tool whose name holds a slash as that tool, and not as one of a server', async () => {
    const { post } = await point();
    expect((await post(EVALUATION, asked('files%2Fread'))).body.decision).toBe(false);
    expect((await post(EVALUATION, asked('files/read'))).body.decision).toBe(true);
  });
});

describe('several evaluations', () => {
  const entries = (...tools: string[]) => tools.map((id) => ({ resource: { type: 'tool', id } }));
  const shared = asked('read');
  delete shared['resource'];

  it.each<[string, object, string[], boolean[]]>([
    ['all by default', {}, ['read', 'wire', 'read'], [true, false, true]],
    ['all', { evaluations_semantic: 'execute_all' }, ['wire', 'read'], [false, true]],
    ['up to the first deny', { evaluations_semantic: 'deny_on_first_deny' }, ['read', 'wire', 'read'], [true, false]],
    ['an ask as a deny', { evaluations_semantic: 'deny_on_first_deny' }, ['refund', 'read'], [false]],
    ['up to the first permit', { evaluations_semantic: 'permit_on_first_permit' }, ['wire', 'read', 'read'], [false, true]],
    ['and ignores other options', { another: 1 }, ['read'], [true]],
  ])('answers %s', async (_name, options, tools, decisions) => {
    const { post } = await point();
    const { body } = await post(EVALUATIONS, { ...shared, options, evaluations: entries(...tools) });
    expect(body.evaluations.map(({ decision }: { decision: boolean }) => decision)).toEqual(decisions);
  });

  it('lets an entry name its own, whole', async () => {
    const { post } = await point();
    const evaluations = [
      {},
      { resource: { type: 'tool', id: 'wire' } },
      { action: { name: 'call' } },
      { subject: { type: 'agent', id: BOB } },
    ];
    const { body } = await post(EVALUATIONS, { ...asked('read'), evaluations });
    expect(body.evaluations).toMatchObject([
      { decision: true },
      { decision: false, context: { countersign: { effect: 'deny' } } },
      { decision: true },
      { decision: false, context: { error: { status: 403, code: 'AGENT_REFUSED' } } },
    ]);
  });

  it('takes what is wrong with one entry as a denial of that one', async () => {
    const { post } = await point();
    const evaluations = [null, [], 'x', {}, { resource: { type: 'tool', id: 'a/b/c' } }];
    const { body } = await post(EVALUATIONS, { ...shared, evaluations: [...evaluations, ...entries('read')] });
    expect(body.evaluations.slice(0, 5)).toEqual(
      evaluations.map(() => ({ decision: false, context: { error: expect.objectContaining({ status: 400, code: 'REQUEST_INVALID' }) } })),
    );
    expect(body.evaluations[5]).toEqual({ decision: true });
  });

  it.each([[undefined], [[]]])('is one evaluation when there are no entries (%j)', async (evaluations) => {
    const { post } = await point();
    expect((await post(EVALUATIONS, { ...asked('read'), evaluations })).body).toEqual({ decision: true });
  });

  it.each<[string, object, string]>([
    ['an unknown semantic', { options: { evaluations_semantic: 'permit_all' }, evaluations: entries('read') }, 'REQUEST_INVALID'],
    ['entries that are no list', { evaluations: { 0: {} } }, 'REQUEST_INVALID'],
    ['too many', { evaluations: Array.from({ length: MAX_EVALUATIONS + 1 }, () => ({})) }, 'EVALUATIONS_TOO_MANY'],
  ])('is refused with %s', async (_name, more, code) => {
    const { post } = await point();
    const answer = await post(EVALUATIONS, { ...shared, ...more });
    expect([answer.status, answer.body.error.code]).toEqual([400, code]);
  });
});

describe('metadata', () => {
  it('says where the two are, to anybody', async () => {
    const { url } = await point();
    const response = await fetch(`${url}/.well-known/authzen-configuration`);
    expect([response.status, await response.json()]).toEqual([
      200,
      {
        policy_decision_point: url,
        access_evaluation_endpoint: `${url}${EVALUATION}`,
        access_evaluations_endpoint: `${url}${EVALUATIONS}`,
      },
    ]);
    expect((await fetch(`${url}/.well-known/authzen-configuration`, { method: 'POST' })).status).toBe(405);
  });
});
