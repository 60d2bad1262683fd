import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ApprovalRow,
  type Approver,
  approvalStatement,
  budgetFrom,
  definePolicy,
  type Guard,
  type GuardOptions,
  generateKey,
  type Policy,
  type PolicyVerdict,
  type Refusal,
  type Store,
  signerFromPem,
  statementOf,
  type ToolCall,
  type Unit,
} from '../../src/index.ts';
import { guardOn } from '../fixtures/ledger.ts';
import { failing, memory, type Opened, sqlite } from './stores.ts';

const ALICE: Approver = { id: 'alice', method: 'host' };
const BOB: Approver = { id: 'bob', method: 'host' };
const MINUTE_MS = 60_000;
const call = (id = 'f1', args: unknown = { amount: 700 }): ToolCall => ({ tool: { name: 'pay' }, args, id, turn: 't' });

/** A policy whose word changes while its document and hash stay: code, or a decision point elsewhere. */
function moody(first: PolicyVerdict): { readonly policy: Policy; says: PolicyVerdict } {
  const mood = { says: first };
  const policy = definePolicy({ id: 'moody', version: '1', evaluate: () => mood.says });
  return Object.assign(mood, { policy });
}
const asks = (terms: Extract<PolicyVerdict, { effect: 'require_approval' }>['terms'] = {}): PolicyVerdict => ({
  effect: 'require_approval',
  rule: 'ask',
  terms,
});

