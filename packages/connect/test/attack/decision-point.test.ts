/** What a hostile or unlucky client of the decision point may try. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { budgetFrom, composePolicies, createGuard, rulePolicy } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveDecisions } from '../../src/decision-point/serve-decisions.ts';
import { ANA, asked, BOB, type Body, EVALUATION, outcomePath, PERMITS, point, RULES, TOKENS, wanted } from '../decision-point/point.ts';

const CROWD = 1_000;
const TOKEN = TOKENS[ANA] ?? '';

describe('an evaluation', () => {
  it('is no permit: it charges nothing, holds no token, and settles nothing', async () => {
    const budgets = [budgetFrom({ id: 'calls', per: 'agent', limit: 1 })];
    const { post, store } = await point({ guard: { budgets } });
    for (let i = 0; i < 5; i++) expect((await post(EVALUATION, wanted('read'))).body).toEqual({ decision: true });
    expect(store.entries()).toHaveLength(0);
    expect((await post(outcomePath('call_1'), { permit_token: 'x', status: 'success' })).body.error.code).toBe('PERMIT_NOT_FOUND');
    expect((await post(PERMITS, wanted('read'))).body.kind).toBe('permit');
    expect((await post(PERMITS, wanted('read'))).body).toMatchObject({ kind: 'refusal', reason_code: 'BUDGET_EXCEEDED_AGENT_RATE' });
  });

  it('does not use up an approval', async () => {
    const here = await point();
    const body = wanted('refund');
    await here.answer((await here.post(PERMITS, body)).body.approval_id);
    for (let i = 0; i < 3; i++) expect((await here.post(EVALUATION, body)).body.decision).toBe(false);
    expect((await here.post(PERMITS, body)).body.kind).toBe('permit');
  });
});

describe('a question of our own', () => {
  const asksAll = rulePolicy({ id: 'p', rules: [{ id: 'all', tools: ['*/*', '*'], effect: 'require_approval' }] });
  const args = { do: 'resume', rule: 'r', level: 'HALT', why: 'nothing', held: [], answers: { resume: 'a', deny: 'b', kill: 'c' } };

  it.each(['countersign/after_halt', 'Countersign/after_halt', 'countersign/x'])('is not put by a client: %s', async (id) => {
    const here = await point({ guard: { policy: asksAll } });
    const resource = { type: 'tool', id };
    for (const [path, body] of [
      [PERMITS, wanted('x', args, { resource })],
      [EVALUATION, asked('x', args, { resource })],
    ] as const) {
      const { status, body: said } = await here.post(path, body);
      expect([status, said.error.code]).toEqual([400, 'REQUEST_INVALID']);
    }
    expect(here.store.entries()).toHaveLength(0);
  });
});

describe('one session of two agents', () => {
  const SHARED = ['shared'];
  const clients = [ANA, BOB].map((agent) => ({ agent, tokens: [TOKENS[agent] ?? ''], sessions: SHARED }));
  const as = (agent: string, body: Record<string, unknown>): Record<string, unknown> => ({
    ...body,
    subject: { type: 'agent', id: agent },
    context: { session: { id: 'shared' } },
  });

  it('has no call, approval or permit in common', async () => {
    const here = await point({ clients });
    const bob = { token: TOKENS[BOB] ?? '' };
    const refund = wanted('refund', { amount: 1 });
    const first = await here.post(PERMITS, as(ANA, refund));
    const other = await here.post(PERMITS, as(BOB, refund), bob);
    expect(other.body.approval_id).not.toBe(first.body.approval_id);
    await here.answer(first.body.approval_id);
    expect((await here.post(PERMITS, as(BOB, refund), bob)).body.kind).toBe('pending');
    const permit = (await here.post(PERMITS, as(ANA, refund))).body;
    expect(permit.kind).toBe('permit');
    const told = { permit_token: permit.permit_token, status: 'success' };
    expect((await here.post(outcomePath(permit.call), told, bob)).body.error.code).toBe('PERMIT_NOT_FOUND');
    expect((await here.post(outcomePath(permit.call), told)).status).toBe(200);
  });
});

