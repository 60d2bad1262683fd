/**
 * Deciding: 100 rules on 20 tools, 5 for each, every one with a condition on the arguments.
 *
 * Against the whole decision (finding the candidates, showing them the arguments, evaluating, choosing the verdict) stand
 * the bare evaluations of its 5 conditions: the CEL library alone, without our wrapping, stricter operators or arguments
 * as maps, on a plain object that was built before.
 *
 * And how it grows: the same 5 candidates among 10,000 rules against among 100, for a tool that was seen before and for
 * tools that never were.
 */
import { type Policy, type PolicyInput, rulePolicy } from '@countersign/core';
import { Environment } from '@marcbachmann/cel-js';
import { AGENT, ARGS, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim } from './figure.ts';
import { timeRatio } from './measure.ts';
import { RULES } from './rules.ts';

const TOOLS = 20;

const bare = 'decision over 100 rules on 20 tools / bare evaluation of its 5 conditions';
const known = 'decision over 10,000 rules / over 100, the same 5 candidates';
const fresh = 'decision over 10,000 rules / over 100, the same 5 candidates, each tool seen for the first time';
export const policyClaims: readonly Claim[] = [
  { name: bare, measure: async () => atMost(bare, await decisionOverConditions(), 4) },
  { name: known, measure: async () => atMost(known, await manyOverFew((call) => ({ ...call, tool: TOOL })), 1.5) },
  {
    name: fresh,
    measure: async () => atMost(fresh, await manyOverFew((call, i) => ({ ...call, tool: { ...TOOL, name: `${TOOL.name}_${i}` } })), 1.5),
  },
];

function decisionOverConditions(): Promise<number> {
  const tools = Array.from({ length: TOOLS }, (_, i) => (i === 0 ? TOOL.name : `${TOOL.name}_${i}`));
  const policy = rulePolicy({
    id: 'bench',
    rules: tools.flatMap((tool, t) => RULES.map((rule, r) => ({ ...rule, id: `rule-${t}-${r}`, tools: [`${TOOL.server}/${tool}`] }))),
  });
  const environment = new Environment().registerVariable('args', 'dyn');
  const conditions = RULES.map((rule) => environment.parse(rule.when));
  const context = { args: ARGS };

  const input = policyInput();
  const verdict = policy.evaluate(input);
  const bare = conditions.map((condition) => condition(context));
  // The two sides must decide alike, or they do different work.
  if (!('effect' in verdict) || verdict.effect !== 'allow' || bare.join() !== 'false,false,false,true,true')
    throw new Error('the rules do not decide as the bare conditions do');

  return timeRatio(
    (count) => {
      for (let i = 0; i < count; i++) void policy.evaluate(input);
    },
    (count) => {
      for (let i = 0; i < count; i++) for (const condition of conditions) condition(context);
    },
    { count: 1000 },
  );
}

function policyInput(): PolicyInput {
  return {
    tool: TOOL,
    args: ARGS,
    findings: [],
    agent: AGENT,
    session: { id: SESSION, labels: [], halted: false, startedAtMs: 1_000_000, version: 0 },
    mode: 'enforce',
    atMs: 2_000_000,
    raw: () => undefined,
  };
}

/** @param callOf - the i-th call; none of the two policies sees one name twice when it gives each another. */
function manyOverFew(callOf: (call: PolicyInput, i: number) => PolicyInput): Promise<number> {
  // 5 rules for all tools of one server, under each of so many servers.
  const policyOf = (servers: number): Policy =>
    rulePolicy({
      id: 'bench',
      rules: Array.from({ length: servers }, (_, s) => (s === 0 ? TOOL.server : `server-${s}`)).flatMap((server, s) =>
        RULES.map((rule, r) => ({ ...rule, id: `${s}-${r}`, tools: [`${server}/*`] })),
      ),
    });
  const [few, many] = [policyOf(100 / RULES.length), policyOf(10_000 / RULES.length)];
  const quiet = policyInput();
  if (JSON.stringify(many.evaluate(callOf(quiet, 0))) !== JSON.stringify(few.evaluate(callOf(quiet, 0))))
    throw new Error('the two policies do not decide alike');
  const decideWith = (policy: Policy): ((count: number) => void) => {
    let calls = 0;
    return (count) => {
      for (let i = 0; i < count; i++) void policy.evaluate(callOf(quiet, calls++));
    };
  };
  return timeRatio(decideWith(many), decideWith(few), { count: 1000 });
}
