import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CountersignError, parseConfig } from '@countersign/core';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { configuredAlertWebhooks } from '../../src/channels/configured.ts';
import { MAX_MESSAGE_BYTES, webhookMessages } from '../../src/channels/webhook-messages.ts';
import { type Answer, freePort, json, decisionPoint as receiver } from '../authzen/decision-point.ts';
import { fakeTiming, webhookSecret } from './fixtures.ts';

const secret = webhookSecret();
const MESSAGE = { type: 'monitor.alert', id: 'alert_ab_frozen', data: { level: 'HALT', rule: 'mass-deletion' } };
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end();

async function sent(answer: Answer, message = MESSAGE) {
  const point = await receiver(answer);
  const failure = await webhookMessages({ url: `${point.url}/alerts`, secrets: [secret], timing: fakeTiming() })
    .send(message)
    .catch((error: unknown) => error);
  return { point, failure };
}

describe('a message', () => {
  it('is one signed POST', async () => {
    const { point, failure } = await sent(json({}));
    expect(failure).toBeUndefined();
    expect(point.received).toHaveLength(1);
    expect(point.received[0]).toMatchObject({ method: 'POST', url: '/alerts', headers: { 'webhook-id': 'alert_ab_frozen' } });
    const { body = '', headers = {} } = point.received[0] ?? {};
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual({
      type: 'monitor.alert',
      timestamp: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/),
      data: MESSAGE.data,
    });
  });

  it('is tried again under the same id while that may help', async () => {
    const { point, failure } = await sent((response, request, count) => (count < 3 ? status(503) : json({}))(response, request, count));
    expect(failure).toBeUndefined();
    expect(point.received.map(({ headers }) => headers['webhook-id'])).toEqual(Array(3).fill('alert_ab_frozen'));
  });

  it.each([
    [status(404), 1],
    [status(307, { location: 'http://127.0.0.1:1/' }), 1],
    [status(500), 6],
  ] as const)('is reported when nobody takes it', async (answer, tries) => {
    const { point, failure } = await sent(answer);
    expect(failure).toMatchObject({ code: 'CHANNEL_FAILED' });
    expect(point.received).toHaveLength(tries);
  });

  it('is given up when it is withdrawn, or nobody is there', async () => {
    const url = `http://127.0.0.1:${await freePort()}/`;
    const gone = webhookMessages({ url, secrets: [secret], timing: fakeTiming(), tries: 1 });
    await expect(gone.send(MESSAGE)).rejects.toMatchObject({ code: 'CHANNEL_FAILED', message: expect.not.stringContaining(url) });
    await expect(gone.send(MESSAGE, AbortSignal.abort())).rejects.toMatchObject({ code: 'CHANNEL_FAILED' });
  });

  it('is not sent when it is too large, or its id could be taken for another', async () => {
    const large = await sent(json({}), { ...MESSAGE, data: { level: 'x'.repeat(MAX_MESSAGE_BYTES), rule: '' } });
    expect(large.failure).toMatchObject({ code: 'CHANNEL_FAILED' });
    for (const id of ['', 'a.1', 'a b', 'x'.repeat(251)]) {
      const odd = await sent(json({}), { ...MESSAGE, id });
      expect(odd.failure, id).toMatchObject({ code: 'OPTIONS_INVALID' });
      expect(odd.point.received).toEqual([]);
    }
    expect(large.point.received).toEqual([]);
  });

  it.each([
    { secrets: [] },
    { secrets: ['whsec_short'] },
    { url: 'http://alerts.example' },
    { url: 'https://me:pw@alerts.example' },
    { url: 'https://alerts.example?x' },
    { tries: 0 },
  ])('refuses %o', (options) => {
    expect(() => webhookMessages({ url: 'https://alerts.example', secrets: [secret], ...options })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });
});

describe('from the configuration', () => {
  function configured(webhooks: string, path = '/etc/c/countersign.yaml') {
    return parseConfig(`version: 1\nagent: a\npolicy: { id: p, rules: [] }\nmonitor: { alerts: { webhooks: ${webhooks} } }\n`, { path });
  }

  it('posts to each, with the secret that lies where it says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-alerts-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, 'hook.key'), secret, { mode: 0o600 });
    const point = await receiver(json({}));
    const config = configured(
      `[{ url: "${point.url}/a", secret: { env: HOOK } }, { url: "${point.url}/b", secret: { file: hook.key } }]`,
      join(folder, 'countersign.yaml'),
    );
    const hooks = configuredAlertWebhooks(config, { env: { HOOK: secret } });
    for (const hook of hooks) await hook.send(MESSAGE);
    expect(point.received.map(({ url }) => url)).toEqual(['/a', '/b']);
  });

  it.each([
    ['[{ url: "https://x.example", secret: { env: HOOK } }]', {}, 'monitor.alerts.webhooks[0].secret: the variable HOOK'],
    ['[{ url: "https://x.example", secret: { env: HOOK } }]', { HOOK: 'hunter2' }, 'monitor.alerts.webhooks[0]'],
    ['[{ url: "http://x.example", secret: { env: HOOK } }]', { HOOK: secret }, 'monitor.alerts.webhooks[0]'],
  ])('refuses %s with %o', (webhooks, env, message) => {
    try {
      configuredAlertWebhooks(configured(webhooks), { env });
      expect.unreachable();
    } catch (error) {
      expect(CountersignError.is(error) && error.code).toBe('CONFIG_INVALID');
      expect((error as Error).message).toContain(message);
      expect((error as Error).message).not.toContain('hunter2');
    }
  });
});
