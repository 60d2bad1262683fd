/** From a decision to the body of its entry and what lies beside it. */
import type { Decision, Json, ToolRef } from './call.ts';
import type { Engine } from './engine.ts';
import { commitSection, newOpeningKey } from './ledger/commitment.ts';
import type { DecisionBody, Opening } from './ledger/entry.ts';
import { type FactRecorder, factsSection } from './policy/facts.ts';
import type { Policy } from './policy/policy.ts';
import type { PreparedCall } from './prepare.ts';

/** What can be said of a call, whether or not its arguments could be captured. */
export type RecordedCall = Pick<PreparedCall, 'callId' | 'session' | 'tool'> &
  Partial<Pick<PreparedCall, 'principal' | 'attempt' | 'shown' | 'findings' | 'edited' | 'cost'>> & {
    /** What the policy read while it decided. */
    readonly recorder?: FactRecorder;
  };

/**
 * The body holds no free text and no argument: those are committed to and lie in the opening, where they can be erased.
 *
 * @param recorder - what the policy read while it decided.
 */
export function draftDecision(
  call: RecordedCall,
  decision: Decision,
  labels: readonly string[],
  policy: Policy,
  engine: Pick<Engine, 'agent' | 'mode'>,
  recorder: FactRecorder | undefined = call.recorder,
): { readonly body: DecisionBody; readonly opening: Opening } {
  const key = newOpeningKey();
  const { shown, principal, attempt, edited, findings = [] } = call;
  const facts = factsSection(call, recorder?.recorded()) as Json | undefined;
  const { effect, would, reasonCode, reason, rule } = decision;
  const redacted = findings.length === 0 ? [] : [...new Set(findings.map((finding) => finding.kind))].toSorted();
  // Members are added where they are there: of a call's objects this has the most, and spreading each `undefined` away is slow.
  const body: Draft<DecisionBody> = {
    agent: engine.agent,
    call: call.callId,
    effect,
    kind: 'decision',
    mode: engine.mode,
    policy:
      policy.version === undefined ? { hash: policy.hash, id: policy.id } : { hash: policy.hash, id: policy.id, version: policy.version },
    reason_code: reasonCode,
    session: call.session,
    tool: toolOf(call.tool),
    would,
  };
  const sections: { [name: string]: Json } = {};
  if (principal !== undefined) body.principal = principal;
  if (attempt !== undefined && attempt > 1) body.attempt = attempt;
  if (rule !== undefined) body.rule = rule;
  if (shown !== undefined) {
    sections['args'] = shown;
    body.args_commit = commitSection(key, 'args', shown);
  }
  if (facts !== undefined) {
    sections['facts'] = facts;
    body.facts_commit = commitSection(key, 'facts', facts);
  }
  if (reason !== undefined) {
    sections['reason'] = reason;
    body.reason_commit = commitSection(key, 'reason', reason);
  }
  if (redacted.length > 0) body.redacted = redacted;
  if (labels.length > 0) body.labels = labels;
  if (edited !== undefined) body.edited = { call: edited.call, answer: edited.answer };
  return { body, opening: { key, sections } };
}

/** A body that is being put together. */
export type Draft<Body> = { -readonly [Member in keyof Body]: Body[Member] };

function toolOf({ name, schema, server }: ToolRef): DecisionBody['tool'] {
  if (server === undefined) return schema === undefined ? { name } : { name, schema };
  return schema === undefined ? { name, server } : { name, schema, server };
}
