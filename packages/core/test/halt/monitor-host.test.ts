import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  allowAll,
  createGuard,
  type Guard,
  type GuardOptions,
  type HostMonitor,
  type MonitorHost,
  monitorHost,
  type Store,
  type VerdictRecord,
} from '../../src/index.ts';
import { parseEntry } from '../../src/ledger/body.ts';
import { checkOpening } from '../../src/ledger/commitment.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const CALL = 'ab'.repeat(16);
const SECRET = 'ghp_16C7e42F292c6912E7710c838347Ae178B4a';
const verdict = (more: Partial<VerdictRecord> = {}): VerdictRecord => ({
  kind: 'verdict',
  session: 's1',
  level: 'HALT',
  enforced: 'HALT',
  mode: 'enforce_kill',
  rule: 'secret-read',
  evaluator: 'rules',
  confidence: 1,
  incident: 'i1',
  phase: 'after',
  activity: { reason: 'read a key', path: '/home/u/.ssh/id_ed25519' },
  ...more,
});

/** Keeps what it was given. */
function monitor(): HostMonitor & { host(): MonitorHost; readonly begun: unknown[] } {
  let opened: MonitorHost | undefined;
  const begun: unknown[] = [];
  return {
    coverage: 'L1',
    begun,
    open: (given) => void (opened = given),
    begin(_id, call) {
      begun.push(call);
      return { end: () => undefined };
    },
    host() {
      if (opened === undefined) throw new Error('the guard opened no monitor');
      return opened;
    },
    close: async () => undefined,
  };
}

const stores: readonly (readonly [string, () => Store])[] = [
  ['memory', () => memoryStore()],
  ['sqlite, inline', () => openLedger(join(tempDirectory(), 'ledger.db'), { writer: 'inline' })],
  ['sqlite, worker', () => openLedger(join(tempDirectory(), 'ledger.db'), { writer: 'worker' })],
];

