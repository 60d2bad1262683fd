/** Steps 2 to 5 of a call: from a prepared call to a permit, a refusal, or an approval that somebody has to give. */
import { authenticAnswers } from './approval/answers.ts';
import { denialOf, type Edited, editOf, refuseChain, refuseEdited } from './approval/denial.ts';
import { MAX_EDITS } from './approval/edit.ts';
import { type Asked, openAsk, type Taken, termsOf, waitForAnswer } from './approval/pending.ts';
import { chargesFor } from './budget/charges.ts';
import type { Authorization, BuiltInReasonCode, Decision, EntryRef, Refusal } from './call.ts';
import { callBinding } from './call-key.ts';
import type { AuthorizeOptions } from './call-options.ts';
import type { CallStory } from './call-story.ts';
import { abandonWatch, beginWatch, MonitorFailure, refuseMonitor } from './call-watch.ts';
import { draftDecision } from './draft.ts';
import type { Engine, Rules } from './engine.ts';
import { CountersignError } from './errors.ts';
import { findGrant, type GrantInHand } from './grant/find.ts';
import type { CallWatch } from './interfaces.ts';
import { type Judgement, judge } from './judge.ts';
import { createPermit, type PermitState } from './permit.ts';
import { isUnusable, type PreparedCall, type UnusableCall } from './prepare.ts';
import { coverage, denial, failure, refusal, refuse, refuseJudged, refuseRepeat, refuseUnlogged, rowFacts } from './refusal.ts';
import type { Turn } from './session-turns.ts';
import type { CallRow } from './store-rows.ts';
import type { Charge, Custody, DecideUnit } from './store-units.ts';
import { custodyOf } from './take-over.ts';

/** How often a call is decided again because its session or the policy changed meanwhile. */
const MAX_ROUNDS = 20;
/** Grants that the transaction may turn down before the call is asked about all the same. */
const MAX_GRANTS_TRIED = 5;

/** A preview opens an ask and uses nothing up. */
export type AuthorizeWithin = AuthorizeOptions & {
  readonly usesGrants?: false;
  readonly story?: CallStory;
  readonly custody?: Custody;
  readonly state?: PermitState;
};

/** Never throws: whatever goes wrong on the way is a refusal. */
export function authorize(
  prepared: PreparedCall | UnusableCall,
  options: AuthorizeWithin,
  rules: Rules,
  engine: Engine,
): Promise<Authorization> {
  const isFollowed = engine.stories !== undefined || options.signal !== undefined;
  return isFollowed ? authorizeFollowed(prepared, options, rules, engine) : authorizeCall(prepared, options, rules, engine);
}

/** A call that somebody is told of, or may give up. */
async function authorizeFollowed(
  prepared: PreparedCall | UnusableCall,
  options: AuthorizeWithin,
  rules: Rules,
  engine: Engine,
): Promise<Authorization> {
  const story = engine.stories?.begin(prepared, engine.mode);
  const authorization = await authorizeCall(prepared, story === undefined ? options : { ...options, story }, rules, engine);
  story?.authorized(authorization);
  if (authorization.kind !== 'permit' || !isGivenUp(options)) return authorization;
  // Given up while it was decided: the ledger says both, and nobody is left who would run it.
  await authorization.settle({ status: 'cancelled', refund: true });
  return refusal(authorization.callId, denial('CALL_CANCELLED', 'the caller gave up before the call ran'), engine, {
    entry: authorization.entry,
  });
}

/** Whoever gives up waiting for an answer takes the question back; an answer that is there already stays good. */
async function takesBack(earlier: CallRow | undefined, { approval }: AuthorizeOptions, { store }: Engine): Promise<boolean> {
  if (approval === 'suspend' || earlier?.state !== 'asked' || earlier.approval === undefined) return false;
  return (await store.approval(earlier.approval))?.state === 'pending';
}

function isGivenUp({ signal }: AuthorizeOptions): boolean {
  return signal?.aborted === true;
}

/** Recorded without its key: nothing was decided, so whoever comes with the call again is heard. */
function refuseGivenUp(
  { callId, session, tool, principal, attempt, shown, findings }: PreparedCall,
  rules: Rules,
  engine: Engine,
): Promise<Refusal> {
  const call = { callId, session, tool, attempt, shown, findings, ...(principal !== undefined && { principal }) };
  return refuse(call, denial('CALL_CANCELLED', 'the caller gave up before the call was decided'), rules, engine);
}