describe('an outcome', () => {
  it.each<[string, (call: string, token: string) => [string, unknown], number, string]>([
    ['another token', (call) => [call, 'x'.repeat(43)], 404, 'PERMIT_NOT_FOUND'],
    ['a prefix of the token', (call, token) => [call, token.slice(0, 42)], 404, 'PERMIT_NOT_FOUND'],
    ['no token', (call) => [call, undefined], 400, 'REQUEST_INVALID'],
    ['an empty token', (call) => [call, ''], 400, 'REQUEST_INVALID'],
    ['a list of tokens', (call, token) => [call, [token]], 400, 'REQUEST_INVALID'],
    ['another call', (call, token) => [`${call.slice(0, -1)}${call.endsWith('a') ? 'b' : 'a'}`, token], 404, 'PERMIT_NOT_FOUND'],
    ['the call in capitals', (call, token) => [call.toUpperCase(), token], 404, 'PERMIT_NOT_FOUND'],
    ['a member of every object', (_call, token) => ['__proto__', token], 404, 'PERMIT_NOT_FOUND'],
  ])('with %s is refused, and the permit stands', async (_name, forge, status, code) => {
    const here = await point();
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const [path, token] = forge(call, permit_token);
    const answer = await here.post(outcomePath(path), { permit_token: token, status: 'success' });
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    expect(here.served.open()).toHaveLength(1);
    expect((await here.post(outcomePath(call), { permit_token, status: 'success' })).status).toBe(200);
  });

  it('asks for no refund, and holds nothing that we do not know', async () => {
    const { post } = await point();
    const { call, permit_token } = (await post(PERMITS, wanted('read'))).body;
    for (const more of [{ refund: true }, { status: 'running' }, { status: 'cancelled', result: 1 }, { labels: [] }, { error: {} }])
      expect((await post(outcomePath(call), { permit_token, status: 'success', ...more })).body.error.code).toBe('REQUEST_INVALID');
    expect((await post(outcomePath(call), { permit_token, status: 'success' })).status).toBe(200);
  });

  it('told many times at once is taken once', async () => {
    const here = await point();
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const answers = await Promise.all(Array.from({ length: 50 }, () => here.post(outcomePath(call), { permit_token, status: 'success' })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(49);
    expect(here.store.entries().filter(({ kind }) => kind === 'outcome')).toHaveLength(1);
  });
});

describe('many at once', () => {
  it('who race one approval get one permit', async () => {
    const here = await point();
    const body = wanted('refund', {}, { wait_ms: 60_000 });
    await here.answer((await here.post(PERMITS, { ...body, wait_ms: 0 })).body.approval_id);
    const answers = await Promise.all(Array.from({ length: 50 }, () => here.post(PERMITS, body)));
    expect(answers.filter(({ body: { kind } }) => kind === 'permit')).toHaveLength(1);
    expect(new Set(answers.filter(({ body: { kind } }) => kind !== 'permit').map((each) => each.body.reason_code))).toEqual(
      new Set(['CALL_IN_PROGRESS']),
    );
  });

  it('who wait for one approval get one permit', async () => {
    const here = await point();
    const body = wanted('refund', {}, { wait_ms: 60_000 });
    const { approval_id } = (await here.post(PERMITS, { ...body, wait_ms: 0 })).body;
    const answers = Array.from({ length: 10 }, () => here.post(PERMITS, body));
    await here.post(EVALUATION, asked('read'));
    await here.answer(approval_id);
    const kinds = (await Promise.all(answers)).map((each) => each.body.kind);
    expect(kinds.filter((kind) => kind === 'permit')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'refusal')).toHaveLength(9);
  });

  it('never spend more than there is, and every permit is on record: 1,000 requests on a real ledger', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-crowd-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const store = openStore({ path: join(folder, 'ledger.db'), origin: 'example.com/crowd', signer: 'none' });
    const budgets = [budgetFrom({ id: 'calls', per: 'agent', limit: 400 })];
    const guardOf = (agent: string) => createGuard({ agent, policy: RULES, store, budgets });
    const served = await serveDecisions({ guardOf, store, clients: [{ agent: ANA, tokens: [TOKEN] }], port: 0 });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` };
    const post = async (path: string, body: unknown): Promise<Body> =>
      (await (await fetch(`${served.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()) as Body;
    const answers = await Promise.all(Array.from({ length: CROWD }, () => post(PERMITS, wanted('read'))));
    const permits = answers.filter(({ kind }) => kind === 'permit');
    expect(permits).toHaveLength(400);
    expect(new Set(permits.map(({ permit_token }) => permit_token)).size).toBe(400);
    expect(answers.filter(({ reason_code }) => reason_code === 'BUDGET_EXCEEDED_AGENT_RATE')).toHaveLength(CROWD - 400);
    const settled = await Promise.all(
      permits.map(({ call, permit_token }) => post(outcomePath(call), { permit_token, status: 'success' })),
    );
    expect(settled.filter(({ kind }) => kind === 'settled')).toHaveLength(400);
    await served.close();
    await store.close();
  });
});

