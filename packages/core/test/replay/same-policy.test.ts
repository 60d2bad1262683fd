import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetFrom } from '../../src/budget/budget.ts';
import type { ToolCall } from '../../src/call.ts';
import { createGuard } from '../../src/guard.ts';
import type { RuleSet } from '../../src/policy/rule-definition.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { replayLedger } from '../../src/replay/replay.ts';
import { inMemory, onDisk, type Recorded, through } from './ledgers.ts';

const CONDITIONS = [
  'args.n > 5',
  'has(args.n) && args.n <= 5',
  "'red' in session.labels",
  "!('blue' in session.labels)",
  "mode == 'enforce'",
  "time > timestamp('2020-01-01T00:00:00Z')",
  "time - session.started >= duration('0s')",
  'size(findings) > 0',
  'has(annotations.readOnlyHint) && annotations.readOnlyHint',
  "agent == 'bot' && principal == 'ana'",
  'cost > 2',
  "args.text.startsWith('a')",
  "tool == 'read' || server == 'web'",
];
const TOOLS = ['read', 'send', 'web/open', 'files/read'];
const PATTERNS = [...TOOLS, '*', '*/*', 'files/*', 're*'];
const LABELS = ['red', 'blue'];

const condition = fc.option(fc.constantFrom(...CONDITIONS), { nil: undefined });
const labels = fc.option(fc.uniqueArray(fc.constantFrom(...LABELS), { minLength: 1 }), { nil: undefined });
const rule = fc
  .record({
    tools: fc.uniqueArray(fc.constantFrom(...PATTERNS), { minLength: 1, maxLength: 2 }),
    when: condition,
    unless: condition,
    effect: fc.constantFrom('allow', 'allow', 'deny', 'require_approval', 'label'),
    label: labels,
  })
  .map(({ label, effect, ...rest }) => {
    const own = effect === 'deny' ? undefined : (label ?? (effect === 'label' ? ['red'] : undefined));
    return { ...rest, effect, ...(own !== undefined && { label: own }) };
  });
const ruleSet = fc
  .record({ default: fc.constantFrom('allow', 'deny', 'require_approval'), rules: fc.array(rule, { maxLength: 6 }) })
  .map(({ rules, ...rest }): RuleSet => ({ id: 'p', ...rest, rules: rules.map((each, index) => ({ id: `r${index}`, ...each })) }));

const call = fc
  .record({
    tool: fc.constantFrom(...TOOLS),
    session: fc.constantFrom('s1', 's2'),
    args: fc.record(
      { n: fc.integer({ min: 0, max: 9 }), text: fc.constantFrom('abc', 'x', 'ghp_0123456789abcdefghijABCDEFGHIJ012345') },
      { requiredKeys: [] },
    ),
    principal: fc.option(fc.constant('ana'), { nil: undefined }),
    cost: fc.option(fc.integer({ min: 0, max: 5_000_000 }), { nil: undefined }),
    hint: fc.option(fc.boolean(), { nil: undefined }),
    answer: fc.constantFrom(undefined, 'approve', 'deny'),
  })
  .map(({ tool, hint, answer, principal, cost, ...rest }) => {
    const [server, name] = tool.includes('/') ? tool.split('/') : [undefined, tool];
    const given: Omit<ToolCall, 'id'> = {
      ...rest,
      tool: {
        ...(server !== undefined && { server }),
        name: name ?? tool,
        ...(hint !== undefined && { annotations: { readOnlyHint: hint } }),
      },
      ...(principal !== undefined && { principal }),
      ...(cost !== undefined && { cost }),
    };
    return { given, answer };
  });

const MODES = ['audit', 'confirm', 'enforce'] as const;

describe.each([
  ['in memory', inMemory, 150],
  ['on disk', onDisk, 15],
] as const)('%s', (_where, open: () => Recorded, numRuns) => {
  it('replay under the same policy changes nothing', async () => {
    let compared = 0;
    let byEngine = 0;
    await fc.assert(
      fc.asyncProperty(
        ruleSet,
        fc.constantFrom(...MODES),
        fc.boolean(),
        fc.array(call, { minLength: 1, maxLength: 12 }),
        async (set, mode, hasBudget, calls) => {
          const recorded = open();
          try {
            const { store } = recorded;
            const budgets = hasBudget ? [budgetFrom({ id: 'few', per: 'agent', limit: 5, window: '1h' })] : [];
            const guard = createGuard({ agent: 'bot', session: 's1', policy: rulePolicy(set), mode, store, budgets });
            for (const [index, { given, answer }] of calls.entries()) await through(guard, { ...given, id: `c${index}` }, answer);
            await guard.close();
            const report = await replayLedger(await recorded.source(), { policy: rulePolicy(set), checks: 'all' });
            expect(report.changes).toEqual([]);
            expect(report.otherRule).toBe(0);
            expect([...report.notReplayable]).toEqual([]);
            expect(report.unreadable).toBe(0);
            expect(report.calls).toBe(calls.length);
            compared += report.compared;
            byEngine += report.calls - report.compared;
          } finally {
            recorded.remove();
          }
        },
      ),
      { numRuns },
    );
    // It says something only if policies decided most calls, and budgets stopped some.
    expect(compared).toBeGreaterThan(numRuns * 3);
    if (numRuns > 100) expect(byEngine).toBeGreaterThan(0);
  }, 120_000);
});
