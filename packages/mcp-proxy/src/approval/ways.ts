/** How the person at the client may be asked about an approval, and why not. */
import type { ApprovalRow } from '@countersign/core';
import type { ClientProfile } from './client-profile.ts';

/** `form`: elicitation of an answer, low assurance. `url`: the client opens the approval page, and the answer is given there. */
export type Way = 'form' | 'url';

export interface WaysAsked {
  /** In the order of preference. */
  readonly ways: readonly Way[];
  readonly profile: ClientProfile;
  readonly hasPage: boolean;
}

type Terms = Pick<ApprovalRow, 'quorum' | 'approvers' | 'assurance'>;

/** The first way that the client has and whose answer could be enough. */
export function wayFor(terms: Terms, { ways, profile, hasPage }: WaysAsked): Way | undefined {
  return ways.find((way) =>
    way === 'form' ? profile.form && formShortfall(terms) === undefined : profile.url && hasPage && terms.assurance !== 'high',
  );
}

/**
 * Why an answer at the client would not be enough; undefined when it would. Who answers there is whoever drives the client:
 * a rule that says who must answer, how many, or how surely, means somebody else.
 */
export function formShortfall({ quorum, approvers, assurance }: Terms): string | undefined {
  if (assurance === 'high') return 'the rule asks for an answer by key';
  if (assurance === 'medium') return 'the rule asks for more assurance than an answer in this client has';
  if (approvers !== undefined) return `the rule names who may answer: ${approvers.join(', ')}`;
  return quorum > 1 ? `the rule asks for answers of ${quorum} people` : undefined;
}
