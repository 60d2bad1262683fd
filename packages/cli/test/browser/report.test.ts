/** A report in a real browser: it runs nothing, loads nothing, and fits. Where there is no browser this says so, and nothing is proven. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeReport, reportText } from '@countersign/monitor';
import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { folder } from '../harness.ts';
import { findChromium } from './chromium.ts';
import { openTab } from './tab.ts';

const EVIL = `</title></style></script><script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>" style="color:red\u202e${'w'.repeat(4000)}`;
const chromium = findChromium();
if (chromium === undefined)
  process.stderr.write('SKIPPED: no Chromium on PATH and no CHROME_PATH: the report is not tested in a browser\n');

let browser: Browser | undefined;
beforeAll(async () => {
  // Root in a container has no sandbox of its own to give.
  if (chromium !== undefined) browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
});

function hostileReport(): string {
  const atMs = Date.UTC(2026, 0, 1);
  const facts = { leaf: 'f'.repeat(64), atMs, shown: new Map(), agent: EVIL, session: EVIL, rule: EVIL, reasonCode: EVIL };
  const records = [
    { ...facts, index: 0, kind: 'decision', call: EVIL, effect: EVIL, tool: { server: EVIL, name: EVIL } },
    { ...facts, index: 1, kind: 'approval', call: EVIL, answer: EVIL, approver: EVIL },
    {
      ...facts,
      index: 2,
      kind: 'verdict',
      body: { level: 'KILL', enforced: 'KILL', incident: EVIL },
      shown: new Map([['activity', { reason: EVIL }]]),
    },
  ];
  return reportText(makeReport({ sinceMs: atMs - 1000, untilMs: atMs + 1000, nowMs: atMs, ledger: { path: EVIL, records } }), 'html');
}

it.skipIf(chromium === undefined)('runs nothing, loads nothing, and is no wider than the page', async () => {
  const file = join(folder(), 'report.html');
  writeFileSync(file, hostileReport());
  const url = pathToFileURL(file).href;
  const { page, complaints } = await openTab(browser, url);
  for (const width of [360, 1200]) {
    await page.setViewport({ width, height: 800 });
    await page.goto(url);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  }
  expect(await page.evaluate("document.querySelectorAll('script, img, [onload], [onerror], a, link, iframe').length")).toBe(0);
  expect(await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")).toBe('980px');
  expect(await page.title()).toContain('Countersign report');
  expect(complaints).toStrictEqual([]);
});
