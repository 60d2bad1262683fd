/**
 * The approval page: a small site on this host where a person who opened the link from the terminal sees what waits and
 * answers it. Every request goes: gate (host, origin, method) → who is logged in → the view or the answer.
 *
 * Nothing changes by GET. Answers go through `approvals.resolve` like those of every other channel.
 */
import { CountersignError, escapeJson } from '@countersign/core';
import type { ApprovalView } from '@countersign/core/sqlite';
import type { Handler, Peer } from '../http/serve.ts';
import { answer, revokeGrant } from './answering.ts';
import { detailPage, notFoundPage } from './detail-view.ts';
import { answered, plain, redirect, refusalOf } from './gate.ts';
import { grantsPage } from './grants-view.ts';
import { html } from './html.ts';
import { framed } from './layout.ts';
import { type ListedState, listPage, STATES } from './list-view.ts';
import { loginPage } from './login-view.ts';
import { Logins, SESSION_MS } from './logins.ts';
import type { ApprovalPageOptions, PageEvent } from './page-options.ts';
import { PAGE_SCRIPT } from './page-script.ts';
import { PAGE_ICON, PAGE_STYLE } from './page-style.ts';
import { peerSocket } from './peer-socket.ts';
import { type ApprovalsReader, reading } from './source.ts';

export interface ApprovalPage {
  readonly handler: Handler;
  /** A link that logs one browser in, once, within five minutes. Earlier links are worth nothing from here on. */
  newLink(): string;
}

const ID = /^[0-9a-f]{32}$/;
const DETAIL = /^\/approvals\/([0-9a-f]{32})$/;
const WHOLE = /^\/approvals\/([0-9a-f]{32})\/arguments$/;
const GRANT = /^\/grants\/([0-9a-f]{32})$/;
const HOME = '/approvals';
const GRANTS = '/grants';
/** Where a login may lead. */
const NEXT = /^\/(?:approvals(?:\/[0-9a-f]{32})?|grants)$/;

export function approvalPage(options: ApprovalPageOptions): ApprovalPage {
  const { origin: given, instant, userOf = kernelUser, onEvent = () => {}, objectionTo = () => undefined } = options;
  const origin = typeof given === 'string' ? () => given : given;
  const logins = new Logins(instant);
  return {
    newLink: () => `${origin()}/login#${logins.newToken()}`,
    handler: async (request, peer) => {
      const refused = refusalOf(request, { origin: origin() });
      if (refused !== undefined) return refused;
      const url = new URL(request.url);
      const asset = request.method === 'POST' ? undefined : assetOf(url.pathname);
      if (asset !== undefined) return asset;
      const port = Number(new URL(origin()).port) || 80;
      const objection = (): string | undefined => objectionTo(peer, port);
      const isSecure = origin().startsWith('https:');
      const visitor = { user: userOf(peer, port), cookie: `countersign_${port}`, isSecure, logins, objection };
      if (url.pathname === '/login') return login(request, url, visitor, onEvent);
      const secret = secretOf(request, visitor.cookie);
      // A page that refreshes itself in the background is no sign of a person.
      const touch = url.pathname !== '/version' && request.headers.get('x-countersign-live') === null;
      if (!logins.isLoggedIn(secret, visitor.user, touch)) return loggedOut(request, url);
      if (url.pathname === '/logout') return logout(request, secret, visitor, onEvent);
      const why = request.method === 'POST' ? objection() : undefined;
      if (why !== undefined) {
        onEvent({ kind: 'refused', why });
        return plain(403, why);
      }
      return await site(request, url, options).catch((error: unknown) => unreadable(error, options));
    },
  };
}

function kernelUser(peer: Peer, port: number): string | undefined {
  return peerSocket(peer, port)?.user;
}

interface Visitor {
  readonly objection: () => string | undefined;
  readonly user: string | undefined;
  readonly cookie: string;
  readonly isSecure: boolean;
  readonly logins: Logins;
}

function assetOf(path: string): Response | undefined {
  switch (path) {
    case '/page.css':
      return answered(PAGE_STYLE, 'text/css');
    case '/page.js':
      return answered(PAGE_SCRIPT, 'text/javascript');
    case '/icon.svg':
      return answered(PAGE_ICON, 'image/svg+xml');
    default:
      return undefined;
  }
}

type Tell = (event: PageEvent) => void;

async function login(request: Request, url: URL, visitor: Visitor, tell: Tell): Promise<Response> {
  const { user, cookie, logins, objection } = visitor;
  if (request.method !== 'POST') return loginPage({ status: 200, next: nextOf(url.searchParams.get('next')), reload: false });
  const form = new URLSearchParams(await request.text());
  const next = nextOf(form.get('next'));
  const secret = logins.redeem((form.get('code') ?? '').trim(), user);
  if (secret === undefined) {
    const problem =
      'This code is not valid: each works once, for five minutes, and a new one ends the one before. Press Enter in the terminal of `countersign console` for a new link.';
    return loginPage({ status: 403, next, problem, reload: false });
  }
  const why = objection();
  if (why !== undefined) {
    // The link is used up all the same: it was where it should not be.
    logins.end(secret);
    tell({ kind: 'refused', why });
    return loginPage({ status: 403, next, problem: why, reload: false });
  }
  // A login always makes a new session: one that somebody laid into this browser before is worth nothing.
  logins.end(secretOf(request, cookie));
  tell({ kind: 'login' });
  return redirect(next, { 'set-cookie': cookieLine(visitor, secret, Math.floor(SESSION_MS / 1000)) });
}

