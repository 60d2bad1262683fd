/** One case of a table of tests: its calls go through a real guard, so that labels carry over from one to the next. */

import { microUnits } from '../../budget/micro.ts';
import type { ApprovalTerms, Authorization, Effect, ResultAction, ToolAnnotations, ToolCall } from '../../call.ts';
import { parseDuration } from '../../config/duration.ts';
import { createGuard } from '../../guard.ts';
import type { Guard } from '../../guard-types.ts';
import { type Explanation, explainRuling } from '../../policy/explain/explain.ts';
import type { Policy, PolicyInput } from '../../policy/policy.ts';
import type { RootOptions } from '../../policy/roots.ts';
import type { RuleSet } from '../../policy/rule-definition.ts';
import type { Redactor } from '../../redact/redact.ts';
import { type FixedClock, fixedClock } from '../clock.ts';
import { type MemoryStore, memoryStore } from '../memory-store.ts';
import type { CaseDocument, ExpectDocument, StepDocument, TestDocument } from './schema.ts';

/** What a file of tests is about. */
export interface Tested {
  readonly policy: Policy;
  readonly sets: readonly RuleSet[];
  readonly redactor: Redactor;
  readonly roots: RootOptions;
}

export interface StepReport {
  readonly tool: string;
  readonly got: Got;
  /** Empty when the step is as expected. */
  readonly differences: readonly { readonly field: string; readonly expected: unknown; readonly got: unknown }[];
  /** Absent when the policy was not asked. */
  readonly explanation?: Explanation;
}

export interface Got {
  readonly effect: Effect;
  readonly would: Effect;
  readonly rule: string | null;
  readonly reason_code: string;
  readonly labels: readonly string[];
  readonly reason?: string;
  /** What rules on results made of the result; absent when the call did not run. */
  readonly result?: ResultAction;
  readonly result_rule?: string;
}

/** Where cases happen that name no time. */
const START_MS = Date.UTC(2026, 0, 1);

export async function runCase(
  given: CaseDocument,
  { agent = 'test', mode = 'enforce' }: TestDocument,
  tested: Tested,
): Promise<readonly StepReport[]> {
  const { time, session: { id: session = 'test', labels = [], started } = {} } = given;
  const atMs = time === undefined ? START_MS : Date.parse(time);
  const clock = fixedClock(started === undefined ? atMs : Date.parse(started));
  const store = memoryStore({ clock });
  const seen: Seen = { input: undefined };
  const guard = createGuard({
    agent,
    session,
    mode: given.mode ?? mode,
    policy: watched(tested.policy, seen),
    store,
    redactor: tested.redactor,
    roots: tested.roots,
  });
  if (labels.length > 0 || started !== undefined) {
    await store.commit({ kind: 'record', body: { kind: 'session', agent, session, event: 'start', coverage: 'none' } });
    if (labels.length > 0) await store.commit({ kind: 'record', body: { kind: 'session', agent, session, event: 'labels', labels } });
    clock.advance(Math.max(0, atMs - clock.nowMs()));
  }
  const reports: StepReport[] = [];
  // In order: each step sees what the one before left behind.
  for (const [index, step] of stepsOf(given).entries()) {
    clock.advance(step.after === undefined ? 0 : (parseDuration(step.after) ?? 0));
    reports.push(await runStep(step, index, { guard, store, clock, seen, tested }));
  }
  return reports;
}

export function stepsOf({ steps, call, expect, ...rest }: CaseDocument): readonly StepDocument[] {
  if (steps !== undefined) return steps;
  // The schema has made sure of both.
  return call === undefined || expect === undefined ? [] : [{ ...rest, call, expect }];
}

interface Seen {
  input: PolicyInput | undefined;
}

interface Scene {
  readonly guard: Guard;
  readonly store: MemoryStore;
  readonly clock: FixedClock;
  readonly seen: Seen;
  readonly tested: Tested;
}

/** The same policy, remembering what it was asked last. */
function watched(policy: Policy, seen: Seen): Policy {
  return {
    ...policy,
    evaluate(input) {
      seen.input = input;
      return policy.evaluate(input);
    },
  };
}

