import {
  type ApprovalRow,
  type Authorization,
  type AuthorizeOptions,
  type Offer,
  type Outcome,
  type Permit,
  type Refusal,
  type Released,
  type ToolCall,
  type ToolRef,
  toolDigest,
} from '@countersign/core';
import type { ProxyGuard } from '../src/guard-source.ts';

type RefusedMessage = Parameters<ProxyGuard['recordRefusal']>[0];
export type Verdict = 'allow' | 'deny' | 'ask';

/** A guard that does what the tool is called, unless told otherwise, and remembers everything. */
export class FakeGuard implements ProxyGuard {
  readonly calls: ToolCall[] = [];
  readonly options: (AuthorizeOptions | undefined)[] = [];
  /** What a guard that masks results makes of one; the same by default. */
  mask: (result: unknown) => unknown = (result) => result;
  /** What a rule on results makes of an outcome; none by default. */
  rule: ((outcome: Outcome) => Released | Promise<Released>) | undefined;
  readonly outcomes: { readonly callId: string; readonly outcome: Outcome }[] = [];
  readonly refusals: RefusedMessage[] = [];
  decide: (call: ToolCall, signal: AbortSignal | undefined) => Verdict | Promise<Verdict> = (call) =>
    call.tool.name.startsWith('denied') ? 'deny' : call.tool.name.startsWith('asked') ? 'ask' : 'allow';

  /** Trusts whatever is listed: tests of pins have a real guard. */
  readonly pins: ProxyGuard['pins'] = {
    offer: async ({ tools }) =>
      tools.map((tool) => {
        const name = (tool as { name?: string } | null)?.name;
        try {
          return { name, state: 'pinned', digest: toolDigest(tool as object), flags: [] };
        } catch {
          return { name, state: 'unpinnable', problem: 'no canonical form', flags: [] };
        }
      }),
    changes: async () => undefined,
  };
  /** Nobody ever answers here: tests of approvals have a real guard. */
  readonly approvals: ProxyGuard['approvals'] = {
    get: async (): Promise<ApprovalRow | undefined> => undefined,
    settled: async (): Promise<ApprovalRow | undefined> => undefined,
    resolve: async () => Promise.reject(new Error('nobody answers here')),
  };

  async authorize(call: ToolCall, options?: AuthorizeOptions): Promise<Authorization> {
    const callId = `call-${this.calls.length}`;
    this.calls.push(call);
    this.options.push(options);
    const verdict = await this.decide(call, options?.signal);
    const entry = { of: 0, leaf: '00' };
    if (verdict === 'allow') return this.#permit(call, callId);
    if (verdict === 'deny') {
      const decision = { effect: 'deny', would: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK', reason: 'not today', rule: 'r1' } as const;
      return { kind: 'refusal', callId, decision, entry };
    }
    const decision = {
      effect: 'require_approval',
      would: 'require_approval',
      reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      reason: 'over 500',
    } as const;
    return { kind: 'pending', callId, decision, approvalId: `approval-${callId}`, expiresAtMs: 1_800_000_000_000, shown: {} };
  }

  /** Asked about tools, once a list. */
  readonly offered: ToolRef[][] = [];
  async offers(tools: readonly ToolRef[]): Promise<readonly Offer[]> {
    this.offered.push([...tools]);
    const denial = { effect: 'deny', would: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK' } as const;
    return tools.map((tool) => (tool.name.startsWith('denied') ? { tool, denial } : { tool }));
  }

  async recordRefusal(refused: RefusedMessage): Promise<Refusal> {
    this.refusals.push(refused);
    return { kind: 'refusal', callId: 'none', decision: { effect: 'deny', would: 'deny', reasonCode: refused.reasonCode } };
  }

  #permit(call: ToolCall, callId: string): Permit {
    const settle = (outcome: Outcome): void => {
      if (this.outcomes.some((settled) => settled.callId === callId)) throw new Error('permit settled twice');
      this.outcomes.push({ callId, outcome });
    };
    return {
      kind: 'permit',
      callId,
      decision: { effect: 'allow', would: 'allow', reasonCode: 'POLICY_ALLOW_LOW_RISK' },
      entry: { of: 0, leaf: '00' },
      args: call.args,
      within: (fn) => fn(),
      mask: (result) => this.mask(result) as typeof result,
      holdsResult: this.rule !== undefined,
      release: async (outcome) => {
        settle(outcome);
        const value = outcome.error ?? outcome.result;
        if (this.rule !== undefined) return this.rule(outcome);
        return { kind: 'shown', value: this.mask(value), mask: (beside) => this.mask(beside) as typeof beside };
      },
      settle: async (outcome) => settle(outcome),
    };
  }
}
