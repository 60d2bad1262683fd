/** How a grant might be used once more, for something else, or after it was taken back: by whoever can write to the file. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import {
  type Approver,
  approvalStatement,
  definePolicy,
  type GrantTerms,
  type Guard,
  generateKey,
  type Json,
  signerFromPem,
  statementOf,
} from '../../src/index.ts';
import { newId } from '../../src/ledger/body.ts';
import { canonicalize } from '../../src/ledger/canonical.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { forgetClearText, type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import type { DecideUnit, Unit } from '../../src/store-units.ts';
import { type FixedClock, fixedClock } from '../../src/testing/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, type Loose, tampered } from '../verify/forge.ts';

const ALICE: Approver = { id: 'alice', method: 'host' };
const TERMS: GrantTerms = { ttlMs: 3_600_000, uses: 2, reason: 'tonight' };

interface Opened {
  readonly path: string;
  readonly store: SqliteStore;
  readonly guard: Guard;
  readonly clock: FixedClock;
}

function opened(path = join(tempDirectory(), 'ledger.db')): Opened {
  const clock = fixedClock();
  const store = openLedger(path, { clock });
  return { path, store, clock, guard: guardOn(store) };
}

async function granted({ guard }: Opened, terms: Partial<GrantTerms> = {}, args: Json = {}): Promise<string> {
  const pending = await guard.authorize({ tool: { name: 'ask' }, args }, { approval: 'suspend' });
  if (pending.kind !== 'pending') throw new Error('it did not ask');
  await guard.approvals.resolve(pending.approvalId, { decision: 'approve', grant: { ...TERMS, ...terms } }, ALICE);
  return pending.approvalId;
}

async function ask(guard: Guard, name = 'ask'): Promise<string> {
  const authorization = await guard.authorize({ tool: { name }, args: { a: 1 } }, { approval: 'suspend' });
  if (authorization.kind === 'permit') await authorization.settle({ status: 'success' }, { durable: true });
  return authorization.kind === 'pending' ? 'asked' : authorization.decision.reasonCode;
}

function sql(path: string, statements: string): void {
  new Sqlite(path).exec(statements).close();
}

async function closed({ guard, store, path }: Opened): Promise<void> {
  await guard.close();
  await store.close();
  expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid' });
}

describe('rows of grants that say more than the entries', () => {
  const MORE = 'UPDATE grants SET uses_left = 1000, revoked_of = NULL, expires_at = expires_at + 1000000000';

  it('more uses than were granted', async () => {
    const each = opened();
    await granted(each, { uses: 1 });
    expect(await ask(each.guard)).toBe('GRANT_USED');
    for (let round = 0; round < 3; round++) {
      sql(each.path, MORE);
      expect(await ask(each.guard)).toBe('asked');
    }
    await closed(each);
  });

  it('more uses after a restart, when everything is counted anew', async () => {
    const before = opened();
    await granted(before, { uses: 1 });
    expect(await ask(before.guard)).toBe('GRANT_USED');
    await closed(before);
    sql(before.path, MORE);
    const after = opened(before.path);
    expect(await ask(after.guard)).toBe('asked');
    expect(await after.guard.approvals.grants()).toMatchObject([{ state: 'used', usesLeft: 0 }]);
    await closed(after);
  });

  it('not taken back', async () => {
    const each = opened();
    await granted(each);
    const [row] = await each.guard.approvals.grants();
    await each.guard.approvals.revoke(row?.id ?? '', ALICE);
    sql(each.path, MORE);
    expect(await ask(each.guard)).toBe('asked');
    expect(await each.guard.approvals.grants()).toMatchObject([{ state: 'revoked' }]);
    await closed(each);
  });

  it('not expired', async () => {
    const each = opened();
    await granted(each, { ttlMs: 1000 });
    each.clock.advance(1000);
    sql(each.path, MORE);
    expect(await ask(each.guard)).toBe('asked');
    await closed(each);
  });

  it('a row of a grant that is none, of an id that is another’s, or of a place where nothing stands', async () => {
    const each = opened();
    await granted(each, { uses: 1 });
    expect(await ask(each.guard)).toBe('GRANT_USED');
    const add = (id: string, place: string): string =>
      `INSERT INTO grants SELECT '${id}', ${place}, 9007199254740991, 1000, NULL FROM entries WHERE body LIKE '%"event":"granted"%'`;
    sql(each.path, [add('f'.repeat(32), 'seq, leaf'), add('e'.repeat(32), 'seq - 1, leaf'), add('d'.repeat(32), '999, leaf')].join(';'));
    expect(await ask(each.guard)).toBe('asked');
    expect(await each.guard.approvals.grants()).toHaveLength(1);
    await closed(each);
  });

  it('a row that was taken away: nothing is granted, and nothing fails', async () => {
    const each = opened();
    await granted(each);
    sql(each.path, 'DELETE FROM grants');
    expect(await ask(each.guard)).toBe('asked');
    await closed(each);
  });
});

describe('answers and openings', () => {
  it('an approval whose row says it waits again gives no second grant', async () => {
    const each = opened();
    const id = await granted(each, { uses: 1 });
    sql(each.path, `UPDATE approvals SET state = 'pending', answers = '[]'`);
    const again = each.guard.approvals.resolve(id, { decision: 'approve', grant: TERMS }, ALICE);
    await expect(again).rejects.toMatchObject({ code: 'GRANT_REFUSED' });
    expect(await each.guard.approvals.grants()).toHaveLength(1);
    await closed(each);
  });

  it('an ask whose row says that one approver is enough gives none', async () => {
    const each = opened();
    const guard = guardOn(each.store, {
      policy: definePolicy({ id: 'two', evaluate: () => ({ effect: 'require_approval', terms: { quorum: 2 } }) }),
    });
    const pending = await guard.authorize({ tool: { name: 't' }, args: {} }, { approval: 'suspend' });
    sql(each.path, 'UPDATE approvals SET quorum = 1');
    const id = pending.kind === 'pending' ? pending.approvalId : '';
    await expect(guard.approvals.resolve(id, { decision: 'approve', grant: TERMS }, ALICE)).rejects.toMatchObject({
      code: 'GRANT_REFUSED',
    });
    await closed(each);
  });

  it.each([
    ['taken away', `DELETE FROM openings WHERE sections LIKE '%tonight%'`],
    ['another condition', `UPDATE openings SET sections = replace(sections, '== 7', '!= 7') WHERE sections LIKE '%tonight%'`],
    ['no condition', `UPDATE openings SET sections = '{"reason":"tonight"}' WHERE sections LIKE '%tonight%'`],
    ['another key', `UPDATE openings SET key = '${'0'.repeat(64)}' WHERE sections LIKE '%tonight%'`],
  ])('the condition %s: nothing is granted', async (_what, change) => {
    const each = opened();
    await granted(each, { when: 'args.a == 7' });
    sql(each.path, change);
    expect(await ask(each.guard)).toBe('asked');
    expect(await each.guard.approvals.grants()).toMatchObject([{ state: 'forgotten' }]);
    await each.guard.close();
    await each.store.close();
  });
});

describe('entries', () => {
  function append(path: string, body: Loose): void {
    const text = canonicalize(body);
    const database = new Sqlite(path);
    const seq = database.prepare('SELECT max(seq) + 1 FROM entries').pluck().get();
    database.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)').run(seq, leafHash(text), text);
    database.prepare(`UPDATE grants SET entry_of = ?, entry_leaf = ?, uses_left = 9`).run(seq, leafHash(text));
    database.close();
  }
  const grantOf = (path: string): Loose => entriesOf(path).find((entry) => entry['event'] === 'granted') as Loose;

  it('a grant that somebody without the key adds to the file is none, and nothing runs any more', async () => {
    const each = opened();
    await granted(each, { uses: 1 });
    expect(await ask(each.guard)).toBe('GRANT_USED');
    append(each.path, { ...grantOf(each.path), uses: 1000 });
    expect(['asked', 'LEDGER_WRITE_FAILED_DECISION']).toContain(await ask(each.guard));
    expect(await ask(each.guard)).not.toBe('GRANT_USED');
    await each.guard.close();
    await each.store.close();
  });

  it('a use that was taken out of the file, or made to be another call’s, is noticed before the next', async () => {
    for (const change of [
      `UPDATE entries SET body = replace(body, 'GRANT_USED', 'OTHER') WHERE body LIKE '%GRANT_USED%'`,
      `UPDATE entries SET body = replace(body, '"grant":{', '"later":{'), leaf = '${'0'.repeat(64)}' WHERE body LIKE '%GRANT_USED%'`,
    ]) {
      const before = opened();
      await granted(before, { uses: 1 });
      expect(await ask(before.guard)).toBe('GRANT_USED');
      // Past a whole tile nobody hashes the bodies again when the ledger is opened.
      for (let i = 0; i < 150; i++) await ask(before.guard, 'read');
      await closed(before);
      const after = opened(tampered(before.path, (database) => void database.exec(`${change}; UPDATE grants SET uses_left = 5`)));
      expect(await ask(after.guard)).toBe('LEDGER_WRITE_FAILED_DECISION');
      await after.guard.close();
      await after.store.close();
    }
  });

  it('data of a note that reads like a use or a revocation counts as neither', async () => {
    const each = opened();
    await granted(each);
    const [row] = await each.guard.approvals.grants();
    const data = { grant: { id: row?.id ?? '' }, kind: 'grant', event: 'revoked', answer: 'deny', approval: row?.approval ?? '' };
    await each.store.commit({ kind: 'record', body: { kind: 'note', topic: 't', data: { ...data, grants: [data] } } });
    expect([await ask(each.guard), await ask(each.guard), await ask(each.guard)]).toEqual(['GRANT_USED', 'GRANT_USED', 'asked']);
    await closed(each);
  });

  it('whoever has the ledger’s key and not the approver’s writes grants that are good for nothing', async () => {
    const each = opened();
    const finance = generateKey('finance');
    const guard = guardOn(each.store, { approvals: { approvers: new Map([['finance', finance.vkey]]) } });
    const pending = await guard.authorize({ tool: { name: 'ask' }, args: {} }, { approval: 'suspend' });
    const grant = {
      id: 'a'.repeat(32),
      openingKey: 'b'.repeat(64),
      scope: 'agent',
      uses: 1000,
      expiresAtMs: each.clock.nowMs() + 1000,
      reason: 'mine',
    } as const;
    const forged = await each.store.commit({
      kind: 'answer',
      approval: pending.kind === 'pending' ? pending.approvalId : '',
      answer: 'approve',
      approver: { id: 'finance', method: 'key', assurance: 'high' },
      signature: Buffer.alloc(64).toString('base64'),
      grant: { ...grant, signature: Buffer.alloc(64).toString('base64') },
    });
    expect(forged.kind).toBe('answered');
    expect(await ask(guard)).toBe('asked');
    await guard.close();
    await each.store.close();
    const approvers = new Map([['finance', finance.vkey]]);
    const report = await verifyLedger(each.path, { publicKeys: [LEDGER_VKEY], approvers });
    expect(report.problems.map(({ code }) => code)).toEqual(['APPROVAL_SIGNATURE', 'GRANT_WITHOUT_APPROVAL', 'GRANT_SIGNATURE']);
  });

  it('nor can a grant be slipped in with an answer that was really signed, or be made larger', async () => {
    const finance = generateKey('finance');
    const signer = signerFromPem(finance.privatePem, 'finance');
    const sign = (statement: Uint8Array): string => Buffer.from(signer.sign(statement)).toString('base64');
    const approvers = new Map([['finance', finance.vkey]]);
    for (const change of ['unsigned', 'another signature', 'more uses']) {
      const each = opened();
      const guard = guardOn(each.store, { approvals: { approvers } });
      const pending = await guard.authorize({ tool: { name: 'ask' }, args: {} }, { approval: 'suspend' });
      const id = pending.kind === 'pending' ? pending.approvalId : '';
      const row = await guard.approvals.get(id);
      if (row === undefined) throw new Error('no approval');
      const signature = sign(approvalStatement(statementOf(row, 'approve', 'finance')));
      const draft = await guard.approvals.draftGrant(id, TERMS);
      const granting = change === 'unsigned' ? {} : { signature: change === 'more uses' ? sign(draft.statement('finance')) : signature };
      const committed = await each.store.commit({
        kind: 'answer',
        approval: id,
        answer: 'approve',
        approver: { id: 'finance', method: 'key', assurance: 'high' },
        signature,
        grant: { ...draft.offer, ...(change === 'more uses' && { uses: 1000 }), ...granting },
      });
      expect([change, committed.kind]).toEqual([change, 'answered']);
      expect([change, await ask(guard)]).toEqual([change, 'asked']);
      await guard.close();
      await each.store.close();
      const report = await verifyLedger(each.path, { publicKeys: [LEDGER_VKEY], approvers });
      expect(report.problems.map(({ code }) => code)).toEqual(['GRANT_SIGNATURE']);
    }
  });

  it('a guard that was told of a grant and comes too late is not granted: the transaction says so', async () => {
    const each = opened();
    await granted(each, { uses: 1 });
    const [row] = await each.guard.approvals.grants();
    if (row === undefined) throw new Error('no grant');
    expect(await ask(each.guard)).toBe('GRANT_USED');
    const stale = each.store.openGrants.bind(each.store);
    const lying = Object.assign(Object.create(each.store) as SqliteStore, {
      openGrants: async () => [...(await stale()), { ...row, state: 'open', usesLeft: 1 } as const],
    });
    const guard = guardOn(lying);
    expect(await ask(guard)).toBe('asked');
    expect(guard.counters.grantsUsed).toBe(0);
    await closed(each);
  });
});

describe('a process that knows the store and skips the guard', () => {
  /** A decision by grant as the guard makes it, caught before it is committed. */
  async function caught(each: Opened): Promise<DecideUnit> {
    let unit: DecideUnit | undefined;
    const catching = Object.assign(Object.create(each.store) as SqliteStore, {
      commit: (given: Unit) => {
        if (given.kind !== 'decide' || given.grant === undefined) return each.store.commit(given);
        unit = given;
        return Promise.resolve({ kind: 'not-granted', why: 'used' });
      },
    });
    await ask(guardOn(catching));
    if (unit === undefined) throw new Error('no decision by grant');
    return unit;
  }
  const commit = (each: Opened, unit: DecideUnit, body: Loose = {}): ReturnType<SqliteStore['commit']> => {
    const call = { match: unit.call.match };
    return each.store.commit({ ...unit, call, body: { ...unit.body, call: newId(), ...body } as DecideUnit['body'] });
  };

  it.each<[string, Loose]>([
    ['another agent', { agent: 'eve' }],
    ['another session', { session: 's2' }],
    ['a principal', { principal: 'eve' }],
    ['another tool', { tool: { name: 'drop' } }],
    ['another server', { tool: { name: 'ask', server: 'bank' } }],
    ['another schema', { tool: { name: 'ask', schema: 'x' } }],
    ['another rule', { rule: 'other' }],
    ['another policy', { policy: { id: 'test', hash: '0'.repeat(64) } }],
    ['a call that policy denies', { would: 'deny' }],
    ['a call that policy allows', { would: 'allow' }],
  ])('is turned down by the transaction for %s', async (_what, body) => {
    const each = opened();
    await granted(each);
    const unit = await caught(each);
    // Another session has another version: what the guard saw of it must not turn the unit away before the grant does.
    const { sessionVersion: _seen, ...unseen } = unit;
    expect(await commit(each, unseen, body)).toEqual({ kind: 'not-granted', why: 'mismatch' });
    expect(await commit(each, unit)).toMatchObject({ kind: 'decided', body: { effect: 'allow', grant: { use: 1 } } });
    await closed(each);
  });

  it('chooses neither the number of the use nor the grant', async () => {
    const each = opened();
    await granted(each);
    const unit = await caught(each);
    const [row] = await each.guard.approvals.grants();
    const grant = { id: row?.id ?? '', entry: row?.entry ?? { of: 0, leaf: '' } };
    expect(await commit(each, unit, { grant: { ...grant, use: 7 } as unknown as Json })).toMatchObject({ body: { grant: { use: 1 } } });
    for (const other of [
      { ...grant, id: 'f'.repeat(32) },
      { ...grant, entry: { ...grant.entry, of: grant.entry.of - 1 } },
      { ...grant, entry: { ...grant.entry, leaf: '0'.repeat(64) } },
      { ...grant, entry: { of: -1, leaf: '' } },
      { ...grant, entry: { of: 1e9, leaf: grant.entry.leaf } },
    ])
      expect(await commit(each, { ...unit, grant: other })).toEqual({ kind: 'not-granted', why: 'altered' });
    expect(await commit(each, unit)).toMatchObject({ body: { grant: { use: 2 } } });
    expect(await commit(each, unit)).toEqual({ kind: 'not-granted', why: 'used' });
    await closed(each);
  });

  it('after its end: expired, taken back, forgotten', async () => {
    const expired = opened();
    await granted(expired, { ttlMs: 1000 });
    const late = await caught(expired);
    expired.clock.advance(1000);
    expect(await commit(expired, late)).toEqual({ kind: 'not-granted', why: 'expired' });
    await closed(expired);
    const revoked = opened();
    await granted(revoked);
    const unit = await caught(revoked);
    const [row] = await revoked.guard.approvals.grants();
    await revoked.guard.approvals.revoke(row?.id ?? '', ALICE);
    expect(await commit(revoked, unit)).toEqual({ kind: 'not-granted', why: 'revoked' });
    await closed(revoked);
    const forgotten = opened();
    await granted(forgotten);
    const kept = await caught(forgotten);
    const [gone] = await forgotten.guard.approvals.grants();
    await forgetClearText(forgotten.store, { entries: [gone?.entry.of ?? 0] });
    expect(await commit(forgotten, kept)).toEqual({ kind: 'not-granted', why: 'forgotten' });
    await closed(forgotten);
  });
});

