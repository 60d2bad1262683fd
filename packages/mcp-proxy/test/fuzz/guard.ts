import { createGuard, type Guard, rulePolicy } from '@countersign/core';
import { type MemoryStore, memoryStore } from '@countersign/core/testing';
import { ALLOWED } from './messages.ts';

/** Denies every tool of these servers but those that are allowed. */
export function someAllowed(servers: readonly string[] = ['s']): { readonly guard: Guard; readonly store: MemoryStore } {
  const store = memoryStore();
  const rules = [{ id: 'some', tools: servers.flatMap((server) => ALLOWED.map((name) => `${server}/${name}`)), effect: 'allow' as const }];
  const policy = rulePolicy({ id: 'p', default: 'deny', rules });
  return { guard: createGuard({ agent: 'fuzz', session: 's', store, policy }), store };
}
