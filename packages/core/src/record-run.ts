/**
 * Calls that somebody else ran. Tools of a model's provider run over there before anybody here hears of them, so nothing can
 * be decided in time. They are put on record as what they are: the decision is made as in audit mode (`effect` allow, since it
 * ran, and `would` what policy says), budgets and labels count it, and a note says that it ran where no guard stands.
 *
 *     decision  mode audit, effect allow, would deny   ─┐
 *     note      ran-elsewhere, by provider              ├─ the same call
 *     outcome   once its result is seen                ─┘
 */
import { authorize } from './authorize.ts';
import type { Decision, Outcome, Permit, ToolCall } from './call.ts';
import type { Engine, Rules } from './engine.ts';
import { CountersignError } from './errors.ts';
import { isName } from './names.ts';
import { isUnusable, prepareCall } from './prepare.ts';
import { failure } from './refusal.ts';

/** Topic of the notes, see `docs/formats/entry.md`. */
export const RAN_ELSEWHERE = 'ran-elsewhere';

const RUNNERS = ['provider', 'client'] as const;
/** Who ran a call where no guard stands: the model's provider, or the client (a browser). */
export type Runner = (typeof RUNNERS)[number];

const WAS = ['refused', 'changed'] as const;
/**
 * The call that was decided, where something ran in its place: it was refused and ran all the same, or what ran has other
 * arguments than were decided on.
 */
export interface RanInstead {
  readonly call: string;
  readonly was: (typeof WAS)[number];
}

/** A call that ran elsewhere, on record. */
export interface RecordedRun {
  readonly callId: string;
  /** `effect` is `allow` where it was recorded as a run, and `deny` where even audit mode refuses (a halted session, a policy that failed). */
  readonly decision: Decision;
  /** False: the ledger could not be written, which `onError` was told. */
  readonly isRecorded: boolean;
  /** Records how it ended, durably; the second time nothing. Without it the decision stands open in the ledger. Never throws. */
  ended(outcome: Outcome): Promise<void>;
}

/**
 * As `Guard.recordRun`.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for a `by` or an `of` that is none.
 */
export async function recordRun(
  call: ToolCall,
  by: Runner,
  of: RanInstead | undefined,
  rules: Rules,
  engine: Engine,
): Promise<RecordedRun> {
  if (!RUNNERS.includes(by)) throw new CountersignError('OPTIONS_INVALID', `recordRun: by is one of ${RUNNERS.join(', ')}`);
  if (of !== undefined && !(isName(of.call) && WAS.includes(of.was)))
    throw new CountersignError('OPTIONS_INVALID', `recordRun: of names a call, and was is one of ${WAS.join(', ')}`);
  const auditing: Engine = { ...engine, mode: 'audit' };
  const given = prepareCall(call, auditing);
  // Whatever its id, it is no repeat that could be refused: it ran. Nor is it the call that an approval or an edit is about.
  const prepared = isUnusable(given) ? given : { ...given, key: undefined };
  const authorization = await authorize(prepared, { approval: 'suspend' }, rules, auditing);
  const { callId, decision } = authorization;
  const isWritten = authorization.kind !== 'refusal' || authorization.entry !== undefined;
  const isRecorded = isWritten && (await noteRun({ callId, session: prepared.session, by, of }, engine));
  const permit = authorization.kind === 'permit' ? authorization : undefined;
  let isEnded = false;
  return {
    callId,
    decision: isRecorded || decision.effect === 'deny' ? decision : failure(new CountersignError('LEDGER_WRITE_FAILED', 'not recorded')),
    isRecorded,
    async ended(outcome) {
      if (isEnded || permit === undefined) return;
      isEnded = true;
      await end(permit, outcome, engine);
    },
  };
}

interface Run {
  readonly callId: string;
  readonly session: string;
  readonly by: Runner;
  readonly of: RanInstead | undefined;
}

async function noteRun({ callId: call, session, by, of }: Run, engine: Engine): Promise<boolean> {
  try {
    const instead = of === undefined ? {} : { of: of.call, was: of.was };
    const data = { agent: engine.agent, session, call, by, ...instead };
    await engine.commit({ kind: 'record', body: { kind: 'note', topic: RAN_ELSEWHERE, data } });
    return true;
  } catch (error) {
    engine.report(error, { callId: call, during: 'recording a call that ran elsewhere' });
    return false;
  }
}

/** Rules on results are asked too: what they would have done is on record, and their labels count. */
async function end(permit: Permit, outcome: Outcome, engine: Engine): Promise<void> {
  try {
    await permit.release(outcome, { durable: true });
  } catch (error) {
    engine.lost(error, permit.callId);
  }
}
