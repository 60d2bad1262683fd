import { join } from 'node:path';
import { allowAll, type CallEvent, createGuard, type Guard, type Store } from '@countersign/core';
import { verifyLedger } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../../core/test/fixtures/ledger.ts';
import type { Activity } from '../src/activity.ts';
import type { Freezer } from '../src/contain/freezer.ts';
import { type HostMonitorOptions, monitorOf, type ResourceMonitor } from '../src/monitor.ts';
import { MAX_RECENT, RecentCalls } from '../src/recent-calls.ts';
import type { Verdict } from '../src/verdict.ts';
import { FakeReadings } from './fake-readings.ts';

const SECRET = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';
const activity = (attribution: Activity['attribution'] = { method: 'none' }): Activity => ({
  at: 1,
  seq: 1,
  sensor: 'probe',
  phase: 'before',
  action: { kind: 'read', path: `/home/u/.ssh/${SECRET}` },
  attribution,
});
const verdict = (level: Verdict['level'], more: Partial<Verdict> = {}): Verdict => ({
  level,
  rule: 'secret-read',
  reason: `read ${SECRET}`,
  evaluator: 'rules',
  confidence: 1,
  evidence: [1],
  ...more,
});

class FakeFreezer implements Freezer {
  readonly grade = 'signal';
  readonly done: string[] = [];
  async freeze() {
    this.done.push('freeze');
    return { grade: this.grade, processes: 2, running: [], duration_ms: 1.5 } as const;
  }
  async resume() {
    this.done.push('resume');
  }
  async kill() {
    this.done.push('kill');
    return { grade: this.grade, killed: 2, left: [], duration_ms: 1 } as const;
  }
  async killOnly() {
    return this.kill();
  }
  async close() {}
}

interface Bench {
  readonly guard: Guard;
  readonly store: Store;
  readonly monitor: ResourceMonitor;
  readonly readings: FakeReadings;
  readonly errors: string[];
  readonly codes: (...sessions: string[]) => Promise<readonly string[]>;
}

function bench(options: HostMonitorOptions = {}, store: Store = memoryStore()): Bench {
  const readings = new FakeReadings();
  const errors: string[] = [];
  const monitor = monitorOf(readings, { onError: (_error, during) => void errors.push(during), ...options });
  const guard = createGuard({ agent: 'billing', policy: allowAll(), store, session: 's1', monitor });
  return {
    guard,
    store,
    monitor,
    readings,
    errors,
    codes: async (...sessions) => {
      const tried: string[] = [];
      for (const session of sessions) {
        const decided = await guard.authorize({ tool: { name: 'read' }, args: {}, session });
        if (decided.kind === 'permit') await decided.settle({ status: 'success' });
        tried.push(decided.kind === 'permit' ? 'allowed' : decided.decision.reasonCode);
      }
      return tried;
    },
  };
}

const inCall = async (
  guard: Guard,
  session: string,
  server: string | undefined,
  act: (callId: string) => void | Promise<void>,
): Promise<void> => {
  await guard.run({ tool: { name: 'read', ...(server !== undefined && { server }) }, args: {}, session }, (_args, { callId }) =>
    act(callId),
  );
};

