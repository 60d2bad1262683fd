/** A pack as text that a team can copy into its own file and change. */
import { stringify } from 'yaml';
import type { RuleSet } from '../policy/rule-definition.ts';

const LINE_CHARS = 130;

/** The `policy:` block of a configuration that holds these rules. */
export function packYaml({ id, version, default: fallback, rules }: RuleSet): string {
  return stringify({ policy: { id, ...(version !== undefined && { version }), default: fallback, rules } }, { lineWidth: LINE_CHARS });
}
