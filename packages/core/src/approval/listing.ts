/** Pages of approvals: which ones, in which order, how many. The same for every store. */
import { CountersignError } from '../errors.ts';
import type { ApprovalCounts, ApprovalFilter, ApprovalState } from '../store-rows.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';

export const DEFAULT_APPROVALS_LISTED = 100;
export const MAX_APPROVALS_LISTED = 10_000;
export const APPROVAL_STATES: readonly ApprovalState[] = ['pending', 'approved', 'denied', 'expired', 'failed', 'consumed'];

export interface Listing extends ApprovalFilter {
  readonly limit: number;
  /** What waits is answered in the order it came; of what is over the newest matters. */
  readonly oldestFirst: boolean;
}

/**
 * A filter with its defaults, checked.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function listingOf(filter: ApprovalFilter = {}): Listing {
  const { limit = DEFAULT_APPROVALS_LISTED, state } = filter;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_APPROVALS_LISTED)
    throw new CountersignError('OPTIONS_INVALID', `a list of approvals takes a limit from 1 to ${MAX_APPROVALS_LISTED}`);
  if (state !== undefined && !APPROVAL_STATES.includes(state))
    throw new CountersignError('OPTIONS_INVALID', `no approval is ever in that state: use one of ${APPROVAL_STATES.join(', ')}`);
  for (const name of ['agent', 'session', 'tool', 'after'] as const) {
    const value: unknown = filter[name];
    if (value !== undefined && typeof value !== 'string')
      throw new CountersignError('OPTIONS_INVALID', `a list of approvals takes text for ${name}`);
  }
  return { ...filter, limit, oldestFirst: state === 'pending' };
}

export function noSuchPage(): CountersignError {
  return new CountersignError('APPROVAL_NOT_FOUND', 'no approval has the id that this page should start after: list from the start');
}

/** Negative when `one` comes first in the order of the page. Ids break ties, so that no page repeats or leaves out one. */
export function compareInPage(one: ApprovalRecord, other: ApprovalRecord, oldestFirst: boolean): number {
  const byAge = one.createdAtMs - other.createdAtMs || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
  return oldestFirst ? byAge : -byAge;
}

/** State as callers see it: a row past its expiry says `pending` until somebody comes back for it. */
export function stateAt(record: Pick<ApprovalRecord, 'state' | 'expiresAtMs'>, nowMs: number): ApprovalState {
  return record.state === 'pending' && nowMs >= record.expiresAtMs ? 'expired' : record.state;
}

/** For stores that hold their rows in memory. @throws {CountersignError} `APPROVAL_NOT_FOUND` */
export function pageOf(records: readonly ApprovalRecord[], listing: Listing, nowMs: number): readonly ApprovalRecord[] {
  const { state, after, limit, oldestFirst } = listing;
  const last = after === undefined ? undefined : records.find(({ id }) => id === after);
  if (after !== undefined && last === undefined) throw noSuchPage();
  return records
    .filter((record) => isAbout(record, listing) && (state === undefined || stateAt(record, nowMs) === state))
    .filter((record) => last === undefined || compareInPage(last, record, oldestFirst) < 0)
    .toSorted((one, other) => compareInPage(one, other, oldestFirst))
    .slice(0, limit);
}

/** For stores that hold their rows in memory. */
export function countsOf(records: readonly ApprovalRecord[], filter: ApprovalFilter, nowMs: number): ApprovalCounts {
  const counts = noApprovals();
  for (const record of records) if (isAbout(record, filter)) counts[stateAt(record, nowMs)]++;
  return counts;
}

export function noApprovals(): Record<ApprovalState, number> {
  return { pending: 0, approved: 0, denied: 0, expired: 0, failed: 0, consumed: 0 };
}

function isAbout({ agent, session, tool }: ApprovalRecord, filter: ApprovalFilter): boolean {
  return (
    (filter.agent === undefined || filter.agent === agent) &&
    (filter.session === undefined || filter.session === session) &&
    (filter.tool === undefined || filter.tool === tool.name || (tool.server !== undefined && filter.tool === `${tool.server}/${tool.name}`))
  );
}
