import { describe, expect, it } from 'vitest';
import { type Instant, LINK_TTL_MS, MAX_SESSIONS, SESSION_IDLE_MS, SESSION_MS } from '../../src/approvals/logins.ts';
import { peerSocket } from '../../src/approvals/peer-socket.ts';
import { cookieOf, ledger, ORIGIN, Site } from './site.ts';

/** Both clocks, moved by hand. */
function clock(): { (): Instant; pass(ms: number): void; sleep(ms: number): void; turnBack(ms: number): void } {
  let now: Instant = { wallMs: 1_000_000, steadyMs: 0 };
  return Object.assign(() => now, {
    pass: (ms: number) => {
      now = { wallMs: now.wallMs + ms, steadyMs: now.steadyMs + ms };
    },
    sleep: (ms: number) => {
      now = { ...now, wallMs: now.wallMs + ms };
    },
    turnBack: (ms: number) => {
      now = { ...now, wallMs: now.wallMs - ms };
    },
  });
}

async function isIn(site: Site, cookie: string): Promise<boolean> {
  return (await site.visit('/approvals', { cookie })).status === 200;
}

describe('the login link', () => {
  it('carries 256 bits behind the #, which no request repeats', () => {
    const link = new URL(new Site(ledger()).page.newLink());
    expect([link.origin, link.pathname, link.search]).toEqual([ORIGIN, '/login', '']);
    expect(Buffer.from(link.hash.slice(1), 'base64url')).toHaveLength(32);
  });

  it('makes a cookie for https only where the page is reached so', async () => {
    const origin = 'https://approvals.example';
    const site = new Site(ledger(), { origin });
    const given = await site.login(site.token(), { headers: { host: 'approvals.example', origin } });
    expect(given.headers.getSetCookie()).toEqual([expect.stringMatching(/; HttpOnly; SameSite=Strict; Max-Age=28800; Secure$/)]);
  });

  it('is not used up by a preview or prefetch, and logs in once', async () => {
    const site = new Site(ledger());
    const token = site.token();
    for (const method of ['GET', 'HEAD', 'GET']) expect((await site.visit('/login', { method })).status).toBe(200);
    expect((await site.visit(`/login?code=${token}`)).status).toBe(200);
    const first = await site.login(token);
    expect([first.status, first.headers.get('location')]).toEqual([303, '/approvals']);
    expect(first.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^countersign_4680=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=28800$/),
    ]);
    expect(await isIn(site, cookieOf(first))).toBe(true);
    const again = await site.login(token);
    expect([again.status, again.headers.getSetCookie()]).toEqual([403, []]);
  });

  it('ends with the next one', async () => {
    const site = new Site(ledger());
    const [old, young] = [site.token(), site.token()];
    expect((await site.login(old)).status).toBe(403);
    expect((await site.login(young)).status).toBe(303);
  });

  it.each<[string, (now: ReturnType<typeof clock>) => void]>([
    ['after five minutes', (now) => now.pass(LINK_TTL_MS)],
    ['after five minutes of sleep', (now) => now.sleep(LINK_TTL_MS)],
    [
      'after five minutes and a clock turned back',
      (now) => {
        now.pass(LINK_TTL_MS);
        now.turnBack(LINK_TTL_MS);
      },
    ],
  ])('expires %s', async (_, pass) => {
    const instant = clock();
    const site = new Site(ledger(), { instant });
    const token = site.token();
    pass(instant);
    expect((await site.login(token)).status).toBe(403);
    // Also used up.
    instant.turnBack(LINK_TTL_MS * 2);
    expect((await site.login(token)).status).toBe(403);
  });

  it('works until then', async () => {
    const instant = clock();
    const site = new Site(ledger(), { instant });
    const token = site.token();
    instant.pass(LINK_TTL_MS - 1);
    expect((await site.login(token)).status).toBe(303);
  });

  it.each(['', ' ', 'A'.repeat(43), 'x'.repeat(100_000), '__proto__', "' OR 1=1"])('takes no %j', async (code) => {
    const site = new Site(ledger());
    site.page.newLink();
    const refused = await site.login(code);
    expect([refused.status, refused.headers.getSetCookie()]).toEqual([403, []]);
  });

  it('takes none before one was made', async () => {
    expect((await new Site(ledger()).login('A'.repeat(43))).status).toBe(403);
  });

  it.each([
    '//evil.example',
    'https://evil.example',
    '/approvals/../login',
    '/logout',
    'javascript:alert(1)',
    '/approvals\r\nset-cookie: a=b',
  ])('leads nowhere else: %j', async (next) => {
    const site = new Site(ledger());
    const answer = await site.visit('/login', { form: { code: site.token(), next } });
    expect(answer.headers.get('location')).toBe('/approvals');
  });
});

