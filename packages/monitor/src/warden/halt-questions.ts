/**
 * A HALT is answered like any other question: it opens an approval for the built-in call `countersign/after_halt`, so that every
 * channel there is may answer it, authenticated, on record, and once. Approving it lets the processes go on, denying it ends all of them,
 * and an edit to `do: "deny"` ends those that did it. A grant on the call is an override: the next halt of that rule is not asked about.
 */
import { type Channel, createGuard, type Guard, type GuardOptions, type Policy, rulePolicy } from '@countersign/core';
import type { HaltAnswer, HaltQuestions, Incident } from './ports.ts';

export const HALT_TOOL = { server: 'countersign', name: 'after_halt' } as const;
/** Characters of the verdict's reason that a question shows. */
const MAX_WHY_CHARS = 500;

/** What is asked about. `do`: what happens when it is approved. */
export interface HaltArguments {
  readonly incident: string;
  readonly rule: string;
  readonly do: 'resume' | 'deny';
  readonly level: string;
  readonly why: string;
}

export interface HaltQuestionsOptions extends Omit<GuardOptions, 'policy' | 'mode' | 'session' | 'budgets' | 'pins'> {
  readonly session: string;
  /** How long one question waits. */
  readonly timeoutMs: number;
  /** Told of the approval once it is open, for whoever shows how to answer. */
  readonly onAsked?: (incident: Incident, approvalId: string, expiresAtMs: number) => void;
}

/** Whoever closes it takes back no question: an answer that is late finds nobody. */
export interface OpenHaltQuestions extends HaltQuestions {
  close(): Promise<void>;
}

/** @throws {CountersignError} as `createGuard` */
export function haltQuestions({ timeoutMs, onAsked, ...options }: HaltQuestionsOptions): OpenHaltQuestions {
  const guard = createGuard({
    ...options,
    policy: haltPolicy(timeoutMs),
    // Audit mode would let everything go on at once; nothing is frozen in it.
    mode: 'enforce',
    channels: [...(options.channels ?? []), COMMAND],
  });
  return {
    ask: async (incident, round, signal) => {
      try {
        return await answerTo(guard, incident, round, signal, onAsked);
      } catch (error) {
        return { do: 'failed', error };
      }
    },
    close: () => guard.close(),
  };
}

/** The policy that asks. It lets nothing through that nobody answered. */
export function haltPolicy(timeoutMs: number): Policy {
  const tools = [`${HALT_TOOL.server}/${HALT_TOOL.name}`];
  return rulePolicy({
    id: 'countersign-halts',
    version: '1',
    default: 'deny',
    rules: [
      {
        id: 'after-halt',
        tools,
        when: "args.do == 'resume'",
        effect: 'require_approval',
        reason: 'a verdict stopped the processes: approve lets them go on, deny ends them',
        approval: { ttl: `${timeoutMs}ms` },
      },
      { id: 'deny-one', tools, when: "args.do == 'deny'", effect: 'allow' },
    ],
  });
}

/** `countersign resume` can answer as long as the question is open: it is, also where no other channel can be reached. */
const COMMAND: Channel = { name: 'resume', ask: () => Promise.resolve() };

async function answerTo(
  guard: Guard,
  incident: Incident,
  round: number,
  signal: AbortSignal,
  onAsked: HaltQuestionsOptions['onAsked'],
): Promise<HaltAnswer> {
  const { id, verdict } = incident;
  const args: HaltArguments = {
    incident: id,
    rule: verdict.rule,
    do: 'resume',
    level: verdict.level,
    why: verdict.reason.slice(0, MAX_WHY_CHARS),
  };
  const call = { tool: HALT_TOOL, args, id: `${id}:${round}` };
  const asked = await guard.authorize(call, { approval: 'suspend' });
  if (asked.kind === 'pending') {
    onAsked?.(incident, asked.approvalId, asked.expiresAtMs);
    await guard.approvals.settled(asked.approvalId, { signal });
  }
  const decided = asked.kind === 'pending' ? await guard.authorize(call, { approval: 'wait', signal }) : asked;
  const row = asked.kind === 'pending' ? await guard.approvals.get(asked.approvalId) : undefined;
  const by = row?.answers.at(-1)?.approver ?? 'nobody';
  if (decided.kind === 'permit') {
    await decided.settle({ status: 'success' });
    const approval = { id: row?.id ?? decided.callId, decision: decided.entry };
    if (decided.decision.reasonCode === 'GRANT_USED') return { do: 'resume', by: 'an override', isOverride: true, approval };
    if (isDenyOne(decided.args)) return decided.edited === undefined ? { do: 'kill', by } : { do: 'deny', by, approval };
    return { do: 'resume', by, approval };
  }
  const { reasonCode } = decided.decision;
  if (ENDED.includes(reasonCode)) return { do: 'timeout' };
  if (!DENIED.includes(reasonCode)) return { do: 'failed', error: new Error(`the question was refused: ${reasonCode}`) };
  // What says no is the answer: the refusal names no approval.
  const no = row?.answers.at(-1);
  return {
    do: 'kill',
    by,
    ...(row !== undefined && no !== undefined && { approval: { id: row.id, decision: { of: no.of, leaf: no.leaf } } }),
  };
}

/** A person said no, or proposed what nobody may do. */
const DENIED: readonly string[] = ['APPROVAL_DENIED', 'POLICY_DEFAULT_DENY'];
const ENDED: readonly string[] = ['APPROVAL_EXPIRED', 'CALL_CANCELLED'];

function isDenyOne(args: unknown): boolean {
  return typeof args === 'object' && args !== null && 'do' in args && args.do === 'deny';
}