describe('what was forgotten', () => {
  it('is good for nothing, also when somebody kept what was erased and puts it back', async () => {
    const each = opened();
    await granted(each, { when: 'args.a == 1' });
    expect(await ask(each.guard)).toBe('GRANT_USED');
    const database = new Sqlite(each.path);
    const kept = database
      .prepare<[], [number, string, string]>(`SELECT seq, key, sections FROM openings WHERE sections LIKE '%tonight%'`)
      .raw()
      .get();
    database.close();
    if (kept === undefined) throw new Error('no opening');
    const forgotten = await forgetClearText(each.store, { entries: [kept[0]] });
    expect(forgotten.entries).toHaveLength(1);
    expect(await ask(each.guard)).toBe('asked');
    const [row] = await each.guard.approvals.grants();
    expect(row).toMatchObject({ state: 'forgotten' });
    expect(row).not.toHaveProperty('reason');
    const again = new Sqlite(each.path);
    again.prepare('INSERT INTO openings (seq, key, sections) VALUES (?, ?, ?)').run(...kept);
    again.close();
    expect(await ask(each.guard)).toBe('asked');
    await each.guard.close();
    await each.store.close();
  });

  it('a call that is forgotten takes along what was granted with it', async () => {
    const each = opened();
    const id = await granted(each, { reason: 'because of Ada' });
    const approval = await each.guard.approvals.get(id);
    // The call must not wait any more.
    await each.guard.approvals.revoke(id, ALICE);
    await forgetClearText(each.store, { calls: [approval?.call ?? ''] });
    const [row] = await each.guard.approvals.grants();
    expect(row).not.toHaveProperty('reason');
    await closed(each);
  });
});

