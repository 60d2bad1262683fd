/**
 * A receiver that is told of each approval by a signed webhook, checks it with nothing but HMAC, and sends its answer back
 * as a signed webhook. It could be written in any language, and run on another host.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Handler, serve, webhookAnswers, webhookChannel } from '@countersign/connect';
import { createGuard, rulePolicy } from '@countersign/core';
import { openStore } from '@countersign/core/sqlite';

const newSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;
const [askSecret, answerSecret] = [newSecret(), newSecret()];

// The receiver: small refunds are fine, large ones are not.
const receive: Handler = async (request) => {
  const body = await request.text();
  const { 'webhook-id': id = '', 'webhook-timestamp': at = '', 'webhook-signature': given = '' } = Object.fromEntries(request.headers);
  const expected = Buffer.from(signatureOf(askSecret, id, at, body));
  const isGenuine = given.split(' ').some((each) => each.length === expected.length && timingSafeEqual(Buffer.from(each), expected));
  if (!isGenuine || Math.abs(Date.now() / 1000 - Number(at)) > 300) return new Response(null, { status: 401 });
  const { data } = JSON.parse(body) as { readonly data: { readonly id: string; readonly args: { readonly amount: number } } };
  // Acknowledged first; answered afterwards, as people do.
  void answer(data.id, data.args.amount <= 1000 ? 'approve' : 'deny');
  return new Response(null, { status: 204 });
};

async function answer(approval: string, decision: 'approve' | 'deny'): Promise<void> {
  const body = JSON.stringify({ type: 'approval.answer', data: { approval, decision, message: 'by the refund desk' } });
  const [id, at] = [`answer_${approval}`, String(Math.floor(Date.now() / 1000))];
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': at,
    'webhook-signature': signatureOf(answerSecret, id, at, body),
  };
  const { status } = await fetch(`${host.url}/webhooks/desk`, { method: 'POST', headers, body });
  if (status !== 200) throw new Error(`the answer was refused with status ${status}`);
}

function signatureOf(secret: string, id: string, at: string, body: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${at}.${body}`).digest('base64')}`;
}

// The guarded side.
const receiver = await serve({ handler: receive });
const store = openStore({ path: 'ledger.db', origin: 'example.com/refunds', signer: 'none' });
const rules = [{ id: 'ask', tools: ['refund'], effect: 'require_approval' }] as const;
const channel = webhookChannel({ url: receiver.url, secrets: [askSecret] });
const guard = createGuard({ agent: 'billing-bot', policy: rulePolicy({ id: 'refunds', rules }), store, channels: [channel] });
const answers = webhookAnswers({ approvals: guard.approvals, senders: [{ name: 'desk', secrets: [answerSecret] }] });
const host = await serve({ handler: answers });

const refund = guard.tool('refund', async (args: { amount: number }) => `refunded ${args.amount}`);
console.log(await refund({ amount: 900 }));
await refund({ amount: 9000 }).catch((error: Error) => console.log(error.message));

await guard.close();
await channel.close();
await Promise.all([receiver.close(), host.close()]);
await store.close();
