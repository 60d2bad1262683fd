/** Which tools ask which guards themselves, so that a call is decided once per guard however often it is wrapped. */
import type { Guard } from '@countersign/core';
import type { GuardedToolOptions } from './options.ts';

const GUARDED = new WeakMap<object, ReadonlyMap<Guard, GuardedToolOptions>>();

/** True for a tool that asks this very guard itself. */
export function isGuardedBy(tool: unknown, guard: Guard): boolean {
  return optionsUnder(tool, guard) !== undefined;
}

/** How a tool asks this very guard itself; undefined for one that does not. */
export function optionsUnder(tool: unknown, guard: Guard): GuardedToolOptions | undefined {
  return typeof tool === 'object' && tool !== null ? GUARDED.get(tool)?.get(guard) : undefined;
}

/** @param inner - what `guarded` runs: the guards it asks are asked by `guarded`, too. */
export function markGuarded(guarded: object, inner: object, guard: Guard, options: GuardedToolOptions): void {
  GUARDED.set(guarded, new Map([...(GUARDED.get(inner) ?? []), [guard, options]]));
}
