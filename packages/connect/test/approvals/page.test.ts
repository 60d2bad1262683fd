import { generateKey } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { PAGE_ROWS } from '../../src/approvals/list-view.ts';
import { HALT } from '../channels/fixtures.ts';
import { APPROVER, ledger, ORIGIN, type Sent, Site } from './site.ts';

const EVIL = '</textarea></script><script>alert(1)</script>"\'\u202e\0';

async function waiting(args?: unknown, tool?: string): Promise<{ readonly site: Site; readonly id: string; readonly cookie: string }> {
  const site = new Site(ledger());
  const id = await site.ledger.ask(args, tool);
  return { site, id, cookie: await site.loggedIn() };
}

describe('requests that are not looked at', () => {
  const foreign: readonly (readonly [string, Sent, number])[] = [
    ['another host that was rebound', { headers: { host: 'evil.example:4680' } }, 421],
    ['a name for this host', { headers: { host: 'localhost:4680' } }, 421],
    ['another port', { headers: { host: '127.0.0.1:4681' } }, 421],
    ['no port', { headers: { host: '127.0.0.1' } }, 421],
    ['a dot more', { headers: { host: '127.0.0.1.:4680' } }, 421],
    ['no host', { headers: { host: '' } }, 421],
  ];
  it.each(foreign)('%s', async (_, sent, status) => {
    const { site, id, cookie } = await waiting();
    expect((await site.visit('/approvals', { cookie, ...sent })).status).toBe(status);
    const posted = await site.answer(id, cookie, { do: 'approve' }, sent);
    expect([posted.status, await site.ledger.state(id)]).toEqual([status, 'pending']);
  });

  const posts: readonly (readonly [string, Sent, number])[] = [
    ['without an origin', { headers: { origin: '' } }, 403],
    ['from a sandboxed frame', { headers: { origin: 'null' } }, 403],
    ['from another port', { headers: { origin: 'http://127.0.0.1:4681', 'sec-fetch-site': 'same-site' } }, 403],
    ['from another port, by a browser that does not say', { headers: { origin: 'http://127.0.0.1:4681', 'sec-fetch-site': '' } }, 403],
    ['from another host', { headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' } }, 403],
    ['from another scheme', { headers: { origin: 'https://127.0.0.1:4680' } }, 403],
    ['from a longer name', { headers: { origin: `${ORIGIN}.evil.example` } }, 403],
    ['that the browser calls cross-site', { headers: { 'sec-fetch-site': 'cross-site' } }, 403],
    ['that the browser calls same-site', { headers: { 'sec-fetch-site': 'same-site' } }, 403],
    ['that nobody clicked', { headers: { 'sec-fetch-site': 'none' } }, 403],
    ['as plain text', { headers: { 'content-type': 'text/plain' } }, 415],
    ['as JSON', { headers: { 'content-type': 'application/json' } }, 415],
    ['as a multipart form', { headers: { 'content-type': 'multipart/form-data; boundary=x' } }, 415],
    ['of no type', { headers: { 'content-type': '' } }, 415],
  ];
  it.each(posts)('a form %s', async (_, sent, status) => {
    const { site, id, cookie } = await waiting();
    const posted = await site.answer(id, cookie, { do: 'approve' }, sent);
    expect([posted.status, await site.ledger.state(id)]).toEqual([status, 'pending']);
    expect((await site.login(site.token(), sent)).status).toBe(status);
  });

  it.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s', async (method) => {
    const { site, id, cookie } = await waiting();
    const answer = await site.visit(`/approvals/${id}`, { method, cookie });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST']);
    expect(answer.headers.get('access-control-allow-origin')).toBe(null);
  });

  it.each([
    ['a script', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' }],
    ['a frame', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }],
    ['a fetch', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }],
  ])('%s of another page', async (_, headers) => {
    const { site, cookie } = await waiting();
    expect((await site.visit('/approvals', { cookie, headers })).status).toBe(403);
  });

  it('takes no more than one of a field', async () => {
    const { site, id, cookie } = await waiting();
    const posted = await site.visit(`/approvals/${id}`, { cookie, form: 'do=deny&do=approve' });
    expect([posted.status, await site.ledger.state(id)]).toEqual([400, 'pending']);
  });
});

