import { createGuard, type Guard, rulePolicy } from '@countersign/core';
import { type MemoryStore, memoryStore } from '@countersign/core/testing';
import { ALLOWED } from './messages.ts';

/** Denies every tool of server `s` but those that are allowed. */
export function someAllowed(): { readonly guard: Guard; readonly store: MemoryStore } {
  const store = memoryStore();
  const rules = [{ id: 'some', tools: ALLOWED.map((name) => `s/${name}`), effect: 'allow' as const }];
  const policy = rulePolicy({ id: 'p', default: 'deny', rules });
  return { guard: createGuard({ agent: 'fuzz', session: 's', store, policy }), store };
}
