/**
 * Which records of a ledger are meant: the filters of `filter`, `search` and `export`, in one pass and flat memory.
 *
 * Decisions and entries that belong to no decision are chosen by what they say. Approvals and outcomes are chosen with
 * the decision they belong to, so that a filter by tool or effect gives what became of the call as well. `kind` then
 * narrows what is given, and a call id gives the whole call.
 */
import { compileToolPattern, type ToolPattern } from '../policy/patterns.ts';
import { Bytes } from '../verify/bytes.ts';
import type { RecordFacts } from './record-facts.ts';

export interface Criteria {
  /** Call id, or request id of the predecessor's ledgers. */
  readonly call?: string;
  /** `server/name` glob; a bare name on any server. */
  readonly tool?: string;
  readonly agent?: string;
  readonly session?: string;
  readonly effect?: string;
  readonly reasonCode?: string;
  readonly kind?: string;
  /** UTC milliseconds, inclusive. */
  readonly sinceMs?: number;
  /** UTC milliseconds, exclusive. */
  readonly untilMs?: number;
}

/** Open calls of the predecessor's ledgers that are remembered by name; the oldest go first. */
const MAX_OPEN_NAMES = 100_000;

/**
 * A predicate to be asked about every record, in order and from the first on.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for a malformed tool pattern.
 */
export function selection(criteria: Criteria): (facts: RecordFacts) => boolean {
  const pattern = criteria.tool === undefined ? undefined : compileToolPattern(criteria.tool, 'wide', 'tool');
  const chosen = new Chosen();
  return (facts) => {
    const isMeant = chosen.followed(facts) ?? isChosen(facts, criteria, pattern);
    if (facts.kind === 'decision') chosen.add(facts, isMeant);
    return isMeant && (criteria.kind === undefined || facts.kind === criteria.kind);
  };
}

function isChosen(facts: RecordFacts, criteria: Criteria, pattern: ToolPattern | undefined): boolean {
  const { call, agent, session, effect, reasonCode, sinceMs, untilMs } = criteria;
  const { atMs } = facts;
  if (call !== undefined && facts.call !== call) return false;
  if (agent !== undefined && facts.agent !== agent) return false;
  if (session !== undefined && facts.session !== session) return false;
  if (effect !== undefined && facts.effect !== effect) return false;
  if (reasonCode !== undefined && facts.reasonCode !== reasonCode) return false;
  if (sinceMs !== undefined && (atMs === undefined || atMs < sinceMs)) return false;
  if (untilMs !== undefined && (atMs === undefined || atMs >= untilMs)) return false;
  return pattern === undefined || (facts.tool !== undefined && pattern.matches(facts.tool));
}

const CHOSEN = 2;
const PASSED = 1;

/** What became of each decision: a byte, by position; by name only where the format has no positions. */
class Chosen {
  private readonly positions = new Bytes();
  private readonly names = new Map<string, boolean>();

  add({ index, call, effect }: RecordFacts, isMeant: boolean): void {
    this.positions.set(index, isMeant ? CHOSEN : PASSED);
    // After a refusal nothing follows, and refused calls would be kept for ever.
    if (call === undefined || effect === 'deny') return;
    this.names.set(call, isMeant);
    if (this.names.size > MAX_OPEN_NAMES) this.names.delete(this.names.keys().next().value as string);
  }

  /** Whether the decision this record belongs to was chosen; undefined when it belongs to none that was read. */
  followed({ kind, index, decision, call }: RecordFacts): boolean | undefined {
    if (kind !== 'outcome' && kind !== 'approval') return undefined;
    const named = call === undefined ? undefined : this.names.get(call);
    if (call !== undefined && kind === 'outcome') this.names.delete(call);
    if (decision === undefined) return named;
    const state = decision < index ? this.positions.get(decision) : 0;
    return state === 0 ? undefined : state === CHOSEN;
  }
}
