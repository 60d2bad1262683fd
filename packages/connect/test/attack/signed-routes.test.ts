/** What reaches the signed routes on the wire: headers said twice, paths written otherwise, bodies under a second coding. */
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { slackInteractions } from '../../src/channels/slack-interactions.ts';
import { signedHeaders, webhookKey } from '../../src/channels/standard-webhooks.ts';
import { webhookAnswers } from '../../src/channels/webhook-answers.ts';
import { routed } from '../../src/http/routes.ts';
import { type Served, serve } from '../../src/http/serve.ts';
import { asking, webhookSecret } from '../channels/fixtures.ts';
import { SIGNING_SECRET, TEAM, TOKEN } from '../channels/slack-server.ts';

const SECRET = webhookSecret();
const SLACK = '/slack/interactions';
const HOOK = '/webhooks/pager';

interface Here {
  readonly id: string;
  readonly post: (path: string, headers: readonly string[], body: string | Buffer) => Promise<string>;
  readonly click: (more?: object) => Signed;
  readonly answer: () => Signed;
  /** Requests to the API of Slack and to wherever else a message could send us. */
  readonly asked: readonly string[];
  readonly state: () => Promise<string | undefined>;
}

interface Signed {
  readonly headers: readonly string[];
  readonly body: string;
}

async function here(): Promise<Here> {
  const asked: string[] = [];
  const outside = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.setHeader('content-type', 'application/json');
    response.end('{"ok":true}');
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => outside.close().closeAllConnections());
  const address = outside.address();
  const outsideUrl = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const { guard, ask } = asking();
  const { approvalId: id } = await ask();
  const { approvals } = guard;
  const users = new Map([['U0ANA', 'ana']]);
  const slack = slackInteractions({ approvals, users, team: TEAM, token: TOKEN, signingSecrets: [SIGNING_SECRET], apiUrl: outsideUrl });
  const hook = webhookAnswers({ approvals, senders: [{ name: 'pager', secrets: [SECRET] }] });
  const routes = [
    { path: SLACK, handler: slack.handle },
    { path: HOOK, handler: hook },
  ];
  const served = await serve({ handler: routed(routes, async () => new Response('elsewhere', { status: 404 })) });
  onTestFinished(() => served.close());
  onTestFinished(() => slack.close());
  return {
    id,
    asked,
    post: (path, headers, body) => post(served, path, headers, body),
    click: (more = {}) => slackClick(id, { response_url: `${outsideUrl}/response-url`, ...more }),
    answer: () => hookAnswer(id),
    state: async () => (await approvals.get(id))?.state,
  };
}

/** As a tunnel hands it over. Resolves with the whole answer. */
function post({ port }: Served, path: string, headers: readonly string[], body: string | Buffer): Promise<string> {
  const head = ['Host: tunnel.example', 'Connection: close', ...headers, `Content-Length: ${Buffer.byteLength(body)}`];
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write(`POST ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n`);
    socket.write(body);
  });
}

function slackClick(id: string, more: object): Signed {
  const payload = {
    type: 'block_actions',
    team: { id: TEAM },
    api_app_id: 'A0APP',
    user: { id: 'U0ANA' },
    channel: { id: 'C0OPS' },
    message: { ts: '1.1', blocks: [{ type: 'section' }] },
    actions: [{ action_id: 'countersign.approve', value: id }],
    ...more,
  };
  const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
  return { headers: ['Content-Type: application/x-www-form-urlencoded', ...slackSignature(body)], body };
}

function slackSignature(body: string | Buffer): readonly string[] {
  const at = String(Math.floor(Date.now() / 1000));
  const mac = createHmac('sha256', SIGNING_SECRET).update(`v0:${at}:`).update(body).digest('hex');
  return [`X-Slack-Request-Timestamp: ${at}`, `X-Slack-Signature: v0=${mac}`];
}

function hookAnswer(approval: string): Signed {
  const body = JSON.stringify({ type: 'approval.answer', data: { approval, decision: 'approve' } });
  const signed = Object.entries(signedHeaders([webhookKey(SECRET)], 'm1', Date.now(), body));
  return { headers: ['Content-Type: application/json', ...signed.map(([name, value]) => `${name}: ${value}`)], body };
}

describe.each([
  ['a click', SLACK, 'click'],
  ['an answer', HOOK, 'answer'],
] as const)('%s', (_name, path, kind) => {
  it('that is genuine is taken: what follows is refused for what is wrong with it', async () => {
    const at = await here();
    const { headers, body } = at[kind]();
    expect(await at.post(path, headers, body)).toMatch(/^HTTP\/1\.1 200 /);
    await expect.poll(at.state).toBe('approved');
  });

  it('whose signed headers are said twice is refused', async () => {
    const at = await here();
    const { headers, body } = at[kind]();
    for (const header of headers) {
      for (const other of [header, `${header.slice(0, header.indexOf(':'))}: x`]) {
        expect(await at.post(path, [...headers, other], body)).toMatch(/^HTTP\/1\.1 4\d\d /);
        expect(await at.post(path, [other, ...headers], body)).toMatch(/^HTTP\/1\.1 4\d\d /);
      }
    }
    expect(await at.state()).toBe('pending');
  });

  it.each([
    `/${path}`,
    `${path}/`,
    `${path}/x`,
    path.toUpperCase(),
    path.replace('s', '%73'),
    `/x/..${path}`,
    `${path}%00`,
    `http://tunnel.example${path}`,
  ])('to %s reaches nobody', async (other) => {
    const at = await here();
    const { headers, body } = at[kind]();
    expect(await at.post(other, headers, body)).toMatch(/^HTTP\/1\.1 40[04] /);
    expect(await at.state()).toBe('pending');
  });

  it('whose body was changed, cut or lengthened on the way is refused', async () => {
    const at = await here();
    const { headers, body } = at[kind]();
    for (const other of [`${body} `, ` ${body}`, body.slice(0, -1), body.replace('approve', 'Approve'), `${body}&a=b`, ''])
      expect(await at.post(path, headers, other)).toMatch(/^HTTP\/1\.1 401 /);
    expect(await at.state()).toBe('pending');
  });
});

it('a click under a content coding is not unpacked, however it is signed', async () => {
  const at = await here();
  const packed = gzipSync(at.click().body);
  const headers = ['Content-Type: application/x-www-form-urlencoded', 'Content-Encoding: gzip', ...slackSignature(packed)];
  expect(await at.post(SLACK, headers, packed)).toMatch(/^HTTP\/1\.1 400 /);
  expect(await at.state()).toBe('pending');
});

it('a click says where to answer it, and nobody goes there', async () => {
  const at = await here();
  const { headers, body } = at.click();
  await at.post(SLACK, headers, body);
  await expect.poll(() => at.asked.length).toBeGreaterThan(0);
  expect(new Set(at.asked)).toEqual(new Set(['/chat.update']));
});
