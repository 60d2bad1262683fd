/** Showing an open approval to the channels. */
import type { ApprovalAnswer, ApprovalRequest, Approver, Channel } from '../interfaces.ts';
import { outsideCalls } from '../scope.ts';

export interface AskDeps {
  readonly channels: readonly Channel[];
  readonly resolve: (id: string, answer: ApprovalAnswer, approver: Approver) => Promise<unknown>;
  /** Every channel failed: nobody was told. */
  readonly failed: (id: string) => Promise<unknown>;
  readonly onError: (error: unknown, during: string) => void;
}

/**
 * Asks on all channels at once and returns; answers arrive through `resolve`.
 *
 * @param signal - aborted when the approval is settled, so that prompts are withdrawn.
 */
export function askChannels(request: ApprovalRequest, signal: AbortSignal, deps: AskDeps): void {
  if (deps.channels.length === 0) return;
  let failures = 0;
  for (const channel of deps.channels) {
    const answer = async (given: ApprovalAnswer, approver: Approver): Promise<void> =>
      void (await deps.resolve(request.id, given, approver));
    // Outside: a nested agent's approval must not look as if the outer tool had answered it.
    outsideCalls(() => Promise.resolve().then(() => channel.ask(request, answer, signal)))
      .catch(async (error: unknown) => {
        if (signal.aborted) return;
        deps.onError(error, `approval channel ${channel.name}`);
        failures++;
        if (failures === deps.channels.length) await deps.failed(request.id);
      })
      .catch((error: unknown) => deps.onError(error, `approval channel ${channel.name}`));
  }
}