describe('every answer', () => {
  it.each([
    '/approvals',
    '/login',
    '/page.css',
    '/page.js',
    '/icon.svg',
    '/version',
    '/nothing',
    '/approvals/ffffffffffffffffffffffffffffffff',
  ])('%s says what browsers may do with it', async (path) => {
    const { site, cookie } = await waiting();
    const { headers } = await site.visit(path, { cookie });
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    expect(headers.get('access-control-allow-origin')).toBe(null);
    expect(headers.get('content-type')).toMatch(/; charset=utf-8$/);
  });
});

describe('without a login', () => {
  it('nothing is shown and nothing is answered', async () => {
    const site = new Site(ledger());
    const id = await site.ledger.ask({ note: 'a-private-note' });
    for (const path of [
      '/',
      '/approvals',
      '/approvals?state=all',
      `/approvals/${id}`,
      `/approvals/${id}/arguments`,
      '/version',
      '/nothing',
    ]) {
      const answer = await site.visit(path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.text()).not.toMatch(/a-private-note|refund/);
    }
    for (const word of ['approve', 'deny', 'edit']) {
      expect((await site.visit(`/approvals/${id}`, { form: { do: word, args: '{}' } })).status).toBe(401);
    }
    expect(await site.ledger.state(id)).toBe('pending');
  });

  it('one approval and another that is not there look the same', async () => {
    const site = new Site(ledger());
    const id = await site.ledger.ask();
    const there = await (await site.visit(`/approvals/${id}`)).text();
    const not = await (await site.visit(`/approvals/${'f'.repeat(32)}`)).text();
    expect(there.replaceAll(id, '')).toBe(not.replaceAll('f'.repeat(32), ''));
  });
});

describe('the list', () => {
  it('says what will appear when nothing waits', async () => {
    const site = new Site(ledger());
    await site.ledger.guard.close();
    const text = await (await site.visit('/approvals', { cookie: await site.loggedIn() })).text();
    expect(text).toContain('Nothing waits for you.');
    expect(text).toContain('effect: require_approval');
  });

  it('shows what waits, escaped', async () => {
    const { site, cookie } = await waiting({ [EVIL]: EVIL }, 'refund');
    const text = await (await site.visit('/approvals', { cookie })).text();
    expect(text).toContain('changes something');
    expect(text).not.toContain('<script>');
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('shows no name of an argument as two, and says what it leaves out', async () => {
    const { site, cookie } = await waiting({ 'dry_run: true, path': 'x' });
    await site.ledger.ask({ dry_run: true, path: 'x' });
    await site.ledger.ask(Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, i])));
    const text = await (await site.visit('/approvals', { cookie })).text();
    expect(text).toContain('&quot;dry_run: true, path&quot;: &quot;x&quot;');
    expect(text).toContain('>dry_run: true, path: &quot;x&quot;<');
    expect(text).toContain('k7: 7, … 1 more');
    expect(text).toContain('Open a call to read all of them.');
  });

  it.each(['?state=penidng', '?state=__proto__', '?state=%3Cscript%3E'])('%s leads to what waits', async (query) => {
    const { site, cookie } = await waiting();
    const answer = await site.visit(`/approvals${query}`, { cookie });
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/approvals']);
  });

  it('comes in pages that leave nothing out', async () => {
    const site = new Site(ledger());
    const ids = new Set<string>();
    for (let i = 0; i < PAGE_ROWS + 7; i++) ids.add(await site.ledger.ask({ i }));
    const cookie = await site.loggedIn();
    const found: string[] = [];
    const counts: number[] = [];
    for (let path: string | undefined = '/approvals'; path !== undefined && counts.length < 3; ) {
      const text: string = await (await site.visit(path, { cookie })).text();
      const rows = [...text.matchAll(/<tr id="row-([0-9a-f]{32})"/g)].map(([, id = '']) => id);
      counts.push(rows.length);
      found.push(...rows);
      path = /<a rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
    }
    expect(counts).toEqual([PAGE_ROWS, 7]);
    expect(new Set(found)).toEqual(ids);
    const gone = await site.visit(`/approvals?after=${'f'.repeat(32)}`, { cookie });
    expect([gone.status, gone.headers.get('location')]).toEqual([303, '/approvals?state=pending']);
  });

  it('changes its version when something was asked or answered, and not otherwise', async () => {
    const { site, id, cookie } = await waiting();
    const version = async (): Promise<string> => (await site.visit('/version', { cookie })).text();
    const first = await version();
    expect(await version()).toBe(first);
    await site.ledger.ask({ other: 1 });
    const second = await version();
    expect(second).not.toBe(first);
    await site.answer(id, cookie, { do: 'deny' });
    expect(await version()).not.toBe(second);
  });
});

