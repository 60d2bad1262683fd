import type { Outcome, Permit } from '@countersign/core';
import type { InvalidMessage } from './client-message.ts';
import { MAX_RECORDING, refusalReason, UNREADABLE_TOOL } from './refusals.ts';
import type { Target } from './target.ts';

/** What of one client is being written to the ledger beside its decisions: outcomes, and messages that were refused. */
export class Records {
  readonly #target: Target;
  readonly #pending = new Set<Promise<void>>();

  constructor(target: Target) {
    this.#target = target;
  }

  /** Is waited for by `done`. @param work - must not reject. */
  add(work: Promise<void>): void {
    this.#pending.add(work);
    const over = (): boolean => this.#pending.delete(work);
    void work.then(over, over);
  }

  /** Resolves when nothing is being written. */
  async done(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Never rejects: the call is over either way. */
  async settle(permit: Permit, outcome: Outcome): Promise<void> {
    try {
      await permit.settle(outcome);
    } catch {
      this.#target.log(`the outcome of call ${permit.callId} could not be recorded`);
    }
  }

  /** Once whoever carries messages had its turn: an answer does not wait for work on its record. */
  async settleSoon(permit: Permit, outcome: Outcome): Promise<void> {
    await Promise.resolve();
    await this.settle(permit, outcome);
  }

  /** What could have been a call leaves a record; of a flood the first ones do. */
  refused(message: InvalidMessage): void {
    if (!message.couldBeCall || this.#pending.size >= MAX_RECORDING) return;
    const tool = this.#target.tools.ref(this.#target.server, message.tool ?? UNREADABLE_TOOL);
    this.add(this.#target.guard.recordInvalid(tool, refusalReason(message)));
  }
}
