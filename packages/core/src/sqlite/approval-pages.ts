/** Pages and counts of approvals over the index on state and age, so that a page costs what is on it. */
import type { Database } from 'better-sqlite3';
import { APPROVAL_STATES, compareInPage, type Listing, noApprovals, noSuchPage } from '../approval/listing.ts';
import type { ApprovalCounts, ApprovalFilter, ApprovalState } from '../store-rows.ts';
import type { ApprovalRecord } from '../transaction/tx.ts';
import { APPROVAL_COLUMNS, type ApprovalSql, approvalRecord } from './approval-rows.ts';

/** Rows of one stored state. `isOpen`: only those before (1) or past (0) their expiry; null: both. */
interface Part {
  readonly stored: ApprovalState;
  readonly isOpen: 1 | 0 | null;
}

interface Bound {
  readonly agent: string | null;
  readonly session: string | null;
  readonly tool: string | null;
  readonly now: number;
}

type PartBound = Bound & Part & { readonly at: number; readonly id: string; readonly limit: number };

/** Before and after every row: ids are hex. */
const FIRST = { at: -1, id: '' };
const LAST = { at: Number.MAX_SAFE_INTEGER, id: 'g' };

export class ApprovalPages {
  private readonly statements: ReturnType<typeof prepare>;

  constructor(database: Database) {
    this.statements = prepare(database);
  }

  /** @throws {CountersignError} `APPROVAL_NOT_FOUND` for a page after an approval that is not there. */
  page(listing: Listing, nowMs: number): readonly ApprovalRecord[] {
    const { state, after, limit, oldestFirst } = listing;
    const from = after === undefined ? (oldestFirst ? FIRST : LAST) : this.statements.place.get(after);
    if (from === undefined) throw noSuchPage();
    const statement = oldestFirst ? this.statements.forwards : this.statements.backwards;
    const rows = partsOf(state).flatMap((part) => statement.all({ ...bound(listing, nowMs), ...part, ...from, limit }));
    return rows
      .map(approvalRecord)
      .toSorted((one, other) => compareInPage(one, other, oldestFirst))
      .slice(0, limit);
  }

  counts(filter: ApprovalFilter, nowMs: number): ApprovalCounts {
    const counts = noApprovals();
    for (const { state, count } of this.statements.counts.all(bound(filter, nowMs)))
      if (Object.hasOwn(counts, state)) counts[state] += count;
    return counts;
  }
}

/** A row past its expiry still says `pending` until somebody comes back for it. */
function partsOf(state: ApprovalState | undefined): readonly Part[] {
  if (state === undefined) return APPROVAL_STATES.map((stored) => ({ stored, isOpen: null }));
  if (state === 'pending') return [{ stored: 'pending', isOpen: 1 }];
  const own: Part = { stored: state, isOpen: null };
  return state === 'expired' ? [own, { stored: 'pending', isOpen: 0 }] : [own];
}

function bound({ agent, session, tool }: ApprovalFilter, now: number): Bound {
  return { agent: agent ?? null, session: session ?? null, tool: tool ?? null, now };
}

const ABOUT = `(@agent IS NULL OR agent = @agent) AND (@session IS NULL OR session = @session)
  AND (@tool IS NULL OR tool = @tool OR server || '/' || tool = @tool)`;

function prepare(database: Database) {
  const page = (compare: '<' | '>', order: 'ASC' | 'DESC') =>
    database.prepare<[PartBound], ApprovalSql>(
      `SELECT ${APPROVAL_COLUMNS} FROM approvals WHERE state = @stored AND (created_at, id) ${compare} (@at, @id)
       AND (@isOpen IS NULL OR (expires_at > @now) = @isOpen) AND ${ABOUT} ORDER BY created_at ${order}, id ${order} LIMIT @limit`,
    );
  return {
    forwards: page('>', 'ASC'),
    backwards: page('<', 'DESC'),
    place: database.prepare<[string], { at: number; id: string }>('SELECT created_at AS at, id FROM approvals WHERE id = ?'),
    counts: database.prepare<[Bound], { state: ApprovalState; count: number }>(
      `SELECT iif(state = 'pending' AND expires_at <= @now, 'expired', state) AS state, count(*) AS count
       FROM approvals WHERE ${ABOUT} GROUP BY 1`,
    ),
  };
}
