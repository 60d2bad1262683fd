import type { PolicyInput } from '../../src/policy/policy.ts';

/** A policy input with quiet defaults. */
export function policyInput(changes: Partial<PolicyInput> = {}): PolicyInput {
  return {
    tool: { name: 'refund' },
    args: {},
    findings: [],
    agent: 'bot',
    session: { id: 's1', labels: [], halted: false, startedAtMs: 1_000_000, version: 0 },
    mode: 'enforce',
    atMs: 2_000_000,
    raw: () => undefined,
    ...changes,
  };
}
