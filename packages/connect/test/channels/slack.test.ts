import { CountersignError, createRedactor } from '@countersign/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type SlackOptions, slackChannel } from '../../src/channels/slack.ts';
import { MAX_CLICK_BYTES, type SlackInteractionsOptions, slackInteractions } from '../../src/channels/slack-interactions.ts';
import { codeBlock, codeSpan } from '../../src/channels/slack-text.ts';
import { serve } from '../../src/http/serve.ts';
import { AFTER_HALT_TOOL, approvalRequest, asking, type FakeTiming, fakeTiming, HALT, never, noAnswer } from './fixtures.ts';
import {
  APP,
  buttonsOf,
  CHANNEL,
  type Click,
  clicked,
  type FakeSlack,
  fakeSlack,
  json,
  type Message,
  readable,
  SIGNING_SECRET,
  signed,
  TEAM,
  TOKEN,
} from './slack-server.ts';

const USERS = new Map<string, string | undefined>([
  ['U0ALICE', 'alice'],
  ['U0BOB', 'bob'],
  ['U0CAROL', undefined],
]);
const PAGE = 'http://127.0.0.1:4680';

interface Set {
  readonly slack: FakeSlack;
  readonly timing: FakeTiming;
  readonly errors: string[];
  readonly guard: ReturnType<typeof asking>['guard'];
  readonly store: ReturnType<typeof asking>['store'];
  /** Asks in Slack; gives the message. */
  readonly asked: (args?: unknown, tool?: typeof AFTER_HALT_TOOL) => Promise<{ readonly message: Message; readonly id: string }>;
  /** Presses a button over a real connection; resolves once everything that follows from it is done. */
  readonly press: (message: Message, label: string, click?: Click) => Promise<number>;
  readonly send: (request: { readonly headers: Record<string, string>; readonly body: string }) => Promise<Response>;
  readonly settled: () => Promise<void>;
}

async function set(options: Parameters<typeof asking>[0] = {}, more: Partial<SlackInteractionsOptions> = {}): Promise<Set> {
  const slack = await fakeSlack();
  const timing = fakeTiming();
  const errors: string[] = [];
  const onError = (error: unknown): void => void errors.push(error instanceof Error ? error.message : String(error));
  const channel = slackChannel({
    channel: CHANNEL,
    token: TOKEN,
    apiUrl: slack.apiUrl,
    pageUrl: PAGE,
    timing,
    onError,
    approval: (id) => guard.approvals.get(id),
  });
  const { guard, store, ask } = asking({ channels: [channel], onError, ...options });
  const make = () =>
    slackInteractions({
      approvals: guard.approvals,
      token: TOKEN,
      apiUrl: slack.apiUrl,
      signingSecrets: [SIGNING_SECRET],
      team: TEAM,
      app: APP,
      users: USERS,
      timing,
      onError,
      ...more,
    });
  let interactions = make();
  const server = await serve({ handler: (request) => interactions.handle(request) });
  onTestFinished(async () => {
    await guard.close();
    await channel.close();
    await interactions.close();
    await server.close();
  });
  const send: Set['send'] = ({ headers, body }) => fetch(`${server.url}/slack/interactions`, { method: 'POST', headers, body });
  return {
    slack,
    timing,
    errors,
    guard,
    store,
    send,
    async asked(args, tool) {
      const before = slack.messages.length;
      const { approvalId: id } = await ask(args, tool);
      await vi.waitFor(() => expect(slack.messages.length).toBeGreaterThan(before), 20_000);
      const message = slack.messages.at(-1);
      if (message === undefined) throw new Error('nothing was posted');
      return { message, id };
    },
    async press(message, label, click) {
      const { status } = await send(clicked(message, label, click));
      return status;
    },
    async settled() {
      // Waits for what was acknowledged; a closed one takes the next click anew.
      await interactions.close();
      interactions = make();
    },
  };
}