function nextOf(given: string | null): string {
  return given !== null && NEXT.test(given) ? given : HOME;
}

function logout(request: Request, secret: string | undefined, visitor: Visitor, tell: Tell): Response {
  if (request.method !== 'POST') return plain(405, 'method not allowed', { allow: 'POST' });
  visitor.logins.end(secret);
  tell({ kind: 'logout' });
  return redirect('/login', { 'set-cookie': cookieLine(visitor, '', 0) });
}

/** No `Secure` with http on 127.0.0.1, where browsers differ about it, and no network is between. */
function cookieLine({ cookie, isSecure }: Pick<Visitor, 'cookie' | 'isSecure'>, value: string, maxAgeSeconds: number): string {
  return `${cookie}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${isSecure ? '; Secure' : ''}`;
}

function secretOf(request: Request, name: string): string | undefined {
  const found = (request.headers.get('cookie') ?? '').split(';').flatMap((part) => {
    const [key = '', value = ''] = part.trim().split('=', 2);
    return key === name ? [value] : [];
  });
  // Two of one name: somebody laid one beside ours, and which comes first is theirs to choose.
  return found.length === 1 ? found[0] : undefined;
}

function loggedOut(request: Request, url: URL): Response {
  if (url.pathname === '/version' || request.headers.get('x-countersign-live') !== null) return plain(401, 'logged out');
  const reload = request.method === 'GET' && request.headers.get('sec-fetch-site') === 'cross-site';
  return loginPage({
    status: 401,
    next: nextOf(url.pathname),
    reload,
    ...(request.method === 'POST' && { problem: 'You are logged out, and nothing was answered. Log in and look again.' }),
  });
}

/** Whoever is logged in is told what is wrong with the ledger; anything else is a fault of ours, and not told. */
function unreadable(error: unknown, { approver, onError = () => {} }: ApprovalPageOptions): Response {
  if (!CountersignError.is(error)) throw error;
  onError(error);
  const main = html`<h1>The ledger cannot be read</h1>
<div class="alarm" role="alert"><strong>Nothing was answered.</strong> ${error.message} [${error.code}]<br>
Run <code>countersign verify</code>, and keep the file as evidence.</div>`;
  return framed({ title: 'Unreadable', status: 503, approver }, main);
}

async function site(request: Request, url: URL, options: ApprovalPageOptions): Promise<Response> {
  const { pathname } = url;
  const id = DETAIL.exec(pathname)?.[1];
  if (request.method === 'POST') {
    const grant = GRANT.exec(pathname)?.[1];
    if (grant !== undefined) return revokeGrant(request, grant, options);
    return id === undefined ? plain(405, 'method not allowed', { allow: 'GET, HEAD' }) : answer(request, id, options);
  }
  if (pathname === '/version') return answered(options.source.version(), 'text/plain');
  if (pathname === '/') return redirect(HOME);
  const version = options.source.version();
  const frame = { approver: options.approver, version };
  if (pathname === GRANTS)
    return grantsPage(await options.approvals.grants(), { isDone: url.searchParams.get('done') === 'revoked' }, frame);
  return reading(options.source, (reader) => {
    if (pathname === HOME) return list(reader, url, frame);
    const whole = WHOLE.exec(pathname)?.[1];
    const row = reader.approval(id ?? whole ?? '');
    if (row === undefined) return notFoundPage(frame);
    if (whole !== undefined) return wholeArguments(row);
    const done = url.searchParams.get('done');
    return detailPage(row, done === null ? {} : { done }, frame);
  });
}

interface PageFrame {
  readonly approver: string;
  readonly version: string;
}

function list(reader: ApprovalsReader, url: URL, frame: PageFrame): Response {
  const state = stateOf(url.searchParams.get('state'));
  const after = url.searchParams.get('after');
  if (state === undefined) return redirect(HOME);
  try {
    return listPage(reader, { state, ...(after !== null && ID.test(after) && { after }) }, frame);
  } catch (error) {
    // The approval the page should start after is gone.
    if (CountersignError.is(error) && error.code === 'APPROVAL_NOT_FOUND') return redirect(`${HOME}?state=${state}`);
    throw error;
  }
}

function stateOf(given: string | null): ListedState | undefined {
  return given === null ? 'pending' : given === 'all' ? 'all' : STATES.find((state) => state === given);
}

function wholeArguments({ shown }: ApprovalView): Response {
  if (shown === undefined) return plain(404, 'the clear text of these arguments is not in the ledger any more');
  return answered(escapeJson(`${JSON.stringify(shown, undefined, 2)}\n`), 'text/plain');
}
