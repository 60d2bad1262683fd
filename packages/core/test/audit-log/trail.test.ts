import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { AUDIT_DEADLINE_MS, MAX_AUDIT_PENDING } from '../../src/audit-log/trail.ts';
import {
  type AuditRecord,
  type AuditSink,
  budgetFrom,
  createGuard,
  definePolicy,
  fileAuditSink,
  type GuardOptions,
  openTelemetryAuditSink,
  type ToolCall,
} from '../../src/index.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
import { guardOn, openLedger, tempDirectory, testPolicy } from '../fixtures/ledger.ts';

const call = (name: string, args: unknown = { path: '/srv/q1', api_key: 'sk-live-0123456789abcdef0123456789abcdef' }): ToolCall => ({
  tool: { server: 'files', name },
  args,
});

function collector(more: Partial<AuditSink> = {}): AuditSink & { readonly records: AuditRecord[]; closed: number } {
  const records: AuditRecord[] = [];
  const sink = {
    records,
    closed: 0,
    write: (record: AuditRecord): void => void records.push(record),
    close: (): void => void sink.closed++,
    ...more,
  };
  return sink;
}

const broken = (more: Partial<AuditSink> = {}): AuditSink => ({
  write: () => {
    throw new Error('no room');
  },
  close: () => {},
  ...more,
});

const without = (record: AuditRecord | undefined, ...names: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record ?? {}).filter(([name]) => !names.includes(name)));

