/**
 * Replaying a ledger under a policy: 100 rules on 20 tools, five for each.
 *
 * The whole of it (reading entries and openings, rebuilding sessions, deciding, counting) stands against the same decisions
 * as a guard makes them when it records nothing: a preview of each call, which redacts its arguments and decides. And,
 * printed beside it, against the policy's evaluations alone, over inputs that lie in memory: with rules as cheap as these
 * the reading weighs more than the deciding.
 */
import { createGuard, type Policy, type PolicyInput, rulePolicy } from '@countersign/core';
import { replayDecisions } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { AGENT, ARGS, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim, printed } from './figure.ts';
import { benchStore, freshPath } from './fixtures.ts';
import { timeRatio } from './measure.ts';

const TOOLS = 20;
const CALLS = 4000;
const RULES = [
  { effect: 'deny', when: "args.limit > 1000 && args.filter.currency == 'USD'" },
  { effect: 'deny', when: "args.path.startsWith('/etc/')" },
  { effect: 'require_approval', when: "args.filter.minimum < 50.0 || 'password' in args.columns" },
  { effect: 'allow', when: "args.limit <= 500 && args.path.startsWith('/srv/reports/')" },
  { effect: 'allow', when: "args.filter.currency in ['EUR', 'USD'] && args.filter.open" },
] as const;

const decisions = 'policy replay / the decisions it contains, made by a guard that records nothing';
const evaluations = 'policy replay / the evaluations of its rules alone, 100 rules on 20 tools';
export const replayClaims: readonly Claim[] = [
  { name: decisions, measure: async () => atMost(decisions, await replayOver('decisions'), 2) },
  { name: evaluations, measure: async () => printed(evaluations, await replayOver('evaluations')) },
];

async function replayOver(what: 'decisions' | 'evaluations'): Promise<number> {
  const policy = benchPolicy();
  const inputs: PolicyInput[] = [];
  const path = await recordedCalls({
    ...policy,
    evaluate(input) {
      inputs.push(input);
      return policy.evaluate(input);
    },
  });
  const { compared, changes, otherRule } = await replayDecisions(path, { policy });
  // The two sides must decide the same calls alike, or they do different work.
  if (compared !== CALLS || inputs.length !== CALLS || changes.length > 0 || otherRule > 0)
    throw new Error('the replay does not decide as the guard did');
  const guard = createGuard({ agent: AGENT, session: SESSION, policy, store: memoryStore() });
  return timeRatio(
    async (count) => {
      for (let i = 0; i < count; i++) await replayDecisions(path, { policy });
    },
    what === 'decisions'
      ? async (count) => {
          for (let i = 0; i < count; i++) for (const { tool } of inputs) await guard.preview({ tool, args: ARGS });
        }
      : (count) => {
          for (let i = 0; i < count; i++) for (const input of inputs) void policy.evaluate(input);
        },
    { count: 1 },
  );
}

function benchPolicy(): Policy {
  return rulePolicy({
    id: 'bench',
    rules: Array.from({ length: TOOLS }, (_, t) =>
      RULES.map((rule, r) => ({ ...rule, id: `rule-${t}-${r}`, tools: [`${TOOL.server}/${TOOL.name}_${t}`] })),
    ).flat(),
  });
}

async function recordedCalls(policy: Policy): Promise<string> {
  const path = freshPath('replay.db');
  const store = benchStore('none', path);
  const guard = createGuard({ agent: AGENT, session: SESSION, policy, store });
  for (let i = 0; i < CALLS; i += 100) {
    const calls = Array.from({ length: 100 }, (_, j) => ({ tool: { ...TOOL, name: `${TOOL.name}_${(i + j) % TOOLS}` }, args: ARGS }));
    await Promise.all(calls.map((call) => guard.run(call, () => 'ok')));
  }
  await guard.close();
  await store.close();
  return path;
}
