import { spawn } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { CountersignError, createRedactor } from '@countersign/core';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it, vi } from 'vitest';
import { MAX_MESSAGES } from '../../src/channels/outbox.ts';
import { MAX_ARGS_BYTES, type WebhookOptions, webhookChannel } from '../../src/channels/webhook.ts';
import { type Answer, freePort, json, type DecisionPoint as Receiver, decisionPoint as receiver } from '../authzen/decision-point.ts';
import { approvalRequest, asking, fakeTiming, never, noAnswer, webhookSecret } from './fixtures.ts';

const secret = webhookSecret();
const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end('whatever');
/** One answer after another, the last one again and again. */
const inTurn =
  (...answers: readonly Answer[]): Answer =>
  (response, request, count) =>
    answers[Math.min(count, answers.length) - 1]?.(response, request, count);

async function asked(answer: Answer, options: Partial<WebhookOptions> = {}, request = approvalRequest()) {
  const point = await receiver(answer);
  const timing = fakeTiming();
  const channel = webhookChannel({ url: `${point.url}/hook/`, secrets: [secret], timing, ...options });
  const failure = await channel.ask(request, noAnswer, never).then(
    () => undefined,
    (error: unknown) => error,
  );
  return { point, timing, channel, failure };
}

function bodyOf(point: Receiver, at = 0): Record<string, unknown> {
  const received = point.received[at];
  return new Webhook(secret).verify(received?.body ?? '', received?.headers as Record<string, string>) as Record<string, unknown>;
}

describe('a request', () => {
  it('is one signed POST to exactly the URL, and says everything an approver needs', async () => {
    const request = approvalRequest({ expiresAtMs: Date.UTC(2100, 0, 2) });
    const { point, failure } = await asked(json({}), { pageUrl: 'http://127.0.0.1:4680/' }, request);
    expect(failure).toBeUndefined();
    expect(point.received).toHaveLength(1);
    expect(point.received[0]).toMatchObject({
      method: 'POST',
      url: '/hook/',
      headers: { 'content-type': 'application/json', 'user-agent': 'countersign', 'webhook-id': `asked_${request.id}` },
    });
    expect(bodyOf(point)).toEqual({
      type: 'approval.asked',
      timestamp: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/),
      data: {
        id: request.id,
        call: '0198c0de',
        agent: 'billing-bot',
        session: 's1',
        principal: 'ana',
        tool: { server: 'shop', name: 'refund' },
        args: { amount: 900, note: '[redacted:jwt]' },
        reason: 'over 500',
        rule: 'big-refund',
        expires_at: '2100-01-02T00:00:00.000Z',
        url: `http://127.0.0.1:4680/approvals/${request.id}`,
      },
    });
  });

  it('is signed with every secret while one is being replaced', async () => {
    const next = webhookSecret();
    const { point } = await asked(json({}), { secrets: [next, secret] });
    const { body = '', headers } = point.received[0] ?? {};
    for (const each of [secret, next])
      expect(new Webhook(each).verify(body, headers as Record<string, string>)).toMatchObject({ type: 'approval.asked' });
  });

  it('leaves large arguments out, and says so', async () => {
    const { point } = await asked(json({}), {}, approvalRequest({ args: { text: 'x'.repeat(MAX_ARGS_BYTES) } }));
    const { data } = bodyOf(point) as { data: Record<string, unknown> };
    expect(data).toMatchObject({ args_omitted: { bytes: MAX_ARGS_BYTES + 20 } });
    expect(data).not.toHaveProperty('args');
    expect(point.received[0]?.body.length).toBeLessThan(2000);
  });

  it('shows what an edit started from', async () => {
    const { point } = await asked(json({}), {}, approvalRequest({ edited: { from: { amount: 9000 } }, assurance: 'high' }));
    expect(bodyOf(point)).toMatchObject({ data: { args: { amount: 900 }, edited_from: { amount: 9000 }, assurance: 'high' } });
  });
});

