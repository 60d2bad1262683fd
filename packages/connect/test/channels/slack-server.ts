/**
 * A Slack on 127.0.0.1, written from its documentation: it checks what the real one would (token, content type, members,
 * limits of Block Kit, markup that would address people) and clicks the buttons of messages it holds with signed requests.
 */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import * as z from 'zod';

export const TOKEN = 'xoxb-1234567890-abcdefghijklmnop';
export const SIGNING_SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
export const TEAM = 'T0TEAM';
export const APP = 'A0APP';
export const CHANNEL = 'C0OPS';

export interface Seen {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Message {
  readonly ts: string;
  text: string;
  blocks: readonly Block[];
  updates: number;
}

export interface Ephemeral {
  readonly user: string;
  readonly text: string;
}

export type Answer = (response: ServerResponse) => void;

export interface FakeSlack {
  readonly apiUrl: string;
  readonly seen: Seen[];
  readonly messages: Message[];
  readonly ephemerals: Ephemeral[];
  /** What the real one would have refused. */
  readonly complaints: string[];
  /** In place of honest answers, in this order. */
  readonly instead: Answer[];
}

const text = z.union([
  z.strictObject({ type: z.literal('mrkdwn'), text: z.string().min(1).max(3000), verbatim: z.boolean().optional() }),
  z.strictObject({ type: z.literal('plain_text'), text: z.string().min(1).max(3000), emoji: z.boolean().optional() }),
]);
const button = z.strictObject({
  type: z.literal('button'),
  text: z.strictObject({ type: z.literal('plain_text'), text: z.string().min(1).max(75), emoji: z.boolean().optional() }),
  action_id: z.string().max(255),
  value: z.string().max(2000),
  style: z.enum(['primary', 'danger']).optional(),
});
const block_id = z.string().min(1).max(255).optional();
const block = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('section'), block_id, text }),
  z.strictObject({ type: z.literal('context'), block_id, elements: z.array(text).min(1).max(10) }),
  z.strictObject({ type: z.literal('actions'), block_id, elements: z.array(button).min(1).max(25) }),
]);
export type Block = z.infer<typeof block>;
const plain = { parse: z.literal('none'), link_names: z.literal(false) };
const message = { channel: z.literal(CHANNEL), text: z.string().min(1).max(4000), blocks: z.array(block).min(1).max(50) };
const METHODS = new Map<string, z.ZodType>([
  ['chat.postMessage', z.strictObject({ ...message, ...plain, unfurl_links: z.literal(false), unfurl_media: z.literal(false) })],
  ['chat.update', z.strictObject({ ...message, ...plain, ts: z.string() })],
  ['chat.postEphemeral', z.strictObject({ channel: z.literal(CHANNEL), user: z.string(), text: z.string().min(1), ...plain })],
]);
/** `msg_blocks_too_long` comes somewhere above this. */
const MAX_BLOCK_CHARS = 12_000;
/** What may stand between angle brackets: a date with its fallback, a link to the approval page. */
const OWN_MARKUP = /<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[0-9TZ:.-]+>|<http:\/\/127\.0\.0\.1:4680\/approvals\/[0-9a-f]+>/g;

export async function fakeSlack(): Promise<FakeSlack> {
  const slack: Omit<FakeSlack, 'apiUrl'> = { seen: [], messages: [], ephemerals: [], complaints: [], instead: [] };
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      slack.seen.push({ method: (request.url ?? '').replace('/api/', ''), headers: request.headers, body });
      const instead = slack.instead.shift();
      if (instead !== undefined) instead(response);
      else json({ ...answer(slack, request, body) })(response);
    });
  });
  onTestFinished(() => stop(server));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return { ...slack, apiUrl: `http://127.0.0.1:${address.port}/api` };
}

export function json(value: object, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) =>
    void response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(JSON.stringify(value));
}

