/**
 * Which attempt at a call this is. A retry middleware runs a call again after an error; that is a new call, decided and
 * charged anew, and not the replay the call key exists to stop. Known in this process only: elsewhere it is a replay.
 */
import type { ToolCall } from '@countersign/core';

const MAX_FAILED_CALLS = 1000;

export class Attempts {
  private readonly failures = new Map<string, number>();

  next(call: ToolCall): ToolCall {
    const failed = this.failures.get(nameOf(call));
    return failed === undefined ? call : { ...call, attempt: failed + 1 };
  }

  failed(call: ToolCall): void {
    if (call.id === undefined) return;
    const name = nameOf(call);
    const failed = this.failures.get(name) ?? 0;
    this.failures.delete(name);
    this.failures.set(name, failed + 1);
    const [oldest] = this.failures.keys();
    if (this.failures.size > MAX_FAILED_CALLS && oldest !== undefined) this.failures.delete(oldest);
  }
}

function nameOf(call: ToolCall): string {
  return JSON.stringify([call.session, call.turn, call.id, call.tool.server, call.tool.name]);
}
