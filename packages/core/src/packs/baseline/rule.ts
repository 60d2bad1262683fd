/** How rules of the baseline pack are made. */
import type { Rule } from '../../policy/rule-definition.ts';
import { ANY_TOOL } from '../words.ts';

/** A rule that asks, about whatever tool. */
export function asks(id: string, code: string, reason: string, when: string, unless?: string): Rule {
  return {
    id: `baseline.${id}`,
    tools: ANY_TOOL,
    when,
    ...(unless !== undefined && { unless }),
    effect: 'require_approval',
    reason,
    reason_code: `BASELINE_${code}`,
  };
}

export function labels(id: string, label: string, when: string, unless?: string): Rule {
  return { id: `baseline.${id}`, tools: ANY_TOOL, when, ...(unless !== undefined && { unless }), effect: 'label', label: [label] };
}