describe('a ledger that fails', () => {
  it('gives no permit, and refuses with its code', async () => {
    const store = memoryStore();
    const broken: typeof store = Object.create(store, {
      commit: {
        value: async (unit: Parameters<typeof store.commit>[0]) => {
          if (unit.kind === 'decide') throw new Error('disk full at /var/lib/secret-place');
          return store.commit(unit);
        },
      },
    });
    const guardOf = (agent: string) => createGuard({ agent, policy: RULES, store: broken, onError: () => {} });
    const here = await point({ guardOf });
    const answer = await here.post(PERMITS, wanted('read'));
    expect(answer.body).toMatchObject({ kind: 'refusal', reason_code: expect.stringMatching(/^(INTERNAL_ERROR|LEDGER_)/) });
    expect(answer.body).not.toHaveProperty('entry');
    expect(JSON.stringify(answer.body)).not.toContain('secret-place');
    expect(here.served.open()).toEqual([]);
  });

  it.each([
    ['nothing looks at', []],
    ['a rule looks at', [{ id: 'r', on: 'result', tools: ['read'], when: "result.text.contains('obey')", effect: 'withhold' }]],
  ] as const)(
    'half-way through, at an outcome that %s, is told to client and operator, and the decision stands open',
    async (_what, rules) => {
      const store = memoryStore();
      const errors: unknown[] = [];
      const broken: typeof store = Object.create(store, {
        commit: {
          value: async (unit: Parameters<typeof store.commit>[0], options: Parameters<typeof store.commit>[1]) => {
            if (unit.kind === 'outcome') throw new Error('disk full');
            return store.commit(unit, options);
          },
        },
      });
      const guardOf = (agent: string) =>
        createGuard({
          agent,
          policy: composePolicies([RULES, rulePolicy({ id: 'more', rules })]),
          store: broken,
          onError: (error) => errors.push(error),
        });
      const here = await point({ guardOf });
      const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
      const told = await here.post(outcomePath(call), { permit_token, status: 'success', result: 'private' });
      expect([told.status, told.body.error.code]).toEqual([503, 'OUTCOME_NOT_RECORDED']);
      expect(JSON.stringify(told.body)).not.toContain('private');
      expect(errors).toMatchObject([{ message: 'disk full' }]);
      expect((await here.post(outcomePath(call), { permit_token, status: 'success' })).body.error.code).toBe('PERMIT_ALREADY_SETTLED');
      expect(store.entries().filter(({ kind }) => kind === 'outcome')).toEqual([]);
    },
  );

  it('or a policy that cannot be evaluated, permits nothing', async () => {
    const throwing = rulePolicy({ id: 'p', rules: [{ id: 'r', tools: ['*'], when: 'args.missing == 1', effect: 'deny' }] });
    const { post } = await point({ guard: { policy: throwing } });
    expect((await post(PERMITS, wanted('read'))).body).toMatchObject({ kind: 'refusal', reason_code: 'POLICY_EVALUATION_FAILED' });
    expect((await post(EVALUATION, asked('read'))).body.context.countersign).toMatchObject({ reason_code: 'POLICY_EVALUATION_FAILED' });
  });
});