describe('a request', () => {
  it('is a message that Slack takes, with two buttons that carry the id', async () => {
    const { slack, asked } = await set();
    const { message, id } = await asked({ amount: 900, to: 'ACME <sales> & co' });
    expect(slack.complaints).toEqual([]);
    expect(message.text).toBe('Approval needed: `billing-bot` wants to call `shop/refund`');
    const shown = readable(message);
    for (const part of [
      'session `s1`',
      'rule `ask`',
      'reason `a human must agree`',
      '"amount": 900',
      'ACME &lt;sales&gt; &amp; co',
      id,
      PAGE,
    ])
      expect(shown).toContain(part);
    expect([...buttonsOf(message)].map(([label, { value }]) => [label, value])).toEqual([
      ['Approve', id],
      ['Deny', id],
    ]);
  });

  it('shows what an edit started from', async () => {
    const slack = await fakeSlack();
    const channel = slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl });
    await channel.ask(approvalRequest({ edited: { from: { amount: 9000 } } }), noAnswer, never);
    expect(slack.complaints).toEqual([]);
    expect(readable(slack.messages[0] as Message)).toMatch(/A person edited the arguments. Before:\n```\n{\n {2}"amount": 9000\n}\n```/);
  });

  it('has no button to approve what only a key can approve', async () => {
    const slack = await fakeSlack();
    await slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl }).ask(
      approvalRequest({ assurance: 'high' }),
      noAnswer,
      never,
    );
    expect([...buttonsOf(slack.messages[0] as Message).keys()]).toEqual(['Deny']);
    expect(readable(slack.messages[0] as Message)).toContain('takes the key of an approver');
  });

  it.each([
    ['addresses everybody', '<!channel> <!here> <!everyone> @here @channel'],
    ['addresses a person or a group', '<@U0ALICE> <!subteam^S1>'],
    ['hides a link', '<https://evil.example|https://bank.example>'],
    ['formats', '*bold* _it_ ~no~ > quote'],
    ['ends the code', '` *approved* ``` *approved by alice* ```'],
    ['writes entities', '&lt;!channel&gt; &amp;'],
    ['reverses and hides', '\u202eevil\u202c \u200b\u2060 \ufeff'],
    ['controls', 'a\u0000b\u001b[2Jc\rd\ne'],
    ['is half a character', '\ud800'],
    ['buries a line under marks', `z${'\u0300'.repeat(200)}`],
  ])('that %s is only shown', async (_, text) => {
    const { slack, asked } = await set({ agent: 'billing-bot' });
    const { message } = await asked({ note: text.toWellFormed(), [`key ${text.toWellFormed()}`]: 1 });
    const request = approvalRequest({
      agent: text,
      principal: text,
      session: text,
      reason: text,
      rule: text,
      tool: { server: text, name: text },
      args: { text },
    });
    await slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl }).ask(request, noAnswer, never);
    expect(slack.complaints).toEqual([]);
    for (const each of [message, slack.messages[1] as Message]) {
      // Outside of code there are only our own words.
      const outside = `${each.text}\n${readable(each)}`.replaceAll(/```\n[\s\S]*?\n```/g, '').replaceAll(/`[^`\n]*`/g, '');
      expect(outside).not.toMatch(/`|bold|evil|channel|@|approved by/);
    }
  });

  it('cuts arguments that are too long, and points to where all of them are', async () => {
    const { slack, asked } = await set();
    const { message, id } = await asked({ text: '&'.repeat(100_000), last: 1 });
    expect(slack.complaints).toEqual([]);
    expect(readable(message)).toContain(`The arguments are longer than a message can show.* All of them: <${PAGE}/approvals/${id}>`);
    expect(readable(message).length).toBeLessThan(8000);
  });

  it('stays within every limit of Block Kit whatever the request holds', async () => {
    const slack = await fakeSlack();
    const long = '\u202e<&>`'.repeat(500);
    const request = approvalRequest({
      agent: long,
      principal: long,
      session: long,
      reason: long,
      rule: long,
      tool: { server: long, name: long },
      args: [long],
      edited: { from: [long] },
    });
    await slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl }).ask(request, noAnswer, never);
    expect(slack.complaints).toEqual([]);
    expect(slack.messages).toHaveLength(1);
  });

  it('says that a name or a reason is cut, and where all of it is', async () => {
    const slack = await fakeSlack();
    const request = approvalRequest({ tool: { name: 'x'.repeat(1_000) }, reason: 'y'.repeat(2_000), args: {} });
    await slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl, pageUrl: PAGE }).ask(request, noAnswer, never);
    const text = readable(slack.messages[0] as Message);
    expect(text).toContain('…` (cut: 1000 characters)');
    expect(text).toContain('…` (cut: 2000 characters)');
    expect(text).toContain(`all of it: <${PAGE}/approvals/${request.id}>`);
  });

  it('never cuts inside an entity', () => {
    for (let most = 0; most < 40; most++) {
      expect(codeSpan('a&b<c>d&&', most)).not.toMatch(/&(?!amp;|lt;|gt;)/);
      expect(codeBlock({ a: '<&>💶' }, most).text).not.toMatch(/&(?!amp;|lt;|gt;)|\p{Cs}/u);
    }
  });
});

