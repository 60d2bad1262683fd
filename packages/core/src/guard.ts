/**
 * The guard. Every tool call goes prepare → judge → approval, if required → commit → run → settle:
 *
 *   prepare.ts    copies and redacts what the framework handed over
 *   authorize.ts  decides, asks, commits: a permit exists only after the decision is durable
 *   permit.ts     runs once, settles once
 */
import { latestCall } from './approval/edited-call.ts';
import { settledApproval } from './approval/pending.ts';
import { authorize, earlierCall } from './authorize.ts';
import { budgetStatus } from './budget/status.ts';
import { type Authorization, MAX_REASON_CHARS, type Refusal, type ToolCall } from './call.ts';
import type { AuthorizeOptions, PreviewOptions, RunScope, ToolOptions } from './call-options.ts';
import { CallRefusedError } from './call-refused.ts';
import { checkPolicy, createEngine, isWait } from './create-engine.ts';
import type { Engine, Rules } from './engine.ts';
import { CountersignError } from './errors.ts';
import { findGrant } from './grant/find.ts';
import { draftGrant } from './grant/give.ts';
import { revoke } from './grant/revoke.ts';
import type { Guard, GuardOptions, Preview } from './guard-types.ts';
import { draftResume, resume } from './halt/resume.ts';
import { judge } from './judge.ts';
import { newOrderedId } from './ledger/body.ts';
import { isName, isRecordable } from './names.ts';
import { offersOf } from './offers.ts';
import type { OpenCall } from './open-calls.ts';
import { answerPins, draftPins } from './pin/answer.ts';
import { declarationChanges } from './pin/changes.ts';
import { offerTools } from './pin/offer.ts';
import { composePolicies } from './policy/compose.ts';
import type { Policy } from './policy/policy.ts';
import { isUnusable, ownedBy, prepareCall, toolRef } from './prepare.ts';
import { recordRun } from './record-run.ts';
import { denial, failure, refusal, refuse, repeatDecision } from './refusal.ts';
import { releasedError } from './result/released-error.ts';
import { isKept, type RunDeps, runOnce } from './run-once.ts';
import { RunResults } from './run-results.ts';
import { schemaIssues } from './schema-issues.ts';
import { currentCall } from './scope.ts';
import { nameOf, setPolicy } from './set-policy.ts';
import type { ApprovalRow } from './store-rows.ts';
import { takeOver } from './take-over.ts';

/**
 * @throws {CountersignError} `OPTIONS_INVALID` when the agent id, the policy or the store is missing or malformed.
 */
