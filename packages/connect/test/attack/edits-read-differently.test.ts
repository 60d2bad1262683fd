/** A webhook signs bytes. Arguments that our reader and the sender's take for different values must not be proposed at all. */
import { createHmac, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { webhookAnswers } from '../../src/channels/webhook-answers.ts';
import { ledger } from '../approvals/site.ts';

it.each([
  ['a prototype, which the schema would drop', '{"__proto__":{"amount":1},"amount":5}'],
  ['a prototype further in', '{"a":{"__proto__":{"amount":1}},"amount":5}'],
  ['a number that is another one once it is read', '{"amount":5,"to":12345678901234567890}'],
  ['a name twice', '{"amount":500,"amount":5}'],
])('%s', async (_, args) => {
  const { guard, ...opened } = ledger();
  const key = randomBytes(32);
  const handle = webhookAnswers({
    approvals: guard.approvals,
    senders: [{ name: 'pager', secrets: [`whsec_${key.toString('base64')}`] }],
  });
  const id = await opened.ask();
  const body = `{"type":"approval.answer","data":{"approval":"${id}","decision":"edit","args":${args}}}`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const headers = {
    'content-type': 'application/json',
    'webhook-id': 'm1',
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${createHmac('sha256', key).update(`m1.${timestamp}.${body}`).digest('base64')}`,
  };
  const response = await handle(new Request('http://127.0.0.1/webhooks/pager', { method: 'POST', headers, body }));
  expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'BODY_INVALID' } }]);
  expect(await guard.approvals.get(id)).toMatchObject({ state: 'pending' });
});