function answer(slack: Omit<FakeSlack, 'apiUrl'>, request: IncomingMessage, body: string): object {
  if (request.method !== 'POST') return { ok: false, error: 'invalid_method' };
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return { ok: false, error: 'invalid_auth' };
  if (!/^application\/json; charset=utf-8$/.test(request.headers['content-type'] ?? ''))
    return { ok: false, error: 'invalid_content_type' };
  const method = (request.url ?? '').replace('/api/', '');
  const schema = METHODS.get(method);
  if (schema === undefined) return { ok: false, error: 'unknown_method' };
  const parsed = schema.safeParse(JSON.parse(body));
  const wrong = parsed.success ? faultsOf(parsed.data) : parsed.error.message;
  if (wrong !== undefined) {
    slack.complaints.push(wrong);
    return { ok: false, error: 'invalid_blocks' };
  }
  const given = parsed.data as { text: string; blocks: readonly Block[]; ts: string; user: string };
  if (method === 'chat.postEphemeral') {
    slack.ephemerals.push({ user: given.user, text: given.text });
    return { ok: true, message_ts: '1.2' };
  }
  if (method === 'chat.postMessage') {
    const ts = `17673230${slack.messages.length}.000200`;
    // It gives every block an id.
    const blocks = given.blocks.map((each, at) => ({ ...each, block_id: each.block_id ?? `b${at}` }));
    slack.messages.push({ ts, text: given.text, blocks, updates: 0 });
    return { ok: true, channel: CHANNEL, ts };
  }
  const old = slack.messages.find(({ ts }) => ts === given.ts);
  if (old === undefined) return { ok: false, error: 'message_not_found' };
  Object.assign(old, { text: given.text, blocks: given.blocks, updates: old.updates + 1 });
  return { ok: true, channel: CHANNEL, ts: given.ts };
}

function faultsOf(given: unknown): string | undefined {
  const texts = textsOf(given);
  const all = texts.join('\n').replaceAll(OWN_MARKUP, '');
  if (texts.join('').length > MAX_BLOCK_CHARS) return 'msg_blocks_too_long';
  if (/[<>]/.test(all)) return `markup that nobody meant: ${/.{0,20}[<>].{0,20}/s.exec(all)?.[0]}`;
  if (/&(?!amp;|lt;|gt;)/.test(all)) return 'an ampersand that is no entity';
  if (/[\p{Cc}\p{Cf}]/u.test(all.replaceAll('\n', ''))) return 'a control or invisible character';
  return undefined;
}

function textsOf(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => (name === 'text' && typeof inner === 'string' ? [inner] : textsOf(inner)));
}

/** All that a reader of the message sees. */
export function readable({ blocks }: Message): string {
  return textsOf(blocks).join('\n');
}

export function buttonsOf({ blocks }: Message): ReadonlyMap<string, { readonly action_id: string; readonly value: string }> {
  return new Map(blocks.flatMap((each) => (each.type === 'actions' ? each.elements.map((one) => [one.text.text, one] as const) : [])));
}

export interface Click {
  readonly user?: string;
  readonly team?: string;
  readonly app?: string;
  readonly secret?: string;
  /** Of the clock it is signed by. */
  readonly skewMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Changes the payload before it is signed. */
  readonly change?: (payload: Record<string, unknown>) => unknown;
}

let clicks = 0;

/** What Slack posts when somebody presses a button. */
export function clicked(
  on: Message,
  label: string,
  click: Click = {},
): { readonly headers: Record<string, string>; readonly body: string } {
  const pressed = buttonsOf(on).get(label);
  if (pressed === undefined) throw new Error(`the message has no button ${label}`);
  const { user = 'U0ALICE', team = TEAM, app = APP } = click;
  const payload: Record<string, unknown> = {
    type: 'block_actions',
    user: { id: user, username: 'somebody', name: 'somebody', team_id: team },
    api_app_id: app,
    token: 'deprecated',
    container: { type: 'message', message_ts: on.ts, channel_id: CHANNEL, is_ephemeral: false },
    trigger_id: `${++clicks}.2.abc`,
    team: { id: team, domain: 'example' },
    enterprise: null,
    is_enterprise_install: false,
    channel: { id: CHANNEL, name: 'ops' },
    message: { bot_id: 'B1', type: 'message', text: on.text, user: 'U0BOT', ts: on.ts, app_id: app, blocks: on.blocks },
    state: { values: {} },
    response_url: 'https://hooks.slack.com/actions/T/1/abc',
    actions: [
      {
        action_id: pressed.action_id,
        block_id: 'countersign',
        text: { type: 'plain_text', text: label },
        value: pressed.value,
        type: 'button',
        action_ts: '1.1',
      },
    ],
  };
  return signed(new URLSearchParams({ payload: JSON.stringify(click.change?.(payload) ?? payload) }).toString(), click);
}

export function signed(
  body: string,
  { secret = SIGNING_SECRET, skewMs = 0, headers = {} }: Click = {},
): { headers: Record<string, string>; body: string } {
  const timestamp = String(Math.floor((Date.now() + skewMs) / 1000));
  const signature = `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`;
  return {
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': signature,
      ...headers,
    },
  };
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
