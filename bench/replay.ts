/**
 * Replaying a ledger under a policy: 100 rules on 20 tools, five for each.
 *
 * The whole of it (reading entries and openings, rebuilding sessions, deciding, counting) stands against the same decisions
 * as a guard makes them when it records nothing: a preview of each call, which redacts its arguments and decides. And
 * against the policy's evaluations alone, over inputs that lie in memory: with what a newcomer replays, the baseline pack
 * beside the same rules, and, printed, with these rules alone, which are so cheap that the reading weighs more than the
 * deciding.
 *
 * An evaluation gets an input of its own each time, as it does in a replay: what one call worked out is not known to the next.
 */
import { baselinePack, composePolicies, createGuard, type Policy, type PolicyInput, rulePolicy } from '@countersign/core';
import { replayDecisions } from '@countersign/core/sqlite';
import { memoryStore } from '@countersign/core/testing';
import { AGENT, ARGS, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim, printed } from './figure.ts';
import { benchStore, freshPath } from './fixtures.ts';
import { timeRatio } from './measure.ts';
import { RULES } from './rules.ts';

const TOOLS = 20;
const CALLS = 4000;
/** A decision of the baseline pack takes far longer than one of these rules. */
const BASELINE_CALLS = 500;

const decisions = 'policy replay / the decisions it contains, made by a guard that records nothing';
const evaluations = 'policy replay / the evaluations of its rules alone, 100 rules on 20 tools';
const baseline = 'policy replay / the evaluations of its policy alone, the baseline pack beside 100 rules';
export const replayClaims: readonly Claim[] = [
  { name: decisions, measure: async () => atMost(decisions, await replayOver(benchPolicy(), 'decisions'), 2) },
  {
    name: baseline,
    measure: async () =>
      atMost(baseline, await replayOver(composePolicies([baselinePack(), benchPolicy()]), 'evaluations', BASELINE_CALLS), 2),
  },
  { name: evaluations, measure: async () => printed(evaluations, await replayOver(benchPolicy(), 'evaluations')) },
];

async function replayOver(policy: Policy, what: 'decisions' | 'evaluations', calls = CALLS): Promise<number> {
  const inputs: PolicyInput[] = [];
  const watched: Policy = {
    ...policy,
    evaluate(input) {
      inputs.push(input);
      return policy.evaluate(input);
    },
  };
  const path = await recordedCalls(watched, calls);
  const { compared, changes, otherRule } = await replayDecisions(path, { policy });
  // The two sides must decide the same calls alike, or they do different work.
  if (compared !== calls || inputs.length !== calls || changes.length > 0 || otherRule > 0)
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
          for (let i = 0; i < count; i++) for (const input of inputs) void policy.evaluate({ ...input });
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

async function recordedCalls(policy: Policy, count: number): Promise<string> {
  const path = freshPath('replay.db');
  const store = benchStore('none', path);
  const guard = createGuard({ agent: AGENT, session: SESSION, policy, store });
  for (let i = 0; i < count; i += 100) {
    const calls = Array.from({ length: 100 }, (_, j) => ({ tool: { ...TOOL, name: `${TOOL.name}_${(i + j) % TOOLS}` }, args: ARGS }));
    await Promise.all(calls.map((call) => guard.run(call, () => 'ok')));
  }
  await guard.close();
  await store.close();
  return path;
}