async function runStep(step: StepDocument, index: number, scene: Scene): Promise<StepReport> {
  const { guard, seen, tested } = scene;
  const call = callOf(step, index);
  seen.input = undefined;
  const decided = await guard.authorize(call, { approval: 'suspend' });
  const { labels, terms } = recordedOf(decided.callId, scene.store);
  const input = seen.input as PolicyInput | undefined;
  const ruling = { decision: decided.decision, labels, terms, asks: 0 };
  const explanation = input === undefined ? undefined : explainRuling(ruling, input, tested.sets);
  const released = await finish(decided, step, call, scene);
  const { effect, would, rule = null, reasonCode, reason } = decided.decision;
  const got = { effect, would, rule, reason_code: reasonCode, labels, ...(reason !== undefined && { reason }), ...released };
  return {
    tool: toolText(step),
    got,
    differences: differences(typeof step.expect === 'string' ? { effect: step.expect } : step.expect, got),
    ...(explanation !== undefined && { explanation }),
  };
}

function callOf({ call, principal }: StepDocument, index: number): ToolCall {
  const { tool, args = {}, annotations, cost } = call;
  const slash = call.server === undefined ? tool.indexOf('/') : -1;
  const server = call.server ?? (slash > 0 ? tool.slice(0, slash) : undefined);
  return {
    tool: {
      ...(server !== undefined && { server }),
      name: slash > 0 ? tool.slice(slash + 1) : tool,
      // Absent hints are absent keys: that is how they were parsed.
      ...(annotations !== undefined && { annotations: annotations as ToolAnnotations }),
    },
    args,
    id: `step-${index}`,
    ...(principal !== undefined && { principal }),
    ...(cost !== undefined && { cost: microUnits(cost) }),
  };
}

/** Lets the tool run, if it may: labels of the call count from then on. */
async function finish(
  decided: Authorization,
  { approve, result, fails }: StepDocument,
  call: ToolCall,
  { guard, store }: Scene,
): Promise<Pick<Got, 'result' | 'result_rule'>> {
  let last = decided;
  if (last.kind === 'pending' && approve === true) {
    await guard.approvals.resolve(last.approvalId, { decision: 'approve' }, { id: 'test', method: 'host' });
    last = await guard.authorize(call, { approval: 'suspend' });
  }
  if (last.kind !== 'permit') return {};
  const outcome =
    fails === true ? { status: 'error' as const, error: new Error('the test lets it fail') } : { status: 'success' as const, result };
  await last.release(outcome);
  // Where a rule acted, the outcome is there before this; where none did, it may come later.
  const { callId } = last;
  const entry = store.entries().findLast((each) => each.kind === 'outcome' && each.call === callId);
  const { action = 'release', rule } = (entry?.kind === 'outcome' ? entry.released : undefined) ?? {};
  return { result: action, ...(rule !== undefined && { result_rule: rule }) };
}

function recordedOf(call: string, store: MemoryStore): { readonly labels: readonly string[]; readonly terms: Partial<ApprovalTerms> } {
  const entry = store.entries().findLast((each) => each.kind === 'decision' && each.call === call);
  if (entry?.kind !== 'decision') return { labels: [], terms: {} };
  const { labels = [], approval, at } = entry;
  if (approval?.quorum === undefined || approval.expires_at === undefined) return { labels, terms: {} };
  const { quorum, approvers, assurance, expires_at: expiresAtMs } = approval;
  return {
    labels,
    terms: {
      quorum,
      ttlMs: expiresAtMs - at,
      ...(approvers !== undefined && { approvers }),
      ...(assurance !== undefined && { assurance }),
    },
  };
}

function differences(expected: ExpectDocument, got: Got): StepReport['differences'] {
  const fields = ['effect', 'would', 'rule', 'reason_code', 'labels', 'result'] as const;
  return fields.flatMap((field) => {
    const wanted = expected[field];
    if (wanted === undefined) return [];
    const isSame = Array.isArray(wanted) ? sameLabels(wanted, got.labels) : wanted === got[field];
    return isSame ? [] : [{ field, expected: wanted, got: got[field] }];
  });
}

function sameLabels(left: readonly string[], right: readonly string[]): boolean {
  return [...new Set(left)].toSorted().join('\n') === [...right].toSorted().join('\n');
}

function toolText({ call: { server, tool } }: StepDocument): string {
  return server === undefined ? tool : `${server}/${tool}`;
}
