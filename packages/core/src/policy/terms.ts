/** Merging what several rules or policies ask for. The most restrictive part of each wins. */
import { higherAssurance } from '../approval/assurance.ts';
import type { ApprovalTerms, Assurance } from '../call.ts';

/**
 * Highest quorum and assurance, shortest time to live, intersection of the approvers.
 *
 * @returns `undefined` when nobody could satisfy all of them: no approver is left, or fewer than the quorum.
 */
export function mergeTerms(all: readonly Partial<ApprovalTerms>[]): Partial<ApprovalTerms> | undefined {
  let ttlMs: number | undefined;
  let quorum: number | undefined;
  let approvers: readonly string[] | undefined;
  let assurance: Assurance | undefined;
  for (const terms of all) {
    if (terms.ttlMs !== undefined) ttlMs = Math.min(ttlMs ?? terms.ttlMs, terms.ttlMs);
    if (terms.quorum !== undefined) quorum = Math.max(quorum ?? terms.quorum, terms.quorum);
    assurance = higherAssurance(assurance, terms.assurance);
    const others = terms.approvers;
    if (others !== undefined)
      approvers = approvers === undefined ? [...new Set(others)] : approvers.filter((name) => others.includes(name));
  }
  if (approvers !== undefined && approvers.length < Math.max(quorum ?? 1, 1)) return undefined;
  return {
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(quorum === undefined ? {} : { quorum }),
    ...(approvers === undefined ? {} : { approvers }),
    ...(assurance === undefined ? {} : { assurance }),
  };
}

/** Labels of several verdicts, sorted, without repeats; `undefined` when there are none. */
export function mergeLabels(all: readonly (readonly string[] | undefined)[]): readonly string[] | undefined {
  const labels = new Set(all.flatMap((some) => some ?? []));
  return labels.size === 0 ? undefined : [...labels].sort();
}