export function createGuard(options: GuardOptions): Guard {
  const engine = createEngine(options);
  const rules = rulesUnder(engine);
  const results = new RunResults();

  async function runUnder<T>(
    under: Rules,
    call: ToolCall,
    fn: (args: unknown, scope: RunScope) => T | Promise<T>,
    options: AuthorizeOptions,
  ): Promise<T> {
    const prepared = prepareCall(call, engine, options.costOf ?? under.costOf);
    const { signal } = options;
    const run = async (permit: Authorization): Promise<T> => {
      if (permit.kind !== 'permit')
        throw new CallRefusedError(permit.kind === 'refusal' ? permit : refusal(permit.callId, denial('CALL_CANCELLED'), engine));
      let result: T;
      try {
        const scope = { callId: permit.callId, ...(signal !== undefined && { signal }) };
        // Async, so that what works only when it is awaited (a query builder) is awaited inside the call.
        result = await permit.within(async () => fn(permit.args, scope));
      } catch (error) {
        // `null` and `undefined` can be thrown too; the outcome needs something to describe.
        const thrown = error ?? new Error(`the tool threw ${String(error)}`);
        const status = signal?.aborted === true ? 'cancelled' : 'error';
        const told = releasedError(await permit.release({ status, error: thrown }), thrown);
        throw told === thrown ? error : told;
      }
      const released = await permit.release({ status: 'success', result });
      // Of the shape of the result, or a text in its place: whoever guards a function by rules on results expects one.
      return (released.kind === 'shown' ? released.value : released.text) as T;
    };
    return await runOnce(prepared, { ...options, form: 'run' }, run, { rules: under, engine, results });
  }

  return {
    agent: engine.agent,
    mode: engine.mode,
    get policy() {
      return nameOf(engine.inForce.policy);
    },
    get counters() {
      return { ...engine.counts, lostAuditRecords: engine.audit.lost };
    },
    authorize: async (call, options = {}) =>
      await authorize(ownedBy(prepareCall(call, engine, options.costOf), options.adopt, engine), options, rules, engine),
    once: async (call, options, use) =>
      runOnce(ownedBy(prepareCall(call, engine, options.costOf), options.adopt, engine), options, use, { rules, engine, results }),
    run: (call, fn, options = {}) => runUnder(rules, call, fn, options),
    tool: (name, fn, options = {}) => guardedTool(name, fn, options, runUnder, engine),
    offers: (tools, of = {}) => offersOf(tools, of, engine),
    preview: (call, options = {}) => preview(call, options, { rules, engine, results }),
    recordRun: (call, by, of) => recordRun(call, by, of, rules, engine),
    takeOver: (call) => takeOver(prepareCall(call, engine), rules, engine),
    recordRefusal: (refused) => recordRefusal(refused, rules, engine),
    report: (error, context) => engine.report(error, context),
    openCalls: ({ olderThanMs } = {}) => openCalls(olderThanMs, engine),
    setPolicy: (policy) => setPolicy(policy, engine),
    approvals: {
      resolve: (id, answer, approver) => engine.resolve(id, answer, approver),
      revoke: (id, approver, options = {}) => revoke(id, approver, options, engine),
      draftGrant: async (id, terms) => draftGrant(await approvalOf(id, engine), terms, engine),
      grants: () => engine.store.grants(),
      get: (id) => engine.store.approval(id),
      list: (filter) => engine.store.approvals(filter),
      counts: (filter) => engine.store.approvalCounts(filter),
      settled: (id, { signal } = {}) => settledApproval(id, signal, engine),
    },
    halts: {
      list: () => engine.store.halts(),
      draft: (choice) => draftResume(choice, engine),
      resume: (choice, approver, how = {}) => resume(choice, approver, how, engine),
    },
    pins: {
      mode: engine.pins,
      offer: (offered) => offerTools(offered, engine),
      list: async () => (await engine.store.pins()).tools,
      changes: async ({ server, name }) => {
        const state = await engine.store.pin(server, name);
        return state === undefined ? undefined : declarationChanges(state, engine.store);
      },
      draft: (event, choice) => draftPins(event, choice, engine),
      accept: (choice, approver, { before } = {}) => answerPins('accepted', choice, approver, engine, before),
      revoke: (choice, approver, { before } = {}) => answerPins('revoked', choice, approver, engine, before),
    },
    budgets: (filter = {}) => budgetStatus(engine.budgets, engine.store, filter),
    close: () => engine.close(),
  };
}

function openCalls(olderThanMs: number | undefined, engine: Engine): readonly OpenCall[] {
  if (olderThanMs === undefined) return engine.openCalls.list();
  if (!Number.isFinite(olderThanMs) || olderThanMs < 0)
    throw new CountersignError('OPTIONS_INVALID', 'openCalls: olderThanMs must be milliseconds, 0 or more');
  return engine.openCalls.list(engine.store.nowMs() - olderThanMs);
}

/** What decides calls: the policy in force, with what one tool adds to it. */
function rulesUnder({ inForce }: Engine, added?: Policy, more: Omit<Rules, 'policy' | 'epoch' | 'now'> = {}): Rules {
  let composed: { readonly of: Policy; readonly policy: Policy } | undefined;
  const policyNow = (): Policy => {
    const { policy } = inForce;
    if (added === undefined) return policy;
    if (composed?.of !== policy) composed = { of: policy, policy: checkPolicy(composePolicies([policy, added])) };
    return composed.policy;
  };
  // What does not compose is said where the tool is wrapped.
  policyNow();
  const now = (): Rules => ({ ...more, policy: policyNow(), epoch: inForce.epoch, now });
  return {
    ...more,
    get policy() {
      return policyNow();
    },
    get epoch() {
      return inForce.epoch;
    },
    now,
  };
}

type RunUnder = <T>(
  rules: Rules,
  call: ToolCall,
  fn: (args: unknown, scope: RunScope) => T | Promise<T>,
  options: AuthorizeOptions,
) => Promise<T>;