describe.each(stores)('a monitor host on %s', (_name, open) => {
  const opened: Store[] = [];
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });
  function watched(more: Partial<GuardOptions> = {}): { guard: Guard; store: Store; host: MonitorHost } {
    const store = open();
    opened.push(store);
    const watch = monitor();
    const guard = createGuard({ agent: 'billing', policy: allowAll(), store, session: 's1', monitor: watch, ...more });
    return { guard, store, host: watch.host() };
  }
  const read = { tool: { name: 'read' }, args: {} };
  const codeOf = async (guard: Guard, session?: string): Promise<string> =>
    (await guard.authorize({ ...read, ...(session !== undefined && { session }) })).decision.reasonCode;

  it('puts verdicts and what followed on record, with what was seen beside the entry', async () => {
    const { store, host } = watched();
    const ref = await host.record(
      verdict({ call: CALL, activity: { reason: `read ${SECRET}`, argv: ['cat', SECRET], other: ['curl', '-u', 'ada:correct-horse'] } }),
    );
    const entry = parseEntry((await store.entry(ref)) ?? '');
    expect(entry).toMatchObject({ kind: 'verdict', agent: 'billing', session: 's1', call: CALL, level: 'HALT', incident: 'i1' });
    const opening = await store.opening(ref.of);
    if (entry.kind !== 'verdict' || opening === undefined) throw new Error('no opening');
    expect(checkOpening({ activity: entry.activity_commit }, opening)).toEqual([]);
    expect(JSON.stringify(opening)).not.toContain(SECRET);
    expect(JSON.stringify(opening)).toContain('[redacted:');
    expect(JSON.stringify(opening)).not.toContain('correct-horse');
    const done = await host.record({
      kind: 'containment',
      session: 's1',
      incident: 'i1',
      event: 'frozen',
      verdict: ref,
      grade: 'signal',
      count: 3,
      details: { pids: [1, 2, 3] },
    });
    const frozen = parseEntry((await store.entry(done)) ?? '');
    const beside = await store.opening(done.of);
    if (frozen.kind !== 'containment' || beside === undefined) throw new Error('no containment');
    expect(checkOpening({ details: frozen.details_commit }, beside)).toEqual([]);
    await host.note('activity-segment', { sha256: 'ab' });
  });

  it.each([
    ['a rule that is a secret', { rule: SECRET }],
    ['a session that is a secret', { session: SECRET }],
    ['an incident with a line end', { incident: 'i1\nkilled: no' }],
    ['a HALT without an incident', { incident: undefined as never }],
    ['a call that is none', { call: 'c1' }],
    ['a candidate that is none', { candidates: ['c1'] }],
    ['a confidence above 1', { confidence: 2 }],
    ['no confidence', { confidence: Number.NaN }],
  ] satisfies readonly (readonly [string, Partial<VerdictRecord>])[])('refuses %s', async (_what, more) => {
    const { host } = watched();
    await expect(host.record(verdict(more))).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });

  it('puts on record how many calls failed instead of happening, and refuses what is no number of them', async () => {
    const { store, host } = watched();
    const denied = { kind: 'containment', session: 's1', incident: 'i1', event: 'denied' } as const;
    for (const refused of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60])
      await expect(host.record({ ...denied, refused })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    const entry = parseEntry((await store.entry(await host.record({ ...denied, refused: 3 }))) ?? '');
    expect(entry).toMatchObject({ event: 'denied', refused: 3 });
    expect(entry).not.toHaveProperty('count');
  });

  it('cuts what is too large, and records it', async () => {
    const { store, host } = watched();
    const ref = await host.record(verdict({ activity: { argv: Array.from({ length: 10_000 }, () => 'x'.repeat(1000)) } }));
    expect(JSON.stringify(await store.opening(ref.of)).length).toBeLessThan(70_000);
    await expect(host.note('big', 'x'.repeat(600_000))).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });

  it('halts one session and no other, until it is resumed', async () => {
    const { guard, host } = watched();
    expect(await codeOf(guard)).not.toBe('SESSION_HALTED');
    await host.halt('s1', 'MONITOR_HALT', { incident: 'i1' });
    expect([await host.isHalted('s1'), await host.isHalted('s2')]).toEqual([true, false]);
    expect([await codeOf(guard), await codeOf(guard, 's2')]).toEqual(['SESSION_HALTED', 'POLICY_ALLOW_LOW_RISK']);
    await host.resume('s1');
    expect(await codeOf(guard)).toBe('POLICY_ALLOW_LOW_RISK');
  });

  it('halts every session, also those to come; the halt of one session is lifted by itself', async () => {
    const { guard, host } = watched();
    await host.halt('s3', 'MONITOR_HALT');
    await host.halt(undefined, 'MONITOR_HALT');
    expect([await codeOf(guard), await codeOf(guard, 's2'), await codeOf(guard, 'new')]).toEqual(Array(3).fill('SESSION_HALTED'));
    expect((await guard.preview(read)).decision.reasonCode).toBe('SESSION_HALTED');
    await host.resume('s1');
    expect(await codeOf(guard)).toBe('SESSION_HALTED');
    await host.resume(undefined);
    expect([await codeOf(guard), await codeOf(guard, 's3')]).toEqual(['POLICY_ALLOW_LOW_RISK', 'SESSION_HALTED']);
  });

  it('tells which calls run, by server', async () => {
    const { guard, host } = watched();
    const permit = await guard.authorize({ tool: { server: 'files', name: 'read' }, args: {} });
    if (permit.kind !== 'permit') throw new Error('refused');
    const seen: (readonly string[])[] = [];
    await permit.within(async () => void seen.push(host.inFlight(), host.inFlight('files'), host.inFlight('other')));
    expect(seen).toEqual([[permit.callId], [permit.callId], []]);
    await permit.settle({ status: 'success', result: 1 });
    expect(host.inFlight()).toEqual([]);
  });

  it('works without a guard', async () => {
    const store = open();
    opened.push(store);
    const host = monitorHost({ store, agent: 'billing' });
    await host.mark('start', { coverage: 'L1' });
    await host.mark('coverage', { coverage: 'L0' });
    await expect(host.mark('coverage', { coverage: 'L9' })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
    await host.record(verdict({ session: host.session }));
    await host.mark('end');
    expect(host.inFlight()).toEqual([]);
  });
});

it('a guard whose monitor cannot be opened is not made', () => {
  const broken: HostMonitor = {
    ...monitor(),
    open() {
      throw new Error('no');
    },
  };
  expect(() => createGuard({ agent: 'billing', policy: allowAll(), store: memoryStore(), monitor: broken })).toThrow(
    expect.objectContaining({ code: 'MONITOR_UNAVAILABLE' }),
  );
});
