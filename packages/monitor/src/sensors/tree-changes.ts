/** What a change of the tree is as an activity. */
import type { Action, Actor, Attribution } from '../activity.ts';
import type { ProcessTree, TreeProcess } from '../tree/process-tree.ts';
import type { TreeChange } from '../tree/tracked-tree.ts';

export interface Change {
  readonly action: Action;
  readonly actor?: Actor;
  readonly attribution: Attribution;
}

/** None for a process there was no room for. */
export function activitiesOf(change: TreeChange, tree: ProcessTree): readonly Change[] {
  switch (change.kind) {
    case 'joined':
      return joined(change.process, change.by === 'parent', tree);
    case 'exec':
      return [{ action: execOf(change.process), actor: actorOf(change.process), attribution: change.process.attribution }];
    case 'left':
      return [{ action: { kind: 'exit', ...change.end }, actor: actorOf(change.process), attribution: change.process.attribution }];
    case 'full':
      return [];
  }
}

/** The process without what the tree knows of its call. */
export function actorOf({ pid, start, parent, exe, argv, cwd }: Actor): Actor {
  return {
    pid,
    start,
    ...(parent !== undefined && { parent }),
    ...(exe !== undefined && { exe }),
    ...(argv !== undefined && { argv }),
    ...(cwd !== undefined && { cwd }),
  };
}

/** Who started it is known only of a child; of the others what they run is news, too. */
function joined(process: TreeProcess, isChild: boolean, tree: ProcessTree): readonly Change[] {
  const { pid, start, attribution } = process;
  const parent = isChild && process.parent !== undefined ? tree.get(process.parent) : undefined;
  const spawn: Change = {
    action: { kind: 'spawn', child: { pid, start } },
    attribution,
    ...(parent !== undefined && { actor: actorOf(parent) }),
  };
  return isChild ? [spawn] : [spawn, { action: execOf(process), actor: actorOf(process), attribution }];
}

/** Empty: could not be read. */
function execOf({ exe = '', argv = [], cwd }: Actor): Action {
  return { kind: 'exec', exe, argv, ...(cwd !== undefined && { cwd }) };
}
