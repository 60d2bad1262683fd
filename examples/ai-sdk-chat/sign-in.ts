/**
 * Who is there. The cookie says it, signed by the server; nothing in a message, a body or an address does.
 *
 *     POST /api/sign-in    { user, password }: the cookie
 *     POST /api/sign-out
 *     GET  /api/me         { user } or { user: null }
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { deleteCookie, getSignedCookie, setSignedCookie } from 'hono/cookie';
import { z } from 'zod';

export type Signed = { readonly Variables: { readonly user: string } };

export interface SignIn {
  readonly routes: Hono;
  /** Answers 401 to everybody it does not know; the others have `c.get('user')`. */
  readonly required: MiddlewareHandler<Signed>;
}

const COOKIE = 'shop_user';
const SIGNED_IN_MS = 8 * 60 * 60 * 1000;
const KEY_BYTES = 32;
const MAX_BODY_BYTES = 4096;

/**
 * @param users - names (letters only) and passwords. A real host has its own way to know people.
 * @param secret - signs the cookie; kept, so that a restart signs nobody out.
 */
export function signIn(users: ReadonlyMap<string, string>, secret: string): SignIn {
  const userOf = async (c: Context): Promise<string | undefined> => {
    const value = await getSignedCookie(c, secret, COOKIE);
    if (typeof value !== 'string') return undefined;
    const [user = '', until] = value.split('.');
    return users.has(user) && Number(until) > Date.now() ? user : undefined;
  };
  const routes = new Hono()
    .post('/sign-in', bodyLimit({ maxSize: MAX_BODY_BYTES }), async (c) => {
      // What is no JSON names nobody.
      const given = z.object({ user: z.string(), password: z.string() }).safeParse(await c.req.json().catch(() => undefined));
      const { user, password } = given.success ? given.data : { user: '', password: '' };
      if (!isSame(password, users.get(user))) return c.json({ error: 'wrong name or password' }, 401);
      const value = `${user}.${Date.now() + SIGNED_IN_MS}`;
      await setSignedCookie(c, COOKIE, value, secret, { httpOnly: true, sameSite: 'Strict', path: '/', maxAge: SIGNED_IN_MS / 1000 });
      return c.json({ user });
    })
    .post('/sign-out', (c) => {
      deleteCookie(c, COOKIE, { path: '/' });
      return c.json({ user: null });
    })
    .get('/me', async (c) => c.json({ user: (await userOf(c)) ?? null }));
  return {
    routes,
    required: async (c, next) => {
      const user = await userOf(c);
      if (user === undefined) return c.json({ error: 'sign in first' }, 401);
      c.set('user', user);
      return next();
    },
  };
}

/** Made once, readable by its owner alone. */
export function cookieKey(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(KEY_BYTES).toString('base64url'), { mode: 0o600, flag: 'wx' });
  return readFileSync(file, 'utf8');
}

/** In constant time; nobody has the password `undefined`. */
function isSame(given: string, expected: string | undefined): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected ?? '')) && expected !== undefined;
}

/**
 * For every request that changes something: sent by our own page. The cookie alone does not say so, since the browser also
 * sends it from pages on other ports of this host; a form cannot send this content type, a script elsewhere not this origin.
 */
export const fromOwnPage: MiddlewareHandler = async (c, next) => {
  if (c.req.method === 'GET' || c.req.method === 'HEAD') return next();
  const { host } = new URL(c.req.url);
  const isOwn = c.req.header('origin') === `http://${host}`;
  const isJson = c.req.header('content-type')?.split(';', 1)[0]?.trim() === 'application/json';
  if (!isOwn || !isJson) return c.json({ error: 'requests are taken from this page only' }, 403);
  return next();
};

/** Another name that leads to this host (DNS rebinding) is not ours. */
export const onOwnHost: MiddlewareHandler = async (c, next) => {
  const { hostname } = new URL(c.req.url);
  return LOCAL.has(hostname) ? next() : c.text('unknown host', 421);
};

const LOCAL: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);
