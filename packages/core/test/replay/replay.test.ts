import { describe, expect, it } from 'vitest';
import { createGuard } from '../../src/guard.ts';
import { definePolicy } from '../../src/policy/built-in.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { Rule } from '../../src/policy/rule-definition.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { replayLedger } from '../../src/replay/replay.ts';
import type { ReplayedDecision, ReplayReport } from '../../src/replay/report.ts';
import { type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import type { SourceRow } from '../../src/verify/source.ts';
import { rowsOf, through } from './ledgers.ts';

function policy(...rules: readonly Omit<Rule, 'id'>[]): Policy {
  return rulePolicy({ id: 'p', rules: rules.map((rule, index) => ({ id: `r${index}`, ...rule })) });
}

const ALLOW: Omit<Rule, 'id'> = { tools: ['*', '*/*'], effect: 'allow' };

async function recorded(
  under: Policy,
  calls: readonly { readonly tool: string; readonly args?: unknown; readonly session?: string }[],
  mode: 'audit' | 'enforce' = 'audit',
): Promise<MemoryStore> {
  const store = memoryStore();
  const guard = createGuard({ agent: 'bot', session: 's1', policy: under, mode, store });
  for (const [index, { tool, args = {}, session = 's1' }] of calls.entries())
    await through(guard, { tool: { name: tool }, args, session, id: `c${index}` });
  await guard.close();
  return store;
}

function changes(report: ReplayReport): readonly string[] {
  return report.changes.map(({ from, to, count }) => `${from} > ${to}: ${count}`);
}

describe('replayLedger', () => {
  it('counts what another policy would have said, and tells of each', async () => {
    const store = await recorded(policy(ALLOW), [
      { tool: 'read' },
      { tool: 'drop' },
      { tool: 'pay', args: { n: 5 } },
      { tool: 'pay', args: { n: 50 } },
    ]);
    const other = policy(
      { tools: ['read'], effect: 'allow' },
      { tools: ['pay'], when: 'args.n > 10', effect: 'require_approval' },
      { tools: ['pay'], when: 'args.n <= 10', effect: 'allow' },
    );
    const told: ReplayedDecision[] = [];
    const report = await replayLedger(rowsOf(store), { policy: other, onDecision: (decision) => told.push(decision) });
    expect(changes(report).toSorted()).toEqual(['allow > deny: 1', 'allow > require_approval: 1']);
    expect(report).toMatchObject({ calls: 4, compared: 4, otherRule: 1, unreadable: 0, policies: [{ id: 'p', calls: 4 }] });
    expect(told.map(({ entry, from, to, ruling }) => [entry.tool.name, from, to, ruling.decision.reasonCode])).toEqual([
      ['read', 'allow', 'allow', 'POLICY_ALLOW_LOW_RISK'],
      ['drop', 'allow', 'deny', 'POLICY_DEFAULT_DENY'],
      ['pay', 'allow', 'allow', 'POLICY_ALLOW_LOW_RISK'],
      ['pay', 'allow', 'require_approval', 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE'],
    ]);
  });

  it('counts only what is meant, and walks through the rest all the same', async () => {
    const labelling = policy({ ...ALLOW, label: ['seen'] });
    const store = await recorded(labelling, [{ tool: 'web' }, { tool: 'mail' }]);
    const flow = policy({ ...ALLOW, label: ['seen'] }, { tools: ['mail'], when: "'seen' in session.labels", effect: 'deny' });
    const report = await replayLedger(rowsOf(store), { policy: flow, isMeant: ({ tool }) => tool.name === 'mail' });
    expect(report.calls).toBe(1);
    expect(changes(report)).toEqual(['allow > deny: 1']);
  });

  it('labels sessions as the other policy would have, or as the record says', async () => {
    const store = await recorded(policy({ ...ALLOW, label: ['old'] }), [
      { tool: 'web' },
      { tool: 'mail' },
      { tool: 'mail', session: 's2' },
    ]);
    const other = policy(
      ALLOW,
      { tools: ['web'], effect: 'label', label: ['new'] },
      { tools: ['mail'], when: "'new' in session.labels", effect: 'deny' },
    );
    expect(changes(await replayLedger(rowsOf(store), { policy: other }))).toEqual(['allow > deny: 1']);
    expect(changes(await replayLedger(rowsOf(store), { policy: other, labels: 'recorded' }))).toEqual([]);
    const old = policy(ALLOW, { tools: ['mail'], when: "'old' in session.labels", effect: 'deny' });
    expect(changes(await replayLedger(rowsOf(store), { policy: old }))).toEqual([]);
    expect(changes(await replayLedger(rowsOf(store), { policy: old, labels: 'recorded' }))).toEqual(['allow > deny: 1']);
  });

  it('takes labels of results from the record', async () => {
    const store = await recorded(policy(ALLOW), [{ tool: 'web' }]);
    const labelled = rowsOf(store, (row) => {
      const entry: unknown = JSON.parse(row.body ?? '');
      return typeof entry === 'object' && entry !== null && 'kind' in entry && entry.kind === 'outcome'
        ? { ...row, body: JSON.stringify({ ...entry, labels: ['told'] }) }
        : row;
    });
    const later = await recorded(policy(ALLOW), [{ tool: 'mail' }]);
    const both = { size: 0, chunks: () => [[...labelled.chunks()].flat(), [...rowsOf(later).chunks()].flat()] };
    const other = policy(ALLOW, { tools: ['mail'], when: "'told' in session.labels", effect: 'deny' });
    expect(changes(await replayLedger(both, { policy: other }))).toEqual(['allow > deny: 1']);
  });

  it('counts a call that was asked about once', async () => {
    const store = memoryStore();
    const guard = createGuard({ agent: 'bot', session: 's1', policy: policy({ tools: ['*'], effect: 'require_approval' }), store });
    await through(guard, { tool: { name: 'a' }, args: {}, id: '1' }, 'approve');
    await through(guard, { tool: { name: 'b' }, args: {}, id: '2' }, 'deny');
    await guard.close();
    const report = await replayLedger(rowsOf(store), { policy: policy(ALLOW) });
    expect(report).toMatchObject({ calls: 2, compared: 2 });
    expect(changes(report)).toEqual(['require_approval > allow: 2']);
  });

  it('awaits a policy that answers later', async () => {
    const store = await recorded(policy(ALLOW), [{ tool: 'a' }, { tool: 'b' }]);
    const slow = definePolicy({ id: 'slow', evaluate: async ({ tool }) => ({ effect: tool.name === 'a' ? 'allow' : 'deny' }) });
    expect(changes(await replayLedger(rowsOf(store), { policy: slow }))).toEqual(['allow > deny: 1']);
  });
});

describe('what cannot be replayed is counted by its reason', () => {
  const skipped = async (store: MemoryStore, under: Policy, change?: (row: SourceRow) => SourceRow): Promise<ReplayReport> =>
    replayLedger(rowsOf(store, change), { policy: under });
  const onlyDecisions = (change: (row: SourceRow) => SourceRow) => (row: SourceRow) =>
    row.body?.includes('"kind":"decision"') === true ? change(row) : row;

  it('refusals of the engine', async () => {
    const store = memoryStore();
    const guard = createGuard({ agent: 'bot', session: 's1', policy: policy(ALLOW), store });
    await through(guard, { tool: { name: 'x' }, args: { big: 1n } });
    await store.commit({ kind: 'record', body: { kind: 'session', agent: 'bot', session: 's1', event: 'halted', reason_code: 'X' } });
    await through(guard, { tool: { name: 'x' }, args: {} });
    await guard.close();
    const report = await skipped(store, policy());
    expect([...report.byEngine]).toEqual([
      ['ARGUMENTS_INVALID', 1],
      ['SESSION_HALTED', 1],
    ]);
    expect(report).toMatchObject({ calls: 2, compared: 0 });
  });

  it.each([
    ['forgotten', (row: SourceRow): SourceRow => ({ ...row, opening: undefined })],
    ['forgotten', (row: SourceRow): SourceRow => ({ ...row, opening: { key: row.opening?.key, sections: '{}' } })],
    ['forgotten', (row: SourceRow): SourceRow => ({ ...row, opening: { key: row.opening?.key, sections: '{' } })],
    ['forgotten', (row: SourceRow): SourceRow => ({ ...row, opening: { key: row.opening?.key, sections: '[]' } })],
    ['altered', (row: SourceRow): SourceRow => ({ ...row, opening: { key: row.opening?.key, sections: '{"args":{"n":1}}' } })],
  ])('%s', async (why, change) => {
    const store = await recorded(policy(ALLOW), [{ tool: 'x', args: { n: 50 } }]);
    const report = await skipped(store, policy({ tools: ['x'], when: 'args.n < 10', effect: 'deny' }, ALLOW), onlyDecisions(change));
    expect([...report.notReplayable]).toEqual([[why, 1]]);
    expect(report).toMatchObject({ calls: 1, compared: 0, changes: [] });
  });

  it('an altered opening that would change nothing is found when all are checked', async () => {
    const store = await recorded(policy(ALLOW), [{ tool: 'x', args: { n: 50 } }]);
    const rows = rowsOf(
      store,
      onlyDecisions((row) => ({ ...row, opening: { key: row.opening?.key, sections: '{"args":{"n":1}}' } })),
    );
    expect((await replayLedger(rows, { policy: policy(ALLOW) })).compared).toBe(1);
    expect([...(await replayLedger(rows, { policy: policy(ALLOW), checks: 'all' })).notReplayable]).toEqual([['altered', 1]]);
  });

  it('raw arguments', async () => {
    const store = await recorded(policy(ALLOW), [{ tool: 'x', args: { n: 1 } }, { tool: 'y' }]);
    const report = await skipped(store, policy({ tools: ['x'], raw: ['/n'], when: "raw['/n'] == 1", effect: 'deny' }, ALLOW));
    expect([...report.notReplayable]).toEqual([['raw not recorded', 1]]);
    expect(report.compared).toBe(1);
  });

  it('entries that are none, whatever they hold', async () => {
    const store = await recorded(policy(ALLOW), [{ tool: 'x' }]);
    const good = [...rowsOf(store).chunks()].flat();
    const decision = good.find(({ body }) => body?.includes('"kind":"decision"') === true)?.body ?? '';
    const bad = [
      undefined,
      '',
      '{',
      'null',
      '[]',
      '{"kind":"decision"}',
      '{"at":1,"kind":7}',
      '{"at":1,"kind":"session","session":7}',
      decision.replace('"effect":"allow"', '"effect":"maybe"'),
      decision.replace('"would":"allow"', '"would":{}'),
      decision.replace('"session":"s1"', '"session":null'),
      decision.replace('"tool":{"name":"x"}', '"tool":{}'),
      decision.replace('"mode":"audit"', '"mode":"constructor"'),
      decision.replace(/"policy":\{[^}]*\}/, '"policy":[]'),
    ].map((body, seq): SourceRow => ({ seq, body, leaf: undefined, bytes: 0, opening: undefined }));
    const report = await replayLedger({ size: 0, chunks: () => [bad, good] }, { policy: policy(ALLOW) });
    expect(report).toMatchObject({ unreadable: bad.length, calls: 1, compared: 1 });
  });
});