describe('the audit log of a guard', () => {
  it('tells of an edit, and of the call that came of it', async () => {
    const sink = collector();
    const policy = definePolicy({
      id: 'p',
      evaluate: ({ args }) => ((args as { n: number }).n > 1 ? { effect: 'require_approval' } : { effect: 'allow' }),
    });
    const guard = guardOn(memoryStore({ clock: fixedClock() }), { audit: [sink], policy });
    const asked = { tool: { name: 'pay' }, args: { n: 2 }, id: 'c1' };
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await guard.approvals.resolve(pending.approvalId, { decision: 'edit', args: { n: 1 } }, { id: 'alice', method: 'host' });
    await guard.authorize(asked, { approval: 'suspend' });
    await guard.close();
    expect(sink.records.find(({ event }) => event === 'approval')).toMatchObject({ answer: 'deny', edited: true, call: pending.callId });
    const allowed = sink.records.find((record) => record.event === 'decision' && record.effect === 'allow');
    expect(allowed).toMatchObject({ edited: pending.callId });
    expect(JSON.stringify(sink.records)).not.toContain('"n":');
  });

  it('has these fields', async () => {
    const sink = collector();
    const store = memoryStore({ clock: fixedClock() });
    const guard = guardOn(store, { audit: [sink] });
    await guard.run(call('read'), () => 'ok');
    await guard.run(call('read'), () => Promise.reject(new TypeError('on fire'))).catch(() => undefined);
    await guard.authorize(call('no-way'));
    const pending = await guard.authorize({ ...call('ask'), id: 'c1', principal: 'ada' }, { approval: 'suspend' });
    if (pending.kind === 'pending')
      await guard.approvals.resolve(pending.approvalId, { decision: 'deny', message: 'never' }, { id: 'alice', method: 'host' });
    await guard.close();
    expect(sink.records.map(({ event }) => event)).toEqual([
      'session',
      'decision',
      'outcome',
      'decision',
      'outcome',
      'decision',
      'decision',
      'approval',
      'session',
    ]);
    expect(sink.records.map((record) => Object.keys(record).join(' '))).toEqual([
      'v at pid event agent session what',
      'v at pid event agent session call tool mode effect would reason_code rule policy redacted entry',
      'v at pid event agent session call status duration_ms decision entry',
      'v at pid event agent session call tool mode effect would reason_code rule policy redacted entry',
      'v at pid event agent session call status error_type duration_ms decision entry',
      'v at pid event agent session call tool mode effect would reason_code rule policy redacted entry',
      'v at pid event agent session call principal tool mode effect would reason_code rule policy approval redacted entry',
      'v at pid event agent session call approval tool answer approver method state entry',
      'v at pid event what agent session',
    ]);
    const [, allowed, outcome] = sink.records;
    expect(allowed).toMatchObject({ tool: { server: 'files', name: 'read' }, effect: 'allow', reason_code: 'POLICY_ALLOW_LOW_RISK' });
    expect(outcome).toMatchObject({ status: 'success' });
    // Linked by call, and to the entries of the ledger.
    expect(without(outcome)['call']).toBe(without(allowed)['call']);
    expect(without(outcome)['decision']).toEqual(without(allowed)['entry']);
    expect(sink.closed).toBe(1);
  });

  it('holds no clear text unless a sink asked for it, and then only what was shown', async () => {
    const [plain, asking] = [collector(), collector({ include: ['args', 'reason'] })];
    const guard = guardOn(memoryStore(), { audit: [plain, asking] });
    await guard.authorize(call('no-way'));
    await guard.run(call('read'), () => 'THE RESULT').catch(() => undefined);
    await guard.close();
    expect(JSON.stringify(plain.records)).not.toMatch(/q1|not this one|RESULT/);
    const denied = asking.records.find((record) => record.event === 'decision');
    expect(denied).toMatchObject({ reason: 'not this one', args: { path: '/srv/q1' } });
    expect(JSON.stringify(asking.records)).not.toMatch(/sk-live|RESULT/);
    expect(JSON.stringify(asking.records)).toContain('[redacted:');
  });

  it('tells what the transaction decided, not what was proposed to it', async () => {
    const sink = collector({ include: ['reason'] });
    const guard = guardOn(memoryStore(), { audit: [sink], budgets: [budgetFrom({ id: 'one', per: 'agent', limit: 1 })] });
    for (let run = 0; run < 2; run++) await guard.run(call('read'), () => 'ok').catch(() => undefined);
    await guard.close();
    expect(sink.records.filter(({ event }) => event === 'decision')).toMatchObject([
      { effect: 'allow' },
      { effect: 'deny', reason_code: 'BUDGET_EXCEEDED_AGENT_RATE', reason: expect.stringContaining('one') },
    ]);
  });

  it('is written after the ledger and before the permit', async () => {
    const store = memoryStore();
    const seen: number[] = [];
    const sink = collector({ write: () => void seen.push(store.entries().length) });
    const guard = guardOn(store, { audit: [sink] });
    await guard.authorize(call('read'));
    expect(store.entries().filter(({ kind }) => kind === 'decision')).toHaveLength(1);
    expect(Math.min(...seen)).toBe(store.entries().length);
    expect(seen).toHaveLength(2);
  });

  it.each(['throws', 'rejects', 'hangs'] as const)(
    'that %s costs its lines and nothing else; they are counted, and told once',
    async (how) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        let isBroken = true;
        const taken: AuditRecord[] = [];
        const errors: unknown[] = [];
        const sink: AuditSink = {
          write: (record) => {
            if (!isBroken) return void taken.push(record);
            if (how === 'throws') throw new Error('no room');
            return how === 'rejects' ? Promise.reject(new Error('no room')) : new Promise(() => {});
          },
          close: () => {},
        };
        const guard = guardOn(memoryStore(), { audit: [sink], onError: (error) => errors.push(error) });
        let ran = 0;
        for (let run = 0; run < 3; run++) await guard.run(call('read'), () => ran++);
        await vi.advanceTimersByTimeAsync(AUDIT_DEADLINE_MS + 1);
        expect(ran).toBe(3);
        expect(guard.counters.lostAuditRecords).toBe(7);
        expect(errors).toHaveLength(1);
        isBroken = false;
        await guard.run(call('read'), () => ran++);
        await vi.advanceTimersByTimeAsync(100);
        expect(taken[0]).toMatchObject({ event: 'dropped', count: 7 });
        expect(taken.slice(1).map(({ event }) => event)).toEqual(['decision', 'outcome']);
        expect(guard.counters.lostAuditRecords).toBe(7);
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it('does not pile up behind a sink that never answers', async () => {
    let asked = 0;
    const sink: AuditSink = { write: () => (asked++, new Promise(() => {})), close: () => {} };
    const guard = guardOn(memoryStore(), { audit: [sink] });
    for (let run = 0; run < MAX_AUDIT_PENDING + 20; run++) await guard.authorize(call('no-way'));
    expect(asked).toBe(MAX_AUDIT_PENDING);
    expect(guard.counters.lostAuditRecords).toBeGreaterThanOrEqual(20);
  });

  it('that cannot be closed does not keep the guard from closing', async () => {
    const errors: unknown[] = [];
    const sink = collector({ close: () => Promise.reject(new Error('stuck')) });
    await guardOn(memoryStore(), { audit: [sink], onError: (error) => errors.push(error) }).close();
    expect(errors).toHaveLength(1);
  });

  it.each([{}, null, { write: () => {} }, { write: 'x', close: () => {} }])('refuses a sink that is none (%j)', (sink) => {
    expect(() => guardOn(memoryStore(), { audit: [sink as unknown as AuditSink] })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });
});

describe('a required audit log', () => {
  async function refused(sink: AuditSink, more: Partial<GuardOptions> = {}) {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const guard = guardOn(store, { audit: [sink], ...more });
    let ran = false;
    const error: unknown = await guard.run({ ...call('read'), id: 'c1' }, () => (ran = true)).catch((thrown: unknown) => thrown);
    const counters = guard.counters;
    const again = await guard.authorize({ ...call('read'), id: 'c1' });
    await guard.close();
    await store.close();
    return { path, ran, error, counters, again };
  }

  it.each([
    ['throws', broken({ required: true })],
    ['rejects', broken({ required: true, write: () => Promise.reject(new Error('no room')) })],
  ])('that %s: no tool runs, and the ledger holds decision, cancelled outcome and refusal, and is valid', async (_how, sink) => {
    const { path, ran, error, counters, again } = await refused(sink);
    expect(ran).toBe(false);
    expect(error).toMatchObject({ code: 'CALL_REFUSED', refusal: { decision: { effect: 'deny', reasonCode: 'AUDIT_LOG_FAILED' } } });
    expect(counters).toMatchObject({ allowed: 0, refused: 1 });
    // The same call again is not a way around it.
    expect(again).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'CALL_ALREADY_RUN' }, earlier: 'cancelled' });
    const report = await verifyLedger(path, { strict: true });
    expect(report).toMatchObject({
      integrity: 'intact',
      problems: [],
      open_decisions: 0,
      counts: { decisions: 3, allowed: 1, refused: 2, outcomes: 1 },
    });
  });

  it('that never answers: the call is refused in bounded time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const guard = guardOn(memoryStore(), { audit: [broken({ required: true, write: () => new Promise(() => {}) })] });
      const answer = guard.authorize(call('read'));
      await vi.advanceTimersByTimeAsync(AUDIT_DEADLINE_MS + 1);
      expect(await answer).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'AUDIT_LOG_FAILED' } });
    } finally {
      vi.useRealTimers();
    }
  });

  it('is not satisfied by another that works, and a best-effort one beside it costs nothing', async () => {
    const works = collector();
    expect(await guardOn(memoryStore(), { audit: [works, broken({ required: true })] }).authorize(call('read'))).toMatchObject({
      kind: 'refusal',
    });
    expect(await guardOn(memoryStore(), { audit: [collector({ required: true }), broken()] }).authorize(call('read'))).toMatchObject({
      kind: 'permit',
    });
  });

  it('refuses an approved call as well, whose approval is used up', async () => {
    let isBroken = false;
    const sink = collector({ required: true });
    const guard = guardOn(memoryStore(), {
      audit: [{ ...sink, write: (record) => (isBroken ? broken().write(record) : sink.write(record)) }],
    });
    const asked = { ...call('ask'), id: 'c1' };
    const pending = await guard.authorize(asked, { approval: 'suspend' });
    if (pending.kind !== 'pending') throw new Error('it did not ask');
    await guard.approvals.resolve(pending.approvalId, { decision: 'approve' }, { id: 'alice', method: 'host' });
    isBroken = true;
    expect(await guard.authorize(asked, { approval: 'suspend' })).toMatchObject({ decision: { reasonCode: 'AUDIT_LOG_FAILED' } });
    isBroken = false;
    expect(await guard.authorize(asked, { approval: 'suspend' })).toMatchObject({ kind: 'refusal' });
    expect(await guard.approvals.get(pending.approvalId)).toMatchObject({ state: 'consumed' });
  });

  it('is a file that cannot be written: the call is refused', async () => {
    const folder = join(tempDirectory(), 'audit.jsonl');
    mkdirSync(folder);
    const { ran, error } = await refused(fileAuditSink({ path: folder, required: true }));
    expect([ran, error]).toMatchObject([false, { refusal: { decision: { reasonCode: 'AUDIT_LOG_FAILED' } } }]);
  });
});