async function authorizeCall(
  prepared: PreparedCall | UnusableCall,
  options: AuthorizeWithin,
  rules: Rules,
  engine: Engine,
): Promise<Authorization> {
  try {
    options.story?.isUnder(rules.policy);
    if (isUnusable(prepared)) return await refuse(prepared, denial(prepared.reasonCode, prepared.reason), rules, engine);
    // Under the id the call came with, also when people edit it.
    const { handOver } = options;
    const within = handOver === undefined ? options : { ...options, custody: custodyOf(prepared, handOver, engine) };
    const edited: PreparedCall[] = [];
    let call = prepared;
    // A call without a name is nobody's repeat, and need not be waited for.
    const mayBeKnown = prepared.key !== undefined || (options.adopt !== undefined && options.adopt !== false);
    let earlier = mayBeKnown ? await earlierCall(prepared, options, engine) : undefined;
    if (isGivenUp(options) && !(await takesBack(earlier, options, engine))) return await refuseGivenUp(prepared, rules, engine);
    for (;;) {
      const decided = await decide(call, earlier, within, rules, engine);
      const settled = decided.kind === 'edited' && edited.length >= MAX_EDITS ? await refuseChain(decided.of, rules, engine) : decided;
      if (settled.kind !== 'edited') {
        // Until the edited call is decided, whoever comes back finds the way to it through the one that was asked about.
        if (edited.length > 0 && isRecorded(settled)) await refuseEdited(edited, settled.callId, rules, engine);
        return settled;
      }
      edited.push(settled.of);
      call = settled.call;
      earlier = call.key === undefined ? undefined : await engine.store.callByKey(call.key);
    }
  } catch (error) {
    engine.report(error, { callId: prepared.callId, during: 'authorize' });
    return refusal(prepared.callId, failure(error), engine);
  }
}

function isRecorded(settled: Authorization): boolean {
  return settled.kind === 'permit' || (settled.kind === 'refusal' && settled.entry !== undefined);
}

/** Decides one call. @param earlier - the same call as an earlier attempt left it. */
async function decide(
  prepared: PreparedCall,
  earlier: CallRow | undefined,
  options: AuthorizeWithin,
  rules: Rules,
  engine: Engine,
): Promise<Authorization | Edited> {
  let watch: CallWatch | undefined;
  let turn: Turn | undefined;
  const call = earlier === undefined ? prepared : { ...prepared, callId: earlier.id };
  options.story?.isAbout(call);
  try {
    if (earlier !== undefined && earlier.state !== 'asked')
      return (await editOf(call, earlier, options, rules, engine)) ?? (await refuseRepeat(prepared, earlier, rules, engine));
    let asked = askOf(earlier);
    const turnedDown = new Set<string>();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      turn?.end();
      const inLine = turnOf(call.session, round, rules, engine);
      turn = inLine === undefined ? undefined : await inLine;
      // Before policy, which may have moved to allow: what a person refused does not run.
      const denied = asked === undefined ? undefined : await denialOf(asked, call, options, rules, engine);
      if (denied !== undefined) return denied;
      // One policy decides one round, whatever is put in force meanwhile.
      const now = rules.now();
      options.story?.isUnder(now.policy);
      const recording = engine.recordPolicy(now.policy);
      if (recording !== undefined) await recording;
      const session = await engine.store.session(call.session);
      const judgement = await judge(call, session, now.policy, engine.store.nowMs(), engine);
      if (judgement.decision.effect === 'deny') {
        const refused = await refuseJudged({ ...call, recorder: judgement.recorder }, judgement, now, engine);
        if (refused === 'again') continue;
        return refused;
      }

      let use: DecideUnit['use'];
      const mayBeGranted = asked === undefined && options.usesGrants !== false && turnedDown.size < MAX_GRANTS_TRIED;
      const grant =
        judgement.decision.effect === 'require_approval' && mayBeGranted
          ? await findGrant(call, judgement, now, engine, turnedDown)
          : undefined;
      if (judgement.decision.effect === 'require_approval' && grant === undefined) {
        const opened: Asked | Refusal | Taken | 'again' = asked ?? (await openAsk(call, judgement, now, engine));
        if (opened === 'again') continue;
        // One ask is enough, and its answer is for whoever comes with the call: a refusal would end it.
        if ('takenBy' in opened) {
          turn?.end();
          return await decide(prepared, opened.takenBy, options, rules, engine);
        }
        if ('kind' in opened) return opened;
        asked = opened;
        const answer = await answerTo(asked, call, judgement, { ...options, beforeWaiting: () => turn?.end() }, rules, engine);
        if (answer === 'again') continue;
        if ('kind' in answer) return answer;
        use = answer;
      }

      watch ??= beginWatch(call, engine);
      const committed = await commitAllow(call, judgement, { asked, use, grant, custody: options.custody }, now, engine);
      if (committed === 'again') continue;
      if (typeof committed === 'object' && 'takenBy' in committed) {
        turn?.end();
        return await decide(prepared, committed.takenBy, options, rules, engine);
      }
      if (committed === 'not-granted') {
        turnedDown.add(grant?.id ?? '');
        continue;
      }
      if (committed.kind === 'refusal') return committed;
      engine.counts.allowed++;
      if (grant !== undefined) engine.counts.grantsUsed++;
      if (use !== undefined) engine.notices.look(use.approval);
      options.story?.allowedBy(use?.approval, grant?.id);
      const granted = {
        callId: call.callId,
        session: call.session,
        args: call.args,
        decision: committed.decision,
        entry: committed.entry,
        watch,
        story: options.story,
        state: options.state,
        policy: now.policy,
        input: judgement.input,
        ...(call.edited !== undefined && { edited: call.edited }),
      };
      watch = undefined;
      return createPermit(granted, engine);
    }
    throw new CountersignError(
      'LEDGER_BUSY',
      `the session or the policy changed ${MAX_ROUNDS} times while this call was decided: try again`,
    );
  } catch (error) {
    engine.report(error, { callId: call.callId, during: 'authorize' });
    if (error instanceof MonitorFailure) return refuseMonitor(call, rules, engine, error);
    return refusal(call.callId, failure(error), engine);
  } finally {
    // A watch that reached no permit has nothing to tell.
    abandonWatch(watch, call.callId, engine);
    turn?.end();
  }
}

