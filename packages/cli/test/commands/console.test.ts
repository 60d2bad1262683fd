import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { readLedger } from '@countersign/core/sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openBrowser } from '../../src/console/open-browser.ts';
import { calls, folder, json, project, type Ran, type RunOptions, run, Sink } from '../harness.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SHELL = fileURLToPath(new URL('../fixtures/shell-server.mjs', import.meta.url));
const LINK = /http:\/\/127\.0\.0\.1:\d+\/login#[A-Za-z0-9_-]{43}/g;

interface Opened {
  readonly stdin: PassThrough;
  readonly stderr: Sink;
  readonly url: string;
  /** Links printed so far. */
  links(): readonly string[];
  /** Waits until the terminal shows it. */
  shows(pattern: RegExp): Promise<void>;
  stop(): Promise<Ran>;
}

async function opened(cwd: string, argv: readonly string[] = [], options: RunOptions = {}): Promise<Opened> {
  const stdin = new PassThrough();
  const stderr = new Sink();
  const waiting = new Set<() => void>();
  stderr.onText = () => {
    for (const look of waiting) look();
  };
  const shows = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!pattern.test(stderr.text)) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const running = run(['console', '--port', '0', ...argv], { cwd, tty: true, stdin, stderr, ...options });
  const stop = (): Promise<Ran> => {
    stdin.end();
    return running;
  };
  onTestFinished(async () => void (await stop()));
  await Promise.race([shows(/Enter: a new link/), running]);
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(stderr.text)?.[0] ?? '';
  return { stdin, stderr, url, shows, stop, links: () => stderr.text.match(LINK) ?? [] };
}

function post(url: string, form: Readonly<Record<string, string>>, cookie = ''): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { origin: new URL(url).origin, 'sec-fetch-site': 'same-origin', ...(cookie !== '' && { cookie }) },
    body: new URLSearchParams(form),
  });
}

async function login(link: string): Promise<string> {
  const { origin, hash } = new URL(link);
  const answer = await post(`${origin}/login`, { code: hash.slice(1) });
  return answer.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
}

async function approve(url: string, id: string, cookie: string): Promise<Response> {
  const shown = await (await fetch(`${url}/approvals/${id}`, { headers: { cookie } })).text();
  const seen = /name="seen" value="([0-9a-f]+)"/.exec(shown)?.[1] ?? '';
  return post(`${url}/approvals/${id}`, { seen, do: 'approve' }, cookie);
}

async function stateOf(cwd: string, id: string): Promise<unknown> {
  const { approval } = json(await run(['approvals', 'show', id, '--json'], { cwd }));
  return typeof approval === 'object' && approval !== null && 'state' in approval ? approval.state : undefined;
}

async function withApprover(): Promise<string> {
  const cwd = await project();
  const { stdout } = await run(['keygen', '--out', 'finance.key'], { cwd });
  appendFileSync(join(cwd, 'countersign.yaml'), `approvers:\n  finance: { key: ${JSON.stringify(stdout.trim())} }\n`);
  return cwd;
}