describe('a click', () => {
  it('on Approve approves in the name the configuration gives', async () => {
    const { slack, guard, store, asked, press, settled } = await set();
    const { message, id } = await asked();
    expect(await press(message, 'Approve')).toBe(200);
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'approved', answers: [{ approver: 'alice', answer: 'approve' }] });
    expect(store.entries().find(({ kind }) => kind === 'approval')).toMatchObject({
      approver: { id: 'alice', method: 'webhook', assurance: 'medium' },
    });
    expect(readable(message)).toMatch(/\*Approved\* by `alice`, <!date\^\d+/);
    expect(buttonsOf(message).size).toBe(0);
    expect(slack.ephemerals).toEqual([]);
  });

  it('on Deny denies', async () => {
    const { guard, asked, press, settled } = await set();
    const { message, id } = await asked();
    expect(await press(message, 'Deny', { user: 'U0BOB' })).toBe(200);
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'denied', answers: [{ approver: 'bob' }] });
    expect(readable(message)).toMatch(/\*Denied\* by `bob`/);
  });

  it('by somebody without a name is recorded under workspace and user', async () => {
    const { guard, asked, press, settled } = await set();
    const { message, id } = await asked();
    await press(message, 'Approve', { user: 'U0CAROL' });
    await settled();
    expect((await guard.approvals.get(id))?.answers).toMatchObject([{ approver: `slack:${TEAM}/U0CAROL` }]);
  });

  it('twice by one person is one answer, and one voice of two', async () => {
    const { slack, guard, asked, press, settled } = await set({ quorum: 2 });
    const { message, id } = await asked();
    await press(message, 'Approve');
    await press(message, 'Approve');
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'pending', answers: [{ approver: 'alice' }] });
    expect(readable(message)).toContain('*1 of 2 approvals* by `alice`; waits until');
    expect(buttonsOf(message).size).toBe(2);
    expect(slack.ephemerals).toEqual([]);
  });

  it('by two people at once makes a quorum of two', async () => {
    const { slack, guard, asked, press, settled } = await set({ quorum: 2 });
    const { message, id } = await asked();
    expect(await Promise.all([press(message, 'Approve'), press(message, 'Approve', { user: 'U0BOB' })])).toEqual([200, 200]);
    await settled();
    const row = await guard.approvals.get(id);
    expect(row?.state).toBe('approved');
    expect(row?.answers.map(({ approver }) => approver).toSorted()).toEqual(['alice', 'bob']);
    await vi.waitFor(() => expect(readable(message)).toMatch(/\*Approved\* by `(?:alice`, `bob|bob`, `alice)`/), 20_000);
    expect(buttonsOf(message).size).toBe(0);
    expect(slack.complaints).toEqual([]);
  });

  it('against a settled approval changes nothing and says so', async () => {
    const { slack, guard, asked, send, press, settled } = await set();
    const { message, id } = await asked();
    // Pressed before the message changed under the finger.
    const late = clicked(message, 'Deny', { user: 'U0BOB' });
    await press(message, 'Approve');
    await settled();
    expect((await send(late)).status).toBe(200);
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'approved', answers: [{ approver: 'alice' }] });
    expect(slack.ephemerals).toEqual([{ user: 'U0BOB', text: 'This approval is approved already. Nothing was changed.' }]);
  });

  it('on an expired approval changes nothing', async () => {
    const { slack, guard, asked, send, settled } = await set({ approvals: { ttlMs: 2000 } });
    const { message, id } = await asked();
    const late = clicked(message, 'Approve');
    await vi.waitFor(() => expect(readable(message)).toMatch(/\*Expired\* at/), 20_000);
    await send(late);
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'expired', answers: [] });
    expect(slack.ephemerals).toEqual([{ user: 'U0ALICE', text: 'This approval is expired already. Nothing was changed.' }]);
  });

  it('by a stranger is told to the stranger alone', async () => {
    const { slack, guard, asked, press, settled } = await set();
    const { message, id } = await asked();
    expect(await press(message, 'Approve', { user: 'U0MALLORY' })).toBe(200);
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'pending', answers: [] });
    expect(slack.ephemerals).toEqual([{ user: 'U0MALLORY', text: 'You may not answer approvals here. Nothing was changed.' }]);
    expect(message.updates).toBe(0);
  });

  it.each([
    ['is not among the approvers of the rule', { approverNames: ['bob'] }],
    [
      'has the name of a key',
      { approvals: { approvers: new Map([['alice', 'alice+1a2b3c4d+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh']]) } },
    ],
  ])('by somebody who %s changes nothing', async (_, options) => {
    const { slack, guard, asked, press, settled } = await set(options);
    const { message, id } = await asked();
    await press(message, 'Approve');
    await settled();
    expect((await guard.approvals.get(id))?.answers).toEqual([]);
    expect(slack.ephemerals).toEqual([{ user: 'U0ALICE', text: 'You may not answer this approval. Nothing was changed.' }]);
  });

  it('is acknowledged before it is recorded, and waited for at the end', async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const { guard, asked, press, settled } = await set(
      {},
      {
        approvals: {
          get: (id) => guard.approvals.get(id),
          resolve: async (...given) => {
            await held;
            return guard.approvals.resolve(...given);
          },
        },
      },
    );
    const { message, id } = await asked();
    expect(await press(message, 'Approve')).toBe(200);
    expect((await guard.approvals.get(id))?.state).toBe('pending');
    release();
    await settled();
    expect((await guard.approvals.get(id))?.state).toBe('approved');
  });

  it('delivered again does nothing again', async () => {
    const { store, asked, send, settled } = await set({ quorum: 2 });
    const { message } = await asked();
    const delivery = clicked(message, 'Approve');
    const retry = signed(delivery.body, {
      skewMs: 2000,
      headers: { 'x-slack-retry-num': '1', 'x-slack-retry-reason': 'http_timeout' },
    });
    const before = message.updates;
    for (const each of [delivery, delivery, retry]) expect((await send(each)).status).toBe(200);
    await settled();
    expect(message.updates - before).toBe(1);
    expect(store.entries().filter(({ kind }) => kind === 'approval')).toHaveLength(1);
  });

  it('that the ledger does not take is told, and may be tried again', async () => {
    const { slack, errors, guard, store, asked, press, settled } = await set();
    const { message, id } = await asked();
    store.failWith(new CountersignError('LEDGER_WRITE_FAILED', 'disk full'));
    expect(await press(message, 'Approve')).toBe(200);
    await settled();
    expect(slack.ephemerals).toEqual([{ user: 'U0ALICE', text: 'Your answer could not be recorded. Try again in a moment.' }]);
    expect(errors).toEqual(['disk full']);
    store.failWith(undefined);
    await press(message, 'Approve');
    await settled();
    expect((await guard.approvals.get(id))?.state).toBe('approved');
  });
});