/** A call that was stale waits until those before it are through; so does one that counts, while there are any. */
function turnOf(session: string, round: number, rules: Rules, { turns }: Engine): Promise<Turn> | undefined {
  const counts = (rules.policy.counts ?? []).length > 0;
  return round > 0 || (counts && turns.isTaken(session)) ? turns.take(session) : undefined;
}

/** The call as an earlier attempt left it: by its key or, for clients whose retries carry fresh ids, by what it asks for. */
export async function earlierCall(
  call: PreparedCall,
  options: AuthorizeOptions,
  engine: Pick<Engine, 'store'>,
): Promise<CallRow | undefined> {
  const known = call.key === undefined ? undefined : await engine.store.callByKey(call.key);
  if (known !== undefined || options.adopt === undefined || options.adopt === false) return known;
  return await engine.store.askedCall(call.match);
}

function askOf(row: CallRow | undefined): Asked | undefined {
  if (row?.approval === undefined || row.bindKey === undefined) return undefined;
  return { approvalId: row.approval, bindKey: row.bindKey };
}

/** What the store says about an open ask: an approval to use, something to return, or a change that asks for another round. */
async function answerTo(
  asked: Asked,
  call: PreparedCall,
  { decision, terms }: Judgement,
  options: AuthorizeWithin & { readonly beforeWaiting: () => void },
  rules: Rules,
  engine: Engine,
): Promise<NonNullable<DecideUnit['use']> | Authorization | 'again'> {
  const row = await engine.store.approval(asked.approvalId);
  if (row !== undefined) engine.notices.tell(row);
  const refuseAs = (code: BuiltInReasonCode, reason: string): Promise<Refusal> => refuse(call, denial(code, reason), rules, engine);
  switch (row?.state) {
    case undefined:
      return refuseAs('APPROVAL_FORGED', 'the approval of this call is not in the store');
    case 'pending': {
      if (options.approval === 'suspend') {
        engine.counts.pending++;
        return { kind: 'pending', callId: call.callId, decision, approvalId: row.id, expiresAtMs: row.expiresAtMs, shown: call.shown };
      }
      options.beforeWaiting();
      options.story?.waits(row);
      const waited = await waitForAnswer(row, options.signal, engine);
      options.story?.waited();
      if (waited === 'answered') return 'again';
      await engine.store.commit({ kind: 'lapse', approval: row.id, state: 'expired' });
      engine.notices.look(row.id);
      return waited === 'expired'
        ? refuseAs('APPROVAL_EXPIRED', 'nobody answered in time')
        : refuseAs('CALL_CANCELLED', 'the caller gave up waiting');
    }
    case 'denied':
      return 'again';
    case 'expired':
      return refuseAs('APPROVAL_EXPIRED', 'the approval expired before it was used');
    case 'failed':
      return refuseAs('APPROVAL_PROCESS_FAILED', 'no approval channel could be reached');
    case 'consumed':
      return refuseAs('APPROVAL_ALREADY_USED', 'the approval of this call was used before');
    case 'approved':
      return {
        approval: row.id,
        answers: await authenticAnswers(row, engine.store, engine.keys),
        terms: termsOf(terms, rules, engine),
      };
  }
}

