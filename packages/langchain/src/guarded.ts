/** Which tools ask which guards themselves, so that a call is decided once per guard however often it is wrapped. */
import type { Guard } from '@countersign/core';

const GUARDED = new WeakMap<object, ReadonlySet<Guard>>();

/** True for a tool that asks this very guard itself. */
export function isGuardedBy(tool: unknown, guard: Guard): boolean {
  return typeof tool === 'object' && tool !== null && GUARDED.get(tool)?.has(guard) === true;
}

/** @param inner - what `guarded` runs: the guards it asks are asked by `guarded`, too. */
export function markGuarded(guarded: object, inner: object, guard: Guard): void {
  GUARDED.set(guarded, new Set([...(GUARDED.get(inner) ?? []), guard]));
}
