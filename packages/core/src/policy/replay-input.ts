/**
 * From an entry of the past back to what the policy saw: for asking another policy, or the same one, again.
 *
 * Everything comes from the ledger: tool, principal, mode and agent from the entry, arguments and facts from its opening,
 * the session from the entries before it. Nothing is read from the disk of today.
 */
import { z } from 'zod';
import type { Json } from '../call.ts';
import { checkOpening } from '../ledger/commitment.ts';
import type { DecisionBody, EntryStamp, Opening } from '../ledger/entry.ts';
import { ConditionFault } from './condition-value.ts';
import type { RecordedFacts } from './facts.ts';
import { replayedLookups } from './lookups.ts';
import type { PolicyInput, SessionFacts } from './policy.ts';

/** Why a decision cannot be replayed at all. */
export type ReplayObstacle =
  /** Its arguments could not be captured: it was refused before any policy. */
  | 'no-arguments'
  /** Its opening was erased, or is withheld. */
  | 'forgotten'
  /** What lies beside the entry is not what the entry commits to. */
  | 'altered';

export interface ReplayedCall {
  readonly input: PolicyInput;
  /**
   * What the policy asked for since and nobody recorded, such as `raw /path` or `path:/srv/x`: if there is any, its
   * verdict says nothing about what it would have decided.
   */
  readonly missing: () => readonly string[];
}

/** The session as it stood when the call was decided, worked out from the entries before. */
export interface ReplaySession extends SessionFacts {
  /** Earlier allowed calls, for a subject of `Policy.counts` (`countOf`). */
  countCalls(subject: string): number;
}

const factsShape = z.strictObject({
  annotations: z.record(z.string(), z.union([z.boolean(), z.string()])).optional(),
  at: z.int().nonnegative().optional(),
  calls: z.record(z.string(), z.int().nonnegative()).optional(),
  cost: z.int().nonnegative().optional(),
  findings: z.array(z.strictObject({ kind: z.string(), pointer: z.string() })).optional(),
  lookups: z.record(z.string(), z.json()).optional(),
});

/**
 * Nothing about the entry is taken on trust but what it commits to: an opening that does not match is an obstacle.
 *
 * @param opening - undefined when it is gone.
 * @param check - `later`: the caller compares the opening with the entry (`isAltered`) before it says anything that rests on
 *   it. It is most of the work.
 * @param assumed - see `replayedLookups`.
 */
export function replayInput(
  entry: EntryStamp & DecisionBody,
  opening: Opening | undefined,
  session: ReplaySession,
  check: 'now' | 'later' = 'now',
  assumed?: (kind: string, subject: string) => Json | undefined,
): ReplayedCall | { readonly obstacle: ReplayObstacle } {
  if (entry.args_commit === undefined) return { obstacle: 'no-arguments' };
  const { args, facts } = opening?.sections ?? {};
  if (opening === undefined || args === undefined) return { obstacle: 'forgotten' };
  if (entry.facts_commit !== undefined && facts === undefined) return { obstacle: 'forgotten' };
  if (check === 'now' && isAltered(entry, opening)) return { obstacle: 'altered' };
  if (facts === undefined) return replayed(entry, args, {}, session, assumed);
  const known = factsShape.safeParse(facts);
  if (!known.success) return { obstacle: 'altered' };
  return replayed(entry, args, known.data as RecordedFacts, session, assumed);
}

/** Whether arguments or facts of an opening are not what the entry commits to. */
export function isAltered(entry: DecisionBody, { key, sections }: Opening): boolean {
  const { args, facts } = sections;
  const shown = { ...(args !== undefined && { args }), ...(facts !== undefined && { facts }) };
  const commits = {
    ...(entry.args_commit !== undefined && { args: entry.args_commit }),
    ...(entry.facts_commit !== undefined && { facts: entry.facts_commit }),
  };
  return checkOpening(commits, { key, sections: shown }).length > 0;
}

function replayed(
  entry: EntryStamp & DecisionBody,
  args: Json,
  facts: RecordedFacts,
  session: ReplaySession,
  assumed?: (kind: string, subject: string) => Json | undefined,
): ReplayedCall {
  const missing = new Set<string>();
  const { annotations, at, calls = {}, cost, findings = [], lookups = {} } = facts;
  const hasFindings = findings.length > 0 || (entry.redacted ?? []).length === 0;
  const toldAtMs = at ?? entry.at;
  const input: PolicyInput = {
    tool: { ...entry.tool, ...(annotations !== undefined && { annotations }) },
    args,
    get findings() {
      if (!hasFindings) missing.add('findings');
      return findings;
    },
    agent: entry.agent,
    ...(entry.principal !== undefined && { principal: entry.principal }),
    // The first decision of a session is made before there is one: its entry stands a little later, beside the decision's.
    session: session.startedAtMs > toldAtMs ? { ...session, startedAtMs: toldAtMs } : session,
    mode: entry.mode,
    ...(cost !== undefined && { cost }),
    // A policy that did not read the time then may read it now: a little later than it would have been.
    atMs: toldAtMs,
    lookups: replayedLookups(lookups, (name) => missing.add(name), assumed),
    countCalls: (subject) => (Object.hasOwn(calls, subject) ? (calls[subject] as number) : session.countCalls(subject)),
    raw(pointer) {
      missing.add(`raw ${pointer}`);
      throw new ConditionFault('raw arguments are never recorded: this rule cannot be replayed');
    },
  };
  return { input, missing: () => [...missing] };
}