describe('a session', () => {
  it('is as good as its cookie: nothing, forged, cut, another name, twice', async () => {
    const site = new Site(ledger());
    const cookie = await site.loggedIn();
    const [name = '', secret = ''] = cookie.split('=');
    expect(await isIn(site, cookie)).toBe(true);
    expect(await isIn(site, `other=1; ${cookie}`)).toBe(true);
    for (const forged of [
      '',
      name,
      `${name}=`,
      `${name}=${'A'.repeat(43)}`,
      `${name}=${secret.slice(1)}`,
      `x${name}=${secret}`,
      `${name}=${secret}x`,
      `${cookie}; ${name}=1`,
      `${name}=1; ${cookie}`,
    ]) {
      const answer = await site.visit('/approvals', { cookie: forged });
      expect([forged, answer.status]).toEqual([forged, 401]);
      expect(await answer.text()).not.toContain('answering as');
    }
  });

  it('ends by logging out, and only that one', async () => {
    const site = new Site(ledger());
    const [one, other] = [await site.loggedIn(), await site.loggedIn()];
    expect(one).not.toBe(other);
    const out = await site.visit('/logout', { form: {}, cookie: one });
    expect(out.headers.getSetCookie()).toEqual(['countersign_4680=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0']);
    expect([await isIn(site, one), await isIn(site, other)]).toEqual([false, true]);
  });

  it('does not end by GET', async () => {
    const site = new Site(ledger());
    const cookie = await site.loggedIn();
    expect((await site.visit('/logout', { cookie })).status).toBe(405);
    expect(await isIn(site, cookie)).toBe(true);
  });

  it('is never one that was there before the login', async () => {
    const site = new Site(ledger());
    const laid = `countersign_4680=${'B'.repeat(43)}`;
    const given = cookieOf(await site.login(site.token(), { cookie: laid }));
    expect(given).not.toBe(laid);
    expect([await isIn(site, laid), await isIn(site, given)]).toEqual([false, true]);
    // The session of who was logged in here before ends with it.
    const next = cookieOf(await site.login(site.token(), { cookie: given }));
    expect([await isIn(site, given), await isIn(site, next)]).toEqual([false, true]);
  });

  it('ends when nobody does anything, however often the page refreshes itself', async () => {
    const instant = clock();
    const site = new Site(ledger(), { instant });
    const cookie = await site.loggedIn();
    instant.pass(SESSION_IDLE_MS - 1);
    expect((await site.visit('/version', { cookie })).status).toBe(200);
    expect((await site.visit('/approvals', { cookie, headers: { 'x-countersign-live': '1' } })).status).toBe(200);
    instant.pass(1);
    expect((await site.visit('/version', { cookie })).status).toBe(401);
    expect(await isIn(site, cookie)).toBe(false);
  });

  it('ends after eight hours of work', async () => {
    const instant = clock();
    const site = new Site(ledger(), { instant });
    const cookie = await site.loggedIn();
    const steps = SESSION_MS / (SESSION_IDLE_MS / 2);
    for (let step = 1; step < steps; step++) {
      instant.pass(SESSION_IDLE_MS / 2);
      expect(await isIn(site, cookie)).toBe(true);
    }
    instant.pass(SESSION_IDLE_MS / 2);
    expect(await isIn(site, cookie)).toBe(false);
  });

  it('makes room when there are many: the one not used longest', async () => {
    const site = new Site(ledger());
    const first = await site.loggedIn();
    const second = await site.loggedIn();
    expect(await isIn(site, first)).toBe(true);
    for (let more = 2; more <= MAX_SESSIONS; more++) await site.loggedIn();
    expect([await isIn(site, first), await isIn(site, second)]).toEqual([true, false]);
  });

  it('answers to the user only who logged in', async () => {
    let user: string | undefined = '1000';
    const site = new Site(ledger(), { userOf: () => user });
    const cookie = await site.loggedIn();
    for (const other of ['1001', '0', undefined]) {
      user = other;
      expect(await isIn(site, cookie)).toBe(false);
    }
    user = '1000';
    expect(await isIn(site, cookie)).toBe(true);
  });

  it('is neither begun nor used by a peer that is objected to, and the link is used up', async () => {
    let objection: string | undefined = 'it is the agent itself';
    const told: unknown[] = [];
    const site = new Site(ledger(), { objectionTo: () => objection, onEvent: (event) => told.push(event) });
    const id = await site.ledger.ask();
    const token = site.token();
    const refused = await site.login(token);
    expect([refused.status, refused.headers.getSetCookie()]).toEqual([403, []]);
    expect(await refused.text()).toContain('it is the agent itself');
    objection = undefined;
    expect((await site.login(token)).status).toBe(403);
    const cookie = await site.loggedIn();
    objection = 'it is the agent itself';
    expect((await site.answer(id, cookie, { do: 'approve' })).status).toBe(403);
    expect(await site.ledger.state(id)).toBe('pending');
    expect(told).toEqual([{ kind: 'refused', why: objection }, { kind: 'login' }, { kind: 'refused', why: objection }]);
  });

  it('asks once more by itself when the browser came from elsewhere and kept the cookie back', async () => {
    const site = new Site(ledger());
    const from = (where: string): Promise<string> =>
      site.visit('/approvals', { headers: { 'sec-fetch-site': where } }).then((answer) => answer.text());
    expect(await from('cross-site')).toContain('http-equiv="refresh"');
    expect(await from('same-origin')).not.toContain('http-equiv="refresh"');
    expect(await from('none')).not.toContain('http-equiv="refresh"');
  });
});

