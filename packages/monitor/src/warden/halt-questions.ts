/**
 * A HALT is answered like any other question: it opens an approval for the built-in call `countersign/after_halt`, so that every
 * channel there is may answer it, authenticated, on record, and once. Approving it lets the processes go on, denying it ends all of them,
 * and an edit to `do: "deny"` ends those that did it. A grant on the call is an override: the next halt of that rule is not asked about,
 * unless an operator halted it.
 */
import {
  AFTER_HALT,
  type Channel,
  createGuard,
  createRedactor,
  type Guard,
  type GuardOptions,
  type Policy,
  rulePolicy,
  type ToolCall,
} from '@countersign/core';
import { type HaltWords, haltWords } from './halt-words.ts';
import type { HaltAnswer, HaltQuestions, Incident } from './ports.ts';

/** Characters of the verdict's reason that a question shows. */
const MAX_WHY_CHARS = 500;
const SHOWN_ID_CHARS = 8;

/** What is asked about. `do`: what happens when it is approved. The rest is for whoever reads it, by `haltQuestion`. */
export interface HaltArguments extends Omit<HaltWords, 'held'> {
  readonly held: readonly string[];
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

/**
 * Nothing to be closed: the session is the warden's, which ends it.
 *
 * @throws {CountersignError} as `createGuard`
 */
export function haltQuestions({ timeoutMs, onAsked, ...options }: HaltQuestionsOptions): HaltQuestions {
  const guard = createGuard({
    ...options,
    policy: haltPolicy(timeoutMs),
    // Audit mode would let everything go on at once; nothing is frozen in it.
    mode: 'enforce',
    channels: [...(options.channels ?? []), COMMAND],
  });
  const redactor = options.redactor ?? createRedactor();
  return {
    words: (about) => haltWords(about, timeoutMs, redactor),
    ask: async (incident, words, round, signal, opened) => {
      try {
        return await answerTo(guard, incident, words, round, signal, (id, expiresAtMs) => {
          onAsked?.(incident, id, expiresAtMs);
          opened();
        });
      } catch (error) {
        return { do: 'failed', error };
      }
    },
  };
}

/** The policy that asks. It lets nothing through that nobody answered. */
export function haltPolicy(timeoutMs: number): Policy {
  const tools = [`${AFTER_HALT.server}/${AFTER_HALT.name}`];
  return rulePolicy({
    id: 'countersign-halts',
    version: '3',
    default: 'deny',
    rules: [
      {
        id: 'after-halt',
        tools,
        when: "args.do == 'resume'",
        effect: 'require_approval',
        reason:
          'processes are stopped. Approving says resume: what waits happens. Denying says kill: ALL of them are ended. Approving with `do` changed to "deny": what waits fails, the rest goes on',
        approval: { ttl: `${timeoutMs}ms` },
      },
      // Where two rules ask no grant is enough: what an operator halts is asked about, whatever was let go on beforehand.
      {
        id: 'after-operator-halt',
        tools,
        when: "args.do == 'resume' && has(args.operator)",
        effect: 'require_approval',
        reason: 'an operator halted it',
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
  words: HaltWords,
  round: number,
  signal: AbortSignal,
  onAsked: (approvalId: string, expiresAtMs: number) => void,
): Promise<HaltAnswer> {
  const { id, verdict } = incident;
  const callWith = (why: string, held: readonly string[], part: string): ToolCall => {
    const { rule, level } = verdict;
    const args: HaltArguments = { incident: id, rule, do: 'resume', level, why: why.slice(0, MAX_WHY_CHARS), ...words, held };
    return { tool: AFTER_HALT, args, id: `${id}:${round}${part}` };
  };
  let call = callWith(verdict.reason, words.held, '');
  let asked = await guard.authorize(call, { approval: 'suspend' });
  if (asked.kind === 'refusal' && asked.decision.reasonCode === 'POLICY_DENY_OWN_FILES') {
    // What was touched is ours, and no call may name that: whoever answers finds it in the incident.
    const plain = `${verdict.rule}: see the incident`;
    call = callWith(plain, [`something of Countersign's own: countersign incidents show ${id.slice(0, SHOWN_ID_CHARS)}`], ':plain');
    asked = await guard.authorize(call, { approval: 'suspend' });
  }
  if (asked.kind === 'pending') {
    onAsked(asked.approvalId, asked.expiresAtMs);
    await guard.approvals.settled(asked.approvalId, { signal });
  }
  const decided = asked.kind === 'pending' ? await guard.authorize(call, { approval: 'wait', signal }) : asked;
  const row = asked.kind === 'pending' ? await guard.approvals.get(asked.approvalId) : undefined;
  const last = row?.answers.at(-1);
  const by = last?.approver ?? 'nobody';
  if (decided.kind === 'permit') {
    await decided.settle({ status: 'success' }, { durable: true });
    const { entry, callId, args: allowed, edited } = decided;
    if (decided.decision.reasonCode === 'GRANT_USED')
      return { do: 'resume', by: 'an override', isOverride: true, approval: { id: callId, decision: entry } };
    const approval = { id: row?.id ?? callId, decision: entry };
    if (isDenyOne(allowed)) return edited === undefined ? { do: 'kill', by } : { do: 'deny', by, approval };
    return { do: 'resume', by, approval };
  }
  const { reasonCode } = decided.decision;
  if (ENDED.includes(reasonCode)) return { do: 'timeout' };
  // What was answered is not what stands now.
  if (reasonCode === 'SESSION_HALTED')
    return {
      do: 'failed',
      error: new Error('an operator halted since that was asked, so no answer to it lets anything go on: it is asked anew'),
    };
  if (!DENIED.includes(reasonCode)) return { do: 'failed', error: new Error(`the question was refused: ${reasonCode}`) };
  // A no is an entry of its own.
  const isNo = row !== undefined && last?.answer === 'deny';
  return { do: 'kill', by, ...(isNo && { approval: { id: row.id, decision: { of: last.of, leaf: last.leaf } } }) };
}

/** A person said no, or proposed what nobody may do. */
const DENIED: readonly string[] = ['APPROVAL_DENIED', 'POLICY_DEFAULT_DENY'];
const ENDED: readonly string[] = ['APPROVAL_EXPIRED', 'CALL_CANCELLED'];

function isDenyOne(args: unknown): boolean {
  return typeof args === 'object' && args !== null && 'do' in args && args.do === 'deny';
}
