/** Clear text that was forgotten must not be written again by a guard that still holds it. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it, vi } from 'vitest';
import { fileAuditSink } from '../../src/index.ts';
import { forgetClearText, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const SECRET = 'PLANTED-value';

function holding(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile() && readFileSync(join(folder, name)).includes(SECRET));
}

it('a guard that waits for an answer brings nothing back when the call is forgotten before it looks', async () => {
  const folder = tempDirectory();
  const path = join(folder, 'ledger.db');
  const store = openLedger(path);
  const audit = [fileAuditSink({ path: join(folder, 'audit.jsonl'), include: ['args', 'reason'] })];
  const guard = guardOn(store, { audit });
  const call = { tool: { name: 'ask' }, args: { value: SECRET } };
  const running = guard.run(call, () => 'ran').catch((error: unknown) => error);
  const other = openLedger(path);
  const pending = await vi.waitFor(async () => {
    const [approval] = await other.approvals({ state: 'pending' });
    if (approval === undefined) throw new Error('it did not ask');
    return approval;
  }, 20_000);
  const outside = guardOn(other);
  await outside.approvals.resolve(pending.id, { decision: 'deny' }, { id: 'alice', method: 'host' });
  await forgetClearText(other, { calls: [pending.call], auditLog: join(folder, 'audit.jsonl') });

  expect(await running).toMatchObject({ code: 'CALL_REFUSED', refusal: { decision: { reasonCode: 'APPROVAL_DENIED' } } });
  expect(holding(folder)).toEqual([]);
  for (const each of [guard, outside]) await each.close();
  for (const each of [other, store]) await each.close();
  expect(holding(folder)).toEqual([]);
  expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY], strict: true })).toMatchObject({ problems: [], warnings: [], forgotten: 2 });
});

it('an outcome brings nothing back when its writer was taken for dead and the call was forgotten', async () => {
  const folder = tempDirectory();
  const path = join(folder, 'ledger.db');
  const suspended = openLedger(path);
  const permit = await guardOn(suspended).authorize({ tool: { name: 'read' }, args: { value: SECRET } });
  if (permit.kind !== 'permit') throw new Error('it was not allowed');
  const raw = new Sqlite(path);
  raw.prepare(`UPDATE leases SET host = 'elsewhere', heartbeat_at = 0 WHERE writer = ?`).run(suspended.writer);
  raw.close();
  const other = openLedger(path);
  await forgetClearText(other, { calls: [permit.callId] });
  await permit.settle({ status: 'success', result: SECRET }, { durable: true });
  expect(holding(folder)).toEqual([]);
  for (const each of [other, suspended]) await each.close();
  expect(holding(folder)).toEqual([]);
  expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ problems: [], forgotten: 2 });
});