const PROCESSES = 8;
const CALLS = 15;
const USES = 40;

it(`${PROCESSES} processes race for a grant with ${USES} uses: exactly so many calls run`, { timeout: 180_000 }, async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const script = new URL('../fixtures/grant-worker.ts', import.meta.url);
  const children = Array.from({ length: PROCESSES }, () => {
    const child = fork(script, [path, Buffer.from(LEDGER_PEM).toString('base64'), String(CALLS)], {
      execArgv: ['--conditions=@countersign/source'],
    });
    const ready = new Promise<void>((done) => child.once('message', () => done()));
    return { child, ready };
  });
  await Promise.all(children.map(({ ready }) => ready));
  await new Promise<void>((done) => {
    children[0]?.child.once('message', () => done());
    children[0]?.child.send(USES);
  });
  const told = await Promise.all(
    children.map(({ child }) => {
      const answer = new Promise<{ readonly ran: number; readonly used: number }>((done, fail) => {
        child.once('message', (message) => done(message as { ran: number; used: number }));
        child.once('exit', (status) => fail(new Error(`a process ended with ${status}`)));
      });
      child.send('go');
      return answer;
    }),
  );
  expect(told.reduce((sum, { ran }) => sum + ran, 0)).toBe(USES);
  expect(told.reduce((sum, { used }) => sum + used, 0)).toBe(USES);
  const numbers = entriesOf(path).flatMap((entry) =>
    entry['grant'] !== undefined && entry['effect'] === 'allow' ? [(entry['grant'] as Loose)['use']] : [],
  );
  expect(numbers).toEqual(Array.from({ length: USES }, (_, i) => i + 1));
  expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [] });
});
