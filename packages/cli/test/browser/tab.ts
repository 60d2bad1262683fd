/** A tab that remembers everything its browser complained about. Also for the examples. */
import type { Browser, BrowserContext, Page } from 'puppeteer-core';
import { onTestFinished } from 'vitest';

const PATIENCE_MS = 30_000;

export interface Tab {
  readonly page: Page;
  /** Cookies and storage of its own. */
  readonly context: BrowserContext;
  /** Everything the browser complained about: errors, violations of the policy, dialogs, requests to anywhere else. */
  readonly complaints: string[];
}

/**
 * @param url - the server under test: a request to any other is a complaint.
 * @param shared - the context of another tab, for a second one of the same person.
 */
export async function openTab(browser: Browser | undefined, url: string, shared?: BrowserContext): Promise<Tab> {
  if (browser === undefined) throw new Error('no browser');
  const context = shared ?? (await browser.createBrowserContext());
  if (shared === undefined) onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  await page.exposeFunction('complain', (text: string) => complaints.push(text));
  await page.evaluateOnNewDocument(
    `document.addEventListener('securitypolicyviolation', (event) => complain('policy: ' + event.violatedDirective + ' ' + event.blockedURI))`,
  );
  page.on('console', (message) => void (['error', 'warn'].includes(message.type()) && complaints.push(`console: ${message.text()}`)));
  page.on('pageerror', (error) => complaints.push(`error: ${String(error)}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => void (request.url().startsWith(url) || complaints.push(`request: ${request.url()}`)));
  return { page, context, complaints };
}
