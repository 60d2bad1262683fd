/**
 * Permits of this guard that were given and not settled yet. In memory, so that whoever runs agents sees a tool that hangs and
 * an adapter that forgot; in the ledger the same calls are decisions without an outcome, which nothing here changes.
 */
import type { ToolRef } from './call.ts';

export interface OpenCall {
  readonly callId: string;
  readonly tool: Pick<ToolRef, 'server' | 'name'>;
  readonly session: string;
  readonly principal?: string;
  /** When the permit was given, by the clock of the store, UTC milliseconds. */
  readonly sinceMs: number;
}

/** Calls that are listed; those that are given a permit while so many are open are not. */
export const MAX_OPEN_CALLS = 100_000;

export class OpenCalls {
  private readonly calls = new Map<string, OpenCall>();

  add(call: OpenCall): void {
    if (this.calls.size < MAX_OPEN_CALLS) this.calls.set(call.callId, call);
  }

  remove(callId: string): void {
    this.calls.delete(callId);
  }

  /** Oldest first. @param untilMs - only those open since then or longer. */
  list(untilMs: number = Number.POSITIVE_INFINITY): readonly OpenCall[] {
    return [...this.calls.values()].filter(({ sinceMs }) => sinceMs <= untilMs).map((call) => ({ ...call, tool: { ...call.tool } }));
  }
}
