/**
 * What the transaction refuses by itself. Guards look before they commit, and every other test goes through a guard; here one
 * that lies, or is of another version, hands over decisions as it likes.
 */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { ApprovalTerms } from '../../src/call.ts';
import {
  type Approver,
  createRedactor,
  type GrantTerms,
  type Guard,
  type Json,
  rulePolicy,
  type ToolCall,
  type Unit,
} from '../../src/index.ts';
import { newId } from '../../src/ledger/body.ts';
import { canonicalize } from '../../src/ledger/canonical.ts';
import { newOpeningKey } from '../../src/ledger/commitment.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import type { Committed, DecideUnit } from '../../src/store-units.ts';
import { type FixedClock, fixedClock } from '../../src/testing/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, forged, type Loose } from '../verify/forge.ts';

const ALICE: Approver = { id: 'alice', method: 'host' };
const TERMS: GrantTerms = { ttlMs: 60_000, uses: 2, reason: 'tonight' };
const policy = rulePolicy({
  id: 'pay',
  rules: [
    { id: 'ask', tools: ['bank/pay'], when: 'args.amount > 100', effect: 'require_approval' },
    { id: 'small', tools: ['bank/pay'], effect: 'allow' },
  ],
});

let path: string;
let clock: FixedClock;
let store: SqliteStore;
let guard: Guard;

beforeEach(() => {
  path = join(tempDirectory(), 'ledger.db');
  clock = fixedClock();
  store = openLedger(path, { clock });
  guard = guardOn(store, { policy });
  onTestFinished(async () => {
    await guard.close();
    await store.close();
    // Whatever was handed over, the ledger is one.
    const { problems } = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    if (problems.length > 0) throw new Error(`the ledger is not valid: ${JSON.stringify(problems)}`);
  });
});

function sql(file: string, text: string): void {
  new Sqlite(file).exec(text).close();
}

const call = (amount: number, more: Partial<ToolCall> = {}): ToolCall => ({
  tool: { server: 'bank', name: 'pay', schema: 'a'.repeat(64) },
  args: { amount },
  ...more,
});