describe('one approval', () => {
  it('shows everything an answer is about', async () => {
    const { site, id, cookie } = await waiting({ amount: 700, token: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789' });
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    for (const part of [
      'May bot call refund?',
      'changes something',
      's1',
      'amount',
      '700',
      '0 of 1 given',
      'Secrets were replaced',
      '/token',
      'data-expires=',
    ])
      expect(text).toContain(part);
    expect(text).not.toContain('ghp_');
  });

  it('shows hostile text as text, in arguments and in forms', async () => {
    const { site, id, cookie } = await waiting(
      { [EVIL]: { deep: [EVIL] }, link: 'javascript:alert(1)', big: `${EVIL}${'x'.repeat(1_000_000)}` },
      'refund',
    );
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    expect(text.match(/<script/g)).toEqual(['<script']);
    expect(text).not.toMatch(/href="javascript|\u202e|\0/);
    expect(text.length).toBeLessThan(400_000);
    expect(text).toContain('Not everything is shown here.');
    const whole = await site.visit(`/approvals/${id}/arguments`, { cookie });
    expect(whole.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(JSON.parse(await whole.text())).toMatchObject({ link: 'javascript:alert(1)' });
  });

  it.each([
    '/approvals/',
    '/approvals/x',
    '/approvals/..%2flogin',
    `/approvals/${'f'.repeat(32)}`,
    `/approvals/${'F'.repeat(32)}`,
    '/grants/x',
    '/__proto__',
  ])('%s is not there', async (path) => {
    const { site, cookie } = await waiting();
    expect((await site.visit(path, { cookie })).status).toBe(404);
  });

  it('says nothing that was not in the ledger, whatever ?done says', async () => {
    const { site, id, cookie } = await waiting();
    for (const done of ['__proto__', 'constructor', '<b>paid</b>']) {
      const text = await (await site.visit(`/approvals/${id}?done=${encodeURIComponent(done)}`, { cookie })).text();
      expect(text).not.toContain('class="done"');
    }
  });
});

describe('an answer', () => {
  it('lets exactly this call run', async () => {
    const { site, id, cookie } = await waiting();
    const posted = await site.answer(id, cookie, { do: 'approve', message: 'fine\r\nby me' });
    expect([posted.status, posted.headers.get('location')]).toEqual([303, `/approvals/${id}?done=approved`]);
    expect(await site.ledger.guard.approvals.get(id)).toMatchObject({
      state: 'approved',
      message: 'fine\nby me',
      answers: [{ approver: APPROVER, answer: 'approve' }],
    });
    expect(await (await site.visit(`/approvals/${id}?done=approved`, { cookie })).text()).toContain('may run this call once');
    const again = await site.answer(id, cookie, { do: 'deny' });
    expect([again.status, await site.ledger.state(id)]).toEqual([409, 'approved']);
    expect(await again.text()).toContain('APPROVAL_NOT_PENDING');
  });

  it('denies with a word for the agent', async () => {
    const { site, id, cookie } = await waiting();
    await site.answer(id, cookie, { do: 'deny', message: 'not today' });
    expect(await site.ledger.guard.approvals.get(id)).toMatchObject({ state: 'denied', message: 'not today' });
  });

  it('counts where several are wanted, and one person once', async () => {
    const { site, id, cookie } = await waiting({ amount: 1 }, 'wire');
    const first = await site.answer(id, cookie, { do: 'approve' });
    expect([first.headers.get('location'), await site.ledger.state(id)]).toEqual([`/approvals/${id}?done=counted`, 'pending']);
    const second = await site.answer(id, await site.loggedIn(), { do: 'approve' });
    expect([second.status, await site.ledger.state(id)]).toEqual([409, 'pending']);
    const other = new Site(site.ledger, { approver: 'page:ben' });
    expect((await other.answer(id, await other.loggedIn(), { do: 'approve' })).headers.get('location')).toBe(
      `/approvals/${id}?done=approved`,
    );
  });

  it('is refused from who may not answer, and says so', async () => {
    const { site, id, cookie } = await waiting({ amount: 1 }, 'pay');
    const posted = await site.answer(id, cookie, { do: 'approve', message: 'kept' });
    expect([posted.status, await site.ledger.state(id)]).toEqual([403, 'pending']);
    const text = await posted.text();
    expect(text).toContain('APPROVER_REFUSED');
    expect(text).toContain('kept</textarea>');
  });

  it('is refused in a name that has a key, which answers by it only', async () => {
    const key = generateKey('finance');
    const given = ledger({ approvals: { approvers: new Map([['finance', key.vkey]]) } });
    const site = new Site(given, { approver: 'finance' });
    const id = await given.ask();
    const posted = await site.answer(id, await site.loggedIn(), { do: 'approve' });
    expect([posted.status, await given.state(id)]).toEqual([403, 'pending']);
    expect(await posted.text()).toContain('finance answers with a key only');
  });

  it('is refused where the rule wants more assurance than a login gives', async () => {
    const { site, id, cookie } = await waiting({}, 'launch');
    expect(await (await site.visit(`/approvals/${id}`, { cookie })).text()).toContain('asks for high assurance');
    const posted = await site.answer(id, cookie, { do: 'approve' });
    expect([posted.status, await site.ledger.state(id)]).toEqual([403, 'pending']);
    expect((await site.answer(id, cookie, { do: 'deny' })).status).toBe(303);
  });

  it.each([
    ['nothing', {}],
    ['an unknown word', { do: 'grantall' }],
    ['a word of every object', { do: 'constructor' }],
    ['a long message', { do: 'approve', message: 'x'.repeat(501) }],
  ])('is none with %s', async (_, fields) => {
    const { site, id, cookie } = await waiting();
    const posted = await site.answer(id, cookie, fields);
    expect([posted.status, await site.ledger.state(id)]).toEqual([400, 'pending']);
  });

  it.each(['', '0'.repeat(32), 'x'])('approves nothing that was not looked at: %j', async (seen) => {
    const { site, id, cookie } = await waiting();
    const posted = await site.visit(`/approvals/${id}`, { cookie, form: { do: 'approve', seen } });
    expect([posted.status, await site.ledger.state(id)]).toEqual([409, 'pending']);
  });

  it.each([
    ['tool', `UPDATE approvals SET tool = 'read_file'`],
    ['agent', `UPDATE approvals SET agent = 'other'`],
    ['quorum', 'UPDATE approvals SET quorum = 0'],
    ['expiry', 'UPDATE approvals SET expires_at = expires_at + 1'],
    ['binds', `UPDATE approvals SET binds = 'x'`],
    ['approvers', `UPDATE approvals SET approvers = '{"length":1}'`],
    ['answers', `UPDATE approvals SET answers = '{"a":1}'`],
    ['answers', `UPDATE approvals SET answers = '[null]'`],
    ['entry', `UPDATE approvals SET ask_leaf = 'x'`],
    ['args', `UPDATE openings SET sections = replace(sections, '700', '7')`],
    ['reason', `UPDATE openings SET sections = replace(sections, 'changes something', 'harmless')`],
  ])('approves nothing that was edited behind our back: %s', async (what, sql) => {
    const { site, id, cookie } = await waiting();
    site.ledger.tamper(sql);
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    expect(text).toContain('Tampered: do not approve.');
    expect(text).toContain(`the signed ledger entry that asked: ${what}`);
    expect(text).toMatch(/value="approve" data-answer data-off disabled/);
    expect(await (await site.visit('/approvals?state=all', { cookie })).text()).toContain('differs from the ledger');
    const posted = await site.answer(id, cookie, { do: 'approve' });
    expect(posted.status).toBe(409);
    expect(await posted.text()).toContain('LEDGER_CORRUPT');
  });

  it('approves nothing whose arguments nobody can read', async () => {
    const { site, id, cookie } = await waiting();
    site.ledger.tamper('DELETE FROM openings');
    expect(await (await site.visit(`/approvals/${id}`, { cookie })).text()).toContain('nobody can know what would run');
    const posted = await site.answer(id, cookie, { do: 'approve' });
    expect([posted.status, await site.ledger.state(id)]).toEqual([403, 'pending']);
  });

  it.each([
    `UPDATE approvals SET answers = 'no json'`,
    `UPDATE approvals SET approvers = '{'`,
    'DROP TABLE approvals',
    'DROP TABLE openings',
  ])('is none from a ledger that cannot be read, which is said: %s', async (sql) => {
    const { site, id, cookie } = await waiting();
    site.ledger.tamper(sql);
    for (const path of ['/approvals', `/approvals/${id}`]) {
      const answer = await site.visit(path, { cookie });
      expect(answer.status).toBe(503);
      expect(await answer.text()).toMatch(/The ledger cannot be read[^]*LEDGER_UNREADABLE[^]*countersign verify/);
    }
    expect((await site.visit(`/approvals/${id}`, { cookie, form: { do: 'approve', seen: '0'.repeat(32) } })).status).toBe(503);
    // Who is not logged in learns nothing of it.
    expect((await site.visit('/approvals')).status).toBe(401);
  });

  it('changes nothing by GET', async () => {
    const { site, id, cookie } = await waiting();
    for (const path of [`/approvals/${id}?do=approve`, `/approvals/${id}/approve`, `/approvals?do=approve&id=${id}`])
      await site.visit(path, { cookie });
    expect(await site.ledger.state(id)).toBe('pending');
  });
});

it.each([
  [50, false],
  [51, true],
])('of %d secrets that were replaced it says whether all are listed', async (count, isMore) => {
  const { site, id, cookie } = await waiting(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, '[redacted:jwt]'])));
  const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
  expect(text).toContain('/k49</span>');
  expect(text.includes(', and more</p>')).toBe(isMore);
});

it('a text is shown in quotes, so that it is no number, no word of ours and no end of another', async () => {
  const { site, cookie } = await waiting();
  const style = await (await site.visit('/page.css', { cookie })).text();
  expect(style).toContain('.string::before { content: "\\201c"; } .string::after { content: "\\201d"; }');
});

describe('edited arguments', () => {
  it('are shown beside what was asked for before they are proposed', async () => {
    const { site, id, cookie } = await waiting({ amount: 700, note: 'x' });
    const args = '{ "amount": 70, "note": "x" }';
    const review = await site.answer(id, cookie, { do: 'review', args, message: 'less' });
    const text = await review.text();
    expect([review.status, await site.ledger.state(id)]).toEqual([200, 'pending']);
    expect(text).toContain('/amount');
    expect(text).toContain('Propose these arguments');
    expect(text).not.toContain('<th scope="row" class="mono">/note');
    const posted = await site.answer(id, cookie, { do: 'edit', args, message: 'less' });
    expect(posted.headers.get('location')).toBe(`/approvals/${id}?done=edited`);
    expect(await site.ledger.guard.approvals.get(id)).toMatchObject({ state: 'denied', edit: { amount: 70, note: 'x' }, message: 'less' });
    const shown = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    expect(shown).toContain('Proposed in place of these arguments');
  });

  it.each([
    ['no JSON', '{ amount: 70 }', 'not JSON'],
    ['nothing', ' ', 'no arguments'],
    ['a number that is none', '{"amount":1e999}', 'cannot be a call'],
    ['a lone surrogate', '{"amount":"\\ud800"}', 'cannot be a call'],
    ['a name twice', '{"amount":1,"amount":70}', 'a name stands twice'],
    ['a number that is another one once it is read', '{"amount":12345678901234567890}', 'too many digits'],
    ['too much', `{"amount":"${'x'.repeat(200_001)}"}`, 'longer than'],
  ])('are refused as %s', async (_, args, why) => {
    const { site, id, cookie } = await waiting();
    for (const word of ['review', 'edit']) {
      const posted = await site.answer(id, cookie, { do: word, args });
      expect([posted.status >= 400, await site.ledger.state(id)]).toEqual([true, 'pending']);
      expect(await posted.text()).toContain(why);
    }
  });

  it('are refused with a secret in them, which the page does not repeat in the message', async () => {
    const { site, id, cookie } = await waiting();
    const posted = await site.answer(id, cookie, { do: 'edit', args: '{"amount":1,"token":"ghp_abcdefghijklmnopqrstuvwxyz0123456789"}' });
    expect([posted.status, await site.ledger.state(id)]).toEqual([400, 'pending']);
    expect(await posted.text()).toContain('APPROVAL_EDIT_INVALID');
  });

  it('come back into the form as they were typed, whatever they hold', async () => {
    const { site, id, cookie } = await waiting();
    const args = `{"amount": "</textarea><script>alert(1)</script>" `;
    const text = await (await site.answer(id, cookie, { do: 'review', args })).text();
    expect(text).toContain('&lt;/textarea&gt;&lt;script&gt;');
    expect(text.match(/<script/g)).toEqual(['<script']);
  });
});

describe('a grant', () => {
  const terms = { do: 'grant', minutes: '60', uses: '3', scope: 'session', reason: 'tidying up', when: 'args.amount <= 1000' };

  async function runs(site: Site, args: unknown): Promise<string> {
    const call = await site.ledger.guard.authorize({ tool: { name: 'refund' }, args, session: 's1' }, { approval: 'suspend' });
    if (call.kind === 'permit') await call.settle({ status: 'success' });
    return call.kind;
  }

  it('approves the call and lets later ones run, within its terms, until it is revoked', async () => {
    const { site, id, cookie } = await waiting({ amount: 1 });
    const posted = await site.answer(id, cookie, { ...terms, message: 'go on' });
    expect(posted.headers.get('location')).toBe(`/approvals/${id}?done=granted`);
    expect(await site.ledger.state(id)).toBe('approved');
    expect([await runs(site, { amount: 2 }), await runs(site, { amount: 2000 })]).toEqual(['permit', 'pending']);
    const [grant] = await site.ledger.guard.approvals.grants();
    const list = await (await site.visit('/grants', { cookie })).text();
    for (const part of ['refund', 'tidying up', 'args.amount &lt;= 1000', '2 of 3', APPROVER, `/approvals/${id}`])
      expect(list).toContain(part);
    const revoked = await site.visit(`/grants/${grant?.id}`, { cookie, form: { do: 'revoke' } });
    expect(revoked.headers.get('location')).toBe('/grants?done=revoked');
    expect(await runs(site, { amount: 3 })).toBe('pending');
    expect(await (await site.visit('/grants', { cookie })).text()).not.toContain('value="revoke"');
  });

  it.each([
    ['no reason', { reason: ' ' }],
    ['no time', { minutes: '' }],
    ['negative time', { minutes: '-5' }],
    ['more time than allowed', { minutes: '999999' }],
    ['no number', { uses: '' }],
    ['none', { uses: '0' }],
    ['too many', { uses: '100000' }],
    ['a fraction', { uses: '1.5' }],
    ['an exponent', { uses: '1e3' }],
    ['another scope', { scope: 'everything' }],
    ['a condition that does not compile', { when: 'args.amount <=' }],
    ['a long condition', { when: 'x'.repeat(100_000) }],
    ['a long reason', { reason: 'x'.repeat(501) }],
  ])('is none with %s, and then nothing is approved', async (_, fields) => {
    const { site, id, cookie } = await waiting();
    const posted = await site.answer(id, cookie, { ...terms, ...fields });
    expect([posted.status, await site.ledger.state(id), await site.ledger.guard.approvals.grants()]).toEqual([400, 'pending', []]);
    const text = await posted.text();
    expect(text).toContain('Not done.');
    // What was typed is still there.
    expect(text).toMatch(/<details class="more" id="grant" open>/);
  });

  it('is offered neither where several must approve, nor for what was tampered with', async () => {
    const several = await waiting({ amount: 1 }, 'wire');
    expect(await (await several.site.visit(`/approvals/${several.id}`, { cookie: several.cookie })).text()).not.toContain('value="grant"');
    expect((await several.site.answer(several.id, several.cookie, terms)).status).toBe(400);
    const tampered = await waiting();
    tampered.site.ledger.tamper(`UPDATE openings SET sections = replace(sections, '700', '7')`);
    expect(await (await tampered.site.visit(`/approvals/${tampered.id}`, { cookie: tampered.cookie })).text()).not.toContain(
      'value="grant"',
    );
    expect((await tampered.site.answer(tampered.id, tampered.cookie, terms)).status).toBe(409);
    expect(await tampered.site.ledger.guard.approvals.grants()).toEqual([]);
  });

  it('is neither shown nor revoked without a login, from elsewhere, by GET, or by another word', async () => {
    const { site, id, cookie } = await waiting();
    await site.answer(id, cookie, terms);
    const [grant] = await site.ledger.guard.approvals.grants();
    const path = `/grants/${grant?.id}`;
    expect((await site.visit('/grants')).status).toBe(401);
    expect((await site.visit(path, { form: { do: 'revoke' } })).status).toBe(401);
    expect((await site.visit(path, { form: { do: 'revoke' }, cookie, headers: { origin: 'null' } })).status).toBe(403);
    expect((await site.visit(`${path}?do=revoke`, { cookie })).status).toBe(404);
    expect((await site.visit(path, { form: { do: 'constructor' }, cookie })).status).toBe(400);
    expect((await site.visit(`/grants/${'f'.repeat(32)}`, { form: { do: 'revoke' }, cookie })).status).toBe(404);
    // The id of an approval is none of a grant.
    expect((await site.visit(`/grants/${id}`, { form: { do: 'revoke' }, cookie })).status).toBe(404);
    expect(await site.ledger.guard.approvals.grants()).toMatchObject([{ state: 'open' }]);
  });

  it('says what stands there when nothing is granted', async () => {
    const { site, cookie } = await waiting();
    expect(await (await site.visit('/grants', { cookie })).text()).toContain('Nothing is granted.');
  });

  it('shows hostile conditions and reasons as text', async () => {
    const { site, id, cookie } = await waiting();
    await site.answer(id, cookie, { ...terms, reason: EVIL, when: '"<script>" != args.x' });
    const text = await (await site.visit('/grants', { cookie })).text();
    expect(text.match(/<script/g)).toEqual(['<script']);
    expect(text).not.toMatch(/\u202e|\0/);
  });
});

describe('an approval that was given', () => {
  it('is taken back before it is used', async () => {
    const { site, id, cookie } = await waiting();
    await site.answer(id, cookie, { do: 'approve' });
    expect(await (await site.visit(`/approvals/${id}`, { cookie })).text()).toContain('Take the approval back');
    const posted = await site.answer(id, cookie, { do: 'revoke', message: 'wrong customer' });
    expect(posted.headers.get('location')).toBe(`/approvals/${id}?done=revoked`);
    expect(await site.ledger.guard.approvals.get(id)).toMatchObject({ state: 'denied', message: 'wrong customer' });
  });

  it('is not taken back by a GET, or from elsewhere', async () => {
    const { site, id, cookie } = await waiting();
    await site.answer(id, cookie, { do: 'approve' });
    await site.visit(`/approvals/${id}?do=revoke`, { cookie });
    await site.answer(id, cookie, { do: 'revoke' }, { headers: { origin: 'http://127.0.0.1:1' } });
    expect(await site.ledger.state(id)).toBe('approved');
  });
});

describe('after a halt', () => {
  const halted = async () => {
    const site = new Site(ledger());
    const id = await site.ledger.ask(HALT, 'after_halt', 'countersign');
    return { site, id, cookie: await site.loggedIn() };
  };
  /** As a browser posts it. */
  const argsIn = (text: string): string =>
    (/name="args" value="([^"]+)"/.exec(text)?.[1] ?? '').replaceAll('&quot;', '"').replaceAll('&#34;', '"');

  it('is listed by what is held and why, in the words of the question', async () => {
    const { site, id, cookie } = await halted();
    const list = await (await site.visit('/approvals', { cookie })).text();
    const row = list.slice(list.indexOf(`id="row-${id}"`), list.indexOf('</tr>', list.indexOf(`id="row-${id}"`)));
    expect(row).toContain(HALT.why);
    expect(row).toContain(`${HALT.level} by ${HALT.rule}`);
    for (const name of ['answers:', 'held:', 'incident:', 'do:', 'level:']) expect(row).not.toContain(name);
  });

  it('says what each answer does, and has a button for each', async () => {
    const { site, id, cookie } = await halted();
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    for (const part of [
      'bot is stopped. May it go on?',
      'id_rsa, by cat (pid 4711)',
      '<dt>watched</dt><dd>level L2: racy against hostile threads</dd>',
      '<dd>held exactly: signals; held, racy: reading</dd>',
      'it fails with EPERM',
      'all is ended',
      'asked again at 02:10',
    ])
      expect(text).toContain(part);
    expect([...text.matchAll(/<button[^>]* value="([a-z]+)"[^>]*>([^<]+)</g)].map(([, ...both]) => both)).toEqual([
      ['approve', 'Resume'],
      ['edit', 'Deny'],
      ['deny', 'Kill all of it'],
    ]);
    // What would answer further halts of other rules as well has a command that asks for a reason.
    expect(text).not.toContain('id="grant"');
  });

  it.each([
    ['approve', 'approved', 'resumed', undefined],
    ['edit', 'denied', 'refused', { ...HALT, do: 'deny' }],
    ['deny', 'denied', 'killed', undefined],
  ])('%s is that answer', async (word, state, done, edit) => {
    const { site, id, cookie } = await halted();
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    const posted = await site.answer(id, cookie, { do: word, args: argsIn(text) });
    expect(posted.headers.get('location')).toBe(`/approvals/${id}?done=${done}`);
    expect(await site.ledger.guard.approvals.get(id)).toMatchObject({ state });
    expect((await site.ledger.guard.approvals.get(id))?.edit).toEqual(edit);
  });

  it('a level that fell since it was asked stands on the page, and is of that session', async () => {
    const { site, id, cookie } = await halted();
    const mark = (session: string, coverage: string) =>
      site.ledger.store.commit({ kind: 'record', body: { kind: 'session', agent: 'bot', session, event: 'coverage', coverage } });
    const shown = async () => (await site.visit(`/approvals/${id}`, { cookie })).text();
    const { session = '' } = (await site.ledger.guard.approvals.get(id)) ?? {};
    await site.ledger.guard.authorize({ tool: { name: 't' }, args: {} }, { approval: 'suspend' });
    expect(await shown()).not.toContain('since it was asked');
    await mark(session, 'L0');
    await mark('another', 'none');
    expect(await shown()).toContain('since it was asked the level is L0: what is said here of L2 holds no more');
  });

  it('a level that is no level, and markup in what it means, say nothing', async () => {
    const site = new Site(ledger());
    const coverage = { level: 'L3 <b>safe</b>', means: '<script>1</script>', holds: '<i>all</i>\n\u202e' };
    const id = await site.ledger.ask({ ...HALT, coverage }, 'after_halt', 'countersign');
    const cookie = await site.loggedIn();
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    expect(text).not.toContain('<dt>watched</dt>');
    expect(text).not.toMatch(/<script>1|<b>safe|<i>all/);
  });

  it('a question that was tampered with can only be answered with kill', async () => {
    const { site, id, cookie } = await halted();
    site.ledger.tamper(`UPDATE approvals SET agent = 'other'`);
    const text = await (await site.visit(`/approvals/${id}`, { cookie })).text();
    expect(text.match(/data-off disabled/g)).toHaveLength(2);
    expect((await site.answer(id, cookie, { do: 'edit', args: argsIn(text) })).status).toBe(409);
  });
});