describe('retries', () => {
  it.each([429, 500, 502, 503, 504])('status %i is tried again with the same id, a new time and a new signature', async (code) => {
    const { point, timing, failure } = await asked(inTurn(status(code), status(code), status(204)));
    expect(failure).toBeUndefined();
    expect(timing.pauses).toEqual([750, 1500]);
    const headers = point.received.map((received) => received.headers);
    expect(new Set(headers.map((each) => each['webhook-id'])).size).toBe(1);
    expect(new Set(headers.map((each) => each['webhook-timestamp'])).size).toBeGreaterThan(1);
    expect(new Set(point.received.map(({ body }) => body)).size).toBe(1);
    for (let at = 0; at < 3; at++) expect(bodyOf(point, at)).toMatchObject({ type: 'approval.asked' });
  });

  it('waits between half and all of twice as long each time', async () => {
    const least = await asked(status(500), { timing: fakeTiming(0), tries: 8 });
    expect(least.point.received).toHaveLength(8);
    const timing = fakeTiming(1);
    await asked(status(500), { timing, tries: 8 });
    expect(timing.pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
  });

  it.each([
    ['in seconds', '7', 7000],
    ['as a date', new Date(Date.now() + 90_000).toUTCString(), 85_000],
  ])('waits as long as retry-after says %s', async (_, value, least) => {
    const { timing, failure } = await asked(inTurn(status(503, { 'retry-after': value }), status(200)));
    expect(failure).toBeUndefined();
    expect(timing.pauses).toHaveLength(1);
    expect(timing.pauses[0]).toBeGreaterThanOrEqual(least);
  });

  it.each(['soon', '-1', '1e3', '99999999999999', ''])('a retry-after of %j is not obeyed', async (value) => {
    const { timing } = await asked(inTurn(status(429, { 'retry-after': value }), status(200)));
    expect(timing.pauses).toEqual([750]);
  });

  it.each([400, 401, 403, 404, 410, 422])('status %i is final', async (code) => {
    const { point, failure } = await asked(status(code));
    expect(point.received).toHaveLength(1);
    expect(failure).toMatchObject({ code: 'CHANNEL_FAILED', message: expect.stringContaining(`answered with status ${code}`) });
  });

  it.each([301, 302, 307, 308])('a redirect with %i is never followed', async (code) => {
    const other = await receiver(json({}));
    const { point, failure } = await asked(status(code, { location: other.url }));
    expect(point.received).toHaveLength(1);
    expect(other.received).toHaveLength(0);
    expect(failure).toMatchObject({ code: 'CHANNEL_FAILED', message: expect.stringContaining('redirect') });
  });

  it('ends after so many tries', async () => {
    const { point, failure } = await asked(status(500), { tries: 3 });
    expect(point.received).toHaveLength(3);
    expect(failure).toMatchObject({ code: 'CHANNEL_FAILED', message: expect.stringContaining('status 500; given up after 3 tries') });
  });

  it('never outlive the approval', async () => {
    const { point, failure } = await asked(status(500), {}, approvalRequest({ expiresAtMs: Date.now() + 2000 }));
    expect(point.received.length).toBeLessThan(4);
    expect(failure).toMatchObject({ message: expect.stringContaining('no time is left') });
    const late = await asked(status(429, { 'retry-after': '3600' }));
    expect(late.point.received).toHaveLength(1);
    expect(late.timing.pauses).toEqual([]);
    expect(late.failure).toMatchObject({ message: expect.stringContaining('no time is left') });
  });

  it('go on after a reset, a refusal and silence', async () => {
    const reset: Answer = (response) => void response.destroy();
    const { point, failure } = await asked(inTurn(reset, status(200)));
    expect(failure).toBeUndefined();
    expect(point.received).toHaveLength(2);

    const silent = await asked(
      inTurn(() => {}, status(200)),
      { timeoutMs: 50 },
    );
    expect(silent.failure).toBeUndefined();

    const timing = fakeTiming();
    const nobody = webhookChannel({ url: `http://127.0.0.1:${await freePort()}`, secrets: [secret], timing, tries: 2 });
    await expect(nobody.ask(approvalRequest(), noAnswer, never)).rejects.toThrow(/refused the connection; given up after 2 tries/);
  });

  it('stop when the prompt is withdrawn', async () => {
    const stop = new AbortController();
    const { url, received } = await receiver((response) => {
      stop.abort();
      status(500)(response, response.req, 1);
    });
    const channel = webhookChannel({ url, secrets: [secret], timing: fakeTiming() });
    await channel.ask(approvalRequest(), noAnswer, stop.signal);
    expect(received).toHaveLength(1);
  });
});

describe('a hostile receiver', () => {
  it('is not listened to: floods, zip bombs and endless bodies are dropped', async () => {
    const flood: Answer = (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.write(gzipSync(Buffer.alloc(50_000_000)));
      // Never ended.
    };
    expect((await asked(flood)).failure).toBeUndefined();
  });

  it('is asked by so many requests at once, and never by more', async () => {
    let open = 0;
    let most = 0;
    const held: (() => void)[] = [];
    const { url } = await receiver((response) => {
      most = Math.max(most, ++open);
      held.push(() => {
        open--;
        response.writeHead(204).end();
      });
    });
    const channel = webhookChannel({ url, secrets: [secret], timing: fakeTiming() });
    const all = Array.from({ length: 20 }, (_, i) => channel.ask(approvalRequest({ id: `a${i}` }), noAnswer, never));
    for (let answered = 0; answered < 20; ) {
      await vi.waitFor(() => expect(held.length).toBeGreaterThan(0), 20_000);
      for (const release of held.splice(0)) {
        release();
        answered++;
      }
    }
    await Promise.all(all);
    expect(most).toBe(8);
  });

  it('that never answers holds a bounded number of messages', async () => {
    const { url } = await receiver(() => {});
    const channel = webhookChannel({ url, secrets: [secret] });
    const stop = new AbortController();
    const waiting = Array.from({ length: MAX_MESSAGES }, (_, i) => channel.ask(approvalRequest({ id: `a${i}` }), noAnswer, stop.signal));
    await expect(channel.ask(approvalRequest(), noAnswer, stop.signal)).rejects.toThrow(/1000 messages waiting/);
    stop.abort();
    await Promise.all(waiting);
    await channel.close();
  });
});

describe('options', () => {
  it.each([
    ['no secret', { secrets: [] }],
    ['too many secrets', { secrets: Array.from({ length: 5 }, () => webhookSecret()) }],
    ['a secret that is none', { secrets: ['hunter2'] }],
    ['plain http elsewhere', { url: 'http://pager.example/x' }],
    ['credentials in the URL', { url: 'https://user:hunter2@pager.example/x' }],
    ['a query', { url: 'https://pager.example/x?token=hunter2' }],
    ['another protocol', { url: 'file:///etc/passwd' }],
    ['no URL', { url: 'pager' }],
    ['no tries', { tries: 0 }],
    ['no time', { timeoutMs: 0 }],
    ['telling of ends without knowing them', { settled: true }],
  ])('%s is refused, and nothing of it repeated', (_, change) => {
    let error: unknown;
    try {
      webhookChannel({ url: 'https://pager.example', secrets: [secret], ...change });
    } catch (thrown) {
      error = thrown;
    }
    expect(CountersignError.is(error) && error.code).toBe('OPTIONS_INVALID');
    expect(String(error)).not.toContain('hunter2');
  });

  it('refuses TLS that is not verified, unless that is wanted', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    try {
      const channel = webhookChannel({ url: 'https://127.0.0.1:1', secrets: [secret], timing: fakeTiming() });
      await expect(channel.ask(approvalRequest(), noAnswer, never)).rejects.toThrow(/switches certificate checks off/);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('with a guard', () => {
  it('asks, and tells when the approval was settled', async () => {
    const point = await receiver(status(204));
    const { guard, ask } = asking({
      channels: [webhookChannel({ url: point.url, secrets: [secret], settled: true, approval: (id) => guard.approvals.get(id) })],
    });
    const { approvalId } = await ask();
    await vi.waitFor(() => expect(point.received).toHaveLength(1), 20_000);
    await guard.approvals.resolve(approvalId, { decision: 'deny', message: 'no' }, { id: 'bob', method: 'host' });
    await vi.waitFor(() => expect(point.received).toHaveLength(2), 20_000);
    expect(bodyOf(point, 1)).toMatchObject({
      type: 'approval.settled',
      data: { id: approvalId, state: 'denied', answers: [{ approver: 'bob', answer: 'deny' }] },
    });
    expect(point.received[1]?.headers['webhook-id']).toBe(`settled_${approvalId}`);
    await guard.close();
  });

  it('tells of no end when only the guard goes', async () => {
    const point = await receiver(status(204));
    const channel = webhookChannel({ url: point.url, secrets: [secret], settled: true, approval: (id) => guard.approvals.get(id) });
    const { guard, ask } = asking({ channels: [channel] });
    const { approvalId } = await ask();
    await vi.waitFor(() => expect(point.received).toHaveLength(1), 20_000);
    await guard.close();
    await channel.close();
    expect(point.received).toHaveLength(1);
    expect((await guard.approvals.get(approvalId))?.state).toBe('pending');
  });

  it('that no channel could ask refuses the call', async () => {
    const point = await receiver(status(400));
    const errors: unknown[] = [];
    const { guard } = asking({
      channels: [webhookChannel({ url: point.url, secrets: [secret] })],
      onError: (error) => errors.push(error),
    });
    const refused = await guard.authorize({ tool: { name: 'refund' }, args: {} });
    expect(refused.kind === 'refusal' && refused.decision.reasonCode).toBe('APPROVAL_PROCESS_FAILED');
    expect(errors).toMatchObject([{ code: 'CHANNEL_FAILED' }]);
    await guard.close();
  });

  it('lets no secret out: neither of the arguments nor its own', async () => {
    const apiKey = `sk-ant-api03-${'Ab3dE6gH9'.repeat(10)}AA`;
    const point = await receiver(inTurn(status(500), status(400)));
    const told: unknown[] = [];
    const { guard, ask, store } = asking({
      channels: [webhookChannel({ url: point.url, secrets: [secret], timing: fakeTiming() })],
      redactor: createRedactor(),
      onError: (error, context) => told.push(error, context),
    });
    await ask({ amount: 900, password: 'correct horse battery', note: `use ${apiKey}` });
    await vi.waitFor(() => expect(told.length).toBeGreaterThan(0), 20_000);
    const out = JSON.stringify([
      point.received,
      told.map((each) => (each instanceof Error ? [each.message, each.stack, each.cause] : each)),
      store.entries(),
      [...store.openings().values()],
    ]);
    expect(out).toContain('[redacted:');
    expect(out).toContain('answered with status 400');
    for (const planted of [apiKey, apiKey.slice(20, 60), 'correct horse', secret, secret.slice(6)]) expect(out).not.toContain(planted);
    await guard.close();
  });
});

it('keeps no program alive that has nothing else to do', async () => {
  // The first try fails at once; the wait before the next one must not hold the process.
  const source = `
    import { webhookChannel } from ${JSON.stringify(new URL('../../src/channels/webhook.ts', import.meta.url).href)};
    const channel = webhookChannel({ url: 'http://127.0.0.1:${await freePort()}', secrets: [${JSON.stringify(secret)}], tries: 20 });
    void channel.ask({ id: 'a', callId: 'c', agent: 'a', session: 's', tool: { name: 't' }, args: {}, expiresAtMs: Date.now() + 3_600_000 }, async () => {}, new AbortController().signal);
    console.log('asked');`;
  const child = spawn(process.execPath, ['--conditions=@countersign/source', '--input-type=module', '-e', source], {
    cwd: new URL('../..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  // Twenty tries with all their waits would take ten minutes.
  const stopped = AbortSignal.timeout(20_000);
  stopped.addEventListener('abort', () => child.kill('SIGKILL'));
  const [code] = await new Promise<[number | null, string | null]>((resolve) => child.on('close', (...ended) => resolve(ended)));
  expect(out).toBe('asked\n');
  expect(code).toBe(0);
});
