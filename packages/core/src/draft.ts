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

/** The body holds no free text and no argument: those are committed to and lie in the opening, where they can be erased. */
export function draftDecision(
  call: RecordedCall,
  decision: Decision,
  labels: readonly string[],
  policy: Policy,
  engine: Pick<Engine, 'agent' | 'mode'>,
): { readonly body: DecisionBody; readonly opening: Opening } {
  const key = newOpeningKey();
  const { shown, principal, attempt, edited, recorder } = call;
  const facts = factsSection(call, recorder?.recorded()) as Json | undefined;
  const { effect, would, reasonCode, reason, rule } = decision;
  const redacted = [...new Set((call.findings ?? []).map((finding) => finding.kind))].toSorted();
  const body: DecisionBody = {
    kind: 'decision',
    agent: engine.agent,
    session: call.session,
    call: call.callId,
    ...(principal !== undefined && { principal }),
    tool: toolOf(call.tool),
    ...(attempt !== undefined && attempt > 1 && { attempt }),
    mode: engine.mode,
    effect,
    would,
    reason_code: reasonCode,
    ...(rule !== undefined && { rule }),
    policy: { id: policy.id, ...(policy.version !== undefined && { version: policy.version }), hash: policy.hash },
    ...(shown !== undefined && { args_commit: commitSection(key, 'args', shown) }),
    ...(reason !== undefined && { reason_commit: commitSection(key, 'reason', reason) }),
    ...(facts !== undefined && { facts_commit: commitSection(key, 'facts', facts) }),
    ...(redacted.length > 0 && { redacted }),
    ...(labels.length > 0 && { labels }),
    ...(edited !== undefined && { edited: { call: edited.call, answer: edited.answer } }),
  };
  const sections = {
    ...(shown !== undefined && { args: shown }),
    ...(facts !== undefined && { facts }),
    ...(reason !== undefined && { reason }),
  };
  return { body, opening: { key, sections } };
}

function toolOf(tool: ToolRef): DecisionBody['tool'] {
  return {
    ...(tool.server !== undefined && { server: tool.server }),
    name: tool.name,
    ...(tool.schema !== undefined && { schema: tool.schema }),
  };
}
