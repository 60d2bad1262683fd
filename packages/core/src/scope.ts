/** Which guarded call is running right now, followed through awaits, timers and callbacks. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface CallScope {
  readonly callId: string;
  readonly agent: string;
  readonly session: string;
}

const storage = new AsyncLocalStorage<CallScope>();

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
