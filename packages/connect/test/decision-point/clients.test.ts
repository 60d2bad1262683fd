import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Clients, MAX_TOKEN_CHARS } from '../../src/decision-point/clients.ts';
import { SERVE_CODES } from '../../src/decision-point/codes.ts';
import { ANA, asked, BOB, EVALUATION, outcomePath, PERMITS, point, TOKENS, wanted } from './point.ts';

const TOKEN = 'a'.repeat(40);

describe('tokens', () => {
  it('name the client they belong to, whichever of its tokens it is', () => {
    const clients = new Clients([
      { agent: ANA, tokens: [TOKEN, 'c'.repeat(32)] },
      { agent: BOB, tokens: ['b'.repeat(512)] },
    ]);
    expect(clients.find(`Bearer ${TOKEN}`)?.agent).toBe(ANA);
    expect(clients.find(`bearer ${'c'.repeat(32)}`)?.agent).toBe(ANA);
    expect(clients.find(`Bearer ${'b'.repeat(512)}`)?.agent).toBe(BOB);
  });

  it.each([
    '',
    'Bearer',
    'Bearer ',
    TOKEN,
    `Basic ${TOKEN}`,
    `Bearer  ${TOKEN}`,
    `Bearer ${TOKEN} `,
    `Bearer ${TOKEN}a`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    `Bearer ${TOKEN}, Bearer ${TOKEN}`,
    `Bearer ${TOKEN}\u0000`,
    `Bearer ${'a'.repeat(MAX_TOKEN_CHARS + 1)}`,
    `Bearer ${'a'.repeat(1_000_000)}`,
  ])('are nobody: %#', (authorization) => {
    expect(new Clients([{ agent: ANA, tokens: [TOKEN] }]).find(authorization)).toBeUndefined();
  });

  it.each([
    ['short', [{ agent: ANA, tokens: ['a'.repeat(31)] }]],
    ['long', [{ agent: ANA, tokens: ['a'.repeat(513)] }]],
    ['with a space', [{ agent: ANA, tokens: [`${TOKEN} ${TOKEN}`] }]],
    ['with a line break', [{ agent: ANA, tokens: [`${TOKEN}\n${TOKEN}`] }]],
    ['missing', [{ agent: ANA, tokens: [] }]],
    ['of an agent whose sessions could be spelled as those of another', [{ agent: `${ANA}/s1`, tokens: [TOKEN] }]],
    [
      'of two clients',
      [
        { agent: ANA, tokens: [TOKEN] },
        { agent: BOB, tokens: ['b'.repeat(40), TOKEN] },
      ],
    ],
    [
      'for one agent twice',
      [
        { agent: ANA, tokens: [TOKEN] },
        { agent: ANA, tokens: ['b'.repeat(40)] },
      ],
    ],
  ])('are refused when they are %s, and not repeated', (_name, options) => {
    expect(() => new Clients(options)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    expect(() => new Clients(options)).not.toThrow(/aaaa|bbbb/);
  });
});

describe('who asks', () => {
  const paths = [EVALUATION, '/access/v1/evaluations', PERMITS, outcomePath('x'), '/', '/countersign/v1/', '/..%2f'];

  it.each(paths)('without a token learns nothing at %s', async (path) => {
    const { post } = await point();
    for (const token of ['', 'wrong'.repeat(10)]) {
      const answer = await post(path, wanted('read'), { token });
      expect([answer.status, answer.body.error.code]).toEqual([401, 'UNAUTHENTICATED']);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  it('cannot claim another agent, in an evaluation or a permit', async () => {
    const here = await point();
    for (const path of [EVALUATION, PERMITS]) {
      const answer = await here.post(path, wanted('read'), { token: TOKENS[BOB] ?? '' });
      expect([answer.status, answer.body.error.code]).toEqual([403, 'AGENT_REFUSED']);
    }
    expect(here.store.entries()).toHaveLength(0);
  });

  it('cannot reach the session of another: the same name is another session', async () => {
    const here = await point();
    await here.post(PERMITS, wanted('web'));
    const mail = (id: string, session: string) => ({
      ...wanted('mail', {}, { context: { session: { id: session } } }),
      subject: { type: 'agent', id },
    });
    expect((await here.post(PERMITS, mail(ANA, 's1'))).body.kind).toBe('pending');
    for (const session of ['s1', 'ana-bot/s1', '../ana-bot/s1', '/s1'])
      expect((await here.post(PERMITS, mail(BOB, session), { token: TOKENS[BOB] ?? '' })).body.kind).toBe('permit');
    const sessions = here.store.entries().map((entry) => ({ ...entry }) as { agent?: string; session?: string });
    for (const { agent, session = '' } of sessions) if (agent === BOB) expect(session.startsWith('bob-bot/')).toBe(true);
  });

  it('uses the sessions it was given, and no other', async () => {
    const sessions = ['inbox', 'bob-bot/s1'];
    const { post } = await point({ clients: [{ agent: ANA, tokens: [TOKENS[ANA] ?? ''], sessions }] });
    const of = (session: unknown) => post(PERMITS, wanted('read', {}, { context: session }));
    expect((await of({ session: { id: 'inbox' } })).body.kind).toBe('permit');
    for (const other of [
      {},
      undefined,
      { session: { id: 'Inbox' } },
      { session: { id: 'inbox ' } },
      { session: { id: 'ana-bot/inbox' } },
    ]) {
      const { status, body } = await of(other);
      expect([status, body.error.code]).toEqual([403, 'SESSION_REFUSED']);
    }
  });

  it('cannot settle, or find out about, the permit of another', async () => {
    const here = await point();
    const { call, permit_token } = (await here.post(PERMITS, wanted('read'))).body;
    const told = { permit_token, status: 'success' };
    const asBob = await here.post(outcomePath(call), told, { token: TOKENS[BOB] ?? '' });
    const never = await here.post(outcomePath('01ARZ3NDEKTSV4RRFFQ69G5FAV'), told, { token: TOKENS[BOB] ?? '' });
    expect(asBob.body).toEqual(never.body);
    expect([asBob.status, asBob.body.error.code]).toEqual([404, 'PERMIT_NOT_FOUND']);
    expect((await here.post(outcomePath(call), told)).body.kind).toBe('settled');
    expect((await here.post(outcomePath(call), told, { token: TOKENS[BOB] ?? '' })).body.error.code).toBe('PERMIT_NOT_FOUND');
  });
});

describe('what is no client of ours', () => {
  const mine = `Bearer ${TOKENS[ANA]}`;

  it.each<[string, Record<string, string>, string]>([
    ['another origin', { origin: 'https://evil.example' }, 'BROWSER_REFUSED'],
    ['our own origin', { origin: 'http://127.0.0.1' }, 'BROWSER_REFUSED'],
    ['a sandboxed frame', { origin: 'null' }, 'BROWSER_REFUSED'],
    ['a page of this site', { 'sec-fetch-site': 'same-origin' }, 'BROWSER_REFUSED'],
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }, 'BROWSER_REFUSED'],
    ['a person at the address bar', { 'sec-fetch-site': 'none' }, 'BROWSER_REFUSED'],
    ['an image', { 'sec-fetch-dest': 'image' }, 'BROWSER_REFUSED'],
    ['a link', { referer: 'https://evil.example/' }, 'BROWSER_REFUSED'],
    ['a cookie', { cookie: 'a=b' }, 'BROWSER_REFUSED'],
  ])('is refused, with a good token: %s', async (_name, headers, code) => {
    const here = await point();
    const answer = await here.post(PERMITS, wanted('read'), { headers });
    expect([answer.status, answer.body.error.code]).toEqual([403, code]);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    expect(here.store.entries()).toHaveLength(0);
  });

  it('gets no answer to a preflight', async () => {
    const { url } = await point();
    const headers = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization', authorization: mine };
    const answer = await fetch(`${url}${PERMITS}`, { method: 'OPTIONS', headers });
    expect(answer.status).toBe(403);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect((await fetch(`${url}${PERMITS}`, { method: 'OPTIONS', headers: { authorization: mine } })).status).toBe(403);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/json-seq', ''])(
    'cannot send %j',
    async (type) => {
      const { post } = await point();
      const answer = await post(PERMITS, JSON.stringify(wanted('read')), { headers: { 'content-type': type } });
      expect([answer.status, answer.body.error.code]).toEqual([415, 'CONTENT_TYPE_UNSUPPORTED']);
    },
  );

  it('cannot send a compressed body, one that is too large, or use another method', async () => {
    const { post } = await point();
    expect((await post(EVALUATION, '{}', { headers: { 'content-encoding': 'gzip' } })).body.error.code).toBe('CONTENT_TYPE_UNSUPPORTED');
    const large = await post(EVALUATION, asked('read', { text: 'x'.repeat(4_194_304) }));
    expect([large.status, large.body.error.code]).toEqual([413, 'BODY_TOO_LARGE']);
    for (const [path, method] of [
      [EVALUATION, 'GET'],
      [EVALUATION, 'PUT'],
      [outcomePath('a'), 'DELETE'],
      [PERMITS, 'HEAD'],
    ] as const)
      expect((await post(path, undefined, { method })).status).toBe(405);
  });

  it.each([
    `${PERMITS}?agent=bob-bot`,
    `${PERMITS}/`,
    `${PERMITS}/a/outcome/`,
    `${PERMITS}/a%2Fb/outcome`,
    `${PERMITS}//outcome`,
    '/access/v1/search',
  ])('finds nothing at %s', async (path) => {
    const { post } = await point();
    const answer = await post(path, wanted('read'));
    expect([answer.status, answer.body.error.code]).toEqual([404, 'NOT_FOUND']);
  });

  it('is told nothing of what failed inside', async () => {
    const guardOf = () => {
      throw new Error('the path of the ledger');
    };
    const here = await point({ guardOf });
    const answer = await here.post(PERMITS, wanted('read'));
    expect([answer.status, answer.body]).toEqual([
      500,
      { error: { code: 'INTERNAL_ERROR', message: 'the decision point failed; nothing was permitted' } },
    ]);
    expect(here.errors).toMatchObject([{ message: 'the path of the ledger' }]);
  });
});

it('the codes are documented, each with its status', () => {
  const page = readFileSync(new URL('../../../../docs/formats/decision-point.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [code, Number(status)]);
  expect(documented).toEqual(Object.entries(SERVE_CODES).map(([code, [status]]) => [code, status]));
});

it('the codes are these, each with its status', () => {
  expect(Object.fromEntries(Object.entries(SERVE_CODES).map(([code, [status]]) => [code, status]))).toEqual({
    HOST_REFUSED: 421,
    BROWSER_REFUSED: 403,
    UNAUTHENTICATED: 401,
    AGENT_REFUSED: 403,
    SESSION_REFUSED: 403,
    NOT_FOUND: 404,
    METHOD_NOT_ALLOWED: 405,
    CONTENT_TYPE_UNSUPPORTED: 415,
    BODY_TOO_LARGE: 413,
    BODY_INVALID: 400,
    REQUEST_INVALID: 400,
    EVALUATIONS_TOO_MANY: 400,
    PERMIT_NOT_FOUND: 404,
    PERMIT_ALREADY_SETTLED: 409,
    PERMITS_TOO_MANY: 429,
    OUTCOME_NOT_RECORDED: 503,
    SHUTTING_DOWN: 503,
    INTERNAL_ERROR: 500,
  });
});

describe('a stranger', () => {
  it.each<[string, Parameters<Awaited<ReturnType<typeof point>>['post']>[2]]>([
    ['UNAUTHENTICATED', { token: '' }],
    ['UNAUTHENTICATED', { token: 'x'.repeat(40) }],
    ['BROWSER_REFUSED', { headers: { origin: 'http://evil.example' } }],
  ])('is told to the operator, once however often it asks: %s', async (code, more) => {
    const here = await point();
    for (let i = 0; i < 5; i++) expect((await here.post(PERMITS, wanted('read'), more)).body.error.code).toBe(code);
    expect(here.events).toEqual([{ kind: 'refused', code, count: 1 }]);
    await here.served.close();
    expect(here.events).toEqual([
      { kind: 'refused', code, count: 1 },
      { kind: 'refused', code, count: 4 },
    ]);
  });

  it('is nobody who has a token', async () => {
    const here = await point();
    expect((await here.post(PERMITS, { ...wanted('read'), subject: { type: 'agent', id: BOB } })).body.error.code).toBe('AGENT_REFUSED');
    expect((await here.post(`${PERMITS}/x`, {})).body.error.code).toBe('NOT_FOUND');
    await here.served.close();
    expect(here.events).toEqual([]);
  });
});
