/** Second hostile review: fixes re-attacked, and ledgers that verify should or should not believe. */
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { allowAll, budgetFrom, type Unit } from '../../src/index.ts';
import { newId } from '../../src/ledger/body.ts';
import { generateKey } from '../../src/ledger/keys.ts';
import { readLedger, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, inlineConnection, LEDGER_VKEY, openLedger, tempDirectory, writesOnThread } from '../fixtures/ledger.ts';
import { edited, entriesOf, forged, type Loose, tampered } from '../verify/forge.ts';

const codes = (report: { readonly problems: readonly { readonly code: string }[] }): string[] => report.problems.map(({ code }) => code);

/** Cannot be written: canonical JSON has no lone surrogates. */
const BAD: Unit = { kind: 'record', body: { kind: 'policy', policy: { id: 'p', hash: '0'.repeat(64) }, document: '\ud800' } };

describe('content faults', () => {
  it('the first batch of an unsigned ledger leaves no leaf behind', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { signer: 'none' });
    const session = { kind: 'session', agent: 'a', session: 's', event: 'start' } as const;
    const answers = await Promise.allSettled([
      store.commit({ kind: 'record', body: session }),
      store.commit(BAD),
      store.commit({ kind: 'record', body: { ...session, session: 't' } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    await store.close();
    const report = await verifyLedger(path);
    expect(codes(report)).toEqual([]);
    await openLedger(path, { signer: 'none' }).close();
  });

  it('an error after COMMIT is no content fault: nothing is written twice', async () => {
    const folder = join(tempDirectory(), 'folder');
    mkdirSync(folder);
    const path = join(folder, 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store);
    await guard.authorize({ tool: { name: 'read' }, args: {} });
    renameSync(folder, `${folder}-moved`);
    // ELOOP, as EACCES or ESTALE would be: statSync throws, and the code does not start with SQLITE_.
    symlinkSync(folder, folder);
    const asked = await guard.authorize({ tool: { name: 'ask' }, args: {} }, { approval: 'suspend' });
    expect(asked.kind).toBe('refusal');
    await store.close();
    const report = await verifyLedger(join(`${folder}-moved`, 'ledger.db'));
    expect(codes(report)).toEqual([]);
  });

  it.skipIf(writesOnThread())(
    'a call written alone before an I/O error of the same batch is marked, not left running for ever',
    async () => {
      const path = join(tempDirectory(), 'ledger.db');
      const store = openLedger(path);
      const commits = vi.spyOn(store, 'commit');
      await guardOn(store).authorize({ tool: { name: 'read' }, args: {} });
      const sample = commits.mock.calls.map(([unit]) => unit).find((unit) => unit.kind === 'decide');
      if (sample?.kind !== 'decide') throw new Error('no decision');
      const decision = (call: string): Unit => ({ ...sample, body: { ...sample.body, call }, call: { match: '' } });

      const { commit } = inlineConnection(store).transaction;
      const run = commit.run.bind(commit);
      let ran = 0;
      Object.defineProperty(commit, 'run', {
        value: () => {
          ran += 1;
          if (ran === 2) throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR' });
          return run();
        },
      });
      const first = newId();
      const answers = await Promise.allSettled([store.commit(decision(first)), store.commit(BAD), store.commit(decision(newId()))]);
      // Its caller was refused, and will never settle it.
      expect(answers[0]?.status).toBe('rejected');
      await vi.waitFor(async () => expect(await store.callById(first)).toMatchObject({ state: 'unknown' }), {
        timeout: 20_000,
        interval: 100,
      });
      await store.close();
    },
  );
});

describe('honest ledgers', () => {
  it('audit mode: an agent that names a huge cost twice does not make the ledger invalid for ever', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const budget = budgetFrom({ id: 'refunds', per: 'agent', limit: 100, window: '24h', tools: ['refund'], cost: 'args.amount' });
    const guard = guardOn(store, { mode: 'audit', policy: allowAll(), budgets: [budget] });
    for (let i = 0; i < 5; i++) await guard.authorize({ tool: { name: 'refund' }, args: { amount: 9_007_199_254 } });
    await guard.close();
    await store.close();
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(codes(report)).toEqual([]);
    expect(report.status).toBe('valid');
  });
});

async function honest(): Promise<string> {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store);
  for (let i = 0; i < 3; i++) await guard.run({ tool: { name: 'read' }, args: { i } }, () => i);
  const asked = await guard.authorize({ tool: { name: 'ask' }, args: {} }, { approval: 'suspend' });
  expect(asked.kind).toBe('pending');
  await guard.close();
  await store.close();
  return path;
}

describe('an edited row', () => {
  it.each([
    ['no writer', `UPDATE calls SET writer = 'nobody ' || writer WHERE state = 'allowed'`],
    ['another writer', `UPDATE calls SET writer = '${'0'.repeat(32)}' WHERE state = 'allowed'`],
    ['a settled call', `UPDATE calls SET state = 'allowed', writer = '${'0'.repeat(32)}', outcome_of = NULL WHERE state = 'settled'`],
  ])('is not signed into a recovery entry that makes the ledger invalid: %s', async (_what, sql) => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    await guard.authorize({ tool: { name: 'read' }, args: { open: true } });
    await guard.close();
    await store.close();
    const bad = edited(path, sql);
    await openLedger(bad).close();
    expect(codes(await verifyLedger(bad, { publicKeys: [LEDGER_VKEY] }))).toEqual([]);
  });
});

