/** Rules on results: what a rule with `on: result` may say, and what several of them say together. */
import { RESULT_ACTIONS, type ResultAction } from '../call.ts';
import type { ResultVerdict } from './policy.ts';
import type { ReportFault, Rule } from './rule-definition.ts';
import { mergeLabels } from './terms.ts';

export type ResultEffect = Exclude<ResultAction, 'release'>;
export const RESULT_EFFECTS: readonly ResultEffect[] = ['label', 'mask', 'truncate', 'withhold'];
/** Of a rule's `max_chars`: nothing that is let through is longer. */
export const MAX_TRUNCATED_CHARS = 10_000_000;
export const MAX_MESSAGE_CHARS = 500;

/** What is wrong with a rule on results, beside what rules of both kinds share. */
export function resultRuleFaults(rule: Rule, fault: ReportFault): void {
  const { effect, label, max_chars: maxChars, message } = rule;
  if (!RESULT_EFFECTS.some((known) => known === effect))
    fault(`effect of a rule on results must be one of ${RESULT_EFFECTS.join(', ')}: the call has run already`, 'effect');
  if (effect === 'label' && (label === undefined || label.length === 0)) fault('a rule with effect label names its labels', 'label');
  if (effect === 'truncate') {
    if (!Number.isSafeInteger(maxChars) || (maxChars ?? 0) < 1 || (maxChars ?? 0) > MAX_TRUNCATED_CHARS)
      fault(`truncate needs max_chars, a whole number from 1 to ${MAX_TRUNCATED_CHARS}`, 'max_chars');
  } else if (maxChars !== undefined) fault('max_chars belongs to effect truncate', 'max_chars');
  if (message !== undefined) {
    if (typeof message !== 'string' || message.length > MAX_MESSAGE_CHARS)
      fault(`message is text of at most ${MAX_MESSAGE_CHARS} characters`, 'message');
    else if (effect !== 'truncate' && effect !== 'withhold') fault('message belongs to effects truncate and withhold', 'message');
  }
  if (rule.reason !== undefined) fault('a rule on results has a message in place of a reason', 'reason');
  if (rule.approval !== undefined) fault('nobody can be asked about a result: approval belongs to rules on calls', 'approval');
}

/** Several verdicts as one: the strictest action, the fewest characters and bytes, all labels. */
export function mergeResultVerdicts(verdicts: readonly ResultVerdict[]): ResultVerdict {
  let strictest: ResultVerdict = { action: 'release' };
  for (const verdict of verdicts) if (isStricter(verdict, strictest)) strictest = verdict;
  const labels = mergeLabels(verdicts.map((verdict) => verdict.labels));
  const { labels: _own, ...verdict } = strictest;
  const isCut = strictest.action === 'truncate';
  const masks = isCut && verdicts.some(({ action, masks: also }) => action === 'mask' || also === true);
  const bytes = isCut ? verdicts.flatMap(({ maxBytes }) => maxBytes ?? []) : [];
  return {
    ...verdict,
    ...(bytes.length > 0 && { maxBytes: Math.min(...bytes) }),
    ...(masks && { masks }),
    ...(labels !== undefined && { labels }),
  };
}

function isStricter(one: ResultVerdict, other: ResultVerdict): boolean {
  const [rank, than] = [RESULT_ACTIONS.indexOf(one.action), RESULT_ACTIONS.indexOf(other.action)];
  if (rank !== than) return rank > than;
  // What audit mode enforces, too, is stricter; of two cuts the one that leaves less.
  if (one.action === 'withhold') return one.always === true && other.always !== true;
  return one.action === 'truncate' && (one.maxChars ?? 0) < (other.maxChars ?? 0);
}