async function asked(which: ToolCall): Promise<string> {
  const pending = await guard.authorize(which, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error(`it did not ask: ${pending.kind}`);
  return pending.approvalId;
}

/** What a guard would commit to let this call run, and does not. */
async function unitFor(which: ToolCall): Promise<DecideUnit> {
  const units: DecideUnit[] = [];
  const holding = Object.assign(Object.create(store) as SqliteStore, {
    commit: async (unit: Unit): Promise<Committed> => {
      if (unit.kind !== 'decide' || unit.body.effect === 'deny') return store.commit(unit);
      units.push(unit);
      throw new Error('not now');
    },
  });
  await guardOn(holding, { policy }).authorize(which, { approval: 'suspend' });
  const [unit] = units;
  if (unit === undefined) throw new Error('nothing was to be committed');
  return unit;
}

/** Another call with this body; it depends on no session, so that only what was changed can be wrong with it. */
function altered({ sessionVersion: _any, ...unit }: DecideUnit, change: Partial<DecideUnit['body']>): DecideUnit {
  return { ...unit, body: { ...unit.body, call: newId(), ...change } };
}

describe('a use of a grant', () => {
  const other = { id: 'pay', hash: '1'.repeat(64) };
  let unit: DecideUnit;

  beforeEach(async () => {
    await guard.approvals.resolve(await asked(call(700)), { decision: 'approve', grant: TERMS }, ALICE);
    unit = await unitFor(call(800));
    if (unit.grant === undefined) throw new Error('no grant was found for the call');
  });

  it.each<[string, Partial<DecideUnit['body']>]>([
    ['by another agent', { agent: 'eve' }],
    ['in another session', { session: 's2' }],
    ['for a principal', { principal: 'eve' }],
    ['under another rule', { rule: 'small' }],
    ['under another policy', { policy: other }],
    ['of another tool', { tool: { server: 'bank', name: 'drop', schema: 'a'.repeat(64) } }],
    ['of the tool of another server', { tool: { name: 'pay', schema: 'a'.repeat(64) } }],
    ['of a tool whose schema changed', { tool: { server: 'bank', name: 'pay', schema: 'b'.repeat(64) } }],
    ['of a tool that has no schema any more', { tool: { server: 'bank', name: 'pay' } }],
    ['against a deny', { would: 'deny' }],
    ['of a call that needs none', { would: 'allow' }],
    ['to ask', { effect: 'require_approval' }],
  ])('%s is none', async (_what, change) => {
    expect(await store.commit(altered(unit, change))).toEqual({ kind: 'not-granted', why: 'mismatch' });
    expect(await store.commit(altered(unit, {}))).toMatchObject({ kind: 'decided', body: { effect: 'allow', grant: { use: 1 } } });
  });

  it('may override what confirm mode asks about', async () => {
    expect(await store.commit(altered(unit, { would: 'deny', mode: 'confirm' }))).toMatchObject({ kind: 'decided' });
  });

  it('is in time until the last millisecond', async () => {
    clock.advance(TERMS.ttlMs - 1);
    expect(await store.commit(altered(unit, {}))).toMatchObject({ kind: 'decided' });
    clock.advance(1);
    expect(await store.commit(altered(unit, {}))).toEqual({ kind: 'not-granted', why: 'expired' });
  });
});

it.each<[string, (grant: Loose) => void]>([
  ['for another tool', (grant) => void (grant['tool'] = { server: 'bank', name: 'drop' })],
  ['for another agent', (grant) => void (grant['agent'] = 'eve')],
  ['for another session', (grant) => void (grant['session'] = 's2')],
  ['for a principal', (grant) => void (grant['principal'] = 'eve')],
  ['under another rule', (grant) => void (grant['rule'] = 'small')],
  ['under another policy', (grant) => void (grant['policy'] = { id: 'pay', hash: '1'.repeat(64) })],
  ['with low assurance', (grant) => void (grant['approver'] = { id: 'alice', method: 'host', assurance: 'low' })],
  ['for more uses than there may be', (grant) => void (grant['uses'] = 1001)],
])('a grant that was made with the ledger’s key, and says more than its ask and its answer: %s', async (_what, change) => {
  await guard.approvals.resolve(await asked(call(700)), { decision: 'approve', grant: TERMS }, ALICE);
  const unit = await unitFor(call(800));
  await guard.close();
  await store.close();
  let at = -1;
  const copy = forged(path, (entries) => {
    at = entries.findIndex((entry) => entry['event'] === 'granted');
    change(entries[at] as Loose);
  });
  const again = openLedger(copy, { clock });
  const { agent, session, principal, rule, policy: under, tool } = entriesOf(copy)[at] as unknown as DecideUnit['body'];
  const body = { agent, session, ...(principal !== undefined && { principal }), ...(rule !== undefined && { rule }), policy: under, tool };
  const text = canonicalize(entriesOf(copy)[at]);
  const grant = { id: unit.grant?.id ?? '', entry: { of: at, leaf: leafHash(text) } };
  // Rows are hints: this one leads to it.
  sql(copy, `UPDATE grants SET entry_of = ${at}, entry_leaf = '${grant.entry.leaf}'`);
  expect(await again.commit({ ...altered(unit, body), grant })).toEqual({ kind: 'not-granted', why: 'altered' });
  await again.close();
});

describe('giving a grant', () => {
  const offer = { id: newId(), openingKey: newOpeningKey(), scope: 'session', uses: 1, reason: 'tonight' } as const;
  const give = async (approval: string, more: object = {}): Promise<Committed> =>
    store.commit({
      kind: 'answer',
      approval,
      answer: 'approve',
      approver: { id: 'alice', method: 'host', assurance: 'medium' },
      grant: { ...offer, expiresAtMs: clock.nowMs() + 1000, ...more },
    });

  it.each<[string, object]>([
    ['that is over already', { expiresAtMs: 1 }],
    ['for no use', { uses: 0 }],
    ['for too many', { uses: 1001 }],
    ['for half a use', { uses: 1.5 }],
  ])('%s is refused, and the call still waits', async (_what, more) => {
    const id = await asked(call(700));
    expect(await give(id, more)).toEqual({ kind: 'not-answerable', why: 'grant' });
    expect(await store.approval(id)).toMatchObject({ state: 'pending' });
  });

  it('at the very end of its time is refused; under the id of another, too', async () => {
    expect(await give(await asked(call(700)), { expiresAtMs: clock.nowMs() })).toEqual({ kind: 'not-answerable', why: 'grant' });
    expect(await give(await asked(call(701)))).toMatchObject({ kind: 'answered' });
    expect(await give(await asked(call(702, { session: 's2' })))).toEqual({ kind: 'not-answerable', why: 'grant' });
  });
});

describe('a use of an approval', () => {
  const refused = (reasonCode: string) => ({ kind: 'decided', body: { effect: 'deny', reason_code: reasonCode } });
  const CALL = call(700, { id: 'f1', turn: 't' });
  const later = rulePolicy({ id: 'later', rules: [{ id: 'no', tools: ['*'], effect: 'deny' }] });
  let unit: DecideUnit;

  beforeEach(async () => {
    await guard.approvals.resolve(await asked(CALL), { decision: 'approve' }, ALICE);
    unit = await unitFor(CALL);
    if (unit.use?.answers.length !== 1) throw new Error('the approval is not used');
    // So that its document is on record.
    await guardOn(store, { policy: later }).authorize(call(1));
  });

  it.each<[string, string, (given: DecideUnit) => Partial<DecideUnit>]>([
    ['for another call', 'APPROVAL_MISROUTED', ({ body }) => ({ body: { ...body, call: newId() }, call: { match: '' } })],
    ['for other arguments', 'APPROVAL_BINDING_MISMATCH', ({ body }) => ({ body: { ...body, binds: '1'.repeat(64) } })],
    ['under another policy', 'APPROVAL_POLICY_CHANGED', ({ body }) => ({ body: { ...body, policy: { id: 'later', hash: later.hash } } })],
    ['without an answer', 'APPROVAL_FORGED', ({ use }) => ({ use: { approval: use?.approval ?? '', answers: [] } })],
    ['of an approval that is none', 'APPROVAL_FORGED', ({ use }) => ({ use: { approval: newId(), answers: use?.answers ?? [] } })],
    ['with an answer that is an ask', 'APPROVAL_FORGED', ({ use }) => ({ use: { approval: use?.approval ?? '', answers: [ask()] } })],
    ['when policy asks for two by now', 'APPROVAL_POLICY_CHANGED', ({ use }) => twice(use, { quorum: 2 })],
    ['when policy asks for somebody else by now', 'APPROVAL_POLICY_CHANGED', ({ use }) => twice(use, { approvers: ['bob'] })],
    ['when policy asks for a key by now', 'APPROVAL_POLICY_CHANGED', ({ use }) => twice(use, { assurance: 'high' })],
  ])('%s is refused: %s', async (_what, reasonCode, change) => {
    const { sessionVersion: _, ...given } = unit;
    expect(await store.commit({ ...given, ...change(unit) })).toMatchObject(refused(reasonCode));
  });
  const ask = () => {
    const at = entriesOf(path).findIndex((entry) => entry['effect'] === 'require_approval');
    return { of: at, leaf: leafHash(canonicalize(entriesOf(path)[at])) };
  };
  /** One answer handed over as two. */
  const twice = (use: DecideUnit['use'], terms: Partial<ApprovalTerms>) => ({
    use: { approval: use?.approval ?? '', answers: [...(use?.answers ?? []), ...(use?.answers ?? [])], terms },
  });

  it('is in time until the last millisecond', async () => {
    const { expiresAtMs } = (await store.approval(unit.use?.approval ?? '')) ?? { expiresAtMs: 0 };
    clock.advance(expiresAtMs - clock.nowMs());
    const { approval = '', answers = [] } = unit.use ?? {};
    // Without the terms of today, which would say the same.
    expect(await store.commit({ ...unit, use: { approval, answers } })).toMatchObject(refused('APPROVAL_EXPIRED'));
  });

  it('counts once, whoever hands it over twice', async () => {
    expect(await store.commit(unit)).toMatchObject({ kind: 'decided', body: { effect: 'allow' } });
    expect(await store.commit(unit)).toMatchObject({ kind: 'repeat' });
    sql(path, `DELETE FROM calls`);
    expect(await store.commit(unit)).toMatchObject(refused('APPROVAL_ALREADY_USED'));
  });
});

describe('taking an approval back', () => {
  const BOB = { id: 'bob', method: 'host', assurance: 'medium' } as const;
  let approval: string;

  beforeEach(async () => {
    approval = await asked(call(700, { id: 'r1', turn: 't' }));
    await guard.approvals.resolve(approval, { decision: 'approve' }, ALICE);
  });

  it('is a deny: nothing else may follow an approval', async () => {
    const again = { kind: 'answer', approval, answer: 'approve', revokes: true, approver: BOB } as const;
    expect(await store.commit(again)).toEqual({ kind: 'not-answerable', why: 'not-pending', state: 'approved' });
  });

  it('comes too late for a call that ran, whatever the row says', async () => {
    const permit = await guard.authorize(call(700, { id: 'r1', turn: 't' }), { approval: 'suspend' });
    expect(permit.kind).toBe('permit');
    if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    sql(path, `UPDATE approvals SET state = 'approved'`);
    const late = { kind: 'answer', approval, answer: 'deny', revokes: true, approver: BOB } as const;
    expect(await store.commit(late)).toEqual({ kind: 'not-answerable', why: 'not-pending', state: 'consumed' });
  });
});

describe('a call made by an edit', () => {
  const CALL = call(700, { id: 'f1', turn: 't' });
  let unit: DecideUnit;

  async function edited(args: Json): Promise<void> {
    await guard.approvals.resolve(await asked(CALL), { decision: 'edit', args }, ALICE);
    unit = await unitFor(CALL);
    expect(unit.body.edited).toBeDefined();
  }
  const fresh = (change: Partial<DecideUnit['body']>): DecideUnit => {
    const { key: _, ...rest } = unit.call;
    return { ...altered(unit, change), call: rest };
  };
  const refused = (reasonCode: string) => ({ kind: 'decided', body: { effect: 'deny', reason_code: reasonCode } });

  it.each<[string, Partial<DecideUnit['body']>]>([
    ['in another session', { session: 's2' }],
    ['by another agent', { agent: 'eve' }],
    ['for a principal', { principal: 'eve' }],
    ['of another tool', { tool: { server: 'bank', name: 'drop', schema: 'a'.repeat(64) } }],
    ['of another server’s', { tool: { name: 'pay', schema: 'a'.repeat(64) } }],
    ['with another schema', { tool: { server: 'bank', name: 'pay' } }],
  ])('%s is refused', async (_what, change) => {
    await edited({ amount: 7 });
    expect(await store.commit(fresh({ ...change, call: newId() }))).toMatchObject(refused('APPROVAL_BINDING_MISMATCH'));
  });

  it('that names another call than was edited, or is the very one', async () => {
    await edited({ amount: 7 });
    const { answer, call: original } = unit.body.edited ?? { answer: { of: 0, leaf: '' }, call: '' };
    expect(await store.commit(fresh({ edited: { answer, call: newId() } }))).toMatchObject(refused('APPROVAL_MISROUTED'));
    expect(await store.commit(fresh({ call: original }))).toMatchObject(refused('APPROVAL_MISROUTED'));
  });

  it('that stands on an approval, a plain deny, an ask or nothing is refused', async () => {
    await edited({ amount: 7 });
    const approved = await asked(call(701));
    const denied = await asked(call(702));
    const ends = [
      await guard.approvals.resolve(approved, { decision: 'approve' }, ALICE),
      await guard.approvals.resolve(denied, { decision: 'deny' }, ALICE),
    ].flatMap(({ call: named, answers: [given], ask }) => [
      { call: named, answer: { of: given?.of ?? 0, leaf: given?.leaf ?? '' } },
      { call: named, answer: ask },
      { call: named, answer: { of: 9999, leaf: '0'.repeat(64) } },
    ]);
    for (const end of ends) expect(await store.commit(fresh({ edited: end }))).toMatchObject(refused('APPROVAL_FORGED'));
  });

  it('is none where what a person proposed is hidden by now', async () => {
    await edited({ amount: 7, iban: 'DE00 0000' });
    const stricter = guardOn(store, { policy, redactor: createRedactor({ keys: ['iban'] }) });
    expect(await stricter.authorize(CALL, { approval: 'suspend' })).toMatchObject({
      kind: 'refusal',
      decision: { reasonCode: 'APPROVAL_EDIT_INVALID' },
    });
  });

  it('is the only one: a second is refused while the first waits, and after it was allowed', async () => {
    await edited({ amount: 300 });
    expect((await guard.authorize(CALL, { approval: 'suspend' })).kind).toBe('pending');
    const { approval: _, binds: __, ...body } = unit.body;
    const allow = { ...body, effect: 'allow', would: 'allow' } as const;
    const { ask: ___, ...rest } = fresh({});
    expect(await store.commit({ ...rest, body: { ...allow, call: newId() } })).toMatchObject(refused('APPROVAL_ALREADY_USED'));
    const [waiting] = await guard.approvals.list({ state: 'pending' });
    await guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, ALICE);
    const permit = await guard.authorize(CALL, { approval: 'suspend' });
    expect(permit.kind).toBe('permit');
    if (permit.kind === 'permit') await permit.settle({ status: 'success' }, { durable: true });
    expect(await store.commit({ ...rest, body: { ...allow, call: newId() } })).toMatchObject(refused('APPROVAL_ALREADY_USED'));
    sql(path, 'DELETE FROM calls');
    expect(await store.commit({ ...rest, body: { ...allow, call: permit.callId } })).toMatchObject(refused('APPROVAL_ALREADY_USED'));
  });
});
