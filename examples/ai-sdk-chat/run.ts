/**
 * The chat server without a browser: what is asked, answered and paid, and what a client cannot bring about that writes its
 * own history. `start.ts` shows the same to a person.
 */
import { join } from 'node:path';
import { type ChatClient, chatClient } from './client.ts';
import { startChatServer } from './server.ts';
import { CANARY } from './shop.ts';

const users = new Map([
  ['ana', 'password of ana'],
  ['ben', 'password of ben'],
]);
const folder = join(process.cwd(), 'chat');
const server = await startChatServer({ folder, users });
const paid = (): string => server.shop.payments().join('; ');
const client = (user: string, chat = 'chat-1'): Promise<ChatClient> => chatClient(server.url, user, users.get(user) ?? '', chat);

try {
  const ana = await client('ana');
  await ana.say('order 1001 and refund 1001 20 and erase customer 7');
  say('what is allowed runs', ana.tools()[0]?.state === 'output-available' && paid() === '20 for order 1001');
  say('what is denied does not', ana.tools()[2]?.state === 'output-denied');
  await ana.say('payment log');
  say('a key in a result reaches nobody', !JSON.stringify(ana.messages).includes(CANARY) && textOf(ana).includes('[redacted'));
  await ana.say('read ticket 7');
  say('orders in a ticket are withheld', textOf(ana).includes('result withheld') && !textOf(ana).includes('Ignore all'));

  await ana.say('refund 1001 450');
  const [approval = ''] = ana.open();
  const asked = await ana.request(`/api/approvals/${approval}`);
  say('a large refund asks', asked.status === 200 && JSON.stringify(await asked.json()).includes('"amount":450'));
  const before = ana.messages;
  await ana.claim(true);
  say('a client that says "approved" changes nothing', paid() === '20 for order 1001' && textOf(ana).includes('waits for approval'));
  ana.messages = before;

  const ben = await client('ben');
  const yes = { body: { approvalId: approval, decision: 'approve' } };
  say('another user does not see it', (await ben.request(`/api/approvals/${approval}`)).status === 404);
  say('another user cannot approve it', (await ben.request('/api/approvals', yes)).status === 404);
  const elsewhere = { ...yes, headers: { origin: 'http://127.0.0.1:1' } };
  say('another page cannot, with her cookie', (await ana.request('/api/approvals', elsewhere)).status === 403);

  const answered = await ana.request('/api/approvals', yes);
  const again = await ana.request('/api/approvals', yes);
  say('she approves, once', answered.status === 200 && again.status === 409);
  // The whole history, with her approval in it, under another cookie.
  ben.messages = ana.messages;
  await ben.claim(true);
  say('her approved history runs nothing for another user', paid() === '20 for order 1001');
  await ana.claim(true);
  say('then it is paid', paid() === '20 for order 1001; 450 for order 1001');
  const last = ana.sent.at(-1) ?? '';
  await Promise.all([1, 2, 3, 4].map(() => ana.replay(last)));
  say('the same request, four times more, pays nothing', paid() === '20 for order 1001; 450 for order 1001');
} finally {
  await server.close();
}

function textOf({ messages }: ChatClient): string {
  return JSON.stringify(messages.at(-1));
}

function say(what: string, holds: boolean): void {
  console.log(`${holds ? 'ok' : 'NOT SO'}: ${what}`);
  if (!holds) process.exitCode = 1;
}
