import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { MAX_EDITS } from '../../src/approval/edit.ts';
import {
  type ApprovalRow,
  approvalStatement,
  budgetFrom,
  commitSection,
  definePolicy,
  type Guard,
  type GuardOptions,
  generateKey,
  type Json,
  newOpeningKey,
  type Policy,
  type PolicyVerdict,
  type Refusal,
  type Store,
  signerFromPem,
  statementOf,
  type ToolCall,
} from '../../src/index.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import { guardOn } from '../fixtures/ledger.ts';
import { failing, memory, type Opened, sqlite } from './stores.ts';

const ALICE = { id: 'alice', method: 'host' } as const;
const TOKEN = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';

/** Over 1000 is denied, over 100 needs a person, less is allowed. */
const pay: Policy = definePolicy({
  id: 'pay',
  version: '1',
  evaluate: ({ args }): PolicyVerdict => {
    const { amount } = args as { readonly amount: number };
    if (amount > 1000) return { effect: 'deny', rule: 'no', reason: 'too much' };
    return amount > 100 ? { effect: 'require_approval', rule: 'ask', reason: 'over 100' } : { effect: 'allow', rule: 'small' };
  },
});

const call = (args: unknown = { amount: 700, to: 'ann' }, more: Partial<ToolCall> = {}): ToolCall => ({
  tool: { name: 'pay' },
  args,
  ...more,
});
const named = (args?: unknown): ToolCall => call(args, { id: 'f1', turn: 't' });
type Decision = Extract<Entry, { readonly kind: 'decision' }>;