describe('the files of an audit log', () => {
  it.each(['', '.1', '.5', '.lock'])('may not be named by a tool (%j)', async (suffix) => {
    const path = join(tempDirectory(), 'audit.jsonl');
    const guard = guardOn(memoryStore(), { audit: [fileAuditSink({ path })] });
    const answer = await guard.authorize({ tool: { name: 'read' }, args: { path: `${path}${suffix}` } });
    expect(answer.decision.reasonCode).toBe('POLICY_DENY_OWN_FILES');
    expect(readFileSync(path, 'utf8')).toContain('POLICY_DENY_OWN_FILES');
  });
});

describe('OpenTelemetry', () => {
  it('gets log records with attributes and without clear text', async () => {
    const emitted: Parameters<NonNullable<Parameters<typeof openTelemetryAuditSink>[0]>['emit']>[0][] = [];
    const sink = await openTelemetryAuditSink({ emit: (record) => emitted.push(record) });
    if (sink === undefined) throw new Error('no sink');
    const guard = createGuard({
      agent: 'tester',
      policy: testPolicy,
      store: memoryStore({ clock: fixedClock() }),
      session: 's1',
      audit: [sink],
    });
    await guard.run(call('read'), () => 'ok');
    await guard.authorize(call('no-way'));
    await guard.close();
    expect(emitted.map(({ eventName, severityText, body }) => [eventName, severityText, body.replace(/\d+ ms/, 'N ms')])).toEqual([
      ['countersign.session', 'INFO', 'session start'],
      ['countersign.decision', 'INFO', 'allow files/read POLICY_ALLOW_LOW_RISK'],
      ['countersign.outcome', 'INFO', 'success after N ms'],
      ['countersign.decision', 'WARN', 'deny files/no-way POLICY_DENY_HIGH_RISK'],
      ['countersign.session', 'INFO', 'session end'],
    ]);
    expect(emitted[1]?.attributes).toMatchObject({
      'countersign.agent': 'tester',
      'countersign.tool.server': 'files',
      'countersign.effect': 'allow',
      'countersign.policy.id': 'test',
    });
    expect(typeof emitted[1]?.timestamp).toBe('number');
    expect(JSON.stringify(emitted)).not.toMatch(/q1|not this one/);
  });

  it('is not there without its package', async () => {
    expect(await openTelemetryAuditSink()).toBeUndefined();
  });
});
