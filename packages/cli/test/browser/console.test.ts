/** The console in a real browser. Where there is none this says so, and nothing is proven. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { calls, json, project, run, Sink } from '../harness.ts';
import { findChromium } from './chromium.ts';
import { openTab, type Tab } from './tab.ts';

const GUARD = fileURLToPath(new URL('../fixtures/guard-that-waits.ts', import.meta.url));
const EVIL = '</textarea></script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e"\'';
const chromium = findChromium();
if (chromium === undefined) {
  process.stderr.write('SKIPPED: no Chromium on PATH and no CHROME_PATH: the approval page is not tested in a browser\n');
}

let browser: Browser | undefined;
beforeAll(async () => {
  // Root in a container has no sandbox of its own to give.
  if (chromium !== undefined) browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser?.close();
});

interface Console {
  readonly cwd: string;
  readonly url: string;
  readonly stderr: Sink;
  newestLink(): string;
}

async function openConsole(): Promise<Console> {
  const cwd = await project();
  const [stdin, stderr] = [new PassThrough(), new Sink()];
  const running = run(['console', '--port', '0', '--as', 'ana', '--no-open'], { cwd, tty: true, stdin, stderr });
  onTestFinished(async () => {
    stdin.end();
    expect((await running).code).toBe(0);
  });
  await new Promise<void>((resolve) => {
    stderr.onText = (text) => {
      if (/login#/.test(text)) resolve();
    };
  });
  const newestLink = (): string => stderr.text.match(/http:\/\/\S+\/login#\S+/g)?.at(-1) ?? '';
  return { cwd, url: new URL(newestLink()).origin, stderr, newestLink };
}

async function click(page: Page, selector: string): Promise<void> {
  await Promise.all([page.waitForNavigation(), page.click(selector)]);
}

async function loggedIn(console: Console): Promise<Tab> {
  const tab = await openTab(browser, console.url);
  await tab.page.goto(console.newestLink());
  await click(tab.page, '#login');
  return tab;
}

/** A guarded program in a process of its own; resolves with what it says at its end. */
function guarded(cwd: string, args: unknown): Promise<unknown> {
  const child = spawn(process.execPath, ['--conditions=@countersign/source', GUARD, cwd, JSON.stringify(args)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  return once(child, 'close').then(() => JSON.parse(said));
}

function textOf(page: Page, selector = 'main'): Promise<string> {
  return page.$eval(selector, (element) => element.textContent ?? '');
}

async function stateOf(cwd: string, id: string): Promise<unknown> {
  const { approval } = json(await run(['approvals', 'show', id, '--json'], { cwd }));
  return typeof approval === 'object' && approval !== null && 'state' in approval ? approval.state : undefined;
}

describe.skipIf(chromium === undefined)('the console in a browser', () => {
  it('logs in by the link, follows the ledger, approves, and the call in another process goes on', async () => {
    const console = await openConsole();
    const { page, complaints } = await openTab(browser, console.url);
    await page.goto(console.newestLink());
    // Nothing is left of the token in the address, and nobody has to type it.
    expect(page.url()).toBe(`${console.url}/login`);
    expect(await page.evaluate("document.querySelector('#by-hand').hidden")).toBe(true);
    await click(page, '#login');
    expect(page.url()).toBe(`${console.url}/approvals`);
    expect(await textOf(page)).toContain('Nothing waits for you.');

    const end = guarded(console.cwd, { path: '/srv/a.txt', text: EVIL });
    await page.waitForSelector('table.list a');
    expect(await page.title()).toBe('(1) Approvals · Countersign');
    expect(await page.$eval('#said', (element) => element.textContent)).toBe('1 new approval');
    await page.keyboard.press('j');
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    const shown = await textOf(page);
    for (const part of ['May bot call files/write_file?', '/srv/a.txt', '<script>alert(1)</script>', '\\u{202e}'])
      expect(shown).toContain(part);
    expect(await page.$$eval('main script, main img', (found) => found.length)).toBe(0);
    await page.type('#message', 'fine by me');
    await click(page, 'button[value=approve]');
    expect(await textOf(page, '.done')).toContain('may run this call once');
    expect(await end).toEqual({ ran: { path: '/srv/a.txt', text: EVIL } });
    await page.waitForSelector('#facts .state.consumed');
    expect(complaints).toEqual([]);
    expect((await run(['verify', '--public-key', '.countersign/ledger.key.pub'], { cwd: console.cwd })).code).toBe(0);
  });

  it('denies with a word that the agent gets', async () => {
    const console = await openConsole();
    const { page, complaints } = await loggedIn(console);
    const end = guarded(console.cwd, { path: '/srv/b.txt' });
    await page.waitForSelector('table.list a');
    await click(page, 'table.list a');
    await page.type('#message', 'ask the owner first');
    await click(page, 'button[value=deny]');
    expect(await textOf(page, '.done')).toContain('Denied');
    expect(await end).toMatchObject({ refused: expect.stringContaining('ask the owner first') });
    expect(complaints).toEqual([]);
  });

  it('edits the arguments: shows the difference, is asked anew, and exactly those run', async () => {
    const console = await openConsole();
    const { page, complaints } = await loggedIn(console);
    const end = guarded(console.cwd, { path: '/srv/c.txt', lines: 700 });
    await page.waitForSelector('table.list a');
    await click(page, 'table.list a');
    await page.keyboard.press('e');
    await page.waitForSelector('#args');
    await page.evaluate("const area = document.querySelector('#args'); area.value = area.value.replace('700', '70')");
    await click(page, 'button[value=review]');
    expect(await textOf(page, 'table.diff')).toMatch(/\/lines[^]*700[^]*70/);
    await click(page, 'button[value=edit]');
    expect(await textOf(page, '.done')).toContain('Your arguments are proposed');
    await click(page, '#up');
    await page.waitForSelector('table.list a');
    await click(page, 'table.list a');
    expect(await textOf(page)).toContain('A person changed these arguments');
    expect(await textOf(page, 'table.diff')).toMatch(/\/lines[^]*700[^]*70/);
    await click(page, 'button[value=approve]');
    expect(await end).toEqual({ ran: { path: '/srv/c.txt', lines: 70 } });
    expect(complaints).toEqual([]);
  });

  it('grants for a while: the next call runs without asking, until it is revoked', async () => {
    const console = await openConsole();
    const { page, complaints } = await loggedIn(console);
    const first = guarded(console.cwd, { path: '/srv/d1.txt' });
    await page.waitForSelector('table.list a');
    await click(page, 'table.list a');
    await page.click('#grant summary');
    await page.type('#reason', 'moving files all afternoon');
    await page.select('#scope', 'agent');
    await click(page, 'button[value=grant]');
    expect(await textOf(page, '.done')).toContain('granted for further calls');
    expect(await first).toEqual({ ran: { path: '/srv/d1.txt' } });
    expect(await guarded(console.cwd, { path: '/srv/d2.txt' })).toEqual({ ran: { path: '/srv/d2.txt' } });
    await click(page, 'nav a[href="/grants"]');
    expect(await textOf(page, '#grants')).toMatch(/files\/write_file[^]*4 of 5[^]*moving files all afternoon/);
    await click(page, 'button[value=revoke]');
    expect(await textOf(page, '#grants .state')).toBe('revoked');
    expect(complaints).toEqual([]);
  });

  it('takes the buttons away when somebody else answered, and keeps what is being written otherwise', async () => {
    const console = await openConsole();
    const [id = '', other = ''] = await calls(console.cwd, [{}, { args: { path: '/srv/other' } }]);
    const one = await loggedIn(console);
    await one.page.goto(`${console.url}/approvals/${id}`);
    await one.page.type('#message', 'half a thought');
    const second = await one.context.newPage();
    await second.goto(`${console.url}/approvals/${other}`);
    const refreshed = one.page.waitForResponse((response) => response.url().endsWith(`/approvals/${id}`));
    await click(second, 'button[value=deny]');
    await one.page.bringToFront();
    await refreshed;
    // It asks again only when it is done with what it got.
    await one.page.waitForResponse((response) => response.url().endsWith('/version'));
    expect(await one.page.evaluate("document.querySelector('#message').value")).toBe('half a thought');
    await second.bringToFront();
    await second.goto(`${console.url}/approvals/${id}`);
    await click(second, 'button[value=approve]');
    await one.page.bringToFront();
    await one.page.waitForSelector('#facts .state.approved');
    await one.page.waitForFunction("document.querySelector('button[value=approve]') === null");
    expect(one.complaints).toEqual([]);
  });

  it('works without scripts: the code typed, the form sent', async () => {
    const console = await openConsole();
    const [id = ''] = await calls(console.cwd, [{}]);
    const { page, complaints } = await openTab(browser, console.url);
    await page.setJavaScriptEnabled(false);
    await page.goto(`${console.url}/approvals/${id}`);
    await page.type('#code', new URL(console.newestLink()).hash.slice(1));
    await click(page, '#login');
    expect(page.url()).toBe(`${console.url}/approvals/${id}`);
    await click(page, 'button[value=approve]');
    expect(await textOf(page, '.done')).toContain('Approved.');
    expect(await stateOf(console.cwd, id)).toBe('approved');
    // A page nobody may read says so by its status, which the browser logs.
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
  });

  it('logs out everywhere it is open, and says so', async () => {
    const console = await openConsole();
    const { page, context } = await loggedIn(console);
    const second = await context.newPage();
    await second.goto(`${console.url}/approvals`);
    await click(second, 'header form button');
    expect(second.url()).toBe(`${console.url}/login`);
    await page.bringToFront();
    await page.waitForFunction("document.querySelector('#banner').textContent.includes('logged out')");
    await page.goto(`${console.url}/approvals`);
    expect(await textOf(page)).toContain('Log in to answer approvals');
  });

  it('is not moved by a page on another port, which the browser calls the same site', async () => {
    const console = await openConsole();
    const [id = ''] = await calls(console.cwd, [{}]);
    const { context } = await loggedIn(console);
    const target = `${console.url}/approvals/${id}`;
    const received: string[] = [];
    const server = createServer((request, response) => {
      received.push(request.headers.cookie ?? '');
      response.setHeader('content-type', 'text/html');
      response.end(
        `<!doctype html><form method="post" action="${target}"><input name="do" value="deny"></form><iframe src="${target}"></iframe>`,
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const attacker = await context.newPage();
    await attacker.goto(`http://127.0.0.1:${port}/`);
    // The reason why the cookie alone is worth nothing: the browser sends it here as well.
    expect(received[0]).toContain('countersign_');
    expect(attacker.frames().filter((frame) => frame.url().startsWith(console.url))).toEqual([]);
    const read = await attacker.evaluate(
      (url) =>
        fetch(url, { credentials: 'include' }).then(
          (answer) => answer.text(),
          () => 'blocked',
        ),
      target,
    );
    expect(read).toBe('blocked');
    const blind = await attacker.evaluate(
      (url) =>
        fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: new URLSearchParams({ do: 'deny' }) }).then(
          () => 'sent',
          () => 'blocked',
        ),
      target,
    );
    expect(['sent', 'blocked']).toContain(blind);
    await Promise.all([attacker.waitForNavigation(), attacker.evaluate('document.forms[0].submit()')]);
    expect(await attacker.evaluate('document.body.textContent')).toContain('forms are taken from this page only');
    expect(await stateOf(console.cwd, id)).toBe('pending');
  });

  it('finds its way back when a link was opened from another site', async () => {
    const console = await openConsole();
    const [id = ''] = await calls(console.cwd, [{}]);
    const { context } = await loggedIn(console);
    const elsewhere = await context.newPage();
    // Another site than 127.0.0.1 for the browser: the cookie stays at home.
    await elsewhere.setContent(`<a href="${console.url}/approvals/${id}">answer</a>`);
    await elsewhere.click('a');
    await elsewhere.waitForSelector('button[value=approve]');
    expect(elsewhere.url()).toBe(`${console.url}/approvals/${id}`);
  });

  it('fits a narrow phone, names every field, and has one heading of the first rank', async () => {
    const console = await openConsole();
    await calls(console.cwd, [
      {
        tool: `write_${'x'.repeat(100)}`,
        args: { ['k'.repeat(90)]: 'v'.repeat(3000), deep: { deep: { deep: { deep: ['y'.repeat(200)] } } } },
      },
    ]);
    const { page, complaints } = await loggedIn(console);
    await page.setViewport({ width: 320, height: 640 });
    const checks = (): Promise<unknown> =>
      page.evaluate(`({
        overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        unnamed: [...document.querySelectorAll('input:not([type=hidden]), textarea, select')].filter((field) => field.labels.length === 0).length,
        headings: document.querySelectorAll('h1').length,
        language: document.documentElement.lang,
      })`);
    const good = { overflow: 0, unnamed: 0, headings: 1, language: 'en' };
    expect(await checks()).toEqual(good);
    await click(page, 'table.list a');
    await page.click('#edit summary');
    expect(await checks()).toEqual(good);
    expect(complaints).toEqual([]);
  });
});