/** What the shell said to a command that the agent chose. */
async function inShell(cwd: string, command: string): Promise<string> {
  const stdin = new PassThrough();
  stdin.end(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read_shell', arguments: { command } } })}\n`);
  const proxy = spawn(
    process.execPath,
    ['--conditions=@countersign/source', MAIN, 'proxy', '--server', 'sh', '--', process.execPath, SHELL],
    { cwd, stdio: ['pipe', 'pipe', 'ignore'] },
  );
  onTestFinished(() => void proxy.kill('SIGKILL'));
  stdin.pipe(proxy.stdin);
  let said = '';
  proxy.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await once(proxy, 'close');
  const text: unknown = JSON.parse(said.split('\n', 1)[0] ?? '').result?.content?.[0]?.text;
  if (typeof text !== 'string') throw new Error(`no answer: ${said}`);
  return text;
}

describe('console', () => {
  it('logs a browser in by the link on the terminal, takes its answer, and tells of both', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const page = await opened(cwd, ['--as', 'ana']);
    const [link = ''] = page.links();
    const cookie = await login(link);
    expect((await approve(page.url, id, cookie)).headers.get('location')).toBe(`/approvals/${id}?done=approved`);
    await page.shows(/logged in with the link\. If that was not you: Ctrl-C/);
    await page.shows(new RegExp(`approved ${id.slice(0, 8)} as ana`));
    const ran = await page.stop();
    expect([ran.code, ran.stdout]).toEqual([0, '']);
    expect(ran.stderr).not.toContain(cookie.split('=')[1]);
    expect(json(await run(['approvals', 'show', id, '--json'], { cwd }))).toMatchObject({
      approval: { state: 'approved', answers: [{ approver: 'ana' }] },
    });
    expect((await run(['verify', '--public-key', '.countersign/ledger.key.pub'], { cwd })).code).toBe(0);
    await expect(fetch(page.url)).rejects.toThrow('fetch failed');
  });

  it.runIf(process.platform === 'linux')('opens a browser at the page, and shows it nothing of the link', async () => {
    const bin = folder();
    const seen = join(bin, 'seen');
    writeFileSync(join(bin, 'xdg-open'), `#!/bin/sh\n{ echo "$@"; env; } > ${seen}.tmp; mv ${seen}.tmp ${seen}\n`, { mode: 0o755 });
    const page = await opened(await project(), [], { env: { DISPLAY: ':0', PATH: `${bin}:${process.env['PATH'] ?? ''}` } });
    while (!existsSync(seen)) await new Promise((resolve) => setImmediate(resolve));
    const text = readFileSync(seen, 'utf8');
    expect(text.split('\n', 1)).toEqual([`${page.url}/login`]);
    expect(text).not.toContain(new URL(page.links()[0] ?? '').hash.slice(1));
  });

  it('gives a new link at Enter, and the one before is worth nothing', async () => {
    const page = await opened(await project());
    page.stdin.write('\n');
    await page.shows(/(login#[^]*){2}/);
    const [first = '', second = ''] = page.links();
    expect(first).not.toBe(second);
    expect(await login(first)).toBe('');
    expect(await login(second)).not.toBe('');
  });

  it('answers as page:<user of this system> when nobody says otherwise', async () => {
    const page = await opened(await project());
    expect(page.stderr.text).toMatch(/are answered at http:\/\/127\.0\.0\.1:\d+ by page:\S+\n/);
  });

  it('opens a ledger that nobody has written to yet', async () => {
    const cwd = await project();
    const page = await opened(cwd);
    const cookie = await login(page.links()[0] ?? '');
    expect(await (await fetch(`${page.url}/approvals`, { headers: { cookie } })).text()).toContain('Nothing waits for you.');
  });

  it.each([
    ['neither', { tty: false }],
    ['neither, as JSON', { tty: false, json: true }],
  ])('shows no link where %s output is a terminal', async (_, { tty, ...more }) => {
    const cwd = await project();
    const ran = await run(['console', '--port', '0', ...('json' in more ? ['--json'] : [])], { cwd, tty });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('--link-file');
    expect(ran.stdout + ran.stderr).not.toMatch(/login#/);
    expect(existsSync(join(cwd, '.countersign/ledger.db'))).toBe(false);
  });

  it('writes the link to a new file of its owner alone, and nowhere else', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const page = await opened(cwd, ['--link-file', 'link']);
    const file = join(cwd, 'link');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(page.stderr.text).toContain(`Enter: a new link, in link (also: kill -HUP ${process.pid})`);
    const link = readFileSync(file, 'utf8').trim();
    const cookie = await login(link);
    await approve(page.url, id, cookie);
    const ran = await page.stop();
    // Every byte it wrote: both streams, and every file of the project.
    for (const secret of [new URL(link).hash.slice(1), cookie.split('=')[1] ?? '']) {
      expect(secret).toHaveLength(43);
      expect(ran.stdout + ran.stderr).not.toContain(secret);
      for (const name of readdirSync(cwd, { recursive: true, encoding: 'utf8' })) {
        const path = join(cwd, name);
        if (statSync(path).isFile()) expect([name, readFileSync(path, 'latin1').includes(secret)]).toEqual([name, false]);
      }
    }
    expect(existsSync(file)).toBe(false);
  });

  it.each([
    ['a file', (path: string) => writeFileSync(path, 'precious')],
    ['a link to a file', (path: string, cwd: string) => symlinkSync(join(cwd, 'countersign.yaml'), path)],
    ['a link to nothing', (path: string, cwd: string) => symlinkSync(join(cwd, 'nothing'), path)],
  ])('writes the link into no file that is there: %s', async (_, lay) => {
    const cwd = await project();
    const path = join(cwd, 'link');
    lay(path, cwd);
    const before = readFileSync(join(cwd, 'countersign.yaml'), 'utf8');
    const ran = await run(['console', '--port', '0', '--link-file', 'link'], { cwd, tty: true });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('[FILE_EXISTS]');
    expect(readFileSync(join(cwd, 'countersign.yaml'), 'utf8')).toBe(before);
    expect(existsSync(join(cwd, 'nothing'))).toBe(false);
    expect(lstatSync(path)).toBeDefined();
  });

  it('leaves a file alone that somebody laid in place of its own', async () => {
    const cwd = await project();
    const page = await opened(cwd, ['--link-file', 'link']);
    writeFileSync(join(cwd, 'other'), 'precious');
    renameSync(join(cwd, 'other'), join(cwd, 'link'));
    page.stdin.write('\n');
    await page.stop();
    expect(readFileSync(join(cwd, 'link'), 'utf8')).toBe('precious');
  });

  it('says what to do when the port is taken, and leaves nothing open', async () => {
    const cwd = await project();
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const ran = await run(['console', '--port', String(port)], { cwd, tty: true });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('[EADDRINUSE]');
    expect(ran.stderr).toContain('--port N');
    expect(ran.stderr).not.toMatch(/login#/);
  });

  it.each([
    [['--port', 'x'], 2, 'USAGE'],
    [['--port', '65536'], 2, 'USAGE'],
    [['--port', '-1'], 2, 'USAGE'],
    [['--as', ' '], 2, 'USAGE'],
    [['--as', 'a\u0007b'], 2, 'USAGE'],
    [['--as', 'x'.repeat(200)], 2, 'USAGE'],
    [['--as', 'finance'], 1, 'APPROVER_REFUSED'],
    [['--config', 'nowhere.yaml'], 4, 'CONFIG_NOT_FOUND'],
  ])('%j ends with %d', async (argv, code, name) => {
    const ran = await run(['console', ...argv, '--json'], { cwd: await withApprover(), tty: true });
    expect(ran.code).toBe(code);
    expect(json(ran)).toMatchObject({ error: { code: name } });
  });

  it.each(['COUNTERSIGN_CALL', 'COUNTERSIGN_GUARDED'])('is refused where %s is set', async (name) => {
    const ran = await run(['console', '--port', '0'], { cwd: await project(), tty: true, env: { [name]: '1' } });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('[APPROVER_REFUSED]');
    expect(ran.stderr).not.toMatch(/login#/);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends cleanly at %s', async (signal) => {
    const cwd = await project();
    const child = spawn(process.execPath, ['--conditions=@countersign/source', MAIN, 'console', '--port', '0', '--link-file', 'link'], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Ctrl-C: end it') && existsSync(join(cwd, 'link'))) child.kill(signal);
    });
    const [code]: (number | null)[] = await once(child, 'close');
    expect(code).toBe(0);
    expect(existsSync(join(cwd, 'link'))).toBe(false);
    // Its lease is gone with it: nobody takes this process for a guard later.
    const reader = readLedger(join(cwd, '.countersign/ledger.db'));
    expect(reader.liveWriterPids()).toEqual([]);
    reader.close();
  });
});

describe('an agent with a shell behind the proxy', () => {
  const countersign = `'${process.execPath}' --conditions=@countersign/source '${MAIN}'`;

  it.each([
    ['as it is', `${countersign} console --port 0 --link-file mine`],
    ['without our variables', `env -u COUNTERSIGN_GUARDED -u COUNTERSIGN_CALL ${countersign} console --port 0 --link-file mine`],
    ['from a shell in a shell', `env -i sh -c "exec ${countersign.replaceAll("'", '')} console --port 0 --link-file mine"`],
  ])('cannot open a console of its own, %s', async (_, command) => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const said = await inShell(cwd, command);
    expect(said).toContain('exit 1');
    expect(said).toContain('[APPROVER_REFUSED]');
    expect(existsSync(join(cwd, 'mine'))).toBe(false);
    expect(await stateOf(cwd, id)).toBe('pending');
  });

  it('cannot answer through a console that a person has open', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const page = await opened(cwd);
    const used = page.links()[0] ?? '';
    await login(used);
    const { origin, hash } = new URL(used);
    // Everything a browser would say, said by a program: all but a login.
    const send = `fetch('${origin}/approvals/${id}', { method: 'POST', redirect: 'manual', headers: { origin: '${origin}', cookie: process.argv[1] }, body: new URLSearchParams({ do: 'approve' }) }).then((r) => console.log(r.status))`;
    const relogin = `fetch('${origin}/login', { method: 'POST', redirect: 'manual', headers: { origin: '${origin}' }, body: new URLSearchParams({ code: '${hash.slice(1)}' }) }).then((r) => console.log(r.status, r.headers.get('set-cookie')))`;
    const port = new URL(origin).port;
    expect(await inShell(cwd, `'${process.execPath}' -e "${send}" ''`)).toContain('401');
    expect(await inShell(cwd, `'${process.execPath}' -e "${send}" 'countersign_${port}=${'A'.repeat(43)}'`)).toContain('401');
    expect(await inShell(cwd, `'${process.execPath}' -e "${relogin}"`)).toContain('403 null');
    expect(await stateOf(cwd, id)).toBe('pending');
  });
});

describe.runIf(process.platform === 'linux')('an agent with a shell that got hold of a secret', () => {
  it.each([
    ['as it is', ''],
    ['without our variables', 'env -u COUNTERSIGN_GUARDED -u COUNTERSIGN_CALL '],
  ])('cannot log in with a link, which is then worth nothing, %s', async (_, before) => {
    const cwd = await project();
    await calls(cwd, [{}]);
    const page = await opened(cwd);
    const { origin, hash } = new URL(page.links()[0] ?? '');
    const send = `fetch('${origin}/login', { method: 'POST', redirect: 'manual', headers: { origin: '${origin}' }, body: new URLSearchParams({ code: '${hash.slice(1)}' }) }).then((r) => console.log(r.status, r.headers.get('set-cookie')))`;
    expect(await inShell(cwd, `${before}'${process.execPath}' -e "${send}"`)).toContain('403 null');
    await page.shows(/REFUSED a login or an answer: approvals are answered from outside of a guarded process tree/);
    expect(await login(page.links()[0] ?? '')).toBe('');
  });

  it('cannot answer with the cookie of a person', async () => {
    const cwd = await project();
    const [id = ''] = await calls(cwd, [{}]);
    const page = await opened(cwd);
    const cookie = await login(page.links()[0] ?? '');
    const send = `(async () => { const h = { origin: '${page.url}', cookie: '${cookie}' }; const text = await (await fetch('${page.url}/approvals/${id}', { headers: h })).text(); const seen = /name=.seen. value=.([0-9a-f]+)/.exec(text)?.[1]; const r = await fetch('${page.url}/approvals/${id}', { method: 'POST', redirect: 'manual', headers: h, body: new URLSearchParams({ do: 'approve', seen }) }); console.log(r.status, typeof seen); })()`;
    expect(await inShell(cwd, `'${process.execPath}' -e "${send}"`)).toContain('403 string');
    expect(await stateOf(cwd, id)).toBe('pending');
    // The same words from outside are taken, so it was the tree that was refused.
    expect((await approve(page.url, id, cookie)).status).toBe(303);
  });
});

describe('openBrowser', () => {
  const url = 'http://127.0.0.1:4680/login';

  it.each<[NodeJS.ProcessEnv, NodeJS.Platform]>([
    [{}, 'linux'],
    [{ DISPLAY: '' }, 'linux'],
    [{ DISPLAY: ':0', SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, 'linux'],
    [{ DISPLAY: ':0' }, 'win32'],
  ])('opens nothing with %j on %s', (env, platform) => {
    expect(openBrowser(url, env, platform)).toBe(false);
  });

  it.runIf(process.platform === 'linux')('hands over what it is given, and nothing else', async () => {
    const bin = folder();
    const seen = join(bin, 'seen');
    writeFileSync(join(bin, 'xdg-open'), `#!/bin/sh\necho "$@" > ${seen}.tmp; mv ${seen}.tmp ${seen}\n`, { mode: 0o755 });
    expect(openBrowser(url, { DISPLAY: ':0', PATH: `${bin}:${process.env['PATH'] ?? ''}` }, 'linux')).toBe(true);
    while (!existsSync(seen)) await new Promise((resolve) => setImmediate(resolve));
    expect(readFileSync(seen, 'utf8')).toBe(`${url}\n`);
  });
});

describe('signed answers', () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const withSender = (): Promise<string> =>
    project('', (text) => text.replace('approvals:\n', 'approvals:\n  senders: { pager: { secret: { env: PAGER_SECRET } } }\n'));

  it('of a configured sender are taken beside the page, without a login, and of nobody else', async () => {
    const cwd = await withSender();
    const [id] = await calls(cwd, [{}]);
    const page = await opened(cwd, [], { env: { PAGER_SECRET: secret } });
    const { url } = page;
    expect(page.stderr.text).toContain(`signed answers are taken at ${url}/webhooks/pager`);
    const body = JSON.stringify({ type: 'approval.answer', data: { approval: id, decision: 'approve' } });
    const send = async (key: string): Promise<number> => {
      const at = Math.floor(Date.now() / 1000);
      const mac = createHmac('sha256', Buffer.from(key.slice(6), 'base64'))
        .update(`m1.${at}.${body}`)
        .digest('base64');
      const headers = {
        'content-type': 'application/json',
        'webhook-id': 'm1',
        'webhook-timestamp': String(at),
        'webhook-signature': `v1,${mac}`,
      };
      return (await fetch(`${url}/webhooks/pager`, { method: 'POST', headers, body })).status;
    };
    for (let i = 0; i < 3; i++) expect(await send(`whsec_${Buffer.alloc(32, 8).toString('base64')}`)).toBe(401);
    expect(await send(secret)).toBe(200);
    const { stderr } = await page.stop();
    expect(stderr).toMatch(/REFUSED a request to \/webhooks\/pager: no sender known here signed this message \[SIGNATURE_INVALID\]/);
    expect(stderr).toMatch(/REFUSED 2 requests to \/webhooks\/pager/);
    expect(stderr).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d approved ${id?.slice(0, 8)} as pager$`, 'm'));
    expect(json(await run(['approvals', 'show', id ?? '', '--json'], { cwd }))['approval']).toMatchObject({
      state: 'approved',
      answers: [{ approver: 'pager' }],
    });
  });

  it('keep the console from starting when their secret is not there', async () => {
    const ran = await run(['console', '--port', '0'], { cwd: await withSender(), tty: true });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('approvals.senders.pager.secret: the variable PAGER_SECRET is not set');
  });
});
