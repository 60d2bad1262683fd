import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Approver,
  type AuditRecord,
  type Authorization,
  approvalStatement,
  budgetFrom,
  createGuard,
  definePolicy,
  type GrantTerms,
  type Guard,
  type GuardOptions,
  generateKey,
  revocationStatement,
  rulePolicy,
  type Store,
  signerFromPem,
  statementOf,
  type ToolCall,
} from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ALICE: Approver = { id: 'alice', method: 'host' };
const HOUR_MS = 3_600_000;
const TERMS: GrantTerms = { ttlMs: HOUR_MS, uses: 2, reason: 'the outage of tonight' };
const finance = generateKey('finance');
const financeSigner = signerFromPem(finance.privatePem, 'finance');
const KEYS = new Map([['finance', finance.vkey]]);

const call = (name: string, args: unknown = { a: 1 }, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args, ...more });
const code = (authorization: Authorization): string => authorization.decision.reasonCode;
const sign = (statement: Uint8Array): string => Buffer.from(financeSigner.sign(statement)).toString('base64');

describe.each(['memory', 'sqlite'])('grants on the %s store', (kind) => {
  let clock: ReturnType<typeof fixedClock>;
  let path: string;
  let store: Store;
  const guards: Guard[] = [];

  beforeEach(() => {
    clock = fixedClock();
    path = join(tempDirectory(), 'ledger.db');
    store = kind === 'memory' ? memoryStore({ clock }) : openLedger(path, { clock });
  });
  afterEach(async () => {
    for (const guard of guards.splice(0)) await guard.close();
    await store.close();
    if (kind === 'memory') return;
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY], approvers: KEYS });
    if (report.status !== 'valid') throw new Error(`the ledger is ${report.status}: ${JSON.stringify(report.problems)}`);
  });

  function guarded(options: Partial<GuardOptions> = {}): Guard {
    const guard = guardOn(store, { clock, ...options });
    guards.push(guard);
    return guard;
  }

  async function pendingId(guard: Guard, asked: ToolCall): Promise<string> {
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error(`the call did not ask: ${code(pending)}`);
    return pending.approvalId;
  }

  /** Asks about a call and lets alice approve it with a grant. @returns the id of the grant. */
  async function granted(guard: Guard, terms: Partial<GrantTerms> = {}, asked = call('ask'), approver = ALICE): Promise<string> {
    await guard.approvals.resolve(await pendingId(guard, asked), { decision: 'approve', grant: { ...TERMS, ...terms } }, approver);
    const [row] = await guard.approvals.grants();
    if (row === undefined) throw new Error('nothing was granted');
    return row.id;
  }

  /** Whether the call runs without asking. */
  async function ask(guard: Guard, asked = call('ask')): Promise<string> {
    const authorization = await guard.authorize(asked, { approval: 'suspend' });
    if (authorization.kind === 'permit') await authorization.settle({ status: 'success' }, { durable: true });
    return authorization.kind === 'pending' ? 'asked' : code(authorization);
  }

  it('as many calls as were granted run without asking, and the next one asks', async () => {
    const guard = guarded();
    const id = await granted(guard);
    expect([await ask(guard), await ask(guard, call('ask', { other: true })), await ask(guard), await ask(guard)]).toEqual([
      'GRANT_USED',
      'GRANT_USED',
      'asked',
      'asked',
    ]);
    expect(guard.counters).toMatchObject({ grantsUsed: 2, allowed: 2 });
    expect(await guard.approvals.grants()).toMatchObject([
      { id, state: 'used', uses: 2, usesLeft: 0, reason: TERMS.reason, approver: { id: 'alice', method: 'host' }, rule: 'ask' },
    ]);
  });

  it('the call that was asked about runs on its approval and uses nothing of the grant', async () => {
    const guard = guarded();
    const asked = call('ask', {}, { id: 'c1', turn: '1' });
    await granted(guard, { uses: 1 }, asked);
    expect(await ask(guard, asked)).toBe('APPROVAL_GRANTED');
    expect(await guard.approvals.grants()).toMatchObject([{ state: 'open', usesLeft: 1 }]);
  });

  it('the same call again is no second call: it ran, and the grant has lost one use', async () => {
    const guard = guarded();
    await granted(guard);
    const again = call('ask', {}, { id: 'c1', turn: '1' });
    expect([await ask(guard, again), await ask(guard, again)]).toEqual(['GRANT_USED', 'CALL_ALREADY_RUN']);
    expect(await guard.approvals.grants()).toMatchObject([{ usesLeft: 1 }]);
  });

  it('a call that asked before it was granted stays with its ask', async () => {
    const guard = guarded();
    const before = call('ask', {}, { id: 'c1', turn: '1' });
    await pendingId(guard, before);
    await granted(guard, {}, call('ask', { other: 1 }));
    expect(await ask(guard, before)).toBe('asked');
  });

  describe('is good for nothing else:', () => {
    const policy = rulePolicy({
      id: 'rules',
      default: 'deny',
      rules: [
        { id: 'refunds', tools: ['refund', 'bank/refund'], effect: 'require_approval' },
        { id: 'large', tools: ['refund'], when: "'large' in args", effect: 'require_approval', approval: { approvers: ['cfo'] } },
        { id: 'never', tools: ['refund'], when: "'stolen' in args", effect: 'deny' },
      ],
    });
    const refund = (args: unknown, more: Partial<ToolCall> = {}): ToolCall => call('refund', args, more);

    it.each<[string, ToolCall, Partial<GuardOptions>, string]>([
      ['the same', refund({ a: 1 }), {}, 'GRANT_USED'],
      ['another tool', { ...refund({ a: 1 }), tool: { name: 'drop' } }, {}, 'POLICY_DEFAULT_DENY'],
      ['the tool of another server', { ...refund({ a: 1 }), tool: { name: 'refund', server: 'bank' } }, {}, 'asked'],
      ['the tool once it has a schema', { ...refund({ a: 1 }), tool: { name: 'refund', schema: 'ab' } }, {}, 'asked'],
      ['another session', refund({ a: 1 }, { session: 's2' }), {}, 'asked'],
      ['a principal', refund({ a: 1 }, { principal: 'eve' }), {}, 'asked'],
      ['another agent', refund({ a: 1 }), { agent: 'eve' }, 'asked'],
      ['a call that a second rule asks about', refund({ large: true }), {}, 'asked'],
      ['a call that a rule denies', refund({ stolen: true }), {}, 'POLICY_DENY_HIGH_RISK'],
      [
        'another policy',
        refund({ a: 1 }),
        { policy: rulePolicy({ id: 'rules', version: '2', rules: [{ id: 'refunds', tools: ['refund'], effect: 'require_approval' }] }) },
        'asked',
      ],
    ])('%s', async (_what, other, options, expected) => {
      await granted(guarded({ policy }), {}, refund({ a: 1 }));
      expect(await ask(guarded({ policy, ...options }), other)).toBe(expected);
    });

    it('with scope agent it is good in every session of that agent', async () => {
      await granted(guarded({ policy }), { scope: 'agent', uses: 1 }, refund({ a: 1 }));
      expect(await ask(guarded({ policy, agent: 'eve', session: 's3' }), refund({}))).toBe('asked');
      expect(await ask(guarded({ policy, session: 's2' }), refund({}))).toBe('GRANT_USED');
    });

    it('a policy that is code and asks for more from this call', async () => {
      const code = definePolicy({
        id: 'code',
        evaluate: ({ args }) => {
          const { more } = args as { readonly more?: string };
          if (more === 'quorum') return { effect: 'require_approval', rule: 'r', terms: { quorum: 2 } };
          if (more === 'approvers') return { effect: 'require_approval', rule: 'r', terms: { approvers: ['bob'] } };
          if (more === 'assurance') return { effect: 'require_approval', rule: 'r', terms: { assurance: 'high' } };
          if (more === 'code') return { effect: 'require_approval', rule: 'r', reasonCode: 'ANOTHER' };
          if (more === 'rule') return { effect: 'require_approval', rule: 'q' };
          return { effect: 'require_approval', rule: 'r' };
        },
      });
      const guard = guarded({ policy: code });
      await granted(guard, {}, call('t', {}));
      for (const more of ['quorum', 'approvers', 'assurance', 'code', 'rule'])
        expect(await ask(guard, call('t', { more })), more).toBe('asked');
      expect(await ask(guard, call('t', {}))).toBe('GRANT_USED');
    });

    it('several policies that ask: one person spoke for one of them', async () => {
      const one = definePolicy({ id: 'one', evaluate: () => ({ effect: 'require_approval', rule: 'r' }) });
      const two = definePolicy({
        id: 'two',
        evaluate: ({ args }) => ('two' in (args as object) ? { effect: 'require_approval', rule: 'r' } : { effect: 'abstain' }),
      });
      const guard = guarded({ policy: [one, two] });
      await granted(guard, {}, call('t', {}));
      expect([await ask(guard, call('t', { two: 1 })), await ask(guard, call('t', {}))]).toEqual(['asked', 'GRANT_USED']);
    });
  });

  it('a deny that comes later beats it, and a halted session', async () => {
    let verdict: 'require_approval' | 'deny' = 'require_approval';
    const policy = definePolicy({ id: 'moody', evaluate: () => ({ effect: verdict, rule: 'r' }) });
    const guard = guarded({ policy });
    await granted(guard);
    verdict = 'deny';
    expect(await ask(guard)).toBe('POLICY_DENY_HIGH_RISK');
    verdict = 'require_approval';
    const body = { kind: 'session', agent: 'tester', session: 's1', event: 'halted' } as const;
    await store.commit({ kind: 'record', body });
    expect(await ask(guard)).toBe('SESSION_HALTED');
    await store.commit({ kind: 'record', body: { ...body, event: 'resumed' } });
    expect(await ask(guard)).toBe('GRANT_USED');
  });

  it('expires to the millisecond', async () => {
    const guard = guarded();
    await granted(guard, { ttlMs: 1000 });
    clock.advance(999);
    expect(await ask(guard)).toBe('GRANT_USED');
    clock.advance(1);
    expect(await ask(guard)).toBe('asked');
    expect(await guard.approvals.grants()).toMatchObject([{ state: 'expired', usesLeft: 1 }]);
  });

  it('is good for calls that meet its condition; an error is none, and is told', async () => {
    const errors: unknown[] = [];
    const guard = guarded({ onError: (error, { during }) => errors.push([during, String(error)]) });
    await granted(guard, { when: 'args.amount <= 10' });
    expect(await ask(guard, call('ask', { amount: 11 }))).toBe('asked');
    expect(errors).toEqual([]);
    expect(await ask(guard, call('ask', { sum: 1 }))).toBe('asked');
    expect(errors).toEqual([['the condition of a grant', expect.stringContaining('missing key')]]);
    expect(await ask(guard, call('ask', { amount: 10 }))).toBe('GRANT_USED');
    expect(await guard.approvals.grants()).toMatchObject([{ when: 'args.amount <= 10', usesLeft: 1 }]);
  });

  it('is told to the audit log: given, used, taken back', async () => {
    const records: AuditRecord[] = [];
    const guard = guarded({ audit: [{ write: (record) => void records.push(record), close: () => undefined }] });
    const id = await granted(guard);
    await ask(guard);
    await guard.approvals.revoke(id, ALICE);
    await guard.approvals.revoke(id, ALICE);
    await guard.close();
    expect(records.filter(({ event }) => event === 'grant')).toMatchObject([
      { what: 'granted', grant: id, agent: 'tester', tool: { name: 'ask' }, uses: 2, approver: 'alice', method: 'host' },
      { what: 'revoked', grant: id, approver: 'alice' },
    ]);
    expect(records).toContainEqual(expect.objectContaining({ event: 'decision', reason_code: 'GRANT_USED', grant: id }));
  });

  it('as the guide gives it', async () => {
    const guard = guarded();
    const id = await pendingId(guard, call('ask', { amount: 5000 }));
    const grant = { ttlMs: 3_600_000, uses: 5, reason: 'the outage', when: 'args.amount <= 1000' };
    await guard.approvals.resolve(id, { decision: 'approve', grant }, { id: 'ana', method: 'host' });
    expect([await ask(guard, call('ask', { amount: 5000 })), await ask(guard, call('ask', { amount: 5 }))]).toEqual([
      'asked',
      'GRANT_USED',
    ]);
  });

  it('is charged to budgets, and a budget that refuses leaves it unused', async () => {
    const guard = guarded({ budgets: [budgetFrom({ id: 'calls', per: 'agent', limit: 1, window: '1h' })] });
    await granted(guard);
    expect([await ask(guard), await ask(guard)]).toEqual(['GRANT_USED', 'BUDGET_EXCEEDED_AGENT_RATE']);
    expect(await guard.approvals.grants()).toMatchObject([{ usesLeft: 1 }]);
    expect(guard.counters.grantsUsed).toBe(1);
    clock.advance(HOUR_MS - 1);
    expect(await ask(guard)).toBe('BUDGET_EXCEEDED_AGENT_RATE');
  });

  it('confirm mode: overrides the question that a default deny becomes, and in enforce mode the deny stands', async () => {
    const policy = definePolicy({ id: 'silent', evaluate: () => ({ effect: 'abstain' }) });
    const guard = guarded({ policy, mode: 'confirm' });
    await granted(guard);
    expect(await ask(guarded({ policy }))).toBe('POLICY_DEFAULT_DENY');
    expect(await ask(guard)).toBe('GRANT_USED');
  });

  it('audit mode asks nobody, and uses no grant', async () => {
    await granted(guarded());
    expect(await ask(guarded({ mode: 'audit' }))).toBe('POLICY_REQUIRE_APPROVAL_HIGH_VALUE');
    expect(await guarded().approvals.grants()).toMatchObject([{ usesLeft: 2 }]);
  });

  it('a preview tells of it and uses nothing', async () => {
    const guard = guarded();
    expect((await guard.preview(call('ask'))).decision).toMatchObject({ effect: 'require_approval' });
    await granted(guard);
    for (const openApproval of [false, true]) {
      const preview = await guard.preview(call('ask', { b: 1 }), { openApproval });
      expect(preview).toEqual({
        decision: expect.objectContaining({ effect: 'allow', would: 'require_approval', reasonCode: 'GRANT_USED' }),
      });
    }
    expect(await guard.approvals.grants()).toMatchObject([{ usesLeft: 2 }]);
  });

  it('of several the one that expires first is used first', async () => {
    const guard = guarded();
    const early = await pendingId(guard, call('ask', { early: true }));
    const late = await granted(guard, { uses: 1 });
    await guard.approvals.resolve(early, { decision: 'approve', grant: { ...TERMS, uses: 1, ttlMs: 1000 } }, ALICE);
    expect(await ask(guard)).toBe('GRANT_USED');
    expect(await guard.approvals.grants()).toMatchObject([{ usesLeft: 0 }, { id: late, usesLeft: 1 }]);
    expect([await ask(guard), await ask(guard)]).toEqual(['GRANT_USED', 'asked']);
  });

  describe('giving one', () => {
    it.each<[string, unknown, string]>([
      ['no terms', null, 'GRANT_REFUSED'],
      ['no uses', { ...TERMS, uses: 0 }, 'GRANT_REFUSED'],
      ['half a use', { ...TERMS, uses: 1.5 }, 'GRANT_REFUSED'],
      ['a thousand and one uses', { ...TERMS, uses: 1001 }, 'GRANT_REFUSED'],
      ['no end of uses', { ...TERMS, uses: Number.POSITIVE_INFINITY }, 'GRANT_REFUSED'],
      ['no time', { ...TERMS, ttlMs: 0 }, 'GRANT_REFUSED'],
      ['negative time', { ...TERMS, ttlMs: -1 }, 'GRANT_REFUSED'],
      ['NaN', { ...TERMS, ttlMs: Number.NaN }, 'GRANT_REFUSED'],
      ['more than a day', { ...TERMS, ttlMs: 24 * HOUR_MS + 1 }, 'GRANT_REFUSED'],
      ['no reason', { ttlMs: 1, uses: 1 }, 'GRANT_REFUSED'],
      ['an empty reason', { ...TERMS, reason: ' \n' }, 'GRANT_REFUSED'],
      ['a long reason', { ...TERMS, reason: 'x'.repeat(501) }, 'GRANT_REFUSED'],
      ['a scope that is none', { ...TERMS, scope: 'world' }, 'GRANT_REFUSED'],
      ['a condition that is no text', { ...TERMS, when: 1 }, 'GRANT_REFUSED'],
      ['a condition that does not compile', { ...TERMS, when: 'args.amount <=' }, 'CONDITION_INVALID'],
      ['a condition over what does not exist', { ...TERMS, when: 'argz.amount <= 1' }, 'CONDITION_INVALID'],
      ['a condition over raw arguments', { ...TERMS, when: "raw['/a'] == 1" }, 'CONDITION_INVALID'],
      ['a condition that is no yes or no', { ...TERMS, when: "'a' + 'b'" }, 'CONDITION_INVALID'],
      ['a condition with a secret', { ...TERMS, when: "args.key == 'sk-live-0123456789abcdef0123456789abcdef'" }, 'GRANT_REFUSED'],
      ['an id of its own', { ...TERMS, id: 'x', openingKey: 'y', expiresAtMs: 1 }, 'GRANT_REFUSED'],
    ])('%s is refused, and nothing is answered', async (_what, grant, expected) => {
      const guard = guarded();
      const id = await pendingId(guard, call('ask'));
      const answer = { decision: 'approve', grant: grant as GrantTerms } as const;
      await expect(guard.approvals.resolve(id, answer, ALICE)).rejects.toMatchObject({ code: expected });
      expect([await guard.approvals.get(id), await guard.approvals.grants()]).toMatchObject([{ state: 'pending' }, []]);
    });

    it('by low assurance, with a deny, where two must approve, or by nobody who may approve: refused', async () => {
      const guard = guarded({
        policy: definePolicy({
          id: 'p',
          evaluate: ({ tool }) => ({
            effect: 'require_approval',
            terms: tool.name === 'two' ? { quorum: 2 } : tool.name === 'bob' ? { approvers: ['bob'] } : {},
          }),
        }),
      });
      const refused = async (name: string, decision: 'approve' | 'deny', approver: Approver, expected: string): Promise<void> => {
        const id = await pendingId(guard, call(name));
        const answer = { decision, grant: TERMS } as never;
        await expect(guard.approvals.resolve(id, answer, approver)).rejects.toMatchObject({ code: expected });
        expect(await guard.approvals.get(id)).toMatchObject({ state: 'pending' });
      };
      await refused('one', 'approve', { id: 'user', method: 'elicitation' }, 'APPROVER_REFUSED');
      await refused('one', 'deny', ALICE, 'GRANT_REFUSED');
      await refused('two', 'approve', ALICE, 'GRANT_REFUSED');
      await refused('bob', 'approve', ALICE, 'APPROVER_REFUSED');
      expect(await guard.approvals.grants()).toEqual([]);
    });

    it('the cap is the one that is configured, also for a grant that another process gave', async () => {
      const strict = guarded({ approvals: { maxGrantTtlMs: 1000 } });
      const id = await pendingId(strict, call('ask'));
      const answer = { decision: 'approve', grant: { ...TERMS, ttlMs: 1001 } } as const;
      await expect(strict.approvals.resolve(id, answer, ALICE)).rejects.toMatchObject({ code: 'GRANT_REFUSED' });
      await guarded().approvals.resolve(id, answer, ALICE);
      expect([await ask(strict), await ask(guarded())]).toEqual(['asked', 'GRANT_USED']);
    });

    it('a secret in the reason is replaced before it is written', async () => {
      const guard = guarded();
      await granted(guard, { reason: 'their key is sk-live-0123456789abcdef0123456789abcdef' });
      const [row] = await guard.approvals.grants();
      expect(row?.reason).toMatch(/^their key is .*\[redacted:/);
    });

    it('not from inside a guarded call', async () => {
      const guard = guarded();
      const id = await pendingId(guard, call('ask'));
      const inside = guard.run(call('read'), () => guard.approvals.resolve(id, { decision: 'approve', grant: TERMS }, ALICE));
      await expect(inside).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      await expect(guard.run(call('read'), () => guard.approvals.revoke(id, ALICE))).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
    });
  });

  describe('by key', () => {
    async function signed(guard: Guard, change: (offer: Record<string, unknown>) => void = () => undefined): Promise<string> {
      const id = await pendingId(guard, call('ask'));
      const draft = await guard.approvals.draftGrant(id, TERMS);
      const row = await guard.approvals.get(id);
      if (row === undefined) throw new Error('gone');
      const offer: Record<string, unknown> = { ...draft.offer, signature: sign(draft.statement('finance')) };
      change(offer);
      const signature = sign(approvalStatement(statementOf(row, 'approve', 'finance')));
      await guard.approvals.resolve(id, { decision: 'approve', grant: offer as never }, { id: 'finance', method: 'key', signature });
      return draft.offer.id;
    }

    it('the grant is signed too, and used, and taken back with a signature', async () => {
      const guard = guarded({ approvals: { approvers: KEYS } });
      const id = await signed(guard);
      expect(await ask(guard)).toBe('GRANT_USED');
      await expect(guard.approvals.revoke(id, { id: 'finance', method: 'host' })).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      const stolen = sign(revocationStatement({ agent: 'tester', approver: 'finance', grant: 'f'.repeat(32) }));
      const by = (signature: string): Approver => ({ id: 'finance', method: 'key', signature });
      await expect(guard.approvals.revoke(id, by(stolen))).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      expect(await ask(guard)).toBe('GRANT_USED');
      const again = guarded({ approvals: { approvers: KEYS } });
      const next = await signed(again);
      await again.approvals.revoke(next, by(sign(revocationStatement({ agent: 'tester', approver: 'finance', grant: next }))));
      expect(await ask(again)).toBe('asked');
    });

    it.each<[string, (offer: Record<string, unknown>) => void, string]>([
      ['without a signature', (offer) => delete offer['signature'], 'APPROVER_REFUSED'],
      ['for more uses', (offer) => (offer['uses'] = 3), 'APPROVER_REFUSED'],
      ['for longer', (offer) => (offer['expiresAtMs'] = (offer['expiresAtMs'] as number) + 1), 'APPROVER_REFUSED'],
      ['for another scope', (offer) => (offer['scope'] = 'agent'), 'APPROVER_REFUSED'],
      ['for another reason', (offer) => (offer['reason'] = 'why not'), 'APPROVER_REFUSED'],
      ['on a condition that was not signed', (offer) => (offer['when'] = 'true'), 'APPROVER_REFUSED'],
      ['under another key', (offer) => (offer['openingKey'] = '0'.repeat(64)), 'APPROVER_REFUSED'],
      ['under another id', (offer) => (offer['id'] = '0'.repeat(32)), 'APPROVER_REFUSED'],
      ['as terms', (offer) => void (delete offer['openingKey'], (offer['ttlMs'] = 1)), 'GRANT_REFUSED'],
    ])('%s than was signed: refused', async (_what, change, expected) => {
      const guard = guarded({ approvals: { approvers: KEYS } });
      await expect(signed(guard, change)).rejects.toMatchObject({ code: expected });
      expect(await guard.approvals.grants()).toEqual([]);
    });

    it('once the name has a key, what was given without it is good for nothing', async () => {
      await granted(guarded(), {}, call('ask'), { id: 'finance', method: 'host' });
      expect(await ask(guarded({ approvals: { approvers: KEYS } }))).toBe('asked');
    });
  });

  describe('taking back', () => {
    it('a grant: at once, for every process, and once is enough', async () => {
      const guard = guarded();
      const id = await granted(guard);
      expect(await ask(guard)).toBe('GRANT_USED');
      const before = (await store.head()).size;
      expect(await guard.approvals.revoke(id, ALICE, { message: 'enough' })).toMatchObject({
        kind: 'grant',
        grant: { state: 'revoked', usesLeft: 1 },
      });
      expect(await guard.approvals.revoke(id, ALICE)).toMatchObject({ kind: 'grant', grant: { state: 'revoked' } });
      expect((await store.head()).size - before).toBe(1);
      expect(await ask(guard)).toBe('asked');
    });

    it('a grant that is used up or expired stays what it is', async () => {
      const guard = guarded();
      const id = await granted(guard, { uses: 1, ttlMs: 1000 });
      await ask(guard);
      expect(await guard.approvals.revoke(id, ALICE)).toMatchObject({ grant: { state: 'used' } });
      clock.advance(2000);
      const next = await granted(guard, { uses: 1, ttlMs: 1000 });
      clock.advance(2000);
      expect(await guard.approvals.revoke(next, ALICE)).toMatchObject({ grant: { state: 'expired' } });
    });

    it('only by somebody who might have given it; low assurance is enough to take back', async () => {
      const policy = definePolicy({ id: 'p', evaluate: () => ({ effect: 'require_approval', terms: { approvers: ['alice', 'bob'] } }) });
      const guard = guarded({ policy });
      const id = await granted(guard);
      await expect(guard.approvals.revoke(id, { id: 'eve', method: 'host' })).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      await expect(guard.approvals.revoke('f'.repeat(32), ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_FOUND' });
      expect(await guard.approvals.revoke(id, { id: 'bob', method: 'elicitation' })).toMatchObject({ grant: { state: 'revoked' } });
    });

    it('an approval that waits or was not used yet, by whoever approved it too; used ones stay used', async () => {
      const guard = guarded();
      const asked = call('ask', {}, { id: 'c1', turn: '1' });
      const waiting = await pendingId(guard, call('ask', { b: 2 }, { id: 'c0', turn: '1' }));
      expect(await guard.approvals.revoke(waiting, ALICE)).toMatchObject({ kind: 'approval', approval: { state: 'denied' } });
      const id = await pendingId(guard, asked);
      await guard.approvals.resolve(id, { decision: 'approve' }, ALICE);
      await expect(guard.approvals.resolve(id, { decision: 'deny' }, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
      expect(await guard.approvals.revoke(id, ALICE, { message: 'no longer' })).toMatchObject({ approval: { state: 'denied' } });
      const before = (await store.head()).size;
      expect(await guard.approvals.revoke(id, ALICE)).toMatchObject({ approval: { state: 'denied' } });
      expect((await store.head()).size).toBe(before);
      expect(await ask(guard, asked)).toBe('APPROVAL_DENIED');
      const used = call('ask', {}, { id: 'c2', turn: '1' });
      const usedId = await pendingId(guard, used);
      await guard.approvals.resolve(usedId, { decision: 'approve' }, ALICE);
      expect(await ask(guard, used)).toBe('APPROVAL_GRANTED');
      await expect(guard.approvals.revoke(usedId, ALICE)).rejects.toMatchObject({ code: 'APPROVAL_NOT_PENDING' });
    });

    it('an approval takes the grant that was given with it along', async () => {
      const guard = guarded();
      const asked = call('ask', {}, { id: 'c1', turn: '1' });
      const approval = await pendingId(guard, asked);
      await guard.approvals.resolve(approval, { decision: 'approve', grant: TERMS }, ALICE);
      await guard.approvals.revoke(approval, ALICE);
      expect(await ask(guard, call('ask', { b: 1 }))).toBe('asked');
      expect(await guard.approvals.grants()).toMatchObject([{ state: 'revoked' }]);
    });

    it('racing a use: whichever is first is what the ledger tells', async () => {
      for (let round = 0; round < 10; round++) {
        const guard = guarded({ session: `race-${round}` });
        const id = await granted(guard, { uses: 1 });
        const [used, revoked] = await Promise.all([ask(guard), guard.approvals.revoke(id, ALICE)]);
        expect([
          ['GRANT_USED', 'used'],
          ['asked', 'revoked'],
        ]).toContainEqual([used, revoked.kind === 'grant' && revoked.grant.state]);
      }
    });
  });
});

it('what was granted survives a restart, with what was used of it', async () => {
  const clock = fixedClock();
  const path = join(tempDirectory(), 'ledger.db');
  const policy = definePolicy({ id: 'p', evaluate: () => ({ effect: 'require_approval', rule: 'r' }) });
  const results: string[] = [];
  for (let life = 0; life < 4; life++) {
    const store = openLedger(path, { clock });
    const guard = createGuard({ agent: 'tester', session: 's1', policy, store });
    if (life === 0) {
      const pending = await guard.authorize(call('t'), { approval: 'suspend' });
      if (pending.kind === 'pending') await guard.approvals.resolve(pending.approvalId, { decision: 'approve', grant: TERMS }, ALICE);
    } else {
      const authorization = await guard.authorize(call('t'), { approval: 'suspend' });
      results.push(code(authorization));
    }
    await guard.close();
    await store.close();
  }
  expect(results).toEqual(['GRANT_USED', 'GRANT_USED', 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE']);
});