describe('a verdict inside of a host', () => {
  it('of HALT that belongs to a call halts its session, and no other', async () => {
    const { guard, store, monitor, codes } = bench();
    await inCall(guard, 's1', undefined, (call) => monitor.judged(activity({ method: 'scope', call }), verdict('HALT')));
    expect(await codes('s1', 's2')).toEqual(['SESSION_HALTED', 'allowed']);
    await vi.waitFor(async () => expect(await store.halts()).toMatchObject([{ session: 's1', reasonCode: 'MONITOR_HALTED' }]), 20_000);
    expect(await codes('s1')).toEqual(['SESSION_HALTED']);
  });

  it('is told to whoever follows the call, after what it stops is stopped, and without what was seen', async () => {
    const freezer = new FakeFreezer();
    const { monitor, store } = bench({ freezer });
    const events: (CallEvent & { readonly frozen: number })[] = [];
    const onEvent = (event: CallEvent): void => void events.push({ ...event, frozen: freezer.done.length });
    const guard = createGuard({ agent: 'billing', policy: allowAll(), store, session: 's9', monitor, onEvent });
    await inCall(guard, 's9', undefined, (call) => {
      monitor.judged(activity({ method: 'scope', call }), verdict('HALT'));
      // Perhaps of this call: that is in the ledger alone.
      monitor.judged(activity({ method: 'none', candidates: [call] }), verdict('KILL'));
      monitor.judged(activity({ method: 'scope', call }), verdict('SAFE'));
    });
    expect(events.map(({ kind }) => kind)).toEqual(['call-allowed', 'call-judged', 'call-settled']);
    expect(events[1]).toMatchObject({ level: 'HALT', enforced: 'HALT', incident: expect.stringMatching(/^[0-9a-f]{32}$/), frozen: 1 });
    expect(Object.keys(events[1] ?? {})).not.toContain('reason');
    await monitor.close();
  });

  it('refuses the next call at once, before the ledger has the halt', async () => {
    const { guard, store, monitor, codes } = bench();
    await inCall(guard, 's1', undefined, (call) => monitor.judged(activity({ method: 'scope', call }), verdict('HALT')));
    const halt = vi.spyOn(store, 'halts');
    expect(await codes('s1')).toEqual(['SESSION_HALTED']);
    expect(halt).not.toHaveBeenCalled();
  });

  it.each([['HALT'], ['KILL']] as const)('of %s that belongs to no call halts every session', async (level) => {
    const { store, monitor, codes } = bench();
    monitor.judged(activity(), verdict(level));
    expect(await codes('s1', 's2', 'new')).toEqual(Array(3).fill('SESSION_HALTED'));
    await vi.waitFor(async () => expect(await store.halts()).toHaveLength(1), 20_000);
    expect((await store.halts())[0]).not.toHaveProperty('session');
  });

  it('that belongs to no call is not ended by starting the host anew, under another session or another name', async () => {
    const store = memoryStore();
    const first = bench({}, store);
    first.monitor.judged(activity(), verdict('HALT'));
    await first.monitor.close();
    const again = bench({}, store);
    const renamed = createGuard({ agent: 'another', policy: allowAll(), store, session: 'fresh' });
    expect(await again.codes('s1', 'new')).toEqual(['SESSION_HALTED', 'SESSION_HALTED']);
    expect((await renamed.preview({ tool: { name: 'read' }, args: {} })).decision.reasonCode).toBe('SESSION_HALTED');
    await again.guard.halts.resume({}, { id: 'alice', method: 'host' });
    expect(await again.codes('s1', 'new')).toEqual(['allowed', 'allowed']);
  });

  it('of FLAG, and any in audit mode, halts nothing and is recorded', async () => {
    const store = memoryStore();
    const { monitor, codes } = bench({ mode: 'audit_only' }, store);
    monitor.judged(activity(), verdict('FLAG'));
    monitor.judged(activity(), verdict('KILL'));
    monitor.judged(activity(), verdict('SAFE'));
    expect(await codes('s1')).toEqual(['allowed']);
    await monitor.close();
    const verdicts = store.entries().filter(({ kind }) => kind === 'verdict');
    expect(verdicts).toMatchObject([
      { level: 'FLAG', enforced: 'FLAG' },
      { level: 'KILL', enforced: 'FLAG', mode: 'audit_only', incident: expect.any(String) },
    ]);
  });

  it('in the tree of a server belongs to the one call in flight there', async () => {
    const { guard, monitor, codes } = bench();
    await inCall(guard, 's2', 'other', async () => {
      await inCall(guard, 's1', 'files', () => monitor.judged(activity(), verdict('HALT'), { server: 'files' }));
    });
    expect(await codes('s1', 's2')).toEqual(['SESSION_HALTED', 'allowed']);
  });

  it('with several calls in flight there halts the session of each, and says that it may be any', async () => {
    const store = memoryStore();
    const { guard, monitor, codes } = bench({}, store);
    await inCall(guard, 's1', 'files', async () => {
      await inCall(guard, 's2', 'files', () => monitor.judged(activity(), verdict('HALT'), { server: 'files' }));
    });
    expect(await codes('s1', 's2', 's3')).toEqual(['SESSION_HALTED', 'SESSION_HALTED', 'allowed']);
    await monitor.close();
    const entry = store.entries().find(({ kind }) => kind === 'verdict');
    expect(entry).not.toHaveProperty('call');
    expect(entry).toMatchObject({ candidates: [expect.any(String), expect.any(String)] });
  });

  it('a call id that a process made up is nobody’s', async () => {
    const store = memoryStore();
    const { guard, monitor, codes } = bench({}, store);
    await inCall(guard, 's1', undefined, () => undefined);
    monitor.judged(activity({ method: 'marker', call: 'ab'.repeat(16) }), verdict('HALT'));
    expect(await codes('s1', 's2')).toEqual(['SESSION_HALTED', 'SESSION_HALTED']);
    await monitor.close();
    expect(store.entries().find(({ kind }) => kind === 'verdict')).not.toHaveProperty('call');
  });

  it('freezes what the host started, and lets it go on when an operator resumed the session', async () => {
    const freezer = new FakeFreezer();
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    const { guard, monitor, readings } = bench({ freezer }, store);
    await inCall(guard, 's1', undefined, (call) => {
      monitor.judged(activity({ method: 'scope', call }), verdict('HALT'));
      // Nothing waited for the disk.
      expect(freezer.done).toEqual(['freeze']);
    });
    await vi.waitFor(async () => expect(await store.halts()).toHaveLength(1), 20_000);
    await vi.waitFor(() => expect(readings.running).toBeGreaterThan(0), 20_000);
    await readings.tick();
    expect(freezer.done).toEqual(['freeze']);
    const operator = createGuard({ agent: 'billing', policy: allowAll(), store, session: 'operator' });
    await operator.halts.resume({ session: 's1' }, { id: 'alice', method: 'host' });
    await vi.waitFor(async () => {
      await readings.tick();
      expect(freezer.done).toEqual(['freeze', 'resume']);
    }, 20_000);
    await monitor.close();
    await Promise.all([guard.close(), operator.close()]);
    await store.close();
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  });

  it('of KILL ends what the host started', async () => {
    const freezer = new FakeFreezer();
    const store = memoryStore();
    const { monitor } = bench({ freezer }, store);
    monitor.judged(activity(), verdict('KILL'));
    expect(freezer.done).toEqual(['kill']);
    await monitor.close();
    expect(store.entries()).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'killed', count: 2, left: 0 }));
  });

  it('stops all the same when the ledger takes nothing, and says so', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const freezer = new FakeFreezer();
    const store = memoryStore();
    const { guard, monitor, codes, errors } = bench({ freezer }, store);
    await inCall(guard, 's1', undefined, (call) => {
      store.failWith(new Error('disk full'));
      monitor.judged(activity({ method: 'scope', call }), verdict('KILL'));
      expect(freezer.done).toEqual(['kill']);
    });
    store.failWith(undefined);
    // The ledger works again; the halt is not in it yet, and the session is refused.
    expect(await codes('s1')).toEqual(['SESSION_HALTED']);
    expect(errors).toContain('halting a session');
  });

  it('tells what throws, and throws nothing itself', async () => {
    const broken: Freezer = {
      ...new FakeFreezer(),
      grade: 'signal',
      freeze: () => Promise.reject(new Error('no')),
      resume: async () => undefined,
      kill: () => Promise.reject(new Error('no')),
      killOnly: () => Promise.reject(new Error('no')),
      close: async () => undefined,
    };
    const store = memoryStore();
    const { monitor, codes, errors } = bench({ freezer: broken }, store);
    monitor.judged(activity(), verdict('HALT'));
    expect(await codes('s1')).toEqual(['SESSION_HALTED']);
    await monitor.close();
    expect(errors).toContain('containing what the host started');
    expect(store.entries()).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'failed' }));
    const hostile = new Proxy({} as Activity, {
      get() {
        throw new Error('gotcha');
      },
    });
    expect(() => monitor.judged(hostile, verdict('HALT'))).not.toThrow();
  });

  it('shows no secret of what was seen', async () => {
    const store = memoryStore();
    const { monitor } = bench({}, store);
    monitor.judged(activity(), verdict('HALT'));
    await monitor.close();
    expect(JSON.stringify([store.entries(), [...store.openings().values()]])).not.toContain(SECRET);
  });

  it('halts in the ledger of the guard whose call it was', async () => {
    const readings = new FakeReadings();
    const monitor = monitorOf(readings);
    const [one, other] = [memoryStore(), memoryStore()];
    const [first, second] = [one, other].map((store) => createGuard({ agent: 'a', policy: allowAll(), store, session: 's1', monitor }));
    await inCall(first as Guard, 's1', undefined, (call) => monitor.judged(activity({ method: 'scope', call }), verdict('HALT')));
    await monitor.close();
    expect([await one.halts(), await other.halts()].map((halts) => halts.length)).toEqual([1, 0]);
    expect(second).toBeDefined();
  });

  it('records a change of what can be seen in the sessions that have calls', async () => {
    const store = memoryStore();
    const { guard, monitor } = bench({}, store);
    await inCall(guard, 's1', undefined, () => undefined);
    await inCall(guard, 's2', undefined, () => undefined);
    monitor.covers('L1');
    monitor.covers('L1');
    await vi.waitFor(() => {
      const changes = store.entries().flatMap((entry) => (entry.kind === 'session' && entry.event === 'coverage' ? [entry] : []));
      expect(changes.map(({ session, coverage }) => [session, coverage])).toEqual([
        ['s1', 'L1'],
        ['s2', 'L1'],
      ]);
    }, 20_000);
    expect(monitor.coverage).toBe('L1');
  });
});