describe.each([
  ['memory store', memory],
  ['sqlite store', sqlite],
])('on the %s', (storeName, open) => {
  let opened: Opened;
  const guards: Guard[] = [];
  const stores: Store[] = [];

  beforeEach(() => {
    opened = open();
  });
  afterEach(async () => {
    for (const guard of guards.splice(0)) await guard.close();
    for (const store of stores.splice(0)) await store.close();
    await opened.store.close();
  });

  function guarded(options: Partial<GuardOptions> = {}, store: Store = opened.store): Guard {
    const guard = guardOn(store, { policy: moody(asks()).policy, clock: opened.clock, ...options });
    guards.push(guard);
    return guard;
  }
  function another(options: Partial<GuardOptions> = {}): Guard {
    const store = opened.again();
    if (store !== opened.store) stores.push(store);
    return guarded(options, store);
  }
  const suspend = (guard: Guard, asked: ToolCall = call()) => guard.authorize(asked, { approval: 'suspend' });
  async function ask(guard: Guard, asked: ToolCall = call()): Promise<ApprovalRow> {
    const pending = await suspend(guard, asked);
    const row = pending.kind === 'pending' ? await guard.approvals.get(pending.approvalId) : undefined;
    if (row === undefined) throw new Error('the call did not ask');
    return row;
  }
  const approve = (guard: Guard, { id }: ApprovalRow, approver: Approver = ALICE) =>
    guard.approvals.resolve(id, { decision: 'approve' }, approver);
  async function refusedWith(authorization: Promise<{ kind: string }>): Promise<string> {
    const settled = await authorization;
    expect(settled.kind).toBe('refusal');
    return (settled as Refusal).decision.reasonCode;
  }
  const allows = (): number => opened.entries().filter((entry) => entry.kind === 'decision' && entry.effect === 'allow').length;

  describe('an approval that is not good for a call has the reason in its code', () => {
    type Decide = Extract<Unit, { readonly kind: 'decide' }>;
    /** A guard that lies to its store about the approval it uses. */
    function lying(lie: (unit: Decide & { use: NonNullable<Decide['use']> }) => Unit, options: Partial<GuardOptions> = {}): Guard {
      const store = new Proxy(opened.store, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (name === 'commit') {
            return (unit: Unit, how?: object) =>
              target.commit(unit.kind === 'decide' && unit.use !== undefined ? lie(unit as never) : unit, how);
          }
          return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
        },
      });
      return guarded(options, store);
    }

    it('forged: it has no answers, others than the tree holds, or an entry that is none', async () => {
      const lies: readonly ((row: ApprovalRow) => Parameters<typeof lying>[0])[] = [
        () => (unit) => ({ ...unit, use: { ...unit.use, answers: [] } }),
        () => (unit) => ({ ...unit, use: { ...unit.use, answers: unit.use.answers.map(({ of }) => ({ of, leaf: 'f'.repeat(64) })) } }),
        () => (unit) => ({ ...unit, use: { ...unit.use, answers: [{ of: 1_000_000, leaf: 'f'.repeat(64) }] } }),
        (row) => (unit) => ({ ...unit, use: { ...unit.use, answers: [row.ask] } }),
        () => (unit) => ({ ...unit, use: { ...unit.use, approval: 'f'.repeat(32) } }),
      ];
      for (const [i, lie] of lies.entries()) {
        const asked = call(`f${i}`, { amount: i });
        const row = await ask(guarded(), asked);
        await approve(guarded(), row);
        expect(await refusedWith(suspend(lying(lie(row)), asked))).toBe('APPROVAL_FORGED');
      }
      expect(allows()).toBe(0);
    });

    it('forged: the approver has a key and did not use it, or signed something else', async () => {
      const finance = generateKey('finance');
      const signer = signerFromPem(finance.privatePem, 'finance');
      const approvals = { approvers: new Map([['finance', finance.vkey]]) };
      const first = await ask(guarded());
      await approve(guarded(), first, { id: 'finance', method: 'host' });
      expect(await refusedWith(suspend(guarded({ approvals })))).toBe('APPROVAL_FORGED');

      const second = await ask(guarded(), call('f2', { amount: 2 }));
      const other = generateKey('finance');
      const approver = (signature: string): Approver => ({ id: 'finance', method: 'key', signature });
      const sign = (row: ApprovalRow): string =>
        Buffer.from(signer.sign(approvalStatement(statementOf(row, 'approve', 'finance')))).toString('base64');
      const others = { approvers: new Map([['finance', other.vkey]]) };
      const wrong = [
        approver(sign({ ...second, binds: 'f'.repeat(64) })),
        approver(sign({ ...second, id: first.id })),
        approver('AAAA'),
        approver(''),
      ];
      for (const each of wrong)
        await expect(approve(guarded({ approvals }), second, each)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      await approve(guarded({ approvals }), second, approver(sign(second)));
      // A guard that knows another key does not take it.
      expect(await refusedWith(suspend(guarded({ approvals: others }), call('f2', { amount: 2 })))).toBe('APPROVAL_FORGED');
      expect(allows()).toBe(0);
    });

    it('misrouted: it is the approval of another call, or has its answers', async () => {
      const policy = moody(asks()).policy;
      const other = await ask(guarded({ policy }), call('f2', { amount: 2 }));
      const answered = await approve(guarded({ policy }), other);
      await approve(guarded({ policy }), await ask(guarded({ policy })));
      expect(
        await refusedWith(suspend(lying((unit) => ({ ...unit, use: { approval: other.id, answers: answered.answers } }), { policy }))),
      ).toBe('APPROVAL_MISROUTED');
      await approve(guarded({ policy }), await ask(guarded({ policy }), call('f3', { amount: 3 })));
      const swapped = lying((unit) => ({ ...unit, use: { ...unit.use, answers: answered.answers } }), { policy });
      expect(await refusedWith(suspend(swapped, call('f3', { amount: 3 })))).toBe('APPROVAL_MISROUTED');
      expect(allows()).toBe(0);
    });

    it('changed: the arguments are others than were approved', async () => {
      await approve(guarded(), await ask(guarded()));
      const changed = lying((unit) => ({ ...unit, body: { ...unit.body, binds: 'f'.repeat(64) } }));
      expect(await refusedWith(suspend(changed))).toBe('APPROVAL_BINDING_MISMATCH');
      expect(allows()).toBe(0);
    });

    it('another policy', async () => {
      await approve(guarded(), await ask(guarded()));
      const policy = definePolicy({ id: 'moody', version: '2', evaluate: () => asks() });
      expect(await refusedWith(suspend(guarded({ policy })))).toBe('APPROVAL_POLICY_CHANGED');
      expect(allows()).toBe(0);
    });

    it('expired', async () => {
      await approve(guarded(), await ask(guarded()));
      opened.clock.advance(10 * MINUTE_MS);
      expect(await refusedWith(suspend(guarded()))).toBe('APPROVAL_EXPIRED');
      expect(allows()).toBe(0);
    });

    it.runIf(storeName === 'sqlite store')('replayed: rows that say it was never used (the memory store has none to edit)', async () => {
      await approve(guarded(), await ask(guarded()));
      const permit = await suspend(guarded());
      if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
      const database = new Sqlite(opened.path ?? '');
      const bindKey = 'a'.repeat(64);
      database.exec(`UPDATE approvals SET state = 'approved'; UPDATE calls SET state = 'asked', bind_key = '${bindKey}'`);
      database.close();
      // The key that binds is gone for good: a made up one binds another call.
      expect(await refusedWith(suspend(another()))).toBe('APPROVAL_BINDING_MISMATCH');
      expect(allows()).toBe(1);
    });

    it('replayed: an approval that was used, with everything else in order', async () => {
      await approve(guarded(), await ask(guarded()));
      const used: Decide[] = [];
      const permit = await suspend(lying((unit) => (used.push(unit), unit)));
      expect(permit.kind).toBe('permit');
      expect((await opened.store.callById(permit.callId))?.state).toBe('allowed');
      for (const unit of used) expect(await opened.store.commit(unit)).toMatchObject({ kind: 'repeat' });
      expect(used).toHaveLength(1);
      expect(allows()).toBe(1);
    });
  });

  describe('policy is asked again when an approval is used', () => {
    it.each<[string, PolicyVerdict, PolicyVerdict, string]>([
      ['a deny', asks(), { effect: 'deny', rule: 'no' }, 'POLICY_DENY_HIGH_RISK'],
      ['more people', asks(), asks({ quorum: 2 }), 'APPROVAL_POLICY_CHANGED'],
      ['other people', asks(), asks({ approvers: ['bob'] }), 'APPROVAL_POLICY_CHANGED'],
      ['people of whom one answered', asks({ quorum: 1 }), asks({ quorum: 2, approvers: ['alice', 'bob'] }), 'APPROVAL_POLICY_CHANGED'],
      ['more assurance', asks({ assurance: 'low' }), asks({ assurance: 'high' }), 'APPROVAL_POLICY_CHANGED'],
      ['less time', asks(), asks({ ttlMs: 1000 }), 'APPROVAL_EXPIRED'],
    ])('and %s wins', async (_what, first, then, reasonCode) => {
      const mood = moody(first);
      const guard = guarded({ policy: mood.policy });
      await approve(guard, await ask(guard));
      opened.clock.advance(2000);
      mood.says = then;
      expect(await refusedWith(suspend(guard))).toBe(reasonCode);
      expect(allows()).toBe(0);
    });

    it('and less than at first does not', async () => {
      const mood = moody(asks({ quorum: 2, approvers: ['alice', 'bob'], assurance: 'medium' }));
      const guard = guarded({ policy: mood.policy });
      const row = await ask(guard);
      expect(row.assurance).toBe('medium');
      mood.says = asks();
      await approve(guard, row);
      expect((await suspend(guard)).kind).toBe('pending');
      await expect(approve(guard, row, { id: 'eve', method: 'host' })).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      await expect(approve(guard, row, { id: 'bob', method: 'elicitation' })).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      await approve(guard, row, BOB);
      expect((await suspend(guard)).kind).toBe('permit');
    });

    it('and a person who said no is not outvoted by a policy that came to allow', async () => {
      const mood = moody(asks());
      const guard = guarded({ policy: mood.policy });
      const row = await ask(guard);
      await guard.approvals.resolve(row.id, { decision: 'deny', message: 'never' }, ALICE);
      mood.says = { effect: 'allow' };
      expect(await refusedWith(suspend(guard))).toBe('APPROVAL_DENIED');
      expect(allows()).toBe(0);
    });
  });

  describe('assurance', () => {
    it.each<[string, Approver, boolean]>([
      ['a key', { id: 'x', method: 'key' }, false],
      ['an elicitation', { id: 'x', method: 'elicitation' }, false],
      ['a made up method', { id: 'x', method: 'constructor' as never }, false],
      ['a page', { id: 'x', method: 'page' }, true],
      ['a webhook', { id: 'x', method: 'webhook' }, true],
      ['a terminal', { id: 'x', method: 'terminal' }, true],
    ])('medium: an approval by %s', async (_what, approver, isTaken) => {
      const guard = guarded({ policy: moody(asks({ assurance: 'medium' })).policy });
      const row = await ask(guard);
      const given = await approve(guard, row, approver).then(
        ({ state }) => state,
        ({ code }: { code: string }) => code,
      );
      expect(given).toBe(isTaken ? 'approved' : 'APPROVER_REFUSED');
      expect((await suspend(guard)).kind).toBe(isTaken ? 'permit' : 'pending');
    });

    it('is not needed for a no, and is for an edit', async () => {
      const guard = guarded({ policy: moody(asks({ assurance: 'high' })).policy });
      const row = await ask(guard);
      await expect(guard.approvals.resolve(row.id, { decision: 'edit', args: { amount: 1 } }, ALICE)).rejects.toMatchObject({
        code: 'APPROVER_REFUSED',
      });
      await guard.approvals.resolve(row.id, { decision: 'deny' }, { id: 'x', method: 'elicitation' });
      expect(await refusedWith(suspend(guard))).toBe('APPROVAL_DENIED');
    });
  });

  describe('answers at odd times', () => {
    it('two approvers at the same instant make a quorum of two', async () => {
      const { policy } = moody(asks({ quorum: 2 }));
      const guard = guarded({ policy });
      const row = await ask(guard);
      await Promise.all([approve(guard, row), approve(another({ policy }), row, BOB)]);
      expect((await guard.approvals.get(row.id))?.answers).toHaveLength(2);
      expect((await suspend(guard)).kind).toBe('permit');
    });

    it('one approver twice at the same instant is one', async () => {
      const { policy } = moody(asks({ quorum: 2 }));
      const guard = guarded({ policy });
      const row = await ask(guard);
      const both = await Promise.allSettled([approve(guard, row), approve(another({ policy }), row, { id: 'ALICE ', method: 'host' })]);
      expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect((await suspend(guard)).kind).toBe('pending');
    });

    it('a yes, a no and an edit at the same instant: one of them is the answer', async () => {
      const { policy } = moody(asks());
      const guard = guarded({ policy });
      const row = await ask(guard);
      const answers = await Promise.allSettled([
        approve(guard, row),
        another({ policy }).approvals.resolve(row.id, { decision: 'deny' }, BOB),
        another({ policy }).approvals.resolve(row.id, { decision: 'edit', args: { amount: 1 } }, { id: 'carol', method: 'host' }),
      ]);
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
      expect((await guard.approvals.get(row.id))?.answers).toHaveLength(1);
    });

    it.each([
      ['approve', { decision: 'approve' }],
      ['deny', { decision: 'deny' }],
      ['edit', { decision: 'edit', args: { amount: 1 } }],
    ] as const)('%s after the expiry is too late', async (_what, answer) => {
      const guard = guarded();
      const row = await ask(guard);
      opened.clock.advance(5 * MINUTE_MS);
      await expect(guard.approvals.resolve(row.id, answer, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
      expect(await refusedWith(suspend(guard))).toBe('APPROVAL_EXPIRED');
    });

    it('an answer given under another policy is worth nothing under this one', async () => {
      const guard = guarded();
      const row = await ask(guard);
      const later = guarded({ policy: definePolicy({ id: 'moody', version: '2', evaluate: () => asks() }) });
      await approve(later, row);
      expect(await refusedWith(suspend(later))).toBe('APPROVAL_POLICY_CHANGED');
    });

    it('a clock that jumps back between ask and answer lengthens nothing', async () => {
      const guard = guarded();
      const row = await ask(guard);
      opened.clock.advance(-60 * MINUTE_MS);
      await approve(guard, row);
      const times = opened.entries().map(({ at }) => at);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      opened.clock.advance(60 * MINUTE_MS + 4 * MINUTE_MS);
      expect((await suspend(guard)).kind).toBe('permit');
    });

    it('a clock that jumped forwards and back brings nothing back to life', async () => {
      const guard = guarded();
      const row = await ask(guard);
      opened.clock.advance(60 * MINUTE_MS);
      // Anything written now fixes the time.
      await opened.store.commit({ kind: 'record', body: { kind: 'note', topic: 'test', data: 1 } });
      opened.clock.advance(-60 * MINUTE_MS);
      await expect(approve(guard, row)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
      expect(await refusedWith(suspend(guard))).toBe('APPROVAL_EXPIRED');
    });

    it('a clock that jumps forwards after the approval lets it expire', async () => {
      const guard = guarded();
      await approve(guard, await ask(guard));
      opened.clock.advance(24 * 60 * MINUTE_MS);
      expect(await refusedWith(suspend(guard))).toBe('APPROVAL_EXPIRED');
      expect(allows()).toBe(0);
    });
  });

  it('a store that fails between approval and commit charges nothing, runs nothing, and the approval is good afterwards', async () => {
    const budgets = [budgetFrom({ id: 'paid', per: 'agent', limit: 1000, cost: 'args.amount' })];
    const { policy } = moody(asks());
    const guard = guarded({ policy, budgets });
    const row = await ask(guard);
    await approve(guard, row);
    const broken = guarded(
      { policy, budgets },
      failing(opened.store, (unit) => unit.kind === 'decide'),
    );
    let ran = 0;
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(broken.run(call(), () => ran++)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    }
    expect(ran).toBe(0);
    expect(allows()).toBe(0);
    expect((await guard.approvals.get(row.id))?.state).toBe('approved');
    await guard.run(call(), () => ran++);
    expect(ran).toBe(1);
    const [allowed] = opened.entries().flatMap((entry) => (entry.kind === 'decision' && entry.effect === 'allow' ? [entry] : []));
    expect(allowed?.budgets).toMatchObject([{ cost: 700_000_000, left: 300_000_000 }]);
    expect((await guard.approvals.get(row.id))?.state).toBe('consumed');
  });

  it('a store that fails while the answer is given leaves the approval as it was', async () => {
    const { policy } = moody(asks());
    const guard = guarded({ policy });
    const row = await ask(guard);
    const broken = guarded(
      { policy },
      failing(opened.store, (unit) => unit.kind === 'answer'),
    );
    await expect(approve(broken, row)).rejects.toThrow('the disk is gone');
    expect((await suspend(guard)).kind).toBe('pending');
    await approve(guard, row);
    expect((await suspend(guard)).kind).toBe('permit');
  });
});
