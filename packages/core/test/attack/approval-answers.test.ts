/** Who answered, and what was answered, whatever rows and spellings say. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { definePolicy, type Guard, type ToolCall } from '../../src/index.ts';
import type { SqliteStore } from '../../src/sqlite/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const two = definePolicy({ id: 'two', evaluate: () => ({ effect: 'require_approval', terms: { quorum: 2 } }) });
const CALL: ToolCall = { tool: { name: 'pay' }, args: { amount: 1 }, id: 'c1' };
const host = (id: string) => ({ id, method: 'host' }) as const;

describe('approvals', () => {
  let path: string;
  let store: SqliteStore;
  let guard: Guard;
  let approval: string;

  beforeEach(async () => {
    path = join(tempDirectory(), 'ledger.db');
    store = openLedger(path);
    guard = guardOn(store, { policy: two });
    const pending = await guard.authorize(CALL, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error(pending.kind);
    approval = pending.approvalId;
  });
  afterEach(async () => {
    await store.close();
  });

  it.each([
    ['case', 'alice@ours.example', 'Alice@ours.example'],
    ['unicode form', 'jos\u00e9', 'jose\u0301'],
    ['a space at the end', 'alice', 'alice '],
    ['an invisible character', 'alice', 'ali\u200bce'],
  ])('a quorum of two is not one person under two spellings: %s', async (_what, first, second) => {
    await guard.approvals.resolve(approval, { decision: 'approve' }, host(first));
    await guard.approvals.resolve(approval, { decision: 'approve' }, host(second)).catch(() => undefined);
    expect((await guard.authorize(CALL, { approval: 'suspend' })).kind).not.toBe('permit');
  });

  it('a recorded deny stands, whatever the row says', async () => {
    await guard.approvals.resolve(approval, { decision: 'approve' }, host('alice'));
    await guard.approvals.resolve(approval, { decision: 'deny' }, host('bob'));
    const raw = new Sqlite(path);
    raw.exec(`UPDATE approvals SET state = 'pending'`);
    raw.close();
    await guard.approvals.resolve(approval, { decision: 'approve' }, host('carol')).catch(() => undefined);
    expect((await guard.authorize(CALL, { approval: 'suspend' })).kind).not.toBe('permit');
  });

  it('a use that was cut out of the file is still a use: the entry is proven or the writer stops', async () => {
    await guard.approvals.resolve(approval, { decision: 'approve' }, host('alice'));
    await guard.approvals.resolve(approval, { decision: 'approve' }, host('bob'));
    const before = new Sqlite(path, { readonly: true }).prepare('SELECT bind_key FROM calls').get() as { bind_key: string };
    const permit = await guard.authorize(CALL, { approval: 'suspend' });
    if (permit.kind !== 'permit') throw new Error(permit.kind);
    await permit.settle({ status: 'success' }, { durable: true });
    const raw = new Sqlite(path);
    raw.exec('DROP TRIGGER entries_no_update');
    raw.prepare('UPDATE entries SET body = replace(body, ?, ?) WHERE seq = ?').run(approval, '0'.repeat(32), permit.entry.of);
    raw.exec(`UPDATE approvals SET state = 'approved'`);
    raw
      .prepare(`UPDATE calls SET state = 'asked', outcome_of = NULL, outcome_leaf = NULL, status = NULL, bind_key = ?`)
      .run(before.bind_key);
    raw.close();
    expect((await guard.authorize(CALL, { approval: 'suspend' })).kind).not.toBe('permit');
  });
});