describe('peerSocket', () => {
  const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1248 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1248 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1248 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 30 10 -1
`;
  const from = (table: string) => (path: string) => (path.endsWith('tcp') ? table : '');

  it('is who owns the other end', () => {
    expect(peerSocket({ address: '127.0.0.1', port: 50_000 }, 4680, from(TABLE))).toEqual({ user: '1001', inode: '3' });
    expect(peerSocket({ address: '::ffff:127.0.0.1', port: 50_000 }, 4680, from(TABLE))).toEqual({ user: '1001', inode: '3' });
  });

  it('is nobody for other ports, other hosts, no table, odd tables', () => {
    expect(peerSocket({ address: '127.0.0.1', port: 50_001 }, 4680, from(TABLE))).toBe(undefined);
    expect(peerSocket({ address: '127.0.0.1', port: 50_000 }, 4681, from(TABLE))).toBe(undefined);
    expect(peerSocket({ address: '10.0.0.1', port: 50_000 }, 4680, from(TABLE))).toBe(undefined);
    expect(peerSocket({ address: '', port: 0 }, 4680, from(TABLE))).toBe(undefined);
    expect(peerSocket({ address: '127.0.0.1', port: 50_000 }, 4680, from('\n\n: :\n'))).toBe(undefined);
    const broken = (): string => {
      throw new Error('no such file');
    };
    expect(peerSocket({ address: '127.0.0.1', port: 50_000 }, 4680, broken)).toBe(undefined);
  });
});
