/** A report in a real browser: it runs nothing, loads nothing, and fits. Where there is no browser this says so, and nothing is proven. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeReport, reportText } from '@countersign/monitor';
import puppeteer, { type Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
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

/** Everything a report is made of, written by somebody hostile: logs, session, incident, canary rows, logs of the predecessor. */
function hostileFiles(word: string): string {
  const atMs = Date.UTC(2026, 0, 1);
  const [logs, work] = [folder(), folder()];
  const session = '0123456789abcdef0123456789abcdef';
  const id = 'ab'.repeat(16);
  const actor = { pid: 7, start: 1, exe: word, argv: [word, word], cwd: word };
  const verdict = { level: 'KILL', rule: word, reason: word, evaluator: 'rules', confidence: 1, evidence: [1] };
  const lines = [
    { kind: 'read', path: word, resolved: word },
    { kind: 'exec', exe: word, argv: [word] },
    { kind: 'connect', protocol: 'tcp', host: word, port: 1 },
  ].map((action, i) => ({
    activity: { seq: i + 1, at: atMs, sensor: word, phase: 'after', actor, action, attribution: { method: 'scope', call: word } },
    verdict,
  }));
  const json = (path: string, value: unknown): void => writeFileSync(path, `${JSON.stringify(value)}\n`);
  mkdirSync(join(logs, session), { mode: 0o700 });
  mkdirSync(join(logs, 'incidents'), { mode: 0o700 });
  mkdirSync(join(work, 'security'));
  writeFileSync(join(logs, session, 'activity-000001.jsonl'), lines.map((line) => `${JSON.stringify({ v: 1, ...line })}\n`).join(''));
  json(join(logs, session, 'session.json'), {
    v: 1,
    session,
    agent: word,
    startedAtMs: atMs,
    endedAtMs: atMs + 1,
    mode: 'enforce_kill',
    level: word,
    grade: word,
    how: word,
    command: [word],
    pids: [7],
    sensors: [{ name: word, level: word, gives: [word], isAlive: false, seen: 1, lost: 1 }],
    fell: [{ at: atMs, level: word, sensor: word, why: word }],
    guards: { count: 1, first: [{ pid: 7, start: 1, exe: word }] },
  });
  json(join(logs, 'incidents', `${id}.json`), {
    v: 1,
    id,
    at: atMs,
    session: word,
    agent: word,
    mode: 'enforce_kill',
    ...lines[0],
    timeline: lines,
    omitted: 0,
    steps: [{ at: atMs, event: 'killed', by: word }],
  });
  json(join(work, 'security', 'canary-audit.jsonl'), { ts: '2026-01-01T00:00:00Z', safe: false, summary: word });
  json(join(logs, 'actions_x.jsonl'), { timestamp: '2026-01-01T00:00:00Z', action_type: word, target: word, verdict: word, reason: word });
  const period = { sinceMs: atMs - 1000, untilMs: atMs + 1000, nowMs: atMs };
  return reportText(makeReport({ ...period, logDir: logs, workspace: work }), 'html');
}

const HOSTILE: readonly (readonly [string, string])[] = [
  ['markup', EVIL],
  [
    'an end of everything',
    `--></textarea></template></table></main></body></html><base href=//evil.example><meta http-equiv=refresh content="0;url=//evil.example">`,
  ],
  ['an attribute', `" onmouseover=alert(1) autofocus onfocus='alert(2)' style=position:fixed x="`],
  ['Markdown', '[x](javascript:alert(1)) ![x](http://evil.example/x.png) <http://evil.example>'],
  [
    'escapes of terminals, and text turned around',
    '\u001b[31m\u001b]8;;http://evil.example\u0007x \u202e\u2066\u200b<script>alert(1)</script>',
  ],
  ['columns and formulas', `=cmd|' /C calc'!A0 | x | <svg><animate onbegin=alert(1)>`],
];

it.skipIf(chromium === undefined).each(HOSTILE)('made of files full of %s: is text, all of it, and runs nothing', async (_, word) => {
  const file = join(folder(), 'report.html');
  const text = hostileFiles(word);
  writeFileSync(file, text);
  const url = pathToFileURL(file).href;
  const { page, complaints } = await openTab(browser, url);
  await page.goto(url);
  // It did get in: as text.
  expect(await page.evaluate('document.body.innerText')).toContain(/[a-z.]{6,}/.exec(word)?.[0]);
  const elements =
    "document.querySelectorAll('script, img, a, link, iframe, base, form, object, embed, textarea, template, animate, [style]').length";
  expect(await page.evaluate(elements)).toBe(0);
  expect(
    await page.evaluate("[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => /^on/i.test(a.name))).length"),
  ).toBe(0);
  expect(await page.evaluate("document.querySelectorAll('meta[http-equiv]').length")).toBe(1);
  // The end of the page is its own.
  expect(await page.evaluate("document.querySelectorAll('main').length + ' ' + document.body.children.length")).toBe('1 1');
  expect(text).not.toMatch(/[\u001b\u202e\u2066\u200b]/);
  expect(complaints).toStrictEqual([]);
});

it.skipIf(chromium === undefined)('and what somebody writes into it afterwards runs and loads nothing either', async () => {
  // Puppeteer tells of requests that the policy then stops: whether one came is for the server to say.
  let asked = 0;
  const server = createServer((_, response) => {
    asked++;
    response.end();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const file = join(folder(), 'report.html');
  const evil = `<script>document.title='owned'</script><img src="http://127.0.0.1:${port}/x" onerror="document.title='owned'"><style>main{max-width:1px}</style>`;
  writeFileSync(file, hostileReport().replace('</main>', `${evil}</main>`));
  expect(readFileSync(file, 'utf8')).toContain("document.title='owned'");
  const url = pathToFileURL(file).href;
  const { page, complaints } = await openTab(browser, url);
  await page.goto(url);
  expect(await page.title()).toContain('Countersign report');
  expect(await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")).toBe('980px');
  expect(complaints.filter((complaint) => complaint.startsWith('policy: ')).length).toBeGreaterThanOrEqual(3);
  expect(asked).toBe(0);
});

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