describe('after a halt', () => {
  it('the message says what each answer does, and has a button for each', async () => {
    const { asked } = await set();
    const { message } = await asked(HALT, AFTER_HALT_TOOL);
    expect([...buttonsOf(message).keys()]).toEqual(['Resume', 'Deny', 'Kill all of it']);
    const text = readable(message);
    for (const line of [
      '*held* `read /home/ana/.ssh/id_rsa, by cat (pid 4711)`',
      '*since* `2026-01-02T02:00:00.000Z`',
      '*watched* `level L2: racy against hostile threads`\n`held exactly: signals; held, racy: reading`',
      '*resume* `it happens`',
      '*deny* `it fails with EPERM`',
      '*kill* `all is ended`',
      '*silence* `asked again at 02:10`',
    ])
      expect(text).toContain(line);
  });

  it('with everything as long as it can be each text is one that Slack takes, and no answer is missing', async () => {
    const { asked } = await set();
    const held = Array.from({ length: 40 }, (_, index) => `${index} ${'&'.repeat(300)}`);
    const { message } = await asked({ ...HALT, held, why: '`<!channel>'.repeat(40), call: '&'.repeat(400) }, AFTER_HALT_TOOL);
    const texts = [...JSON.stringify(message).matchAll(/"text":"((?:[^"\\\\]|\\\\.)*)"/g)].map(([, text = '']) => text);
    expect(Math.max(...texts.map((text) => text.length))).toBeLessThan(3000);
    expect(readable(message)).toContain('*silence* `asked again at 02:10`');
  });

  it.each([
    ['Resume', 'approved', undefined, '*Resumed* by'],
    ['Deny', 'denied', { ...HALT, do: 'deny' }, '*Denied* by'],
    ['Kill all of it', 'denied', undefined, '*Ended* by'],
  ])('%s is that answer, and the message says so', async (label, state, edit, said) => {
    const { guard, asked, press, settled } = await set();
    const { message, id } = await asked(HALT, AFTER_HALT_TOOL);
    expect(await press(message, label)).toBe(200);
    await settled();
    const row = await guard.approvals.get(id);
    expect(row?.state).toBe(state);
    expect(row?.edit).toEqual(edit);
    expect(buttonsOf(message).size).toBe(0);
    expect(readable(message)).toContain(said);
    expect(readable(message)).not.toContain('other arguments');
  });

  it('a click of Deny that is led to another approval answers nothing', async () => {
    const { guard, asked, press, settled, slack } = await set();
    const { id } = await asked();
    const { message } = await asked(HALT, AFTER_HALT_TOOL);
    await press(JSON.parse(JSON.stringify(message).replaceAll(/"value":"[^"]+"/g, `"value":"${id}"`)), 'Deny');
    await settled();
    expect((await guard.approvals.get(id))?.state).toBe('pending');
    expect(slack.ephemerals).toHaveLength(1);
  });
});

describe('who is not Slack', () => {
  it.each<[string, Click, number]>([
    ['with a forged signature', { secret: 'another-signing-secret-0123' }, 401],
    ['with no signature', { headers: { 'x-slack-signature': '' } }, 401],
    ['with a signature of another version', { headers: { 'x-slack-signature': `v1=${'0'.repeat(64)}` } }, 401],
    ['with an old message', { skewMs: -301_000 }, 401],
    ['with a message from the future', { skewMs: 302_000 }, 401],
    [
      'with a renewed timestamp',
      { skewMs: -400_000, headers: { 'x-slack-request-timestamp': String(Math.floor(Date.now() / 1000)) } },
      401,
    ],
    ['with a timestamp that is none', { headers: { 'x-slack-request-timestamp': `${Math.floor(Date.now() / 1000)}x` } }, 401],
    ['from another workspace', { team: 'T0OTHER' }, 403],
    ['from another app', { app: 'A0OTHER' }, 403],
    ['as JSON', { headers: { 'content-type': 'application/json' } }, 415],
    ['with another type', { change: (payload) => ({ ...payload, type: 'view_submission' }) }, 400],
    ['without a user', { change: (payload) => ({ ...payload, user: undefined }) }, 400],
    ['with a user that is a list', { change: (payload) => ({ ...payload, user: [{ id: 'U0ALICE' }] }) }, 400],
    [
      'with two actions',
      { change: (payload) => ({ ...payload, actions: [...(payload['actions'] as object[]), ...(payload['actions'] as object[])] }) },
      400,
    ],
    ['with no action', { change: (payload) => ({ ...payload, actions: [] }) }, 400],
    ['with an action of somebody else', { change: (payload) => ({ ...payload, actions: [{ action_id: 'other', value: 'x' }] }) }, 400],
    [
      'with a value that is no id',
      { change: (payload) => ({ ...payload, actions: [{ action_id: 'countersign.approve', value: '../x' }] }) },
      400,
    ],
    ['with no payload', { change: () => 'null' }, 400],
  ])('%s is refused', async (_, click, status) => {
    const { slack, guard, asked, press, settled } = await set();
    const { message, id } = await asked();
    expect(await press(message, 'Approve', click)).toBe(status);
    await settled();
    expect(await guard.approvals.get(id)).toMatchObject({ state: 'pending', answers: [] });
    expect(slack.ephemerals).toEqual([]);
  });

  it('with two payloads, none, no form or too much is refused', async () => {
    const { asked, send } = await set();
    const { message } = await asked();
    const one = clicked(message, 'Approve').body;
    for (const body of [`${one}&${one}`, '', 'payload=', 'payload=%FF', '{"payload":{}}'])
      expect((await send(signed(body))).status).toBe(400);
    expect((await send(signed(`payload=${'x'.repeat(MAX_CLICK_BYTES)}`))).status).toBe(413);
  });

  it('names an approval nobody knows, and hears that', async () => {
    const { slack, asked, press, settled } = await set();
    const { message } = await asked();
    await press(message, 'Approve', {
      change: (payload) => ({ ...payload, actions: [{ action_id: 'countersign.approve', value: 'f'.repeat(32) }] }),
    });
    await settled();
    expect(slack.ephemerals).toEqual([{ user: 'U0ALICE', text: 'This approval is not known here. Nothing was changed.' }]);
  });
});

describe('Slack itself', () => {
  it('that is down is tried again, then the call is refused', async () => {
    const slack = await fakeSlack();
    const timing = fakeTiming();
    const errors: unknown[] = [];
    for (let i = 0; i < 6; i++) slack.instead.push(i % 2 === 0 ? json({}, 503) : (response) => void response.destroy());
    const channel = slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl, timing });
    const { guard } = asking({ channels: [channel], onError: (error) => errors.push(error) });
    const refused = await guard.authorize({ tool: { name: 'refund' }, args: {} });
    expect(refused.kind === 'refusal' && refused.decision.reasonCode).toBe('APPROVAL_PROCESS_FAILED');
    expect(slack.seen).toHaveLength(6);
    expect(timing.pauses).toHaveLength(5);
    expect(errors).toMatchObject([{ code: 'CHANNEL_FAILED', message: expect.stringContaining('given up after 6 tries') }]);
    await guard.close();
  });

  it.each([
    ['by status', json({ ok: false, error: 'ratelimited' }, 429, { 'retry-after': '30' }), [30_000]],
    ['in its answer', json({ ok: false, error: 'ratelimited' }, 200, { 'retry-after': '5' }), [5000]],
    ['without saying for how long', json({ ok: false, error: 'ratelimited' }, 429), [750]],
  ])('that limits the rate %s is asked again when it said', async (_, answer, pauses) => {
    const { slack, timing, asked } = await set();
    slack.instead.push(answer);
    await asked();
    expect(timing.pauses.slice(0, 1)).toEqual(pauses);
    expect(slack.seen.map(({ method }) => method)).toEqual(['chat.postMessage', 'chat.postMessage']);
  });

  it.each([
    ['a wrong token', json({ ok: false, error: 'invalid_auth' }), 'answered invalid_auth'],
    ['a channel it does not know', json({ ok: false, error: 'channel_not_found' }), 'answered channel_not_found'],
    ['an error in words of its own', json({ ok: false, error: 'Your token xoxb-stolen is <bad>' }), 'answered an unknown error'],
    ['a redirect', json({}, 302, { location: 'http://127.0.0.1:1/' }), 'redirect'],
    ['a message without a place', json({ ok: true }), 'did not say where the message is'],
  ])('that answers %s fails at once', async (_, answer, why) => {
    const slack = await fakeSlack();
    slack.instead.push(answer);
    const channel = slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl, timing: fakeTiming() });
    await expect(channel.ask(approvalRequest(), noAnswer, never)).rejects.toMatchObject({
      code: 'CHANNEL_FAILED',
      message: expect.stringContaining(why),
    });
    expect(slack.seen).toHaveLength(1);
  });

  it('that answers something else than its API is tried again, a flood is cut', async () => {
    const slack = await fakeSlack();
    slack.instead.push(
      (response) => void response.writeHead(200).end('<html>'),
      (response) => void response.writeHead(200).end(`{"ok":true,"x":"${'y'.repeat(500_000)}"}`),
    );
    const channel = slackChannel({ channel: CHANNEL, token: TOKEN, apiUrl: slack.apiUrl, timing: fakeTiming() });
    await channel.ask(approvalRequest(), noAnswer, never);
    expect(slack.seen).toHaveLength(3);
  });

  it('that loses a change is told again, or reported', async () => {
    const { slack, errors, asked, guard } = await set();
    const { message, id } = await asked();
    slack.instead.push(json({}, 500), json({ ok: false, error: 'cant_update_message' }));
    await guard.approvals.resolve(id, { decision: 'approve' }, { id: 'host', method: 'host' });
    await vi.waitFor(() => expect(errors).toEqual(['approval channel slack: the receiver answered cant_update_message']), 20_000);
    expect(message.updates).toBe(0);
  });
});

