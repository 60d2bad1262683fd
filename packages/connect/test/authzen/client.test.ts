import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { PolicyVerdict } from '@countersign/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AuthzenOptions } from '../../src/authzen/client.ts';
import { authzenPolicy } from '../../src/authzen/client.ts';
import type { Answer } from './decision-point.ts';
import { decisionPoint, freePort, json, policyInput } from './decision-point.ts';

const TOKEN = 'mF_9.B5f-4.1JqM';

async function ask(answer: Answer, options: Partial<AuthzenOptions> = {}): Promise<PolicyVerdict> {
  const { url } = await decisionPoint(answer);
  return authzenPolicy({ url, ...options }).evaluate(policyInput());
}

function failure(reason: string): PolicyVerdict {
  return { effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED', reason: `decision point authzen ${reason}` };
}

describe('answers', () => {
  it('allows on decision true', async () => {
    expect(await ask(json({ decision: true }))).toStrictEqual({ effect: 'allow', reasonCode: 'POLICY_ALLOW_LOW_RISK' });
  });

  it('denies on decision false with the reason for the user', async () => {
    const context = { reason_admin: { 403: 'policy C076E82F' }, reason_user: { 403: 'over the limit' } };
    expect(await ask(json({ decision: false, context }))).toStrictEqual({
      effect: 'deny',
      reasonCode: 'POLICY_DENY_HIGH_RISK',
      reason: 'over the limit',
    });
  });

  it('asks a human when the decision point says so', async () => {
    const countersign = { effect: 'require_approval', reason_code: 'REFUND_OVER_LIMIT' };
    expect(await ask(json({ decision: false, context: { countersign, reason_user: 'over 500' } }))).toStrictEqual({
      effect: 'require_approval',
      reasonCode: 'REFUND_OVER_LIMIT',
      reason: 'over 500',
    });
  });

  it('takes a content type with parameters and a body in pieces', async () => {
    const pieces: Answer = (response) => {
      response.writeHead(200, { 'content-type': 'Application/JSON; charset=utf-8' });
      response.write('{"deci');
      setImmediate(() => response.end('sion":true}'));
    };
    expect(await ask(pieces)).toMatchObject({ effect: 'allow' });
  });

  it('takes an answer that carries the request id back', async () => {
    const echo: Answer = (response, request) => {
      json({ decision: true }, { 'x-request-id': String(request.headers['x-request-id']) })(response, request, 1);
    };
    expect(await ask(echo)).toMatchObject({ effect: 'allow' });
  });
});

describe('the request', () => {
  it('posts the four entities of AuthZEN, the shown view only, and the token', async () => {
    const point = await decisionPoint(json({ decision: true }));
    await authzenPolicy({ url: `${point.url}/tenant/`, token: async () => TOKEN }).evaluate(policyInput());
    expect(point.received).toHaveLength(1);
    const [received] = point.received;
    expect(received).toMatchObject({ method: 'POST', url: '/tenant/access/v1/evaluation' });
    expect(received?.headers).toMatchObject({ 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` });
    expect(received?.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(received?.body ?? '')).toStrictEqual({
      subject: { type: 'agent', id: 'billing-bot', properties: { principal: 'ana' } },
      action: { name: 'call', properties: { args: { amount: 12, note: '[redacted:jwt]' } } },
      resource: { type: 'tool', id: 'shop/refund', properties: { server: 'shop', name: 'refund' } },
      context: {
        time: '2026-01-02T03:04:05.000Z',
        mode: 'enforce',
        session: { id: 's1', labels: ['untrusted'], halted: false },
        findings: [{ kind: 'jwt', pointer: '/note' }],
      },
    });
  });

  it('sends no authorization without a token function', async () => {
    const point = await decisionPoint(json({ decision: true }));
    await authzenPolicy({ url: point.url }).evaluate(policyInput());
    expect(point.received[0]?.headers.authorization).toBeUndefined();
  });

  it('asks for the token anew for every call', async () => {
    const point = await decisionPoint(json({ decision: true }));
    let turn = 0;
    const policy = authzenPolicy({ url: point.url, token: () => `t${++turn}` });
    await policy.evaluate(policyInput());
    await policy.evaluate(policyInput());
    expect(point.received.map(({ headers }) => headers.authorization)).toStrictEqual(['Bearer t1', 'Bearer t2']);
  });

  it('is not sent when it would be too large, or cannot be written', async () => {
    const point = await decisionPoint(json({ decision: true }));
    const policy = authzenPolicy({ url: point.url });
    expect(await policy.evaluate(policyInput({ args: 'x'.repeat(1_048_577) }))).toStrictEqual(
      failure('was not asked: the request would exceed 1048576 bytes'),
    );
    expect(await policy.evaluate(policyInput({ atMs: Number.NaN }))).toStrictEqual(failure('could not be asked: unexpected error'));
    expect(point.received).toHaveLength(0);
  });
});

describe('fails closed', () => {
  const answers: readonly [string, Answer, string][] = [
    ['status 201', status(201), 'answered with status 201'],
    ['status 204', (response) => void response.writeHead(204).end(), 'answered with status 204'],
    ['status 401', status(401), 'answered with status 401'],
    ['status 403', status(403), 'answered with status 403'],
    ['status 500', status(500), 'answered with status 500'],
    [
      'no content type',
      (response) => void response.writeHead(200).end('{"decision":true}'),
      'answered with a content type other than application/json',
    ],
    ['text', json({ decision: true }, { 'content-type': 'text/plain' }), 'answered with a content type other than application/json'],
    [
      'a type that only begins like JSON',
      json({ decision: true }, { 'content-type': 'application/json-seq' }),
      'answered with a content type other than application/json',
    ],
    [
      'two types',
      json({ decision: true }, { 'content-type': 'application/json, text/html' }),
      'answered with a content type other than application/json',
    ],
    ['no body', json(''), 'answered with invalid JSON'],
    ['broken JSON', json('{"decision":true'), 'answered with invalid JSON'],
    ['two JSON values', json('{"decision":true}{"decision":false}'), 'answered with invalid JSON'],
    ['bytes that are not UTF-8', bytes(Buffer.from('{"decision":true,"x":"\xff"}', 'latin1')), 'answered with invalid JSON'],
    ['endless nesting', json('['.repeat(60_000)), 'answered with invalid JSON'],
    ['a body over the limit', json(`{"decision":true,"pad":"${'x'.repeat(65_536)}"}`), 'answered with more than 65536 bytes'],
    ['a small zip of a large body', zipped(`{"decision":true,"pad":"${'x'.repeat(5_000_000)}"}`), 'answered with more than 65536 bytes'],
    [
      'a body that breaks off',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
        response.write('{"decision":true}', () => response.destroy());
      },
      'broke off its answer',
    ],
    ['another request id', json({ decision: true }, { 'x-request-id': 'other' }), 'answered another request: x-request-id differs'],
    ['no decision', json({}), 'answered without a boolean decision, or with a context that is no object'],
    ['an unknown obligation', json({ decision: true, context: { acr_values: 'loa3' } }), 'attached a context that cannot be honoured'],
  ];

  it.each(answers)('%s', async (_name, answer, reason) => {
    expect(await ask(answer)).toStrictEqual(failure(reason));
  });

  it.each([301, 302, 303, 307, 308])('never follows a redirect (%d), so the token stays here', async (code) => {
    const elsewhere = await decisionPoint(json({ decision: true }));
    const redirect: Answer = (response) => void response.writeHead(code, { location: elsewhere.url }).end();
    expect(await ask(redirect, { token: () => TOKEN })).toStrictEqual(failure('answered with a redirect, which is never followed'));
    expect(elsewhere.received).toHaveLength(0);
  });

  it('an answer that never comes', async () => {
    expect(await ask(() => undefined, { timeoutMs: 50 })).toStrictEqual(failure('did not answer within 50 ms'));
  });

  it('a body that never ends', async () => {
    const dripping: Answer = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"decision":true');
    };
    expect(await ask(dripping, { timeoutMs: 50 })).toStrictEqual(failure('did not answer within 50 ms'));
  });

  it('a token function that hangs', async () => {
    const point = await decisionPoint(json({ decision: true }));
    const policy = authzenPolicy({ url: point.url, timeoutMs: 50, token: () => new Promise<string>(() => undefined) });
    expect(await policy.evaluate(policyInput())).toStrictEqual(failure('did not answer within 50 ms'));
    expect(point.received).toHaveLength(0);
  });

  it('TLS where none is spoken', async () => {
    const point = await decisionPoint(json({ decision: true }));
    const verdict = await authzenPolicy({ url: point.url.replace('http:', 'https:') }).evaluate(policyInput());
    expect(verdict).toStrictEqual(failure('could not prove its identity: TLS failed'));
    expect(point.received).toHaveLength(0);
  });

  it('TLS without certificate checks', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    onTestFinished(() => void vi.unstubAllEnvs());
    const verdict = await authzenPolicy({ url: 'https://127.0.0.1:1' }).evaluate(policyInput());
    expect(verdict).toStrictEqual(failure('was not asked: NODE_TLS_REJECT_UNAUTHORIZED=0 switches certificate checks off'));
  });

  it('a port where nobody listens', async () => {
    const verdict = await authzenPolicy({ url: `http://127.0.0.1:${await freePort()}` }).evaluate(policyInput());
    expect(verdict).toStrictEqual(failure('refused the connection'));
  });
});

describe('one retry', () => {
  it.each<[string, Answer]>([
    ['reset', (response) => void response.socket?.resetAndDestroy()],
    ['closed', (response) => void response.socket?.end()],
  ])('is made when the connection was %s, with the same request id', async (_name, drop) => {
    const point = await decisionPoint((response, request, count) =>
      (count === 1 ? drop : json({ decision: true }))(response, request, count),
    );
    expect(await authzenPolicy({ url: point.url }).evaluate(policyInput())).toMatchObject({ effect: 'allow' });
    expect(point.received).toHaveLength(2);
    expect(point.received[0]).toStrictEqual(point.received[1]);
  });

  it('is the only one', async () => {
    const point = await decisionPoint((response) => void response.socket?.resetAndDestroy());
    expect(await authzenPolicy({ url: point.url }).evaluate(policyInput())).toStrictEqual(
      failure('closed the connection without an answer'),
    );
    expect(point.received).toHaveLength(2);
  });

  it.each<[string, Answer]>([
    ['a status of 503', status(503)],
    ['a deny', json({ decision: false })],
    [
      'an answer that breaks off',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
        response.write('{', () => response.destroy());
      },
    ],
  ])('is not made after %s', async (_name, answer) => {
    const point = await decisionPoint(answer);
    expect(await authzenPolicy({ url: point.url }).evaluate(policyInput())).toMatchObject({ effect: 'deny' });
    expect(point.received).toHaveLength(1);
  });
});

describe('the token', () => {
  it.each([
    ['empty', ''],
    ['with a line break', 'abc\r\nx-admin: 1'],
    ['with a space', 'abc def'],
    ['not ASCII', 'abcé'],
    ['too long', 'x'.repeat(8_193)],
  ])('%s is refused before anything is sent', async (_name, token) => {
    const point = await decisionPoint(json({ decision: true }));
    expect(await authzenPolicy({ url: point.url, token: () => token }).evaluate(policyInput())).toStrictEqual(
      failure('was not asked: the token function must give a bearer token of at most 8192 characters'),
    );
    expect(point.received).toHaveLength(0);
  });

  it.each<[string, () => string | Promise<string>]>([
    [
      'throws',
      () => {
        throw new Error(`no ${TOKEN}`);
      },
    ],
    ['rejects', () => Promise.reject(new Error(`no ${TOKEN}`))],
  ])('a function that %s is a deny that keeps its words to itself', async (_name, token) => {
    expect(await ask(json({ decision: true }), { token })).toStrictEqual(failure('was not asked: the token function failed'));
  });

  it('is taken out of a reason that repeats it', async () => {
    const verdict = await ask(json({ decision: false, context: { reason_user: `bad token ${TOKEN}!` } }), { token: () => TOKEN });
    expect(verdict).toMatchObject({ effect: 'deny', reason: 'bad token [redacted:token]!' });
  });

  it('and the address never show in a failure', async () => {
    const port = await freePort();
    const verdict = await authzenPolicy({ url: `http://127.0.0.1:${port}/secret-path`, token: () => TOKEN }).evaluate(policyInput());
    expect(JSON.stringify(verdict)).not.toMatch(new RegExp(`${TOKEN}|${port}|secret-path`));
  });
});

describe('options', () => {
  it('document and hash cover id, version and the normalised URL', () => {
    const policy = authzenPolicy({ url: 'HTTPS://PDP.example.com:443/tenant//', id: 'billing', version: '3' });
    expect(policy).toMatchObject({ id: 'billing', version: '3' });
    expect(policy.document).toBe('{"id":"billing","kind":"authzen","url":"https://pdp.example.com/tenant","version":"3"}');
    expect(policy.hash).toBe(createHash('sha256').update(`countersign/policy/v1\n${policy.document}`).digest('hex'));
    expect(authzenPolicy({ url: 'https://pdp.example.com/tenant', id: 'billing', version: '4' }).hash).not.toBe(policy.hash);
  });

  it.each([
    'https://pdp.example.com',
    'http://127.0.0.1:8181',
    'http://127.9.8.7',
    'http://localhost:8181',
    'http://[::1]:8181',
    'http://0x7f.1',
  ])('takes %s', (url) => {
    expect(authzenPolicy({ url })).not.toHaveProperty('version');
  });

  it('takes plain http to another host when told to', () => {
    expect(authzenPolicy({ url: 'http://pdp.example.com', allowInsecure: true }).id).toBe('authzen');
  });

  it.each([
    'http://pdp.example.com',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
    'http://128.0.0.1',
    'http://0.0.0.0',
    'http://[::2]',
    'ftp://127.0.0.1',
    'file:///etc/passwd',
    'data:application/json,{"decision":true}',
    '/access',
    '',
    'https://user@pdp.example.com',
    'https://user:hunter2@pdp.example.com',
    'https://pdp.example.com/?key=hunter2',
    'https://pdp.example.com/?',
    'https://pdp.example.com/#hunter2',
    'https://pdp.example.com/access/v1/evaluation',
    'https://pdp.example.com/access/v1/evaluation/',
    `https://pdp.example.com/${'x'.repeat(2_048)}`,
  ])('refuses the URL %s and does not repeat it', (url) => {
    expect(() => authzenPolicy({ url })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(() => authzenPolicy({ url })).not.toThrow(/hunter2|example\.com/);
  });

  it.each(['', ' ', 'a\n', 'é', 'x'.repeat(129), '\ud800'])('refuses the id and version %j', (value) => {
    expect(() => authzenPolicy({ url: 'https://pdp.example.com', id: value })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
    expect(() => authzenPolicy({ url: 'https://pdp.example.com', version: value })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });

  it.each([0, -1, 1.5, 60_001, Number.NaN, Number.POSITIVE_INFINITY])('refuses timeoutMs %d', (timeoutMs) => {
    expect(() => authzenPolicy({ url: 'https://pdp.example.com', timeoutMs })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });
});

function status(code: number): Answer {
  return (response) => void response.writeHead(code, { 'content-type': 'application/json' }).end('{"decision":true}');
}

function bytes(body: Buffer, headers: Record<string, string> = {}): Answer {
  return (response) => void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(body);
}

function zipped(text: string): Answer {
  return bytes(gzipSync(text), { 'content-encoding': 'gzip' });
}
