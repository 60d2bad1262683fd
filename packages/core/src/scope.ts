/**
 * Which guarded call is running right now, followed through awaits, timers and callbacks.
 *
 * A call made in the scope of another, by whichever guard of this process, is part of it: where it names no session it belongs
 * to the other's, and so on for the principal. A tool that runs an agent of its own then shares labels, halts and budgets with
 * the agent that called it, and what the inner one reads marks the outer one. Only the name of the session is handed down: two
 * guards see the same labels when they share a store.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface CallScope {
  readonly callId: string;
  readonly agent: string;
  readonly session: string;
  readonly principal?: string;
}

const storage = new AsyncLocalStorage<CallScope>();
// Whoever replaces the methods of its class later neither answers for it nor gets hold of it: `run` calls `enterWith` of its own.
for (const name of ['getStore', 'run', 'exit', 'enterWith', 'disable'] as const)
  Object.defineProperty(storage, name, { value: AsyncLocalStorage.prototype[name] });
Object.freeze(storage);

/** The guarded call this code runs for; undefined outside of one. */
export function currentCall(): CallScope | undefined {
  return storage.getStore();
}

export function withinCall<T>(scope: CallScope, fn: () => T): T {
  return storage.run(scope, fn);
}

/** Runs `fn` as if no guarded call were running: the guard's own work must not look like a tool's. */
export function outsideCalls<T>(fn: () => T): T {
  return storage.exit(fn);
}