function guardedTool<Args, Result>(
  name: string,
  fn: (args: Args, scope: RunScope) => Result | Promise<Result>,
  options: ToolOptions<Args>,
  runUnder: RunUnder,
  engine: Engine,
): (args: Args, call?: Omit<ToolCall, 'tool' | 'args'>, options?: Pick<AuthorizeOptions, 'signal'>) => Promise<Result> {
  const { policy, cost, ttlMs, schema, server } = options;
  if (ttlMs !== undefined && !isWait(ttlMs)) {
    throw new CountersignError('OPTIONS_INVALID', `tool ${name}: ttlMs must be whole milliseconds above 0, and at most ten years`);
  }
  const own = rulesUnder(engine, policy, {
    ...(ttlMs !== undefined && { ttlMs }),
    // The cost is worked out from the copy that will run, not from what the caller still holds.
    ...(cost !== undefined && { costOf: (copied: unknown) => cost(copied as Args) }),
    ...(schema !== undefined && { validate: (edited: unknown) => schema.parse(edited) }),
  });
  const tool = { name, ...(server !== undefined && { server }) };
  return async (input, call = {}, { signal } = {}) => {
    let args: Args;
    try {
      args = schema === undefined ? input : schema.parse(input);
    } catch (error) {
      const reason = `the arguments do not fit the tool${schemaIssues(error)}`;
      throw new CallRefusedError(
        await recordRefusal(
          { tool, reasonCode: 'ARGUMENTS_INVALID', reason, ...(call.session !== undefined && { session: call.session }) },
          own,
          engine,
        ),
      );
    }
    return runUnder(own, { ...call, tool, args }, (decided, scope) => fn(decided as Args, scope), signal === undefined ? {} : { signal });
  };
}

/** Grants nothing. Opening the approval early lets a framework show it before it asks to run. */
async function preview(call: ToolCall, options: PreviewOptions, deps: RunDeps): Promise<Preview> {
  const { rules: live, engine } = deps;
  const rules = live.now();
  const prepared = prepareCall(call, engine);
  if (isUnusable(prepared)) return { decision: denial(prepared.reasonCode, prepared.reason) };
  try {
    const { call: latest, row } = await latestCall(prepared, await earlierCall(prepared, {}, engine), rules, engine);
    if (row !== undefined && row.state !== 'asked')
      return { decision: repeatDecision(row), ...((await isKept(prepared, options.form, deps)) && { isKept: true }) };
    const session = await engine.store.session(latest.session);
    const judgement = await judge(latest, session, rules.policy, engine.store.nowMs(), engine);
    const { decision } = judgement;
    const approval = row?.approval === undefined ? undefined : await engine.store.approval(row.approval);
    if (approval !== undefined) return { decision, approvalId: approval.id, approvalState: approval.state };
    if (decision.effect !== 'require_approval') return { decision };
    const isGranted = (await findGrant(latest, judgement, rules, engine)) !== undefined;
    if (isGranted) return { decision: { ...decision, effect: 'allow', reasonCode: 'GRANT_USED' } };
    if (options.openApproval !== true) return { decision };
    const opened = await authorize(prepared, { approval: 'suspend', usesGrants: false }, live, engine);
    if (opened.kind === 'pending') return { decision: opened.decision, approvalId: opened.approvalId, approvalState: 'pending' };
    // Policy moved to `allow` in between: the permit is given back unused.
    if (opened.kind === 'permit') await opened.settle({ status: 'cancelled' });
    return { decision: opened.decision };
  } catch (error) {
    engine.report(error, { callId: prepared.callId, during: 'preview' });
    return { decision: failure(error) };
  }
}

async function approvalOf(id: string, engine: Engine): Promise<ApprovalRow> {
  const row = await engine.store.approval(id);
  if (row === undefined) throw new CountersignError('APPROVAL_NOT_FOUND', `no approval has the id ${isName(id) ? id : '(malformed)'}`);
  return row;
}

async function recordRefusal(refused: Parameters<Guard['recordRefusal']>[0], rules: Rules, engine: Engine): Promise<Refusal> {
  const { session, reasonCode, reason } = refused;
  const tool = toolRef(refused.tool, engine.redactor);
  const usable = [tool.name, tool.server, tool.schema].every((name) => name === undefined || isRecordable(name, engine.redactor));
  const call = {
    callId: newOrderedId(engine.store.nowMs()),
    tool: usable ? tool : { name: '[invalid]' },
    session: session !== undefined && isRecordable(session, engine.redactor) ? session : (currentCall()?.session ?? engine.session),
  };
  const decision = {
    effect: 'deny',
    would: 'deny',
    reasonCode,
    reason: engine.redactor.text(reason.toWellFormed()).slice(0, MAX_REASON_CHARS).toWellFormed(),
  } as const;
  const story = engine.stories?.begin(call, engine.mode);
  let told: Refusal;
  try {
    story?.isUnder(rules.policy);
    told = await refuse(call, decision, rules, engine);
  } catch (error) {
    engine.report(error, { callId: call.callId, during: 'recording a refusal' });
    told = refusal(call.callId, decision, engine);
  }
  story?.authorized(told);
  return told;
}
