import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, CountersignError, parseConfig } from '@countersign/core';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { checkChannels, configuredAnswers, configuredChannels } from '../../src/channels/configured.ts';
import { readSecret } from '../../src/channels/secret.ts';
import { signedHeaders, webhookKey } from '../../src/channels/standard-webhooks.ts';
import { routed } from '../../src/http/routes.ts';
import { serve } from '../../src/http/serve.ts';
import { json, decisionPoint as receiver } from '../authzen/decision-point.ts';
import { asking, webhookSecret } from './fixtures.ts';
import { SIGNING_SECRET, TOKEN } from './slack-server.ts';

const [out, pager] = [webhookSecret(), webhookSecret()];
const ENV = { OUT: out, PAGER: pager, TOKEN, SIGNING: SIGNING_SECRET };
const SLACK = 'slack: { channel: C0OPS, team: T0TEAM, token: { env: TOKEN }, signing_secret: { env: SIGNING }, users: [U0ALICE] }';

function config(approvals: string): Config {
  return parseConfig(`version: 1\nagent: bot\npolicy: { id: p, rules: [] }\napprovals: { ${approvals} }\n`);
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-channels-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function told(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a secret', () => {
  it('comes from a variable or a file, without the space around it', () => {
    const file = join(folder(), 'secret');
    writeFileSync(file, ` ${out}\n`, { mode: 0o600 });
    expect(readSecret({ env: 'A' }, { A: `${out}\n` }, 'x')).toBe(out);
    expect(readSecret({ file }, {}, 'x')).toBe(out);
  });

  it.each([0o644, 0o640, 0o604, 0o660])('in a file of mode %o is refused by the name of the file', (mode) => {
    const file = join(folder(), 'secret');
    writeFileSync(file, 'hunter2-hunter2', { mode });
    chmodSync(file, mode);
    const message = told(() => readSecret({ file }, {}, 'approvals.x'));
    expect(message).toBe(`approvals.x: the file ${file} is open to other users (mode ${mode.toString(8)}); run: chmod 600 ${file}`);
  });

  it('that a link leads to is judged by where it leads', () => {
    const path = folder();
    writeFileSync(join(path, 'open'), 'hunter2-hunter2', { mode: 0o644 });
    symlinkSync(join(path, 'open'), join(path, 'link'));
    expect(told(() => readSecret({ file: join(path, 'link') }, {}, 'x'))).toContain('open to other users');
  });

  it.each<[string, (path: string) => void, string]>([
    ['is not there', () => {}, 'cannot be opened (ENOENT)'],
    ['is a folder', (path) => mkdirSync(path, { mode: 0o700 }), 'not a regular file'],
    ['is empty', (path) => writeFileSync(path, '\n', { mode: 0o600 }), 'is empty'],
    ['is too long', (path) => writeFileSync(path, 'hunter2'.repeat(1000), { mode: 0o600 }), 'is longer than 4096 bytes'],
  ])('in a file that %s is refused', (_, make, why) => {
    const file = join(folder(), 'secret');
    make(file);
    const message = told(() => readSecret({ file }, {}, 'x'));
    expect(message).toContain(why);
    expect(message).not.toContain('hunter2');
  });

  it.each<{ readonly [name: string]: string }>([{}, { A: '' }, { A: '  \n' }, { constructor: 'x' }])(
    'in a variable that is not set is refused: %j',
    (env) => {
      expect(told(() => readSecret({ env: 'A' }, env, 'approvals.x'))).toBe('approvals.x: the variable A is not set: put the secret there');
    },
  );
});

describe('channels of a configuration', () => {
  it('ask where it says, signed with the secret it names, with a link to the page it names', async () => {
    const point = await receiver(json({}));
    const configured = configuredChannels(
      config(`channels: [page, { webhook: { url: "${point.url}/x", secret: { env: OUT }, settled: true } }], page: { port: 4999 }`),
      { env: ENV, approval: (id) => guard.approvals.get(id) },
    );
    const { guard, ask } = asking({ channels: configured.channels });
    const { approvalId } = await ask();
    await vi.waitFor(() => expect(point.received).toHaveLength(1), 20_000);
    const { body = '', headers } = point.received[0] ?? {};
    expect(new Webhook(out).verify(body, headers as Record<string, string>)).toMatchObject({
      data: { id: approvalId, url: `http://127.0.0.1:4999/approvals/${approvalId}` },
    });
    await guard.approvals.resolve(approvalId, { decision: 'approve' }, { id: 'zoe', method: 'host' });
    await guard.close();
    await configured.close();
    // Closing waited for it.
    expect(point.received).toHaveLength(2);
  });

  it('without a page have no link, without anything to send are none', async () => {
    const point = await receiver(json({}));
    const { channels } = configuredChannels(config(`channels: [{ webhook: { url: "${point.url}", secret: { env: OUT } } }]`), { env: ENV });
    const { guard, ask } = asking({ channels });
    await ask();
    await vi.waitFor(() => expect(point.received).toHaveLength(1), 20_000);
    expect(point.received[0]?.body).not.toContain('"url"');
    await guard.close();
    expect(configuredChannels(config('channels: [page, elicitation, terminal]'), { env: ENV, terminal: false }).channels).toEqual([]);
  });

  it.each([
    [
      'a secret that is not set',
      'channels: [page, { webhook: { url: "https://a.example", secret: { env: NO } } }]',
      'approvals.channels[1].webhook.secret: the variable NO is not set',
    ],
    [
      'a secret that is none',
      'channels: [{ webhook: { url: "https://a.example", secret: { env: TOKEN } } }]',
      'approvals.channels[0].webhook: a webhook secret is whsec_',
    ],
    [
      'plain http elsewhere',
      'channels: [{ webhook: { url: "http://a.example", secret: { env: OUT } } }]',
      'approvals.channels[0].webhook: url must be https',
    ],
    [
      'a query with a token in it',
      'channels: [{ webhook: { url: "https://a.example/?t=hunter2", secret: { env: OUT } } }]',
      'must have no query',
    ],
    [
      'a token that is none',
      `channels: [{ ${SLACK.replace('TOKEN', 'OUT')} }]`,
      'approvals.channels[0].slack: the token of a Slack bot starts with xoxb-',
    ],
  ])('with %s are refused, and named', (_, approvals, message) => {
    const text = told(() => configuredChannels(config(approvals), { env: ENV }));
    expect(text).toContain(message);
    for (const secret of [...Object.values(ENV), 'hunter2']) expect(text).not.toContain(secret);
  });

  it('do not need the secrets of those who answer', () => {
    const { TOKEN: token } = ENV;
    const both = config(`channels: [{ ${SLACK} }], senders: { pager: { secret: { env: PAGER } } }`);
    expect(configuredChannels(both, { env: { TOKEN: token } }).channels).toHaveLength(1);
  });
});

