/** Shared by the tests of channels: time that passes at once, a guard whose `ask*` tools need approval, what a channel is shown. */
import { randomBytes } from 'node:crypto';
import {
  type ApprovalRequest,
  type Clock,
  createGuard,
  definePolicy,
  type Guard,
  type GuardOptions,
  type Pending,
  type ToolRef,
} from '@countersign/core';
import { type MemoryStore, memoryStore } from '@countersign/core/testing';
import type { Timing } from '../../src/channels/timing.ts';

export interface FakeTiming extends Timing {
  /** How long was waited, each time. */
  readonly pauses: number[];
  advance(ms: number): void;
}

/** The real time plus what was waited. Waiting takes none. */
export function fakeTiming(random = 0.5): FakeTiming {
  let passedMs = 0;
  const pauses: number[] = [];
  return {
    pauses,
    advance(ms) {
      passedMs += ms;
    },
    nowMs: () => Date.now() + passedMs,
    random: () => random,
    async pause(ms) {
      pauses.push(ms);
      passedMs += ms;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

export function webhookSecret(bytes = 32): string {
  return `whsec_${randomBytes(bytes).toString('base64')}`;
}

export function approvalRequest(change: Partial<ApprovalRequest> = {}): ApprovalRequest {
  return {
    id: '5a8c0d5a8c0d5a8c0d5a8c0d5a8c0d5a',
    callId: '0198c0de',
    agent: 'billing-bot',
    session: 's1',
    principal: 'ana',
    tool: { server: 'shop', name: 'refund' },
    args: { amount: 900, note: '[redacted:jwt]' },
    reason: 'over 500',
    rule: 'big-refund',
    expiresAtMs: Date.now() + 300_000,
    ...change,
  };
}

export const never = new AbortController().signal;
export const noAnswer = (): Promise<void> => Promise.reject(new Error('this channel takes no answers'));

export interface Asking {
  readonly guard: Guard;
  readonly store: MemoryStore;
  /** A call that waits for a person. */
  readonly ask: (args?: unknown, tool?: ToolRef) => Promise<Pending>;
}

export function asking(
  options: Partial<GuardOptions> & { readonly quorum?: number; readonly approverNames?: readonly string[]; readonly clock?: Clock } = {},
): Asking {
  const { quorum = 1, approverNames, clock, ...more } = options;
  const store = memoryStore(clock === undefined ? {} : { clock });
  const policy = definePolicy({
    id: 'ask',
    version: '1',
    evaluate: () => ({
      effect: 'require_approval',
      rule: 'ask',
      reason: 'a human must agree',
      terms: { quorum, ...(approverNames !== undefined && { approvers: approverNames }) },
    }),
  });
  const guard = createGuard({ agent: 'billing-bot', policy, store, session: 's1', ...more });
  return {
    guard,
    store,
    async ask(args = { amount: 900 }, tool = { server: 'shop', name: 'refund' }) {
      const pending = await guard.authorize({ tool, args }, { approval: 'suspend' });
      if (pending.kind !== 'pending') throw new Error(`expected a pending call, got ${pending.kind}`);
      return pending;
    },
  };
}

export { AFTER_HALT_TOOL, HALT } from '../../../core/test/fixtures/halt.ts';
