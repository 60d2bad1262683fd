/** A ledger with approvals that wait, the page over it, and a browser's manners. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type ApprovalState, createGuard, type Guard, type GuardOptions, rulePolicy, type Store } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';
import { onTestFinished } from 'vitest';
import { type ApprovalPage, approvalPage } from '../../src/approvals/page.ts';
import type { ApprovalPageOptions } from '../../src/approvals/page-options.ts';
import { ledgerSource } from '../../src/approvals/source.ts';
import type { Peer } from '../../src/http/serve.ts';

export const ORIGIN = 'http://127.0.0.1:4680';
export const APPROVER = 'page:ana';
const PEER: Peer = { address: '127.0.0.1', port: 50_000 };

export interface Ledger {
  readonly guard: Guard;
  readonly store: Store;
  readonly path: string;
  /** Opens an approval; gives its id. */
  ask(args?: unknown, tool?: string, server?: string): Promise<string>;
  state(id: string): Promise<ApprovalState | undefined>;
  /** Changes the file as somebody who can write it would. */
  tamper(sql: string): void;
}

export function ledger(more: Partial<GuardOptions> = {}): Ledger {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-page-'));
  const path = join(folder, 'ledger.db');
  const store = openStore({ path, origin: 'example.com/page', signer: 'none' });
  onTestFinished(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const policy = rulePolicy({
    id: 'p',
    rules: [
      { id: 'ask', tools: ['*'], effect: 'require_approval', reason: 'changes something' },
      { id: 'two', tools: ['wire'], effect: 'require_approval', approval: { quorum: 2 } },
      { id: 'finance', tools: ['pay'], effect: 'require_approval', approval: { approvers: ['finance'] } },
      { id: 'sure', tools: ['launch'], effect: 'require_approval', approval: { assurance: 'high' } },
    ],
  });
  const guard = createGuard({ agent: 'bot', policy, store, ...more });
  return {
    guard,
    store,
    path,
    async ask(args = { amount: 700 }, tool = 'refund', server) {
      const asked = await guard.authorize(
        { tool: { name: tool, ...(server !== undefined && { server }) }, args, session: 's1' },
        { approval: 'suspend' },
      );
      if (asked.kind !== 'pending') throw new Error(`nothing waits: ${asked.kind}`);
      return asked.approvalId;
    },
    async state(id) {
      return (await guard.approvals.get(id))?.state;
    },
    tamper(sql) {
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
    },
  };
}

export interface Sent {
  readonly method?: string;
  readonly form?: Readonly<Record<string, string>> | string;
  readonly cookie?: string;
  /** Over what a browser sends by itself; an empty text takes a header away. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly peer?: Peer;
}

export class Site {
  readonly ledger: Ledger;
  readonly page: ApprovalPage;

  constructor(given: Ledger, more: Partial<ApprovalPageOptions> = {}) {
    this.ledger = given;
    this.page = approvalPage({
      origin: ORIGIN,
      source: ledgerSource(given.path),
      approvals: given.guard.approvals,
      approver: APPROVER,
      userOf: () => '1000',
      ...more,
    });
  }

  async visit(path: string, sent: Sent = {}): Promise<Response> {
    const { form, method = form === undefined ? 'GET' : 'POST', cookie, headers = {}, peer = PEER } = sent;
    const manners: Record<string, string> = {
      host: new URL(ORIGIN).host,
      'sec-fetch-site': 'same-origin',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    };
    if (method === 'POST') Object.assign(manners, { origin: ORIGIN, 'content-type': 'application/x-www-form-urlencoded' });
    if (cookie !== undefined) manners['cookie'] = cookie;
    const all = new Headers({ ...manners, ...headers });
    for (const [name, value] of Object.entries(headers)) if (value === '') all.delete(name);
    const body = method === 'POST' ? (typeof form === 'string' ? form : new URLSearchParams(form).toString()) : undefined;
    return this.page.handler(new Request(`${ORIGIN}${path}`, { method, headers: all, ...(body !== undefined && { body }) }), peer);
  }

  token(): string {
    return new URL(this.page.newLink()).hash.slice(1);
  }

  login(code: string, sent: Sent = {}): Promise<Response> {
    return this.visit('/login', { form: { code, next: '/approvals' }, ...sent });
  }

  /** The cookie of a fresh session. */
  async loggedIn(): Promise<string> {
    return cookieOf(await this.login(this.token()));
  }

  /** Posts the form of an approval as the page showed it. */
  async answer(id: string, cookie: string, fields: Readonly<Record<string, string>>, sent: Sent = {}): Promise<Response> {
    const shown = await (await this.visit(`/approvals/${id}`, { cookie })).text();
    const seen = /name="seen" value="([0-9a-f]{32})"/.exec(shown)?.[1] ?? '';
    return this.visit(`/approvals/${id}`, { form: { seen, ...fields }, cookie, ...sent });
  }
}

export function cookieOf(response: Response): string {
  return response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
}