describe('bytes on the wire', () => {
  const HEAD = `Content-Type: application/json\r\nAuthorization: Bearer ${TOKEN}\r\n`;
  const BODY = JSON.stringify(asked('read'));

  it.each<[string, (host: string) => string, RegExp]>([
    [
      'two tokens',
      (host) =>
        `POST ${EVALUATION} HTTP/1.1\r\nHost: ${host}\r\n${HEAD}Authorization: Bearer ${TOKENS['bob-bot']}\r\nContent-Length: 0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'two hosts',
      (host) => `POST ${EVALUATION} HTTP/1.1\r\nHost: ${host}\r\nHost: evil.example\r\n${HEAD}Content-Length: 0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a name that was rebound',
      () => `POST ${EVALUATION} HTTP/1.1\r\nHost: evil.example:4690\r\n${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
      /^HTTP\/1\.1 421 [\s\S]*HOST_REFUSED/,
    ],
    [
      'another port',
      () => `POST ${EVALUATION} HTTP/1.1\r\nHost: 127.0.0.1:1\r\n${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
      /^HTTP\/1\.1 421 /,
    ],
    [
      'a host with a user',
      (host) => `POST ${EVALUATION} HTTP/1.1\r\nHost: a@${host}\r\n${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
      /^HTTP\/1\.1 421 /,
    ],
    [
      'a folded token',
      (host) => `POST ${EVALUATION} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer\r\n ${TOKEN}\r\nContent-Length: 0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'an absolute target',
      (host) => `POST http://${host}${EVALUATION} HTTP/1.1\r\nHost: ${host}\r\n${HEAD}Content-Length: 0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a path that climbs',
      (host) => `POST /x/..${EVALUATION} HTTP/1.1\r\nHost: ${host}\r\n${HEAD}Content-Length: 0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a length and chunks',
      (host) => `POST ${EVALUATION} HTTP/1.1\r\nHost: ${host}\r\n${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    [
      'HTTP/1.0 without a host',
      () => `POST ${EVALUATION} HTTP/1.0\r\n${HEAD}Content-Length: ${BODY.length}\r\n\r\n${BODY}`,
      /^HTTP\/1\.1 421 /,
    ],
  ])('that hold %s get nothing', async (_name, text, wants) => {
    const here = await point();
    const { host, port } = new URL(here.url);
    expect(await raw(Number(port), text(host))).toMatch(wants);
    expect(here.store.entries()).toHaveLength(0);
  });

  it('of who may not ask take no room from who may', { timeout: 60_000 }, async () => {
    const here = await point();
    const { host, port } = new URL(here.url);
    const sizeBytes = 8_388_608;
    const part = Buffer.alloc(sizeBytes - 1, ' ');
    const head = (more: string): string =>
      `POST ${PERMITS} HTTP/1.1\r\nHost: ${host}\r\n${more}Content-Type: application/json\r\nContent-Length: ${sizeBytes}\r\n\r\n`;
    const strangers = ['', `Authorization: Bearer ${'x'.repeat(40)}\r\n`, 'Origin: http://evil.example\r\n'];
    const held = Array.from({ length: 24 }, (_, at) => {
      const socket = connect(Number(port), '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.write(head(strangers[at % strangers.length] ?? ''));
      return new Promise<Socket>((resolve) => void socket.write(part, () => resolve(socket)));
    });
    const sockets = await Promise.all(held);
    const large = JSON.stringify(asked('read', { text: 'a'.repeat(3_000_000) }));
    expect((await here.post(EVALUATION, large)).status).toBe(200);
    const answers = sockets.map((socket) => once(socket, 'data'));
    for (const socket of sockets) socket.write(' ');
    const statuses = await Promise.all(answers.map(async (answer) => /^HTTP\/1\.1 (\d+)/.exec(String((await answer)[0]))?.[1]));
    expect(new Set(statuses)).toEqual(new Set(['401', '403']));
    expect(here.store.entries()).toHaveLength(0);
  });

  it('that come slowly are cut', async () => {
    const here = await point({ requestTimeoutMs: 50 });
    const { host, port } = new URL(here.url);
    expect(await raw(Number(port), `POST ${PERMITS} HTTP/1.1\r\nHost: ${host}\r\n${HEAD}Content-Length: 500\r\n\r\n{`)).toMatch(
      /^HTTP\/1\.1 408 /,
    );
    expect(here.store.entries()).toHaveLength(0);
  });
});

/** What comes back on a connection of its own, until it is closed. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    const end = (): void => resolve(answer);
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      answer += chunk;
      // What keeps its connection has answered whole.
      if (/^HTTP\/1\.1 4\d\d [\s\S]*\r\n\r\n[\s\S]+\n$/.test(answer)) socket.destroy();
    });
    socket.on('close', end).on('error', end);
    socket.write(text);
  });
}