describe('a COMMIT that is durable although it throws', () => {
  it.skipIf(writesOnThread())('leaves a ledger that verifies', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store);
    await guard.authorize({ tool: { name: 'read' }, args: {} });
    for (const name of ['read', 'ask', 'no', 'label']) {
      const { commit } = inlineConnection(store).transaction;
      const run = commit.run.bind(commit);
      Object.defineProperty(commit, 'run', {
        value: () => {
          run();
          throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR' });
        },
      });
      const refused = await guard.authorize({ tool: { name }, args: {}, id: name }, { approval: 'suspend' });
      expect(refused.kind).toBe('refusal');
      await vi.waitFor(async () => expect((await guard.authorize({ tool: { name: 'read' }, args: {} })).kind).toBe('permit'), {
        timeout: 20_000,
        interval: 100,
      });
    }
    const again = await guard.authorize({ tool: { name: 'read' }, args: {}, id: 'read' });
    expect(again).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'CALL_OUTCOME_UNKNOWN' } });
    await guard.close();
    await store.close();
    expect(codes(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] }))).toEqual([]);
  });
});

describe('crafted ledgers', () => {
  it('positions above 2^53 do not keep the verifier busy for ever', async () => {
    const bad = tampered(await honest(), (database) => {
      database.exec(`INSERT INTO entries (seq, leaf, body) SELECT 9007199254740993, leaf, body FROM entries WHERE seq = 0`);
    });
    let calls = 0;
    const report = await verifyLedger(bad, {
      onProgress: () => {
        calls += 1;
        if (calls > 1000) throw new Error('reads for ever');
      },
    });
    expect(report.status).toBe('invalid');
  });

  it('strict: clear text that somebody without the key erased is not passed over with exit 0', async () => {
    const path = await honest();
    const head = readLedger(path);
    const against = head.head()?.note ?? '';
    head.close();
    const bad = edited(path, 'DELETE FROM openings');
    const report = await verifyLedger(bad, { publicKeys: [LEDGER_VKEY], against, strict: true });
    expect(report.status).not.toBe('valid');
  });

  it('one call is not allowed twice', async () => {
    const path = await honest();
    const bad = forged(path, (entries) => {
      const at = entries.findIndex(({ kind, effect }) => kind === 'decision' && effect === 'allow');
      const again = { ...(entries[at] as Loose), id: newId() };
      return entries.toSpliced(at + 1, 0, again);
    });
    const report = await verifyLedger(bad, { publicKeys: [LEDGER_VKEY] });
    expect(report.status).toBe('invalid');
  });

  it('a row that claims answers the tree does not have says so', async () => {
    const path = await honest();
    const index = entriesOf(path).findIndex(({ kind }) => kind === 'decision');
    const answers = JSON.stringify([{ of: index, leaf: '0'.repeat(64), approver: 'the cfo', answer: 'approve' }]);
    const bad = edited(path, `UPDATE approvals SET answers = '${answers}', reason_code = 'POLICY_ALLOW_LOW_RISK'`);
    const reader = readLedger(bad);
    const [view] = reader.approvals();
    reader.close();
    expect(view?.answers).toHaveLength(1);
    expect(view?.mismatches).toContain('answers');
  });

  it.each([
    ['its own name', 'finance'],
    ['an imitation of it', 'Finance'],
  ])('strict: an approver with a key who answered without it, under %s, is not proven', async (_what, name) => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store);
    const asked = await guard.authorize({ tool: { name: 'ask' }, args: {}, id: 'c' }, { approval: 'suspend' });
    if (asked.kind !== 'pending') throw new Error('not asked');
    // A guard that knows the key refuses both; whoever holds the ledger's key writes what it wants.
    await guard.approvals.resolve(asked.approvalId, { decision: 'approve' }, { id: name, method: 'host' });
    await guard.run({ tool: { name: 'ask' }, args: {}, id: 'c' }, () => 1);
    await guard.close();
    const against = (await store.head()).note;
    await store.close();
    const approvers = new Map([['finance', generateKey('finance').vkey]]);
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY], against, strict: true, approvers });
    expect(report.status).not.toBe('valid');
  });
});

describe('cost', () => {
  it.skipIf(writesOnThread())('an approval that cannot be used costs no walk over every entry since it was asked for', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const budget = budgetFrom({ id: 'calls', per: 'tool', limit: 0, tools: ['ask'] });
    const guard = guardOn(store, { budgets: [budget] });
    const asked = await guard.authorize({ tool: { name: 'ask' }, args: {}, id: 'c' }, { approval: 'suspend' });
    if (asked.kind !== 'pending') throw new Error('not asked');
    await guard.approvals.resolve(asked.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    for (let i = 0; i < 100; i++)
      await Promise.all(
        Array.from({ length: 256 }, () => guard.recordRefusal({ tool: { name: 'no' }, reasonCode: 'ARGUMENTS_INVALID', reason: 'x' })),
      );
    const since = inlineConnection(store).log['statements'].since;
    let read = 0;
    const iterate = since.iterate.bind(since);
    Object.defineProperty(since, 'iterate', {
      value: function* (of: number) {
        for (const text of iterate(of)) {
          read += 1;
          yield text;
        }
      },
    });
    for (let i = 0; i < 10; i++) await guard.authorize({ tool: { name: 'ask' }, args: {}, id: 'c' }, { approval: 'suspend' });
    await store.close();
    expect(read).toBeLessThan(100_000);
  });
});
