/** Before a tool runs: the call is decided and recorded, or it does not run. */
import { type Authorization, type Guard, type Pending, refusalText, type ToolCall } from '@countersign/core';
import type { Answer } from './answer.ts';

export interface BeforeOptions {
  /** How long a person is waited for, milliseconds. */
  readonly waitMs: number;
  /** `allow`: calls that are allowed skip Claude Code's own prompt. */
  readonly answer: 'silent' | 'allow';
}

/**
 * For so long a call counts as running once this process is gone, if nobody tells how it ended. Whoever is asked by Claude Code
 * and says no tells nobody: then this is when the ledger says that its end is not known.
 */
export const HAND_OVER_MS: number = 12 * 60 * 60_000;

export async function before(call: ToolCall, guard: Guard, { waitMs, answer }: BeforeOptions): Promise<Answer> {
  const patience = AbortSignal.timeout(waitMs);
  let authorization = await decide(call, guard);
  while (authorization.kind === 'pending' && !patience.aborted) {
    await guard.approvals.settled(authorization.approvalId, { signal: patience });
    if (patience.aborted) break;
    authorization = await decide(call, guard);
  }
  switch (authorization.kind) {
    case 'refusal':
      return { kind: 'deny', reason: refusalText(authorization) };
    case 'pending':
      return { kind: 'deny', reason: pendingText(authorization) };
    case 'permit': {
      const { args, edited } = authorization;
      // Claude Code would run what the person did not approve if it asked once more and took what it had.
      if (edited !== undefined)
        return { kind: 'allow', reason: 'a person changed the arguments of this call and approved it as it is now', updatedInput: args };
      return answer === 'allow' ? { kind: 'allow', reason: 'allowed by policy' } : { kind: 'silent' };
    }
  }
}

function decide(call: ToolCall, guard: Guard): Promise<Authorization> {
  // A model that repeats a call gives it another id.
  return guard.authorize(call, { approval: 'suspend', adopt: true, handOver: { forMs: HAND_OVER_MS } });
}

function pendingText({ approvalId, decision }: Pending): string {
  const why = decision.reason === undefined ? '' : `: ${decision.reason}`;
  return `this call waits for a person to approve it${why}. It did not run. Approval ${approvalId}, for a person outside of this session: countersign approvals show ${approvalId}. Go on with something else, or make exactly the same call again once it is approved; other arguments are another call, and are asked about anew`;
}
