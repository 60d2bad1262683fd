/**
 * `session.calls('server/name')`: how many earlier calls of the session were allowed, of tools that match a pattern.
 *
 * The pattern is written in the rule: what is counted must be known before the policy is asked, and is compared again in
 * the transaction. It reaches as far as the `tools` of the same rule: `upload` counts that tool on any server in a deny,
 * ask or label rule, and only the tool without a server in an allow rule.
 */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { countSubject } from '../call-counts.ts';
import { ConditionFault } from '../condition-value.ts';
import { currentEvaluation } from '../evaluation.ts';
import { type PatternReach, patternFault } from '../patterns.ts';
import { isOn, literalText, writtenCall } from './literals.ts';

/** Collects what the conditions of a policy count. */
export interface CountCollector {
  readonly reach: PatternReach;
  readonly subjects: Set<string>;
}

export function registerSessionCalls(environment: Environment): void {
  environment.registerFunction({
    name: 'calls',
    receiverType: '$session',
    returnType: 'int',
    params: [{ name: 'pattern', type: 'string' }],
    async: false,
    handler: () => {
      throw new ConditionFault(HINT);
    },
  });
}

const HINT = "write session.calls('server/name') with the pattern in quotes";

/** Lets a call of `session.calls` count, and notes what. @returns what is wrong with it. */
export function tightenSessionCalls(node: ASTNode, collector: CountCollector | undefined): string | undefined {
  const call = writtenCall(node);
  if (call === undefined || call.name !== 'calls' || !isOn(call, 'session')) return undefined;
  if (collector === undefined) return 'session.calls() is for rules about calls; to limit how many there are, use a budget';
  const pattern = literalText(call.args[0]);
  if (pattern === undefined || call.args.length !== 1) return HINT;
  const fault = patternFault(pattern);
  if (fault !== undefined) return `session.calls(): ${fault}`;
  const subject = countSubject(pattern, collector.reach);
  collector.subjects.add(subject);
  // The declared type leaves this member out. A version of the library without it fails here, at load.
  const live = node as unknown as { setMeta(key: 'evaluate', value: () => bigint): unknown };
  live.setMeta('evaluate', () => count(subject));
  return undefined;
}

function count(subject: string): bigint {
  const { input } = currentEvaluation();
  if (input.countCalls === undefined) throw new ConditionFault('nobody counted the calls of this session');
  return BigInt(input.countCalls(subject));
}