describe('answers of a configuration', () => {
  it('come in under the name of their sender, and by nobody else', async () => {
    const { guard, ask } = asking();
    const answers = configuredAnswers(
      config(`channels: [{ ${SLACK} }], senders: { pager: { secret: { env: PAGER } }, desk: { secret: { env: OUT }, approvers: [bob] } }`),
      { approvals: guard.approvals, env: ENV },
    );
    expect(answers.routes.map(({ path }) => path)).toEqual(['/webhooks/pager', '/webhooks/desk', '/slack/interactions']);
    const server = await serve({ handler: routed(answers.routes, async () => new Response(null, { status: 404 })) });
    const { approvalId } = await ask();
    const body = JSON.stringify({ type: 'approval.answer', data: { approval: approvalId, decision: 'approve' } });
    const send = async (path: string, secret: string): Promise<number> => {
      const headers = { 'content-type': 'application/json', ...signedHeaders([webhookKey(secret)], 'm1', Date.now(), body) };
      return (await fetch(`${server.url}${path}`, { method: 'POST', headers, body })).status;
    };
    expect(await send('/webhooks/desk', pager)).toBe(401);
    expect(await send('/webhooks/nobody', pager)).toBe(404);
    expect(await send('/slack/interactions', pager)).toBe(415);
    expect(await send('/webhooks/pager', pager)).toBe(200);
    expect((await guard.approvals.get(approvalId))?.answers).toMatchObject([{ approver: 'pager' }]);
    await server.close();
    await answers.close();
    await guard.close();
  });

  it.each([
    [
      'a secret that is not set',
      'senders: { pager: { secret: { env: NO } } }',
      'approvals.senders.pager.secret: the variable NO is not set',
    ],
    ['a secret that is none', 'senders: { pager: { secret: { env: TOKEN } } }', 'approvals.senders.pager: a webhook secret is whsec_'],
    [
      'one secret for two',
      'senders: { pager: { secret: { env: PAGER } }, desk: { secret: [{ env: OUT }, { env: PAGER }] } }',
      'approvals.senders.desk: has a secret of pager',
    ],
    [
      'no signing secret',
      `channels: [{ ${SLACK.replace('SIGNING', 'NO')} }]`,
      'approvals.channels[0].slack.signing_secret: the variable NO is not set',
    ],
  ])('with %s are refused, and named', (_, approvals, message) => {
    const { guard } = asking();
    const text = told(() => configuredAnswers(config(approvals), { approvals: guard.approvals, env: ENV }));
    expect(text).toContain(message);
    for (const secret of Object.values(ENV)) expect(text).not.toContain(secret);
  });
});

describe('looking whether they could be used', () => {
  const all = `channels: [page, { webhook: { url: "https://a.example/x", secret: { env: OUT }, settled: true } }, { ${SLACK} }], senders: { pager: { secret: { env: PAGER } } }`;

  it('says of each that it can, and sends nothing', () => {
    const fetched = vi.spyOn(globalThis, 'fetch');
    onTestFinished(() => fetched.mockRestore());
    expect(checkChannels(config(all), ENV)).toEqual([{ name: 'webhook a.example' }, { name: 'slack C0OPS' }, { name: 'sender pager' }]);
    expect(fetched).not.toHaveBeenCalled();
  });

  it('says of each why not', () => {
    expect(checkChannels(config(all), { TOKEN }).map(({ name, problem }) => [name, problem])).toEqual([
      ['webhook a.example', 'approvals.channels[1].webhook.secret: the variable OUT is not set: put the secret there'],
      ['slack C0OPS', 'approvals.channels[2].slack.signing_secret: the variable SIGNING is not set: put the secret there'],
      ['sender pager', 'approvals.senders.pager.secret: the variable PAGER is not set: put the secret there'],
    ]);
    const same = 'senders: { a: { secret: { env: PAGER } }, b: { secret: { env: PAGER } } }';
    expect(checkChannels(config(same), ENV).at(-1)).toEqual({ name: 'senders', problem: expect.stringContaining('has a secret of a') });
  });
});
