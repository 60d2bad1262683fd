/** What all clients of one server share of asking people: how they are asked, and what they bring back. */
import type { Permit } from '@countersign/core';
import { OpenRounds } from './open-rounds.ts';
import { RequestStates } from './request-state.ts';
import type { Way } from './ways.ts';

/** Approvals that somebody put aside without an answer; the oldest may be asked about again. */
const MAX_PUT_ASIDE = 1024;
const HEARTBEAT_MS = 10_000;
/** Clients give a request about a minute unless told otherwise. */
const HOLD_MS = 45_000;

export interface ApprovalOptions {
  /** How the person at the client may be asked, in the order of preference; default not at all. */
  readonly ask?: readonly Way[];
  /** Between two signs of life for a client that asked for progress; default 10 seconds. */
  readonly heartbeatMs?: number;
}

export class SharedApprovals {
  readonly ways: readonly Way[];
  /** How long a call may be held for an answer before the client is told that it waits. */
  readonly holdMs: number;
  readonly heartbeatMs: number;
  readonly states: RequestStates = new RequestStates();
  readonly rounds: OpenRounds;
  readonly #aside = new Set<string>();

  /** @param lapsed - a call that was kept open is over: its client did not come back. */
  constructor(
    { ask = [], heartbeatMs = HEARTBEAT_MS, holdMs = HOLD_MS }: ApprovalOptions & { readonly holdMs?: number },
    lapsed: (permit: Permit) => void,
  ) {
    this.ways = ask;
    this.holdMs = holdMs;
    this.heartbeatMs = heartbeatMs;
    this.rounds = new OpenRounds(lapsed);
  }

  /** The person closed the question, or the client could not put it: asking again would be pressing. Others may still answer. */
  putAside(approvalId: string): void {
    const [oldest] = this.#aside;
    if (this.#aside.size >= MAX_PUT_ASIDE && oldest !== undefined) this.#aside.delete(oldest);
    this.#aside.add(approvalId);
  }

  isAside(approvalId: string): boolean {
    return this.#aside.has(approvalId);
  }
}
