/**
 * Deciding: 100 rules on 20 tools, 5 for each, every one with a condition on the arguments.
 *
 * Against the whole decision (finding the candidates, showing them the arguments, evaluating, choosing the verdict) stand
 * the bare evaluations of its 5 conditions: the CEL library alone, without our wrapping, stricter operators or arguments
 * as maps, on a plain object that was built before.
 */
import { type PolicyInput, rulePolicy } from '@countersign/core';
import { Environment } from '@marcbachmann/cel-js';
import { AGENT, ARGS, SESSION, TOOL } from './calls.ts';
import { atMost, type Claim } from './figure.ts';
import { timeRatio } from './measure.ts';

const TOOLS = 20;
const RULES = [
  { effect: 'deny', when: "args.limit > 1000 && args.filter.currency == 'USD'" },
  { effect: 'deny', when: "args.path.startsWith('/etc/')" },
  { effect: 'require_approval', when: "args.filter.minimum < 50.0 || 'password' in args.columns" },
  { effect: 'allow', when: "args.limit <= 500 && args.path.startsWith('/srv/reports/')" },
  { effect: 'allow', when: "args.filter.currency in ['EUR', 'USD'] && args.filter.open" },
] as const;

const name = 'decision over 100 rules on 20 tools / bare evaluation of its 5 conditions';
export const policyClaims: readonly Claim[] = [{ name, measure: async () => atMost(name, await decisionOverConditions(), 4) }];

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