/** On whose word a call is allowed that policy alone does not allow. */
interface Authority {
  readonly asked: Asked | undefined;
  readonly use: DecideUnit['use'];
  readonly grant: GrantInHand | undefined;
  readonly custody: Custody | undefined;
}

type Allowed = { readonly kind: 'allowed'; readonly decision: Decision; readonly entry: EntryRef };

/** Step 5. The transaction has the last word: budgets, approval and session are checked there, under the write lock. */
async function commitAllow(
  call: PreparedCall,
  judgement: Judgement,
  { asked, use, grant, custody }: Authority,
  rules: Rules,
  engine: Engine,
): Promise<Allowed | Refusal | Taken | 'again' | 'not-granted'> {
  const { input, labels, recorder } = judgement;
  let charges: readonly Charge[];
  try {
    charges = chargesFor(engine.budgets, input, engine.budgetKeys);
  } catch (error) {
    engine.report(error, { callId: call.callId, during: 'budgets' });
    return refuse(
      call,
      denial('BUDGET_EVALUATION_FAILED', CountersignError.is(error) ? error.message : 'a budget could not be evaluated'),
      rules,
      engine,
    );
  }
  const reasonCode = grant === undefined ? 'APPROVAL_GRANTED' : 'GRANT_USED';
  const decision: Decision =
    use === undefined && grant === undefined ? judgement.decision : { ...judgement.decision, effect: 'allow', reasonCode };
  const { body, opening } = draftDecision(call, decision, labels, rules.policy, engine, recorder);
  const binding =
    use === undefined || asked === undefined
      ? undefined
      : { approval: { id: use.approval, answers: use.answers }, binds: callBinding(call, rules.policy.hash, asked.bindKey) };
  const counted = recorder.counted();
  const unit: DecideUnit = {
    kind: 'decide',
    body: binding === undefined ? body : { ...body, ...binding },
    opening,
    call: rowFacts(call),
    sessionVersion: input.session.version,
    sessionLabels: input.session.labels,
    charges,
    auditBudgets: engine.mode === 'audit',
    // Last: what follows a spread is put in more slowly.
    ...(counted !== undefined && { counted }),
    ...(judgement.pinned !== undefined && { pinned: judgement.pinned }),
    ...coverage(engine),
    ...(use !== undefined && { use }),
    ...(grant !== undefined && { grant }),
    ...(custody !== undefined && { custody }),
  };
  const committed = await engine.inForce.commit(rules.epoch, () => engine.store.commit(unit));
  // The ledger first: what the audit log tells is so. Then the permit, if every log that is required has the line.
  const isLogged = !engine.audit.isUsed || (await engine.audit.after(unit, committed));
  if (committed.kind === 'stale') return 'again';
  if (committed.kind === 'not-granted') return 'not-granted';
  if (committed.kind === 'repeat')
    return committed.call.state === 'asked' ? { takenBy: committed.call } : refuseRepeat(call, committed.call, rules, engine);
  if (committed.kind !== 'decided')
    throw new CountersignError('LEDGER_WRITE_FAILED', `the store answered a decision with ${committed.kind}`);
  const { body: recorded, entry, reason } = committed;
  if (recorded.effect === 'allow' && !isLogged) return refuseUnlogged(call, entry, rules, engine);
  if (recorded.effect === 'allow') return { kind: 'allowed', decision: { ...decision, would: recorded.would }, entry };
  return refusal(call.callId, denial(recorded.reason_code as BuiltInReasonCode, reason), engine, { entry });
}
