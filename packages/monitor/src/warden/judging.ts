/** The verdict on one activity, by all who judge it at once. Pure but for the windows that rules keep. */
import type { Activity } from '../activity.ts';
import { type Verdict, worse } from '../verdict.ts';
import type { WardenOptions } from './ports.ts';

/** @param recent - before it. Throws what rules throw: nothing was judged then. */
export function judgedBy(
  { rules, intent }: Pick<WardenOptions, 'rules' | 'intent'>,
  activity: Activity,
  recent: readonly Activity[],
): Verdict {
  const byRules = byWhomever(rules.judge(activity), activity);
  const byIntent = intent?.(activity, recent);
  if (byIntent === undefined) return byRules;
  const counted = byRules.level === 'SAFE' && byIntent.level === 'FLAG' ? rules.flagged?.(activity, byIntent.rule) : undefined;
  return worse(worse(byRules, byIntent), counted ?? byRules);
}

/** What nobody is known to have done may be an editor's or a backup's: it freezes, so that a person looks, and ends nothing. */
export function byWhomever(verdict: Verdict, { actor }: Activity): Verdict {
  return actor !== undefined || verdict.level !== 'KILL'
    ? verdict
    : { ...verdict, level: 'HALT', reason: `${verdict.reason}; not known by whom` };
}

/** The warden's own, where it cannot go on as it should. */
export function ownVerdict(rule: string, reason: string, seq: number): Verdict {
  return { level: 'HALT', rule, reason, evaluator: 'rules', confidence: 1, evidence: [seq] };
}
