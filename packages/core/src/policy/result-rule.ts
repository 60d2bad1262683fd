/** Rules on results: what they may do to one, and what several of them say together. */

import type { ResultVerdict } from '../call.ts';
import { RESULT_ACTIONS, type ResultAction } from '../call.ts';
import { mergeLabels } from './terms.ts';

export type ResultEffect = Exclude<ResultAction, 'release'>;
export const RESULT_EFFECTS: readonly ResultEffect[] = ['label', 'mask', 'truncate', 'withhold'];
/** Of a rule's `max_chars`: nothing that is let through is longer. */
export const MAX_TRUNCATED_CHARS = 10_000_000;
export const MAX_MESSAGE_CHARS = 500;

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