describe('whose it was', () => {
  it('is remembered of calls that ended, and of so many', () => {
    const calls = new RecentCalls();
    calls.began('first', { session: 's1' });
    calls.ended('first');
    expect(calls.whose(calls.attribute({ method: 'marker', call: 'first' }, undefined), undefined)).toEqual({ session: 's1' });
    for (let i = 0; i < MAX_RECENT; i++) {
      calls.began(`c${i}`, { session: 's2' });
      calls.ended(`c${i}`);
    }
    expect(calls.attribute({ method: 'marker', call: 'first' }, undefined)).toEqual({ method: 'none' });
    expect(calls.sessions()).toEqual(['s1', 's2']);
  });

  it('is anybody’s where one candidate names no session', () => {
    const calls = new RecentCalls();
    calls.began('a', { server: 'x', session: 's1' });
    calls.began('b', { server: 'x' });
    expect(calls.whose(calls.attribute({ method: 'none' }, 'x'), undefined)).toEqual({});
    expect(calls.attribute({ method: 'none' }, 'constructor')).toEqual({ method: 'none' });
  });

  it('is sure only of a call that was in flight all the time in which it may have been done', () => {
    let now = 0;
    const calls = new RecentCalls(() => now);
    const at = (since: number) => calls.attribute({ method: 'none' }, 'x', since);
    now = 100;
    calls.began('a', { server: 'x' });
    calls.began('elsewhere', { server: 'y' });
    now = 200;
    expect(at(100)).toEqual({ method: 'window', call: 'a' });
    expect(at(99)).toEqual({ method: 'window', candidates: ['a'] });
    calls.ended('a');
    now = 300;
    expect(at(200)).toEqual({ method: 'window', candidates: ['a'] });
    expect(at(201)).toEqual({ method: 'none' });
    calls.began('b', { server: 'x' });
    expect(at(150)).toEqual({ method: 'window', candidates: ['a', 'b'] });
    expect(at(300)).toEqual({ method: 'window', call: 'b' });
    expect(calls.attribute({ method: 'none' }, 'x')).toEqual({ method: 'window', call: 'b' });
  });
});
