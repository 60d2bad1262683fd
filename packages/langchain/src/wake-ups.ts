/**
 * Resume values are wake-ups, and nothing reads them. They are taken all the same: LangGraph gives them out in the order of the
 * `interrupt`s of a task, and would hand one that nobody took to a question of the tool or of the node, as a person's answer. When
 * the task runs again, each call must take exactly as many as before, so that those after it find their own.
 */
import type { Guard, Permit, Refusal, ToolCall } from '@countersign/core';
import { interrupt } from '@langchain/langgraph';

/** More wake-ups than this for one call are not taken: it is refused. */
export const MAX_WAKE_UPS = 1_000;
const MAX_REMEMBERED_CALLS = 1_000;

const OF_GUARDS = new WeakMap<Guard, WakeUps>();

export function wakeUpsOf(guard: Guard): WakeUps {
  const known = OF_GUARDS.get(guard);
  if (known !== undefined) return known;
  const made = new WakeUps();
  OF_GUARDS.set(guard, made);
  return made;
}

/** Known in this process only. */
export class WakeUps {
  /** How many a call took until it had its answer. */
  private readonly taken = new Map<string, number | 'it still waits'>();

  /** A person has to answer. @returns what `interrupt` threw once no wake-up was left; undefined when they do not end. */
  wait(call: ToolCall, value: unknown): unknown {
    this.remember(call, 'it still waits');
    return take(MAX_WAKE_UPS, value).stopped;
  }

  /** There is an answer, by whomever: of the person, or of a policy that was put in force meanwhile. */
  answered(call: ToolCall, authorization: Permit | Refusal): void {
    const known = this.taken.get(nameOf(call));
    if (typeof known === 'number') take(known);
    else if (known !== undefined || isAnswer(authorization)) this.remember(call, take(MAX_WAKE_UPS).count);
  }

  /** The call came again, and gets what it got before. */
  again(call: ToolCall): void {
    const known = this.taken.get(nameOf(call));
    if (typeof known === 'number') take(known);
  }

  private remember(call: ToolCall, taken: number | 'it still waits'): void {
    if (call.id === undefined) return;
    const name = nameOf(call);
    this.taken.delete(name);
    this.taken.set(name, taken);
    const [oldest] = this.taken.keys();
    if (this.taken.size > MAX_REMEMBERED_CALLS && oldest !== undefined) this.taken.delete(oldest);
  }
}

/** A person was asked about the call, or about the one it was edited from. */
function isAnswer(authorization: Permit | Refusal): boolean {
  const { kind, decision } = authorization;
  return decision.reasonCode.startsWith('APPROVAL_') || (kind === 'permit' && authorization.edited !== undefined);
}

function take(most: number, value: unknown = { kind: 'countersign.approval' }): { readonly count: number; readonly stopped?: unknown } {
  for (let count = 0; count < most; count++) {
    try {
      interrupt(value);
    } catch (stopped) {
      return { count, stopped };
    }
  }
  return { count: most };
}

function nameOf(call: ToolCall): string {
  return JSON.stringify([call.session, call.turn, call.id, call.tool.server, call.tool.name]);
}