describe.each([
  ['memory store', memory],
  ['sqlite store', sqlite],
])('an edited call on the %s', (storeName, open) => {
  let opened: Opened;
  const guards: Guard[] = [];
  const stores: Store[] = [];
  const errors: unknown[] = [];

  beforeEach(() => {
    opened = open();
    errors.length = 0;
  });
  afterEach(async () => {
    for (const guard of guards.splice(0)) await guard.close();
    // Whatever a test did, the ledger it leaves is one.
    const problems = await opened.problems();
    for (const store of stores.splice(0)) await store.close();
    await opened.store.close();
    if (problems.length > 0) throw new Error(`the ledger is not valid: ${problems.join('; ')}`);
  });

  function guarded(options: Partial<GuardOptions> = {}, store: Store = opened.store): Guard {
    const guard = guardOn(store, { policy: pay, clock: opened.clock, onError: (error) => errors.push(error), ...options });
    guards.push(guard);
    return guard;
  }
  function another(options: Partial<GuardOptions> = {}): Guard {
    const store = opened.again();
    if (store !== opened.store) stores.push(store);
    return guarded(options, store);
  }
  const decisions = (): readonly Decision[] => opened.entries().flatMap((entry) => (entry.kind === 'decision' ? [entry] : []));
  const effects = (): readonly string[] => decisions().map(({ effect, reason_code }) => `${effect} ${reason_code}`);
  async function pending(guard: Guard): Promise<ApprovalRow> {
    return vi.waitFor(async () => {
      const [row] = await guard.approvals.list({ state: 'pending' });
      if (row === undefined) throw new Error('nothing waits');
      return row;
    }, 20_000);
  }
  async function edit(guard: Guard, args: Json, message?: string): Promise<ApprovalRow> {
    return guard.approvals.resolve((await pending(guard)).id, { decision: 'edit', args, ...(message && { message }) }, ALICE);
  }
  /** Asks and leaves the call waiting. */
  async function ask(guard: Guard, asked: ToolCall): Promise<void> {
    expect((await guard.authorize(asked, { approval: 'suspend', adopt: asked.id === undefined })).kind).toBe('pending');
  }
  const reenter = (guard: Guard, asked: ToolCall) => guard.authorize(asked, { approval: 'suspend', adopt: asked.id === undefined });
  const refused = (authorization: { kind: string }): Refusal['decision'] => {
    expect(authorization.kind).toBe('refusal');
    return (authorization as Refusal).decision;
  };

  it('runs with the edited arguments, and the original is refused', async () => {
    const guard = guarded();
    const tool = vi.fn((args: unknown) => args);
    const running = guard.run(named(), tool);
    const row = await edit(guard, { amount: 70, to: 'ann' }, 'less');
    expect(row).toMatchObject({ state: 'denied', edit: { amount: 70, to: 'ann' }, answers: [{ answer: 'deny', edited: true }] });
    expect(await running).toEqual({ amount: 70, to: 'ann' });
    expect(tool).toHaveBeenCalledOnce();
    expect(effects()).toEqual([
      'require_approval POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      'allow POLICY_ALLOW_LOW_RISK',
      'deny APPROVAL_EDITED',
    ]);
    const [asked, allowed, original] = decisions();
    expect(original?.call).toBe(asked?.call);
    expect(allowed?.call).not.toBe(asked?.call);
    expect(allowed?.edited).toEqual({ call: asked?.call, answer: { of: row.answers[0]?.of, leaf: row.answers[0]?.leaf } });
    const answer = opened.entries().find((entry) => entry.kind === 'approval');
    expect(answer).toMatchObject({ answer: 'deny', args_commit: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(errors).toEqual([]);
  });

  it.each([
    ['with an id of the framework', named],
    ['without one', call],
  ])('is found again after a suspend, %s', async (_name, make) => {
    const guard = guarded();
    await ask(guard, make());
    await edit(guard, { amount: 70, to: 'ann' });
    const permit = await reenter(another(), make());
    expect(permit).toMatchObject({ kind: 'permit', args: { amount: 70, to: 'ann' }, edited: { call: decisions()[0]?.call } });
    if (permit.kind === 'permit') await permit.settle({ status: 'success' });
  });

  it.each([
    ['with an id of the framework', named],
    ['without one', call],
  ])('is asked about anew where policy says so, with what was changed, %s', async (_name, make) => {
    const asks: unknown[] = [];
    const guard = guarded({ channels: [{ name: 'seen', ask: async (request) => void asks.push(request) }] });
    await ask(guard, make());
    await edit(guard, { amount: 200, to: 'ann' });
    const again = await reenter(guard, make());
    expect(again).toMatchObject({ kind: 'pending', shown: { amount: 200, to: 'ann' } });
    await vi.waitFor(() => expect(asks).toHaveLength(2), 20_000);
    expect(asks[1]).toMatchObject({ args: { amount: 200, to: 'ann' }, edited: { from: { amount: 700, to: 'ann' } } });
    const row = await pending(guard);
    expect(await guard.approvals.get(row.id)).toMatchObject({
      shown: { amount: 200, to: 'ann' },
      edited: { call: decisions()[0]?.call, from: { amount: 700, to: 'ann' } },
    });
    // Nothing ran yet, whoever comes back and however often, and nothing is asked twice.
    expect((await reenter(another(), make())).kind).toBe('pending');
    expect(await guard.approvals.list({ state: 'pending' })).toHaveLength(1);
    await guard.approvals.resolve(row.id, { decision: 'approve' }, ALICE);
    const permit = await reenter(another(), make());
    expect(permit).toMatchObject({ kind: 'permit', args: { amount: 200, to: 'ann' }, decision: { reasonCode: 'APPROVAL_GRANTED' } });
    if (permit.kind === 'permit') await permit.settle({ status: 'success' });
  });

  it('that policy denies stays denied', async () => {
    const guard = guarded();
    await ask(guard, named());
    await edit(guard, { amount: 5000, to: 'ann' });
    expect(refused(await reenter(guard, named())).reasonCode).toBe('POLICY_DENY_HIGH_RISK');
    expect(refused(await reenter(guard, named())).reasonCode).toBe('POLICY_DENY_HIGH_RISK');
    expect(effects().filter((effect) => effect.startsWith('allow'))).toEqual([]);
  });

  it('runs once, however often the framework comes back', async () => {
    const guard = guarded();
    const tool = vi.fn(() => 'done');
    const running = guard.run(named(), tool);
    await edit(guard, { amount: 70, to: 'ann' });
    await running;
    const ran = decisions().find(({ effect }) => effect === 'allow')?.call ?? '';
    await vi.waitFor(async () => expect((await opened.store.callById(ran))?.state).toBe('settled'), 20_000);
    for (const again of [guard, another()]) {
      const decision = refused(await reenter(again, named()));
      expect(decision.reasonCode).toBe('CALL_ALREADY_RUN');
    }
    expect(await guard.run(named(), tool)).toBe('done');
    expect(tool).toHaveBeenCalledOnce();
  });

  it('is refused to the second of two who come back at once', async () => {
    const guard = guarded();
    await ask(guard, named());
    await edit(guard, { amount: 70, to: 'ann' });
    const results = await Promise.all([reenter(guard, named()), reenter(another(), named()), reenter(another(), named())]);
    expect(results.filter(({ kind }) => kind === 'permit')).toHaveLength(1);
    for (const result of results) if (result.kind === 'refusal') expect(result.decision.reasonCode).toBe('CALL_IN_PROGRESS');
  });

  it('may have run when its process died, and then does not run again', async () => {
    const guard = guarded();
    await ask(guard, named());
    await edit(guard, { amount: 70, to: 'ann' });
    const dying = another();
    expect((await reenter(dying, named())).kind).toBe('permit');
    if (storeName === 'memory store') return;
    await guards.pop()?.close();
    await stores.pop()?.close();
    expect(refused(await reenter(guard, named())).reasonCode).toBe('CALL_OUTCOME_UNKNOWN');
  });

  it('comes of an edit also when the original was refused and the process died before it was decided', async () => {
    const guard = guarded();
    await ask(guard, named());
    const { call: original } = await edit(guard, { amount: 70, to: 'ann' });
    // What the crash left: the refusal of the original alone.
    const row = await opened.store.callById(original);
    const asked = decisions()[0] as Decision;
    const { v: _v, id: _id, at: _at, writer: _writer, binds: _binds, approval: _approval, ...body } = asked;
    await opened.store.commit({
      kind: 'decide',
      body: { ...body, effect: 'deny', would: 'deny', reason_code: 'APPROVAL_EDITED' },
      call: { match: row?.match ?? '', ...(row?.key !== undefined && { key: row.key }) },
    });
    expect((await opened.store.callById(original))?.state).toBe('denied');
    expect(await reenter(another(), named())).toMatchObject({ kind: 'permit', args: { amount: 70, to: 'ann' } });
    expect(refused(await reenter(another(), named())).reasonCode).toBe('CALL_IN_PROGRESS');
  });

  it.each([
    ['the edit is decided', (unit: { kind: string; body?: { edited?: unknown } }) => unit.body?.edited !== undefined],
    ['the original is refused', (unit: { kind: string; body?: { reason_code?: string } }) => unit.body?.reason_code === 'APPROVAL_EDITED'],
  ])('survives a store that fails while %s', async (what, fails) => {
    const guard = guarded();
    await ask(guard, named());
    await edit(guard, { amount: 70, to: 'ann' });
    const broken = guarded(
      { budgets: [budgetFrom({ id: 'paid', per: 'agent', limit: 1000, cost: 'args.amount' })] },
      failing(opened.store, fails as never),
    );
    const first = await reenter(broken, named());
    if (what === 'the edit is decided') {
      expect(refused(first).reasonCode).toBe('INTERNAL_ERROR');
      expect(decisions()).toHaveLength(1);
      expect(await reenter(guard, named())).toMatchObject({ kind: 'permit', args: { amount: 70, to: 'ann' } });
    } else {
      expect(first).toMatchObject({ kind: 'permit', args: { amount: 70, to: 'ann' } });
      expect(errors).toHaveLength(1);
      // The way back leads to the call that was allowed.
      expect(refused(await reenter(guard, named())).reasonCode).toBe('CALL_IN_PROGRESS');
    }
  });

  it('does not let the original run when policy has come to allow it', async () => {
    const allowing = definePolicy({ id: 'pay', version: '2', evaluate: () => ({ effect: 'allow' }) });
    const guard = guarded();
    await ask(guard, named());
    await edit(guard, { amount: 200, to: 'ann' });
    const permit = await reenter(guarded({ policy: allowing }), named());
    expect(permit).toMatchObject({ kind: 'permit', args: { amount: 200, to: 'ann' } });
    expect(effects()).toContain('deny APPROVAL_EDITED');
  });

  it('is charged for what it does', async () => {
    const budgets = [budgetFrom({ id: 'paid', per: 'agent', limit: 1000, cost: 'args.amount' })];
    const guard = guarded({ budgets });
    const running = guard.run(named(), (args) => args);
    await edit(guard, { amount: 70, to: 'ann' });
    await running;
    expect(decisions().flatMap(({ effect, budgets: charged }) => (effect === 'allow' ? charged : []))).toMatchObject([
      { id: 'paid', cost: 70_000_000, left: 930_000_000 },
    ]);
  });

  it.each([
    ['with an id of the framework', named],
    ['without one', call],
  ])('whose approval a budget left unused is found again, %s', async (_name, make) => {
    const budgets = [budgetFrom({ id: 'paid', per: 'agent', limit: 250, window: '1h', cost: 'args.amount' })];
    const guard = guarded({ budgets });
    await guard.run(call({ amount: 100 }), () => 'paid');
    await ask(guard, make());
    await edit(guard, { amount: 200, to: 'ann' });
    await reenter(guard, make());
    await guard.approvals.resolve((await pending(guard)).id, { decision: 'approve' }, ALICE);
    opened.clock.advance(60_000);
    expect(refused(await reenter(guard, make())).reasonCode).toBe('BUDGET_EXCEEDED_AGENT_RATE');
    const larger = guarded({ budgets: [budgetFrom({ id: 'paid', per: 'agent', limit: 500, window: '1h', cost: 'args.amount' })] });
    expect(await reenter(larger, make())).toMatchObject({ kind: 'permit', args: { amount: 200, to: 'ann' } });
  });

  it('keeps the secrets of the original in their places, and nowhere else', async () => {
    const guard = guarded();
    const running = guard.run(named({ amount: 700, api_key: TOKEN }), (args) => args);
    await edit(guard, { amount: 70, api_key: '[redacted:key-name]' });
    expect(await running).toEqual({ amount: 70, api_key: TOKEN });
    expect(JSON.stringify(opened.entries())).not.toContain(TOKEN);
    expect(JSON.stringify(await guard.approvals.list())).not.toContain(TOKEN);
  });

  it.each<[string, Json]>([
    ['a secret', { amount: 70, note: `use ${TOKEN}` }],
    ['a moved placeholder', { amount: 70, note: '[redacted:key-name]' }],
    ['nothing changed', { amount: 700, api_key: '[redacted:key-name]' }],
  ])('is not made of %s', async (_what, args) => {
    const guard = guarded();
    await ask(guard, named({ amount: 700, api_key: TOKEN }));
    const before = opened.entries().length;
    await expect(edit(guard, args)).rejects.toMatchObject({ code: 'APPROVAL_EDIT_INVALID' });
    expect(opened.entries()).toHaveLength(before);
    expect((await pending(guard)).state).toBe('pending');
  });

  it('can be edited again, and not for ever', async () => {
    const guard = guarded();
    await ask(guard, named());
    for (let n = 0; n <= MAX_EDITS; n++) {
      await edit(guard, { amount: 200 + n, to: 'ann' });
      const next = await reenter(guard, named());
      if (n < MAX_EDITS) expect(next).toMatchObject({ kind: 'pending', shown: { amount: 200 + n } });
      else expect(refused(next).reasonCode).toBe('APPROVAL_EDITED');
    }
    expect(refused(await reenter(guard, named())).reasonCode).toBe('APPROVAL_EDITED');
    expect(effects().filter((effect) => effect.startsWith('allow'))).toEqual([]);
  });

  it('is bound to its own approval: an answer to the original is worth nothing for it', async () => {
    const guard = guarded();
    await ask(guard, named());
    const original = await pending(guard);
    await edit(guard, { amount: 200, to: 'ann' });
    expect((await reenter(guard, named())).kind).toBe('pending');
    await expect(guard.approvals.resolve(original.id, { decision: 'approve' }, { id: 'bob', method: 'host' })).rejects.toMatchObject({
      code: 'APPROVAL_NOT_PENDING',
    });
    expect((await reenter(guard, named())).kind).toBe('pending');
  });

  it('beats approvals that were given before', async () => {
    const two = definePolicy({
      id: 'two',
      evaluate: ({ args }) =>
        (args as { amount: number }).amount > 100 ? { effect: 'require_approval', terms: { quorum: 2 } } : { effect: 'allow' },
    });
    const guard = guarded({ policy: two });
    await ask(guard, named());
    const { id } = await pending(guard);
    await guard.approvals.resolve(id, { decision: 'approve' }, { id: 'bob', method: 'host' });
    await edit(guard, { amount: 70, to: 'ann' });
    await expect(guard.approvals.resolve(id, { decision: 'approve' }, { id: 'carol', method: 'host' })).rejects.toMatchObject({
      code: 'APPROVAL_NOT_PENDING',
    });
    expect(await reenter(guard, named())).toMatchObject({ kind: 'permit', args: { amount: 70, to: 'ann' } });
  });

  it('is told by a preview, which makes nothing', async () => {
    const guard = guarded();
    await ask(guard, named());
    await edit(guard, { amount: 200, to: 'ann' });
    const before = opened.entries().length;
    expect(await guard.preview(named())).toMatchObject({ decision: { effect: 'require_approval' } });
    expect(opened.entries()).toHaveLength(before);
    const pendingCall = await reenter(guard, named());
    expect(await guard.preview(named())).toMatchObject({
      approvalState: 'pending',
      approvalId: pendingCall.kind === 'pending' ? pendingCall.approvalId : '',
    });
  });

  it('of a call whose cost is a number is refused: it would be charged for something else', async () => {
    const guard = guarded();
    const asked = call(undefined, { id: 'f1', cost: 700_000_000 });
    await ask(guard, asked);
    await edit(guard, { amount: 70, to: 'ann' });
    expect(refused(await reenter(guard, asked)).reasonCode).toBe('APPROVAL_EDIT_INVALID');
    const other = call({ amount: 600 }, { id: 'f2', cost: 600_000_000 });
    await ask(guard, other);
    await edit(guard, { amount: 60 });
    const costOf = (args: unknown): number => (args as { amount: number }).amount * 1_000_000;
    expect(await guard.authorize(other, { approval: 'suspend', costOf })).toMatchObject({ kind: 'permit', args: { amount: 60 } });
  });

  describe('of a wrapped tool', () => {
    const schema = z.object({ amount: z.number(), to: z.string().default('ann') });

    it('is parsed by the schema of the tool and costs what it costs', async () => {
      const guard = guarded({ budgets: [budgetFrom({ id: 'paid', per: 'agent', limit: 1000, cost: 'cost' })] });
      const inner = vi.fn((args: { amount: number }) => args);
      const tool = guard.tool('pay', inner, { schema, cost: ({ amount }) => amount * 1_000_000 });
      const running = tool({ amount: 700 } as never);
      await edit(guard, { amount: 70, to: 'bob' });
      expect(await running).toEqual({ amount: 70, to: 'bob' });
      expect(inner).toHaveBeenCalledOnce();
      expect(decisions().find(({ effect }) => effect === 'allow')?.budgets).toMatchObject([{ cost: 70_000_000 }]);
    });

    it.each<[string, Json, RegExp]>([
      ['do not fit', { amount: 'seventy', to: 'ann' }, /do not fit the tool: \/amount invalid_type/],
      ['the schema would add to', { amount: 70 }, /changes the edited arguments/],
      ['the schema would take from', { amount: 70, to: 'ann', extra: 1 }, /changes the edited arguments/],
    ])('does not run with arguments that %s', async (_what, args, reason) => {
      const guard = guarded();
      const inner = vi.fn();
      const running = guard.tool('pay', inner, { schema })({ amount: 700, to: 'ann' });
      const failed = running.catch((error: unknown) => error);
      await edit(guard, args);
      expect(await failed).toMatchObject({
        refusal: { decision: { reasonCode: 'ARGUMENTS_INVALID', reason: expect.stringMatching(reason) } },
      });
      expect(inner).not.toHaveBeenCalled();
    });
  });

  describe('by key', () => {
    const finance = generateKey('finance');
    const signer = signerFromPem(finance.privatePem, 'finance');
    const approvals = { approvers: new Map([['finance', finance.vkey]]) };
    const sign = (row: ApprovalRow, given: Parameters<typeof statementOf>[1]): string =>
      Buffer.from(signer.sign(approvalStatement(statementOf(row, given, 'finance')))).toString('base64');

    it('is signed with what it proposes', async () => {
      const guard = guarded({ approvals });
      await ask(guard, named());
      const row = await pending(guard);
      const openingKey = newOpeningKey();
      const args = { amount: 70, to: 'ann' };
      const signature = sign(row, { answer: 'deny', argsCommit: commitSection(openingKey, 'args', args) });
      const approver = { id: 'finance', method: 'key', signature } as const;
      await expect(
        guard.approvals.resolve(row.id, { decision: 'edit', args, openingKey: newOpeningKey() }, approver),
      ).rejects.toMatchObject({
        code: 'APPROVER_REFUSED',
      });
      await expect(
        guard.approvals.resolve(row.id, { decision: 'edit', args: { amount: 71, to: 'ann' }, openingKey }, approver),
      ).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      await expect(guard.approvals.resolve(row.id, { decision: 'edit', args }, approver)).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
      });
      // Neither is a plain deny, nor can a deny be made of it.
      await expect(guard.approvals.resolve(row.id, { decision: 'deny' }, approver)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      const deny = { id: 'finance', method: 'key', signature: sign(row, 'deny') } as const;
      await expect(guard.approvals.resolve(row.id, { decision: 'edit', args, openingKey }, deny)).rejects.toMatchObject({
        code: 'APPROVER_REFUSED',
      });
      await guard.approvals.resolve(row.id, { decision: 'edit', args, openingKey }, approver);
      expect(await reenter(guard, named())).toMatchObject({ kind: 'permit', args });
    });

    it('counts for nothing when a guard without the key took it from somebody else', async () => {
      await ask(guarded(), named());
      await guarded().approvals.resolve(
        (await pending(guarded())).id,
        { decision: 'edit', args: { amount: 1 } },
        { id: 'finance', method: 'host' },
      );
      expect(refused(await reenter(guarded({ approvals }), named())).reasonCode).toBe('APPROVAL_FORGED');
    });
  });

  describe.runIf(storeName === 'sqlite store')('whose rows somebody edited (the memory store has none)', () => {
    const sql = (text: string): void => {
      const database = new Sqlite(opened.path ?? '');
      database.exec(text);
      database.close();
    };
    /** The opening of the answer as the ledger has it, and another text in it. */
    const replaceOpening = (from: string, to: string): void =>
      sql(`UPDATE openings SET sections = replace(sections, '${from}', '${to}') WHERE seq = (SELECT MAX(seq) FROM openings)`);

    it.each<[string, () => void, string]>([
      ['proposes nothing else than was committed to', () => replaceOpening('70', '71'), 'APPROVAL_EDIT_INVALID'],
      ['needs its opening', () => sql('DELETE FROM openings WHERE seq = (SELECT MAX(seq) FROM openings)'), 'APPROVAL_EDIT_INVALID'],
      ['needs an entry', () => sql(`UPDATE approvals SET answers = replace(answers, '"of":', '"of":1')`), 'APPROVAL_FORGED'],
      [
        'is no edit when its row says it is none',
        () => sql(`UPDATE approvals SET answers = replace(answers, ',"edited":true', '')`),
        'APPROVAL_DENIED',
      ],
      [
        'is no approval when its row says it is one',
        () => sql(`UPDATE approvals SET state = 'approved', answers = replace(answers, '"deny"', '"approve"')`),
        'APPROVAL_FORGED',
      ],
    ])('%s', async (_what, change, reasonCode) => {
      const guard = guarded();
      await ask(guard, named());
      await edit(guard, { amount: 70, to: 'ann' });
      change();
      expect(refused(await reenter(another(), named())).reasonCode).toBe(reasonCode);
      expect(effects().filter((effect) => effect.startsWith('allow'))).toEqual([]);
      // `verify` is right to complain of an opening that was changed.
      if (reasonCode === 'APPROVAL_EDIT_INVALID') opened = { ...opened, problems: async () => [] };
    });

    it('does not run twice when the row of its one run is taken away', async () => {
      const guard = guarded();
      await ask(guard, named());
      await edit(guard, { amount: 70, to: 'ann' });
      const permit = await reenter(guard, named());
      expect(permit.kind).toBe('permit');
      if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
      sql(`DELETE FROM calls WHERE id = '${permit.callId}'`);
      expect(refused(await reenter(another(), named())).reasonCode).toBe('APPROVAL_ALREADY_USED');
    });

    it('does not make an original run that a person edited, whatever its rows say', async () => {
      const guard = guarded();
      await ask(guard, named());
      await edit(guard, { amount: 200, to: 'ann' });
      sql(`UPDATE approvals SET state = 'pending', answers = '[]'`);
      const allowing = definePolicy({ id: 'pay', version: '2', evaluate: () => ({ effect: 'allow' }) });
      expect(refused(await reenter(another({ policy: allowing }), named())).reasonCode).toBe('APPROVAL_EDITED');
    });

    it('is of the call that was edited and of no other', async () => {
      const guard = guarded();
      await ask(guard, named());
      await edit(guard, { amount: 70, to: 'ann' });
      const other = call({ amount: 900, to: 'eve' }, { id: 'f9' });
      await ask(guard, other);
      const [second] = await guard.approvals.list({ state: 'pending' });
      // The rows of the other call lead to the edit of the first.
      sql(`UPDATE calls SET approval = (SELECT id FROM approvals WHERE state = 'denied') WHERE approval = '${second?.id}'`);
      expect(refused(await reenter(another(), other)).reasonCode).toBe('APPROVAL_MISROUTED');
      sql(`UPDATE calls SET state = 'asked'`);
    });
  });
});
