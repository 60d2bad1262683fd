/**
 * Which attempt at a call this is. A retry middleware runs a call again after an error; that is a new call, decided and
 * charged anew, and not the replay the call key exists to stop. Known in this process only: elsewhere it is a replay.
 */
import { createHash } from 'node:crypto';
import { canonicalize, type ToolCall } from '@countersign/core';

const MAX_FAILED_CALLS = 1000;

export class Attempts {
  private readonly failures = new Map<string, number>();

  next(call: ToolCall): ToolCall {
    const failed = this.failures.size === 0 ? undefined : this.failures.get(nameOf(call));
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

/** With all that tells calls apart: a model may give two calls one id, and the one that went well must not become another attempt. */
function nameOf({ session, principal, turn, id, tool, args }: ToolCall): string {
  return JSON.stringify([session, principal, turn, id, tool.server, tool.name, digestOf(args)]);
}

/** Undefined for arguments that cannot be bound: no such call is run. */
function digestOf(args: unknown): string | undefined {
  try {
    return createHash('sha256').update(canonicalize(args)).digest('base64');
  } catch {
    return undefined;
  }
}