describe('the message', () => {
  it('says how it ended wherever that happened', async () => {
    const { asked, guard } = await set();
    const { message, id } = await asked();
    await guard.approvals.resolve(id, { decision: 'deny', message: 'no <!channel>' }, { id: 'zoe', method: 'host' });
    await vi.waitFor(() => expect(readable(message)).toMatch(/\*Denied\* by `zoe`.*\n`no &lt;!channel&gt;`/), 20_000);
    expect(buttonsOf(message).size).toBe(0);
  });

  it('goes on showing what was asked, whatever a row of the store says by then', async () => {
    const { guard, asked, press, settled } = await set(
      { quorum: 2 },
      {
        approvals: {
          resolve: (...given) => guard.approvals.resolve(...given),
          get: async (id) => {
            const row = await guard.approvals.get(id);
            return row && { ...row, shown: { amount: 1 }, agent: 'nicer-bot', reason: 'harmless' };
          },
        },
      },
    );
    const { message } = await asked({ amount: 900 });
    await press(message, 'Approve');
    await settled();
    expect(readable(message)).toContain('*1 of 2 approvals* by `alice`');
    expect(readable(message)).toContain('"amount": 900');
    expect(readable(message)).not.toMatch(/nicer|harmless|"amount": 1\b/);
  });

  it('keeps its buttons when only the process that asked goes', async () => {
    const { slack, asked, guard } = await set();
    const { message } = await asked();
    await guard.close();
    expect(slack.seen.map(({ method }) => method)).toEqual(['chat.postMessage']);
    expect(buttonsOf(message).size).toBe(2);
  });
});

