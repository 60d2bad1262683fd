import { expect, it } from 'vitest';
import { MAX_EDIT_NOTICE_CHARS } from '../../src/approval/edit-notice.ts';
import { createGuard, definePolicy, editNotice, type Json } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';

const policy = definePolicy({
  id: 'p',
  evaluate: ({ args }) => ((args as { amount: number }).amount > 100 ? { effect: 'require_approval' } : { effect: 'allow' }),
});
const call = { tool: { name: 'pay' }, id: 'c1', args: { amount: 500, token: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789' } };

async function permitOf(args?: Json) {
  const guard = createGuard({ agent: 'a', policy, store: memoryStore() });
  const asked = await guard.authorize(args === undefined ? { ...call, args: { amount: 1 } } : call, { approval: 'suspend' });
  if (args === undefined || asked.kind !== 'pending') return asked;
  await guard.approvals.resolve(asked.approvalId, { decision: 'edit', args }, { id: 'alice', method: 'host' });
  return guard.authorize(call, { approval: 'suspend' });
}

it('says that a person edited the call and what ran, from the shown view', async () => {
  const permit = await permitOf({ amount: 50, token: '[redacted:key-name]' });
  if (permit.kind !== 'permit') throw new Error(permit.kind);
  expect(permit.args).toEqual({ amount: 50, token: call.args.token });
  expect(editNotice(permit)).toBe('[a person edited the arguments of this call; it ran with {"amount":50,"token":"[redacted:key-name]"}]');
});

it('says nothing of a call that nobody edited', async () => {
  const permit = await permitOf();
  if (permit.kind !== 'permit') throw new Error(permit.kind);
  expect(editNotice(permit)).toBeUndefined();
});

it('quotes no more than its bound, and whole characters', () => {
  const notice = editNotice({ edited: { call: 'x', shown: '\u{1F600}'.repeat(MAX_EDIT_NOTICE_CHARS) } });
  expect(notice?.length).toBeLessThan(MAX_EDIT_NOTICE_CHARS + 100);
  expect(notice?.isWellFormed()).toBe(true);
});
