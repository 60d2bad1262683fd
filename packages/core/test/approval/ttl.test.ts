/** How long an approval waits: the shortest of what is asked for, and never longer than the cap. */
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { type ApprovalTerms, composePolicies, definePolicy, type Guard, type GuardOptions, rulePolicy } from '../../src/index.ts';
import { guardFromConfig } from '../../src/sqlite/index.ts';
import { fixedClock, type MemoryStore, memoryStore } from '../../src/testing/index.ts';
import { guardOn } from '../fixtures/ledger.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const TEN_YEARS = 10 * 366 * 24 * HOUR;

/** Time stands still: also 1 ms is not over before it is looked at. */
const stopped = (): MemoryStore => memoryStore({ clock: fixedClock() });

const asking = (terms: Partial<ApprovalTerms> = {}, id = 'ask') =>
  definePolicy({ id, evaluate: () => ({ effect: 'require_approval', rule: 'ask', terms }) });

async function waits(guard: Guard): Promise<number> {
  const asked = await guard.authorize({ tool: { name: 'ask' }, args: {} }, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error(asked.decision.reasonCode);
  const [row] = await guard.approvals.list();
  return (row?.expiresAtMs ?? 0) - (row?.createdAtMs ?? 0);
}

const waitsWith = (approvals: GuardOptions['approvals'], terms: Partial<ApprovalTerms> = {}): Promise<number> =>
  waits(guardOn(stopped(), { policy: asking(terms), ...(approvals !== undefined && { approvals }) }));

describe('in code', () => {
  it.each([
    ['nothing said', {}, {}, 5 * MINUTE],
    ['the guard says it', { ttlMs: 7 }, {}, 7],
    ['the rule says it', { ttlMs: 7 }, { ttlMs: 9 }, 9],
    ['the guard is above the cap', { ttlMs: 3 * HOUR }, {}, HOUR],
    ['the rule is above the cap', {}, { ttlMs: 3 * HOUR }, HOUR],
    ['the rule is far above the cap', {}, { ttlMs: Number.MAX_SAFE_INTEGER }, HOUR],
    ['the cap is below the default', { maxTtlMs: 1000 }, {}, 1000],
    ['the cap is raised', { maxTtlMs: 4 * HOUR }, { ttlMs: 3 * HOUR }, 3 * HOUR],
    ['the cap is as high as it can be', { maxTtlMs: TEN_YEARS }, { ttlMs: Number.MAX_SAFE_INTEGER }, TEN_YEARS],
    ['the shortest there is', {}, { ttlMs: 1 }, 1],
  ])('%s', async (_what, approvals, terms, expected) => {
    expect(await waitsWith(approvals, terms)).toBe(expected);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, TEN_YEARS + 1, Number.MAX_SAFE_INTEGER, '5m'])(
    'no guard and no tool takes %s',
    (ms) => {
      const invalid = expect.objectContaining({ code: 'OPTIONS_INVALID' });
      for (const approvals of [{ ttlMs: ms as number }, { maxTtlMs: ms as number }])
        expect(() => guardOn(memoryStore(), { approvals })).toThrow(invalid);
      expect(() => guardOn(memoryStore()).tool('x', () => 1, { ttlMs: ms as number })).toThrow(invalid);
    },
  );

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5m', {}])('a policy function that asks for %s is a deny', async (ttlMs) => {
    const guard = guardOn(memoryStore(), { policy: asking({ ttlMs: ttlMs as number }) });
    expect(await guard.authorize({ tool: { name: 'ask' }, args: {} })).toMatchObject({
      kind: 'refusal',
      decision: { reasonCode: 'POLICY_EVALUATION_FAILED' },
    });
  });
});

describe('of a tool', () => {
  it.each([
    ['shortens the guard', 1000, {}, {}, 1000],
    ['shortens the rule', 1000, {}, { ttlMs: 2000 }, 1000],
    ['does not lengthen the rule', 9000, {}, { ttlMs: 2000 }, 2000],
    ['does not lengthen the guard', 2 * HOUR, { ttlMs: 3000 }, {}, 3000],
    ['is under the cap', 2 * HOUR, { maxTtlMs: 4000 }, { ttlMs: 2 * HOUR }, 4000],
  ])('%s', async (_what, toolTtlMs, approvals, terms, expected) => {
    const store = memoryStore();
    const guard = guardOn(store, { policy: asking(terms), approvals });
    void guard
      .tool('ask', () => 1, { ttlMs: toolTtlMs })({})
      .catch(() => {});
    let row = (await store.approvals())[0];
    while (row === undefined) {
      await new Promise(setImmediate);
      row = (await store.approvals())[0];
    }
    expect(row.expiresAtMs - row.createdAtMs).toBe(expected);
    await store.commit({ kind: 'lapse', approval: row.id, state: 'expired' });
  });
});

describe('of policies together', () => {
  it.each([
    [[{ ttlMs: 9000 }, { ttlMs: 4000 }, {}], 4000],
    [[{ ttlMs: 3 * HOUR }, { ttlMs: 2 * HOUR }], HOUR],
    [[{}, {}], 5 * MINUTE],
  ])('the shortest of %j', async (terms, expected) => {
    const policy = composePolicies(terms.map((each, index) => asking(each, `p${index}`)));
    expect(await waits(guardOn(stopped(), { policy }))).toBe(expected);
  });
});

describe('in countersign.yaml', () => {
  const text = (rule: string, approvals: string): string =>
    `version: 1\nagent: a\npolicy:\n  id: p\n  rules:\n    - { id: ask, tools: [ask], effect: require_approval${rule} }\napprovals: { ${approvals} }\n`;
  const configured = (rule: string, approvals: string): Promise<number> =>
    waits(guardFromConfig(parseConfig(text(rule, approvals), { path: 'x.yaml' }), stopped()));

  it.each([
    ['', '', 5 * MINUTE],
    ['', 'ttl: 2m', 2 * MINUTE],
    [', approval: { ttl: 3m }', 'ttl: 2m', 3 * MINUTE],
    [', approval: { ttl: 3h }', 'max_ttl: 4h', 3 * HOUR],
    ['', 'ttl: 1ms', 1],
  ])('rule %j and approvals %j', async (rule, approvals, expected) => {
    expect(await configured(rule, approvals)).toBe(expected);
  });

  it.each([
    [', approval: { ttl: 2h }', ''],
    [', approval: { ttl: 61m }', 'max_ttl: 1h'],
    ['', 'ttl: 2h'],
    ['', 'ttl: 2m, max_ttl: 1m'],
    ['', 'max_ttl: 4m, ttl: 5m'],
    ['', 'ttl: 0s'],
    ['', 'ttl: -5m'],
    ['', 'max_ttl: 0ms'],
    ['', 'max_ttl: 99999d'],
    ['', 'max_ttl: 999999999999999d'],
    [', approval: { ttl: 0m }', ''],
    [', approval: { ttl: -1m }', ''],
    [', approval: { ttl: 1e3s }', ''],
    [', approval: { ttl: 300 }', ''],
  ])('rule %j and approvals %j are refused', (rule, approvals) => {
    expect(() => parseConfig(text(rule, approvals), { path: 'x.yaml' })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('rules made in code know the same durations', () => {
    for (const ttl of ['0s', '-1m', '99999d', 5 as never])
      expect(() => rulePolicy({ id: 'p', rules: [{ id: 'r', tools: ['x'], effect: 'require_approval', approval: { ttl } }] })).toThrow(
        'ttl',
      );
  });
});