it('lets no secret out: neither of the arguments nor token or signing secret', async () => {
  const apiKey = `sk-ant-api03-${'Ab3dE6gH9'.repeat(10)}AA`;
  const { slack, errors, asked, press, settled } = await set({ redactor: createRedactor() });
  const { message } = await asked({ amount: 900, password: 'correct horse battery', note: `use ${apiKey}` });
  slack.instead.push(json({ ok: false, error: 'not_in_channel' }));
  await press(message, 'Approve', { user: 'U0MALLORY' });
  await settled();
  const out = JSON.stringify([slack.seen.map(({ method, body }) => [method, body]), errors, slack.ephemerals]);
  expect(out).toContain('[redacted:');
  expect(errors).toEqual(['approval channel slack: the receiver answered not_in_channel']);
  for (const planted of [apiKey, apiKey.slice(20, 60), 'correct horse', TOKEN, SIGNING_SECRET]) expect(out).not.toContain(planted);
  // The token is in one header, and nowhere else.
  for (const { headers } of slack.seen) {
    const { authorization, ...others } = headers;
    expect(authorization).toBe(`Bearer ${TOKEN}`);
    expect(JSON.stringify(others)).not.toContain(TOKEN);
  }
});

describe('options', () => {
  const channel = (change: Partial<SlackOptions>) => () => slackChannel({ channel: CHANNEL, token: TOKEN, ...change });
  const interactions = (change: Partial<SlackInteractionsOptions>) => () =>
    slackInteractions({
      approvals: asking().guard.approvals,
      token: TOKEN,
      signingSecrets: [SIGNING_SECRET],
      team: TEAM,
      users: USERS,
      ...change,
    });

  it.each([
    ['the name of a channel', channel({ channel: '#ops' })],
    ['a token that is none', channel({ token: 'hunter2' })],
    ['a token with a line break', channel({ token: 'xoxb-hunter2\r\nx: y' })],
    ['an API elsewhere over plain http', channel({ apiUrl: 'http://slack.example/api' })],
    ['no tries', channel({ tries: 0 })],
    ['no signing secret', interactions({ signingSecrets: [] })],
    ['a signing secret that is none', interactions({ signingSecrets: ['hunter2'] })],
    ['the name of a workspace', interactions({ team: 'acme' })],
    ['nobody who may answer', interactions({ users: new Map() })],
  ])('with %s are refused, and nothing of them repeated', (_, make) => {
    let thrown: unknown;
    try {
      make();
    } catch (error) {
      thrown = error;
    }
    expect(CountersignError.is(thrown) && thrown.code).toBe('OPTIONS_INVALID');
    expect(String(thrown)).not.toContain('hunter2');
  });
});
