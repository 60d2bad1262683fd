/** A chat server in a folder of its own, and people with browsers in front of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApprovalRow } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import type { Browser, BrowserContext, Page } from 'puppeteer-core';
import { onTestFinished } from 'vitest';
import { openTab, type Tab } from '../../../packages/cli/test/browser/tab.ts';
import { keyOf } from '../page/remembered.ts';
import { type ChatServer, type ChatServerOptions, startChatServer } from '../server.ts';

export const USERS: ReadonlyMap<string, string> = new Map([
  ['ana', 'password-of-ana'],
  ['ben', 'password-of-ben'],
]);

export interface Chat {
  readonly url: string;
  /** The same ledger, under the same address. */
  restart(): Promise<void>;
  /** What was paid. */
  paid(): readonly string[];
  /** `refund allow`, one for each decision in the ledger. */
  decisions(): readonly string[];
  approvals(): Promise<readonly ApprovalRow[]>;
  tab(shared?: BrowserContext): Promise<Tab>;
  signedIn(user: string): Promise<Tab>;
  /** The page, opened with another history than it had. */
  reopen(page: Page, user: string, history: string): Promise<void>;
}

export async function openChat(browser: Browser | undefined, options: Partial<ChatServerOptions> = {}): Promise<Chat> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-chat-'));
  const start = (port: number): Promise<ChatServer> => startChatServer({ folder, users: USERS, ...options, port });
  let server = await start(0);
  onTestFinished(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const { url } = server;
  const tab = (shared?: BrowserContext): Promise<Tab> => openTab(browser, url, shared);
  return {
    url,
    restart: async () => {
      await server.close();
      server = await start(Number(new URL(url).port));
    },
    paid: () => server.shop.payments(),
    decisions: () => decisionsIn(join(folder, 'ledger.db')),
    approvals: () => server.shop.guard.approvals.list(),
    tab,
    signedIn: async (user) => {
      const opened = await tab();
      await opened.page.goto(`${url}/#${user}:${USERS.get(user)}`);
      await click(opened.page, 'button[type=submit]');
      await opened.page.waitForSelector('#message');
      return opened;
    },
    reopen: async (page, user, history) => {
      // Of the same origin, and without a script that might be writing as well.
      await page.goto(`${url}/style.css`);
      await page.evaluate((key, text) => localStorage.setItem(key, text), keyOf(user), history);
      await page.goto(url);
    },
  };
}

function decisionsIn(path: string): readonly string[] {
  const reader = readLedger(path);
  try {
    return [...reader.entries()].flatMap(({ text }) => {
      const entry = JSON.parse(text) as { readonly kind: string; readonly tool?: { readonly name: string }; readonly effect?: string };
      return entry.kind === 'decision' ? [`${entry.tool?.name} ${entry.effect}`] : [];
    });
  } finally {
    reader.close();
  }
}

/** Looks by the clock: by default it is looked once for each frame, and a page that is not in front draws none. */
const BY_CLOCK = { polling: 20 };

/** Waits until this expression is true in the page. */
export async function holds(page: Page, expression: string): Promise<void> {
  await page.waitForFunction(expression, BY_CLOCK);
}

/** Clicks what is there, or comes within the time. */
export async function click(page: Page, selector: string): Promise<void> {
  await page.waitForSelector(selector);
  await page.click(selector);
}

export async function say(page: Page, text: string): Promise<void> {
  await page.type('#message', text);
  await page.keyboard.press('Enter');
}

/** Waits until the conversation has `text` in it. */
export async function shows(page: Page, text: string): Promise<void> {
  try {
    await holds(page, `document.querySelector('[role=log]')?.textContent.includes(${JSON.stringify(text)})`);
  } catch (error) {
    throw new Error(`it does not show ${JSON.stringify(text)} but ${JSON.stringify(await textOf(page))}`, { cause: error });
  }
}

/** The history as the browser has it. */
export async function kept(page: Page, user: string): Promise<string> {
  return String(await page.evaluate((key) => localStorage.getItem(key), keyOf(user)));
}

export function textOf(page: Page): Promise<string> {
  return page.$eval('[role=log]', (element) => element.textContent ?? '');
}

/** The question is there, and the answer that brought it has ended: nothing is cut off in its middle. */
export async function asks(page: Page): Promise<void> {
  await page.waitForSelector('.asking .approve');
  await page.waitForSelector('.chat[data-status=ready]');
}

/** Nothing streams, and no question is open: one may write. */
export async function isIdle(page: Page): Promise<void> {
  await page.waitForSelector('.composer button:not(:disabled)');
}
