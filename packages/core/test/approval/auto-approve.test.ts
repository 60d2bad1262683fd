/** `COUNTERSIGN_AUTO_APPROVE=1`: both ways, and everything it must not do. */

import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { definePolicy, type GuardOptions } from '../../src/index.ts';
import { guardFromConfig, verifyLedger } from '../../src/sqlite/index.ts';
import { immediateApprover, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const ASK = { tool: { name: 'ask' }, args: {} };
const told: string[] = [];
const ALLOWED = { allowAutoApprove: true, onAutoApprove: (text: string) => void told.push(text) };

beforeEach(() => {
  vi.stubEnv('COUNTERSIGN_AUTO_APPROVE', '1');
  told.length = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe('with both, environment and code', () => {
  it('approves, says so, and records who did', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store, { approvals: ALLOWED });
    expect(await guard.run(ASK, () => 'ran')).toBe('ran');
    expect(told).toEqual([expect.stringContaining('COUNTERSIGN_AUTO_APPROVE=1')]);
    const [row] = await store.approvals();
    expect(row).toMatchObject({ state: 'consumed', answers: [{ approver: 'auto-approve' }] });
    const entry = await store.entry(row?.answers[0] ?? { of: 0, leaf: '' });
    expect(JSON.parse(entry ?? '')).toMatchObject({ approver: { id: 'auto-approve', method: 'host', assurance: 'low' } });
    await guard.close();
    await store.close();
    expect(await verifyLedger(path)).toMatchObject({ status: 'valid', problems: [] });
  });

  it('asks no channel: nobody is to answer', async () => {
    const asked = vi.fn<() => 'deny'>(() => 'deny');
    const guard = guardOn(memoryStore(), { approvals: ALLOWED, channels: [immediateApprover(asked)] });
    expect((await guard.authorize(ASK)).kind).toBe('permit');
    expect(asked).not.toHaveBeenCalled();
  });

  it('a deny stays a deny', async () => {
    const guard = guardOn(memoryStore(), { approvals: ALLOWED });
    expect(await guard.authorize({ tool: { name: 'no' }, args: {} })).toMatchObject({ kind: 'refusal' });
  });

  it.each([
    ['a quorum', { quorum: 2 }],
    ['named approvers', { approvers: ['alice'] }],
    ['itself named as approver', { approvers: ['auto-approve'] }],
    ['medium assurance', { assurance: 'medium' }],
    ['high assurance', { assurance: 'high' }],
  ] as const)('leaves %s to people', async (_what, approval) => {
    const policy = definePolicy({ id: 'people', evaluate: () => ({ effect: 'require_approval', rule: 'people', terms: approval }) });
    const store = memoryStore();
    const guard = guardOn(store, { policy, approvals: { ...ALLOWED, ttlMs: 30 } });
    expect(await guard.authorize(ASK)).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_EXPIRED' } });
    expect((await store.approvals())[0]?.answers).toEqual([]);
  });

  it('approves where low assurance is enough', async () => {
    const policy = definePolicy({
      id: 'low',
      evaluate: () => ({ effect: 'require_approval', rule: 'low', terms: { assurance: 'low' } }),
    });
    expect((await guardOn(memoryStore(), { policy, approvals: ALLOWED }).authorize(ASK)).kind).toBe('permit');
  });

  it('is told once per process where nobody redirected it', () => {
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    for (let i = 0; i < 3; i++) guardOn(memoryStore(), { approvals: { allowAutoApprove: true } });
    expect(written.mock.calls.filter(([text]) => String(text).includes('COUNTERSIGN_AUTO_APPROVE=1'))).toHaveLength(1);
  });
});

describe('with one of the two', () => {
  const refusedBy = async (approvals: GuardOptions['approvals']): Promise<void> => {
    const guard = guardOn(memoryStore(), { approvals: { ttlMs: 30, ...approvals } });
    expect(await guard.authorize(ASK)).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'APPROVAL_EXPIRED' } });
    expect(told).toEqual([]);
  };

  it('the environment alone does nothing', async () => {
    await refusedBy({ onAutoApprove: ALLOWED.onAutoApprove });
    await refusedBy({ ...ALLOWED, allowAutoApprove: false });
  });

  it.each(['', '0', 'true', 'yes', ' 1', '1 ', '11'])('code alone does nothing: %j', async (value) => {
    vi.stubEnv('COUNTERSIGN_AUTO_APPROVE', value);
    await refusedBy(ALLOWED);
  });

  it('only a boolean turns it on', () => {
    for (const allowAutoApprove of ['true', 1, {}])
      expect(() => guardOn(memoryStore(), { approvals: { allowAutoApprove: allowAutoApprove as never } })).toThrow(
        expect.objectContaining({ code: 'OPTIONS_INVALID' }),
      );
  });

  it('no configuration can turn it on', async () => {
    const text = 'version: 1\nagent: a\npolicy: { id: p, default: require_approval, rules: [] }\n';
    for (const key of ['allow_auto_approve', 'allowAutoApprove', 'auto_approve'])
      expect(() => parseConfig(`${text}approvals: { ${key}: true }\n`, { path: 'x.yaml' })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      );
    const config = parseConfig(`${text}approvals: { ttl: 1s }\n`, { path: 'x.yaml' });
    const guard = guardFromConfig(config, memoryStore());
    expect(await guard.authorize(ASK, { approval: 'suspend' })).toMatchObject({ kind: 'pending' });
    expect((await guard.approvals.list())[0]?.answers).toEqual([]);
  });
});

describe('the name', () => {
  const pendingOf = async (options: Partial<GuardOptions>) => {
    const guard = guardOn(memoryStore(), options);
    const pending = await guard.authorize(ASK, { approval: 'suspend' });
    return { guard, id: pending.kind === 'pending' ? pending.approvalId : '' };
  };

  it.each([
    { id: 'auto-approve', method: 'terminal' },
    { id: 'auto-approve', method: 'webhook' },
    { id: 'AUTO-approve', method: 'host' },
    { id: 'auto-approve', method: 'key', signature: 'x' },
  ] as const)('cannot be borrowed: $id by $method', async (approver) => {
    const { guard, id } = await pendingOf({});
    await expect(guard.approvals.resolve(id, { decision: 'approve' }, approver)).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
  });

  it('is worth little, whoever uses it', async () => {
    const policy = definePolicy({
      id: 'm',
      evaluate: () => ({ effect: 'require_approval', rule: 'm', terms: { assurance: 'medium' } }),
    });
    const { guard, id } = await pendingOf({ policy });
    const answer = guard.approvals.resolve(id, { decision: 'approve' }, { id: 'auto-approve', method: 'host' });
    await expect(answer).rejects.toMatchObject({ code: 'APPROVER_REFUSED', message: expect.stringContaining('low assurance') as string });
  });
});
