/** The processes that did something, and what they started: ending a shell alone would leave what it was told to do. */
import type { ProcessId } from '../activity.ts';
import type { TreeProcess } from '../tree/process-tree.ts';

export function culprits(members: readonly TreeProcess[], actors: readonly ProcessId[]): readonly TreeProcess[] {
  const found = new Set(members.filter(({ pid, start }) => actors.some((actor) => actor.pid === pid && actor.start === start)));
  const byParent = Map.groupBy(members, ({ parent }) => parent);
  // A set that grows while it is walked through: descendants of descendants come in turn.
  for (const { pid } of found) for (const child of byParent.get(pid) ?? []) found.add(child);
  return [...found];
}
