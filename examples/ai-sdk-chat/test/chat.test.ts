/** The chat in a real browser. Where there is none this says so, and nothing is proven. */
import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../../../packages/cli/test/browser/chromium.ts';
import { CANARY } from '../shop.ts';
import { isIdle, openChat, say, shows, textOf } from './harness.ts';

const chromium = findChromium();
if (chromium === undefined) {
  process.stderr.write('SKIPPED: no Chromium on PATH and no CHROME_PATH: the useChat example is not tested in a browser\n');
}

let browser: Browser | undefined;
beforeAll(async () => {
  // Root in a container has no sandbox of its own to give.
  if (chromium !== undefined) browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
});

describe.skipIf(chromium === undefined)('useChat with the guard, in a browser', () => {
  it('runs what is allowed, and says in plain words what was denied, withheld and masked', async () => {
    const chat = await openChat(browser);
    const { page, complaints } = await chat.signedIn('ana');
    expect(await textOf(page)).toContain('Nothing here yet.');
    expect(page.url()).toBe(`${chat.url}/`);
    await page.click('.empty button');
    await shows(page, 'findOrder is done.');
    expect(await textOf(page)).toContain('kettle');
    await isIdle(page);
    await say(page, 'erase customer 7');
    await shows(page, 'I could not use eraseCustomer');
    expect(await textOf(page)).toMatch(
      /Denied: eraseCustomer.*only the privacy team erases customers\nPOLICY_DENY_HIGH_RISK, rule no-erasing/s,
    );
    await isIdle(page);
    await say(page, 'read ticket 7');
    await shows(page, 'I could not use readTicket');
    expect(await textOf(page)).toContain('its result is withheld');
    expect(await textOf(page)).not.toContain('Ignore all');
    await isIdle(page);
    await say(page, 'payment log');
    await shows(page, 'paymentLog is done.');
    expect(await textOf(page)).toContain('[redacted:');
    expect(await page.content()).not.toContain(CANARY);
    expect(await page.evaluate('JSON.stringify(localStorage)')).not.toContain(CANARY);
    expect(chat.decisions()).toEqual(['findOrder allow', 'eraseCustomer deny', 'readTicket allow', 'paymentLog allow']);
    expect(complaints).toEqual([]);
  });

  it('asks, runs once after Approve, and not again after a reload', async () => {
    const chat = await openChat(browser);
    const { page, complaints } = await chat.signedIn('ana');
    await say(page, 'refund 1001 450');
    await page.waitForSelector('.asking .approve');
    const asked = await page.$eval('.asking', (element) => element.textContent ?? '');
    for (const part of ['May it use refund?', 'a refund of more than 50 needs your word', '"order": "1001"', '"amount": 450', 'Open until'])
      expect(asked).toContain(part);
    expect(chat.paid()).toEqual([]);
    await page.click('.approve');
    await shows(page, 'refund is done.');
    expect(chat.paid()).toEqual(['450 for order 1001']);
    await isIdle(page);
    await page.reload();
    await shows(page, 'refund is done.');
    await isIdle(page);
    await say(page, 'order 1001');
    await shows(page, 'findOrder is done.');
    expect(chat.paid()).toEqual(['450 for order 1001']);
    expect(chat.decisions()).toEqual(['refund require_approval', 'refund allow', 'findOrder allow']);
    expect(complaints).toEqual([]);
  });
});
